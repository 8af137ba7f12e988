"""Auto-deleveraging: the examples of the API reference (adl-alert), and the edges."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from bt_margin.core.adl import (
    deleveraged_loss,
    drawdown_ratio,
    starts_deleveraging,
    stops_deleveraging,
)

M = 1_000_000


def test_a_loss_beyond_the_share_of_the_pool_is_not_borne_by_it() -> None:
    """Example 1: 350,000 lost on a pool of 1,000,000 with the threshold −0.3."""
    ratio = drawdown_ratio(F(-350_000), F(0), F(M))
    assert ratio == F(-35, 100)
    assert starts_deleveraging(ratio, M, F(-3, 10), 1)
    assert deleveraged_loss(F(-350_000), F(0), F(M), F(-3, 10)) == 50_000


def test_the_maxima_of_the_window_count() -> None:
    """Example 2: a symbol that had won 1,000,000 loses 600,000; the pool's maximum was 2,000,000."""
    ratio = drawdown_ratio(F(400_000), F(M), F(2 * M))
    assert ratio == F(-3, 10)
    assert starts_deleveraging(ratio, 2 * M, F(-3, 10), 1)
    assert deleveraged_loss(F(400_000), F(M), F(2 * M), F(-3, 10)) == 0
    assert deleveraged_loss(F(300_000), F(M), F(2 * M), F(-3, 10)) == 100_000


def test_an_empty_pool_needs_no_drawdown() -> None:
    """Example 3."""
    assert starts_deleveraging(0, 0, -0.3, 1)
    assert starts_deleveraging(0, -1, -0.3, 1)
    assert not starts_deleveraging(0, 0.5, -0.3, 1)


def test_a_small_pool_is_not_judged_by_its_drawdown() -> None:
    assert not starts_deleveraging(-0.9, 10_000, -0.3, 10_000)
    assert starts_deleveraging(-0.9, 10_001, -0.3, 10_000)


@pytest.mark.parametrize(("ratio", "start"), [(-0.31, True), (-0.3, True), (-0.29, False)])
def test_it_starts_at_the_threshold(ratio: float, start: bool) -> None:
    assert starts_deleveraging(ratio, M, -0.3, 1) is start


@pytest.mark.parametrize(("ratio", "stop"), [(-0.25, False), (-0.249, True), (-0.3, False)])
def test_it_stops_above_the_other_one(ratio: float, stop: bool) -> None:
    assert stops_deleveraging(ratio, M, -0.25) is stop
    assert not stops_deleveraging(ratio, 0, -0.25)
