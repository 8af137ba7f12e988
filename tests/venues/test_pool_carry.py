"""Carry of pool venues: whole hours or seconds on the size at entry, series that change on their dates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.errors import InputError
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.names import moment
from bt_margin.venues.pool_carry import (
    HOUR,
    HourlyBorrow,
    Impact,
    SecondBySecond,
    Sides,
    course,
    in_force,
    kinked,
    mirrored,
    spans,
)

YEAR = 365 * 24 * HOUR
KINK = {"optimal": 0.5, "base": 0.25, "above": 1.0}
FREE = ((0, 0.0),)


def borrowing(*usage: tuple[int, float]) -> SecondBySecond:
    """Borrow rates by the usage, the same for both sides; no funding."""
    rates = kinked(usage, **KINK)
    return SecondBySecond({"X": Sides(rates, rates)}, {})


def carried(size: float, entry: float = 100.0, opened: int = 0, symbol: str = "X") -> Carried:
    return Carried(symbol, Contract("X"), size, entry, 1.5 * entry, opened, 10.0)


def pool(*positions: Carried) -> PoolView:
    return PoolView(1_000.0, positions, True)


def amounts(carry: Any, view: PoolView, since: int, until: int) -> list[float]:
    return [charge.amount for charge in carry.due(view, since, until)]


# -- numbers over time -----------------------------------------------------------------------------


def test_a_series_changes_on_its_dates_and_its_first_number_holds_before() -> None:
    found = course([("2025-01-01", 0.25), ("2025-02-01", 0.5)], "usage", 0, 1)
    january, february = moment("2025-01-01"), moment("2025-02-01")
    assert january is not None
    assert february is not None
    assert [in_force(found, at) for at in (0, january, february - 1, february)] == [
        0.25, 0.25, 0.25, 0.5,
    ]  # fmt: skip
    pinned = course([("2025-01-01", 0.25), ("2025-02-01", 0.5)], "usage", 0, 1, february - 1)
    assert in_force(pinned, february + 1) == 0.25


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (1.5, "usage is 1.5"),
        ("much", "usage is 'much'"),
        (True, "usage is True"),
        ([], "empty series"),
        ([0.5], r"row 0\.5"),
        (["ab"], "row 'ab'"),
        ([("2025-01-01", 2)], "usage is 2"),
        ([("2025-01-01", 0.5), ("2025-01-01", 0.6)], "rising dates"),
        ([(None, 0.5)], "rising dates"),
        ([("soon", 0.5)], "'soon' is not a date"),
    ],
)
def test_what_is_no_number_and_no_series_is_refused(value: Any, names: str) -> None:
    with pytest.raises(InputError, match=names):
        course(value, "usage", 0, 1)


@given(
    st.lists(st.integers(0, 100), unique=True, max_size=5), st.integers(0, 100), st.integers(0, 100)
)
def test_spans_cover_the_time_once(cuts: list[int], a: int, b: int) -> None:
    values = tuple((at, float(at)) for at in sorted(cuts)) or ((0, 1.0),)
    since, until = sorted((a, b))
    found = list(spans(values, since, until))
    assert sum(end - begin for _, begin, end in found) == until - since
    for value, begin, end in found:
        assert value == in_force(values, begin) == in_force(values, end - 1)


# -- whole hours -----------------------------------------------------------------------------------


def test_each_whole_hour_is_charged_at_its_end_and_once() -> None:
    carry = HourlyBorrow(((0, 0.5),), 100)
    view = pool(carried(10.0))  # 50 ppm of 1,000: 0.05 an hour
    assert amounts(carry, view, 0, HOUR - 1) == []
    assert amounts(carry, view, HOUR - 1, HOUR) == [0.05]
    assert amounts(carry, view, HOUR, 2 * HOUR - 1) == []
    assert amounts(carry, view, 0, 24 * HOUR) == [pytest.approx(24 * 0.05)]


@given(st.lists(st.integers(1, 3 * HOUR), min_size=1, max_size=8))
def test_cutting_the_time_changes_nothing(steps: list[int]) -> None:
    for carry in (
        HourlyBorrow(((0, 0.25), (5 * HOUR, 0.75)), 100),
        borrowing((0, 0.25), (5 * HOUR, 0.75)),
    ):
        view, at, total = pool(carried(-10.0)), 0, 0.0
        for step in steps:
            total += sum(amounts(carry, view, at, at + step))
            at += step
        assert total == pytest.approx(sum(amounts(carry, view, 0, at)))


def test_the_rate_is_rounded_down_and_a_number_with_noise_is_not_cut() -> None:
    assert amounts(HourlyBorrow(((0, 0.57),), 100), pool(carried(10.0)), 0, HOUR) == [0.057]
    assert amounts(HourlyBorrow(((0, 0.579),), 100), pool(carried(10.0)), 0, HOUR) == [0.057]
    noisy = HourlyBorrow(((0, 0.7 - 0.6),), 100)  # 0.09999999999999998
    assert amounts(noisy, pool(carried(10.0)), 0, HOUR) == [0.01]
    assert amounts(HourlyBorrow(((0, 0.0),), 100), pool(carried(10.0)), 0, HOUR) == []


def test_a_change_of_utilisation_counts_for_the_hours_that_end_after_it() -> None:
    carry = HourlyBorrow(((0, 0.2), (2 * HOUR, 0.4)), 100)
    assert amounts(carry, pool(carried(10.0)), 0, 4 * HOUR) == [pytest.approx(0.02 * 2 + 0.04 * 2)]


def test_nobody_pays_for_the_time_before_the_opening() -> None:
    view = pool(carried(10.0, opened=HOUR + 1))
    assert amounts(HourlyBorrow(((0, 0.5),), 100), view, 0, 2 * HOUR) == [0.05]
    carry = borrowing((0, 0.4))
    late = pool(carried(10.0, opened=YEAR // 2))
    assert amounts(carry, late, 0, YEAR) == [pytest.approx(50.0)]
    assert amounts(carry, pool(carried(10.0, opened=YEAR)), 0, YEAR // 2) == []


def test_charges_name_the_leg_they_belong_to() -> None:
    view = pool(carried(10.0, symbol="X long"), carried(-5.0, symbol="X short"))
    charges = HourlyBorrow(((0, 1.0),), 100).due(view, 0, HOUR)
    assert [(c.symbol, c.amount, c.reason) for c in charges] == [
        ("X long", 0.1, "borrow fee"),
        ("X short", 0.05, "borrow fee"),
    ]
    assert HourlyBorrow(((0, 1.0),), 100).on_opening(carried(10.0)) == 0


# -- by the second ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10.0, -10.0])
def test_borrow_fees_follow_the_kink_on_the_size_at_entry(size: float) -> None:
    """Half of the time at usage 0.4 (0.1 a year), half at 0.75 (0.1875 + 0.5 · 0.75 = 0.5625)."""
    carry = borrowing((0, 0.4), (YEAR // 2, 0.75))
    expected = 1_000 * (0.1 + 0.5625) / 2
    assert amounts(carry, pool(carried(size)), 0, YEAR) == [pytest.approx(expected)]


def test_each_side_pays_its_own_rates() -> None:
    carry = SecondBySecond({"X": Sides(((0, 0.25),), FREE)}, {})
    assert amounts(carry, pool(carried(10.0)), 0, YEAR) == [pytest.approx(250)]
    assert amounts(carry, pool(carried(-10.0)), 0, YEAR) == []


def test_funding_is_paid_by_longs_when_positive_and_received_by_the_others() -> None:
    rates = ((0, 0.5), (YEAR // 2, -0.25))
    carry = SecondBySecond({}, {"X": Sides(rates, mirrored(rates))})
    for size, sign in ((10.0, 1), (-10.0, -1)):
        first = carry.due(pool(carried(size)), 0, YEAR // 2)
        assert [(c.amount, c.reason) for c in first] == [(pytest.approx(sign * 250), "funding")]
        assert amounts(carry, pool(carried(size)), YEAR // 2, YEAR) == [pytest.approx(-sign * 125)]


def test_a_symbol_without_rates_pays_nothing() -> None:
    rates = Sides(((0, 1.0),), ((0, 1.0),))
    carry = SecondBySecond({"Y": rates}, {"Y": rates})
    assert amounts(carry, pool(carried(1.0)), 0, YEAR) == []


# -- price impact at the opening -------------------------------------------------------------------

IMPACT = Impact(
    positive=1e-6, negative=1e-5, positive_exponent=1.0, negative_exponent=2.0,
    most_positive=0.004, most_negative=0.05,
)  # fmt: skip


def impact_of(imbalance: dict[str, float], size: float) -> float:
    carry = SecondBySecond({}, {}, {"X": IMPACT}, imbalance)
    return carry.on_opening(carried(size))


def test_a_balanced_market_costs_the_square_of_the_size() -> None:
    """1e-5 · 1,000² = 10 on opening; closing brings it back to balance and pays nothing."""
    assert impact_of({"X": 0.0}, 10.0) == pytest.approx(10.0)
    assert impact_of({"X": 0.0}, -10.0) == pytest.approx(10.0)


def test_a_skewed_market_charges_who_adds_to_it_at_once_and_who_lessens_it_on_leaving() -> None:
    """From 2,000 to 3,000 long: 1e-5 · (9 − 4) million = 50; a short pays 1e-5 · (4 − 1) million back."""
    assert impact_of({"X": 2_000.0}, 10.0) == pytest.approx(50.0)
    assert impact_of({"X": 2_000.0}, -10.0) == pytest.approx(30.0)
    assert impact_of({"X": -2_000.0}, -10.0) == pytest.approx(50.0)


def test_the_impact_is_capped_and_absent_where_nobody_asked_for_it() -> None:
    assert impact_of({"X": 9_000.0}, 10.0) == pytest.approx(50.0)  # 190, but 5 % of 1,000
    assert impact_of({}, 10.0) == 0
    assert SecondBySecond({}, {}, {}, {"X": 0.0}).on_opening(carried(10.0)) == 0
