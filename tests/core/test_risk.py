"""Risk adds, and its verdicts leave no gap between safe and liquidated."""

from __future__ import annotations

from fractions import Fraction

import pytest
from core.exact import amounts, fractions
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import Risk, TierTable, initial, maintenance

INF = float("inf")
demands = fractions(0, 500)
risks = st.builds(Risk, amounts, demands, demands)


@given(risks, risks, risks)
def test_risk_adds_in_any_order(a: Risk, b: Risk, c: Risk) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Risk.zero() == a
    assert sum([a, b, c], Risk.zero()) == a + b + c


@given(risks)
def test_the_ratio_reaches_one_exactly_when_the_pool_breaches(risk: Risk) -> None:
    if risk.maintenance > 0:
        assert risk.breached(has_position=True) == (risk.ratio >= 1)
    assert not risk.breached(has_position=False)


@pytest.mark.parametrize(
    ("equity", "demand", "ratio", "breached"),
    [
        (100, 99, 0.99, False),
        (100, 100, 1.0, True),
        (0, 1, INF, True),
        (-5, 1, INF, True),
        (0, 0, 0.0, True),
        (-5, 0, 0.0, True),
        (5, 0, 0.0, False),
    ],
)
def test_meeting_the_requirement_exactly_is_a_breach(
    equity: float, demand: float, ratio: float, breached: bool
) -> None:
    risk = Risk(equity, 0, demand)
    assert risk.ratio == pytest.approx(ratio)
    assert risk.breached(True) is breached


@given(fractions(1, 10_000), fractions(1, 500), fractions(1, 125), fractions(1, 125))
def test_the_margin_ratio_does_not_depend_on_the_chosen_leverage(
    notional: Fraction, equity: Fraction, one: Fraction, two: Fraction
) -> None:
    """trap 4: leverage sets the initial margin and nothing else."""
    table = TierTable.of([(1_000, Fraction(1, 200), 0), (None, Fraction(1, 100), None)])
    demand = maintenance(notional, table)
    a = Risk(equity, initial(notional, one), demand)
    b = Risk(equity, initial(notional, two), demand)
    assert a.ratio == b.ratio
    assert a.breached(True) == b.breached(True)


def test_legs_that_are_safe_alone_are_judged_by_the_sum() -> None:
    """trap 25: three legs, none in breach on the whole equity, together in breach."""
    legs = [Risk(0, 0, 40), Risk(0, 0, 40), Risk(0, 0, 40)]
    wallet = Risk(100, 0, 0)
    assert not any((wallet + leg).breached(True) for leg in legs)
    assert sum(legs, wallet).breached(True)


def test_available_is_what_is_left_for_new_margin() -> None:
    assert Risk(100, 130, 0).available == -30
