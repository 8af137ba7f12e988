"""The account: deposits and withdrawals, fills, funding, interest, and what is no number."""

from __future__ import annotations

import math

import pytest
from engine.bench import KINDS, MODES, SIDES, desk, near
from stories.world import A, B, account

from bt_margin.engine.account import Account
from bt_margin.engine.book import Fill
from bt_margin.errors import (
    CashError,
    DataError,
    InputError,
)

NAN, INF = math.nan, math.inf
BTC = "BTC/USDT:USDT"

# -- deposits and withdrawals ----------------------------------------------------------------------


def test_a_deposit_is_cash_at_once() -> None:
    a = account()
    event = a.deposit(250)
    assert (event.kind, event.amount, event.balance) == ("deposit", 250, 1_250)
    assert a.ledger.totals["deposit"] == 1_250


@pytest.mark.parametrize("amount", [-1, NAN, INF])
def test_an_impossible_deposit_is_an_error_and_changes_nothing(amount: float) -> None:
    a = account()
    with pytest.raises(CashError, match="deposit"):
        a.deposit(amount)
    assert (a.equity(), len(a.events)) == (1_000, 1)


def test_a_withdrawal_leaves_the_initial_margin() -> None:
    d = desk()
    d.fill(4)
    event = d.account.withdraw(960)
    assert (event.kind, event.amount, event.balance) == ("withdrawal", -960, 40)
    assert d.account.available() == near(0)
    assert d.account.ledger.totals["withdrawal"] == -960


@pytest.mark.parametrize("amount", [960.01, -1, NAN, INF])
def test_more_than_is_available_is_refused_with_an_event(amount: float) -> None:
    d = desk()
    d.fill(4)
    with pytest.raises(CashError, match=r"exceeds 960\.00"):
        d.account.withdraw(amount)
    event = d.account.events[-1]
    assert (event.kind, event.reason, event.allowed) == ("refused", "withdrawal", near(960))
    assert d.account.wallet() == 1_000


def test_float_dust_above_what_is_available_takes_what_is_available() -> None:
    a = account()
    assert a.withdraw(1_000 * (1 + 5e-13)).amount == -1_000
    assert a.equity() == 0
    a.audit()


# -- fills -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_there_and_back_at_one_price_costs_the_fees_only(kind: str, mode: str, side: int) -> None:
    """trap 34."""
    d = desk(kind, mode, taker_fee=0.0005)
    before = d.account.equity()
    d.fill(5 * side)
    d.mark(1.02)
    fee = d.fill(-5 * side, 1.0).fee
    assert d.account.equity() == near(before - 2 * fee)
    assert d.account.available() == near(before - 2 * fee)


def test_maker_and_taker_pay_their_own_rates_and_a_callable_decides_otherwise() -> None:
    d = desk(taker_fee=0.001, maker_fee=0.0002)
    assert d.fill(1).fee == near(0.1)
    assert d.fill(1, liquidity="maker").fee == near(0.02)
    assert d.fill(1, fee=lambda size, price: size * 0.5).fee == near(0.5)
    assert d.kinds("fill")[1].info == {"liquidity": "maker"}


def test_the_event_of_a_fill_says_what_was_booked() -> None:
    d = desk(taker_fee=0.001)
    d.fill(4)
    fill = d.fill(-1, 1.1, order=7, info={"why": "test"})
    event = fill.event
    assert (event.size, event.price, event.mark) == (-1, near(110), 100)
    assert (event.realised, event.fee, event.order) == (near(10), near(0.11), 7)
    assert event.info == {"liquidity": "taker", "why": "test"}
    assert (fill.opened, fill.closed, fill.size, fill.entry) == (0, -1, 3, 100)
    assert (fill.closing_fee, fill.opening_fee, fill.fee) == (near(0.11), 0, near(0.11))


def test_the_first_fill_sets_a_mark_that_nobody_gave() -> None:
    a = account()
    a.fill(A, 1, 120)
    assert a.position(A).mark == 120


@pytest.mark.parametrize("size", [0, -1])
def test_a_fill_of_nothing_is_no_event(size: float) -> None:
    d = desk()
    before = len(d.account.events)
    fill = d.fill(size, reduce_only=True)
    assert (fill.opened, fill.closed, fill.event, fill.refusal) == (0, 0, None, None)
    assert len(d.account.events) == before


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_fill_says_why_and_books_nothing(mode: str) -> None:
    d = desk(mode=mode, taker_fee=0.001)
    d.fill(2)
    before = d.account.snapshot()
    fill = d.fill(300)
    assert fill.refusal is not None
    assert fill == Fill(0, 0, 0, 0, 0, 2, 100, None, fill.refusal)
    assert d.account.snapshot() == before


def test_reduce_only_closes_what_is_there_and_no_more() -> None:
    d = desk()
    d.fill(2)
    fill = d.fill(-5, reduce_only=True)
    assert (fill.closed, fill.opened, d.p.size) == (-2, 0, 0)
    assert d.fill(3, reduce_only=True).event is None


def test_an_order_fills_into_its_own_reservation() -> None:
    d = desk()
    assert d.account.check_order(1, A, 100, 100) is None
    assert d.account.available() == 0
    assert d.fill(100, order=1).refusal is None
    d.account.release(1)
    assert d.account.available() == 0


def test_without_its_reference_the_reservation_stands_in_the_way() -> None:
    d = desk()
    d.account.check_order(1, A, 100, 100)
    refusal = d.fill(100).refusal
    assert refusal is not None
    assert refusal.reason == "margin"


@pytest.mark.parametrize("price", [0, -5, NAN, INF])
def test_an_impossible_price_is_an_error_everywhere(price: float) -> None:
    d = desk()
    d.fill(1)
    a = d.account
    before = a.snapshot()
    for act in (
        lambda: a.fill(A, 1, price),
        lambda: a.mark(A, price),
        lambda: a.preview(A, 1, price),
        lambda: a.check_order(1, A, 1, price),
        lambda: a.fund(A, 0.01, mark=price),
    ):
        with pytest.raises(DataError, match="not possible"):
            act()
    assert a.snapshot() == before


@pytest.mark.parametrize("size", [NAN, INF, -INF])
def test_an_impossible_size_is_an_error_everywhere(size: float) -> None:
    d = desk()
    a = d.account
    for act in (
        lambda: a.fill(A, size, 100),
        lambda: a.preview(A, size, 100),
        lambda: a.check_order(1, A, size, 100),
    ):
        with pytest.raises(InputError, match="size"):
            act()
    assert a.equity() == 1_000


def test_a_preview_needs_a_price_or_a_mark() -> None:
    with pytest.raises(DataError, match="price 0"):
        account().preview(A, 1)


@pytest.mark.parametrize("rate", [NAN, INF])
def test_impossible_rates_and_interest_are_errors(rate: float) -> None:
    d = desk()
    d.fill(1)
    with pytest.raises(InputError, match="funding rate"):
        d.account.fund(A, rate)
    with pytest.raises(InputError, match="interest"):
        d.account.charge_interest(rate)
    assert d.account.equity() == 1_000


# -- funding and interest --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rate", [0.01, -0.01])
def test_longs_pay_a_positive_rate_on_the_notional_at_the_mark(
    kind: str, side: int, rate: float
) -> None:
    """trap 42."""
    d = desk(kind)
    d.fill(4 * side)
    d.mark(1.1)
    before = d.account.cross.balance
    event = d.account.fund(d.symbol, rate)
    assert event is not None
    assert event.amount == near(-side * d.p.notional() * rate)
    assert d.account.cross.balance == near(before + (event.amount or 0.0))
    assert (event.found, event.size) == (rate, 4 * side * d.unit)


def test_a_settlement_may_bring_its_own_mark() -> None:
    d = desk()
    d.fill(4)
    event = d.account.fund(A, 0.01, mark=200.0)
    assert event is not None
    assert (event.amount, event.mark) == (-8, 200)


def test_isolated_positions_pay_from_their_own_margin() -> None:
    d = desk(mode="isolated")
    d.fill(4)
    d.account.fund(A, 0.01)
    assert (d.posted, d.account.cross.balance) == (36, 960)


@pytest.mark.parametrize(("left", "posted"), [(100.0, 0.0), (0.5, 4.5), (0.0, 5.0)])
def test_bybit_takes_an_isolated_positions_funding_from_the_wallet_while_that_has_any(
    left: float, posted: float
) -> None:
    a = Account("bybit", cash=10_000, leverage=10, margin_mode="isolated")
    a.mark("BTC/USDT:USDT", 50_000)
    a.fill("BTC/USDT:USDT", 0.1, 50_000)
    a.withdraw(a.available() - left)
    pool = a.position("BTC/USDT:USDT").pool
    assert pool is not None
    before = pool.balance
    a.fund("BTC/USDT:USDT", 0.001)
    assert before - pool.balance == near(posted)
    assert a.wallet() - pool.balance == near(left - (5 - posted))


def test_a_flat_position_pays_no_funding() -> None:
    d = desk()
    assert d.account.fund(A, 0.01) is None
    assert len(d.account.ledger) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_market_that_ends_closes_what_is_open_at_its_last_mark_and_takes_no_fee(
    mode: str,
) -> None:
    d = desk(mode=mode, taker_fee=0.001)
    assert d.account.delist(A) is None
    d.fill(4)
    d.mark(1.1)
    before = d.account.equity()
    event = d.account.delist(A)
    assert event is not None
    assert (event.kind, event.size, event.price, event.fee) == ("fill", -4, near(110), 0)
    assert event.cause == d.kinds("delisted")[-1].id
    assert (d.p.size, d.account.equity()) == (0, near(before))
    d.account.audit()


def test_interest_leaves_the_pool_of_its_symbol_or_the_wallet() -> None:
    d = desk(mode="isolated")
    d.fill(4)
    event = d.account.charge_interest(3, A)
    assert (event.kind, event.amount, event.symbol) == ("interest", -3, A)
    assert (d.posted, d.account.cross.balance) == (37, 960)
    d.account.charge_interest(5)
    d.account.charge_interest(1, B)
    assert d.account.cross.balance == 954
    assert d.account.ledger.totals["interest"] == -9


def test_interest_a_flat_wallet_cannot_pay_is_a_shortfall_and_the_end() -> None:
    d = desk()
    event = d.account.charge_interest(1_200)
    assert d.account.equity() == 0
    (short,) = d.kinds("shortfall")
    assert (short.amount, short.cause) == (200, event.id)
    assert d.account.dead
    d.account.audit()
