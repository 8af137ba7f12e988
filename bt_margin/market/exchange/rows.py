"""Bars out of what ccxt returns: inside the span, on the grid, closed, rising, each time once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from bt_margin.market.kinds import Grid, Span

Row = Sequence[Any]


class Conflict(Exception):
    """Two different rows of one time in one answer."""

    def __init__(self, time: int) -> None:
        super().__init__(f"two different rows of {time}")
        self.time = time


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one stretch, and what of the stretch they leave out.

    times : rising, unique   [ms]
    columns : open, high, low, close   [quote], volume (NaN where the venue gives none)
    strays : rows inside the span that are not on the grid; they are left out
    """

    times: Sequence[int] = ()
    columns: tuple[Sequence[float], ...] = ((), (), (), (), ())
    strays: int = 0


def bars_of(rows: Sequence[Row], span: Span, grid: Grid, closed_by: int) -> Bars:
    """The bars of an answer.

    rows : [open time, open, high, low, close, volume], as ccxt returns them
    closed_by : bars that end later than this are unfinished and left out   [ms]
    Rows with a price missing are left out. Raises `Conflict` when two rows of one time differ.

    >>> hourly = Grid.of("1h")
    >>> rows = [[0, 1.0, 2.0, 0.5, 1.5, None], [3_600_000, 1.5, 2.0, 1.0, 1.0, 7.0]]
    >>> bars = bars_of(rows, (0, 7_200_000), hourly, closed_by=5_000_000)
    >>> bars.times, bars.columns[4]
    ([0], [nan])
    """
    start, stop = span
    if len(rows) == (stop - start) // grid.step and stop <= closed_by:
        times, *columns = zip(*rows, strict=False)
        if times == tuple(range(start, stop, grid.step)) and not _holes(columns):
            return Bars(times, (*columns[:4], numbers(columns[4])))
    return _sifted(rows, span, grid, closed_by)


def _sifted(rows: Sequence[Row], span: Span, grid: Grid, closed_by: int) -> Bars:
    """The careful way, row by row."""
    start, stop = span
    kept: dict[int, Row] = {}
    strays = 0
    for row in rows:
        time = row[0]
        if time is None or not start <= time < stop or time + grid.step > closed_by:
            continue
        if not grid.on(time):
            strays += 1
        elif None not in row[1:5] and kept.setdefault(time, row) != row:
            raise Conflict(time)
    times = sorted(kept)
    return Bars(times, columns_of_rows([kept[time] for time in times]), strays)


def columns_of_rows(rows: Sequence[Row]) -> tuple[Sequence[float], ...]:
    """The five value columns of rows; five empty ones for none.

    >>> columns_of_rows([])
    ((), (), (), (), ())
    """
    if not rows:
        return ((), (), (), (), ())
    _, *columns = zip(*rows, strict=False)
    return (*columns[:4], numbers(columns[4]))


def rows_of(bars: Bars) -> dict[int, Row]:
    """Bars as rows by time, to be merged with others."""
    return {row[0]: row for row in zip(bars.times, *bars.columns, strict=True)}


def gaps(times: Sequence[int], span: Span, grid: Grid) -> list[Span]:
    """The stretches of a span, on the grid at both ends, that have no bar.

    times : rising, on the grid, inside the span

    >>> gaps([1_000, 2_000, 5_000], (0, 7_000), Grid(1_000))
    [(0, 1000), (3000, 5000), (6000, 7000)]
    """
    start, stop = span
    if len(times) * grid.step == stop - start:
        return []
    found = []
    expected = start
    for time in times:
        if time > expected:
            found.append((expected, time))
        expected = time + grid.step
    if expected < stop:
        found.append((expected, stop))
    return found


def numbers(column: Sequence[Any]) -> Sequence[float]:
    """A column with NaN for None."""
    return [nan if value is None else value for value in column] if None in column else column


def _holes(columns: Sequence[Sequence[Any]]) -> bool:
    """Whether a price is missing in any of the first four columns."""
    return any(None in column for column in columns[:4])
