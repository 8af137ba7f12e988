"""The bars a run was judged by, symbol by symbol, as arrays: last prices and marks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.plugin.instrument import to_ms
from bt_margin.studies.result import Run

Floats = NDArray[np.float64]
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's bars: each array of shape (n_bars,), ``times`` UTC ms of the open, ``step`` ms a bar.

    ``mark_low`` and ``mark_high`` are those of the mark, of the last price where a bar had no mark.
    """

    times: NDArray[np.int64]
    step: int
    open: Floats
    close: Floats
    mark_low: Floats
    mark_high: Floats

    def at(self, time: int) -> int:
        """The number of the bar that holds a moment; −1 before the first."""
        return int(np.searchsorted(self.times, time, side="right")) - 1

    def price_at(self, time: int) -> float | None:
        """The last price at a moment: the close of the last bar that ended by then.

        ``None`` when the data ends before, or begins after.
        """
        bar = int(np.searchsorted(self.times, time - self.step, side="right")) - 1
        if bar < 0 or not len(self.times) or time > int(self.times[-1]) + self.step:
            return None
        return float(self.close[bar])


def bars_of(run: Run) -> dict[str, Bars]:
    """The bars of each symbol a run traded or could have; symbols whose bars were dropped are left out."""
    return dict(_all(run))


def _all(run: Run) -> Iterator[tuple[str, Bars]]:
    broker, seen = run.broker, set()
    for data in run.strategy.datas:
        if not all(hasattr(data.lines, name) for name in ("open", "high", "low", "close")):
            continue
        quote = broker.instrument(data)
        if quote.symbol in seen:
            continue
        seen.add(quote.symbol)
        found = _read(quote)
        if found is not None:
            yield quote.symbol, found


def _read(quote: Any) -> Bars | None:
    """The lines of a feed; None when it kept only the last of its bars."""
    lines = quote.data.lines
    columns = [lines.open, lines.high, lines.low, lines.close]
    count = len(lines.datetime.array)
    if lines.datetime.mode == lines.datetime.QBuffer or not count:
        return None
    stamps = np.asarray(lines.datetime.array, dtype=float)
    late = quote.step if quote.closes_at else 0
    times = np.asarray([to_ms(number) for number in stamps], dtype=np.int64) - late
    opened, high, low, close = (np.asarray(line.array, dtype=float)[:count] for line in columns)
    mark_low, mark_high = _marks(quote, times, low, high)
    known = np.isfinite(close) & (close > 0.0)
    cut = [a[known] for a in (times, opened, close, mark_low, mark_high)]
    return Bars(cut[0], int(quote.step), *cut[1:])


def _marks(
    quote: Any, times: NDArray[np.int64], low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """The extremes of the mark, of the last price in bars that had none."""
    own_high, own_low = quote.lines[5], quote.lines[6]
    if own_low is not None:
        lows = np.asarray(own_low.array, dtype=float)[: len(low)]
        highs = np.asarray(own_high.array, dtype=float)[: len(high)]
        return np.where(np.isfinite(lows), lows, low), np.where(np.isfinite(highs), highs, high)
    if quote.marks is None:
        return low, high
    found = [quote.marks.get(int(time)) for time in times]
    own = zip(found, low, high, strict=True)
    both = [(bar[2], bar[1]) if bar else (one, two) for bar, one, two in own]
    table = np.asarray(both, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]
