"""How funding rates are made: premium, interest, clamps, and the integers of an index."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import funding_rates as rates
from bt_margin.core.quantums import MILLION

small: Any = st.fractions(F(-1, 10), F(1, 10), max_denominator=10_000)


@given(small, small, st.fractions(0, F(1, 10), max_denominator=1_000))
def test_a_banded_rate_is_the_interest_near_it_and_a_band_away_from_the_premium_else(
    premium: Any, interest: Any, band: Any
) -> None:
    found = rates.banded_rate(premium, interest, band)
    if abs(premium - interest) <= band:
        assert found == interest
    else:
        assert abs(found - premium) == band
        assert (found > interest) == (premium > interest)


@given(small, st.fractions(0, F(1, 10), max_denominator=1_000))
def test_a_clamp_keeps_the_sign_and_the_bound(value: Any, most: Any) -> None:
    found = rates.clamped(value, most)
    assert abs(found) == min(abs(value), most)
    assert found * value >= 0


@pytest.mark.parametrize(
    ("bid", "ask", "found"),
    [(101, 102, F(1, 100)), (98, 99, F(-1, 100)), (99, 101, 0), (100, 101, 0), (99, 100, 0)],
)
def test_the_premium_is_how_far_the_book_stands_off_the_index(
    bid: int, ask: int, found: Any
) -> None:
    assert rates.premium(F(bid), F(ask), F(100)) == found


def test_the_hourly_rate_is_an_eighth_of_the_premium_and_the_interest_of_an_hour() -> None:
    assert rates.hourly_rate(F(1, 1_000), F(1, 80_000)) == F(1, 8_000) + F(1, 80_000)
    assert rates.impact_notional(F(1, 10)) == 5_000


@given(st.integers(-(10**7), 10**7), st.integers(1, 28_800), st.integers(0, 10**9))
def test_an_index_moves_alike_in_both_directions_and_never_too_far(
    rate: int, seconds: int, price: int
) -> None:
    found = rates.index_delta(rate, seconds, price, -5, -10)
    assert found == -rates.index_delta(-rate, seconds, price, -5, -10)
    true = F(rate * price * seconds, 28_800) * F(10) ** (-5 - 10 + 6)
    assert abs(found) <= abs(true)
    assert abs(true) - abs(found) < 2


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12), st.integers(1, 10**9))
def test_what_longs_pay_shorts_receive(now: int, then: int, size: int) -> None:
    long = rates.settlement(now, then, size)
    assert long + rates.settlement(now, then, -size) == 0
    assert (long < 0) == (now > then)


@given(st.integers(0, 10**8), st.integers(0, MILLION), st.integers(0, MILLION))
def test_the_largest_rate_grows_with_the_room_between_initial_and_maintenance(
    factor: int, initial: int, fraction: int
) -> None:
    room = initial - initial * fraction // MILLION
    assert rates.most_rate_ppm(factor, initial, fraction) == factor * room // MILLION
