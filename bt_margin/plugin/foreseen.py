"""Bars known in advance: what a preloaded feed's arrays prove about bars that have not come yet.

A feed that is loaded before the run starts lies in memory as plain arrays. Whether its times rise and its
prices are prices is then asked once for all bars, and how far its mark will move within the next few hundred
bars is a look at two slices (:mod:`bt_margin.plugin.calm`).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from operator import gt, sub
from typing import TYPE_CHECKING, Any

from bt_margin.core.funding import FundingStamp
from bt_margin.engine.pool import Position
from bt_margin.engine.quote import Quote

if TYPE_CHECKING:
    from bt_margin.plugin.calm import Calm

DAY_MS = 86_400_000
EPOCH = 719_163
NAN = float("nan")


class Foreseen(Quote):
    """A quote over a feed's lines, which may know its bars ahead of time.

    ``passed`` counts the bars the broker has been through; in a calm ``stretch`` it lags behind, with the
    bar's times, stamps and counts, until someone asks. ``reach`` is how many bars have been proved sound: 0
    before the proof and where there can be none. ``watched``: a position is held in the stretch, and
    ``closes`` are the marks it moves to.
    """

    __slots__ = (
        "behind",
        "closes",
        "fault",
        "lines",
        "marked",
        "marks",
        "number",
        "numbers",
        "passed",
        "reach",
        "replay",
        "step",
        "stretch",
        "times",
        "unmarked",
        "unproved",
        "unread",
        "watched",
        "watches",
    )

    def __init__(self, position: Position, stamps: Sequence[FundingStamp]) -> None:
        super().__init__(position, stamps)
        self.lines: tuple[Any, ...] = ()
        self.times: Any = None
        self.marks: Mapping[int, tuple[float, float, float, float]] | None = None
        self.fault = ""
        self.replay = self.unread = self.watched = False
        self.step = self.behind = 0
        self.passed = self.reach = 0
        self.stretch: Calm | None = None
        self.number = 0.0
        self.marked = self.unmarked = 0
        self.unproved = True
        self.watches: bool | None = None
        self.numbers: Any = ()
        self.closes: Any = ()

    def proved(self) -> bool:
        """Whether all bars are loaded and sound: times at least a bar's length apart, closes above 0.

        What each bar would be asked when its turn comes, asked once.
        """
        if self.unproved:
            self.unproved = False
            numbers, closes = (getattr(n, "array", None) for n in (self.times, self.lines[3]))
            if not (isinstance(numbers, array) and isinstance(closes, array)) or self.replay:
                return False
            bars = self.times.buflen()
            if bars < 2 or not _above_zero(closes[:bars]) or self.fault:
                return False
            closest = min(map(sub, numbers[1:bars], numbers))
            if closest > 0.0 and round(closest * DAY_MS) >= self.step:
                self.reach, self.numbers = bars, numbers
        return self.reach > 0

    def watchable(self) -> bool:
        """Whether the marks of all bars can be read ahead, and none of the bars is malformed."""
        if self.watches is None:
            self.watches = False
            lines = self.lines[4:] if self.lines[4] is not None else self.lines[:4]
            columns = [line.array[: self.reach] for line in (*self.lines[1:4], *lines)]
            whole = all(
                isinstance(column, array) and len(column) == self.reach for column in columns
            )
            lows, highs = columns[1], columns[0]
            if self.marks is None and whole and _above_zero(lows) and _none_above(lows, highs):
                self.watches = _none_above(columns[5], columns[4])
                self.closes = lines[3].array
        return self.watches

    def extremes(self, first: int, last: int) -> tuple[float, float]:
        """Lowest and highest mark of the bars from place ``first`` to before ``last``; NaN if one is."""
        at = 4 if self.lines[4] is not None else 0
        lows, highs = self.lines[at + 2].array[first:last], self.lines[at + 1].array[first:last]
        known = sum(lows) + sum(highs) + sum(self.closes[first:last])
        return (min(lows), max(highs)) if known == known else (NAN, NAN)

    def catch_up(self, bars: int) -> None:
        """Be so many bars further, as if the broker had been through each of them in the bar contract."""
        if not bars:
            return
        self.passed += bars
        self.number = self.numbers[self.passed - 1]
        self.start = round((self.number - EPOCH) * DAY_MS) - self.behind
        self.end = self.start + self.step
        self.unread = not self.watched
        if self.watched:
            self.marked += bars if self.lines[4] is not None else 0
            self.unmarked += bars if self.lines[4] is None else 0
        while self.next_stamp < self.end:
            self.take_stamp()


def _above_zero(column: Any) -> bool:
    """Whether every number of a column is one, and above 0."""
    return bool(min(column) > 0.0) and sum(column) < float("inf")


def _none_above(lows: Any, highs: Any) -> bool:
    """Whether no low lies above its high (where both are known)."""
    return not any(map(gt, lows, highs))
