"""Whole numbers of a chain: which way each division rounds."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.quantums import MILLION, exact, micro, ppm, rounded_up, share_of, toward_zero

whole = st.integers(-(10**20), 10**20)
divisors = st.integers(1, 10**9)


@given(whole, divisors)
def test_up_is_the_next_whole_number_and_zero_the_nearer_to_zero(value: int, divisor: int) -> None:
    true = Fraction(value, divisor)
    assert 0 <= rounded_up(value, divisor) - true < 1
    assert abs(toward_zero(value, divisor)) <= abs(true) < abs(toward_zero(value, divisor)) + 1


@given(st.integers(0, 10**20), st.integers(0, MILLION))
def test_a_share_is_rounded_down(amount: int, rate: int) -> None:
    assert 0 <= Fraction(amount * rate, MILLION) - share_of(amount, rate) < 1


def test_a_float_counts_as_the_decimal_it_prints() -> None:
    assert exact(0.1) == Fraction(1, 10) != Fraction(0.1)
    assert exact(Fraction(1, 3)) == Fraction(1, 3)
    assert micro(0.074523) == 74_523


@pytest.mark.parametrize(("amount", "found"), [(1.9999999, 1_999_999), (-1.9999999, -1_999_999)])
def test_what_is_smaller_than_a_millionth_is_cut_off(amount: float, found: int) -> None:
    assert micro(amount) == found


@given(st.integers(0, MILLION))
def test_ppm_undo_themselves(rate: int) -> None:
    assert ppm(rate / MILLION) == rate
