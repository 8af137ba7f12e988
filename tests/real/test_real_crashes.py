"""Trend and pairs across 2020-03, 2021-05 and 2025-10-10, every number worked out a second time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from real.audit import Auditor
from real.rawdata import ROOT, Raw, folder, ms
from real.stage import FOUR, TWO, Restless, Study, hold, raws, study
from typer.testing import CliRunner

from bt_margin.cli.app import app

OCTOBER = ("2025-10-06", "2025-10-16")
HALF_YEAR = ("2025-06-01", "2026-01-01")
COVID = ("2020-02-01", "2020-04-01")
MAY = ("2021-04-01", "2021-07-01")

#: strategy, symbols, stretch, leverage, parameters, liquidations in cross and in isolated
RUNS: list[tuple[str, tuple[str, ...], tuple[str, str], float, dict[str, Any], int, int]] = [
    ("trend", FOUR, HALF_YEAR, 10, {}, 0, 22),
    ("trend", FOUR, OCTOBER, 20, {"fast": 12, "slow": 72, "exposure": 1.0}, 0, 6),
    ("pairs", ("SOLUSDT", "DOGEUSDT"), OCTOBER, 10, {"window": 72, "exposure": 2.0}, 0, 1),
    ("pairs", TWO, OCTOBER, 5, {"window": 72, "exposure": 2.0}, 0, 1),
    ("trend", TWO, COVID, 10, {}, 0, 3),
    ("pairs", TWO, COVID, 10, {"exposure": 2.0}, 0, 1),
    ("trend", TWO, MAY, 20, {}, 0, 6),
    ("pairs", TWO, MAY, 10, {"exposure": 2.0}, 2, 4),
]


def names(case: Any) -> str:
    return f"{case[0]} {'+'.join(case[1])} {case[2][0]} {case[3]}x"


@pytest.mark.parametrize("case", RUNS, ids=names)
def test_every_fill_funding_liquidation_and_bar_of_a_real_run_is_confirmed(case: Any) -> None:
    strategy, symbols, span, leverage, params, in_cross, in_isolated = case
    made = study(strategy, symbols, *span, leverage, params=params)
    assert made.wrong == []
    assert len(made.audits["cross"].found) == in_cross
    assert len(made.audits["isolated"].found) == in_isolated
    for scenario, audit in made.audits.items():
        assert audit.checked["fundings"] == made.kinds(scenario)["funding"]
        assert audit.checked["fills"] == made.kinds(scenario)["fill"]
        assert audit.checked["breaches"] == made.kinds(scenario).get("breach", 0)
        assert all(found.before > 0 for found in audit.found)
        never_below_zero(made[scenario])
    pieces = made.comparison.divergence.to_frame()
    apart = made["isolated"].final - made["cross"].final
    assert pieces["worth"].sum() == pytest.approx(apart, abs=0.005)


def never_below_zero(run: Any) -> None:
    """No account value below zero; an isolated pool loses what it had and no more."""
    assert run.equity.min() >= 0.0
    assert min(event.equity for event in run.broker.events) >= 0.0
    run.broker.account.audit()


@pytest.mark.parametrize(
    ("cash", "exposure", "in_cross", "in_isolated"),
    [(10_000.0, 0.6, 0, 4), (10_000.0, 1.0, 4, 4), (10_000.0, 2.2, 4, 4), (3e6, 1.0, 6, 18)],
)
def test_long_into_2025_10_10_small_accounts_fall_whole_and_large_ones_tier_by_tier(
    cash: float, exposure: float, in_cross: int, in_isolated: int
) -> None:
    made = hold(FOUR, OCTOBER, "2025-10-10 01:00", exposure, 10, cash=cash)
    assert made.wrong == []
    assert len(made.audits["cross"].found) == in_cross
    assert len(made.audits["isolated"].found) == in_isolated
    for scenario in ("cross", "isolated"):
        never_below_zero(made[scenario])
    sales = {f.settle for a in made.audits.values() for f in a.found}
    assert sales == ({"takeover", "sale"} if cash > 1e6 else {"takeover"})


@pytest.mark.parametrize(
    ("names", "span", "leverage", "cash", "seed"),
    [
        (FOUR, ("2025-10-08", "2025-10-14"), 20, 10_000.0, 1),
        (FOUR, ("2025-10-08", "2025-10-14"), 15, 2e6, 2),
        (TWO, ("2020-03-08", "2020-03-20"), 20, 10_000.0, 3),
        (TWO, ("2021-05-10", "2021-05-28"), 10, 1e6, 4),
        (("SOLUSDT",), ("2022-11-06", "2022-11-15"), 5, 30_000.0, 5),
    ],
)
def test_a_strategy_that_adds_reduces_and_flips_all_day_is_confirmed_to_the_last_event(
    names: tuple[str, ...], span: tuple[str, str], leverage: float, cash: float, seed: int
) -> None:
    params = {"seed": seed, "largest": 0.9 * leverage / len(names)}
    made = study(Restless, names, *span, leverage, params=params, cash=cash)
    assert made.wrong == []
    assert sum(len(audit.found) for audit in made.audits.values()) > 0
    for scenario in ("cross", "isolated"):
        assert made.kinds(scenario)["fill"] > 10
        never_below_zero(made[scenario])


def test_a_hedged_book_survives_every_symbol_at_its_own_worst() -> None:
    """The pair is short DOGE and long SOL (or the reverse) in the hour of −62 %: cross survives."""
    made = study("pairs", ("SOLUSDT", "DOGEUSDT"), *OCTOBER, 20,
                 params={"window": 72, "exposure": 2.0})  # fmt: skip
    assert made.wrong == []
    assert made.fallen("cross") == []
    assert len(made.fallen("isolated")) == 2


def test_the_command_line_gives_the_same_final_equities_and_explains_each_liquidation() -> None:
    words = ["compare", str(ROOT / "strategies" / "trend.py"), "--data", str(folder()),
             "--symbols", "BTCUSDT,ETHUSDT", "--timeframe", "1h", "--since", COVID[0],
             "--until", COVID[1], "--leverage", "10", "--json"]  # fmt: skip
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    made = study("trend", TWO, *COVID, 10)
    for scenario in ("cross", "isolated"):
        claimed = document["summary"][scenario]["final_equity"]
        assert claimed == pytest.approx(made[scenario].final, rel=1e-12)
    assert document["synthetic"] is False
    fallen = document["liquidations"]
    assert len(fallen) == 3
    for row, found in zip(fallen, made.audits["isolated"].found, strict=True):
        assert row["symbol"] == found.symbol
        assert row["mark"] == pytest.approx(found.mark, rel=1e-9)
        assert row["maintenance"] == pytest.approx(found.need, rel=1e-9)
        assert row["equity"] == pytest.approx(found.need, abs=1e-6)
        assert row["explanation"].startswith("The mark reached ")
    assert any("Tier tables of BTC/USDT:USDT" in note for note in document["fidelity"])


def tampered(made: Study, change: Callable[[str, Raw], Raw]) -> list[str]:
    """What the audit says when the market it reads is not the one the run saw."""
    raw = {s: change(s, r) for s, r in raws(TWO, *COVID).items()}
    audit: Auditor = Auditor(made["isolated"], raw, "isolated", 10).go()
    return audit.wrong


def test_the_audit_is_not_blind() -> None:
    made = study("trend", TWO, *COVID, 10)
    crossing = made.audits["isolated"].found[0]
    settled = ms("2020-03-10 08:00")

    def calm(symbol: str, r: Raw) -> Raw:
        first = r.marks[crossing.time][0]
        return Raw(r.last, {**r.marks, crossing.time: (first,) * 4}, r.rates)

    def rate(symbol: str, r: Raw) -> Raw:
        return Raw(r.last, r.marks, {**r.rates, settled: r.rates[settled] * 1.01})

    def unheard(symbol: str, r: Raw) -> Raw:
        return Raw(r.last, r.marks, {**r.rates, settled + 3_600_000: 0.0001})

    def spike(symbol: str, r: Raw) -> Raw:
        time = ms("2020-03-11 05:00")
        o, _, lo, c = r.marks[time]
        return Raw(r.last, {**r.marks, time: (o, o * 2, lo / 2, c)}, r.rates)

    assert tampered(made, lambda s, r: r) == []
    for change in (calm, rate, unheard, spike):
        assert tampered(made, change), change.__name__
