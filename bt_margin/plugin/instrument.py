"""One symbol's feed as the engine's quote: cached lines, bar times, marks.

A bar's prices are read only when the account or an order can be touched by it, straight from the line
objects, because that is where a broker spends its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice, pairwise
from typing import Any

import backtrader as bt

from bt_margin.core.funding import FundingStamp
from bt_margin.engine.pool import Position
from bt_margin.engine.quote import NEVER
from bt_margin.errors import DataError
from bt_margin.plugin.foreseen import DAY_MS, EPOCH, Foreseen

NAN = float("nan")
OPEN, CLOSE = 0, 3
_UNIT_MS = {
    bt.TimeFrame.MicroSeconds: 0.001,
    bt.TimeFrame.Seconds: 1_000,
    bt.TimeFrame.Minutes: 60_000,
    bt.TimeFrame.Days: DAY_MS,
    bt.TimeFrame.Weeks: 7 * DAY_MS,
    bt.TimeFrame.Months: 28 * DAY_MS,
    bt.TimeFrame.Years: 365 * DAY_MS,
}
"""Shortest length of a bar by timeframe (a month has at least 28 days)."""


def to_ms(number: float) -> int:
    """backtrader's day number as UTC epoch milliseconds.

    >>> to_ms(719163.5)
    43200000
    """
    return round((number - EPOCH) * DAY_MS)


class Unboxed:
    """A line with a bounded buffer (exactbars), which holds numpy's numbers, as plain ones."""

    __slots__ = ("line",)

    def __init__(self, line: Any) -> None:
        self.line = line

    @property
    def idx(self) -> int:
        """The line's place in its buffer."""
        return int(self.line.idx)

    def __getitem__(self, ago: int) -> float:
        return float(self.line[ago])


class Instrument(Foreseen):
    """A feed and the symbol it trades.

    ``marked`` counts the bars whose mark was read and true, ``unmarked`` those that had to do with the last
    price; ``ends_at`` is when the market is delisted.
    """

    __slots__ = (
        "closes_at",
        "data",
        "ends_at",
        "fresh",
        "measured",
        "symbol",
        "tick",
    )

    def __init__(
        self,
        data: Any,
        position: Position,
        stamps: Sequence[FundingStamp],
        marks: Mapping[int, tuple[float, float, float, float]] | None,
        stamped_at: str,
    ) -> None:
        super().__init__(position, stamps)
        self.data = data
        self.symbol = position.symbol
        lines = data.lines
        if not priced(data):
            raise DataError(
                f"the feed {data._name or self.symbol!r} has no open, high, low and close; "
                "a feed without them can be looked at, not traded"
            )
        self.times = lines.datetime
        own = [getattr(lines, f"mark_{n}", None) for n in ("open", "high", "low", "close")]
        self.lines = (lines.open, lines.high, lines.low, lines.close, *own)
        self.marks = marks
        if not getattr(data, "mark_available", own[0] is not None):
            self.lines = (*self.lines[:4], None, None, None, None)
        resampled = getattr(data, "resampling", 0) and not getattr(data, "replaying", 0)
        self.closes_at = stamped_at == "close" or bool(resampled)
        self.replay = bool(getattr(data, "replaying", 0))
        self.step = bar_length(data)
        self.measured = len(getattr(self.times, "array", ())) > 1
        self.fault = ""
        self.fresh = False
        self.tick = 0.0
        self.ends_at = NEVER
        self.behind = self.step if self.closes_at else 0

    @property
    def has_mark(self) -> bool:
        """Whether there are marks at all."""
        return self.lines[4] is not None or self.marks is not None

    def advance(self) -> bool:
        """Whether the feed has moved since the last look; sets the bar's time span if so."""
        count = self.times.lencount
        if count > self.reach:
            return self._advance_unproved(count)
        self.fresh = count != self.passed
        if self.fresh:
            self.number = number = self.numbers[count - 1]
            self.start = start = round((number - EPOCH) * DAY_MS) - self.behind
            self.end = start + self.step
            self.passed = count
            self.unread = True
        return self.fresh

    def _advance_unproved(self, count: int) -> bool:
        """The same for a feed of which nobody knows what comes next."""
        number = self.times[0]
        tick = self.lines[CLOSE][0] if self.replay else 0.0
        self.fresh = (count, number, tick) != (self.passed, self.number, self.tick)
        if not self.fresh:
            return False
        time = round((number - EPOCH) * DAY_MS)
        if self.passed:
            self._compare(number, time)
        elif self.times.mode == self.times.QBuffer:
            self.lines = tuple(None if n is None else Unboxed(n) for n in self.lines)
        self.start = time - self.behind
        self.end = self.start + self.step
        if not self.passed and not self.measured and not self.closes_at:
            self.end = time + 1  # of unknown length; its later stamps are due at the next open
        self.passed = count
        self.number, self.tick = number, tick
        self.unread = True
        return True

    def _compare(self, number: float, time: int) -> None:
        """The bar against the one before: the length of bars, or times that do not rise."""
        before = self.number
        if number > before:
            observed = round((number - before) * DAY_MS)
            if observed < self.step:
                self.step = observed
                self.behind = observed if self.closes_at else 0
        elif not self.replay and not (number == before and is_ticks(self.data)):
            kind = "appears twice" if number == before else "comes after a later one"
            todo = "bars must be in rising order of time (frame.sort_index(), then drop duplicates)"
            if number == before and self.data._timeframe == bt.TimeFrame.Days:
                todo += (
                    "; a feed of hours or minutes that is not told so is read as days, all at the end "
                    "of theirs: give it timeframe=bt.TimeFrame.Minutes, compression=60"
                )
            self._doubt(f"the time {utc_text(time)} of {self.symbol} {kind}; {todo}")

    def _doubt(self, fault: str) -> None:
        """Note what is wrong with the feed; it matters once there is a position, or an order is sent."""
        self.fault = self.fault or fault
        if self.position.size:
            self.sound()

    def sound(self) -> None:
        """:raises DataError: the feed cannot be traded; feeds that are only looked at may be anything."""
        if self.fault:
            raise DataError(self.fault)

    def read(self) -> None:
        """The prices of the current bar, once; marks fall back to last, counted."""
        if not self.unread:
            return
        self.unread = False
        o, h, lo, c, mo, mh, ml, mc = self.lines
        self.open, self.high, self.low, self.close = o[0], h[0], lo[0], c[0]
        if not 0.0 < self.low <= self.high:
            raise DataError(
                f"the bar {utc_text(self.start)} of {self.symbol} is none: open {self.open}, high "
                f"{self.high}, low {self.low}, close {self.close}; prices must be above 0, "
                "the high the highest and the low the lowest"
            )
        if self.replay:
            self._read_tick()
        if mo is not None:
            self.mark_close = mc[0]
            if self.mark_close == self.mark_close:
                self.mark_open, self.mark_high, self.mark_low = mo[0], mh[0], ml[0]
                if self.replay:
                    self._read_mark_tick()
                self.marked += 1
                return
        if self.marks is not None:
            bar = self.marks.get(self.start)
            if bar is not None:
                self.mark_open, self.mark_high, self.mark_low, self.mark_close = bar
                self.marked += 1
                return
        self.unmarked += 1
        self.mark_open, self.mark_high = self.open, self.high
        self.mark_low, self.mark_close = self.low, self.close

    def _read_tick(self) -> None:
        """A replayed bar shows only what this tick added."""
        data = self.data
        if getattr(data, "tick_open", None) is not None:
            self.open, self.high = float(data.tick_open), float(data.tick_high)
            self.low, self.close = float(data.tick_low), float(data.tick_close)

    def _read_mark_tick(self) -> None:
        """A replayed bar shows only the marks of this tick."""
        data = self.data
        if getattr(data, "tick_mark_open", None) is not None:
            self.mark_open, self.mark_high = float(data.tick_mark_open), float(data.tick_mark_high)
            self.mark_low, self.mark_close = float(data.tick_mark_low), float(data.tick_mark_close)

    def usable(self) -> bool:
        """Whether the bar has prices at all (feeds may deliver NaN while they wait).

        :raises DataError: a price of zero or below while a position is held.
        """
        if self.passed <= self.reach:
            return True
        close = self.lines[CLOSE][0]
        if close > 0.0:
            return True
        self.fresh = False
        if close == close:
            self._doubt(
                f"the close {close} of {self.symbol} at {utc_text(self.start)} is no price; "
                "prices must be above 0"
            )
        return False

    def opened(self) -> bool:
        """Whether the feed has delivered a bar the broker has not been through (cheat-on-open).

        Of such a bar the open is known, and nothing else.
        """
        count = self.times.lencount
        if not count:
            return False
        if self.stretch is not None:
            self.stretch.settle()
        if count != self.passed:
            return True
        now = (self.times[0], self.lines[CLOSE][0] if self.replay else 0.0)
        return now != (self.number, self.tick)

    def close_known(self) -> float:
        """The last price as far as time has come, for decisions; never of a bar that has only opened."""
        close = self.lines[3]
        if not self.opened():
            return float(close[0])
        if self.passed == len(self.data):  # one more tick of a replayed bar
            return float(self.tick)
        before = previous(close) if self.passed else None
        return float(before if before is not None else self.lines[0][0])

    def mark_now(self) -> float:
        """The mark as far as time has come, for decisions: of the bar the broker has been through.

        At the open of the next bar it is still that one's close; before any bar, or where bounded
        buffers keep no bar before, the mark at the open.
        """
        if not len(self.data):
            return self.position.mark
        try:
            if not self.opened():
                return self._mark_of(CLOSE, 0, self.start)
            if self.passed == len(self.data):
                return self.close_known() if self.unread else float(self.mark_close)
            if self.passed and self.times.idx > 0:
                return self._mark_of(CLOSE, -1, self.start)
            return self._mark_of(OPEN, 0, to_ms(self.times[0]) - self.closes_at * self.step)
        except IndexError:  # after a run bounded buffers (exactbars) have let the last bar go
            return self.position.mark

    def _mark_of(self, which: int, ago: int, start: int) -> float:
        """The mark's open or close: from its line, else from ``marks``, else the last price."""
        line = self.lines[4 + which]
        mark = line[ago] if line is not None else NAN
        if mark != mark and self.marks is not None:
            bar = self.marks.get(start)
            mark = bar[which] if bar is not None else mark
        return float(mark if mark == mark else self.lines[which][ago])


def priced(data: Any) -> bool:
    """Whether a feed has the lines an order is matched on; some have others (bid and ask alone)."""
    return all(hasattr(data.lines, name) for name in ("open", "high", "low", "close"))


def is_ticks(data: Any) -> bool:
    """Whether a feed's bars are ticks, of which several may have the same time."""
    return bool(data._timeframe == bt.TimeFrame.Ticks)


def previous(line: Any) -> float | None:
    """The value before a line's current one; None at its first, or when its buffer holds one only."""
    return float(line[-1]) if line.idx > 0 else None


def utc_text(time: int) -> str:
    """A time for messages."""
    return f"{datetime.fromtimestamp(time / 1000, timezone.utc):%Y-%m-%d %H:%M} UTC"


def bar_length(data: Any) -> int:
    """Length of the feed's bars in ms: its timeframe, or the closest spacing of its bars if shorter.

    A feed that does not say its timeframe (PandasData assumes days) is measured, so that an hourly bar
    is never charged funding of the hours after it.
    """
    unit = _UNIT_MS.get(data._timeframe, 1)
    nominal = max(1, round(unit * (data._compression or 1)))
    times = list(islice(getattr(data.lines.datetime, "array", ()), 1001))
    spacing = [b - a for a, b in pairwise(times) if b > a]
    return int(min([nominal, *(round(s * DAY_MS) for s in spacing)]))
