"""Positions and pools: sums, sides, the worst corner."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import COIN, KINDS, SIDES, desk, near
from hypothesis import given
from hypothesis import strategies as st
from stories.world import LADDER, A, B, account

from bt_margin.core.contract import Contract
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import TierTable
from bt_margin.engine.pool import Pool, Position

LINEAR, INVERSE = Contract(A, multiplier=0.5), Contract(COIN, "inverse", 100.0, "BTC")
STEPPED = TierTable.of([(400, 0.01, 0), (None, 0.3, 0)], stepped=True)


def held(contract: Contract, size: float, entry: float, table: TierTable | None = None) -> Position:
    p = Position(contract, 10.0, "cross", table or TierTable.flat(0.01))
    p.size, p.entry = size, entry
    p.move(entry)
    return p


@pytest.mark.parametrize("contract", [LINEAR, INVERSE])
@pytest.mark.parametrize("side", SIDES)
def test_the_shortcuts_of_a_position_are_the_formulas_of_its_contract(
    contract: Contract, side: int
) -> None:
    p = held(contract, 7.0 * side, 120.0)
    p.move(90.0)
    assert p.worth(90.0) == contract.worth(90.0)
    assert p.gain(120.0, 90.0) == near(contract.pnl(p.size, 120.0, 90.0))
    assert p.unrealised() == near(contract.pnl(p.size, 120.0, 90.0))
    assert p.notional() == p.notional_at(90.0) == near(contract.notional(p.size, 90.0))
    assert p.initial() == near(p.notional() / 10)
    assert p.maintenance() == near(p.notional() * 0.01)
    assert p.side == ("long" if side > 0 else "short")


def test_a_flat_position_needs_and_is_worth_nothing() -> None:
    p = Position(INVERSE, 10.0, "cross", TierTable.flat(0.01))
    assert (p.unrealised(), p.notional(), p.initial(), p.maintenance()) == (0, 0, 0, 0)
    assert p.side is None


def test_a_move_ends_the_range_of_the_bar() -> None:
    p = held(LINEAR, 1.0, 100.0)
    p.low, p.high = 90.0, 110.0
    p.move(105.0)
    assert (p.low, p.mark, p.high) == (105.0,) * 3


def test_risk_of_a_pool_is_its_balance_and_the_sum_over_its_positions() -> None:
    one = account(cash=1_000, tiers=LADDER)
    one.mark(A, 100)
    one.mark(B, 50)
    one.fill(A, 30, 100)
    one.fill(B, -60, 50)
    one.mark(A, 101)
    one.mark(B, 52)
    pool = one.cross
    assert pool.unrealised() == near(30 - 120)
    assert pool.equity() == near(910)
    assert pool.initial() == near(303 + 312)
    assert pool.maintenance() == near(3_030 * 0.005 + 3_120 * 0.005)
    assert pool.risk() == Risk(pool.equity(), pool.initial(), pool.maintenance())
    assert pool.ratio() == near(30.75 / 910)


def test_the_ratio_of_a_pool_without_positions_is_zero_and_it_never_breaches() -> None:
    pool = Pool("cross:X", "cross", "X")
    assert pool.ratio() == 0
    assert not pool.breached()


def test_equity_that_only_meets_the_maintenance_is_a_breach() -> None:
    pool = Pool("cross:X", "cross", "X")
    pool.positions.append(held(Contract(A), 100.0, 100.0))
    pool.balance = 100.0
    assert pool.breached()
    pool.balance = 100.0 + 1e-9
    assert not pool.breached()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
@given(
    low=st.floats(0.7, 1.0), high=st.floats(1.0, 1.3), s=st.floats(0, 1), size=st.floats(0.1, 60)
)
def test_no_mark_of_the_bar_is_worse_than_the_worst_corner(
    kind: str, side: int, low: float, high: float, s: float, size: float
) -> None:
    """Health at any mark is at least health at the corner, in stepped tables too."""
    contract, price = (Contract(A), 100.0) if kind == "linear" else (INVERSE, 50_000.0)
    scale = 100.0 if kind == "linear" else 100 / 50_000
    table = TierTable.of([(20 * scale, 0.01, 0), (None, 0.3, 0)], stepped=True)
    p = held(contract, side * size, price, table)
    pool = Pool("x", "cross", "X")
    pool.positions.append(p)
    p.low, p.high = price * low, price * high
    equity, need = pool.worst()
    p.move(p.low + (p.high - p.low) * s)
    assert pool.equity() - pool.maintenance() >= equity - need - 1e-9 * scale * size


@pytest.mark.parametrize(("side", "corner"), [(1, 80.0), (-1, 130.0)])
def test_the_worst_corner_is_the_low_of_a_long_and_the_high_of_a_short(
    side: int, corner: float
) -> None:
    pool = Pool("x", "cross", "X")
    p = held(Contract(A), 2.0 * side, 100.0)
    p.low, p.high = 80.0, 130.0
    pool.positions.append(p)
    pool.balance = 500.0
    assert pool.worst() == (500 + 2 * side * (corner - 100), near(2 * corner * 0.01))


def test_the_corner_of_a_stepped_table_looks_at_the_tier_above() -> None:
    """2 long, 150 to 250: at 200.. the notional passes 400 and 0.3·400 is asked, 100 gained on the way."""
    pool = Pool("x", "cross", "X")
    p = held(Contract(A), 2.0, 200.0, STEPPED)
    p.low, p.high = 150.0, 250.0
    pool.positions.append(p)
    equity, need = pool.worst()
    assert (equity, need) == (-100, near(0.3 * 400 - 100))


def test_a_side_is_the_sign_of_the_size_however_small() -> None:
    sizes = (0.001, 1.0, -0.001, -1.0, 0.0)
    sides = [held(Contract(A), size, 100.0).side for size in sizes]
    assert sides == ["long", "long", "short", "short", None]


def test_positions_and_pools_can_be_read() -> None:
    d: Any = desk()
    d.fill(-3)
    assert repr(d.p) == f"Position('{A}', size=-3, entry=100, mark=100, cross, leverage=10)"
    assert repr(d.account.cross) == "Pool('cross:USDT', balance=1000, positions=1)"
