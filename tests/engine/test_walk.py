"""The walk: on each leg everything happens when the price gets there, and in its order."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import HOUR, KINDS, MODES, SIDES, Desk, Orders, desk, live, near
from stories.world import START, A, B, account

from bt_margin.core.funding import FundingStamp
from bt_margin.engine.quote import Quote, legs_of
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.walk import Walk, road

#: isolated 10x long from 1: falls at 0.9 / 0.995, a short rises to 1.1 / 1.005
FALL, RISE = 0.9 / 0.995, 1.1 / 1.005


def turn(d: Desk, side: int, *prices: float) -> Any:
    """A candle from multiples of the first mark, mirrored for a short: open, best, worst, close."""
    o, best, worst, c = (d.price * (1 + side * (p - 1)) for p in prices)
    return (o, best, worst, c) if side > 0 else (o, worst, best, c)


def crossing(d: Desk, side: int) -> float:
    found = d.account.liquidation_price(d.symbol)
    assert found is not None
    return found


def at(d: Desk, side: int, multiple: float) -> float:
    return d.price * (1 + side * (multiple - 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_the_liquidation_is_at_the_crossing_and_not_at_the_low(
    kind: str, mode: str, side: int
) -> None:
    d = desk(kind, mode)
    d.fill(80 * side)
    price = crossing(d, side)
    stepper, _ = live(d.account, {d.symbol: turn(d, side, 1, 1, 0.7, 0.95)})
    (event,) = d.kinds("liquidation")
    assert event.price == near(price)
    assert event.mark == near(price)
    assert stepper.walked == 1
    assert d.p.mark == near(at(d, side, 0.95))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("order", ["stop", "limit"])
def test_a_stop_before_the_crossing_saves_the_position(kind: str, side: int, order: Any) -> None:
    """trap 21; and so does a limit order on the way to the other side first."""
    d = desk(kind, "isolated")
    d.fill(10 * side)
    price = at(d, side, 0.96 if order == "stop" else 1.04)
    exit_ = Resting(7, d.symbol, -10 * side * d.unit, order, price)
    intrabar = "adverse" if order == "stop" else "favourable"
    _, book = live(
        d.account, {d.symbol: turn(d, side, 1, 1.05, 0.7, 0.9)}, [exit_], intrabar=intrabar
    )
    assert not d.kinds("liquidation")
    (fill,) = d.kinds("fill")[1:]
    assert fill.price == price
    assert book.log == [(7, price)]
    assert d.p.size == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_stop_behind_the_crossing_does_not(kind: str, side: int) -> None:
    d = desk(kind, "isolated")
    d.fill(10 * side)
    price = crossing(d, side)
    stop = Resting(7, d.symbol, -10 * side * d.unit, "stop", price * (1 - 1e-6 * side))
    _, book = live(d.account, {d.symbol: turn(d, side, 1, 1, 0.7, 0.9)}, [stop])
    (event,) = d.kinds("liquidation")
    assert event.price == near(price)
    assert book.log == []
    assert book.orders == []
    assert book.told == [event]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("low", [80.0, 90.0])
def test_a_stop_exactly_at_the_crossing_does_not_save(mode: str, low: float) -> None:
    """Without maintenance 100 posted on 10 long fall at 90: the stop is there at the same moment."""
    d = desk(mode=mode, cash=0.1, maintenance_rate=0.0)
    d.fill(10)
    stop = Resting(7, A, -10, "stop", 90.0)
    _, book = live(d.account, {A: (100, 100, low, 95)}, [stop])
    assert len(d.kinds("liquidation")) == 1
    assert book.log == []


@pytest.mark.parametrize("low", [80.0, 90.0])
def test_a_limit_buy_exactly_at_the_crossing_does_not_save_either(low: float) -> None:
    d = desk(cash=0.1, maintenance_rate=0.0)
    d.fill(10)
    _, book = live(d.account, {A: (100, 100, low, 95)}, [Resting(7, A, -5, "stop", 90.0)])
    assert len(d.kinds("liquidation")) == 1
    assert book.log == []


def test_funding_and_a_fill_at_one_moment_the_funding_is_first() -> None:
    """Three hours, the low and the stamp at the end of the first: the bid at the low is not charged."""
    d = desk()
    d.fill(10)
    bid = Resting(7, A, 5, "limit", 90.0)
    stamps = [FundingStamp(START + HOUR, 0.01)]
    live(d.account, {A: (100, 100, 90, 100)}, [bid], stamps={A: stamps}, hours=3)
    (event,) = d.kinds("funding")
    assert (event.size, event.amount) == (10, near(-10))
    assert d.p.size == 15


def test_funding_and_the_crossing_at_one_moment_the_funding_is_first() -> None:
    d = desk(mode="isolated", maintenance_rate=0.0)
    d.fill(10)
    stamps = [FundingStamp(START + HOUR, -0.01)]
    live(d.account, {A: (100, 100, 90, 100)}, stamps={A: stamps}, hours=3)
    assert len(d.kinds("funding")) == 1
    assert not d.kinds("liquidation")


@pytest.mark.parametrize("names", [(A, B), (B, A)])
def test_settlements_of_one_moment_come_in_the_order_of_the_symbols(names: tuple[str, str]) -> None:
    """In a walked bar as in a quiet one."""
    for low in (99.0, 88.0):
        a = account()
        for s in names:
            a.mark(s, 100)
            a.fill(s, 40, 100)
        stamps = [FundingStamp(START + HOUR // 2, 0.001)]
        candles = dict.fromkeys(names, (100.0, 100.0, low, 100.0))
        stepper, _ = live(a, candles, stamps=dict.fromkeys(names, stamps))
        assert stepper.walked == (low == 88)
        assert [e.symbol for e in a.events if e.kind == "funding"] == list(names)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_funding_alone_liquidates_inside_the_bar(kind: str, side: int) -> None:
    """trap 51: at a flat price 0.096 of the notional leaves 0.004 of it, and 0.005 is needed."""
    d = desk(kind, "isolated")
    d.fill(10 * side)
    stamps = [FundingStamp(START + HOUR // 2, 0.096 * side)]
    live(d.account, {d.symbol: (d.price,) * 4}, stamps={d.symbol: stamps})
    kinds = [e.kind for e in d.account.events if e.kind in ("funding", "breach", "liquidation")]
    assert kinds == ["funding", "breach", "liquidation"]
    assert d.kinds("liquidation")[0].price == near(d.price)


@pytest.mark.parametrize(("later", "paid"), [(-1, 0), (0, 0), (1, 1)])
def test_a_position_opened_on_the_way_pays_only_the_stamps_that_come_after(
    later: int, paid: int
) -> None:
    """trap 46: 100 stands for a third, the bid at 95 is met at half the bar, 90 at two thirds."""
    d = desk()
    bid = Resting(7, A, 5, "limit", 95.0)
    stamps = [FundingStamp(START + HOUR // 2 + later, 0.01)]
    candle = (100.0, 100.0, 90.0, 100.0)
    live(d.account, {A: candle}, [bid], stamps={A: stamps}, intrabar="nearest")
    assert d.p.size == 5
    assert len(d.kinds("funding")) == paid


def test_a_stamp_before_the_fill_is_not_paid() -> None:
    """Highs first: the low is at two thirds; a stamp at a half finds nobody."""
    d = desk()
    bid = Resting(7, A, 5, "limit", 90.0)
    stamps = [FundingStamp(START + HOUR // 2, 0.01), FundingStamp(START + HOUR * 3 // 4, 0.01)]
    live(
        d.account,
        {A: (100.0, 101.0, 90.0, 100.0)},
        [bid],
        stamps={A: stamps},
        intrabar="nearest",
    )
    (event,) = d.kinds("funding")
    assert event.time == START + HOUR * 3 // 4


@pytest.mark.parametrize("side", SIDES)
def test_a_position_opened_on_the_way_is_not_judged_by_the_price_before_it(side: int) -> None:
    """trap 19: the bad extreme first, then the stop at the other side opens."""
    d = desk(mode="isolated")
    entry = Resting(7, A, 5.0 * side, "stop", at(d, side, 1.009))
    candle = turn(d, side, 1, 1.01, 0.85, 1.01)
    live(d.account, {A: candle}, [entry], intrabar="favourable")
    assert d.p.size == 5 * side
    assert not d.kinds("liquidation")


@pytest.mark.parametrize("side", SIDES)
def test_a_position_opened_on_the_way_lives_the_rest_of_it(side: int) -> None:
    d = desk(mode="isolated")
    entry = Resting(7, A, 5.0 * side, "stop", at(d, side, 1.009))
    live(d.account, {A: turn(d, side, 1, 1.01, 0.85, 1.0)}, [entry])
    (event,) = d.kinds("liquidation")
    assert event.price == near(at(d, side, 1.009) * (FALL if side > 0 else RISE))


def test_two_pools_fall_each_at_its_own_moment() -> None:
    """B has half the way to go: it falls first, A after it; both within the first leg."""
    a = account("isolated", symbols={B: {"leverage": 20}})
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 10, 100)
    live(a, {A: (100, 100, 80, 90), B: (100, 100, 80, 90)})
    died = [(e.symbol, e.price) for e in a.events if e.kind == "liquidation"]
    assert died == [(B, near(95 / 0.995)), (A, near(FALL * 100))]
    marks = [e.info["marks"] for e in a.events if e.kind == "breach"]
    assert marks == [{B: near(95 / 0.995)}, {A: near(FALL * 100)}]


def test_one_pool_falls_and_the_other_lives() -> None:
    a = account(symbols={B: {"margin_mode": "isolated"}})
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 10, 100)
    live(a, {A: (100, 100, 80, 90), B: (100, 100, 80, 90)})
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [B]
    assert a.positions[A].mark == 90


def test_the_orders_of_a_pool_go_with_it_and_those_of_others_stay() -> None:
    a = account("isolated")
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 10, 100)
    orders = [Resting(1, A, -10, "stop", 85.0), Resting(2, B, -10, "stop", 99.0)]
    _, book = live(a, {A: (100, 100, 80, 90), B: (100, 100, 98, 100)}, orders)
    assert book.log == [(2, 99.0)]
    assert book.orders == []


def test_a_profit_elsewhere_reached_in_time_carries_a_cross_pool() -> None:
    """All walk together: A falls 20, B short wins the same; the pool never sees one without the other."""
    a = account(leverage=20)
    for s, size in ((A, 60), (B, -60)):
        a.mark(s, 100)
        a.fill(s, size, 100)
    stepper, _ = live(a, {A: (100, 101, 80, 90), B: (100, 101, 80, 90)})
    assert stepper.walked == 1
    assert not [e for e in a.events if e.kind == "liquidation"]


@pytest.mark.parametrize("side", SIDES)
def test_close_orders_fill_at_the_close_after_everything_else(side: int) -> None:
    d = desk(mode="isolated")
    d.fill(10 * side)
    orders = [Resting(7, A, -10 * side, "close"), Resting(8, A, 1.0 * side, "limit", d.price)]
    candle = turn(d, side, 1, 1.2, 0.91, 1.1)
    _, book = live(d.account, {A: candle}, orders)
    assert book.log == [(8, d.price), (7, near(at(d, side, 1.1)))]
    assert d.kinds("fill")[-1].mark == near(at(d, side, 1.1))
    assert d.p.size == side


def test_a_close_order_of_a_liquidated_pool_is_gone() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    _, book = live(d.account, {A: (100, 100, 80, 90)}, [Resting(7, A, -10, "close")])
    assert book.log == []
    assert len(d.kinds("liquidation")) == 1


def test_a_stop_limit_waits_for_its_limit_after_its_stop() -> None:
    """Sell 10: stop 96, limit 97; on the way down past 96 it rests, on the way up at 97 it fills."""
    d = desk(mode="isolated")
    d.fill(10)
    order = Resting(7, A, -10, "stop_limit", 96.0, 97.0)
    _, book = live(d.account, {A: (100, 100, 91, 99)}, [order])
    assert book.log == [(7, 97.0)]
    d = desk(mode="isolated")
    d.fill(10)
    _, book = live(d.account, {A: (100, 100, 80, 99)}, [order])
    assert book.log == []
    assert len(d.kinds("liquidation")) == 1


def test_a_stop_on_the_mark_fills_at_the_last_price_of_that_moment() -> None:
    """Mark 100 → 92 and last 100 → 84 on the same leg: the mark is at 96 when the last is at 92."""
    d = desk(mode="isolated")
    d.fill(10)
    order = Resting(7, A, -10, "stop", 96.0, on_mark=True)
    candles: Any = {A: (100, 100, 84, 95)}
    _, book = live(d.account, candles, [order], marks={A: (100, 100, 92, 98)})
    assert book.log == [(7, near(92))]
    assert not d.kinds("liquidation")


def test_an_order_that_did_not_fill_is_not_tried_again_in_the_bar() -> None:
    """100 more cannot be carried: refused once on the way down and not again at each leg."""
    d = desk(mode="isolated")
    d.fill(10)
    live(d.account, {A: (100, 101, 91, 99)}, [Resting(7, A, 1_000, "limit", 99.5)])
    assert len(d.kinds("rejected")) == 1


def test_an_order_that_stays_open_is_tried_once_in_the_bar() -> None:
    """Such as one that was filled in part: its rest waits for the next bar."""

    class Keeping(Orders):
        def execute(self, order: Resting, leg: Leg) -> None:
            self.log.append((order.ref, leg.last_start))

    d = desk(mode="isolated")
    d.fill(10)
    q = Quote(d.p).set(START, START + HOUR, (100, 101, 85, 99))
    q.read()
    book = Keeping(d.account, [q], [Resting(7, A, 1, "limit", 95.0)])
    Walk(d.account, [road(q, legs_of(q, True, None))], book).run()
    assert book.log == [(7, 95.0)]


def test_each_order_of_a_group_cancels_the_other() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    orders = [
        Resting(1, A, -10, "limit", 104.0, group=3),
        Resting(2, A, -10, "stop", 95.0, group=3),
    ]
    _, book = live(d.account, {A: (100, 105, 80, 95)}, orders, intrabar="adverse")
    assert book.log == [(2, 95.0)]
    assert d.p.size == 0
    assert book.orders == []


def test_a_wick_of_the_last_price_liquidates_nobody_when_the_mark_stays() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    stepper, _ = live(d.account, {A: (100, 100, 50, 99)}, marks={A: (100, 100, 97, 99)})
    assert stepper.walked == 0
    assert d.p.size == 10


def test_in_a_hole_of_the_finer_bars_the_jump_is_a_gap() -> None:
    """The second finer bar opens at 85: beyond the crossing, closed there and not at 90.45."""
    from bt_margin.engine.quote import Detail, SubBar

    d = desk(mode="isolated")
    d.fill(10)
    bars = [
        SubBar(START, (100, 100, 99, 99), None),
        SubBar(START + HOUR // 2, (85, 95, 80, 90), None),
    ]
    live(d.account, {A: (100, 100, 80, 90)}, detail={A: Detail(bars, HOUR // 2)})
    (event,) = d.kinds("liquidation")
    assert event.price == near(85)


def test_finer_bars_replace_the_guess_of_which_extreme_came_first() -> None:
    """High first by the finer bars: the take-profit is met before the fall, whatever the policy."""
    from bt_margin.engine.quote import Detail, SubBar

    d = desk(mode="isolated")
    d.fill(10)
    bars = [
        SubBar(START, (100, 106, 100, 106), None),
        SubBar(START + HOUR // 2, (106, 106, 80, 90), None),
    ]
    order = Resting(7, A, -10, "limit", 105.0)
    detail = {A: Detail(bars, HOUR // 2)}
    _, book = live(d.account, {A: (100, 106, 80, 90)}, [order], detail=detail)
    assert book.log == [(7, 105.0)]
    assert not d.kinds("liquidation")


def test_a_bar_without_finer_bars_of_its_own_is_a_guess() -> None:
    """Finer bars of another hour say nothing about this one."""
    from bt_margin.engine.quote import Detail, SubBar

    for first, guessed in ((START, []), (START + HOUR, [(A, START, START + HOUR)])):
        d = desk(mode="isolated")
        d.fill(10)
        finer = Detail([SubBar(first, (100, 100, 80, 90), None)], HOUR)
        stepper, _ = live(d.account, {A: (100, 100, 80, 90)}, detail={A: finer})
        assert stepper.guessed == guessed
        assert len(d.kinds("liquidation")) == 1


@pytest.mark.parametrize("mode", MODES)
def test_just_enough_may_be_taken_several_times_on_the_way_down(mode: str) -> None:
    """The pool is cut to its target at each crossing and is never in breach afterwards."""
    from bt_margin.venues.policies import JustEnough

    d = desk(mode=mode, cash=10, tiers=[(1_000, 0.02, 0), (None, 0.05, 30)], policy=JustEnough(0.8))
    d.fill(900)
    if mode == "isolated":
        d.account.add_margin(A, d.account.available())
    live(d.account, {A: (100, 100, 91, 92)})
    prices = [e.price for e in d.kinds("liquidation")]
    assert len(prices) > 2
    assert prices == sorted(prices, reverse=True)
    assert not any(p.breached() for p in d.account.pools.values())


def test_a_limit_reached_only_at_the_very_close_is_filled() -> None:
    """Highs first: the stop at 91 on the way down to 91, then up to the close of 95, the limit."""
    d = desk(mode="isolated")
    d.fill(10)
    order = Resting(7, A, -10, "stop_limit", 91.5, 95.0, on_mark=True)
    _, book = live(d.account, {A: (100, 101, 91, 95)}, [order], intrabar="nearest")
    assert book.log == [(7, 95.0)]
