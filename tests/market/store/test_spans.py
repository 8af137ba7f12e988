"""Spans behave as the sets of integers they stand for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.market.kinds import Grid
from bt_margin.market.store.gaps import Gap, painted
from bt_margin.market.store.spans import Spans, common, joined, minus, on_grid

SPAN = st.tuples(st.integers(0, 60), st.integers(0, 60))
SPANS = st.lists(SPAN, max_size=8)
GAPS = st.lists(
    st.builds(Gap, st.integers(0, 40), st.integers(0, 40), st.integers(1, 4)), max_size=8
)


def points(spans: list[tuple[int, int]] | Spans) -> set[int]:
    return {point for start, stop in spans for point in range(start, stop)}


def tidy(spans: Spans) -> bool:
    return all(a < b for a, b in spans) and all(a[1] < b[0] for a, b in pairwise(spans))


@given(SPANS)
def test_the_union_has_the_same_points_and_one_form(spans: list[tuple[int, int]]) -> None:
    union = joined(spans)
    assert points(union) == points(spans)
    assert tidy(union)
    assert joined(reversed(union)) == union


@given(SPANS, SPANS)
def test_difference_and_intersection_are_those_of_sets(
    a: list[tuple[int, int]], b: list[tuple[int, int]]
) -> None:
    one, other = joined(a), joined(b)
    left, both = minus(one, other), common(one, other)
    assert points(left) == points(one) - points(other)
    assert points(both) == points(one) & points(other)
    assert tidy(left)
    assert tidy(both)
    assert joined([*left, *both]) == one


@given(SPANS, st.integers(1, 7), st.integers(0, 6))
def test_spans_on_a_grid_hold_the_same_bars(
    spans: list[tuple[int, int]], step: int, anchor: int
) -> None:
    grid = Grid(step, anchor)
    found = on_grid(spans, grid)
    assert {p for p in points(found) if grid.on(p)} == {p for p in points(spans) if grid.on(p)}
    assert all(grid.on(edge) for span in found for edge in span)
    assert tidy(found)


@given(st.permutations([(0, 3), (3, 5), (4, 9), (20, 21), (10, 10), (8, 12)]))
def test_the_order_in_which_spans_come_does_not_matter(spans: list[tuple[int, int]]) -> None:
    assert joined(spans) == ((0, 12), (20, 21))


@given(GAPS, st.sets(st.integers(0, 45)), st.integers(1, 3))
def test_gaps_keep_the_newest_check_of_every_instant_and_no_rows(
    gaps: list[Gap], rows: set[int], step: int
) -> None:
    times = np.array(sorted(rows), np.int64)
    newest: dict[int, int] = {}
    for gap in gaps:
        for point in range(gap.start, gap.stop):
            newest[point] = max(gap.checked, newest.get(point, 0))
    starts = {row for row in rows if row in newest}  # bars open inside the gap they fill
    filled = {point for row in starts for point in range(row, row + step)}
    found = painted([gap for gap in gaps if gap.start < gap.stop], times, step)
    told = {p: gap.checked for gap in found for p in range(gap.start, gap.stop)}
    assert told == {p: checked for p, checked in newest.items() if p not in filled}
    assert all(a.stop <= b.start for a, b in pairwise(found))
    assert all(a.stop < b.start or a.checked != b.checked for a, b in pairwise(found))
