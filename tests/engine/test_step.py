"""The bar contract: what happens in a bar, in its order; and the fast lane, which is never wrong."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import (
    HOUR,
    KINDS,
    MODES,
    SIDES,
    Candle,
    Orders,
    desk,
    live,
    near,
)
from stories.world import START, A, B, account, generic

import bt_margin as btm
from bt_margin.core.funding import FundingStamp
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.engine import bound
from bt_margin.engine.bound import Pending
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.errors import UnknownMode

CALM: Candle = (100.0, 101.0, 99.0, 100.5)


class Reading(Quote):
    """Counts how often its prices are read."""

    __slots__ = ("reads",)

    def __init__(self, position: Any, stamps: Any = ()) -> None:
        super().__init__(position, stamps)
        self.reads = 0

    def read(self) -> None:
        self.reads += 1


def test_an_unknown_policy_is_an_error_that_names_the_known_ones() -> None:
    worst: Any = "worst"
    with pytest.raises(UnknownMode, match="adverse, favourable, nearest"):
        Stepper(desk().account, worst)


# -- due at the open -------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [0, 1, HOUR])
def test_funding_due_at_the_open_is_on_the_old_mark_and_the_old_position(early: int) -> None:
    """Before the gap to 120 and before the market order: 10 at 100."""
    d = desk()
    d.fill(10)
    stamps = [FundingStamp(START - early, 0.01)]
    candle = (120.0, 121.0, 119.0, 120.0)
    live(d.account, {A: candle}, [Resting(1, A, 5, "market")], stamps={A: stamps})
    (event,) = d.kinds("funding")
    assert (event.size, event.mark, event.amount) == (10, 100, -10)
    assert (event.time, d.account.time) == (START - early, START)
    assert [e.kind for e in d.account.events][-2:] == ["funding", "fill"]


def test_a_stamp_that_brings_its_mark_is_charged_at_it() -> None:
    d = desk()
    d.fill(10)
    stamps = [FundingStamp(START, 0.01, 110.0), FundingStamp(START + HOUR // 2, 0.01, 90.0)]
    live(d.account, {A: CALM}, stamps={A: stamps})
    assert [e.mark for e in d.kinds("funding")] == [110, 90]


def test_a_stamp_inside_a_quiet_bar_is_charged_at_the_mark_on_its_way_to_the_close() -> None:
    d = desk()
    d.fill(10)
    stepper, _ = live(d.account, {A: CALM}, stamps={A: [FundingStamp(START + HOUR // 2, 0.01)]})
    assert stepper.walked == 0
    assert [e.mark for e in d.kinds("funding")] == [near(100.25)]


def test_a_stamp_at_the_end_of_a_bar_belongs_to_the_next() -> None:
    d = desk()
    d.fill(10)
    q = Quote(d.p, [FundingStamp(START + HOUR, 0.01)]).set(START, START + HOUR, CALM)
    stepper = Stepper(d.account)
    stepper.step(START, [q], NoOrders())
    assert not d.kinds("funding")
    q.set(START + HOUR, START + 2 * HOUR, CALM)
    stepper.step(START + HOUR, [q], NoOrders())
    stepper.step(START + HOUR, [q], NoOrders())
    assert len(d.kinds("funding")) == 1


def test_stamps_that_find_nobody_are_used_up() -> None:
    d = desk()
    stamps = [FundingStamp(START + i * HOUR // 2, 0.01) for i in range(4)]
    q = Quote(d.p, stamps).set(START, START + HOUR, CALM)
    Stepper(d.account).step(START, [q], NoOrders())
    assert q.next_stamp == START + HOUR
    assert not d.kinds("funding")


def test_stamps_of_a_flat_symbol_beside_an_open_one_are_used_up() -> None:
    """What is opened at the close does not pay for what came before."""
    a = account()
    quotes = []
    for s in (A, B):
        a.mark(s, 100)
        stamps = [FundingStamp(START + HOUR // 2, 0.01)] if s == B else []
        quotes.append(Quote(a.position(s), stamps).set(START, START + HOUR, CALM))
    a.fill(A, 1, 100)
    stepper = Stepper(a)
    stepper.step(START, quotes, NoOrders())
    a.fill(B, 1, 100)
    for q in quotes:
        q.set(START + HOUR, START + 2 * HOUR, CALM)
    stepper.step(START + HOUR, quotes, NoOrders())
    assert not [e for e in a.events if e.kind == "funding"]


def test_funding_at_the_open_may_liquidate_at_the_open() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    live(d.account, {A: CALM}, stamps={A: [FundingStamp(START, 0.096)]})
    (event,) = d.kinds("liquidation")
    assert event.price == 100
    assert d.kinds("breach")[0].cause == d.kinds("funding")[0].id


# -- the gap ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_gap_into_breach_is_liquidated_at_the_open_before_any_order(
    kind: str, mode: str, side: int
) -> None:
    """trap 55: no stop at a better price than the gap, and nothing booked at the old crossing."""
    d = desk(kind, mode)
    d.fill(80 * side)
    price = d.price * (0.85 if side > 0 else 1.2)
    orders = [
        Resting(1, d.symbol, -80 * side * d.unit, "market"),
        Resting(2, d.symbol, -80 * side * d.unit, "stop", d.price),
    ]
    _, book = live(d.account, {d.symbol: (price, price * 1.01, price * 0.99, price)}, orders)
    (event,) = d.kinds("liquidation")
    assert event.price == price
    assert book.log == []
    assert book.orders == []


# -- fast lane, walk, close ------------------------------------------------------------------------


def test_a_quiet_bar_is_matched_the_frameworks_way_and_not_walked() -> None:
    d = desk()
    d.fill(10)
    stepper, book = live(d.account, {A: CALM}, [Resting(1, A, 1, "limit", 99.5)])
    assert (stepper.walked, book.finished, book.log) == (0, 0, [(1, 99.5)])
    assert d.p.low == d.p.mark == d.p.high == 100.5


def test_a_dangerous_bar_is_walked_and_finished_once() -> None:
    d = desk()
    d.fill(90)
    stepper, book = live(d.account, {A: (100, 101, 90, 95)}, [Resting(1, A, -90, "stop", 97.0)])
    assert (stepper.walked, book.finished, book.log) == (1, 1, [(1, 97.0)])
    assert d.p.mark == 95


def test_an_order_that_could_ruin_the_pool_makes_the_bar_dangerous() -> None:
    d = desk()
    candle = (100.0, 101.0, 88.0, 90.0)
    assert live(d.account, {A: candle}, [Resting(1, A, 10, "limit", 99.0)])[0].walked == 0
    d = desk()
    stepper, _ = live(d.account, {A: candle}, [Resting(1, A, 95, "limit", 99.0)])
    assert stepper.walked == 1
    assert len(d.kinds("liquidation")) == 1


def test_a_stop_on_the_mark_and_a_stamp_beside_an_order_want_the_walk() -> None:
    cases: list[dict[str, Any]] = [
        {"orders": [Resting(1, A, 1, "stop", 100.9, on_mark=True)]},
        {
            "orders": [Resting(1, A, 1, "limit", 99.5)],
            "stamps": {A: [FundingStamp(START + 1, 0.0001)]},
        },
    ]
    for more in cases:
        d = desk()
        stepper, _ = live(d.account, {A: CALM}, **more)
        assert stepper.walked == 1
        assert d.p.size == 1


def test_a_flat_account_without_orders_reads_no_prices() -> None:
    a = account()
    quotes: list[Any] = [Reading(a.position(s)).set(START, START + HOUR, CALM) for s in (A, B)]
    stepper = Stepper(a)
    stepper.step(START, quotes, NoOrders())
    assert [q.reads for q in quotes] == [0, 0]
    assert a.position(A).mark == 0
    a.fill(A, 1, 100)
    stepper.step(START + HOUR, quotes, NoOrders())
    assert [q.reads for q in quotes] == [1, 0]
    book = Orders(a, quotes, [Resting(1, B, 1, "market")])
    stepper.step(START + 2 * HOUR, quotes, book)
    assert [q.reads for q in quotes] == [2, 1]
    assert a.positions[B].size == 1


def test_a_symbol_without_a_bar_keeps_its_mark_and_still_counts() -> None:
    """trap 23: B stands at its last mark of 95 while A falls."""
    a = account(leverage=20)
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 60, 100)
    a.mark(B, 95)
    live(a, {A: (100, 100, 85, 90)})
    (breach,) = [e for e in a.events if e.kind == "breach"]
    # 1,000 − 300 + 60·(p − 100) = 0.005·60·(p + 95)
    assert breach.info["marks"] == {A: near((5_300 + 28.5) / 59.7), B: 95}


def test_the_margin_call_is_made_at_the_close_and_not_at_the_low() -> None:
    d = desk(leverage=100, margin_calls=(0.5,))
    d.fill(90)
    live(d.account, {A: (100, 101, 89.5, 100)})
    assert not d.kinds("margin_call")
    live(d.account, {A: (100, 101, 89.5, 89.6)})
    assert len(d.kinds("margin_call")) == 1
    live(d.account, {A: (90, 101, 89.9, 100)})
    assert len(d.kinds("margin_call_cleared")) == 1


def test_a_call_after_a_quiet_bar_with_funding_or_a_fill_is_made_too() -> None:
    d = desk(leverage=100, margin_calls=(0.06,))
    d.fill(60)
    live(d.account, {A: (100.0,) * 4}, stamps={A: [FundingStamp(START + 1, 0.09)]})
    assert len(d.kinds("margin_call")) == 1
    d = desk(leverage=100, margin_calls=(0.06,))
    d.fill(100)
    stepper, _ = live(d.account, {A: (100.0,) * 4}, [Resting(1, A, 50, "market")])
    assert stepper.walked == 0
    assert len(d.kinds("margin_call")) == 1


def test_dated_tables_come_into_force_at_the_first_bar_of_their_time() -> None:
    import dataclasses

    tables = ((0, TierTable.flat(0.01)), (START + HOUR, TierTable.flat(0.2)))
    venue = dataclasses.replace(generic(), default_schedule=TierSchedule(tables))
    a = btm.Account(venue, 1_000, leverage=10, debug=True)
    a.mark(A, 100)
    a.fill(A, 60, 100)
    q = Quote(a.position(A)).set(START, START + HOUR, CALM)
    stepper = Stepper(a)
    stepper.step(START, [q], NoOrders())
    assert A in a.positions
    q.set(START + HOUR, START + 2 * HOUR, CALM)
    stepper.step(START + HOUR, [q], NoOrders())
    assert [e.kind for e in a.events][-3:] == ["rules", "breach", "liquidation"]
    assert a.events[-1].price == 100


def test_no_orders_never_do_anything() -> None:
    none = NoOrders()
    assert not none.waiting()
    assert (tuple(none.pending()), tuple(none.resting())) == ((), ())
    none.match(None)
    none.finish(())
    none.execute(Resting(1, A, 1, "market"), Leg(0, 1, 1, 1, 1, 1))


# -- what the bound must see -----------------------------------------------------------------------


def test_the_bound_sees_the_maintenance_of_what_orders_open() -> None:
    """95 bought at 100: at 89.9 equity is 40.5, which is above nothing and below 42.7."""
    d = desk()
    live(d.account, {A: (100, 100, 89.9, 95)}, [Resting(1, A, 95, "market")])
    assert len(d.kinds("liquidation")) == 1


def test_the_bound_of_an_order_in_cross_sees_isolated_positions_too() -> None:
    a = account(symbols={B: {"margin_mode": "isolated"}})
    for s in (A, B):
        a.mark(s, 100)
    a.fill(B, 10, 100)
    candles = {A: (100.0,) * 4, B: (100.0, 100.0, 80.0, 100.0)}
    live(a, candles, [Resting(1, A, 1, "market")])
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [B]


def test_the_bound_counts_nothing_left_as_a_breach() -> None:
    """20 bought at 100 and a low of 50 take exactly the 1,000 there are; nothing is asked."""
    d = desk(maintenance_rate=0.0)
    live(d.account, {A: (100, 100, 50, 95)}, [Resting(1, A, 20, "market")])
    assert len(d.kinds("liquidation")) == 1


def test_the_bound_sees_what_an_isolated_order_takes_from_the_cross_pool() -> None:
    """80 A at 90 leave 200; 180 of them go to B: 20 against 36."""
    a = account(symbols={B: {"margin_mode": "isolated"}})
    for s in (A, B):
        a.mark(s, 100)
    a.fill(A, 80, 100)
    candles = {A: (100.0, 100.0, 90.0, 95.0), B: (100.0,) * 4}
    live(a, candles, [Resting(1, B, 18, "market")])
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [A]


@pytest.mark.parametrize("side", SIDES)
def test_the_bound_sees_marks_that_leave_the_last_price_behind(side: int) -> None:
    """95 opened at 100, where the last price stays: the mark goes 12 % against them."""
    d = desk()
    far = 100 - 12 * side
    marks = {A: (100.0, max(100.0, far), min(100.0, far), 100.0)}
    live(d.account, {A: (100.0,) * 4}, [Resting(1, A, 95 * side, "market")], marks=marks)
    assert len(d.kinds("liquidation")) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("widest", ["order", "last", "mark"])
def test_the_bound_takes_the_widest_reach_of_order_last_and_mark(widest: str, kind: str) -> None:
    d = desk(kind, "isolated")
    low, high = d.price * 0.8, d.price * 1.2
    calm, wild = (d.price,) * 4, (d.price, high, low, d.price)
    quote = Quote(d.p).set(
        START, START + HOUR, wild if widest == "last" else calm, wild if widest == "mark" else calm
    )
    reach = (high, low) if widest == "order" else (d.price, d.price)
    entry = Pending(quote, 2 * d.unit, *reach, 0.0)
    contract = d.p.contract
    notionals = [contract.notional(2 * d.unit, x) for x in (low, high)]
    drift, need, posted = bound._reach(entry)
    assert drift == near(contract.pnl(2 * d.unit, low, high))
    assert (need, posted) == near((0.005 * max(notionals), max(notionals) / 10))
    assert bound.posted_least(entry) == near(min(notionals) / 10)


@pytest.mark.parametrize("held", [0.0, 0.3, -0.3])
def test_the_bound_covers_every_position_that_orders_can_make_under_any_rule(held: float) -> None:
    """Bybit asks for fees to close besides: neither margin grows in step with the notional."""
    a = btm.Account("bybit", cash=50_000, leverage=10)
    symbol = "BTC/USDT:USDT"
    a.mark(symbol, 50_000.0)
    if held:
        a.fill(symbol, held, 50_000.0)
    p, candle = a.position(symbol), (50_000.0, 55_000.0, 44_000.0, 50_000.0)
    quote = Quote(p).set(START, START + HOUR, candle)
    quote.read()
    _, need, posted = bound._reach(Pending(quote, 2.0, 52_000.0, 48_000.0, 0.0))
    for size in (held + step / 4 for step in range(-8, 9) if held + step / 4):
        for price in candle:
            notional = p.contract.notional(size, price)
            asked = p.rule.requirement(p.held(size, price)).maintenance(notional)
            assert asked <= need * (1 + 1e-12)
            assert p.initial_of(size, price, price) <= posted * (1 + 1e-12)


@pytest.mark.parametrize("side", SIDES)
def test_the_bound_knows_that_a_turned_position_lives_on_its_own_margin_where_much_is_asked(
    side: int,
) -> None:
    """dYdX asks 3 % of 5 % posted at 20x: 2.35 % against the new side are too much."""
    a = btm.Account("dydx_v4", 10_000, "isolated", 20, time=1_698_796_800_000, debug=True)
    symbol = "BTC/USDC:USDC"
    a.mark(symbol, 30_000.0)
    a.fill(symbol, -0.1 * side, 30_000.0)
    price = 30_000.0 - 10_000.0 * side
    a.mark(symbol, price)
    far = price * (1 - 0.0235 * side)
    candle = (price, max(price, far), min(price, far), price)
    live(a, {symbol: candle}, [Resting(1, symbol, 0.2 * side, "market")])
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [symbol]


@pytest.mark.parametrize("side", SIDES)
def test_the_bound_knows_that_a_turned_position_leaves_its_winnings_behind(side: int) -> None:
    """10 held on 100 and 400 ahead, turned: 10 the other way stand on a tenth of their notional."""
    d = desk(mode="isolated")
    d.fill(-10 * side)
    price = 100 - 40 * side
    d.account.mark(A, price)
    far = price * (1 - 0.12 * side)
    candle = (price, max(price, far), min(price, far), price)
    live(d.account, {A: candle}, [Resting(1, A, 20 * side, "market")])
    (event,) = d.kinds("liquidation")
    assert event.price == near(price * (1 - 0.1 * side) / (1 - 0.005 * side))
