"""What the strategies' texts say happens on the sample market does happen there."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from bt_margin.market.synthetic import sample_market
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.load import find_strategy

FOLDER = Path(__file__).parents[2] / "strategies"
CRASH = pd.Timestamp("2025-10-10 21:00", tz="UTC")


@cache
def market() -> dict[str, pd.DataFrame]:
    """The sample, read once."""
    return sample_market()


def both(name: str, leverage: float = 10.0, **settings: Any) -> Comparison:
    """A strategy on the sample under cross and isolated."""
    strategy = find_strategy(str(FOLDER / f"{name}.py"))
    return compare(strategy, market(), venue="binance", leverage=leverage, **settings)


def kinds(result: Comparison, scenario: str, kind: str) -> pd.DataFrame:
    """The events of one kind in one run."""
    events = result.runs[scenario].events
    return events[events["kind"] == kind]


def test_pairs_cuts_winning_pairs_at_leverage_10_and_is_one_curve_at_2_5() -> None:
    high, low = both("pairs"), both("pairs", 2.5)
    assert kinds(high, "cross", "liquidation").empty
    assert len(kinds(high, "isolated", "liquidation")) > 10
    assert high.runs["isolated"].final < high.runs["cross"].final
    for other in (low.equity["isolated"], high.equity["cross"]):
        assert (low.equity["cross"] - other).abs().max() < 0.005


def test_trend_with_three_times_the_exposure_loses_cross_before_the_crash() -> None:
    modest, greedy = both("trend"), both("trend", params={"exposure": 1.5})
    assert kinds(modest, "cross", "liquidation").empty
    fallen = kinds(modest, "isolated", "liquidation")
    assert len(fallen) > 24
    assert (fallen["time"] == CRASH).any()
    (death,) = kinds(greedy, "cross", "dead")["time"]
    assert death < CRASH - pd.Timedelta(days=90)
    assert len(kinds(greedy, "cross", "liquidation")) == 4
    assert 0.0 < greedy.runs["isolated"].final < 0.02 * greedy.runs["isolated"].cash


def test_carry_is_moved_by_the_ratio_and_isolated_leads_at_10_but_not_at_20() -> None:
    ten, twenty = both("carry"), both("carry", 20)
    assert kinds(twenty, "cross", "liquidation").empty
    assert ten.summary.loc["cross", "price_result"] > 3 * ten.summary.loc["cross", "funding"] > 0
    finals = [
        result.runs["isolated"].final / result.runs["cross"].final for result in (ten, twenty)
    ]
    assert 1.0 < finals[0] < 1.2
    assert finals[1] < 0.8
    counts = [len(kinds(result, "isolated", "liquidation")) for result in (ten, twenty)]
    assert counts[1] > 2 * counts[0]
    spared = [e for e in ten.divergence.episodes if e.run == "isolated" and e.worth > 0]
    assert any(e.kind == "liquidation" for e in spared)


def test_grid_takes_all_coins_in_one_hour_and_half_the_equity_survives() -> None:
    full = both("grid")
    half = both("grid", params={"exposure": 0.5})
    fallen = kinds(full, "cross", "liquidation")
    assert fallen["time"].nunique() == 1
    assert fallen["symbol"].nunique() == 4
    assert full.runs["cross"].broker.account.dead
    assert len(kinds(full, "isolated", "liquidation")) > 24
    assert not full.runs["isolated"].broker.account.dead
    assert kinds(half, "cross", "liquidation").empty
    assert half.runs["cross"].final > 1.2 * half.runs["isolated"].final
    edge = {"cross": {"margin_mode": "cross"}}
    assert both("grid", params={"exposure": 0.6}, scenarios=edge).first.broker.account.dead
