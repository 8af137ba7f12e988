"""Funding: stamps, payments, and reading stamps out of a column of rates.

A stamp is one settlement: at its time every open position pays or receives once. Positive rates:
longs pay, shorts receive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from bt_margin.core.checks import above_zero, is_finite
from bt_margin.core.contract import Contract
from bt_margin.errors import DataError, message

__all__ = ["FundingStamp", "carried", "payment", "spread", "stamps_from_pairs"]

MINUTE = 60_000


class FundingStamp(NamedTuple):
    """One settlement: time in UTC epoch milliseconds, rate as a fraction of notional, and the mark
    price it is charged at (None: the mark at that time)."""

    time: int
    rate: float
    mark: float | None = None


def payment(contract: Contract, size: float, mark: float, rate: float) -> float:
    """Change of the wallet by one settlement   [settle]; + is received, − is paid.

    P = −size · multiplier · |worth(mark)| · rate, so a long pays when the rate is above 0.

    >>> payment(Contract("X"), size=2, mark=30_000, rate=0.0001)
    -6.0
    >>> payment(Contract("X"), size=-2, mark=30_000, rate=0.0001)
    6.0
    """
    return -size * contract.multiplier * abs(contract.worth(mark)) * rate


def stamps_from_pairs(
    pairs: Iterable[tuple[int, float] | tuple[int, float, float | None]],
) -> tuple[FundingStamp, ...]:
    """Settlements from (time, rate) or (time, rate, mark), in order of time.

    Venues stamp settlements some milliseconds early or late. Times are set to the nearest whole
    minute, so that a settlement meant for 08:00 is charged to the bar that opens at 08:00. Rates
    and marks are kept as given. The same settlement given twice counts once.

    Raises DataError for a rate that is not a number, a mark that is not above zero, and two
    different rates for one minute. Empty input gives no stamps.

    >>> [stamp.time for stamp in stamps_from_pairs([(28_800_007, 0.0002), (-3, 0.0001)])]
    [0, 28800000]
    """
    found: dict[int, FundingStamp] = {}
    for time, rate, *rest in pairs:
        mark = rest[0] if rest else None
        where = f"funding stamp at {time}"
        if not is_finite(rate):
            todo = "leave the stamp out or give its rate"
            raise DataError(message("funding rate is not a number", rate, None, where, todo))
        if mark is not None and not (is_finite(mark) and mark > 0):
            raise DataError(message("mark is not a price", mark, "more than 0 or None", where))
        minute = (int(time) + MINUTE // 2) // MINUTE * MINUTE
        stamp = FundingStamp(minute, rate, mark)
        before = found.setdefault(minute, stamp)
        if before.rate != rate:
            both = f"{before.rate} and {rate}"
            raise DataError(message("two funding rates for one minute", both, "one", where))
    return tuple(found[minute] for minute in sorted(found))


def carried(
    times: Sequence[int], rates: Sequence[float], interval_ms: int
) -> tuple[FundingStamp, ...]:
    """Settlements hidden in a column that stands beside bars (open times, rising).

    Three habits are told apart by whether valued rows stand next to each other:

    * *sparse*: values are alone between NaN, so each value is one stamp at its row;
    * *zero filled*: values other than 0 are alone between zeros, likewise;
    * *dense*: the last known rate is repeated on every bar, so only the first row of each interval
      of ``interval_ms`` (counted from 1970) is a stamp, at the start of the interval. A first row
      that does not stand on such a start repeats a settlement from before the data: no stamp.

    No values give no stamps. Raises DataError when the columns differ in length.

    >>> hour = 3_600_000
    >>> rows = [hour * i for i in range(16)]
    >>> [stamp.time // hour for stamp in carried(rows, [0.0001] * 16, 8 * hour)]
    [0, 8]
    >>> nan = float("nan")
    >>> len(carried(rows, [0.0001, nan, nan, nan] * 4, 8 * hour))
    4
    """
    if len(times) != len(rates):
        raise DataError(message("times and rates differ in length", len(rates), len(times)))
    above_zero("funding interval", interval_ms)
    valued = [rate == rate for rate in rates]
    charged = [known and rate != 0 for known, rate in zip(valued, rates, strict=True)]
    for flags in (valued, charged):
        if not all(flags) and any(flags) and _alone(flags):
            rows = [index for index, flag in enumerate(flags) if flag]
            return tuple(FundingStamp(int(times[row]), rates[row]) for row in rows)
    return _on_grid(times, rates, valued, interval_ms)


def spread(stamps: Sequence[FundingStamp], interval: int, step: int) -> tuple[FundingStamp, ...]:
    """Settlements of rates that accrue: each stamp as one piece per bar of the interval *before* it.

    piece of a bar = rate · step / interval, due at the end of the bar

    interval : what a stamp's rate is for, less where the stamp before it is nearer   [ms]
    step : length of a bar   [ms]

    Bars are counted back from the stamp; where the interval is no whole number of them, its first piece is
    for the rest. The pieces of a stamp sum to its rate, and the last keeps its mark (the others are charged
    at the mark of their time). Bars as long as the interval, or longer, leave a stamp as it is: who opens a
    position inside a bar pays from the start of that bar, who closes one pays up to the start.

    >>> quarter, hour = 900_000, 3_600_000
    >>> pieces = spread([FundingStamp(8 * hour, 0.0005)], hour, quarter)
    >>> [(piece.time // quarter, piece.rate) for piece in pieces]
    [(29, 0.000125), (30, 0.000125), (31, 0.000125), (32, 0.000125)]
    >>> spread([FundingStamp(8 * hour, 0.0004)], hour, hour)
    (FundingStamp(time=28800000, rate=0.0004, mark=None),)
    """
    above_zero("funding interval", interval)
    above_zero("length of a bar", step)
    pieces: list[FundingStamp] = []
    before: int | None = None
    for stamp in stamps:
        span = interval if before is None else min(interval, stamp.time - before)
        before, left = stamp.time, stamp.rate
        count = max(1, -(-span // step))
        for back in range(count - 1, 0, -1):
            length = step if back < count - 1 else span - (count - 1) * step
            rate = stamp.rate * length / span
            pieces.append(FundingStamp(stamp.time - back * step, rate))
            left -= rate
        pieces.append(stamp._replace(rate=left))
    return tuple(pieces)


def _alone(flags: Sequence[bool]) -> bool:
    """True when at most half of the set flags follow directly on another set flag."""
    together = sum(1 for one, two in pairwise(flags) if one and two)
    return 2 * together <= sum(flags)


def _on_grid(
    times: Sequence[int], rates: Sequence[float], valued: Sequence[bool], interval: int
) -> tuple[FundingStamp, ...]:
    """The first known rate of each interval, stamped at the start of the interval."""
    stamps: list[FundingStamp] = []
    last: int | None = None
    for time, rate, known in zip(times, rates, valued, strict=True):
        if not known:
            continue
        cell = int(time) // interval
        if cell != last and (last is not None or time == cell * interval):
            stamps.append(FundingStamp(cell * interval, rate))
        last = cell
    return tuple(stamps)
