"""A piece of market data out of a file: rows of one symbol and kind, checked line by line.

Whatever the shape of the file, its rows end here: times become UTC epoch milliseconds, numbers become
float64, and every row must make sense. A fault is a `DataError` that names the file and the row, counted
from 1 without the header. Nothing is repaired; rows out of order are sorted and rows that are there twice
with equal values are taken once, both with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import DataError, InputError, message
from bt_margin.market.frames import to_utc
from bt_margin.market.kinds import BAR_COLUMNS, FUNDING_COLUMNS, Grid
from bt_margin.market.names import unified_symbol

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

MINUTE = 60_000
_TIMEFRAMES = (
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
)
# Epoch numbers tell their unit by their size: 1e11 s is the year 5138, 1e11 ms is March 1973.
_MOST_WORDS = 200  # letters of what a library says about a file
_LATEST = 7_258_118_400_000  # the year 2200, in ms
_SECONDS, _MILLISECONDS, _MICROSECONDS = 10**11, 10**14, 10**17


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one symbol, kind and timeframe.

    symbol : unified, as `BTC/USDT:USDT`
    kind : ohlcv, mark, index or funding
    timeframe : of bars; "" for funding
    frame : UTC index "timestamp" (a bar's open, a settlement's own stamp), columns of the kind
    shape : what the file was read as
    notes : what was done to the rows, in sentences
    """

    symbol: str
    kind: str
    timeframe: str
    frame: pd.DataFrame
    shape: str = ""
    notes: tuple[str, ...] = ()


class NotListed(InputError):
    """The rows are of a market the exchange named has not: spot, linear or inverse."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says about files that do not tell it themselves; None where nothing is said.

    Raises `InputError` for a symbol without a slash that is no exchange's name of a perpetual.

    >>> Asked(symbol="BTCUSDT").symbol
    'BTC/USDT:USDT'
    """

    symbol: str | None = None
    kind: str | None = None
    timeframe: str | None = None
    exchange: str | None = None

    def __post_init__(self) -> None:
        if self.symbol is not None:
            unified = unified_symbol(self.symbol)
            if "/" not in unified:
                allowed = "BTC/USDT:USDT (perpetual), BTC/USDT (spot) and the like"
                raise InputError(message("not a symbol", repr(self.symbol), allowed))
            object.__setattr__(self, "symbol", unified)
        if self.timeframe is not None:
            Grid.of(self.timeframe)


def fault(
    what: str,
    found: object = None,
    allowed: object = None,
    where: str = "",
    todo: str | None = None,
) -> DataError:
    """A fault of a file, in the words of every message."""
    if isinstance(found, Exception):
        found = " ".join(str(found).split())[:_MOST_WORDS] or type(found).__name__
    return DataError(message(what, found, allowed, where or None, todo))


def untold(what: str, where: str, option: str, allowed: object = None) -> InputError:
    """What the file does not tell, and the option that tells it."""
    todo = f"tell it with --{option} (in Python {option.replace('-', '_')}=)"
    return InputError(message(f"{what} could not be told", allowed=allowed, where=where, todo=todo))


def epoch_ms(numbers: npt.NDArray[Any], where: str) -> Times:
    """Epoch numbers as milliseconds; each tells its unit (s, ms, us, ns) by its size.

    >>> epoch_ms(np.array([1704067200, 1704067200000, 1735689600000000]), "file").tolist()
    [1704067200000, 1704067200000, 1735689600000]
    """
    if numbers.dtype.kind == "f":
        bad = ~np.isfinite(numbers) | (np.abs(numbers) >= 2.0**63)
        _refuse(bad, "time is missing or not a number", numbers, where)
        numbers = np.rint(numbers).astype(np.int64)
    whole = numbers.astype(np.int64)
    _refuse(whole <= 0, "time is not after 1970", whole, where, "an epoch number above 0")
    out = np.where(whole < _SECONDS, whole * 1000, whole)
    out = np.where((whole >= _MILLISECONDS) & (whole < _MICROSECONDS), whole // 1000, out)
    out = np.where(whole >= _MICROSECONDS, whole // 1_000_000, out).astype(np.int64)
    _refuse(out > _LATEST, "time is after the year 2200", whole, where)
    return out


def dates_ms(dates: pd.Series, where: str) -> Times:
    """Dates with a zone as milliseconds; naive ones and those no calendar holds are refused."""
    try:
        times = to_ms(to_utc(dates, where))
    except DataError:
        raise
    except (ValueError, OverflowError) as error:
        raise fault("a time cannot be read", error, "2024-01-01T00:00:00Z", where) from error
    _refuse((times <= 0) | (times > _LATEST), "time is not between 1970 and 2200", times, where)
    return times


def to_times(times: Times) -> pd.DatetimeIndex:
    """Epoch milliseconds as a UTC index in nanoseconds, named "timestamp"."""
    naked = (np.asarray(times, dtype=np.int64) * 1_000_000).astype("datetime64[ns]")
    return pd.DatetimeIndex(naked, tz="UTC", name="timestamp")


def to_ms(index: pd.Index) -> Times:
    """A time index as epoch milliseconds."""
    stamps = pd.DatetimeIndex(index).as_unit("ns").asi8
    return np.asarray(stamps // 1_000_000, dtype=np.int64)


def bars(
    times: Times, columns: Sequence[Values], where: str, kind: str, timeframe: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A checked frame of bars, and notes on what was sorted or taken once.

    times : opens [ms]; columns : open, high, low, close, volume. Of marks and indices the volume may be
    NaN. Raises `DataError` naming the row: a number missing, a price not above 0, a high that is not the
    highest, a negative volume, a bar off the grid, two different rows of one time.
    """
    _check_bars(columns, where, kind)
    grid = Grid.of(timeframe)
    off = (times - grid.anchor) % grid.step != 0
    shown = to_times(times) if off.any() else times
    _refuse(
        off, f"bar does not open on the grid of {timeframe}", shown, where, f"every {timeframe}"
    )
    times, kept, notes = _in_order(times, list(columns), where, times)
    frame = pd.DataFrame(dict(zip(BAR_COLUMNS, kept, strict=True)), to_times(times))
    return frame, notes


def funding(
    times: Times, rates: Values, marks: Values | None, where: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A checked frame of settlements, and notes; stamps are kept to the millisecond.

    marks : NaN or None where the shape has no mark. Two stamps in one minute are one settlement.
    """
    _refuse(~np.isfinite(rates), "funding rate is not a number", rates, where, "a finite fraction")
    _refuse(np.abs(rates) >= 1.0, "funding rate is no fraction", rates, where, "between -1 and 1")
    seen = np.full(len(rates), np.nan) if marks is None else marks
    bad = ~np.isnan(seen) & ~((seen > 0.0) & np.isfinite(seen))
    _refuse(bad, "mark of a settlement is not a price", seen, where, "above 0")
    times, kept, notes = _in_order(times, [rates, seen], where, times - times % MINUTE)
    frame = pd.DataFrame(dict(zip(FUNDING_COLUMNS, kept, strict=True)), to_times(times))
    return frame, notes


def timeframe_from(times: Times, asked: str | None, named: str | None, where: str) -> str:
    """The timeframe of bars: the one asked for, else the one named, else the least distance of rows.

    Raises `InputError` when neither tells, or when rows lie too far apart for the name.

    >>> timeframe_from(np.array([0, 3_600_000, 10_800_000]), None, None, "file")
    '1h'
    """
    if asked is not None:
        return asked
    distances: Times = np.unique(np.diff(np.unique(times)))
    smallest = int(distances[0]) if len(distances) else 0
    if named is not None:
        step = Grid.of(named).step
        if len(times) > 2 and smallest > step and (distances % smallest == 0).all():
            what = f"the name says {named}, no two rows are closer than {smallest // MINUTE} min; timeframe"
            raise untold(what, where, "timeframe")
        return named
    for name in _TIMEFRAMES:
        if smallest == Grid.of(name).step and (distances % smallest == 0).all():
            return name
    raise untold("timeframe", where, "timeframe", ", ".join(_TIMEFRAMES))


def _check_bars(columns: Sequence[Values], where: str, kind: str) -> None:
    first, high, low, final, volume = columns
    for name, values in zip(BAR_COLUMNS, columns[:4], strict=False):
        bad = ~(np.isfinite(values) & (values > 0.0))
        _refuse(bad, f"{name} is not a price", values, where, "a number above 0")
    _refuse(high < np.maximum(first, final), "high is below open or close", high, where)
    _refuse(low > np.minimum(first, final), "low is above open or close", low, where)
    known = np.isfinite(volume) | (np.isnan(volume) & (kind != "ohlcv"))
    _refuse(~known | (volume < 0.0), "volume is not a number", volume, where, "0 or more")


def _in_order(
    times: Times, columns: list[Values], where: str, same: Times
) -> tuple[Times, list[Values], tuple[str, ...]]:
    """Rows sorted, equal ones once; `same` is equal for rows that may not both be there."""
    if len(times) == 0:
        raise fault("no rows", where=where)
    notes = []
    order = np.argsort(times, kind="stable")
    if (order[1:] < order[:-1]).any():
        notes.append(f"{where}: rows were not in order of time and were sorted")
    key, rows = same[order], [column[order] for column in columns]
    twice = np.r_[False, key[1:] == key[:-1]]
    if twice.any():
        for column in rows:
            before = np.r_[column[:1], column[:-1]]
            differs = twice & ~((column == before) | (np.isnan(column) & np.isnan(before)))
            if differs.any():
                place = int(np.argmax(differs))
                found = f"rows {order[place - 1] + 1} and {order[place] + 1}, {to_times(times[order])[place]}"
                raise fault("two different rows of one time", found, "one", where)
        notes.append(f"{where}: rows that were there twice, taken once: {int(twice.sum()):,}")
    keep = ~twice
    return times[order][keep], [column[keep] for column in rows], tuple(notes)


def _refuse(
    bad: npt.NDArray[np.bool_], what: str, values: Any, where: str, allowed: str | None = None
) -> None:
    """Raise for the first bad row."""
    if bad.any():
        row = int(np.argmax(bad))
        raise fault(what, values[row], allowed, f"{where}, row {row + 1}")
