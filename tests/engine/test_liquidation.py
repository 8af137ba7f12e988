"""Liquidation as it is booked: sales, takeovers, residuals, fees, shortfalls, top-ups, in both kinds."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import COIN, KINDS, MODES, OTHER_COIN, SIDES, desk, fall, near, three
from stories.world import A, B, C, account, generic

import bt_margin as btm
from bt_margin.engine.liquidation import Hooks, describe
from bt_margin.errors import InvariantError
from bt_margin.venues.policies import (
    Closing,
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
)

# -- whole closings --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_sale_to_the_trader_leaves_what_is_left_after_the_fee(
    kind: str, mode: str, side: int
) -> None:
    d = desk(kind, mode, liquidation_fee=0.001)
    d.fill(50 * side)
    fall(d, side)
    pool, free = d.p.pool, d.account.available()
    equity, notional = pool.equity(), d.p.notional()
    spare = d.account.equity() - equity
    d.account.mark(d.symbol, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert (event.size, event.price, event.fee) == (
        -50 * side * d.unit, event.mark, near(notional * 0.001),
    )  # fmt: skip
    assert event.info["settle"] == "sale"
    assert event.info["whole"]
    assert event.reason.startswith("long" if side > 0 else "short")
    assert d.account.equity() == near(spare + equity - notional * 0.001)
    assert d.account.available() == d.account.equity()
    assert free <= d.account.equity()
    assert not d.account.positions
    assert not d.kinds("shortfall", "dead")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_sale_to_the_fund_leaves_the_pool_exactly_nothing(
    kind: str, mode: str, side: int
) -> None:
    d = desk(kind, mode, liquidation_fee=0.001, policy=FullClose("sale", "fund"))
    d.fill(50 * side)
    fall(d, side)
    equity, spare = d.p.pool.equity(), d.account.equity() - d.p.pool.equity()
    d.account.mark(d.symbol, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert event.fee == near(equity)
    assert event.balance == 0
    assert d.account.equity() == near(spare)
    assert d.account.dead is (mode == "cross")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_takeover_is_at_the_bankruptcy_price_and_leaves_exactly_nothing(
    kind: str, mode: str, side: int
) -> None:
    d = desk(kind, mode, liquidation_fee=0.01, policy=FullClose("takeover", "fund"))
    d.fill(50 * side)
    fall(d, side)
    ruin, spare = d.account.bankruptcy_price(d.symbol), d.account.equity() - d.p.pool.equity()
    d.account.mark(d.symbol, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert event.price == near(ruin)
    assert (event.fee, event.balance) == (0, 0)
    assert d.account.equity() == near(spare)
    assert d.account.ledger.totals["insurance"] == 0
    assert d.account.ledger.totals["liquidation_fee"] == 0
    assert not d.kinds("shortfall")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("policy", [FullClose(), FullClose("takeover", "fund"), JustEnough()])
def test_a_gap_beyond_bankruptcy_is_closed_at_the_mark_and_what_is_missing_is_a_shortfall(
    kind: str, mode: str, side: int, policy: Any
) -> None:
    """traps 30 to 32: nobody loses more than was posted, and the rest does not vanish."""
    d = desk(kind, mode, liquidation_fee=0.001, policy=policy)
    d.fill(50 * side)
    balance, spare = d.posted, d.account.equity() - d.posted
    at = 0.7 if side > 0 else 1.5
    d.mark(at) if mode == "isolated" else d.mark(at**2)
    (event,) = d.kinds("liquidation")
    (short,) = d.kinds("shortfall")
    assert event.price == event.mark == d.p.mark
    assert event.fee == 0
    assert short.amount == near(-event.realised - balance)
    assert short.amount > 0
    assert (event.balance, event.equity) == (0.0, near(spare))
    assert (short.cause, event.cause) == (event.id, d.kinds("breach")[0].id)
    assert d.account.equity() == near(spare)
    assert d.account.ledger.totals["insurance"] == near(short.amount)
    d.account.audit()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_slippage_makes_the_sale_worse_and_the_takeover_not(kind: str, side: int) -> None:
    prices = []
    for policy in (FullClose(), FullClose("takeover", "fund")):
        d = desk(kind, liquidation_slippage=0.002, policy=policy)
        d.fill(50 * side)
        fall(d, side)
        ruin = d.account.bankruptcy_price(d.symbol)
        d.account.mark(d.symbol, d.p.mark)
        (event,) = d.kinds("liquidation")
        prices.append((event.price / event.mark, event.price == near(ruin)))
    assert prices[0][0] == near(1 - 0.002 * side)
    assert prices[1][1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fee", [0.004, 0.02, 0.5])
def test_the_fee_is_never_more_than_what_is_left(mode: str, fee: float) -> None:
    """100 long on 1,000: 45.2 left at the crossing of 9,045."""
    d = desk(mode=mode, liquidation_fee=fee)
    d.fill(100)
    fall(d, 1)
    left, notional = d.account.equity(), d.p.notional()
    d.account.mark(A, d.p.mark)
    assert d.kinds("liquidation")[0].fee == near(min(left, notional * fee))
    assert d.account.equity() == near(max(0, left - notional * fee))
    assert not d.kinds("shortfall")


@pytest.mark.parametrize("policy", [FullClose(), LargestLossFirst()])
def test_the_fees_of_several_sales_together_take_no_more_than_the_pool_holds(policy: Any) -> None:
    """50 of A and 50 of B on 1,000, A at 80.5: 25 left; 2 % of A alone are 80.5, and no fund pays."""
    a = account(liquidation_fee=0.02, policy=policy)
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 50, 100)
    a.mark(A, 80.5)
    assert [e.fee for e in a.events if e.kind == "liquidation"] == near([25, 0])
    assert a.equity() == 0
    assert a.ledger.totals["insurance"] == near(0)
    assert a.ledger.totals["liquidation_fee"] == near(-25)


# -- several positions -----------------------------------------------------------------------------


def test_taken_over_together_positions_share_the_equity_by_their_maintenance() -> None:
    a = three(FullClose("takeover", "fund"))
    a.position(B).move(110)
    a.position(C).move(98)
    a.position(A).move(79)
    pool = a.cross
    equity, need = pool.equity(), pool.maintenance()
    assert equity == near(1_000 - 630 - 300 - 60)
    parts = {p.symbol: (p.maintenance() / need, p.mark, p.size) for p in pool.positions}
    a.liquidate(pool, crossed=True)
    died = {e.symbol: e for e in a.events if e.kind == "liquidation"}
    assert set(died) == {A, B, C}
    for symbol, (share, mark, size) in parts.items():
        assert died[symbol].price == near(mark - equity * share / size)
    assert pool.balance == 0
    assert a.equity() == 0
    assert not [e for e in a.events if e.kind == "shortfall"]


def test_the_share_of_the_equity_is_by_maintenance_and_not_by_notional() -> None:
    """A of 1 % and B of 4 %, the same notional: B gives up four fifths."""
    facts = {A: {"maintenance_rate": 0.01}, B: {"maintenance_rate": 0.04}}
    a = account(symbols=facts, policy=FullClose("takeover", "fund"))
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 45, 100)
    for s in (A, B):
        a.position(s).move(90)
    equity = a.equity()
    assert equity == near(100)
    a.liquidate(a.cross)
    prices = {e.symbol: e.price for e in a.events if e.kind == "liquidation"}
    assert prices == {A: near(90 - 20 / 45), B: near(90 - 80 / 45)}


def test_two_inverse_positions_taken_over_leave_exactly_nothing() -> None:
    venue = generic(currency="BTC", policy=FullClose("takeover", "fund"))
    facts = {s: {"multiplier": 100.0} for s in (COIN, OTHER_COIN)}
    a = btm.Account(venue, 1.0, leverage=10, symbols=facts, debug=True)
    for s, size in ((COIN, 250.0), (OTHER_COIN, 200.0)):
        a.mark(s, 50_000)
        a.fill(s, size, 50_000)
    a.position(OTHER_COIN).move(35_000)
    a.mark(COIN, 18_950)
    deaths = [e for e in a.events if e.kind == "liquidation"]
    assert len(deaths) == 2
    assert a.cross.balance == a.equity() == 0
    assert not [e for e in a.events if e.kind == "shortfall"]
    a.audit()


def test_positions_without_maintenance_share_by_their_notional() -> None:
    """Float noise at the crossing leaves a hair of equity and no maintenance to share it by."""
    a = account(maintenance_rate=0.0, policy=FullClose("takeover", "fund"))
    for s, size in ((A, 60), (B, 20)):
        a.mark(s, 100)
        a.fill(s, size, 100)
    a.position(A).move(100 - 1_000 / 60 + 0.01)
    a.liquidate(a.cross, crossed=True)
    deaths = [e for e in a.events if e.kind == "liquidation"]
    shares = [(e.mark - e.price) * -e.size for e in deaths]
    notionals = [60 * a.position(A).mark, 2_000]
    assert sum(shares) == near(0.6)
    assert shares[0] / shares[1] == near(notionals[0] / notionals[1], rel=1e-6)
    assert a.equity() == 0


def test_the_largest_loss_goes_first_and_a_healthy_pool_keeps_the_rest() -> None:
    """904.8 and 60 lost: 35.2 stand against 40.8; without A against 30.3, and B and C stay."""
    a = three(LargestLossFirst())
    a.position(B).move(102)
    a.mark(A, 69.84)
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [A]
    assert set(a.positions) == {B, C}
    assert not a.cross.breached()
    assert len([e for e in a.events if e.kind == "breach"]) == 1


def test_the_largest_losses_follow_each_other_until_none_is_left() -> None:
    a = three(LargestLossFirst("takeover", "fund"))
    a.position(B).move(108)
    a.position(C).move(97)
    a.mark(A, 77)
    died = [e for e in a.events if e.kind == "liquidation"]
    assert [e.symbol for e in died] == [A, B, C]
    assert [e.info["settle"] for e in died] == ["sale", "sale", "takeover"]
    assert a.dead


def test_an_isolated_pool_takes_nobody_with_it() -> None:
    a = account("isolated")
    for s in (A, B):
        a.mark(s, 100)
        a.fill(s, 30, 100)
    a.mark(A, 50)
    assert set(a.positions) == {B}
    assert a.equity() == near(700)


# -- what else happens -----------------------------------------------------------------------------


def test_orders_are_cancelled_before_anything_is_closed_and_the_owner_hears_of_each_closing() -> (
    None
):
    a = three(LargestLossFirst())
    told: list[Any] = []
    hooks = Hooks(
        cancel=lambda pool, cause: told.append(("cancel", pool.key, cause, len(a.positions))),
        closed=lambda event: told.append((event.kind, event.symbol, len(a.positions))),
    )
    for s, mark in ((A, 77.0), (B, 108.0), (C, 97.0)):
        a.position(s).move(mark)
    a.liquidate(a.cross, hooks)
    breach = next(e for e in a.events if e.kind == "breach")
    assert told == [
        ("cancel", "cross:USDT", breach.id, 3),
        ("liquidation", A, 2),
        ("liquidation", B, 1),
        ("liquidation", C, 0),
    ]


def test_a_pool_that_is_healthy_after_all_is_left_alone() -> None:
    """Cancelling may help; and a liquidation asked for without a breach closes nothing."""
    d = desk()
    d.fill(10)
    d.account.liquidate(d.p.pool)
    assert d.p.size == 10
    assert not d.kinds("liquidation")
    d.account.liquidate(d.p.pool, crossed=True)
    assert d.p.size == 0


def test_a_pool_without_positions_has_nothing_to_close() -> None:
    d = desk()
    d.account.liquidate(d.account.cross, crossed=True)
    assert not d.kinds("liquidation")


def test_funding_behind_a_breach_is_named_as_its_cause() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    event = d.account.fund(A, 0.096)
    assert event is not None
    assert d.kinds("breach")[0].cause == event.id
    d = desk(mode="isolated")
    d.fill(10)
    d.account.fund(A, 0.001)
    d.mark(0.9)
    assert d.kinds("breach")[0].cause is None


@pytest.mark.parametrize("last", [0.0, 0.0001])
def test_of_several_settlements_the_one_without_which_it_would_have_lived_is_the_cause(
    last: float,
) -> None:
    """5.50 are left where 4.53 are needed: the first takes 1.20, the second next to nothing."""
    d = desk(mode="isolated")
    d.fill(10)
    d.p.move(90.55)
    first = d.account.book_funding(A, 1.2 / 905.5)
    assert d.account.book_funding(A, last) is not None
    d.account.liquidate(d.p.pool)
    assert first is not None
    assert d.kinds("breach")[0].cause == first.id


def test_a_fresh_copy_may_be_liquidated_without_a_history() -> None:
    d = desk(mode="isolated")
    d.fill(10)
    twin = d.account.fork()
    assert [e.kind for e in twin.mark(A, 50)] == ["breach", "liquidation", "shortfall"]
    assert twin.events[0].cause is None
    assert d.p.size == 10


class Stubborn:
    """A policy that closes next to nothing."""

    settle, residual = "sale", "trader"

    def choose(self, breach: Any) -> tuple[Closing, ...]:
        return (Closing(breach.positions[0].symbol, 1e-9, "sale"),)


def test_a_policy_that_never_ends_is_our_own_fault() -> None:
    d = desk(policy=Stubborn())
    d.account.debug = False
    d.fill(99)
    with pytest.raises(InvariantError, match="did not end"):
        d.mark(0.9)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_policy_is_shown_are_the_numbers_of_the_pool(kind: str) -> None:
    d = desk(kind, liquidation_fee=0.01, liquidation_slippage=0.02)
    d.fill(-50)
    d.p.move(d.price * 1.1)
    state = describe(d.account, d.p.pool, {d.symbol: 3})
    (one,) = state.positions
    assert (state.equity, state.maintenance, state.closed) == (
        near(d.p.pool.equity()), near(d.p.maintenance()), {d.symbol: 3},
    )  # fmt: skip
    assert (one.symbol, one.size, one.mark, one.table) == (d.symbol, d.p.size, d.p.mark, d.p.table)
    assert one.loss == near(-d.p.unrealised())
    assert one.loss > 0
    assert one.notional == near(d.p.notional())
    # bought back 2 % higher: linear 2 % + 1 % of 1.02; inverse 1 − 1/1.02 less + 1 % of 1/1.02
    cost = 0.02 + 0.01 * 1.02 if kind == "linear" else (1 - 1 / 1.02) + 0.01 / 1.02
    assert state.cost == {d.symbol: near(cost)}


class Charging:
    """Takes everything over for one per cent of its notional."""

    settle, residual = "takeover", "fund"

    def choose(self, breach: Any) -> tuple[Closing, ...]:
        return tuple(Closing(p.key, 1.0, "takeover", 0.01) for p in breach.positions)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_where_the_fee_of_a_takeover_is_more_than_there_is_the_price_is_the_mark(
    kind: str, side: int
) -> None:
    """0.5 % is left and 1 % asked: the fee takes what there is."""
    d = desk(kind, "isolated", policy=Charging())
    d.fill(10 * side)
    fall(d, side)
    left = d.p.pool.equity()
    d.account.mark(d.symbol, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert event.price == event.mark == d.p.mark
    assert event.fee == near(left)
    assert not d.kinds("shortfall")


@pytest.mark.parametrize("policy", [LargestLossFirst(), Fraction(0.5)])
def test_the_benefit_of_the_doubt_at_the_crossing_is_given_once(policy: Any) -> None:
    """Standing at the crossing by float noise, one closing is made; healed by it, no second."""
    a = three(policy)
    a.position(A).move(99)
    a.liquidate(a.cross, crossed=True)
    assert len([e for e in a.events if e.kind == "liquidation"]) == 1
    assert len([e for e in a.events if e.kind == "breach"]) == 1
