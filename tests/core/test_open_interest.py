"""Margin fractions in parts per million, and initial margin that grows with open interest."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.open_interest import (
    initial_margin,
    initial_ppm,
    maintenance_margin,
    maintenance_ppm,
)
from bt_margin.core.quantums import MILLION
from bt_margin.errors import InputError

bases = st.integers(0, MILLION)
amounts = st.integers(0, 10**15)


@given(bases, amounts, amounts, amounts)
def test_the_fraction_climbs_in_a_straight_line_between_the_caps(
    base: int, interest: int, one: int, other: int
) -> None:
    lower, upper = sorted((one, other))
    found = initial_ppm(base, interest, lower, upper)
    if upper == 0 or interest <= lower:
        assert found == base
    elif interest >= upper:
        assert found == MILLION
    else:
        line = base + (MILLION - base) * Fraction(interest - lower, upper - lower)
        assert 0 <= line - found < 1


@given(bases, amounts, amounts)
def test_more_open_interest_never_asks_for_less(base: int, interest: int, more: int) -> None:
    caps = 10**14, 5 * 10**14
    assert initial_ppm(base, interest, *caps) <= initial_ppm(base, interest + more, *caps)


def test_one_unit_beyond_a_cap_counts() -> None:
    caps = 1_000_000, 2_000_000
    assert initial_ppm(200_000, 1_000_002, *caps) == 200_001
    assert initial_ppm(200_000, 1_999_999, *caps) == 999_999
    assert initial_ppm(200_000, 2_000_000, *caps) == MILLION


def test_equal_caps_are_a_step() -> None:
    assert [initial_ppm(50_000, n, 7, 7) for n in (7, 8)] == [50_000, MILLION]


@pytest.mark.parametrize(("base", "caps"), [(-1, (0, 0)), (MILLION + 1, (0, 0)), (1, (2, 1))])
def test_fractions_and_caps_that_cannot_be_are_refused(base: int, caps: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        initial_ppm(base, 0, *caps)


@given(st.integers(1, 10**15), bases, bases)
def test_margins_are_rounded_against_the_trader(notional: int, base: int, fraction: int) -> None:
    asked = initial_margin(notional, base)
    assert 0 <= asked - Fraction(notional * base, MILLION) < 1
    needed = maintenance_margin(notional, base, fraction)
    assert 0 <= needed - Fraction(asked * fraction, MILLION) < 1
    assert needed <= asked
    assert maintenance_ppm(base, fraction) <= base


def test_a_chosen_fraction_counts_where_it_is_larger() -> None:
    assert initial_margin(1_000, 50_000, 200_000) == 200
    assert initial_margin(1_000, 200_000, 50_000) == 200
