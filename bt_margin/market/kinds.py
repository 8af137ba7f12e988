"""The kinds of market data, their columns, the clock of a timeframe, and a page of rows.

    ohlcv     bars of the last price: open, high, low, close [quote per base], volume
    mark      bars of the mark price, the one liquidations are triggered by; volume 0 or NaN
    index     bars of the index price the mark is made from; volume 0 or NaN
    funding   settlements: rate (positive: longs pay), and the mark they settled at where given
    tiers     maintenance margin by notional; dated snapshots, not rows (see `store.tiers`)

Times are UTC epoch milliseconds: a bar's OPEN, a settlement's own stamp exactly as the venue gave
it (milliseconds after the hour included). A span `(start, stop)` is half open: start <= time < stop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bt_margin.errors import InputError, message

BAR_KINDS = ("ohlcv", "mark", "index")
KINDS = (*BAR_KINDS, "funding", "tiers")
BAR_COLUMNS = ("open", "high", "low", "close", "volume")
FUNDING_COLUMNS = ("funding_rate", "mark")

Span = tuple[int, int]

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_TIMEFRAME = re.compile(r"([1-9]\d*)([smhdw])")
_MONDAY = 4 * 86_400_000  # 1970-01-05, the first Monday: weekly bars open on Mondays


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the bars of a timeframe open: `anchor + n * step`, all in ms.

    >>> hourly = Grid.of("1h")
    >>> hourly.floor(5_400_000), hourly.ceil(5_400_000), hourly.on(7_200_000)
    (3600000, 7200000, True)
    """

    step: int
    anchor: int = 0

    @classmethod
    def of(cls, timeframe: str) -> Grid:
        """The grid of `1m`, `15m`, `1h`, `1d`, `1w` ...; `InputError` for anything else.

        Months have no fixed length and are refused.

        >>> Grid.of("1w")
        Grid(step=604800000, anchor=345600000)
        >>> Grid.of("1M")
        Traceback (most recent call last):
        ...
        bt_margin.errors.InputError: unknown timeframe: found '1M', allowed 1m, 5m, 15m, 1h, ...
        """
        match = _TIMEFRAME.fullmatch(timeframe)
        if not match:
            allowed = "1m, 5m, 15m, 1h, 4h, 1d, 1w and the like"
            todo = "months have no fixed length; take 1d" if timeframe.endswith("M") else None
            raise InputError(message("unknown timeframe", repr(timeframe), allowed, todo=todo))
        size, unit = match.groups()
        return cls(int(size) * _UNITS[unit], _MONDAY if unit == "w" else 0)

    def on(self, time: int) -> bool:
        """Whether a bar opens at this time."""
        return (time - self.anchor) % self.step == 0

    def floor(self, time: int) -> int:
        """The last open at or before this time."""
        return time - (time - self.anchor) % self.step

    def ceil(self, time: int) -> int:
        """The first open at or after this time."""
        return time + (self.anchor - time) % self.step

    def count(self, span: Span) -> int:
        """How many bars open inside a span.

        >>> Grid.of("1h").count((1, 7_200_001))
        2
        """
        start, stop = span
        return max(0, (self.ceil(stop) - self.ceil(start)) // self.step)


def columns_of(kind: str) -> tuple[str, ...]:
    """The value columns of a kind, in stored order; the column `timestamp` stands before them.

    >>> columns_of("funding")
    ('funding_rate', 'mark')
    """
    return FUNDING_COLUMNS if kind == "funding" else BAR_COLUMNS


@dataclass(frozen=True, slots=True)
class Page:
    """What the venue said about one span: rows, and the holes it confirmed.

    span : the stretch this page settles; every row is inside, and all of the stretch that is not
        in `open` is answered for good
    times : rising, unique [ms]; only bars that are closed
    columns : one sequence per column of `columns_of(kind)`, each as long as `times`
    holes : stretches the venue has no rows for, asked again and confirmed (an outage, a halt)
    open : stretches that are not settled: the venue may still deliver them (the newest bars)
    requests : how many calls it took
    """

    span: Span
    times: Sequence[int]
    columns: tuple[Sequence[float], ...]
    holes: tuple[Span, ...] = ()
    open: tuple[Span, ...] = ()
    requests: int = 1
