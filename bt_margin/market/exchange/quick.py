"""Rows of candles read quickly, once they are seen to mean what ccxt reads in them.

ccxt looks for every field of every row under several names, which is most of what a download costs.
Many venues send plain lists: time, open, high, low, close, and the volume somewhere behind. So the
first rows of a market are read both ways; where one plain reading equals ccxt's in all of them it is
used from then on, and ccxt still reads every row that is not of that shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LEARNT = 100  # rows read both ways before the plain reading is trusted

Read = Callable[[Any, Any], Any]


def read_plainly(exchange: Any) -> None:
    """Let an instance of a ccxt class read plain rows plainly."""
    exchange.parse_ohlcv = reader(exchange.parse_ohlcv)


def reader(theirs: Read) -> Read:
    """A reader of rows that learns from another; its answers are the other's.

    >>> read = reader(lambda row, market: [int(row[0]), *map(float, row[1:6])])
    >>> rows = [[60_000 * n, "1.5", "2", "1", "1.75", str(n + 1), "0"] for n in range(LEARNT + 5)]
    >>> [read(row, None) for row in rows][-1]
    [6240000, 1.5, 2.0, 1.0, 1.75, 105.0]
    """
    possible: dict[tuple[Any, int], list[int | None]] = {}
    counts: dict[tuple[Any, int], int] = {}
    known: dict[tuple[Any, int], int | None] = {}

    def read(row: Any, market: Any = None) -> Any:
        if type(row) is not list or len(row) < 5:
            return theirs(row, market)
        key = (market["symbol"] if market else None, len(row))
        if key in known:
            try:
                return plain(row, known[key])
            except (TypeError, ValueError):
                return theirs(row, market)
        answer = theirs(row, market)
        left = possible.setdefault(key, [None, *range(5, len(row))])
        left[:] = [place for place in left if _same(row, place, answer)]
        counts[key] = counts.get(key, 0) + 1
        if counts[key] >= LEARNT and len(left) == 1:
            known[key] = left[0]
        return answer

    return read


def plain(row: list[Any], volume: int | None) -> list[Any]:
    """Time, open, high, low and close in front, the volume at its place (None: there is none)."""
    return [
        int(row[0]), float(row[1]), float(row[2]), float(row[3]), float(row[4]),
        None if volume is None else float(row[volume]),
    ]  # fmt: skip


def _same(row: list[Any], place: int | None, answer: Any) -> bool:
    try:
        return bool(plain(row, place) == answer)
    except (TypeError, ValueError):
        return False
