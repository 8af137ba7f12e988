"""What would have avoided a liquidation: each answer against a run made by hand."""

from __future__ import annotations

import random
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Hedge, Hold, flat_venue, frame

from bt_margin.errors import InputError
from bt_margin.plugin import assemble
from bt_margin.plugin.broker import MarginBroker
from bt_margin.plugin.extra import ExtraMargin
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.counterfactual import COLUMNS, counterfactuals
from bt_margin.studies.run import run

CLOSES = [100.0, 100.0, 100.0, 100.0, 99.0, 98.0, 97.0, 96.0, 95.0, 94.0, 96.0, 100.0, 104.0, 110.0]
DOGE = "DOGE/USDT:USDT"
LONG = CLOSES + [110.0] * 180
ACCOUNT: dict[str, Any] = {"venue": flat_venue(), "cash": 1_000.0, "leverage": 20}
TENFOLD = {"exposure": 10.0}


@pytest.fixture(scope="module")
def fell() -> Comparison:
    return compare(Hold, {BTC: frame(LONG)}, params=TENFOLD, **ACCOUNT)


@pytest.fixture(scope="module", params=["replay", "full"])
def table(fell: Comparison, request: pytest.FixtureRequest) -> pd.DataFrame:
    return counterfactuals(fell, engine=request.param)


def liquidated(found: Any) -> list[int]:
    return [event.time for event in found.broker.events if event.kind == "liquidation"]


def paid(amount: float) -> list[int]:
    """Liquidations of the isolated run with so much more behind the position at 07:00."""
    cerebro = assemble.build(Hold, {BTC: frame(LONG)}, TENFOLD)
    at = int(pd.Timestamp("2025-01-01 07:00").value // 10**6)
    cerebro.addanalyzer(ExtraMargin, at=at, amount=amount, symbols=(BTC,), log=[])
    cerebro.broker = MarginBroker(margin_mode="isolated", **ACCOUNT)
    (strategy,) = cerebro.run()
    return [e.time for e in strategy.broker.events if e.kind == "liquidation"]


def test_one_row_for_the_one_breach_there_was(table: pd.DataFrame, fell: Comparison) -> None:
    assert list(table) == list(COLUMNS)
    (row,) = table.to_dict(orient="records")
    assert (row["scenario"], row["symbols"], row["margin_mode"]) == ("isolated", BTC, "isolated")
    assert row["time"] == pd.Timestamp("2025-01-01 08:00", tz="UTC")
    assert row["final_equity"] == fell.runs["isolated"].final


def test_the_smallest_extra_margin_saves_the_bar_and_a_little_less_does_not(
    table: pd.DataFrame,
) -> None:
    row = table.iloc[0]
    # 100 held at 100 with 500 behind them; at 95 nothing is left, and 0.5 % of 9,500 is asked for
    assert row["extra_margin"] == pytest.approx(47.5)
    assert row["extra_avoided"]
    died = int(row["time"].value // 10**6)
    assert died not in paid(47.6)
    assert died in paid(47.4)
    assert row["extra_liquidations"] == len(paid(47.6)) == 1  # the next bar takes it


def test_what_saves_the_week_is_worth_the_way_back(table: pd.DataFrame, fell: Comparison) -> None:
    row = table.iloc[0]
    # at 94 another hundred is lost, and 0.5 % of 9,400 is asked for
    assert row["extra_week"] == pytest.approx(100.0 + 47.0)
    assert row["week_worth"] == pytest.approx(2_000.0 - fell.runs["isolated"].final)


def test_the_highest_leverage_that_lives_is_the_highest_that_lives(table: pd.DataFrame) -> None:
    row = table.iloc[0]
    died = int(row["time"].value // 10**6)
    keywords = {**ACCOUNT, "margin_mode": "isolated"}
    runs = {
        each: run(Hold, {BTC: frame(LONG)}, params=TENFOLD, **{**keywords, "leverage": each})
        for each in (18, 19)
    }
    assert all(time > died for time in liquidated(runs[18]))
    assert died in liquidated(runs[19])
    assert row["lower_leverage"] == 18.0  # 1/L − 5 % > 0.5 % · 0.95  ⇔  L < 18.3
    assert row["leverage_worth"] == pytest.approx(runs[18].final - row["final_equity"], rel=1e-9)
    assert row["leverage_liquidations"] == len(liquidated(runs[18]))


def test_leverages_that_do_not_avoid_it_are_passed_over(fell: Comparison) -> None:
    row = counterfactuals(fell.runs["isolated"], leverages=[5, 10, 18, 19]).iloc[0]
    assert row["lower_leverage"] == 18.0  # 1/L − 5 % > 0.5 % · 0.95  ⇔  L < 18.3
    none = counterfactuals(fell.runs["isolated"], leverages=[19]).iloc[0]
    assert pd.isna(none["lower_leverage"])
    assert pd.isna(none["leverage_worth"])


@pytest.mark.parametrize("engine", ["replay", "full"])
def test_leverages_the_venue_does_not_allow_are_passed_over(engine: str) -> None:
    account = {**ACCOUNT, "venue": flat_venue(max_leverage=30.0), "leverage": 100}
    own = {BTC: {"leverage": 20}}
    found = run(
        Hold, {BTC: frame(LONG)}, params=TENFOLD, margin_mode="isolated", symbols=own, **account
    )
    row = counterfactuals(found, engine=engine, leverages=[15, 50]).iloc[0]
    assert row["lower_leverage"] == 15.0


class Feeder(Hold):
    """Puts a little behind its isolated position."""

    def next(self) -> None:
        super().next()
        if len(self) == 4:
            self.broker.add_margin(self.data, 1.0)


@pytest.mark.parametrize("engine", ["auto", "full"])
def test_a_mode_in_which_the_account_refuses_what_the_script_asks_is_no_answer(engine: str) -> None:
    data = {BTC: frame(LONG)}
    found = run(Feeder, data, params=TENFOLD, margin_mode="isolated", **ACCOUNT)
    row = counterfactuals(found, engine=engine).iloc[0]
    assert row["other_mode"] == "cross"
    assert pd.isna(row["mode_avoided"])
    assert pd.isna(row["mode_worth"])
    assert row["extra_avoided"]


def test_the_other_mode_is_the_other_run(table: pd.DataFrame, fell: Comparison) -> None:
    row = table.iloc[0]
    assert row["other_mode"] == "cross"
    assert row["mode_avoided"]
    worth = fell.runs["cross"].final - fell.runs["isolated"].final
    assert row["mode_worth"] == pytest.approx(worth, rel=1e-9)
    assert row["mode_liquidations"] == 0


def test_a_cross_account_that_falls_is_paid_into_as_a_whole() -> None:
    data = {BTC: frame([100.0] * 6 + [80.0] * 4 + [120.0] * 180), ETH: frame([100.0] * 190)}
    found = run(Hedge, data, params={"exposure": 6.0}, margin_mode="cross", **ACCOUNT)
    table = counterfactuals(found)
    first = table.iloc[0]
    assert BTC in first["symbols"]
    assert first["extra_avoided"]
    assert first["extra_margin"] > 0.0
    assert first["other_mode"] == "isolated"


def test_without_liquidations_there_is_nothing_to_say() -> None:
    calm = run(Hold, {BTC: frame([100.0] * 10)}, margin_mode="cross", **ACCOUNT)
    table = counterfactuals(calm)
    assert len(table) == 0
    assert list(table) == list(COLUMNS)


def test_the_result_is_left_as_it_was(fell: Comparison, table: pd.DataFrame) -> None:
    again = compare(Hold, {BTC: frame(LONG)}, params=TENFOLD, **ACCOUNT)
    pd.testing.assert_frame_equal(again.summary, fell.summary)
    engine = table["engine"].iloc[0]
    pd.testing.assert_frame_equal(counterfactuals(fell, engine=engine), table)


class Gambler(bt.Strategy):
    """Buys as much as chance says."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=8.0 + random.random())


def test_a_script_that_does_not_repeat_itself_is_refused() -> None:
    random.seed(5)
    lucky = run(Gambler, {BTC: frame([100.0] * 4 + [80.0] * 8)}, margin_mode="isolated", **ACCOUNT)
    assert liquidated(lucky)
    with pytest.raises(InputError, match="does not repeat itself"):
        counterfactuals(lucky)
