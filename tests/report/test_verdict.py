"""The verdict: who ended with more, and what mattered, as a trader would say it."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Cycle, Hedge, Hold, flat_venue, frame

from bt_margin.report.verdict import verdict
from bt_margin.report.words import fidelity
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison

CRASH = [100.0, 100.0, 100.0, 50.0, 50.0, 60.0]
UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]


def gap(price: float) -> pd.DataFrame:
    """A market that opens one bar at another price, without trading in between."""
    bars = frame(CRASH)
    bars.iloc[3, bars.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = price
    return bars


class Adds(bt.Strategy):
    """Buys a first coin with little, then as much as cross can carry."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(self.datas[0], target=4.0)
            self.order_target_percent(self.datas[1], target=1.0)


def two_coins(low: float) -> Comparison:
    """One coin falls so far that its loss is more than the account holds; the other stands still."""
    fallen = frame([100.0, 100.0, 100.0, *[low] * 5])
    fallen.iloc[3, fallen.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = low
    data = {BTC: fallen, ETH: frame([100.0] * 8)}
    return compare(Adds, data, venue=flat_venue(), leverage=10, cash=1_000)


def test_a_death_leads_and_how_it_began_follows() -> None:
    text = verdict(two_coins(70.0))
    assert "cross lost everything (2 positions liquidated) at 2025-01-01 03:00 UTC; " in text
    assert "; isolated stayed alive; it began when cross was" in text
    assert text.count(". ") == 1, "two sentences"


def test_a_liquidation_that_helped_spared_something_and_one_that_hurt_cost_it() -> None:
    spared = verdict(two_coins(85.0))
    assert "isolated was liquidated out of its BTC/USDT:USDT long at" in spared
    assert "which spared it" in spared
    closes = [100.0, 100.0, 100.0, 88.0, 100.0, 120.0]
    cost = verdict(compare(Hold, {BTC: frame(closes)}, venue=flat_venue(), leverage=10))
    assert "What parted them: isolated was liquidated" in cost
    assert "which cost it" in cost


def test_many_liquidations_are_counted_before_the_dearest_is_named() -> None:
    data = {BTC: frame(([100.0] * 3 + [88.0, 100.0, 100.0]) * 8)}
    text = verdict(compare(Cycle, data, venue=flat_venue(), leverage=10, params={"exposure": 2.0}))
    assert (
        "times, cross never; the one that mattered most, out of its BTC/USDT:USDT long at" in text
    )


class Greedy(bt.Strategy):
    """Orders more than any account can carry, twice."""

    def next(self) -> None:
        if len(self) in (2, 4):
            self.buy(size=1e6)


def test_orders_refused_in_both_are_why_nothing_parted_them() -> None:
    result = compare(Greedy, {BTC: frame(UP)}, venue=flat_venue(), leverage=10)
    text = verdict(result)
    assert "Nothing parted them: all 2 orders were refused in both (the first one needs" in text


class Idle(bt.Strategy):
    """Does nothing."""


def test_a_strategy_that_never_ordered_is_told() -> None:
    assert "no order was filled" in verdict(compare(Idle, {BTC: frame(UP)}, venue=flat_venue()))


def test_without_a_mark_every_sentence_says_last_price() -> None:
    bars = frame([100.0] * 8, lows={4: 85.0}, marks=False)
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10)
    sentence = result.divergence.episodes[0].sentence
    assert "at the last price" in sentence
    assert "mark" not in sentence
    assert "mark" not in verdict(result)


def test_print_and_notebook_say_what_the_data_lacked() -> None:
    bars = frame([100.0] * 8, marks=False)
    bars.attrs["synthetic"] = True
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10)
    for shown in (repr(result), result._repr_html_()):
        assert "No mark prices for BTC/USDT:USDT" in shown
        assert "No funding rates for BTC/USDT:USDT" in shown
        assert "SYNTHETIC" in shown


class Late(bt.Strategy):
    """Needs fifteen bars before it knows anything, then buys as much as it may, again and again."""

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=15)

    def next(self) -> None:
        self.order_target_size(target=len(self))


def test_a_long_warm_up_is_told() -> None:
    result = compare(Late, {BTC: frame(UP)}, venue=flat_venue(), leverage=10)
    assert any("The first 14 bars were warm-up" in note for note in fidelity(result))
    assert not any(
        "warm-up" in n for n in fidelity(compare(Hold, {BTC: frame(UP)}, venue=flat_venue()))
    )


class Stubborn(bt.Strategy):
    """Buys all it can, and goes on asking after everything is lost."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=8.0)
        elif len(self) > 4:
            self.buy(size=1.0)


def test_orders_after_the_end_are_summed_up_not_counted_as_rejected() -> None:
    result = compare(Stubborn, {BTC: gap(50.0)}, venue=flat_venue(), leverage=10)
    assert result.summary.loc["cross", "rejected_orders"] == 0
    assert any("after everything was lost" in note for note in fidelity(result))


@pytest.mark.parametrize("world", [{BTC: frame(UP), ETH: frame(UP)}])
def test_the_price_result_and_the_other_rows_make_the_final_equity(world: Any) -> None:
    rules = flat_venue(taker_fee=0.001, liquidation_fee=0.01)
    summary = compare(Hedge, world, venue=rules, leverage=10, cash=1_000).summary
    rows = [
        "price_result",
        "fees",
        "funding",
        "interest",
        "liquidation_fees",
        "slippage",
        "shortfall",
    ]
    total = summary["initial_cash"] + summary[rows].sum(axis=1)
    assert list(total) == pytest.approx(list(summary["final_equity"]))


def test_a_coin_account_shows_eight_decimals() -> None:
    bars = frame([50_000.0, 50_000.0, 51_000.0, 44_000.0, 44_000.0, 44_000.0])
    rules = flat_venue(currency="BTC", taker_fee=0.0005)
    result = compare(
        Hold,
        {"ETH/BTC:BTC": bars / 1e6},
        venue=rules,
        leverage=10,
        cash=0.5,
        params={"exposure": 3.0},
    )
    assert result.first.currency == "BTC"
    final = result.first.final
    assert f"{final:.8f}" in verdict(result)
    assert " BTC (down" in verdict(result)
    assert f"{final:.8f}" in result._repr_html_()
    assert f"{result.summary.loc['cross', 'fees']:.8f}" in repr(result)


def test_events_before_the_first_price_have_no_mark() -> None:
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), leverage=10)
    assert not (result.events["mark"] == 0.0).any()
