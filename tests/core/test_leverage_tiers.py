"""Tiers that follow from the largest leverage of each band."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.leverage_tiers import half_rate, leverage_table

leverages = st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True)


@given(leverages, st.integers(1, 10**6))
def test_the_requirement_is_continuous_and_half_the_initial_margin_of_each_band(
    found: list[int], width: int
) -> None:
    rows: Any = [(F(width * n), F(most)) for n, most in enumerate(sorted(found, reverse=True))]
    table = leverage_table(rows)
    assert [tier.mmr * 2 for tier in table.tiers] == [1 / most for _, most in rows]
    assert [tier.max_leverage for tier in table.tiers] == [most for _, most in rows]
    for lower, upper in zip(table.tiers, table.tiers[1:], strict=False):
        edge = upper.floor
        assert edge * lower.mmr - lower.deduction == edge * upper.mmr - upper.deduction


def test_a_cap_belongs_to_the_band_below_it() -> None:
    table = leverage_table([(0, 40), (150_000_000, 20)])
    assert table.at(150_000_000).mmr == half_rate(40) == 0.0125
    assert table.at(150_000_001).mmr == half_rate(20) == 0.025
    assert table.maintenance(200_000_000) == 200_000_000 * 0.025 - 1_875_000
