"""Times as people write them, read one way everywhere: UTC unless they say otherwise."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, message

_ISO = re.compile(r"\d{4}(\d{4}|$|[-/]).*", re.S)  # year first: 01/02/2024 is two different days
_MS = re.compile(r"\d{12,13}")  # epoch ms from 1973 to 2286
_SECONDS = range(100_000_000, 100_000_000_000)  # as ms this is 1970 to 1973: seconds were meant
_LATEST = 7_258_118_400_000  # 2200


def epoch_of(time: Any, name: str) -> int:
    """A date, a time (UTC unless it says its zone) or epoch ms, as epoch ms.

    name : what it is called in messages, e.g. "since"

    Only what can be read one way: the year first, no words such as "today", whose zone nobody knows, and
    whole numbers as ms (of numpy too), never as the nanoseconds pandas takes them for.

    :raises InputError: anything else, numbers with a fraction and epoch seconds among it.

    >>> epoch_of("2024-01-01T02:00+02:00", "since"), epoch_of("1704067200000", "since")
    (1704067200000, 1704067200000)
    >>> epoch_of("01/02/2024", "since")
    Traceback (most recent call last):
    ...
    bt_margin.errors.InputError: since is not a time: found '01/02/2024', allowed e.g. 2024-01-01
    """
    text = time.strip() if isinstance(time, str) else ""
    if _MS.fullmatch(text):
        time, text = int(text), ""
    if isinstance(time, int | np.integer) and not isinstance(time, bool):
        return _whole(int(time), name)
    stamp = None
    if not isinstance(time, Real) and (not isinstance(time, str) or _ISO.fullmatch(text)):
        try:
            stamp = pd.Timestamp(time).as_unit("ms")
        except (ValueError, TypeError):
            stamp = None
    if stamp is None or pd.isna(stamp):
        raise InputError(message(f"{name} is not a time", repr(time), "e.g. 2024-01-01"))
    zoned = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int(zoned.timestamp() * 1000)


def moment_of(time: Any, name: str) -> pd.Timestamp:
    """The same as a timestamp in UTC.

    >>> moment_of("2024-01-01", "until")
    Timestamp('2024-01-01 00:00:00+0000', tz='UTC')
    """
    return pd.Timestamp(epoch_of(time, name), unit="ms", tz="UTC")


def _whole(time: int, name: str) -> int:
    if time in _SECONDS or time > _LATEST:
        allowed = "epoch milliseconds, e.g. 1704067200000, or a date, e.g. 2024-01-01"
        raise InputError(message(f"{name} is not a time", time, allowed))
    return time
