"""The bars a run was judged by, symbol by symbol, as arrays: last prices and marks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.plugin.foreseen import DAY_MS, EPOCH
from bt_margin.studies.result import Run

Floats = NDArray[np.float64]
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's bars: each array of shape (n_bars,), ``times`` UTC ms of the open, ``step`` ms a bar.

    ``mark_low``, ``mark_high`` and ``mark`` (the close) are those of the mark, of the last price where a bar
    had no mark.
    """

    times: NDArray[np.int64]
    step: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    mark_low: Floats
    mark_high: Floats
    mark: Floats

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
    """The bars of each symbol a run traded or could have, and of its sides in hedge mode.

    Symbols whose bars were dropped are left out.
    """
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
            yield from ((name, found) for name in broker.sides_of(quote.symbol))


def _read(quote: Any) -> Bars | None:
    """The lines of a feed; None when it kept only the last of its bars."""
    lines = quote.data.lines
    columns = [lines.open, lines.high, lines.low, lines.close]
    count = len(lines.datetime.array)
    if lines.datetime.mode == lines.datetime.QBuffer or not count:
        return None
    stamps = np.asarray(lines.datetime.array, dtype=float)
    late = quote.step if quote.closes_at else 0
    times = np.rint((stamps - EPOCH) * DAY_MS).astype(np.int64) - late
    opened, high, low, close = (np.asarray(line.array, dtype=float)[:count] for line in columns)
    marks = _marks(quote, times, low, high, close)
    known = np.isfinite(close) & (close > 0.0)
    cut = [a[known] for a in (times, opened, high, low, close, *marks)]
    return Bars(cut[0], int(quote.step), *cut[1:])


def _marks(quote: Any, times: NDArray[np.int64], *last: Floats) -> tuple[Floats, ...]:
    """Low, high and close of the mark; of the last price in bars that had none."""
    lines = [quote.lines[place] for place in (6, 5, 7)]
    if lines[0] is not None:
        own = (np.asarray(line.array, dtype=float)[: len(times)] for line in lines)
        known = np.isfinite(np.asarray(lines[2].array, dtype=float)[: len(times)])
        return tuple(np.where(known, a, b) for a, b in zip(own, last, strict=True))
    if quote.marks is None:
        return last
    found = [quote.marks.get(int(time)) for time in times]
    bars = zip(found, *last, strict=True)
    rows = [(bar[2], bar[1], bar[3]) if bar else lasts for bar, *lasts in bars]
    table = np.asarray(rows, dtype=float).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
