"""The scaled minimum charge of a portfolio: continuous, steeper from tier to tier."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from core.exact import fractions
from hypothesis import given

from bt_margin.core.portfolio import portfolio_requirement, scaled_charge

#: OKX announcement of 2025-01-02, BTC and ETH before 2025-01-15.
BTC: list[Any] = [
    (10_000, 1), (70_000, 2), (170_000, 4), (300_000, 6), (470_000, 8), (700_000, 10), (None, 12),
]  # fmt: skip


def test_the_published_example() -> None:
    """okx-pm-mr7: 30,000 raw are 10,000 · 1 + 20,000 · 2."""
    charge = scaled_charge(30_000, [(10_000, 1), (70_000, 2)])
    assert charge == 50_000
    assert portfolio_requirement(40_000, charge) == 50_000
    assert portfolio_requirement(60_000, charge) == 60_000


@pytest.mark.parametrize(
    ("raw", "scaled"),
    [
        (0, 0),
        (10_000, 10_000),
        (70_000, 130_000),
        (100_000, 250_000),
        (170_000, 530_000),
        (700_000, 530_000 + 780_000 + 1_360_000 + 2_300_000),
        (701_000, 530_000 + 780_000 + 1_360_000 + 2_300_000 + 12_000),
    ],
)
def test_each_part_has_the_factor_of_its_tier(raw: float, scaled: float) -> None:
    assert scaled_charge(raw, BTC) == scaled


@given(fractions(0, 800_000), fractions(0, 50_000))
def test_more_never_costs_less_than_its_lowest_and_more_than_its_highest_factor(
    raw: Fraction, more: Fraction
) -> None:
    step = scaled_charge(raw + more, BTC) - scaled_charge(raw, BTC)
    assert more <= step <= 12 * more


def test_without_tiers_the_charge_is_raw_and_beyond_the_last_cap_its_factor_goes_on() -> None:
    assert scaled_charge(500, []) == 500
    assert scaled_charge(30, [(10, 1), (20, 3)]) == 10 + 20 * 3
