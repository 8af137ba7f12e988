"""Laws of the account: true after every event of any life an account may have."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stories.world import LADDER, A, B, account, kinds, near

from bt_margin.errors import BtMarginError, CashError, InvariantError
from bt_margin.venues.policies import (
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
)

MODES = ["cross", "isolated"]
POLICIES = [
    FullClose("sale", "trader"),
    FullClose("sale", "fund"),
    FullClose("takeover", "fund"),
    LargestLossFirst("sale", "trader"),
    LargestLossFirst("takeover", "fund"),
    TierStepDown("sale", "trader"),
    Fraction(0.25, "sale", "trader"),
    JustEnough(0.8, "takeover", "fund"),
]

symbols = st.sampled_from([A, B])
#: one step of a life: what is done, to which symbol, how much of what is possible (−1 to 1)
steps = st.tuples(
    st.sampled_from(
        ["mark"] * 5
        + ["fill"] * 4
        + ["close", "fund", "fund", "add", "reduce", "deposit", "withdraw", "leverage", "mode"]
    ),
    symbols,
    st.floats(-1, 1).map(lambda x: round(x, 4)).filter(bool),
)
lives = st.lists(steps, min_size=1, max_size=25)


def new(mode: str, policy: Any, cash: float = 1_000) -> Any:
    one = account(
        mode,
        10,
        cash,
        tiers=LADDER,
        taker_fee=0.0005,
        liquidation_fee=0.003,
        liquidation_slippage=0.001,
        policy=policy,
    )
    for symbol in (A, B):
        one.mark(symbol, 100.0)
    return one


def do(one: Any, what: str, symbol: str, share: float) -> None:
    """One step; what the venue or the account refuses is no step."""
    mark = one.position(symbol).mark
    held = one.positions[symbol].size if symbol in one.positions else 0.0
    try:
        if what == "mark":
            one.mark(symbol, mark * (1 + share**3 * 0.6))
        elif what == "fill":
            one.fill(symbol, share * 1.2 * max(one.available(), 100) * 10 / mark, mark)
        elif what == "close" and held:
            one.fill(symbol, -held * min(1.0, abs(share) + 0.2), mark)
        elif what == "fund":
            one.fund(symbol, share * 0.01)
        elif what == "add":
            one.add_margin(symbol, abs(share) * one.available())
        elif what == "reduce":
            one.reduce_margin(symbol, abs(share) * 50)
        elif what == "deposit":
            one.deposit(100 * abs(share))
        elif what == "withdraw":
            one.withdraw(abs(share) * one.available())
        elif what == "leverage":
            one.set_leverage(symbol, 1 + round(abs(share) * 40))
        elif what == "mode":
            one.set_margin_mode(symbol, MODES[share > 0])
    except InvariantError:
        raise
    except (BtMarginError, CashError):
        pass


@given(life=lives, mode=st.sampled_from(MODES), policy=st.sampled_from(POLICIES))
def test_money_is_never_made_or_lost(life: list[Any], mode: str, policy: Any) -> None:
    """deposits + realised + funding − fees + insurance = balances; the ledger re-summed is the wallet."""
    one = new(mode, policy)
    for step in life:
        do(one, *step)
        entries = list(one.ledger)
        by_pool: dict[str, float] = defaultdict(float)
        for entry in entries:
            by_pool[entry.pool] += entry.amount
        assert sum(e.amount for e in entries if e.kind == "transfer") == near(0, abs=1e-9)
        assert math.fsum(by_pool.values()) == near(one.wallet(), abs=1e-7)
        for key, pool in one.pools.items():
            assert by_pool[key] == near(pool.balance, abs=1e-7)
        unrealised = sum(
            p.size * (p.mark - p.entry) * p.contract.multiplier for p in one.positions.values()
        )
        assert one.equity() == near(one.wallet() + unrealised, abs=1e-7)


@given(life=lives, mode=st.sampled_from(MODES), policy=st.sampled_from(POLICIES))
def test_nothing_goes_below_zero(life: list[Any], mode: str, policy: Any) -> None:
    """No pool has a negative equity or, without positions, a negative balance; none stands in breach."""
    one = new(mode, policy)
    for step in life:
        do(one, *step)
        assert one.equity() >= -1e-9
        for key, pool in one.pools.items():
            assert pool.equity() >= -1e-9, key
            if pool.positions:
                assert pool.equity() > pool.maintenance() - 1e-9, key
            else:
                assert pool.balance >= -1e-9, key


@given(life=lives, policy=st.sampled_from(POLICIES))
def test_an_isolated_pool_never_loses_more_than_was_posted(life: list[Any], policy: Any) -> None:
    """From one liquidation to the next, what leaves a pool is never more than what was put in."""
    one = new("isolated", policy)
    for step in life:
        if step[0] == "mode":
            continue  # a cross position is another story
        free_before = one.pools["cross:USDT"].balance
        count = len(one.events)
        do(one, *step)
        if kinds(one.events[count:], "liquidation"):
            assert one.pools["cross:USDT"].balance >= free_before - 1e-9
    for key in one.pools:
        if key.startswith("isolated"):
            assert sum(e.amount for e in one.ledger if e.pool == key) >= -1e-9


@given(
    mode=st.sampled_from(MODES), side=st.sampled_from([1, -1]), gap=st.floats(0.5, 0.9), life=lives
)
def test_dead_stays_dead_until_cash_is_added(
    mode: str, side: int, gap: float, life: list[Any]
) -> None:
    """Ruined by a gap, an account fills nothing at any price until somebody pays in."""
    one = new(mode, FullClose("takeover", "fund"), cash=100)
    one.fill(A, side * 9.9, 100)
    assume(A in one.positions)
    if mode == "isolated":
        one.withdraw(one.available())
    one.mark(A, 100 * (1 - side * gap))
    assert one.dead
    assert one.equity() == near(0)
    fills = len(kinds(one.events, "fill"))
    for what, symbol, share in life:
        if what != "deposit":
            do(one, what, symbol, share)
            assert one.dead
            assert one.fill(symbol, 0.01, one.position(symbol).mark).refusal is not None
    assert len(kinds(one.events, "fill")) == fills
    one.deposit(500)
    assert not one.dead
    assert kinds(one.events, "revived")
    assert one.fill(B, 0.5, one.position(B).mark).refusal is None


@given(
    marks=st.lists(st.floats(80, 125), min_size=1, max_size=8),
    size=st.floats(-10, 10).filter(lambda s: abs(s) > 0.01),
    rate=st.floats(-0.01, 0.01),
    policy=st.sampled_from(POLICIES),
)
def test_a_cross_pool_with_only_its_margin_behaves_as_isolated(
    marks: list[float], size: float, rate: float, policy: Any
) -> None:
    """One position, the same collateral: same prices, same liquidations, same money at the end."""
    posted = abs(size) * 100 / 10
    fee = abs(size) * 100 * 0.0005
    lives = []
    for mode in MODES:
        one = new(mode, policy, cash=posted + fee + 1e-9)
        assert one.fill(A, size, 100).refusal is None
        prices = [(one.liquidation_price(A), one.bankruptcy_price(A))]
        for mark in marks:
            one.mark(A, mark)
            one.fund(A, rate)
            prices.append((one.liquidation_price(A), one.bankruptcy_price(A)))
        dead = [(e.symbol, e.size, e.price) for e in kinds(one.events, "liquidation")]
        lives.append((prices, dead, one.equity()))
    for cross, isolated in zip(lives[0][0], lives[1][0], strict=True):
        for a, b in zip(cross, isolated, strict=True):
            assert (a is None) == (b is None)
            assert a is None or a == near(b, rel=1e-6)
    assert [d[0] for d in lives[0][1]] == [d[0] for d in lives[1][1]]
    assert [x for d in lives[0][1] for x in d[1:]] == near(
        [x for d in lives[1][1] for x in d[1:]], rel=1e-6
    )
    assert lives[0][2] == near(lives[1][2], rel=1e-6, abs=1e-6)


@given(
    moves=st.lists(st.floats(-12, 12), min_size=1, max_size=8),
    size=st.floats(0.1, 90),
    mode=st.sampled_from(MODES),
    side=st.sampled_from([1, -1]),
)
def test_long_and_short_mirror(moves: list[float], size: float, mode: str, side: int) -> None:
    """Without maintenance a long on a path and a short on the mirrored path have one equity."""
    equities = []
    for sign in (1, -1):
        one = account(mode, 10, 1_000, maintenance_rate=0.0)
        one.mark(A, 100)
        one.fill(A, side * sign * size, 100)
        path = []
        for move in moves:
            one.mark(A, 100 + sign * move)
            path.append((one.equity(), one.wallet(), A in one.positions))
        equities.append(path)
    for a, b in zip(*equities, strict=True):
        assert a[:2] == near(b[:2], abs=1e-7)
        assert a[2] == b[2]


@given(
    held=st.floats(-40, 40),
    size=st.floats(-60, 60).filter(lambda s: abs(s) > 0.01),
    parts=st.lists(st.floats(0.05, 1), min_size=2, max_size=6),
    mark=st.floats(95, 105),
    mode=st.sampled_from(MODES),
)
def test_splitting_a_fill_at_one_price_changes_nothing(
    held: float, size: float, parts: list[float], mark: float, mode: str
) -> None:
    """However a fill is cut, position, entry, margin, wallet and liquidation price are the same."""
    total = sum(parts)
    ends = []
    for cuts in ([size], [size * part / total for part in parts]):
        one = new(mode, POLICIES[0])
        if abs(held) > 0.01:
            one.fill(A, held, 100)
        one.mark(A, mark)
        refused = [cut for cut in cuts if one.fill(A, cut, mark).refusal is not None]
        assume(not refused)
        p = one.positions.get(A)
        assume(p is None or abs(p.size) > 1e-6)
        ends.append(
            (
                [p.size, p.entry, p.initial()] if p else [],
                [one.wallet(), one.equity(), one.available(), one.maintenance()],
                one.liquidation_price(A),
            )
        )
    assert ends[0][0] == near(ends[1][0], rel=1e-7)
    assert ends[0][1] == near(ends[1][1], rel=1e-7, abs=1e-7)
    assert ends[0][2] == (None if ends[1][2] is None else near(ends[1][2], rel=1e-6))


@given(
    held=st.floats(-60, 60),
    size=st.floats(-150, 150).filter(lambda s: abs(s) > 0.01),
    mark=st.floats(96, 104),
    price=st.floats(0.999, 1.001),
    mode=st.sampled_from(MODES),
)
def test_the_preview_is_the_commit(
    held: float, size: float, mark: float, price: float, mode: str
) -> None:
    """What preview says of an order is what check and fill do, number by number; it writes nothing.

    The check gives no credit for a price better than the mark, which the fill then has: it may be the
    stricter of the two, never the milder.
    """
    one = new(mode, POLICIES[0])
    if abs(held) > 0.01:
        one.fill(A, held, 100)
    one.mark(A, mark)
    events, entries, before = len(one.events), len(list(one.ledger)), one.snapshot()
    told = one.preview(A, size, mark * price)
    assert (len(one.events), len(list(one.ledger)), one.snapshot()) == (events, entries, before)
    checked = one.verdict(A, size, mark * price)
    fill = one.fill(A, size, mark * price)
    assert told.accepted == (checked is None and fill.refusal is None)
    better = (mark * price - mark) * size < 0
    assert checked is None or fill.refusal is not None or better
    assume(told.accepted and not kinds(one.events[events:], "liquidation"))
    assert (told.opened, told.closed) == near((fill.opened, fill.closed))
    assert (told.realised, told.fee) == near((fill.realised, fill.fee))
    risk = one.risk(A) if A in one.positions else one.risk(None)
    if A in one.positions:
        assert told.entry == near(one.positions[A].entry)
        assert (told.initial, told.maintenance) == near((risk.initial, risk.maintenance))
    assert told.available == near(one.available(), abs=1e-7)
    price_after = one.liquidation_price(A)
    assert told.liquidation_price == (None if price_after is None else near(price_after))


@given(
    held=st.floats(-60, 60),
    side=st.sampled_from([1, -1]),
    mark=st.floats(97, 103),
    mode=st.sampled_from(MODES),
)
def test_the_affordable_size_is_affordable_and_nothing_beyond_it(
    held: float, side: int, mark: float, mode: str
) -> None:
    """An order of the size the preview calls affordable fills; a thousandth more does not."""
    for factor, accepted in ((1 - 1e-9, True), (1.001, False)):
        one = new(mode, POLICIES[0])
        if abs(held) > 0.01:
            one.fill(A, held, 100)
        one.mark(A, mark)
        most = one.preview(A, side * 0.01, mark).affordable_size
        assume(abs(most) > 0.1)
        assert (one.fill(A, side * abs(most) * factor, mark).refusal is None) is accepted


@pytest.mark.parametrize("mode", MODES)
def test_each_event_names_the_event_that_caused_it(mode: str) -> None:
    """A liquidation points at its breach, a shortfall at its liquidation; ids only grow."""
    one = new(mode, POLICIES[0])
    one.fill(A, 99, 100)
    one.mark(A, 60)
    by_id = {event.id: event for event in one.events}
    assert list(by_id) == sorted(by_id)
    (death,) = kinds(one.events, "liquidation")
    assert by_id[death.cause].kind == "breach"
    for event in one.events:
        assert event.cause is None or event.cause < event.id
