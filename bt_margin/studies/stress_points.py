"""Where in a history a crash begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.times import epoch_of


def points(frames: Mapping[str, pd.DataFrame], at: Any) -> list[int]:
    """The times (UTC ms) meant by ``at``: one, several, or so many evenly spaced bars of the first symbol.

    >>> index = pd.date_range("2025-01-01", periods=100, freq="h", tz="UTC")
    >>> [str(pd.Timestamp(t, unit="ms")) for t in points({"X": pd.DataFrame(index=index)}, 1)]
    ['2025-01-03 02:00:00']

    :raises InputError: none, a number below 1, or a time outside the data.
    """
    if isinstance(at, int) and not isinstance(at, bool) and at < 10**6:
        if at < 1:
            raise InputError(message("at", at, "a time, times, or how many points from 1 on"))
        index = _shared(frames)
        places = [len(index) * number // (at + 1) for number in range(1, at + 1)]
        return [
            int(pd.Timestamp(index[place]).timestamp() * 1000) for place in dict.fromkeys(places)
        ]
    given = (
        [at]
        if isinstance(at, (str, int, pd.Timestamp)) or not hasattr(at, "__iter__")
        else list(at)
    )
    if not given:
        raise InputError(message("at", "nothing", "a time, times, or a number of points"))
    times = [epoch_of(each, "at") for each in given]
    first = max(frame.index[0] for frame in frames.values()).timestamp() * 1000
    last = min(frame.index[-1] for frame in frames.values()).timestamp() * 1000
    for time, said in zip(times, given, strict=True):
        if not first <= time <= last:
            span = " to ".join(
                f"{pd.Timestamp(t, unit='ms'):%Y-%m-%d %H:%M}" for t in (first, last)
            )
            raise InputError(message("at lies outside the data", str(said), span))
    return times


def _shared(frames: Mapping[str, pd.DataFrame]) -> pd.DatetimeIndex:
    """The bars of the first symbol while all symbols have begun and none has ended."""
    index = pd.DatetimeIndex(next(iter(frames.values())).index)
    begin = max(frame.index[0] for frame in frames.values())
    end = min(frame.index[-1] for frame in frames.values())
    found = pd.DatetimeIndex(index[(index >= begin) & (index <= end)])
    if not len(found):
        raise InputError("the symbols have no time in common; give data that overlaps")
    return found
