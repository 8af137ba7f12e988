"""What holding a position costs on a pool venue: borrow fees, funding and price impact on the size at entry.

Pool statistics are not in price bars, so they are the user's: one number, or a dated series of
``(date, number)`` pairs, each of which holds from its date until the next (the first also before it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

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
    current = values[0][1]
    for since, value in values:
        if since <= ms:
            current = value
    return current


def spans(values: Course, since: int, until: int) -> Iterator[tuple[float, int, int]]:
    """The numbers in force between two times, each with when it began and ended to be (UTC ms).

    >>> list(spans(((0, 1.0), (10, 2.0)), 4, 12))
    [(1.0, 4, 10), (2.0, 10, 12)]
    """
    cuts = [since, *(at for at, _ in values if since < at < until), until]
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


@dataclass(frozen=True, slots=True)
class Kink:
    """Borrow rates of one market, per year: up to the ``optimal`` usage towards ``base``, above it faster."""

    optimal: float
    base: float
    above: float


@dataclass(frozen=True, slots=True)
class Impact:
    """Price impact of one market: factors, exponents and the caps in fractions of the size traded."""

    positive: float
    negative: float
    positive_exponent: float
    negative_exponent: float
    most_positive: float
    most_negative: float


Payer = Literal["both", "long", "short"]


@dataclass(frozen=True, slots=True)
class SecondBySecond:
    """Borrow fees and funding by the second, on the size at entry; price impact when a position is opened.

    kinks : symbol -> borrow rates; ``usage`` of the pool over time; ``payer`` the side that pays them
    funding : rate per year over time, + when longs pay; who does not pay it receives it
    impacts : symbol -> price impact; ``imbalance`` long less short open interest that every trade meets, a
        number per symbol   [settle]; a symbol without one has no impact

    The impact of opening and that of closing again, where they are negative, are both charged at the opening:
    the venue notes the first and collects both at the closing.

    >>> from bt_margin.core.contract import Contract
    >>> carry = SecondBySecond({"X": Kink(0.75, 0.5, 1.0)}, course(0.5, "usage", 0, 1), "both",
    ...                        course(0.125, "funding", -1, 1))
    >>> long = Carried("X", Contract("X"), 2.0, 500.0, 600.0, 0, 10.0)
    >>> [charge.amount for charge in carry.due(PoolView(100.0, (long,), True), 0, 31_536_000_000)]
    [250.0, 125.0]
    """

    kinks: Mapping[str, Kink] = field(hash=False)
    usage: Course
    payer: Payer
    funding: Course
    impacts: Mapping[str, Impact] = field(default_factory=dict, hash=False)
    imbalance: Mapping[str, float] = field(default_factory=dict, hash=False)

    def due(self, pool: PoolView, since: int, until: int) -> Sequence[Charge]:
        """The fees of (since, until]; each position pays from its opening."""
        charges: list[Charge] = []
        for p in pool.positions:
            begin = max(since, p.opened)
            charges.append(Charge(p.symbol, self._borrow(p, begin, until), "borrow fee"))
            charges.append(Charge(p.symbol, self._funding(p, begin, until), "funding"))
        return [charge for charge in charges if charge.amount]

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

    def _borrow(self, p: Carried, since: int, until: int) -> float:
        kink = self.kinks.get(p.contract.symbol)
        side = "long" if p.size > 0 else "short"
        if kink is None or self.payer not in ("both", side):
            return 0.0
        rates = (
            (kink_borrow_rate(usage, kink.optimal, kink.base, kink.above), begin, end)
            for usage, begin, end in spans(self.usage, since, until)
        )
        return _over(entry_value(p), rates)

    def _funding(self, p: Carried, since: int, until: int) -> float:
        paid = _over(entry_value(p), spans(self.funding, since, until))
        return paid if p.size > 0 else -paid


def _over(size: float, rates: Iterable[tuple[float, int, int]]) -> float:
    """Fee of annual rates, each between two times (ms)."""
    return sum(
        accrued_on_size(size, per_second(rate), (end - begin) / 1_000) for rate, begin, end in rates
    )
