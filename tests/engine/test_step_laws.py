"""Laws of the bar: the bound of the fast lane is never wrong, and the lanes agree on money."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from engine.bench import (
    COIN,
    HOUR,
    KINDS,
    MODES,
    OTHER_COIN,
    Orders,
    desk,
    near,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from stories.world import START, A, B, generic

import bt_margin as btm
from bt_margin.core.funding import FundingStamp
from bt_margin.engine import bound
from bt_margin.engine.account import Account
from bt_margin.engine.bound import Pending
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Resting
from bt_margin.engine.step import Stepper

# -- laws ------------------------------------------------------------------------------------------

ratios = st.floats(0.0, 0.08)
#: mode, leverage, units held, margin added, bar down, bar up, mark's share of the bar, order units
one_symbol = st.tuples(
    st.sampled_from(MODES),
    st.sampled_from([2, 10, 40]),
    st.floats(-8, 8).map(lambda x: round(x, 2)),
    st.floats(0, 3),
    ratios,
    ratios,
    st.floats(0, 1),
    st.lists(st.floats(-8, 8).filter(lambda x: abs(x) > 0.05), max_size=3),
)
#: events of a random path: symbol, what, where in the bar
happenings = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("mmmfff$"), st.floats(0, 1)), max_size=14
)


def world(kind: str, two: Any) -> tuple[Account, list[Quote], list[Pending], list[list[float]]]:
    """An account with two symbols at the open of a bar, and what its orders could do."""
    coin = kind == "inverse"
    names, price, unit, k = (
        ((COIN, OTHER_COIN), 50_000.0, 50.0, 0.001) if coin else ((A, B), 100.0, 1.0, 1.0)
    )
    tiers = [(300 * k, 0.01, 0), (600 * k, 0.03, None), (None, 0.06, None)]
    more = {"currency": "BTC"} if coin else {}
    a = btm.Account(
        generic(tiers=tiers, taker_fee=0.001, liquidation_fee=0.002, **more),
        1_000.0 * k,
        symbols={
            s: {"margin_mode": one[0], "leverage": one[1]} | ({"multiplier": 100.0} if coin else {})
            for s, one in zip(names, two, strict=True)
        },
    )
    quotes, pending, sizes = [], [], []
    for s, (_, _, held, added, down, up, share, orders) in zip(names, two, strict=True):
        a.mark(s, price)
        if held:
            a.fill(s, held * unit, price)
        p = a.position(s)
        if (
            p.pool is not None
            and p.margin_mode == "isolated"
            and 0 < added * 100 * k < a.available()
        ):
            a.add_margin(s, added * 100 * k)
        low, high = price * (1 - down), price * (1 + up)
        marks = (price, price + (high - price) * share, price - (price - low) * share, price)
        q = Quote(p).set(START, START + HOUR, (price, high, low, price), marks)
        quotes.append(q)
        sizes.append([x * unit for x in orders])
        if orders:
            size = sum(abs(x) for x in sizes[-1])
            fee = max(p.contract.notional(size, x) for x in (low, high)) * 0.001
            pending.append(Pending(q, size, high, low, fee))
    return a, quotes, pending, sizes


def opened(a: Account, quotes: list[Quote]) -> None:
    """As the stepper does before it asks: marks at the open, the range of the bar around them."""
    for q in quotes:
        q.position.mark, q.position.low, q.position.high = q.mark_open, q.mark_low, q.mark_high


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(two=st.tuples(one_symbol, one_symbol), story=happenings, rate=st.floats(-0.03, 0.03))
def test_when_the_bound_says_safe_no_path_and_no_order_of_fills_breaches(
    kind: str, two: Any, story: Any, rate: float
) -> None:
    """The bound is true for any marks and fill prices of the bar, in any order, symbols apart."""
    a, quotes, pending, sizes = world(kind, two)
    if any(pool.breached() for pool in a.pools.values()):
        return
    for q, orders in zip(quotes, sizes, strict=True):
        if not orders:
            q.stamps, q.cursor, q.next_stamp = [FundingStamp(START + 1, rate)], 0, START + 1
    opened(a, quotes)
    if Stepper(a)._risky(pending, quotes):
        return
    for q in quotes:
        q.position.move(q.mark_open)
    for number, what, s in story:
        q = quotes[number]
        name = q.position.symbol
        if what == "m":
            q.position.move(q.mark_low + (q.mark_high - q.mark_low) * s)
        elif what == "f" and sizes[number]:
            a.fill(name, sizes[number].pop(), q.low + (q.high - q.low) * s)
        elif what == "$" and q.cursor < len(q.stamps):
            a.fund(name, q.take_stamp().rate, q.mark_at(s))
        for pool in a.pools.values():
            assert not pool.breached(), (pool, what, s)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(two=st.tuples(one_symbol, one_symbol), size=st.floats(0.1, 9.0))
def test_the_figures_of_a_bar_are_equity_and_available_to_the_last_bit(
    kind: str, two: Any, size: float
) -> None:
    a, quotes, *_ = world(kind, two)
    for q in quotes:
        q.position.move(q.mark_low)
    assert a.figures() == (a.equity(), a.available())
    a.check_order(1, quotes[0].position.symbol, size, quotes[0].low)
    assert a.figures() == (a.equity(), a.available())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200)
@given(two=st.tuples(one_symbol, one_symbol), inside=st.booleans())
def test_the_short_way_for_one_order_says_what_the_definition_says(
    kind: str, two: Any, inside: bool
) -> None:
    """At fees that leave more than is required, just as much, and less."""
    a, quotes, pending, _ = world(kind, two)
    opened(a, quotes)
    for entry in pending:
        equity, need = a.cross.worst()
        drift, more, _ = bound._reach(entry)
        for share in (0.0, 0.5, 0.999, 1.0, 1.001, 2.0):
            fee = max(0.0, equity - need - more - drift) * share
            alone = [entry._replace(inside=inside, fee=fee)]
            assert bound.risky_pools(a, alone, quotes) == bound._risky(a, alone, quotes)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(two=st.tuples(one_symbol, one_symbol), prices=st.lists(st.floats(0, 1), min_size=6))
def test_when_the_bound_says_safe_the_walk_liquidates_nobody_on_either_path(
    kind: str, two: Any, prices: list[float]
) -> None:
    a, quotes, pending, sizes = world(kind, two)
    if any(pool.breached() for pool in a.pools.values()):
        return
    opened(a, quotes)
    if Stepper(a)._risky(pending, quotes):
        return
    for q in quotes:
        q.position.move(q.mark_open)
    at = itertools.cycle(prices)
    kinds: Any = ["limit", "stop"]
    resting = [
        Resting(i, q.position.symbol, size, kind_, q.low + (q.high - q.low) * next(at))
        for q, orders in zip(quotes, sizes, strict=True)
        for i, (size, kind_) in enumerate(zip(orders, itertools.cycle(kinds), strict=False))
    ]
    policies: list[Any] = ["adverse", "favourable"]
    for intrabar in policies:
        twin = a.fork()
        mine = [copied(twin, q) for q in quotes]
        book = Orders(twin, mine, resting)
        Stepper(twin, intrabar)._walk(mine, book)
        assert not [e for e in twin.events if e.kind in ("breach", "liquidation")]


def copied(a: Account, q: Quote) -> Quote:
    last, mark = (
        (q.open, q.high, q.low, q.close),
        (q.mark_open, q.mark_high, q.mark_low, q.mark_close),
    )
    return Quote(a.position(q.position.symbol), q.stamps).set(q.start, q.end, last, mark)


@pytest.mark.parametrize("kind", KINDS)
@given(
    mode=st.sampled_from(MODES),
    held=st.floats(-6, 6).map(lambda x: round(x, 2)),
    orders=st.lists(
        st.tuples(
            st.floats(-4, 4).filter(lambda x: abs(x) > 0.05),
            st.sampled_from(["market", "limit", "stop", "close"]),
            st.floats(0.97, 1.03),
        ),
        max_size=3,
    ),
    candle=st.tuples(st.floats(0.98, 1.02), ratios, ratios, st.floats(0, 1)),
    low_first=st.booleans(),
)
def test_fast_lane_and_walk_agree_on_money_when_both_are_possible(
    kind: str, mode: str, held: float, orders: Any, candle: Any, low_first: bool
) -> None:
    """A well-funded account: the same fills, position, fees, result and equity either way."""
    start, down, up, end = candle
    ends = []
    for walked in (False, True):
        d = desk(kind, mode, leverage=5, cash=10, taker_fee=0.001)
        if held:
            d.fill(held)
        o, h, lo = d.price * start, d.price * (start + up), d.price * (start - down)
        q = Quote(d.p).set(START, START + HOUR, (o, h, lo, lo + (h - lo) * end))
        book = Orders(
            d.account,
            [q],
            [
                Resting(i, d.symbol, s * d.unit, k, d.price * x)
                for i, (s, k, x) in enumerate(orders)
            ],
        )
        stepper = Stepper(d.account, "adverse" if low_first else "favourable")
        if walked:
            stepper._walk([q], book)
            d.p.move(q.mark_close)
        else:
            stepper.step(START, [q], book)
            if stepper.walked:
                return
        a = d.account
        ends.append((d.p.size, a.equity(), a.ledger.totals["fee"], sorted(book.log)))
        a.audit()
    (fast, slow), scale = ends, 1e-9 * d.account.equity()
    assert fast[0] == near(slow[0])
    assert fast[1:3] == near(slow[1:3], abs=scale)
    assert [r for r, _ in fast[3]] == [r for r, _ in slow[3]]
    assert [x for _, x in fast[3]] == near([x for _, x in slow[3]])
