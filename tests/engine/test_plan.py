"""A plan is what a fill would do: hand numbers, and the promise that the commit does just that."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import KINDS, MODES, SIDES, Desk, desk, near
from hypothesis import assume, given
from hypothesis import strategies as st
from stories.world import LADDER, A, account

from bt_margin.engine.preview import trim

FEE = 0.001
TIERS = [(2_000, 0.005, 0.0, 50), (None, 0.01, 10.0, 20)]


def money(d: Desk) -> float:
    """1 for 1,000 USDT, or for 1 BTC."""
    return 1_000.0 if d.symbol == A else 1.0


# -- hand numbers, the same in both kinds at the first mark ---------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_opening_posts_the_initial_margin_and_pays_the_fee_on_the_notional(
    kind: str, side: int
) -> None:
    """4 units are 0.4 of the cash: 0.04 posted at 10x, 0.0004 fee."""
    d = desk(kind, "isolated", taker_fee=FEE)
    made = d.account.plan(d.symbol, 4 * side * d.unit, d.price)
    assert (made.opened, made.closed, made.realised) == (4 * side * d.unit, 0, 0)
    assert (made.size, made.entry) == (4 * side * d.unit, d.price)
    assert made.posted == near(0.04 * money(d))
    assert (made.opening_fee, made.closing_fee) == near((0.0004 * money(d), 0))
    assert made.fee == made.opening_fee
    assert made.released == 0
    assert made.available == near((1 - 0.04 - 0.0004) * money(d))
    assert made.refusal is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_pure_open_leaves_the_same_available_margin_in_both_modes(kind: str, mode: str) -> None:
    d = desk(kind, mode, taker_fee=FEE)
    assert d.account.plan(d.symbol, 4 * d.unit, d.price).available == near(0.9596 * money(d))


def test_adding_at_another_price_moves_the_entry_to_the_mean_and_posts_for_the_new_part() -> None:
    d = desk(mode="isolated", taker_fee=FEE)
    d.fill(4)
    made = d.account.plan(A, 4.0, 110.0)
    assert (made.size, made.entry) == (8, 105)
    assert (made.posted, made.opening_fee) == near((44, 0.44))


def test_adding_inverse_contracts_takes_the_harmonic_mean() -> None:
    """200 at 50,000 and 200 at 100,000: 400 / (200/50,000 + 200/100,000) = 66,666.67."""
    d = desk("inverse", "isolated")
    d.fill(4)
    made = d.account.plan(d.symbol, 200.0, 100_000.0)
    assert made.entry == near(400 / (200 / 50_000 + 200 / 100_000))
    assert made.posted == near(200 * 100 / 100_000 / 10)


@pytest.mark.parametrize("side", SIDES)
def test_reducing_gives_back_its_share_of_the_posted_margin_its_result_and_takes_its_fee(
    side: int,
) -> None:
    """8 held on 80 posted; 2 closed 5 better: a quarter of 80, + 10, − 0.1 % of the 2 sold."""
    d = desk(mode="isolated", taker_fee=FEE)
    d.fill(8 * side)
    price = 100 + 5 * side
    made = d.account.plan(A, -2.0 * side, price)
    fee = 2 * price * FEE
    assert (made.opened, made.closed, made.size) == (0, -2 * side, 6 * side)
    assert (made.realised, made.closing_fee, made.opening_fee) == near((10, fee, 0))
    assert (made.posted, made.released) == near((0, 20 + 10 - fee))
    assert made.entry == 100


def test_reducing_an_inverse_long_gives_back_coin() -> None:
    """200 held on 0.04 BTC; half closed at 40,000: 0.02 + 100·100·(1/50,000 − 1/40,000) = −0.03."""
    d = desk("inverse", "isolated")
    d.fill(4)
    made = d.account.plan(d.symbol, -100.0, 45_000.0)
    lost = 10_000 * (1 / 50_000 - 1 / 45_000)
    assert made.realised == near(lost)
    assert made.released == 0 if lost < -0.02 else near(0.02 + lost)


def test_a_part_closed_at_more_loss_than_its_margin_gives_nothing_back() -> None:
    """4 held on 40; 2 closed 30 lower lose 60: nothing back, the rest keeps 40 − 60 and falls at once."""
    d = desk(mode="isolated")
    d.fill(4)
    made = d.account.plan(A, -2.0, 70.0)
    assert (made.realised, made.released) == (-60, 0)


@pytest.mark.parametrize("loss", [0, 5, 15])
def test_closing_gives_back_all_that_is_left_and_never_less_than_nothing(loss: float) -> None:
    d = desk(mode="isolated", taker_fee=FEE)
    d.fill(4)
    made = d.account.plan(A, -4.0, 100 - loss)
    fee = 4 * (100 - loss) * FEE
    assert made.released == near(max(0, 40 - 4 * loss - fee))


@pytest.mark.parametrize("side", SIDES)
def test_a_flip_closes_the_old_side_and_posts_for_the_new_one_alone(side: int) -> None:
    """4 held; 10 the other way at 5 better: + 20, all of 40 back; 6 opened: 10 % of their notional."""
    d = desk(mode="isolated", taker_fee=FEE)
    d.fill(4 * side)
    price = 100 + 5 * side
    made = d.account.plan(A, -10.0 * side, price)
    assert (made.closed, made.opened, made.size) == (-4 * side, -6 * side, -6 * side)
    assert (made.realised, made.entry) == near((20, price))
    assert (made.closing_fee, made.opening_fee) == near((4 * price * FEE, 6 * price * FEE))
    assert made.fee == near(10 * price * FEE)
    assert made.posted == near(0.6 * price)
    assert made.released == near(40 + 20 - 4 * price * FEE)


def test_in_cross_nothing_is_posted_and_the_fill_is_marked_to_the_mark() -> None:
    """Bought 1 above the mark: − 4 at once, − 0.404 fee, − 40 initial margin at the mark."""
    d = desk(taker_fee=FEE)
    made = d.account.plan(A, 4.0, 101.0)
    assert (made.posted, made.released) == (0, 0)
    assert made.available == near(1_000 - 4 - 0.404 - 40)


def test_before_any_mark_a_fill_is_judged_at_its_own_price() -> None:
    a = account()
    made = a.plan(A, 5.0, 120.0)
    assert made.available == near(1_000 - 60)
    assert a.preview(A, 5.0, 120.0).initial == near(60)
    assert a.plan(A, 84.0, 120.0).refusal is not None


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_the_last_affordable_order_fills_and_a_hair_more_is_refused_with_both_numbers(
    kind: str, mode: str, side: int
) -> None:
    """Of 1,000 at 10x with 0.1 % fee: notional·(0.1 + 0.001) ≤ 1,000."""
    d = desk(kind, mode, taker_fee=FEE)
    most = 100 / 1.01
    assert d.account.plan(d.symbol, most * side * d.unit, d.price).refusal is None
    refusal = d.account.plan(d.symbol, most * 1.000001 * side * d.unit, d.price).refusal
    assert refusal is not None
    assert refusal.reason == "margin"
    assert refusal.allowed == near(money(d))
    assert refusal.found == near(1.000001 * money(d))


def test_where_the_venue_leaves_the_fee_out_of_the_check_it_is_left_out() -> None:
    import dataclasses

    from stories.world import generic

    import bt_margin as btm

    venue = generic(taker_fee=0.01)
    free = dataclasses.replace(venue, orders=dataclasses.replace(venue.orders, fee_in_check=False))
    one = btm.Account(free, cash=1_000, leverage=10)
    one.mark(A, 100)
    assert one.plan(A, 100.0, 100.0).refusal is None
    assert one.plan(A, 100.1, 100.0).refusal is not None
    assert one.preview(A, 1.0, 100.0).affordable_size == near(100)


def test_the_cap_of_the_leverage_counts_the_whole_position_at_the_mark() -> None:
    d = desk(leverage=40, tiers=TIERS)
    assert d.account.plan(A, 20.0, 100.0).refusal is None
    refusal = d.account.plan(A, 21.0, 100.0).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.found, refusal.allowed) == ("leverage_cap", 2_100, 2_000)
    d.fill(15)
    assert d.account.plan(A, 5.0, 100.0).refusal is None
    assert d.account.plan(A, 6.0, 100.0).refusal is not None
    d.mark(1.2)
    assert d.account.plan(A, 2.0, 100.0).refusal is not None


@pytest.mark.parametrize("mode", MODES)
def test_closing_is_never_refused_even_far_above_the_cap_and_without_money(mode: str) -> None:
    d = desk(mode=mode, leverage=40, tiers=TIERS)
    d.fill(20)
    d.mark(1.5)
    d.account.withdraw(d.account.transferable())
    assert d.account.plan(A, -10.0, 150.0).refusal is None
    assert d.account.plan(A, -20.0, 150.0).refusal is None


@pytest.mark.parametrize("mode", MODES)
def test_a_flip_too_large_closes_and_refuses_to_open(mode: str) -> None:
    d = desk(mode=mode)
    d.fill(4)
    fill = d.fill(-300)
    assert (fill.closed, fill.opened, fill.size) == (-4, 0, 0)
    assert fill.refusal is not None
    (event,) = d.kinds("rejected")
    assert (event.size, event.reason) == (-296, "margin")
    assert d.account.equity() == 1_000


# -- preview is commit without the write -----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("held", "units"),
    [(0, 3), (3, 2), (3, -1), (3, -3), (3, -5)],
    ids=["open", "add", "reduce", "close", "flip"],
)
@pytest.mark.parametrize("at", [0.98, 1.03])
def test_what_the_preview_says_is_what_the_fill_books(
    kind: str, mode: str, side: int, held: float, units: float, at: float
) -> None:
    d = desk(kind, mode, taker_fee=FEE)
    a = d.account
    if held:
        d.fill(held * side)
    d.mark(1.01)
    said = a.preview(d.symbol, units * side * d.unit, d.price * at)
    made = a.plan(d.symbol, units * side * d.unit, d.price * at)
    cross, entries = a.cross.balance, len(a.ledger)
    fill = d.fill(units * side, at)
    for name in ("opened", "closed", "realised", "fee", "size", "entry"):
        assert getattr(said, name) == near(getattr(fill, name)), name
    assert said.available == near(a.available())
    risk = a.risk(d.symbol)
    if d.p.pool is None:
        assert (said.initial, said.maintenance, said.ratio) == (0, 0, 0)
        assert said.liquidation_price is None
    else:
        assert said.equity == near(risk.equity)
        assert (said.initial, said.maintenance) == near((risk.initial, risk.maintenance))
        assert said.ratio == near(risk.ratio)
        price = a.liquidation_price(d.symbol)
        assert said.liquidation_price == (None if price is None else near(price))
    assert (said.accepted, said.reason, said.found, said.allowed) == (True, "", None, None)
    if mode == "isolated":
        assert a.cross.balance == near(cross + made.released - made.posted - made.opening_fee)
        moved = [e for e in list(a.ledger)[entries:] if e.kind == "transfer"]
        assert sum(e.amount for e in moved) == near(0)
    a.audit()


@pytest.mark.parametrize("kind", KINDS)
@given(
    units=st.floats(-12, 12).filter(lambda x: abs(x) > 0.01),
    held=st.floats(-4, 4),
    at=st.floats(0.97, 1.03),
    mode=st.sampled_from(MODES),
)
def test_accepted_by_the_preview_is_accepted_by_the_fill(
    kind: str, units: float, held: float, at: float, mode: str
) -> None:
    d = desk(kind, mode, taker_fee=FEE)
    if abs(held) > 0.01:
        d.fill(held)
    d.mark(at)
    assume(abs(units + held) > 1e-6)
    said = d.account.preview(d.symbol, units * d.unit, d.price)
    fill = d.fill(units)
    assert said.accepted == (fill.refusal is None)
    assert said.closed == near(fill.closed)
    if fill.refusal is not None:
        assert (said.reason, said.found, said.allowed) == (
            fill.refusal.reason,
            near(fill.refusal.found),
            near(fill.refusal.allowed),
        )


def test_a_preview_at_no_price_is_one_at_the_mark() -> None:
    d = desk(taker_fee=FEE)
    d.mark(1.1)
    assert d.account.preview(A, 2.0) == d.account.preview(A, 2.0, d.p.mark)


def test_a_preview_of_reducing_only_is_trimmed_to_the_position() -> None:
    d = desk()
    d.fill(3)
    assert d.account.preview(A, -8.0, 100.0, reduce_only=True).closed == -3
    assert d.account.preview(A, 8.0, 100.0, reduce_only=True).opened == 0


def test_the_other_positions_of_the_pool_count_in_a_cross_preview() -> None:
    one = account(tiers=LADDER)
    one.mark(A, 100)
    one.mark("B", 50)
    one.fill("B", -20, 50)
    one.mark("B", 55)
    said = one.preview(A, 10, 100)
    assert (said.equity, said.initial, said.maintenance) == near((900, 210, 5 + 5.5))


@pytest.mark.parametrize(
    ("held", "size", "trimmed"),
    [
        (2, -1, -1),
        (2, -2, -2),
        (2, -3, -2),
        (-2, 3, 2),
        (2, 1, 0),
        (-2, -1, 0),
        (0, 5, 0),
        (2, 0, 0),
    ],
)
def test_a_reduce_only_size_never_opens_and_never_flips(
    held: float, size: float, trimmed: float
) -> None:
    assert trim(held, size) == trimmed


# -- what is left when a position is gone ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
def test_float_dust_of_a_closed_position_leaves_no_position_and_no_posted_margin(
    kind: str, mode: str, side: int
) -> None:
    """trap 39: bought 0.1 three times, sold 0.3: 5e-17 too little, and still all of it."""
    d = desk(kind, mode)
    for _ in range(3):
        d.account.fill(d.symbol, 0.1 * side, d.price)
    assert abs(d.p.size) != 0.3
    made = d.account.plan(d.symbol, -0.3 * side, d.price)
    if mode == "isolated":
        assert made.released == d.posted
    d.account.fill(d.symbol, -0.3 * side, d.price)
    assert d.p.size == 0
    assert d.p.pool is None
    assert not d.account.positions
    assert list(d.account.pools) == [d.account.cross.key]
    assert d.account.available() == d.account.equity() == near(money(d))
    d.mark(1.1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flip_far_beyond_bankruptcy_leaves_the_old_loss_to_the_fund_and_a_whole_new_margin(
    kind: str,
) -> None:
    """5 on 50 closed at 80 lose 100: 50 are the fund's; 5 short from 80 stand on their own 40."""
    any_: Any = desk(kind, "isolated")
    d: Desk = any_
    d.fill(5)
    paid = 0.05 * money(d)
    made = d.account.plan(d.symbol, -10 * d.unit, d.price * 0.8)
    assert made.released == 0
    fill = d.fill(-10, 0.8)
    assert (fill.opened, fill.closed) == (-5 * d.unit, -5 * d.unit)
    assert d.posted == near(made.posted)
    (short,) = d.kinds("shortfall")
    assert short.amount == near(-fill.realised - paid)
    assert short.cause == fill.event.id
    assert [e.event for e in d.account.ledger if e.kind == "insurance"] == [short.id]
    assert d.account.cross.balance == near(money(d) - paid - made.posted)
    d.account.audit()
