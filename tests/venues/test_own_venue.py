"""A venue from outside the package: one function and one line, and everything that names a venue takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import backtrader as bt
import pytest
from typer.testing import CliRunner

import bt_margin as btm
from bt_margin import venues as registry
from bt_margin.cli.app import app
from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.studies.conformance import answering, run_cases
from bt_margin.studies.conformance.case import Case, signed
from bt_margin.studies.conformance.run import _OWN
from bt_margin.studies.whatif import Holding, what_if
from bt_margin.venues.names import moment
from bt_margin.venues.policies import FullClose
from bt_margin.venues.spec import ALWAYS, Fact, OrderRule, SwitchRules, Venue

BTC = "BTC/USDT:USDT"
TURN = moment("2025-10-10T00:00:00Z") or 0
OLD, NEW = TierTable.flat(0.01, 50), TierTable.flat(0.02, 50)


def toy(*, taker: float = 0.001, as_of: int | None = None) -> Venue:
    """Cross and isolated, a table that changes on a date, whole positions sold."""
    dated = TierSchedule(((0, OLD), (TURN, NEW)), ("page of 2024", "page of 2025"))
    return Venue(
        name="toy",
        title="Toy Exchange",
        currency="USDT",
        contracts={BTC: Contract.parse(BTC)},
        schedules={BTC: dated if as_of is None else dated.pinned(as_of)},
        default_schedule=None,
        fees=((ALWAYS, Fees(maker=0.0005, taker=taker, liquidation=0.01)),),
        funding_interval=4 * 3_600_000,
        liquidation=FullClose(settle="sale", residual="trader"),
        orders=OrderRule(fee_in_check=True, open_loss=False),
        switching=SwitchRules(True, True, True),
        facts=(Fact("trigger", "equity at the requirement", "page", "2024", "P"),),
        exact=("Tiers.",),
        approximations=("Fills at the crossing.",),
        absent=("Deleveraging.",),
        as_of=as_of,
    )


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """The toy venue is known during a test, and forgotten afterwards."""
    before = dict(registry._BUILDERS), dict(registry._ALIASES), dict(_OWN)
    btm.register("toy", toy, aliases=("toyx",))
    yield
    for now, then in zip((registry._BUILDERS, registry._ALIASES, _OWN), before, strict=True):
        now.clear()
        now.update(then)


def test_it_is_a_venue_like_any_other() -> None:
    assert "toy" in btm.venues()
    assert btm.venue("TOYX").title == "Toy Exchange"
    assert btm.venue("toy", taker=0.0004).fees_at(BTC, 0).taker == 0.0004
    assert btm.venue("toy", as_of="2025-01-01").schedule(BTC).at(TURN) is OLD
    with pytest.raises(InputError, match="options: taker"):
        btm.venue("toy", colour="red")


def test_a_name_that_is_taken_stays_with_its_owner() -> None:
    with pytest.raises(InputError, match="taken"):
        btm.register("binance", toy)


class Long(bt.Strategy):  # type: ignore[misc]  # backtrader ships no types
    """Four times the equity, held."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=4.0)


def test_one_strategy_is_compared_under_it_in_both_modes() -> None:
    frame = btm.sample_market()[BTC].loc["2025-10-09":"2025-10-12"]
    result = btm.compare(Long, data={BTC: frame}, venue="toy", leverage=5, cash=10_000)
    assert set(result.runs) == {"cross", "isolated"}
    for run in result.runs.values():
        assert run.broker.account.venue.name == "toy"
        assert "rules" in run.events["kind"].tolist(), "the table changed during the run"
        fills = run.events.query("kind == 'fill'")
        assert fills["fee"].iloc[0] == pytest.approx(
            abs(fills["size"].iloc[0]) * fills["price"].iloc[0] * 0.001
        )


def test_the_command_line_takes_it() -> None:
    call = CliRunner().invoke
    words = [BTC, "--venue", "toy", "--size", "1", "--entry", "60000", "--leverage", "10"]
    found = call(app, ["calc", *words, "--as-of", "2026-01-01", "--json"])
    (position,) = json.loads(found.stdout)["positions"]
    assert position["liquidation_price"] == pytest.approx(54_000 / 0.98)
    told = json.loads(call(app, ["venues", "toy", "--json"]).stdout)
    assert told["options"]["defaults"] == {"taker": 0.001}
    assert [row["source"] for row in told["tables"]] == ["page of 2024", "page of 2025"]
    assert "toy" in call(app, ["venues"]).stdout


def answer(case: Case) -> dict[str, object]:
    """Inputs onto an account, its words back."""
    given = case.inputs
    held = Holding(BTC, signed(given["quantity"], case.side), given["entry_price"])
    (said,) = what_if(
        btm.venue("toy"), [held], wallet=None, leverage=given["leverage"],
        margin_mode=case.mode, time=case.until or 0,
    )  # fmt: skip
    return said.to_dict()


def test_its_cases_run_with_its_answers(tmp_path: Path) -> None:
    row = {
        "id": "one", "venue": "toy", "mode": "isolated", "side": "short", "what": "liquidation price",
        "inputs": {"quantity": 0.5, "entry_price": 60_000.0, "leverage": 10.0},
        "expected": {"liquidation_price": 66_000 / 1.01}, "source": "page", "as_of": "2025-02",
    }  # fmt: skip
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([row, row | {"id": "two", "as_of": "2026-02"}]))
    assert {outcome.reason[:14] for outcome in run_cases(file)} == {"no answers for"}
    answering("toy", answer)
    before, after = run_cases(file)
    assert before.ok
    assert not after.ok, "under the later table the number is another one"
    assert after.checked[0].ours == pytest.approx(66_000 / 1.02)
