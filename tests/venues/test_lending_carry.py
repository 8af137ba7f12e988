"""Interest of a lending market: on which side, at which rate, for how long, and in what it is booked."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from core.exact import fractions
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import lending
from bt_margin.core.contract import Contract
from bt_margin.core.lending import InterestRates
from bt_margin.errors import InputError
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.lending_carry import LendingCarry, RateSeries

HOUR, DAY = 3_600_000, 86_400_000
YEAR = 365 * DAY
STABLE = RateSeries(((0, InterestRates(0.05, 0.03)),))
ASSET = RateSeries(((0, InterestRates(0.02, 0.01)),))
CARRY = LendingCarry(STABLE, {"X": ASSET})


def pool(balance: float, size: float, entry: float = 100.0, mark: float = 120.0) -> PoolView:
    return PoolView(balance, (Carried("X", Contract("X"), size, entry, mark, 0, 2.0),), True)


def due(view: PoolView, since: int = 0, until: int = DAY, carry: LendingCarry = CARRY) -> Any:
    return [(c.symbol, c.amount, c.reason) for c in carry.due(view, since, until)]


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-12)


# -- sides -----------------------------------------------------------------------------------------


def test_a_long_owes_the_stable_and_earns_on_the_asset_at_the_mark() -> None:
    """150 owed at 5 %, 2 · 120 supplied at 1 %."""
    x = 0.05 / 365
    stable, asset = due(pool(50.0, 2.0))
    assert stable == (None, near(150 * (x + x**2 / 2 + x**3 / 6)), "stable owed")
    assert asset == ("X", near(-240 * 0.01 / 365), "asset supplied")


def test_a_short_earns_on_the_stable_and_owes_the_asset_at_the_mark() -> None:
    """250 supplied at 3 %, 2 · 120 owed at 2 %."""
    x = 0.02 / 365
    stable, asset = due(pool(50.0, -2.0))
    assert stable == (None, near(-250 * 0.03 / 365), "stable supplied")
    assert asset == ("X", near(240 * (x + x**2 / 2 + x**3 / 6)), "asset owed")


def test_a_long_bought_with_own_money_alone_earns_twice() -> None:
    stable, asset = due(pool(250.0, 2.0))
    assert stable[1] == near(-50 * 0.03 / 365)
    assert asset[1] < 0


def test_opening_costs_nothing_beside_the_swap() -> None:
    assert CARRY.on_opening(pool(50.0, 2.0).positions[0]) == 0


def test_no_time_and_no_positions_cost_nothing() -> None:
    assert due(pool(50.0, 2.0), DAY, DAY) == []
    assert due(PoolView(1_000.0, (), False)) == []


def test_an_asset_without_rates_is_named() -> None:
    stranger = PoolView(1.0, (Carried("Y", Contract("Y"), 1.0, 1.0, 1.0, 0, 1.0),), False)
    with pytest.raises(InputError, match=r"rates are known for Y.*rates="):
        due(stranger)


# -- time ------------------------------------------------------------------------------------------

rates = st.builds(InterestRates, fractions(0, 1), fractions(0, 1))
whole_hours = st.integers(0, 50).map(lambda n: n * HOUR)


@st.composite
def series(draw: st.DrawFn) -> RateSeries:
    times = sorted(draw(st.sets(whole_hours, min_size=1, max_size=4)))
    return RateSeries(tuple((time, draw(rates)) for time in times))


@given(series(), whole_hours, whole_hours)
def test_pieces_fill_the_time_with_the_rates_in_force(one: RateSeries, a: int, b: int) -> None:
    since, until = min(a, b), max(a, b)
    found = one.pieces(since, until)
    assert sum(seconds for _, seconds in found) * 1000 == until - since
    clock = F(since)
    for each, seconds in found:
        in_force = [r for t, r in one.rates if t <= clock] or [one.rates[0][1]]
        assert each == in_force[-1]
        clock += F(seconds) * 1000


@given(series(), whole_hours, whole_hours, whole_hours)
def test_growth_over_a_change_of_rates_is_the_product_of_both_sides(
    one: RateSeries, a: int, b: int, c: int
) -> None:
    since, middle, until = sorted((a, b, c))
    split = {time for time, _ in one.rates[1:]}  # the first stands in before its date
    if middle in split:
        assert one.owed(since, until) == near(one.owed(since, middle) * one.owed(middle, until))
        both = one.supplied(since, middle) * one.supplied(middle, until)
        assert one.supplied(since, until) == near(both)
    assert one.owed(since, until) >= 1
    assert one.supplied(since, until) >= 1


def test_growth_is_that_of_the_indexes() -> None:
    assert STABLE.owed(0, 7 * YEAR) == near(lending.compounded_growth(0.05, 7 * 31_536_000))
    assert STABLE.supplied(0, 7 * YEAR) == near(1.21)


def test_rates_change_inside_a_bar_and_the_first_stand_in_before() -> None:
    one = RateSeries(
        ((10 * HOUR, InterestRates(0, F(1, 10))), (20 * HOUR, InterestRates(0, F(2, 10))))
    )
    hour = F(3_600, 31_536_000)
    assert one.supplied(0, 10 * HOUR) == near(1 + F(1, 10) * 10 * hour)
    grown = (1 + F(1, 10) * 5 * hour) * (1 + F(2, 10) * 3 * hour)
    assert one.supplied(15 * HOUR, 23 * HOUR) == near(grown)


def test_booked_bar_by_bar_the_stable_owed_compounds() -> None:
    """A year of days is within a millionth of the exponential; a year at once within x⁴/24."""
    idle = LendingCarry(STABLE, {"X": RateSeries(((0, InterestRates(0, 0)),))})
    balance = 50.0
    for day in range(365):
        view = pool(balance, 2.0)
        balance -= sum(c.amount for c in idle.due(view, day * DAY, (day + 1) * DAY))
    assert 200 - balance == pytest.approx(150 * 2.718281828459045**0.05, rel=1e-6)
    assert STABLE.owed(0, YEAR) == pytest.approx(2.718281828459045**0.05, rel=0.05**4 / 24)
