"""A share of the equity remembers what it is made of, and notes who looks at it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bt_margin.studies.replay.shares import OVER, TIMES, Seen, Share


def equity(bar: int = 3) -> tuple[Share, Seen]:
    seen = Seen()
    return Share.of(1_000.0, bar, seen), seen


def test_sums_and_products_stay_shares() -> None:
    whole, seen = equity()
    one = (0.5 * whole / 20.0 + 1.0) * 2 - whole * 0.01
    assert isinstance(one, Share)
    assert (one.units, round(one.share, 12), one.plain()) == (2.0, 0.04, 42.0)
    assert seen.first == ""


def test_numpy_numbers_take_part() -> None:
    whole, seen = equity()
    one = np.float64(0.5) * whole / np.float64(20.0)
    assert isinstance(one, Share)
    assert one.steps == ((TIMES, 0.5), (OVER, 20.0))
    assert seen.first == ""


@pytest.mark.parametrize("look", [
    lambda e: e > 500.0, lambda e: e == 1.0, float, int, round, math.floor, lambda e: e % 7,
    lambda e: e**2, lambda e: max(e, 3.0), lambda e: e * e, lambda e: 1.0 / e, hash,
])  # fmt: skip
def test_a_look_at_the_number_is_noted(look: object) -> None:
    whole, seen = equity()
    look(whole)  # type: ignore[operator]  # each of them is callable
    assert "looked at" in seen.first


def test_the_equity_of_two_bars_does_not_mix() -> None:
    (one, seen), (other, _) = equity(3), equity(4)
    assert not isinstance(one + other, Share)
    assert seen.first


def test_printing_it_is_no_look() -> None:
    whole, seen = equity()
    assert f"{whole:.1f} {whole}" == "1000.0 1000.0"
    assert bool(whole)
    assert seen.first == ""
