"""Interest counts hours, whole ones where the venue counts begun hours."""

from __future__ import annotations

from fractions import Fraction

import pytest
from core.exact import amounts, fractions
from hypothesis import given

from bt_margin.core import accrued, started_hours

hours = fractions(0, 100)


@pytest.mark.parametrize(
    ("given_", "begun"), [(0, 0), (0.01, 1), (1, 1), (1.01, 2), (5, 5), (Fraction(11, 2), 6)]
)
def test_a_begun_hour_counts_whole(given_: float, begun: int) -> None:
    assert started_hours(given_) == begun


@given(hours)
def test_begun_hours_are_the_least_whole_number_not_below(given_: Fraction) -> None:
    assert started_hours(given_) - 1 < given_ <= started_hours(given_)


@given(amounts, fractions(0, 1), hours, hours)
def test_interest_accrues_by_the_hour_not_by_the_date(
    borrowed: Fraction, rate: Fraction, one: Fraction, two: Fraction
) -> None:
    """trap 52: two stretches together cost what the whole costs; midnight has no part in it."""
    whole = accrued(borrowed, rate, one + two, 24)
    assert whole == accrued(borrowed, rate, one, 24) + accrued(borrowed, rate, two, 24)
