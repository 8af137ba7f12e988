"""What a user hands the broker as series per symbol, read into the engine's plain values.

``funding=`` and ``mark=`` serve plain feeds; ``detail=`` gives finer bars for dangerous bars. pandas
objects, mappings and lists of tuples are all understood without importing pandas here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import pairwise
from numbers import Integral
from typing import Any

from bt_margin.core.funding import FundingStamp, carried, stamps_from_pairs
from bt_margin.engine.quote import Detail, SubBar
from bt_margin.errors import DataError

Prices = tuple[float, float, float, float]
MARKS = ("mark_open", "mark_high", "mark_low", "mark_close")
PLAIN = ("open", "high", "low", "close")


def epoch_ms(time: Any, where: str) -> int:
    """UTC epoch milliseconds of a timestamp: aware datetimes, their text, or integers in ms.

    :raises DataError: a naive time, or what is no time at all.
    """
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time.replace("Z", "+00:00"))
        except ValueError:
            raise DataError(f"{where}: {time!r} is not a time") from None
    if isinstance(time, Integral):
        return int(time)
    if not isinstance(time, datetime):
        raise DataError(
            f"{where}: {time!r} is not a time; allowed: datetimes with a time zone, or UTC "
            "epoch milliseconds as integers"
        )
    if time.tzinfo is None:
        raise DataError(
            f"{where}: the time {time} has no time zone; "
            "say which it is in, for example index.tz_localize('UTC')"
        )
    return round(time.astimezone(timezone.utc).timestamp() * 1000)


def _pairs(series: Any, where: str, form: str) -> Iterable[Any]:
    """The rows of a series, a mapping, or a plain sequence of pairs (or longer)."""
    if hasattr(series, "items"):
        return ((time, value) for time, value in series.items())
    if isinstance(series, str) or not isinstance(series, Iterable):
        raise DataError(f"{where}: {series!r} is no series; give {form} by time")
    rows = list(series)
    for row in rows:
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) < 2:
            raise DataError(f"{where}: {row!r} is no pair (time, value)")
    return rows


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {value!r} is not a number") from None


def stamps_of(series: Any, symbol: str) -> tuple[FundingStamp, ...]:
    """Funding stamps of ``funding={symbol: ...}``.

    A Series or mapping of rates by time, a DataFrame with ``rate`` or ``funding_rate`` (and optionally
    ``mark``), or pairs ``(time, rate)`` or triples ``(time, rate, mark)``.

    >>> stamps_of([(28_800_000, 0.0001)], "X")
    (FundingStamp(time=28800000, rate=0.0001, mark=None),)
    """
    where = f"funding of {symbol}"
    columns = getattr(series, "columns", None)
    if columns is not None:
        rate = next((c for c in ("rate", "funding_rate") if c in columns), None)
        if rate is None:
            raise DataError(f"{where}: no column rate or funding_rate; found {list(columns)}")
        marks = series["mark"] if "mark" in columns else [None] * len(series)
        rows: Iterable[Any] = zip(series.index, series[rate], marks, strict=True)
    else:
        rows = _pairs(series, where, "a Series of rates")
    stamps = [
        (epoch_ms(row[0], where), _number(row[1], where), _mark_of(row, where)) for row in rows
    ]
    try:
        return stamps_from_pairs(stamps)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _mark_of(row: Any, where: str) -> float | None:
    """The third value of a row, None when it is absent or NaN."""
    mark = row[2] if len(row) > 2 else None
    return None if mark is None or mark != mark else _number(mark, where)


def _source(data: Any) -> tuple[Any, Any]:
    """A feed that is no clone, and what it reads: a frame, a file, or nothing."""
    frame: Any = getattr(data.p, "dataname", None)
    while hasattr(frame, "p"):  # a clone is made of a feed
        data, frame = frame, getattr(frame.p, "dataname", None)
    return data, frame


def attribute_of(data: Any, name: str) -> Any:
    """What the frame behind a feed says in its ``attrs``; None for feeds without a frame."""
    return getattr(_source(data)[1], "attrs", {}).get(name)


def funding_column(data: Any) -> Sequence[float] | None:
    """The funding column that a feed's stamps were read from, bar by bar.

    None for stamps that were given with their times (``frame.attrs["funding"]``), and for other feeds.
    """
    data, frame = _source(data)
    place = getattr(data, "_places", {}).get("funding_rate")
    if place is None or frame is None or frame.attrs.get("funding") is not None:
        return None
    column: Sequence[float] = frame.iloc[:, place].tolist()
    return column


def thinned(
    stamps: Sequence[tuple[int, float, float | None]],
    column: Sequence[float] | None,
    interval: int,
) -> tuple[FundingStamp, ...] | None:
    """Stamps of a column that repeats a rate on every bar, once an interval; None if it does not.

    NaN between two rates marks what is between settlements: each rate of such a column is one. A column
    without (before its first rate, nothing was known) repeats if its bars are shorter than the venue's
    funding interval and its rate stays the same within 95 % of the intervals, or changes only on the clock
    of a half, fourth or eighth of it. A rate that never changes could be a settlement on every bar as
    well: who calls says in words how the column was read.

    >>> hour, day = 3_600_000, [0.0001] * 24
    >>> stamps = [(hour * i, rate, None) for i, rate in enumerate(day)]
    >>> len(thinned(stamps, day, 8 * hour) or ())
    3
    >>> thinned(stamps, None, 8 * hour) is thinned(stamps[::8], day[:3], 8 * hour) is None
    True
    """
    rows = [i for i, rate in enumerate(column or ()) if rate == rate]
    if not rows or column is None or rows[-1] - rows[0] >= len(rows):
        return None
    if len(rows) > len(stamps):  # zeros between settlements
        rows = [i for i in rows if column[i]]
    pairs = zip(pairwise(rows), pairwise(stamps), strict=True)
    steps = [two[0] - one[0] for (i, j), (one, two) in pairs if j == i + 1]
    step = min(steps, default=interval)
    if 2 * len(steps) < len(stamps) or step >= interval:
        return None
    shorter = [interval // part for part in (2, 4, 8) if interval // part > step]
    every = interval if _repeats(stamps, interval) else None
    every = every or next((each for each in shorter if _changes_only_at(stamps, each)), None)
    if every is None:
        return None
    return carried([s[0] for s in stamps], [s[1] for s in stamps], every)


def _changes_only_at(stamps: Sequence[tuple[int, float, float | None]], every: int) -> bool:
    """Whether the rate changes, and 95 % of its changes stand on the clock of this interval."""
    changes = [two[0] for one, two in pairwise(stamps) if two[1] != one[1]]
    beside = sum(1 for time in changes if round(time / 60_000) % (every // 60_000))
    return len(changes) > 2 and 20 * beside <= len(changes)


def _repeats(stamps: Sequence[tuple[int, float, float | None]], interval: int) -> bool:
    cells: dict[int, set[float]] = {}
    for time, rate, _ in stamps:
        cells.setdefault(time // interval, set()).add(rate)
    return 20 * sum(1 for rates in cells.values() if len(rates) > 1) <= len(cells)


def marks_of(series: Any, symbol: str) -> dict[int, Prices]:
    """Mark bars by open time of ``mark={symbol: ...}``.

    A DataFrame with ``mark_open … mark_close`` or ``open … close``, or a Series of closing marks: then a
    bar opens at the previous close and has no wicks of its own. Rows with NaN are left out.
    """
    where = f"mark of {symbol}"
    columns = getattr(series, "columns", None)
    if columns is None:
        return _from_closes(_pairs(series, where, "a DataFrame of bars or a Series"), where)
    names = MARKS if all(n in columns for n in MARKS) else PLAIN
    if not all(n in columns for n in names):
        raise DataError(
            f"{where}: needs the columns {', '.join(PLAIN)} or {', '.join(MARKS)}; "
            f"found {list(columns)}"
        )
    times = [epoch_ms(t, where) for t in series.index]
    _check_rising(times, where)
    rows = zip(times, *(series[n].tolist() for n in names), strict=True)
    return {
        t: _checked((o, h, lo, c), where, t)
        for t, o, h, lo, c in rows
        if o + h + lo + c == o + h + lo + c
    }


def _check_rising(times: Sequence[int], where: str) -> None:
    for one, two in pairwise(times):
        if two <= one:
            kind = "appears twice" if two == one else "comes after a later one"
            at = datetime.fromtimestamp(two / 1000, timezone.utc)
            raise DataError(
                f"{where}: the time {at:%Y-%m-%d %H:%M} UTC {kind}; "
                "times must rise (sort_index(), then drop duplicates)"
            )


def _from_closes(rows: Iterable[Any], where: str) -> dict[int, Prices]:
    marks: dict[int, Prices] = {}
    before: float | None = None
    rows = [(epoch_ms(row[0], where), row[1]) for row in rows]
    _check_rising([time for time, _ in rows], where)
    for ms, value in rows:
        close = _number(value, where)
        if close != close:
            continue
        start = close if before is None else before
        marks[ms] = _checked((start, max(start, close), min(start, close), close), where, ms)
        before = close
    return marks


def _checked(prices: Prices, where: str, time: int) -> Prices:
    o, h, lo, c = prices
    if not (0 < lo <= min(o, c) and max(o, c) <= h < float("inf")):
        at = datetime.fromtimestamp(time / 1000, timezone.utc)
        raise DataError(
            f"{where} at {at:%Y-%m-%d %H:%M}: open {o}, high {h}, low {lo}, close {c} "
            "is no bar; the high must be the highest, the low the lowest and above 0"
        )
    return prices


def detail_of(frame: Any, symbol: str) -> Detail:
    """Finer bars of ``detail={symbol: frame}``: a frame with ``open … close`` and perhaps marks."""
    where = f"detail of {symbol}"
    whole = all(n in getattr(frame, "columns", ()) for n in PLAIN)
    last = marks_of(frame[list(PLAIN)], where) if whole else None
    if not last:
        raise DataError(f"{where}: needs a DataFrame with the columns {', '.join(PLAIN)}")
    marks = marks_of(frame, where) if all(n in frame.columns for n in MARKS) else {}
    times = sorted(last)
    gaps = [b - a for a, b in pairwise(times)]
    return Detail([SubBar(t, last[t], marks.get(t)) for t in times], min(gaps, default=60_000))


def by_symbol(given: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """A mapping per symbol, or an error that says what was expected."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(f"{what}= wants a mapping symbol → series; found {type(given).__name__}")
    return dict(given)
