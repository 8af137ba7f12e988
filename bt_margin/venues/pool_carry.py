"""What holding a position costs on a pool venue: borrow fees, funding and price impact on the size at entry.

Pool statistics are not in price bars, so they are the user's: one number, or a dated series of
``(date, number)`` pairs, each of which holds from its date until the next (the first also before it).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from bt_margin.core.pool_rates import (
    accrued_on_size,
    interval_borrow_fee,
    interval_borrow_rate,
    kink_borrow_rate,
    per_second,
)
from bt_margin.core.price_impact import capped_impact, price_impact
from bt_margin.errors import InputError
from bt_margin.venues.carry import Carried, Charge, PoolView
from bt_margin.venues.names import moment
from bt_margin.venues.numbers import number

HOUR = 3_600_000
PPM = 1_000_000
INF = float("inf")
#: Earlier than every date.
_ALWAYS = -(2**62)

Course = tuple[tuple[int, float], ...]
"""A number over time: ``(since, value)`` pairs, UTC ms, rising; the first value holds from ever."""


def course(value: object, what: str, low: float, high: float, as_of: int | None = None) -> Course:
    """A number or a dated series as people write it, checked.

    ``as_of`` reduces a series to the number in force at that moment.

    Raises :class:`~bt_margin.errors.InputError` naming ``what``.

    >>> course(0.5, "usage", 0, 1) == ((-(2**62), 0.5),)
    True
    >>> [number for _, number in course([("2025-01-01", 0.5), ("2025-02-01", 0.6)], "usage", 0, 1)]
    [0.5, 0.6]
    """
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        return ((_ALWAYS, number(value, what, low, high)),)
    found: list[tuple[int, float]] = []
    for row in value:
        if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) != 2:
            raise InputError(f"{what} has the row {row!r}; give a number or (date, number) pairs")
        since = moment(row[0], what)
        if since is None or (found and since <= found[-1][0]):
            raise InputError(f"{what} has the date {row[0]!r}; give rising dates")
        found.append((since, number(row[1], what, low, high)))
    if not found:
        raise InputError(f"{what} is an empty series; give a number or (date, number) pairs")
    return tuple(found) if as_of is None else ((_ALWAYS, in_force(tuple(found), as_of)),)


def in_force(values: Course, ms: int) -> float:
    """The number at a time.

    >>> in_force(((0, 1.0), (10, 2.0)), 9), in_force(((0, 1.0), (10, 2.0)), 10)
    (1.0, 2.0)
    """
    return values[max(bisect_right(values, (ms, INF)) - 1, 0)][1]


def spans(values: Course, since: int, until: int) -> Iterator[tuple[float, int, int]]:
    """The numbers in force between two times, each with when it began and ended to be (UTC ms).

    >>> list(spans(((0, 1.0), (10, 2.0)), 4, 12))
    [(1.0, 4, 10), (2.0, 10, 12)]
    """
    first, last = bisect_right(values, (since, INF)), bisect_left(values, (until, -INF))
    cuts = [since, *(at for at, _ in values[first:last]), until]
    for begin, end in pairwise(cuts):
        if end > begin:
            yield in_force(values, begin), begin, end


def entry_value(p: Carried) -> float:
    """The money the position was opened for, unsigned   [settle]."""
    return p.contract.notional(p.size, p.entry)


@dataclass(frozen=True, slots=True)
class HourlyBorrow:
    """A borrow fee in steps: at each whole hour, floor(factor · utilisation) ppm of the size at entry.

    utilisation : share of the pool that is reserved; factor : ppm per hour when all of it is

    A position opened within an hour pays that hour in full at its end. The pool is taken to be updated every
    hour, as it is by every trade.

    >>> from bt_margin.core.contract import Contract
    >>> carry = HourlyBorrow(course(0.5, "utilisation", 0, 1), 100)
    >>> long = Carried("X", Contract("X"), 2.0, 500.0, 600.0, 0, 10.0)
    >>> [charge.amount for charge in carry.due(PoolView(100.0, (long,), True), HOUR - 1, 3 * HOUR)]
    [0.15]
    """

    utilisation: Course
    factor: int

    def due(self, pool: PoolView, since: int, until: int) -> Sequence[Charge]:
        """The hours that ended in (since, until]; each position pays from its opening."""
        return [
            Charge(p.symbol, fee, "borrow fee")
            for p in pool.positions
            if (fee := self._fee(p, max(since, p.opened), until))
        ]

    def on_opening(self, position: Carried) -> float:
        """Nothing."""
        return 0.0

    def _fee(self, p: Carried, since: int, until: int) -> float:
        rate = sum(
            self._rate(used) * (end // HOUR - begin // HOUR)
            for used, begin, end in spans(self.utilisation, since, until)
        )
        return interval_borrow_fee(entry_value(p), rate)

    def _rate(self, used: float) -> int:
        """Rate of an hour at a utilisation, which counts in whole ppm of the pool."""
        return interval_borrow_rate(self.factor, round(used * PPM), PPM)


class Sides(NamedTuple):
    """Rates per year over time of the two sides of a market, + what the side pays, − what it receives."""

    long: Course
    short: Course

    def of(self, size: float) -> Course:
        """The rates of the side of a signed size."""
        return self.long if size > 0 else self.short


def kinked(usage: Course, optimal: float, base: float, above: float) -> Course:
    """Borrow rates per year for a usage over time: see :func:`~bt_margin.core.pool_rates.kink_borrow_rate`.

    >>> kinked(((0, 0.5), (10, 1.0)), 0.75, 0.4, 0.8)
    ((0, 0.2), (10, 0.8))
    """
    return tuple((since, kink_borrow_rate(used, optimal, base, above)) for since, used in usage)


def mirrored(rates: Course) -> Course:
    """The rates of the side that receives what the other pays.

    >>> mirrored(((0, 0.5), (10, -1.0)))
    ((0, -0.5), (10, 1.0))
    """
    return tuple((since, -rate) for since, rate in rates)


@dataclass(frozen=True, slots=True)
class Impact:
    """Price impact of one market: factors, exponents and the caps in fractions of the size traded."""

    positive: float
    negative: float
    positive_exponent: float
    negative_exponent: float
    most_positive: float
    most_negative: float


@dataclass(frozen=True, slots=True)
class SecondBySecond:
    """Borrow fees and funding by the second, on the size at entry; price impact when a position is opened.

    borrow, funding : symbol -> rates per year of either side; a symbol without them pays nothing
    impacts : symbol -> price impact; ``imbalance`` long less short open interest that every trade meets, a
        number per symbol   [settle]; a symbol without one has no impact

    The impact of opening and that of closing again, where they are negative, are both charged at the opening:
    the venue notes the first and collects both at the closing.

    >>> from bt_margin.core.contract import Contract
    >>> half, none = ((0, 0.5),), ((0, 0.0),)
    >>> carry = SecondBySecond({"X": Sides(half, none)}, {"X": Sides(half, mirrored(half))})
    >>> long = Carried("X", Contract("X"), 2.0, 500.0, 600.0, 0, 10.0)
    >>> short = long._replace(size=-2.0)
    >>> year = 31_536_000_000
    >>> [charge.amount for charge in carry.due(PoolView(100.0, (long,), True), 0, year)]
    [500.0, 500.0]
    >>> [charge.amount for charge in carry.due(PoolView(100.0, (short,), True), 0, year)]
    [-500.0]
    """

    borrow: Mapping[str, Sides] = field(hash=False)
    funding: Mapping[str, Sides] = field(hash=False)
    impacts: Mapping[str, Impact] = field(default_factory=dict, hash=False)
    imbalance: Mapping[str, float] = field(default_factory=dict, hash=False)

    def due(self, pool: PoolView, since: int, until: int) -> Sequence[Charge]:
        """The fees of (since, until]; each position pays from its opening."""
        return [
            Charge(p.symbol, amount, reason)
            for p in pool.positions
            for rates, reason in ((self.borrow, "borrow fee"), (self.funding, "funding"))
            if (amount := _accrued(p, rates.get(p.contract.symbol), since, until))
        ]

    def on_opening(self, position: Carried) -> float:
        """Price impact of the round trip, 0 or above."""
        symbol = position.contract.symbol
        held, market = self.imbalance.get(symbol), self.impacts.get(symbol)
        if held is None or market is None:
            return 0.0
        size = entry_value(position)
        opening = self._impact(market, held, size, position.size)
        after = held + size if position.size > 0 else held - size
        closing = self._impact(market, after, -size, position.size)
        return -min(0.0, opening) - min(0.0, closing)

    @staticmethod
    def _impact(market: Impact, imbalance: float, change: float, side: float) -> float:
        found = price_impact(
            max(0.0, imbalance), max(0.0, -imbalance), change, side,
            positive=market.positive, negative=market.negative,
            positive_exponent=market.positive_exponent,
            negative_exponent=market.negative_exponent,
        )  # fmt: skip
        return capped_impact(found, change, market.most_negative, market.most_positive)


def _accrued(p: Carried, rates: Sides | None, since: int, until: int) -> float:
    """What the position's side pays between two times, from the opening of the position on."""
    if rates is None:
        return 0.0
    return sum(
        accrued_on_size(entry_value(p), per_second(rate), (end - begin) / 1_000)
        for rate, begin, end in spans(rates.of(p.size), max(since, p.opened), until)
    )
