"""Margin calls: once per threshold, cleared well below it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from engine.bench import HOUR, KINDS, MODES, Desk, desk, near
from stories.world import START, A, B, account, buy, flat, frame, generic, play

import bt_margin as btm
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.engine.margin_calls import RELEASE
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper


def at_ratio(d: Desk, ratio: float) -> list[str]:
    """Move the balance of the pool so that the ratio is this, look, and say what was raised."""
    p, pool = d.p, d.p.pool
    wanted = p.maintenance() / ratio if ratio else 1e12
    d.account.debug = False
    pool.balance = wanted - pool.unrealised()
    before = len(d.account.events)
    d.account.call_margins()
    return [e.kind for e in d.account.events[before:]]


CALL, CLEARED = ["margin_call"], ["margin_call_cleared"]


def test_a_gain_into_a_tier_that_asks_for_much_more_calls() -> None:
    """990 held with 161 behind it: far below a ratio of one half at its worst mark, where it was bought.

    At 102 it has won 19.80, and stands in the next tier: 9 % of 1,009.80 against 180.80.
    """
    table = TierTable.of([(1_000, 0.005, 0.0, 100), (None, 0.09, 0.0, 10)], stepped=True)
    venue = dataclasses.replace(generic(), default_schedule=TierSchedule(((0, table),)))
    bars = frame([flat(100), flat(100), (100, 102, 100, 102), flat(102)])
    played = play(bars, {0: buy(9.9)}, cash=161, venue=venue, margin_calls=(0.5,))
    (call,) = played.kinds("margin_call")
    assert call.time == START + 2 * HOUR
    assert call.found == near(0.09 * 1_009.8 / 180.8)
    assert not played.retold


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_ratio_that_trembles_at_the_threshold_calls_once(kind: str, mode: Any) -> None:
    d = desk(kind, mode)
    d.fill(5)
    edge = 0.8 * RELEASE
    ratios = [0.5, 0.79, 0.801, 0.79, 0.85, edge + 0.001, 0.81, edge - 0.001, 0.79, 0.81]
    raised = [at_ratio(d, ratio) for ratio in ratios]
    assert raised == [[], [], CALL, [], [], [], [], CLEARED, [], CALL]


def test_the_threshold_itself_calls() -> None:
    d = desk()
    d.fill(100)
    d.account.debug = False
    d.p.pool.balance = 50 / 0.8
    d.account.call_margins()
    assert [e.kind for e in d.account.events[-1:]] == CALL


def test_each_threshold_calls_and_clears_on_its_own() -> None:
    d = desk(margin_calls=(0.5, 0.9))
    d.fill(5)
    raised = [at_ratio(d, r) for r in (0.4, 0.6, 0.95, 0.85, 0.8, 0.46, 0.44)]
    assert raised == [[], CALL, CALL, [], CLEARED, [], CLEARED]
    assert [e.allowed for e in d.kinds("margin_call")] == [0.5, 0.9]
    assert [e.allowed for e in d.kinds("margin_call_cleared")] == near([0.81, 0.45])


def test_a_jump_over_both_calls_both_and_a_jump_back_clears_both() -> None:
    d = desk(margin_calls=(0.5, 0.9))
    d.fill(5)
    assert at_ratio(d, 0.95) == CALL * 2
    assert at_ratio(d, 0.1) == CLEARED * 2


def test_a_call_names_the_pool_and_both_numbers() -> None:
    d = desk(mode="isolated")
    d.fill(5)
    at_ratio(d, 0.875)
    (event,) = d.kinds("margin_call")
    assert (event.pool, event.found, event.allowed) == (f"isolated:{A}", near(0.875), 0.8)
    assert event.reason == "margin ratio 87.5% has reached 80%"


def test_without_thresholds_nobody_is_called() -> None:
    d = desk(margin_calls=())
    d.fill(5)
    assert at_ratio(d, 0.99) == []


@pytest.mark.parametrize("left", [-1.0, -0.5, 0.0])
def test_without_equity_the_ratio_is_infinite(left: float) -> None:
    d = desk()
    d.fill(5)
    d.account.debug = False
    d.p.pool.balance = left
    d.account.call_margins()
    assert d.account.events[-1].found == float("inf")


def test_a_rising_notional_whose_tier_asks_more_than_the_threshold_is_called() -> None:
    """1,000 long at 1x are asked 30 %, 3,000 43 %: the better price is the worse ratio."""
    steep = TierTable.of([(1_000, 0.3, 0, 3), (None, 0.5, None, 1)])
    venue = dataclasses.replace(generic(), schedules={A: TierSchedule(((0, steep),))})
    for others in ((), (B,)):
        a = btm.Account(venue, 1_000, leverage=1, margin_calls=(0.4,), debug=True)
        for s in (A, *others):
            a.mark(s, 100)
        a.fill(A, 10, 100)
        q = Quote(a.position(A)).set(START, START + HOUR, (100.0, 300.0, 100.0, 300.0))
        Stepper(a).step(START, [q], NoOrders())
        (event,) = [e for e in a.events if e.kind == "margin_call"]
        assert event.found == near(1_300 / 3_000)


def test_each_pool_is_called_for_itself() -> None:
    a = account("isolated")
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 10, 100)
    a.mark(A, 90.51)
    a.call_margins()
    assert [(e.kind, e.pool) for e in a.events if "call" in e.kind] == [
        ("margin_call", f"isolated:{A}")
    ]


def test_a_position_closed_and_opened_again_may_call_again() -> None:
    d = desk()
    d.fill(5)
    assert at_ratio(d, 0.9) == CALL
    d.fill(-5)
    d.account.call_margins()
    assert d.account.cross.called == ()
    d.fill(0.01)
    assert at_ratio(d, 0.9) == CALL


def test_a_threshold_below_a_tier_s_rate_is_looked_at_on_every_bar() -> None:
    """10 at 100 on 2,000 at 30 %: ratio 300/2,000 at the low, 450/2,500 at the close, called at 17 %."""
    d = desk(cash=2, maintenance_rate=0.3, margin_calls=(0.17,))
    d.fill(10)
    bar = Quote(d.p).set(START, START + HOUR, (100, 150, 100, 150))
    Stepper(d.account).step(START, [bar], NoOrders())
    assert [e.found for e in d.kinds("margin_call")] == [near(0.18)]
