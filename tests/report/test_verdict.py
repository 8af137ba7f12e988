"""The verdict: who ended with more, and what mattered, as a trader would say it."""

from __future__ import annotations

import re
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies.test_trades import RULES, Wild, walk
from studies.worlds import BTC, ETH, Cycle, Hedge, Hold, flat_venue, frame

from bt_margin.report.shares import in_amounts, in_shares, whole_per_cent
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


def test_a_death_is_told_with_its_time_and_the_positions_it_took() -> None:
    text = verdict(two_coins(70.0))
    assert "; cross lost everything on 1 Jan 2025 at 03:00 UTC (2 positions liquidated)." in text
    assert text.startswith("Isolated ended with 600.00 USDT (-40.00 %)")
    assert "The difference of 600.00 USDT is" in text
    assert text.count(". ") == 1, "two sentences"


def test_what_has_been_told_of_one_is_not_told_again_as_the_beginning_of_the_other() -> None:
    closes = [100.0, 100.0, 100.0, 88.0, 88.0, 70.0, 70.0]
    fallen = frame(closes)
    fallen.iloc[5, fallen.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = 70.0
    result = compare(Adds, {BTC: fallen, ETH: frame([100.0] * 7)}, venue=flat_venue(), leverage=10)
    text = verdict(result)
    assert text.startswith("Isolated lost its BTC long to liquidation on 1 Jan 2025 at 03:00 UTC")
    assert "cross lost everything on 1 Jan 2025 at 05:00 UTC" in text
    assert "it began" not in text


def test_how_a_slow_death_began_is_told() -> None:
    first = frame([100.0, 100.0, 100.0, 89.0, 100.0, 100.0, 100.0])
    second = frame([100.0, 100.0, 100.0, 100.0, 100.0, 89.0, 101.0])
    result = compare(
        Hold, {BTC: first, ETH: second}, venue=flat_venue(residual="fund"), leverage=10,
        params={"exposure": 10.0},
    )  # fmt: skip
    text = verdict(result)
    assert "isolated lost everything on 1 Jan 2025 at 05:00 UTC (1 position liquidated)" in text
    assert "; it began when isolated was liquidated out of its BTC/USDT:USDT long at" in text
    assert text.count(". ") == 1


def test_a_liquidation_that_helped_and_one_that_hurt_are_told_alike() -> None:
    spared = verdict(two_coins(85.0))
    assert spared.startswith("Isolated lost its BTC long to liquidation on 1 Jan 2025 at 03:00 UTC")
    closes = [100.0, 100.0, 100.0, 88.0, 100.0, 120.0]
    cost = verdict(compare(Hold, {BTC: frame(closes)}, venue=flat_venue(), leverage=10))
    assert cost.startswith("Cross ended with")
    assert (
        "; isolated lost its BTC long to liquidation on 1 Jan 2025 at 03:00 UTC and ended" in cost
    )
    assert cost.endswith(" USDT is down to that liquidation and its aftermath alone.")


def test_many_liquidations_are_counted_and_the_dearest_is_named() -> None:
    data = {BTC: frame(([100.0] * 3 + [88.0, 100.0, 100.0]) * 8)}
    text = verdict(compare(Cycle, data, venue=flat_venue(), leverage=10, params={"exposure": 2.0}))
    assert "solated was liquidated 8 times, the dearest time out of its BTC long on" in text
    assert "is down to liquidations" in text


def numbers(text: str) -> list[float]:
    """The whole per cents of a sentence, those after ``less`` with a minus."""
    with_it, _, against = text.partition(", less ")
    found = [float(n) for n in re.findall(r"(-?\d+) %", with_it)]
    return found + [-float(n) for n in re.findall(r"(-?\d+) %", against)]


@pytest.mark.parametrize("seed", range(8))
def test_law_shares_sum_to_a_hundred_and_the_ends_are_true_to_the_cent(seed: int) -> None:
    data = {BTC: walk(seed), ETH: walk(seed + 50)}
    result = compare(Wild, data, params={"seed": seed}, venue=RULES, leverage=10, cash=1_000.0)
    text = verdict(result)
    assert text.count(". ") == 1, text
    finals = [run.final for run in result.runs.values()]
    for run in result.runs.values():
        assert run.final < 0.005 or f"ended with {run.final:,.2f} USDT" in text
    if text.startswith("Both"):
        assert abs(finals[1] - finals[0]) < 0.005
        return
    assert f"{abs(finals[1] - finals[0]):,.2f}" in text
    second = text.split(". ")[1]
    shares = numbers(second)
    assert not shares or sum(shares) == 100, text


@given(
    st.dictionaries(
        st.sampled_from(["fees", "funding", "that liquidation", "slippage", "compounding", "cash"]),
        st.floats(-1e6, 1e6),
        min_size=1,
    )
)
def test_law_shares_and_amounts_add_up_as_they_are_read(parts: dict[str, float]) -> None:
    whole = sum(parts.values())
    shares = in_shares(parts, whole)
    if shares is not None and "alone" not in shares:
        assert sum(numbers(shares)) == 100
    told = in_amounts(parts, whole, "USDT")
    read = [float(n.replace(",", "")) for n in re.findall(r"[+-]?[\d,]+\.\d\d", told)]
    assert sum(read) == pytest.approx(round(whole, 2), abs=1e-3)


@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=9))
def test_law_whole_per_cents_sum_to_the_whole(shares: list[float]) -> None:
    total = sum(shares)
    made = whole_per_cent([*shares, 1.0 - total])
    assert sum(made) == 100
    assert all(abs(m - 100 * s) < 1.0 + 1e-9 for m, s in zip(made, shares, strict=False))


def test_ends_that_are_equal_by_chance_are_told_with_what_cancelled() -> None:
    def told(last: float) -> Comparison:
        bars = frame([100.0, 100.0, 100.0, 88.0, 100.0, last])
        return compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10)

    sold_at = [
        e.price for e in told(100.0).runs["isolated"].broker.events if e.kind == "liquidation"
    ]
    result = told(sold_at[0])
    text = verdict(result)
    assert text.startswith("Both ended with ")
    assert "They were apart once, and it came to the same" in text


def test_one_run_is_told_with_what_its_result_is_made_of() -> None:
    rules = flat_venue(taker_fee=0.001)
    alone = {"cross": {"margin_mode": "cross"}}
    result = compare(Hold, {BTC: frame(UP)}, venue=rules, leverage=10, scenarios=alone)
    text = verdict(result)
    assert text.startswith("Cross ended with ")
    assert "and was never liquidated. Its result of +" in text
    read = [float(n.replace(",", "")) for n in re.findall(r"[+-][\d,]+\.\d\d(?! %)", text)]
    assert len(read) > 2
    assert read[0] == pytest.approx(sum(read[1:]), abs=0.005)


def test_five_runs_are_told_by_the_best_and_the_last() -> None:
    scenarios = {f"{x}x": {"leverage": x, "margin_mode": "isolated"} for x in (6, 8, 10, 12, 15)}
    closes = [100.0, 100.0, 100.0, 92.0, 95.0, 120.0]
    result = compare(Hold, {BTC: frame(closes)}, venue=flat_venue(), scenarios=scenarios)
    text = verdict(result)
    ranked = sorted(result.runs.values(), key=lambda run: -run.final)
    assert text.startswith(f"Best of 5 runs, {ranked[0].name} ended with")
    assert f"the last of them, {ranked[-1].name}, " in text
    assert f"The difference of {ranked[0].final - ranked[-1].final:,.2f} USDT is" in text


def test_accounts_that_both_died_lost_everything() -> None:
    text = verdict(compare(Hold, {BTC: gap(50.0)}, venue=flat_venue(), leverage=5))
    assert text.startswith("Both lost everything on 1 Jan 2025 at 03:00 UTC.")


def test_cash_that_differs_is_named() -> None:
    scenarios = {"rich": {"cash": 2_000.0}, "poor": {"cash": 1_000.0}}
    result = compare(Idle, {BTC: frame(UP)}, venue=flat_venue(), scenarios=scenarios)
    assert "The difference of 1,000.00 USDT is down to the cash at the start alone." in verdict(
        result
    )


def test_made_up_data_is_said_first() -> None:
    bars = frame(UP)
    bars.attrs["synthetic"] = True
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10)
    assert verdict(result).startswith("On this SYNTHETIC market: ")


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
    assert " BTC (-" in verdict(result)
    assert f"{final:.8f}" in result._repr_html_()
    assert f"{result.summary.loc['cross', 'fees']:.8f}" in repr(result)


def test_events_before_the_first_price_have_no_mark() -> None:
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), leverage=10)
    assert not (result.events["mark"] == 0.0).any()
