"""Lay the fall of a crash over the bars of a symbol: the history is bent through its levels.

    p'(t) = p(t) · exp g(t)       g straight between the levels of the crash, constant after the last of them

so that between the levels the history's own movements stay, and after the crash its own returns go on from
where the crash has left the price. The low of the crash is met to the last digit and nothing lies below it.
The mark is moved by the same factor, so the distance of mark and last price stays what it was, except in the
worst hours, where it is that of the crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.market.frames import FUNDING, LAST, MARK, bar_step
from bt_margin.studies.crashes import Fall

Array = npt.NDArray[np.float64]
HOUR = 3_600_000_000_000  # nanoseconds, as the index counts


@dataclass(frozen=True, slots=True)
class Knots:
    """Levels of the price by time (ns), as shares of the price at the beginning; ``extra`` of the mark.

    ``mark`` is the level of the mark at the same times; both are 1 at the beginning.
    """

    times: Array
    last: Array
    mark: Array

    @property
    def end(self) -> float:
        """When the last level is reached."""
        return float(self.times[-1])


def knots_of(fall: Fall, begin: int, scale: float) -> Knots:
    """The levels a price passes: to the power ``scale``, which makes the fall (in logs) so much deeper."""
    rows: list[tuple[float, float, float, bool]] = [(0.0, 1.0, 1.0, False)]
    for plunge in fall.plunges:
        rows.append((plunge.hour, plunge.opened, plunge.opened, False))
        rows.append((plunge.hour + 0.5, plunge.low, plunge.mark_low, True))
        rows.append((plunge.hour + 1.0, plunge.closed, plunge.closed, False))
    rows.append((fall.plunges[-1].hour + 25.0, fall.level_after, fall.level_after, False))
    hours, last, mark, _ = (
        np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)
    )
    return Knots(begin + hours * HOUR, last**scale, mark**scale)


def step_of(frame: pd.DataFrame) -> int:
    """Length of a frame's bars in nanoseconds, whatever its index counts in."""
    return bar_step(pd.DatetimeIndex(frame.index).as_unit("ns"))


def bent(frame: pd.DataFrame, fall: Fall, at: pd.Timestamp, scale: float = 1.0) -> pd.DataFrame:
    """The frame with a fall laid over it from the first bar at or after ``at``.

    Bars before that are the very same numbers; a frame that ends before it comes back unchanged.
    """
    first = int(frame.index.searchsorted(at))
    if first >= len(frame):
        return frame
    times = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
    step = step_of(frame)
    knots = knots_of(fall, int(times[first]), scale)
    out = frame.copy()
    opening = frame["open"].to_numpy(dtype=np.float64)
    start = float(opening[first])
    whole = np.interp(knots.times, times.astype(np.float64), np.log(opening))
    factor = np.log(start * knots.last) - whole
    tail = slice(first, len(frame))
    begins = times[tail].astype(np.float64)
    moves = _at(begins, step, knots.times, factor)
    _put(out, frame, LAST, tail, moves, _Levels(knots, knots.last * start, begins, step))
    if MARK[0] in frame.columns:
        bump = _at(begins, step, knots.times, np.log(knots.mark / knots.last))
        mark = frame[MARK[0]].to_numpy(dtype=np.float64)[tail]
        known = mark[np.isfinite(mark)]
        begun = float(known[0]) if len(known) else start
        both = (moves[0] + bump[0], moves[1] + bump[1])
        _put(out, frame, MARK, tail, both, _Levels(knots, knots.mark * begun, begins, step))
    _settle(out, fall, pd.Timestamp(int(times[first]), tz="UTC"), scale)
    return out


def _at(begins: Array, step: int, times: Array, values: Array) -> tuple[Array, Array]:
    """A chain of straight lines at the bars' opens and at their closes."""
    return np.interp(begins, times, values), np.interp(begins + step, times, values)


@dataclass(frozen=True, slots=True)
class _Levels:
    """The prices a crash names, and the bars they fall in."""

    knots: Knots
    prices: Array
    begins: Array
    step: int

    def inside(self) -> Sequence[tuple[int, float]]:
        """Row and price of every level that is reached within a bar, not at its edge."""
        rows = np.searchsorted(self.begins, self.knots.times, side="right") - 1
        found = []
        for row, time, price in zip(rows, self.knots.times, self.prices, strict=True):
            if row >= 0 and self.begins[row] < time < self.begins[row] + self.step:
                found.append((int(row), float(price)))
        return found

    def lasting(self) -> int:
        """How many rows the crash takes."""
        return int(np.searchsorted(self.begins, self.knots.end, side="left"))


def _put(
    out: pd.DataFrame,
    frame: pd.DataFrame,
    names: Sequence[str],
    tail: slice,
    moves: tuple[Array, Array],
    levels: _Levels,
) -> None:
    """Move the four prices: wicks keep their share, levels inside a bar are met, none is below the low."""
    opened, high, low, closed = (frame[n].to_numpy(dtype=np.float64)[tail] for n in names)
    first, final = opened * np.exp(moves[0]), closed * np.exp(moves[1])
    count, floor = levels.lasting(), float(levels.prices.min())
    first[:count], final[:count] = (
        np.maximum(first[:count], floor),
        np.maximum(final[:count], floor),
    )
    top = np.maximum(first, final) * (high / np.maximum(opened, closed))
    bottom = np.minimum(first, final) * (low / np.minimum(opened, closed))
    for row, price in levels.inside():
        if np.isfinite(bottom[row]):
            top[row], bottom[row] = max(top[row], price), min(bottom[row], price)
    bottom[:count] = np.maximum(bottom[:count], floor)
    top, bottom = (
        np.maximum(top, np.maximum(first, final)),
        np.minimum(bottom, np.minimum(first, final)),
    )
    for name, values in zip(names, (first, top, bottom, final), strict=True):
        column = frame[name].to_numpy(dtype=np.float64, copy=True)
        column[tail] = values
        out[name] = column


def _settle(out: pd.DataFrame, fall: Fall, begun: pd.Timestamp, scale: float) -> None:
    """The settlements that had the lowest rate, in a row from its hour on."""
    if FUNDING not in out.columns:
        return
    rates = out[FUNDING].to_numpy(dtype=np.float64, copy=True)
    due = begun + pd.Timedelta(hours=fall.funding_hour)
    places = np.flatnonzero(np.isfinite(rates) & np.asarray(out.index >= due))
    rates[places[: fall.settlements]] = fall.funding * scale
    out[FUNDING] = rates
