"""Maintenance tiers of one symbol, and how they change over time.

A tier table cuts the notional of one position into bands. Each band has a maintenance rate and a
deduction (the amount that keeps the requirement continuous from band to band):

    maintenance = notional · mmr − deduction        [settle]

Stepped tables (some venues) have no deductions: the rate of the band holds for the whole notional
and the requirement jumps at the edges. A notional equal to a cap belongs to the lower band. Above
the last cap the last band is used; what a venue allows to hold is :meth:`TierTable.cap`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

from bt_margin.core.checks import above_zero, finite, not_negative
from bt_margin.errors import InputError, message

__all__ = ["Tier", "TierSchedule", "TierTable"]

INF = float("inf")


@dataclass(frozen=True, slots=True)
class Tier:
    """One band: notionals above ``floor`` up to and including ``cap``   [settle].

    mmr : maintenance rate, a fraction in [0, 1)
    deduction : amount taken off the requirement   [settle]
    max_leverage : the most leverage allowed in the band, None when not stated
    """

    floor: float
    cap: float
    mmr: float
    deduction: float = 0.0
    max_leverage: float | None = None

    def __post_init__(self) -> None:
        where = f"tier from {self.floor}"
        not_negative("tier floor", self.floor)
        if not self.cap > self.floor:
            _refuse("tier cap is not above its floor", self.cap, f"above {self.floor}", where)
        if not_negative("maintenance rate", self.mmr, where) >= 1:
            _refuse("maintenance rate is too high", self.mmr, "0 or more and below 1", where)
        finite("deduction", self.deduction, where)
        if self.max_leverage is not None:
            above_zero("max_leverage", self.max_leverage, where)


@dataclass(frozen=True, slots=True)
class TierTable:
    """All tiers of one symbol at one time, checked: from 0, without holes or overlaps.

    tiers : rising, each floor equal to the cap before it. A deduction of the lowest tier shifts the
        whole requirement; below 0 it is an amount asked for whatever the notional
    stepped : True when the requirement may jump at an edge; otherwise a jump of more than one
        ten-thousandth of the requirement is refused, because it means a wrong deduction
        (published deductions are rounded, so a smaller one is not)

    >>> table = TierTable.of([(50_000, 0.004, 0), (250_000, 0.005, 50), (None, 0.01, 1_300)])
    >>> table.maintenance(50_000), table.maintenance(100_000), table.maintenance(300_000)
    (200.0, 450.0, 1700.0)
    >>> table.edges
    (50000, 250000)
    """

    tiers: tuple[Tier, ...]
    stepped: bool = False
    edges: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _rows: tuple[tuple[float, float, float], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tiers", tuple(self.tiers))
        if not self.tiers:
            _refuse("tier table is empty", None, "at least one tier")
        if self.tiers[0].floor != 0:
            _refuse("tier table does not start at 0", self.tiers[0].floor, "0")
        for lower, upper in pairwise(self.tiers):
            _check_edge(lower, upper, self.stepped)
        object.__setattr__(self, "edges", tuple(tier.cap for tier in self.tiers[:-1]))
        rows = tuple((tier.cap, tier.mmr, tier.deduction) for tier in self.tiers)
        object.__setattr__(self, "_rows", rows)

    @classmethod
    def flat(cls, rate: float, max_leverage: float | None = None) -> TierTable:
        """One rate for every notional.

        >>> TierTable.flat(0.005).maintenance(40_000)
        200.0
        """
        return cls((Tier(0, INF, rate, 0, max_leverage),))

    @classmethod
    def of(cls, rows: Iterable[Sequence[float | None]], stepped: bool = False) -> TierTable:
        """A table from rows (cap, mmr, deduction[, max_leverage]), lowest first.

        A cap of None is infinite. A deduction of None is worked out so that the requirement is
        continuous, d_n = d_{n−1} + floor_n · (mmr_n − mmr_{n−1}); 0 in a stepped table. The lowest
        of several has none; a single row may stand for the one tier that is known to be in force.

        >>> [tier.deduction for tier in TierTable.of([(50, 0.25, None), (None, 0.5, None)]).tiers]
        [0, 12.5]
        """
        tiers: list[Tier] = []
        for number, row in enumerate(rows, start=1):
            if not 2 <= len(row) <= 4:
                _refuse("tier row is malformed", tuple(row), "(cap, mmr, deduction, max_leverage)")
            cap, mmr, given, most = (*row, None, None)[:4]
            if mmr is None:
                _refuse("tier has no maintenance rate", None, "a rate", f"row {number}")
            below = tiers[-1] if tiers else None
            floor = below.cap if below else 0
            derived: float = 0
            if below and not stepped:
                derived = below.deduction + floor * (finite("mmr", mmr) - below.mmr)
            deduction = derived if given is None else given
            tiers.append(Tier(floor, INF if cap is None else cap, mmr, deduction, most))
        if len(tiers) > 1 and tiers[0].deduction != 0:
            _refuse("lowest tier has a deduction", tiers[0].deduction, "0")
        return cls(tuple(tiers), stepped)

    def at(self, notional: float) -> Tier:
        """The one tier a notional falls in; a cap belongs to the lower tier.

        >>> TierTable.of([(50, 0.01, 0), (100, 0.02, None)]).at(50).mmr
        0.01
        """
        for tier in self.tiers:
            if notional <= tier.cap:
                return tier
        return self.tiers[-1]

    def maintenance(self, notional: float) -> float:
        """Maintenance margin M = notional · mmr − deduction   [settle]; leverage has no part in it.

        notional : unsigned, at the MARK price

        >>> TierTable.of([(50, 0.01, 0), (100, 0.02, None)]).maintenance(100)
        1.5
        """
        for cap, rate, deduction in self._rows:
            if notional <= cap:
                return notional * rate - deduction
        return notional * rate - deduction

    def max_leverage(self, notional: float) -> float:
        """The most leverage allowed at this notional, infinite when the table does not say.

        >>> TierTable.flat(0.005, max_leverage=100).max_leverage(1_000)
        100
        """
        most = self.at(notional).max_leverage
        return INF if most is None else most

    def cap(self, leverage: float) -> float:
        """The largest notional allowed at this leverage   [settle]; infinite when not limited.

        0 when not even the lowest tier allows the leverage.

        >>> table = TierTable.of([(50, 0.01, 0, 20), (100, 0.02, None, 10)])
        >>> table.cap(20), table.cap(10), table.cap(21)
        (50, 100, 0.0)
        """
        largest = 0.0
        for tier in self.tiers:
            if tier.max_leverage is not None and leverage > tier.max_leverage:
                break
            largest = tier.cap
        return largest

    def raised(self, amount: float, rate: float = 0.0) -> TierTable:
        """The table with ``amount`` on top of every requirement and ``rate`` on top of every rate.

        >>> table = TierTable.of([(50_000, 0.004, 0), (None, 0.005, 50)])
        >>> table.raised(7.0).maintenance(100_000), table.raised(0.0, 0.001).maintenance(10_000)
        (457.0, 50.0)
        """
        tiers = [
            Tier(t.floor, t.cap, t.mmr + rate, t.deduction - amount, t.max_leverage)
            for t in self.tiers
        ]
        return TierTable(tuple(tiers), self.stepped)

    @classmethod
    def fixed(cls, amount: float) -> TierTable:
        """A requirement of so much money, whatever the notional   [settle].

        >>> TierTable.fixed(12.5).maintenance(0), TierTable.fixed(12.5).maintenance(1_000_000)
        (12.5, 12.5)
        """
        return cls((Tier(0, INF, 0, -amount),))

    def maintenance_bound(self, lo: float, hi: float) -> float:
        """What equity at notional ``lo`` must exceed so that no notional in [lo, hi] is in breach.

        For a position that loses as its notional falls (linear long, inverse short), ``lo`` is the
        worst corner: equity at n is at least equity(lo) + (n − lo). The least sufficient bound is

            max over n in [lo, hi] of  M(n) − (n − lo)        [settle]

        In a continuous table that is M(lo) itself. In a stepped table a higher band may ask more
        than the position has gained on the way up. A position that loses as its notional rises
        needs no bound: M(hi) is the most it is ever asked for.

        >>> TierTable.of([(50, 0.01, 0), (100, 0.02, None)]).maintenance_bound(40, 60)
        0.4
        >>> TierTable.of([(50, 0.01, 0), (100, 0.5, None)], stepped=True).maintenance_bound(40, 60)
        15.0
        """
        bound = self.maintenance(lo)
        if not self.stepped:
            return bound
        for tier in self.tiers[1:]:
            if lo <= tier.floor < hi:
                bound = max(bound, lo - tier.floor * (1 - tier.mmr) - tier.deduction)
        return bound


@dataclass(frozen=True, slots=True)
class TierSchedule:
    """The tier tables of one symbol, each in force from a time on.

    tables : (since, table), since in UTC epoch milliseconds, rising
    sources : where each table was read, one per table, or empty

    Before the first date the first table stands in, and :meth:`is_proxy` says so.

    >>> schedule = TierSchedule(((0, TierTable.flat(0.01)), (1_000, TierTable.flat(0.02))))
    >>> schedule.at(999).at(1).mmr, schedule.at(1_000).at(1).mmr
    (0.01, 0.02)
    >>> schedule.next_change(0), schedule.next_change(1_000), schedule.is_proxy(-1)
    (1000, None, True)
    """

    tables: tuple[tuple[int, TierTable], ...]
    sources: tuple[str, ...] = ()
    _times: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", tuple(self.tables))
        object.__setattr__(self, "sources", tuple(self.sources))
        times = tuple(since for since, _ in self.tables)
        object.__setattr__(self, "_times", times)
        if not times:
            _refuse("tier schedule is empty", None, "at least one dated table")
        if any(after <= before for before, after in pairwise(times)):
            _refuse("tier schedule is not in order of time", times, "rising dates")
        if self.sources and len(self.sources) != len(times):
            _refuse("tier schedule has a wrong number of sources", len(self.sources), len(times))

    def at(self, ms: int) -> TierTable:
        """The table in force at a time; before the first date the first one."""
        return self.tables[self._index(ms)][1]

    def source(self, ms: int) -> str:
        """Where the table in force was read; "" when not stated."""
        return self.sources[self._index(ms)] if self.sources else ""

    def next_change(self, ms: int) -> int | None:
        """When the table changes next after a time, None when it does not change any more."""
        after = bisect_right(self._times, ms)
        if after == 0:
            after = 1  # the first table already stands in
        return self._times[after] if after < len(self._times) else None

    def is_proxy(self, ms: int) -> bool:
        """True before the first date, where the first table only stands in for an older one."""
        return ms < self._times[0]

    def pinned(self, ms: int) -> TierSchedule:
        """A schedule that never changes: only the table in force at ``ms``, with its date."""
        index = self._index(ms)
        return TierSchedule((self.tables[index],), self.sources[index : index + 1])

    def _index(self, ms: int) -> int:
        return max(bisect_right(self._times, ms) - 1, 0)


def _check_edge(lower: Tier, upper: Tier, stepped: bool) -> None:
    """Refuse holes, overlaps, falling rates and, unless stepped, jumps of the requirement."""
    edge = lower.cap
    where = f"tier edge at {edge}"
    if upper.floor != edge:
        _refuse("hole or overlap between tiers", upper.floor, f"floor {edge}", where)
    below = edge * lower.mmr - lower.deduction
    above = edge * upper.mmr - upper.deduction
    if upper.mmr < lower.mmr:
        _refuse("maintenance rate falls", upper.mmr, f"at least {lower.mmr}", where)
    if not stepped and abs(above - below) > edge * upper.mmr * 1e-4:
        _refuse("maintenance jumps", f"{below} below and {above} above", "no jump", where)


def _refuse(what: str, found: object, allowed: object, where: str | None = None) -> NoReturn:
    raise InputError(message(what, found, allowed, where))
