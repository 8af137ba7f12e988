"""The canonical frame: the one shape in which market data enters the house, and its validation.

    index     DatetimeIndex in UTC, strictly rising: the OPEN time of each bar, named "timestamp"
    last      open, high, low, close [quote per base], volume [contracts or coins]
    mark      mark_open, mark_high, mark_low, mark_close; optional, NaN in all four where unknown
    funding   funding_rate; optional, NaN but on bars with a settlement; positive: longs pay

Nothing is repaired and nothing is dropped: a frame either fits, or a `DataError` names the symbol,
the bar, what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import DataError, message

LAST = ("open", "high", "low", "close")
MARK = ("mark_open", "mark_high", "mark_low", "mark_close")
REQUIRED = (*LAST, "volume")
FUNDING = "funding_rate"
CANONICAL = (*REQUIRED, *MARK, FUNDING)
TIME_COLUMNS = ("timestamp", "datetime", "date")

_MOST_NAMES, _MOST_LETTERS = 20, 40  # of the columns in a message

_ZONE = (
    'say which zone they are in, e.g. frame.tz_localize("UTC") for an index or '
    'frame["timestamp"].dt.tz_localize("UTC") for a column; in a file: 2024-01-01T00:00:00Z'
)
# Epoch numbers tell their unit by their size: 1e11 s is the year 5138, 1e11 ms is March 1973.
_EPOCH_UNITS = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (float("inf"), 1))


def validate_frame(frame: pd.DataFrame, symbol: str = "") -> pd.DataFrame:
    """The canonical form of a frame, or a `DataError` that says what is wrong and where.

    frame : bars with a DatetimeIndex, or with a `timestamp`, `datetime` or `date` column (times
        with a zone, or epoch numbers). Upper and lower case of column names do not matter. Columns
        this package does not know are kept as they are.
    symbol : the name used in messages.

    The result is a new frame: UTC index, float64 canonical columns first, `attrs` kept. The input
    is left alone.

    >>> index = pd.date_range("2024-01-01", periods=2, freq="h", tz="Europe/Berlin")
    >>> bars = {"Open": [1, 2], "High": [3, 3], "Low": [1, 1], "Close": [2, 2], "Volume": [0, 0]}
    >>> validate_frame(pd.DataFrame(bars, index), "BTC/USDT:USDT").index[0]
    Timestamp('2023-12-31 23:00:00+0000', tz='UTC')
    >>> validate_frame(pd.DataFrame(bars, index.tz_localize(None)), "BTC/USDT:USDT")
    Traceback (most recent call last):
    ...
    bt_margin.errors.DataError: the times have no time zone: found naive times, allowed ...
    """
    where = symbol or "frame"
    if not isinstance(frame, pd.DataFrame):
        raise _fault("not a frame of bars", type(frame).__name__, "a pandas DataFrame", where)
    if len(frame) == 0:
        raise _fault("the frame is empty", "no rows", "at least one bar", where)
    named = _time_to_index(_lower_case(frame, where), where)
    _check_columns(named, where)
    canonical = [name for name in CANONICAL if name in named.columns]
    others = [name for name in named.columns if name not in CANONICAL]
    index = to_utc(named.index, where)
    out = named[[*canonical, *others]].set_axis(index, axis=0)
    _check_order(index, where)
    for name in canonical:
        out[name] = _numbers(out[name], where)
    _check_bars(out, LAST, where)
    _check_volume(out, where)
    if MARK[0] in canonical:
        _check_marks(out, where)
    if FUNDING in canonical:
        endless = np.isinf(_values(out, FUNDING))
        _check_rows(out, FUNDING, endless, "a finite rate, or NaN between settlements", where)
    out.attrs = dict(frame.attrs)
    return out


def validate_frames(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Validate every frame of a market; a market without symbols is a `DataError`."""
    if not frames:
        raise _fault("the market is empty", "no symbols", "at least one frame", "market")
    return {symbol: validate_frame(frame, symbol) for symbol, frame in frames.items()}


def to_utc(times: pd.Index | pd.Series, where: str) -> pd.DatetimeIndex:
    """Times as a UTC DatetimeIndex named "timestamp".

    Zoned times are converted, epoch numbers are read by their size (s, ms, us or ns), naive and
    missing times are refused. `where` names the frame in messages.

    >>> to_utc(pd.Index([1704067200000]), "BTC/USDT:USDT")[0]
    Timestamp('2024-01-01 00:00:00+0000', tz='UTC')
    """
    if pd.api.types.is_numeric_dtype(times.dtype):
        stamps = _from_epoch(np.asarray(times, dtype=np.float64), times, where)
    else:
        try:
            stamps = pd.DatetimeIndex(times)
        except (ValueError, TypeError) as error:
            raise _fault("the times cannot be read as dates", str(error), None, where) from error
    missing = np.asarray(stamps.isna())
    if missing.any():
        raise _fault("a time is missing", f"NaT in row {int(np.argmax(missing))}", None, where)
    if stamps.tz is None:
        raise _fault("the times have no time zone", "naive times", "UTC or zoned", where, _ZONE)
    try:
        return plain_index(stamps.tz_convert("UTC"))
    except (ValueError, OverflowError) as error:
        raise _fault("a time is out of range", str(error), "1677 to 2262", where) from error


def plain_index(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The same UTC times in nanoseconds, without a frequency, named "timestamp"."""
    naked = stamps.as_unit("ns").asi8.astype("datetime64[ns]")
    return pd.DatetimeIndex(naked, tz="UTC", name="timestamp")


def bar_step(index: pd.Index) -> int:
    """Length of a bar in nanoseconds: the most common distance; an hour for a single bar."""
    if len(index) < 2:
        return 3_600_000_000_000
    distances, counts = np.unique(np.diff(pd.DatetimeIndex(index).asi8), return_counts=True)
    return int(distances[np.argmax(counts)])


def _from_epoch(
    numbers: npt.NDArray[np.float64], times: pd.Index | pd.Series, where: str
) -> pd.DatetimeIndex:
    missing = ~np.isfinite(numbers)
    if missing.any():
        raise _fault("a time is missing", f"NaN in row {int(np.argmax(missing))}", None, where)
    biggest = float(np.abs(numbers).max())
    factor = next(factor for limit, factor in _EPOCH_UNITS if biggest < limit)
    whole = np.asarray(times)
    exact = whole.astype(np.int64) if whole.dtype.kind in "iu" else np.rint(numbers)
    return pd.DatetimeIndex((exact * factor).astype("datetime64[ns]")).tz_localize("UTC")


def _fault(
    what: str, found: object, allowed: object, where: str, todo: str | None = None
) -> DataError:
    return DataError(message(what, found, allowed, where, todo))


def _lower_case(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The frame with the names this package knows in lower case, each of them once."""
    if isinstance(frame.columns, pd.MultiIndex) or isinstance(frame.index, pd.MultiIndex):
        raise _fault("several levels", "a MultiIndex", "one frame for each symbol", where)
    known = {*CANONICAL, *TIME_COLUMNS}
    names = []
    for name in frame.columns:
        plain = name.strip().lower() if isinstance(name, str) else name
        names.append(plain if plain in known else name)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise _fault("a column is there twice", ", ".join(twice), "one of each name", where)
    return frame.set_axis(pd.Index(names), axis=1)


def _time_to_index(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Move a time column to the index when the index does not hold the times."""
    if isinstance(frame.index, pd.DatetimeIndex):
        return frame
    columns = [name for name in TIME_COLUMNS if name in frame.columns]
    if len(columns) == 1:
        return frame.set_index(columns[0])
    if not columns and str(frame.index.name).lower() in TIME_COLUMNS:
        return frame
    allowed = f"a DatetimeIndex or one column named {', '.join(TIME_COLUMNS)}"
    found = ", ".join(columns) if columns else f"an index of type {type(frame.index).__name__}"
    raise _fault("the bars' open times are not clear", found, allowed, where)


def _check_columns(frame: pd.DataFrame, where: str) -> None:
    missing = [name for name in REQUIRED if name not in frame.columns]
    names = [str(name)[:_MOST_LETTERS] for name in frame.columns[:_MOST_NAMES]]
    more = f" and {len(frame.columns) - _MOST_NAMES} more" * (len(frame.columns) > _MOST_NAMES)
    found = f"{', '.join(names)}{more}" or "none"
    if missing:
        todo = "add a volume column of zeros if you have none" if missing == ["volume"] else None
        what = f"missing columns {', '.join(missing)}"
        raise _fault(what, found, ", ".join(CANONICAL), where, todo)
    marks = [name for name in MARK if name in frame.columns]
    if marks and len(marks) < len(MARK):
        raise _fault("mark columns are incomplete", ", ".join(marks), "all four or none", where)


def _check_order(index: pd.DatetimeIndex, where: str) -> None:
    """Strictly rising times: the first one that is not decides the message."""
    stamps = index.asi8
    bad = stamps[1:] <= stamps[:-1]
    if not bad.any():
        return
    row = int(np.argmax(bad)) + 1
    if stamps[row] == stamps[row - 1]:
        what, todo = "duplicate bar", "drop the duplicates"
    else:
        what, todo = "bars are not sorted", "sort the frame, e.g. frame.sort_index()"
    found = f"{index[row]} after {index[row - 1]} in row {row}"
    raise _fault(what, found, "strictly rising times", where, todo)


def _numbers(column: pd.Series, where: str) -> pd.Series:
    try:
        return column.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise _fault(f"{column.name} is not a number", str(error), None, where) from error


def _values(frame: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    return frame[name].to_numpy(dtype=np.float64)


def _check_rows(
    frame: pd.DataFrame, name: str, bad: npt.NDArray[np.bool_], allowed: str, where: str
) -> None:
    """Raise for the first bad row, with its time and the value found."""
    if bad.any():
        row = int(np.argmax(bad))
        found = float(frame[name].iloc[row])
        raise _fault(f"bad {name}", found, allowed, f"{where}, bar {frame.index[row]}")


def _check_bars(frame: pd.DataFrame, names: tuple[str, ...], where: str) -> None:
    """Prices finite and positive, high the highest and low the lowest of the four."""
    for name in names:
        values = _values(frame, name)
        _check_rows(frame, name, ~np.isfinite(values), "a finite number", where)
        _check_rows(frame, name, values <= 0.0, "a price above 0", where)
    first, high, low, final = (_values(frame, name) for name in names)
    opening, highest, lowest, close = names
    for bad, what in (
        (high < low, f"{highest} is below {lowest}"),
        (high < np.maximum(first, final), f"{highest} is below {opening} or {close}"),
        (low > np.minimum(first, final), f"{lowest} is above {opening} or {close}"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            found = ", ".join(f"{name} {float(frame[name].iloc[row])!r}" for name in names)
            allowed = f"{lowest} <= {opening}, {close} <= {highest}"
            raise _fault(what, found, allowed, f"{where}, bar {frame.index[row]}")


def _check_volume(frame: pd.DataFrame, where: str) -> None:
    values = _values(frame, "volume")
    bad = ~np.isfinite(values) | (values < 0.0)
    _check_rows(frame, "volume", bad, "a finite number, 0 or more", where)


def _check_marks(frame: pd.DataFrame, where: str) -> None:
    """A bar has four marks or none."""
    gaps = frame[list(MARK)].isna().to_numpy()
    some = gaps.any(axis=1)
    partial = some & ~gaps.all(axis=1)
    if partial.any():
        row = int(np.argmax(partial))
        lacking = ", ".join(name for name, gap in zip(MARK, gaps[row], strict=True) if gap)
        place = f"{where}, bar {frame.index[row]}"
        raise _fault("some marks are missing", f"no {lacking}", "all four marks, or none", place)
    _check_bars(frame.iloc[np.flatnonzero(~some)], MARK, where)
