"""Rows as ccxt returns them become bars: inside, on the grid, closed, rising, each time once."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.market.exchange.rows import Bars, Conflict, bars_of, gaps
from bt_margin.market.kinds import Grid

STEP = 60_000
GRID = Grid(STEP)
SPAN = (10 * STEP, 20 * STEP)
LATE = 100 * STEP


def row(n: int, price: float = 1.0) -> list[Any]:
    return [n * STEP, price, price, price, price, 5.0]


def sifted(rows: list[Any], closed_by: int = LATE) -> Bars:
    return bars_of(rows, SPAN, GRID, closed_by)


def test_a_full_page_is_taken_as_it_is() -> None:
    bars = sifted([row(n, n / 7) for n in range(10, 20)])
    assert list(bars.times) == [n * STEP for n in range(10, 20)]
    assert list(bars.columns[0]) == [n / 7 for n in range(10, 20)]
    assert gaps(bars.times, SPAN, GRID) == []


def test_rows_outside_off_the_grid_or_without_a_price_are_left_out() -> None:
    rows = [row(9), row(10), [11 * STEP + 1, 1, 1, 1, 1, 1], row(12), row(20)]
    rows += [[13 * STEP, 1.0, None, 1.0, 1.0, 1.0], [None, 1, 1, 1, 1, 1]]
    bars = sifted(rows)
    assert list(bars.times) == [10 * STEP, 12 * STEP]
    assert bars.strays == 1


def test_a_full_page_with_a_price_missing_has_a_hole() -> None:
    rows = [row(n) for n in range(10, 20)]
    rows[4][3] = None
    assert gaps(sifted(rows).times, SPAN, GRID) == [(14 * STEP, 15 * STEP)]


@pytest.mark.parametrize("closed_by", [19 * STEP, 20 * STEP - 1])
def test_the_unfinished_bar_is_left_out(closed_by: int) -> None:
    bars = sifted([row(n) for n in range(10, 20)], closed_by)
    assert bars.times[-1] == 18 * STEP


def test_a_missing_volume_is_nan() -> None:
    full = [[*row(n)[:5], None if n == 12 else 2.0] for n in range(10, 20)]
    for rows in (full, full[:5]):
        volume = sifted(rows).columns[4]
        assert math.isnan(volume[2])
        assert volume[3] == 2.0


def test_identical_duplicates_are_one_row_and_different_ones_a_conflict() -> None:
    assert list(sifted([row(11), row(11), row(12)]).times) == [11 * STEP, 12 * STEP]
    with pytest.raises(Conflict) as caught:
        sifted([row(11), row(11, 2.0)])
    assert caught.value.time == 11 * STEP


def test_duplicates_that_fill_the_page_are_no_full_page() -> None:
    bars = sifted([row(n) for n in range(10, 15) for _ in range(2)])
    assert list(bars.times) == [n * STEP for n in range(10, 15)]


def test_two_versions_of_a_bar_outside_or_unfinished_are_nobodys_business() -> None:
    rows = [row(9), row(9, 2.0), row(10), row(19), row(19, 2.0)]
    assert list(sifted(rows, closed_by=19 * STEP).times) == [10 * STEP]


@given(st.lists(st.integers(5, 25), max_size=40), st.integers(8, 24), st.randoms())
def test_any_order_gives_the_rows_of_the_span_and_gaps_that_complete_them(
    minutes: list[int], closed: int, shuffle: random.Random
) -> None:
    rows = [row(n, n / 3) for n in minutes]
    shuffle.shuffle(rows)
    bars = sifted(rows, closed * STEP)
    wanted = sorted({n for n in minutes if 10 <= n < min(20, closed)})
    assert list(bars.times) == [n * STEP for n in wanted]
    missing = [n for start, stop in gaps(bars.times, SPAN, GRID) for n in range(start, stop, STEP)]
    assert sorted([*missing, *bars.times]) == list(range(*SPAN, STEP))
