"""Price impact: what unbalancing costs, what balancing brings, and the prices that settle it."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from core.exact import fractions
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core import Contract
from bt_margin.core import price_impact as impact

X = Contract("X", multiplier=1)
interest = fractions(0, 2_000)
moves = fractions(1, 1_000)
prices = fractions(1, 500)
FACTORS = {
    "positive": F(1, 200_000),
    "negative": F(1, 100_000),
    "positive_exponent": 2,
    "negative_exponent": 2,
}
#: with equal factors the impact is a potential: it depends on the two ends only
EVEN = FACTORS | {"positive": F(1, 100_000)}


def power(value: F) -> F:
    return value**2 if value >= 1 else F(0)


@given(interest, interest, moves, st.sampled_from([1, -1]))
def test_the_impact_is_that_of_the_two_formulas(long: F, short: F, moved: F, side: int) -> None:
    nl, ns = (long + moved, short) if side > 0 else (long, short + moved)
    before, after = long - short, nl - ns
    found = impact.price_impact(long, short, moved, side, **FACTORS)
    if (before > 0) == (after > 0):
        f = FACTORS["positive"] if abs(after) < abs(before) else FACTORS["negative"]
        assert found == f * power(abs(before)) - f * power(abs(after))
    else:
        gain = FACTORS["positive"] * power(abs(before))
        assert found == gain - FACTORS["negative"] * power(abs(after))


@given(interest, interest, moves, st.sampled_from([1, -1]))
def test_longs_and_shorts_mirror_each_other(long: F, short: F, moved: F, side: int) -> None:
    here = impact.price_impact(long, short, moved, side, **FACTORS)
    assert here == impact.price_impact(short, long, moved, -side, **FACTORS)


@given(interest, interest, moves, st.sampled_from([1, -1]))
def test_there_and_back_is_free_with_even_factors_and_costs_with_uneven_ones(
    long: F, short: F, moved: F, side: int
) -> None:
    nl, ns = (long + moved, short) if side > 0 else (long, short + moved)
    for factors, free in ((EVEN, True), (FACTORS, False)):
        there = impact.price_impact(long, short, moved, side, **factors)
        back = impact.price_impact(nl, ns, -moved, side, **factors)
        assert there + back == 0 if free else there + back <= 0


def test_which_side_is_the_larger_counts_an_even_market_as_short() -> None:
    """From even to long-heavy crosses over, from even to short-heavy does not; both cost the same."""
    for side in (1, -1):
        assert impact.price_impact(F(100), F(100), F(50), side, **FACTORS) == -F(2_500, 100_000)


def test_exponents_may_differ_by_sign() -> None:
    keys = FACTORS | {"positive_exponent": 1}
    assert impact.price_impact(F(100), F(0), F(50), -1, **keys) == F(50, 200_000)
    crossing = impact.price_impact(F(100), F(0), F(150), -1, **keys)
    assert crossing == F(100, 200_000) - F(2_500, 100_000)


@given(fractions(-500, 500), moves, fractions(0, F(1, 10), 100), fractions(0, F(1, 10), 100), moves)
def test_caps_hold_on_both_sides(found: F, size: F, low: F, high: F, pool: F) -> None:
    capped = impact.capped_impact(found, -size, low, high, pool)
    assert -size * low <= capped <= min(size * high, pool)
    if -size * low <= found <= min(size * high, pool):
        assert capped == found


@given(moves, fractions(F(-1, 2), F(1, 2), 40), prices, st.sampled_from([1, -1]))
def test_the_price_of_an_increase_is_worth_the_impact(
    size: F, part: F, price: F, side: int
) -> None:
    signed, value = side * size, part * size
    assume(signed + value != 0)
    at = impact.increase_price(signed, value, price)
    assert X.pnl(signed / at, at, price) == value


@given(moves, prices, fractions(F(1, 10), 1), fractions(F(-1, 2), F(1, 2), 40), prices)
def test_the_price_of_a_decrease_realises_the_impact(
    size: F, entry: F, share: F, part: F, price: F
) -> None:
    for signed in (size, -size):
        tokens, closed, value = signed / entry, signed * share, part * size
        at = impact.decrease_price(signed, tokens, closed, value, price)
        assert X.pnl(tokens * share, entry, at) - X.pnl(tokens * share, entry, price) == value


@pytest.mark.parametrize(("imbalance", "expected"), [(1, 3), (F(99, 100), 0), (10, 300)])
def test_the_factor_applies_from_one_unit_of_money_on(imbalance: F, expected: int) -> None:
    assert impact.applied_factor(imbalance, 3, 2) == expected
