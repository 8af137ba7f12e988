"""Initial margin that grows with the size of a position."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from bt_margin.core.size_steps import started_steps, stepped_fraction

BTC = {"base": F(5, 100), "increment": F(1, 100), "baseline": F(9), "step": F(3, 2)}


@pytest.mark.parametrize(
    ("size", "percent"),
    [(0.1, 5), (9, 5), (9.001, 6), (10.5, 6), (10.501, 7), (12, 7), (-12, 7), (170, 100)],
)
def test_a_started_step_counts_in_full(size: float, percent: int) -> None:
    assert stepped_fraction(F(str(size)), **BTC) == F(percent, 100)


def test_no_more_than_the_whole_notional_is_asked_for() -> None:
    assert stepped_fraction(10_000, 0.05, 0.01, 9, 1.5) == 1


def test_the_noise_of_floats_starts_no_step() -> None:
    assert started_steps(0.1 + 0.2, 0.0, 0.1) == started_steps(0.3, 0.0, 0.1) == 3
