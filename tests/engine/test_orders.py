"""Reservations: what resting orders lock, symbol by symbol."""

from __future__ import annotations

import pytest
from engine.bench import KINDS, MODES, SIDES, binance, desk, near
from hypothesis import given
from hypothesis import strategies as st
from stories.world import A, B, account

from bt_margin.engine.account import Account
from bt_margin.engine.orders import Reservations, Reserved, fee_counts

BTC = "BTC/USDT:USDT"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_bids_and_asks_of_a_flat_symbol_lock_the_margin_of_the_larger_side(
    kind: str, mode: str
) -> None:
    d = desk(kind, mode)
    a, cash = d.account, d.account.equity()
    for ref, (units, free) in enumerate([(2, 0.98), (-3, 0.97), (2, 0.96), (-1, 0.96)]):
        assert a.check_order(ref, d.symbol, units * d.unit, d.price) is None
        assert a.available() == near(free * cash)
    for ref, free in [(2, 0.96), (1, 0.98), (0, 0.99), (3, 1.0)]:
        a.release(ref)
        assert a.available() == near(free * cash)


@pytest.mark.parametrize("side", SIDES)
def test_adding_locks_and_reducing_does_not(side: int) -> None:
    d = desk()
    d.fill(4 * side)
    a = d.account
    assert a.check_order(1, A, -4 * side, 100) is None
    assert a.available() == 960
    assert a.check_order(2, A, 3 * side, 100) is None
    assert a.available() == 930


@pytest.mark.parametrize("side", SIDES)
def test_the_margin_of_a_position_covers_its_own_reversal_and_no_more(side: int) -> None:
    d = desk()
    d.fill(4 * side)
    a = d.account
    a.check_order(1, A, -8 * side, 100)
    assert a.available() == 960
    a.check_order(2, A, -1 * side, 100, reduce_only=True)
    assert a.available() == 960
    a.check_order(3, A, -9 * side, 100)
    assert a.available() == near(960 - 90)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_a_market_order_that_closes_makes_room_for_the_orders_after_it(
    side: int, mode: str
) -> None:
    """Out of one market and into another on one bar: the first is filled before the second."""
    a = account(mode)
    for symbol in (A, B):
        a.mark(symbol, 100)
    a.fill(A, 90 * side, 100)
    assert a.check_order(1, B, 50, 100) is not None
    assert a.check_order(2, A, -45 * side, 100) is None  # a limit order may rest for ever
    assert a.check_order(3, B, 50, 100) is not None
    a.release(2)
    assert a.check_order(4, A, -45 * side, 100, at_market=True) is None
    assert a.check_order(5, B, 50, 100) is None  # 100 free, 450 to come
    assert a.check_order(6, B, 10, 100) is not None
    a.release(4)
    assert a.check_order(7, B, 1, 100) is not None
    assert a.check_order(8, A, -90 * side, 100, at_market=True) is None
    assert a.check_order(9, B, 40, 100) is None


def test_a_held_position_and_both_sides_lock_the_larger_result() -> None:
    """4 long, bids 3, asks 12: max(4, 4 + 3, 12 − 4) − 4 = 4 → 40."""
    d = desk()
    d.fill(4)
    a = d.account
    for ref, size in enumerate([3, -6, -6]):
        assert a.check_order(ref, A, size, 100) is None
    assert a.available() == near(920)


@pytest.mark.parametrize("mode", MODES)
def test_closing_orders_lock_nothing_and_pass_without_a_cent(mode: str) -> None:
    """trap 37."""
    d = desk(mode=mode)
    d.fill(4)
    a = d.account
    a.withdraw(a.available())
    assert a.check_order(1, A, -4, 100) is None
    assert a.check_order(2, A, -9, 100, reduce_only=True) is None
    assert a.available() == near(0)
    refusal = a.check_order(3, A, 1, 100)
    assert refusal is not None
    assert refusal.reason == "margin"


def test_the_second_of_two_orders_finds_the_margin_taken() -> None:
    """trap 38."""
    d = desk(taker_fee=0.001)
    a = d.account
    assert a.check_order(1, A, 60, 100) is None
    refusal = a.check_order(2, A, 60, 100)
    assert refusal is not None
    assert (refusal.reason, refusal.found, refusal.allowed) == ("margin", near(606), near(400))
    (event,) = d.kinds("rejected")
    assert (event.order, event.size, event.price) == (2, 60, 100)
    a.release(1)
    assert a.check_order(2, A, 60, 100) is None


def test_profit_not_yet_realised_pays_for_no_isolated_position() -> None:
    """90 A have gained 1,800 and 50 are left in the wallet: that is all an isolated one may be given."""
    a = account(symbols={B: {"margin_mode": "isolated"}})
    for symbol in (A, B):
        a.mark(symbol, 100)
    a.fill(A, 90, 100)
    a.mark(A, 120)
    a.withdraw(a.transferable() - 50)
    assert a.available() > 500
    assert a.check_order(1, A, 40, 120) is None
    a.release(1)
    refusal = a.check_order(2, B, 6, 100)
    assert refusal is not None
    assert (refusal.found, refusal.allowed) == near((60, 50))
    assert a.check_order(3, B, 5, 100) is None


def test_orders_of_two_symbols_add_up() -> None:
    a = account()
    a.mark(A, 100)
    a.mark(B, 100)
    a.check_order(1, A, 30, 100)
    a.check_order(2, B, -20, 100)
    assert a.orders.total(a.book) == near(500)
    assert a.available() == near(500)


def test_an_order_is_locked_at_its_own_price() -> None:
    d = desk()
    d.account.check_order(1, A, 10, 90)
    assert d.account.available() == near(1_000 - 90)


def test_the_cap_of_the_leverage_counts_position_and_orders_of_one_side() -> None:
    d = desk(leverage=40, tiers=[(2_000, 0.005, 0.0, 50), (None, 0.01, 10.0, 20)])
    a = d.account
    d.fill(10)
    assert a.check_order(1, A, 5, 100) is None
    assert a.check_order(2, A, 5, 100) is None
    refusal = a.check_order(3, A, 1, 100)
    assert refusal is not None
    assert (refusal.reason, refusal.found, refusal.allowed) == ("leverage_cap", 2_100, 2_000)
    assert a.check_order(4, A, -30, 100) is None
    assert a.check_order(5, A, -11, 100) is not None


@pytest.mark.parametrize("side", SIDES)
def test_the_cap_takes_a_position_of_a_fraction_on_the_other_side_off_too(side: int) -> None:
    """0.1 held at 10,000: 0.3 the other way leave 2,000, which is the cap."""
    d = desk(leverage=40, tiers=[(2_000, 0.005, 0.0, 50), (None, 0.01, 10.0, 20)])
    a = d.account
    a.mark(A, 10_000)
    a.fill(A, 0.1 * side, 10_000)
    assert a.check_order(1, A, -0.2999 * side, 10_000) is None
    a.release(1)
    refusal = a.check_order(1, A, -0.31 * side, 10_000)
    assert refusal is not None
    assert (refusal.reason, refusal.found) == ("leverage_cap", near(2_100))


# -- rules that do not ask in step with the notional -----------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("held", [0.0, 0.5])
def test_two_bids_lock_what_one_of_their_size_locks(held: float, side: int) -> None:
    """Bybit asks for the fee to close as well: what is locked is that of the position they would make."""
    locked = []
    for sizes in ([0.2, 0.1], [0.3]):
        a = Account("bybit", cash=10_000, leverage=10)
        a.mark(BTC, 50_000)
        if held:
            a.fill(BTC, held * side, 50_000)
        free = a.available()
        for ref, size in enumerate(sizes):
            assert a.check_order(ref, BTC, size * side, 50_000) is None
        locked.append(free - a.available())
    assert locked[0] == near(locked[1])
    assert locked[0] >= 0.3 * 50_000 / 10


@pytest.mark.parametrize("side", SIDES)
def test_an_order_for_a_flat_symbol_locks_the_same_in_both_modes(side: int) -> None:
    free = []
    for mode in MODES:
        a = Account("bybit", cash=10_000, leverage=10, margin_mode=mode)
        a.mark(BTC, 50_000)
        assert a.check_order(1, BTC, 0.1 * side, 50_000) is None
        free.append(a.available())
        assert free[-1] == near(10_000 - a.position(BTC).initial_of(0.1 * side, 50_000))
    assert free[0] == near(free[1])


@pytest.mark.parametrize("side", SIDES)
def test_an_isolated_reversal_locks_what_the_new_side_asks_beyond_what_the_old_one_has_now(
    side: int,
) -> None:
    """The profit of the old side counts: it comes back when that is closed."""
    a = Account("bybit", cash=10_000, leverage=10, margin_mode="isolated")
    a.mark(BTC, 50_000)
    a.fill(BTC, 0.1 * side, 50_000)
    price = 50_000 + 1_000 * side
    a.mark(BTC, price)
    p, free = a.position(BTC), a.available()
    assert p.pool is not None
    assert a.check_order(1, BTC, -0.5 * side, price) is None
    assert free - a.available() == near(p.initial_of(-0.4 * side, price) - p.pool.equity())


def test_adding_to_an_isolated_position_that_holds_plenty_still_needs_free_margin() -> None:
    a = Account("bybit", cash=1_000, leverage=10, margin_mode="isolated")
    a.mark(BTC, 50_000)
    a.fill(BTC, 0.1, 50_000)
    a.add_margin(BTC, 400)
    refusal = a.check_order(1, BTC, 0.05, 50_000)
    assert refusal is not None
    assert refusal.reason == "margin"
    assert (refusal.found > 250, refusal.allowed) == (True, near(a.available()))


@pytest.mark.parametrize("side", SIDES)
def test_adding_to_an_isolated_position_is_judged_at_the_mark_and_not_at_the_orders_price(
    side: int,
) -> None:
    """At the price of the order, 18 % away, the position would have nothing left."""
    a = Account("bybit", cash=10_000, leverage=10, margin_mode="isolated")
    a.mark(BTC, 50_000)
    a.fill(BTC, 0.1 * side, 50_000)
    a.mark(BTC, 50_000 - 3_000 * side)
    assert a.check_order(1, BTC, 0.01 * side, 50_000 - 9_000 * side) is None


@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_an_order_for_a_symbol_without_any_price_yet_locks_nothing(venue: str) -> None:
    a = Account(venue, cash=10_000, leverage=10)
    lots = 1.0 / a.position(BTC).multiplier
    assert a.check_order(1, BTC, 0.1 * lots, 50_000) is None
    assert a.available() == 10_000
    a.mark(BTC, 50_000)
    assert a.available() <= 10_000 - 0.1 * 50_000 / 10


@pytest.mark.parametrize("side", SIDES)
def test_what_opening_costs_is_part_of_the_check_of_an_order(side: int) -> None:
    """Kraken spot takes a fee for opening on margin: 2,500 at 5x and what the fees take are not there."""
    a = Account("krakenspot", cash=10_000, leverage=5)
    a.mark("BTC/USD", 50_000)
    size, p = 0.99 * side, a.position("BTC/USD")
    cost = a.opening_cost(p, size, 50_000)
    assert cost > 1
    fee = a.venue_fee(p, "taker")(abs(size), 50_000) if fee_counts(a, p) else 0.0
    a.withdraw(a.available() - 0.99 * 50_000 / 5 - fee - cost / 2)
    refusal = a.check_order(1, "BTC/USD", size, 50_000)
    assert refusal is not None
    assert refusal.found == near(0.99 * 50_000 / 5 + fee + cost)
    a.deposit(cost / 2 * 1.000001)
    assert a.check_order(1, "BTC/USD", size, 50_000) is None


def test_an_order_given_again_under_its_reference_replaces_the_old_one() -> None:
    d = desk()
    d.account.check_order(1, A, 50, 100)
    d.account.check_order(1, A, 10, 100)
    assert d.account.available() == 900
    assert d.account.orders.reserved == 1
    assert d.account.orders.open(A) == 1


def test_unknown_references_free_nothing() -> None:
    d = desk()
    d.account.release(99)
    assert d.account.orders.margin(d.p, without=99) == 0
    assert d.account.orders.open(A) == 0


def test_what_an_order_frees_for_itself_is_what_the_total_falls_by() -> None:
    d = desk()
    orders = d.account.orders
    d.account.check_order(1, A, 5, 100)
    d.account.check_order(2, A, -3, 100)
    d.account.check_order(3, A, -4, 100)
    freed = [orders.margin(d.p) - orders.margin(d.p, without=ref) for ref in (1, 2, 3)]
    assert freed == [0, near(20), near(20)]


def test_a_copy_is_independent() -> None:
    d = desk()
    d.account.check_order(1, A, 5, 100)
    twin = d.account.orders.copy()
    twin.remove(1)
    assert d.account.orders.margin(d.p) == near(50)
    assert (twin.margin(d.p), twin.reserved, twin.open(A)) == (0, 0, 0)


@given(
    held=st.floats(-5, 5),
    sizes=st.lists(st.floats(-9, 9).filter(lambda x: abs(x) > 0.01), max_size=5),
)
def test_the_lock_is_the_margin_of_the_largest_position_the_orders_can_make_of_one_side(
    held: float, sizes: list[float]
) -> None:
    d = desk()
    if abs(held) > 0.01:
        d.fill(held)
    held, book = d.p.size, Reservations()
    for ref, size in enumerate(sizes):
        book.add(d.p, ref, Reserved(size, abs(size) * 100, 0.0, True), reserving=True)
    bids, asks = sum(s for s in sizes if s > 0), -sum(s for s in sizes if s < 0)
    most = max(abs(held), held + bids, asks - held)
    assert book.margin(d.p) == near((most - abs(held)) * 10)


# -- isolated reversals ----------------------------------------------------------------------------


def test_an_isolated_reversal_locks_what_it_posts_beyond_what_it_frees() -> None:
    """4 long on 40: 10 sold frees 40 and posts 60: 20 are locked, and follow the position."""
    d = desk(mode="isolated", taker_fee=0.001)
    d.fill(4)
    a = d.account
    free = a.available()
    assert a.check_order(1, A, -10, 100) is None
    assert a.available() == near(free - (60 - 40))
    a.release(1)
    assert a.check_order(1, A, -6, 100) is None
    assert a.available() == near(free)


# -- Binance: assumed price and open loss ----------------------------------------------------------


def test_binance_adds_the_loss_an_order_would_open_with() -> None:
    """1 bought at 51,000 with the mark at 50,000: 5,100 + 1,000."""
    a = binance("2024-06-01", leverage=10)
    a.check_order(1, BTC, 1, 51_000)
    assert a.available() == near(100_000 - 6_100)
    a.release(1)
    a.check_order(2, BTC, 1, 49_000)
    assert a.available() == near(100_000 - 4_900)
    a.release(2)
    a.check_order(3, BTC, -1, 49_000)
    assert a.available() == near(100_000 - 4_900 - 1_000)


@pytest.mark.parametrize(
    ("day", "price", "locked"),
    [
        ("2026-01-04", 49_000, 4_900 + 1_000),
        ("2026-01-05", 49_000, 5_007.5 + 1_000),
        ("2026-01-05", 50_000, 5_007.5),
        ("2026-01-05", 52_000, 5_200),
    ],
)
def test_binance_margins_a_sell_at_the_highest_of_premium_mark_and_price(
    day: str, price: float, locked: float
) -> None:
    a = binance(day, leverage=10)
    assert a.check_order(1, BTC, -1, price) is None
    assert a.available() == near(100_000 - locked)


@pytest.mark.parametrize(("day", "locked"), [("2026-01-04", 5_000), ("2026-01-05", 5_000)])
def test_binance_buys_know_no_premium(day: str, locked: float) -> None:
    a = binance(day, leverage=10)
    a.check_order(1, BTC, 1, 50_000)
    assert a.available() == near(100_000 - locked)


def test_binance_leaves_the_fee_out_and_generic_takes_it_in() -> None:
    a = binance("2024-06-01", leverage=10)
    assert a.check_order(1, BTC, 20, 50_000) is None
    d = desk(taker_fee=0.001)
    assert d.account.check_order(1, A, 100, 100) is not None
