"""Borrow fees and funding of pools: rates, who pays them, and that nothing is lost between the sides."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from core.exact import fractions
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core import pool_rates as rates

interest = fractions(1, 5_000)
shares = fractions(0, 1, 100)
small = fractions(0, F(1, 10), 1_000)


# -- borrow fees in intervals ----------------------------------------------------------------------


@given(st.integers(1, 1_000), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 5_000))
def test_the_interval_rate_is_rounded_down_to_whole_ppm(
    factor: int, reserved: int, pool: int, count: int
) -> None:
    rate = rates.interval_borrow_rate(factor, reserved, pool, count)
    exact = F(factor * reserved * count, pool)
    assert isinstance(rate, int)
    assert rate <= exact < rate + 1


def test_an_empty_pool_charges_nothing_and_the_fee_is_per_million() -> None:
    assert rates.interval_borrow_rate(100, 5, 0) == 0
    assert rates.interval_borrow_rate(1, 10**30 - 1, 10**15) == 10**15 - 1  # of integers, exactly
    assert rates.interval_borrow_fee(F(-40), 233) == F(932, 100_000)


# -- borrow fees by the second ---------------------------------------------------------------------


@given(shares, fractions(0, F(99, 100), 100), small, small)
def test_the_kink_joins_two_straight_lines(used: F, optimal: F, base: F, more: F) -> None:
    above = base + more

    def rate(usage: F) -> F:
        return rates.kink_borrow_rate(usage, optimal, base, above)

    assert rate(optimal) == optimal * base
    assert rate(F(1)) == above
    expected = used * base
    if used > optimal:
        expected += (used - optimal) * more / (1 - optimal)
    assert rate(used) == expected


def test_a_rate_above_the_kink_never_falls_and_full_usage_as_optimum_has_no_kink() -> None:
    assert rates.kink_borrow_rate(F(9, 10), F(1, 2), F(4, 10), F(1, 10)) == F(36, 100)
    assert rates.kink_borrow_rate(F(3, 2), F(1), F(4, 10), F(9)) == F(6, 10)


@given(interest, interest, small)
def test_linear_rates_and_usage(reserved: F, pool: F, factor: F) -> None:
    assert rates.linear_borrow_rate(factor, reserved, pool) == factor * reserved / pool
    assert rates.linear_borrow_rate(factor, reserved, pool, 2) == factor * reserved**2 / pool
    assert rates.pool_usage(reserved, pool, F(3, 2)) * pool * 3 == reserved * 2


@given(interest, interest)
def test_at_least_one_side_pays_and_both_when_they_are_even(own: F, other: F) -> None:
    pays = rates.pays_borrowing(own, other, True), rates.pays_borrowing(other, own, True)
    assert any(pays)
    assert all(pays) == (own == other)
    assert rates.pays_borrowing(own, other, False)


def test_powers_of_less_than_one_are_nothing() -> None:
    assert rates.exponentiated(F(1), 2) == 1
    assert rates.exponentiated(F(99, 100), 2) == 0
    assert rates.exponentiated(F(99, 100), 1) == 0
    assert rates.exponentiated(F(7), 2) == 49


def test_a_year_has_365_days() -> None:
    assert rates.YEAR_SECONDS == 365 * 86_400
    assert rates.accrued_on_size(F(-1_000), rates.per_second(F(1, 2)), rates.YEAR_SECONDS) == 500


# -- funding ---------------------------------------------------------------------------------------


@given(interest, interest, small)
def test_the_larger_side_pays_and_the_mirror_pays_back(long: F, short: F, factor: F) -> None:
    rate = rates.static_funding(long, short, factor)
    assert rate == -rates.static_funding(short, long, factor)
    assert (rate > 0) == (long > short and abs(long - short) >= 1 and factor > 0)
    capped = rates.static_funding(long, short, factor, most=F(1, 1_000))
    assert abs(capped) == min(abs(rate), F(1, 1_000))


@given(interest, interest, small, st.lists(shares, min_size=1, max_size=4))
def test_what_payers_pay_receivers_receive(long: F, short: F, rate: F, parts: list[F]) -> None:
    assume(sum(parts) > 0)
    total = sum(parts)
    paid, got = (
        sum(rates.funding_fee(rate, long, 60, side * part / total, side) for part in parts)
        for side in (long, short)
    )
    assert paid == got == rate * long * 60


KEYS = {
    "increase": F(1, 1_000),
    "decrease": F(1, 100_000),
    "threshold_stable": F(1, 20),
    "threshold_decrease": F(3, 100),
}


def slow_adaptive(saved: F, long: F, short: F, seconds: F, most: F) -> F:
    """As MarketUtils writes it: choose the kind of change, apply it, bound the magnitude."""
    total = long + short
    d = (abs(long - short) if abs(long - short) >= 1 else F(0)) / total
    change = "none"
    if (saved > 0 and long > short) or (saved < 0 and short > long):
        if d > KEYS["threshold_stable"]:
            change = "increase"
        elif d < KEYS["threshold_decrease"]:
            change = "decrease"
    else:
        change = "increase"
    after = saved
    if change == "increase":
        step = d * KEYS["increase"] * seconds
        after = saved - step if long < short else saved + step
    if change == "decrease":
        fall = KEYS["decrease"] * seconds
        sign = 1 if saved > 0 else -1
        after = sign * (abs(saved) - fall) if abs(saved) > fall else sign * F(rates.SMALLEST)
    sign = -1 if after < 0 else 1
    return sign * min(abs(after), most)


@given(fractions(F(-1, 10), F(1, 10), 1_000), interest, interest, fractions(0, 600), small)
def test_adaptive_funding_is_that_of_the_contract(
    saved: F, long: F, short: F, seconds: F, most: F
) -> None:
    ours = rates.adaptive_funding(saved, long, short, seconds, most=most, **KEYS)
    assert ours == slow_adaptive(saved, long, short, seconds, most)


@pytest.mark.parametrize(
    ("long", "short", "moves"),
    [(1_060, 940, 1), (1_050, 950, 0), (1_040, 960, 0), (1_030, 970, 0), (1_020, 980, -1)],
)
def test_edges_of_the_thresholds_change_nothing(long: int, short: int, moves: int) -> None:
    """Skews of 6, 5 (stable), 4, 3 (decrease) and 2 %: only beyond an edge does the rate move."""
    saved = F(1, 100)
    found = rates.adaptive_funding(saved, F(long), F(short), F(10), **KEYS)
    assert (found > saved) - (found < saved) == moves


def test_a_rate_that_runs_out_keeps_its_direction() -> None:
    found = rates.adaptive_funding(-1e-9, 980, 1_020, 600, increase=1.0, decrease=1.0,
                                   threshold_stable=0.05, threshold_decrease=0.03)  # fmt: skip
    assert found == -rates.SMALLEST
    assert rates.skew(0, 0) == 0


@given(fractions(F(-1, 10), F(1, 10), 1_000), small)
def test_the_rate_charged_is_at_least_the_least(rate: F, least: F) -> None:
    charged = rates.at_least(rate, least)
    assert abs(charged) == max(abs(rate), least)
    assert charged * rate >= 0
