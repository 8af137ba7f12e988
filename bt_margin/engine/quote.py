"""One symbol's bar: last prices, marks, and the funding stamps that fall into it.

A framework subclasses :class:`Quote` and fills the prices in :meth:`Quote.read`, which is called only when
the bar can matter. Finer bars for dangerous bars come as :class:`Detail`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from bt_margin.core.funding import FundingStamp
from bt_margin.engine.pool import Position
from bt_margin.engine.resting import Leg

NEVER = 1 << 62
"""A time no run reaches: the stamp after the last stamp."""


Prices = tuple[float, float, float, float]
"""Open, high, low and close."""


class Quote:
    """The current bar of one symbol, covering ``[start, end)`` in UTC milliseconds.

    ``stamps`` are the symbol's funding settlements in order of time; each is used once.
    """

    __slots__ = (
        "close",
        "cursor",
        "end",
        "high",
        "low",
        "mark_close",
        "mark_high",
        "mark_low",
        "mark_open",
        "next_stamp",
        "open",
        "position",
        "stamps",
        "start",
    )

    def __init__(self, position: Position, stamps: Sequence[FundingStamp] = ()) -> None:
        self.position = position
        self.stamps = stamps
        self.cursor = 0
        self.next_stamp = stamps[0].time if stamps else NEVER
        self.start = self.end = 0
        self.open = self.high = self.low = self.close = 0.0
        self.mark_open = self.mark_high = self.mark_low = self.mark_close = 0.0

    def read(self) -> None:
        """Fill the prices of the current bar from wherever they come."""

    def set(
        self,
        start: int,
        end: int,
        last: Prices,
        mark: Prices | None = None,
    ) -> Quote:
        """Set a bar by hand (notebooks, tests): open, high, low, close of last and of mark."""
        self.start, self.end = start, end
        self.open, self.high, self.low, self.close = last
        self.mark_open, self.mark_high, self.mark_low, self.mark_close = mark or last
        return self

    def take_stamp(self) -> FundingStamp:
        """The next funding stamp, which is thereby used up."""
        stamp = self.stamps[self.cursor]
        self.cursor += 1
        more = self.cursor < len(self.stamps)
        self.next_stamp = self.stamps[self.cursor].time if more else NEVER
        return stamp

    def path_time(self, time: int) -> float:
        """Where in the bar a moment lies, 0 at the open to 1 at the end."""
        return (time - self.start) / (self.end - self.start)

    def mark_at(self, u: float) -> float:
        """Mark by path time on the straight line from open to close (for funding stamps)."""
        return self.mark_open + (self.mark_close - self.mark_open) * u


class SubBar(NamedTuple):
    """A finer bar; marks are None when the finer data has none."""

    time: int
    last: Prices
    mark: Prices | None


class Detail:
    """Finer bars of one symbol, in order of time, each ``step`` milliseconds long."""

    __slots__ = ("bars", "step", "times")

    def __init__(self, bars: Sequence[SubBar], step: int) -> None:
        self.bars = list(bars)
        self.times = [b.time for b in bars]
        self.step = step

    def between(self, start: int, end: int) -> list[SubBar]:
        """The finer bars that open within ``[start, end)``."""
        return self.bars[bisect_left(self.times, start) : bisect_left(self.times, end)]


def legs_of(quote: Quote, low_first: bool, detail: Detail | None) -> list[Leg]:
    """The straight legs of a bar: three from the four prices, or three per finer bar where there are any.

    Finer bars without marks take theirs from :func:`finer_marks`.
    """
    finer = detail.between(quote.start, quote.end) if detail is not None else []
    if not finer or detail is None:
        return _three(
            0.0,
            1.0,
            (quote.open, quote.high, quote.low, quote.close),
            (quote.mark_open, quote.mark_high, quote.mark_low, quote.mark_close),
            low_first,
        )
    marks = finer_marks(quote, finer)
    legs: list[Leg] = []
    at, last, mark = 0.0, quote.open, quote.mark_open
    for bar, own in zip(finer, marks, strict=True):
        start, end = quote.path_time(bar.time), min(1.0, quote.path_time(bar.time + detail.step))
        if start > at:
            legs.append(Leg(at, start, last, last, mark, mark))
        legs += _three(start, end, bar.last, own, low_first)
        at, last, mark = end, bar.last[3], own[3]
    legs.append(Leg(at, 1.0, last, quote.close, mark, quote.mark_close))
    return legs


def finer_marks(quote: Quote, finer: Sequence[SubBar]) -> list[Prices]:
    """Marks of finer bars: their own, or last plus the basis, held inside the coarse bar's mark range.

    The basis (mark less last) runs straight from the coarse bar's open to its close. The finer bar with the
    lowest (highest) last price is where the coarse mark low (high) is taken to have been, so no extreme of
    the mark is missed and a wick of the last price that the mark did not follow stays harmless.
    """
    lowest = min(range(len(finer)), key=lambda i: finer[i].last[2])
    highest = max(range(len(finer)), key=lambda i: finer[i].last[1])
    at_open, at_close = quote.mark_open - quote.open, quote.mark_close - quote.close
    marks: list[Prices] = []
    for i, bar in enumerate(finer):
        if bar.mark is not None:
            marks.append(bar.mark)
            continue
        u = quote.path_time(bar.time)
        basis = at_open + (at_close - at_open) * u
        o, h, lo, c = (
            min(max(price + basis, quote.mark_low), quote.mark_high) for price in bar.last
        )
        o = quote.mark_open if u <= 0.0 else o
        lo = quote.mark_low if i == lowest else min(lo, o)
        h = quote.mark_high if i == highest else max(h, o)
        marks.append((o, h, lo, c))
    return marks


def _three(
    start: float,
    end: float,
    last: Prices,
    mark: Prices,
    low_first: bool,
) -> list[Leg]:
    order = (0, 2, 1, 3) if low_first else (0, 1, 2, 3)
    third = (end - start) / 3
    times = (start, start + third, start + 2 * third, end)
    return [
        Leg(times[i], times[i + 1], last[a], last[b], mark[a], mark[b])
        for i, (a, b) in enumerate(pairwise(order))
    ]
