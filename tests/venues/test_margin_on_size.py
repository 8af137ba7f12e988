"""Margin on the size at entry: requirements fixed in money, checks at opening, caps, unpaid borrow fees."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from core.exact import fractions
from hypothesis import given

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import Tier, TierTable
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_on_size import FactorOrFee, FactorPlusFee, UnpaidBorrow, entry_size
from bt_margin.venues.pool_carry import HOUR, HourlyBorrow

X = Contract("X", multiplier=1)
RATE, FEE = F(1, 200), F(6, 10_000)


def table(rate: Any, cap: Any = float("inf"), leverage: Any = None) -> TierTable:
    return TierTable((Tier(0, cap, rate, 0, leverage),))


def held(size: Any, entry: Any, leverage: Any = F(10), **changes: Any) -> Held:
    found = Held(X, size, entry, leverage, table(RATE), FEE, True)
    return found._replace(**changes)


sizes = fractions(F(1, 20), 50)
prices = fractions(1, 500)


@given(sizes, prices, prices)
def test_the_requirement_is_of_the_entry_and_deaf_to_the_mark(size: F, entry: F, mark: F) -> None:
    for signed in (size, -size):
        for rule in (FactorPlusFee(F(1)), FactorOrFee(F(5))):
            asked = rule.requirement(held(signed, entry))
            assert asked.maintenance(size * mark) == asked.maintenance(size * entry)


@given(sizes, prices)
def test_the_fee_adds_in_one_rule_and_competes_in_the_other(size: F, entry: F) -> None:
    value = size * entry
    one = FactorPlusFee(F(1)).requirement(held(size, entry)).maintenance(value)
    two = FactorOrFee(F(5)).requirement(held(size, entry)).maintenance(value)
    assert one == max(RATE * value, 1) + FEE * value
    assert two == max(RATE * value, FEE * value + 5)


@given(sizes, prices, prices, fractions(1, 300))
def test_opening_asks_for_what_keeps_the_position_open(size: F, entry: F, mark: F, lev: F) -> None:
    for rule in (FactorPlusFee(F(1)), FactorOrFee(F(5))):
        one = held(size, entry, lev)
        value = size * entry
        needed = rule.requirement(one).maintenance(value)
        assert rule.initial(one, mark) == max(value / lev, needed)
        fresh = one._replace(entry=mark)
        assert rule.initial(one._replace(entry=0), mark) == rule.initial(fresh, mark)


def test_a_crowded_side_asks_for_more() -> None:
    """S · (others + S) · multiplier: 1,000 · (9,000 + 1,000) · 1e-5 = 100 where the factor is 5."""
    rule = FactorPlusFee(F(1), {"X": F(1, 100_000)}, {"X": F(9_000)})
    assert rule.initial(held(F(10), F(100), F(200)), F(100)) == 100
    assert rule.initial(held(F(-10), F(100), F(5)), F(100)) == 200
    alone = FactorPlusFee(F(1), {"X": F(1, 100_000)})
    assert alone.initial(held(F(10), F(100), F(200)), F(100)) == 10
    # crowding has no part in what keeps a position open
    one = held(F(10), F(100))
    assert rule.requirement(one) == FactorPlusFee(F(1)).requirement(one)


@given(sizes, prices, prices)
def test_the_cap_is_on_sizes_at_entry(size: F, entry: F, mark: F) -> None:
    """notional ≤ cap(price) exactly when the money of the opening is within the table's cap."""
    one = held(size, entry, limits=table(RATE, F(500), 200))
    for rule, most in ((FactorPlusFee(F(1), {}, {"X": F(100)}), 400), (FactorOrFee(F(5)), 500)):
        assert (size * mark <= rule.cap(one, mark)) == (size * entry <= most)
        assert rule.cap(one._replace(entry=0), mark) == most


def test_no_leverage_beyond_the_table_and_never_a_cap_below_zero() -> None:
    one = held(F(1), F(100), F(201), limits=table(RATE, F(500), 200))
    assert FactorPlusFee(F(1)).cap(one, F(100)) == 0
    full = FactorPlusFee(F(1), {}, {"X": F(600)})
    assert full.cap(one._replace(leverage=F(10)), F(100)) == 0


def test_a_table_without_a_factor_leaves_the_fees() -> None:
    """As when a user says maintenance_rate=0 for a symbol."""
    free = held(F(10), F(100), limits=table(0))
    assert FactorOrFee(F(5)).requirement(free).maintenance(0) == F(6, 10) + 5
    assert FactorPlusFee(F(1)).requirement(free).maintenance(0) == 1 + F(6, 10)


def test_entry_size_counts_what_is_not_open_at_the_price() -> None:
    assert entry_size(held(F(-2), F(100)), F(130)) == 200
    assert entry_size(held(F(-2), F(0)), F(130)) == 260


# -- borrow fees not yet paid ----------------------------------------------------------------------

#: all of the pool reserved at 1,000 ppm an hour: 1 of a size of 1,000
CARRY = HourlyBorrow(((0, 1.0),), 1_000)
UNPAID = UnpaidBorrow(CARRY, 50, F(1, 1_000), F(5))


def pool(size: Any, entry: Any, opened: int = 0) -> PoolView:
    return PoolView(100.0, (Carried("X", X, size, entry, entry, opened, 10.0),), True)


@pytest.mark.parametrize(
    ("hours", "relief"),
    [(0, 0), (1, -1), (13, -13), (14, -14), (15, -14), (1_000, -14)],
)
def test_the_factor_gives_way_until_the_fees_decide(hours: int, relief: int) -> None:
    """S = 1,000: factor 20, fees and 5: 6. After h hours the least equity is max(20 − h, 6)."""
    for size in (F(10), F(-10)):
        assert UNPAID.of(pool(size, F(100)), hours * HOUR) == relief


def test_small_positions_have_no_relief_and_an_empty_pool_none() -> None:
    assert UNPAID.of(pool(F(2), F(100)), 50 * HOUR) == 0
    assert UNPAID.of(PoolView(1.0, (), True), HOUR) == 0


def test_unpaid_counts_from_the_opening() -> None:
    assert UNPAID.of(pool(F(10), F(100), opened=3 * HOUR), 5 * HOUR) == -2
