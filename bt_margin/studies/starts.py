"""Where in a history a strategy can be started, and the bars it needs before that.

A *window* is one start: the warm-up before it, the start, and the end of the horizon. Windows whose horizon
ends after the data are not *whole*: what is left of them is watched as long as there is data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.errors import DataError, InputError, message
from bt_margin.plugin.late import BEGINNINGS, FRESH, JOINS, late
from bt_margin.studies.cells import Cell, Job, run_cell
from bt_margin.studies.tracks import milliseconds

DAY = 86_400_000
ALL = "all"
AUTO = "auto"
_FIRST_LOOK = 2_000  # bars of the first attempt to see what the indicators need

_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*")
_UNITS = {"m": 60_000, "h": 3_600_000, "d": DAY, "w": 7 * DAY}

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """One start, in UTC ms: data from ``first``, trading from ``start``, watched until ``until``."""

    number: int
    first: int
    start: int
    until: int
    whole: bool


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Bars before a start (``None``: all there are), and how the strategy meets them (``begin``)."""

    bars: int | None
    begin: str


def span(text: Any, what: str) -> int:
    """A length of time in ms. :raises InputError: not one, or not positive.

    >>> span("90d", "horizon"), span("1h", "starts")
    (7776000000, 3600000)
    """
    found = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    length = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if length <= 0:
        allowed = "a length of time like 90d, 12h, 2w or 30m"
        raise InputError(message(what, repr(text), allowed, None, "say how long"))
    return length


def windows(
    data: Mapping[str, pd.DataFrame], starts: Any, horizon: int, warm_up: WarmUp
) -> list[Window]:
    """The windows of a history, in order of time.

    ``starts`` is a step of time (``"1d"``: every midnight UTC from the first bar all feeds are warm on, as
    long as the horizon fits), or a list of times, whose windows may end with the data.

    :raises InputError: a time that cannot be read, or at which the data is not warm.
    :raises DataError: the history is shorter than warm-up and horizon.
    """
    times = clock(data)
    bars = 0 if warm_up.bars is None else warm_up.bars
    own = [milliseconds(frame.index) for frame in data.values()]
    ready = max(int(each[min(bars, len(each) - 1)]) for each in own)
    end = int(times[-1]) + (int(np.min(np.diff(times))) if len(times) > 1 else 1)
    found: Times
    if isinstance(starts, str):
        step = span(starts, "starts")
        found = np.arange(-(-ready // step) * step, end - horizon + 1, step, dtype=np.int64)
        if not len(found):
            raise DataError(
                f"no start fits: {bars} bars of warm-up and the horizon of {horizon / DAY:g} days need "
                f"more than the data from {_day(int(times[0]))} to {_day(end)}; "
                "give more data, a shorter horizon or warm_up="
            )
    else:
        found = np.array(sorted({_moment(each, ready, end) for each in starts}), dtype=np.int64)
        if not len(found):
            raise InputError('starts is an empty list; give times, or a step like "1d"')
    places = np.searchsorted(times, found)
    begins = places * 0 if warm_up.bars is None else np.maximum(places - bars, 0)
    return [
        Window(
            number,
            first,
            start,
            min(start + horizon, end),
            start + horizon <= end,
        )
        for number, (first, start) in enumerate(
            zip(times[begins].tolist(), found.tolist(), strict=True)
        )
    ]


def _moment(given: Any, ready: int, end: int) -> int:
    """A start as UTC ms. :raises InputError: not a time, or none of the data."""
    try:
        moment = pd.Timestamp(given).as_unit("ns")
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        found = int(moment.value // 1_000_000)
    except (ValueError, TypeError) as error:
        raise InputError(f"start {given!r} is not a time; write it like 2025-10-01") from error
    if not ready <= found < end:
        raise InputError(
            f"start {_day(found)} is outside of what the data can serve, {_day(ready)} to {_day(end)} "
            "(the warm-up before a start is counted)"
        )
    return found


def _day(time: int) -> str:
    return f"{pd.Timestamp(time, unit='ms'):%Y-%m-%d %H:%M}"


def clock(data: Mapping[str, pd.DataFrame]) -> Times:
    """Every bar of any feed, UTC ms. :raises DataError: there is none."""
    own = [milliseconds(frame.index) for frame in data.values()]
    times = np.unique(np.concatenate(own)) if own else np.zeros(0, dtype=np.int64)
    if not len(times) or any(not len(each) for each in own):
        raise DataError("a feed has no bars; give data with bars in every symbol")
    return np.asarray(times, dtype=np.int64)


def from_start(job: Job, window: Window, begin: str) -> Job:
    """The job of one window: the data cut to it, the strategy trading from the start on."""
    cut = {}
    for symbol, frame in job.data.items():
        times = milliseconds(frame.index)
        places = np.searchsorted(times, [window.first, window.until])
        cut[symbol] = frame.iloc[int(places[0]) : int(places[1])]
    if window.first >= window.start:
        return replace(job, data=cut)
    return replace(job, data=cut, strategy=late(job.strategy, window.start, begin))


def warmed(job: Job, sample: Cell, warm_up: Any, begin: str) -> WarmUp:
    """What the warm-up will be.

    ``"auto"``: as many bars as the strategy's indicators need, seen in a run of ``sample`` over the
    beginning of the data; twice as many when it joins, so that it has a memory of its own; none when the
    indicators need one bar only. Averages over all of the past (exponential ones) only come near their value
    in the whole history; ``"all"`` begins each run with the data, and a number says how many bars.

    :raises InputError: something else, or a history the indicators need more of.
    """
    if begin not in BEGINNINGS:
        raise InputError(
            message(
                "begin", repr(begin), ", ".join(BEGINNINGS), None, f"say {JOINS!r} or {FRESH!r}"
            )
        )
    if warm_up == ALL:
        return WarmUp(None, begin)
    if warm_up == AUTO:
        need = needed(job, sample)
        return WarmUp((need if begin == FRESH else 2 * need) if need > 1 else 0, begin)
    if isinstance(warm_up, bool) or not isinstance(warm_up, int) or warm_up < 0:
        todo = 'say how many bars, "auto" or "all"'
        raise InputError(message("warm_up", repr(warm_up), "whole numbers from 0 on", None, todo))
    return WarmUp(warm_up, begin)


def needed(job: Job, sample: Cell) -> int:
    """How many bars pass until every indicator of the strategy has a value, the last one counted.

    :raises InputError: more than there are.
    """
    longest = max(len(frame) for frame in job.data.values())
    begin = max(int(milliseconds(frame.index)[0]) for frame in job.data.values())
    look = _FIRST_LOOK
    while True:
        data = {symbol: _head(frame, begin, look) for symbol, frame in job.data.items()}
        try:
            strategy = run_cell(sample, replace(job, data=data)).strategy
        except InputError:
            if look >= longest:
                raise
        else:
            most = max(getattr(strategy, "_minperiods", (1,)))
            if look >= longest or all(most <= len(frame) for frame in data.values()):
                return int(most)
        look *= 4


def _head(frame: pd.DataFrame, begin: int, bars: int) -> pd.DataFrame:
    place = int(np.searchsorted(milliseconds(frame.index), begin))
    return frame.iloc[place : place + bars]


def moments(times: Sequence[int] | pd.Series) -> pd.DatetimeIndex:
    """UTC ms as times."""
    return pd.DatetimeIndex(np.asarray(times, dtype="datetime64[ms]")).tz_localize("UTC")
