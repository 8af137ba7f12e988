"""Frames at the door of the plugin: what a feed may contain, said in one sentence when it does not.

Light checks on whole columns (a few nanoseconds per bar). Times are UTC epoch microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd

from bt_margin.errors import DataError, message

PRICES: Final = ("open", "high", "low", "close")
MARKS: Final = ("mark_open", "mark_high", "mark_low", "mark_close")
# A high may lie below another price of its bar by this share before it counts as a contradiction:
# room for the noise of scaled or averaged prices.
NOISE: Final = 1e-9


TIME_COLUMNS: Final = ("timestamp", "datetime", "date", "time")
SMALLEST_MS: Final = 100_000_000_000  # below: seconds, or a counter of rows


def utc_microseconds(times: Any, symbol: str) -> Any:
    """Epoch microseconds of an index or column of time-zone-aware times.

    Raises DataError for anything that is not time, for naive times and for missing ones.

    >>> utc_microseconds(pd.DatetimeIndex(["1970-01-01 01:00:00+01:00"]), "X").tolist()
    [0]
    """
    index = pd.DatetimeIndex(times) if isinstance(times.dtype, pd.DatetimeTZDtype) else times
    if not isinstance(index, pd.DatetimeIndex):
        naive = str(times.dtype).startswith("datetime64")
        _refuse("times", "naive times" if naive else f"values of type {times.dtype}", symbol)
    if index.tz is None:
        _refuse("times", f"naive times from {index[0]}" if len(index) else "naive times", symbol)
    if index.hasnans:
        raise DataError(
            message(
                "time",
                found=f"a missing time in row {int(np.argmax(index.isna()))}",
                allowed="a time in every row",
                where=symbol,
            )
        )
    return index.as_unit("us").asi8


def timed(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """The frame with its times as the index: a time column, ccxt's milliseconds included, is moved there.

    >>> rows = pd.DataFrame({"timestamp": [1_704_067_200_000], "close": [1.0]})
    >>> timed(rows, "X").index[0]
    Timestamp('2024-01-01 00:00:00+0000', tz='UTC')
    """
    if isinstance(frame.index, pd.DatetimeIndex):
        return frame
    name = next((c for c in frame.columns if str(c).lower() in TIME_COLUMNS), None)
    if name is None:
        return frame
    times = frame[name]
    if pd.api.types.is_integer_dtype(times):
        if len(times) and 0 < times.iloc[-1] < SMALLEST_MS:
            _refuse("times", f"integers such as {times.iloc[-1]}, too small for ms", symbol)
        times = pd.to_datetime(times, unit="ms", utc=True)
    moved = frame.drop(columns=name).set_index(pd.DatetimeIndex(times))
    moved.attrs = frame.attrs
    return moved


def _refuse(what: str, found: str, symbol: str) -> NoReturn:
    raise DataError(
        message(
            what,
            found=found,
            allowed="UTC times, a time-zone-aware DatetimeIndex",
            where=symbol,
            todo='if the times are UTC say so: frame.index = frame.index.tz_localize("UTC")',
        )
    )


def at(times: Any, row: int) -> str:
    """The time of a row, for a message."""
    return f"{pd.Timestamp(int(times[row]), unit='us', tz='UTC'):%Y-%m-%d %H:%M:%S} UTC"


def column_values(frame: pd.DataFrame, place: int, line: str, times: Any, symbol: str) -> Any:
    """One column as float64, missing values as NaN; DataError for what is no number."""
    column = frame.iloc[:, place]
    try:
        return column.to_numpy(dtype="float64", na_value=np.nan)
    except (TypeError, ValueError):
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
        row = int(np.argmax(np.isnan(numbers) & column.notna().to_numpy()))
        raise DataError(
            message(
                line,
                found=repr(column.iloc[row]),
                allowed="numbers",
                where=f"{symbol} at {at(times, row)}",
            )
        ) from None


def check_times(times: Any, symbol: str) -> None:
    """At least one row, strictly rising."""
    if not len(times):
        raise DataError(message("rows", found=0, allowed="at least one bar", where=symbol))
    wrong = np.diff(times) <= 0
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        same = times[row] == times[row - 1]
        raise DataError(
            message(
                "time",
                found=f"{at(times, row)} after {at(times, row - 1)}",
                allowed="strictly rising times",
                where=symbol,
                todo="drop the duplicate rows" if same else "sort the frame by time",
            )
        )


def check_bars(bars: Mapping[str, Any], volume: Any, times: Any, symbol: str) -> None:
    """Prices are positive numbers, the high and the low bound their bar, no volume is negative."""
    for line, values in bars.items():
        _first(
            ~(np.isfinite(values) & (values > 0.0)), line, values, "a positive price", times, symbol
        )
    _check_order(bars, ("open", "high", "low", "close"), times, symbol)
    if volume is not None:
        _first(volume < 0.0, "volume", volume, "zero or more", times, symbol)


def check_marks(marks: Mapping[str, Any], times: Any, symbol: str) -> bool:
    """Whether there are marks; refuses half a set of columns, half a row, and impossible prices."""
    if not marks:
        return False
    if len(marks) < len(MARKS):
        raise DataError(
            message(
                "mark columns",
                found=", ".join(marks),
                allowed=f"all of {', '.join(MARKS)} or none",
                where=symbol,
            )
        )
    absent = np.isnan(marks["mark_close"])
    for line, values in marks.items():
        good = np.isfinite(values) & (values > 0.0)
        _first(
            np.where(absent, ~np.isnan(values), ~good),
            line,
            values,
            "a positive price, or NaN in all four mark columns",
            times,
            symbol,
        )
    _check_order(marks, MARKS, times, symbol)
    return not bool(absent.all())


def check_rates(rates: Any, times: Any, symbol: str) -> None:
    """Funding rates are fractions: a number below one in size, or NaN where nothing settles."""
    _first(
        np.abs(rates) >= 1.0, "funding_rate", rates, "a fraction (0.0001 is 0.01 %)", times, symbol
    )


def _first(wrong: Any, line: str, values: Any, allowed: str, times: Any, symbol: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            message(
                line,
                found=float(values[row]),
                allowed=allowed,
                where=f"{symbol} at {at(times, row)}",
            )
        )


def _check_order(bars: Mapping[str, Any], names: tuple[str, ...], times: Any, symbol: str) -> None:
    start, high, low, close = (bars[name] for name in names)
    highest, lowest = np.maximum(start, close), np.minimum(start, close)
    wrong = (high < low) | (high < highest * (1.0 - NOISE)) | (low > lowest * (1.0 + NOISE))
    if wrong.any():
        row = int(np.argmax(wrong))
        found = ", ".join(f"{name} {bars[name][row]:g}" for name in names)
        raise DataError(
            message(
                "bar",
                found=found,
                allowed=f"{names[1]} the highest and {names[2]} the lowest",
                where=f"{symbol} at {at(times, row)}",
            )
        )


def name_of(columns: Any, *names: str) -> str | None:
    """The first of ``names`` among the columns, else None."""
    return next((name for name in names if name in columns), None)


def stamp_rows(finer: Any, symbol: str) -> list[tuple[int, float, float | None]]:
    """Settlements out of ``frame.attrs["funding"]``: a Series of rates, or a DataFrame.

    >>> series = pd.Series([0.0001], index=pd.DatetimeIndex(["1970-01-01T08:00Z"]))
    >>> stamp_rows(series, "X")
    [(28800000, 0.0001, None)]
    """
    if isinstance(finer, pd.Series):
        finer = finer.to_frame("rate")
    rate = (
        name_of(finer.columns, "rate", "funding_rate") if isinstance(finer, pd.DataFrame) else None
    )
    if rate is None:
        found = list(finer.columns) if isinstance(finer, pd.DataFrame) else type(finer).__name__
        raise DataError(
            message(
                'attrs["funding"]',
                found=found,
                where=symbol,
                allowed="a Series of rates by time or a DataFrame with a column rate",
            )
        )
    times = utc_microseconds(finer.index, symbol)
    if not len(times):
        return []
    check_times(times, symbol)
    rates = column_values(finer, list(finer.columns).index(rate), "rate", times, symbol)
    _first(np.isnan(rates), "funding rate", rates, "a number", times, symbol)
    check_rates(rates, times, symbol)
    mark = name_of(finer.columns, "mark", "mark_price")
    marks: list[float | None] = [None] * len(rates)
    if mark is not None:
        values = column_values(finer, list(finer.columns).index(mark), "mark", times, symbol)
        marks = [value if value == value else None for value in values.tolist()]
    return list(zip((times // 1000).tolist(), rates.tolist(), marks, strict=True))


def with_marks(stamps: list[tuple[int, float, float | None]], marks: Any) -> list[Any]:
    """Settlements with the marks they were made at, where a Series of marks by time has them.

    >>> marks = pd.Series([42_000.0], index=pd.DatetimeIndex(["1970-01-01T08:00Z"]))
    >>> with_marks([(28_800_000, 0.0001, None), (57_600_000, 0.0002, None)], marks)
    [(28800000, 0.0001, 42000.0), (57600000, 0.0002, None)]
    """
    if not isinstance(marks, pd.Series) or marks.empty:
        return stamps
    times = pd.DatetimeIndex(marks.index).as_unit("ns").asi8 // 1_000_000
    known = dict(zip(times.tolist(), marks.astype(float).tolist(), strict=True))
    return [
        (time, rate, known.get(round(time / 60_000) * 60_000) if mark is None else mark)
        for time, rate, mark in stamps
    ]
