"""Venue gaps: stretches the venue has no rows for, and when that was last confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bt_margin.market.kinds import Span
from bt_margin.market.store.spans import joined

Times = npt.NDArray[np.int64]


class Gap(NamedTuple):
    """A stretch without rows, `start <= time < stop`, confirmed by the venue at `checked` [ms]."""

    start: int
    stop: int
    checked: int


def painted(gaps: Sequence[Gap], times: Times, step: int) -> list[Gap]:
    """The gaps as one picture: every instant has its newest check, and rows are no gap.

    gaps : in any order, overlapping or not
    times : ndarray of shape (n,), rising: the rows that exist; each fills `step` ms

    The order of the gaps does not matter, so neither does the order in which they were found.

    >>> painted([Gap(0, 10, 1), Gap(5, 15, 2)], np.array([7]), 1)
    [Gap(start=0, stop=5, checked=1), Gap(start=5, stop=7, checked=2), Gap(start=8, stop=15, checked=2)]
    """
    if not gaps:
        return []
    found = np.array(sorted(gaps, key=lambda gap: gap.checked), dtype=np.int64)
    rows = _inside(times, joined((gap.start, gap.stop) for gap in gaps))
    edges = np.unique(np.concatenate([found[:, 0], found[:, 1], rows, rows + step]))
    colour = np.full(len(edges) - 1, -1, dtype=np.int64)
    begins, ends = np.searchsorted(edges, found[:, 0]), np.searchsorted(edges, found[:, 1])
    for begin, end, checked in zip(begins, ends, found[:, 2], strict=True):
        colour[begin:end] = checked
    for begin, end in zip(
        np.searchsorted(edges, rows), np.searchsorted(edges, rows + step), strict=True
    ):
        colour[begin:end] = -1
    turns = np.concatenate([[0], np.flatnonzero(np.diff(colour)) + 1, [len(colour)]])
    return [
        Gap(int(edges[a]), int(edges[b]), int(colour[a]))
        for a, b in pairwise(turns)
        if b > a and colour[a] >= 0
    ]


def _inside(times: Times, spans: tuple[Span, ...]) -> Times:
    """The times that lie in one of the spans (sorted, apart)."""
    if not spans or not len(times):
        return times[:0]
    bounds = np.array(spans, dtype=np.int64)
    place = np.searchsorted(bounds[:, 0], times, side="right") - 1
    inside = (place >= 0) & (times < bounds[place, 1])
    found: Times = times[inside]
    return found
