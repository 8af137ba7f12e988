"""A venue that asks for more maintenance from a moment on: requirements times a factor, as a dated change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bt_margin.core.tiers import Tier, TierSchedule, TierTable
from bt_margin.errors import InputError, message
from bt_margin.studies.rules import downloaded_tiers
from bt_margin.studies.sweep_rules import StretchedRule
from bt_margin.venues import venue as make_venue
from bt_margin.venues.overrides import Overlay

if TYPE_CHECKING:
    from bt_margin.venues.carry import PoolView, SharedRequirement
    from bt_margin.venues.margin import Held
    from bt_margin.venues.spec import Venue

_MAINTENANCE = ("tiers", "maintenance_rate", "max_leverage")
_MOST = 0.999  # a rate of 1 would ask for as much as the position is worth


def tightened(
    keywords: Mapping[str, Any],
    frames: Mapping[str, Any],
    names: Sequence[str],
    factor: float,
    since: int,
) -> dict[str, Any]:
    """The broker's keywords with a venue whose requirements are ``factor`` times as much from ``since`` on.

    What ``symbols=`` or the data says of a symbol's tiers is put into the venue first, so that it is
    tightened too. ``names`` are the symbols meant; a venue with another rule than a tier table at the mark is
    tightened as a whole. :raises InputError: no factor above 0, or no venue.
    """
    if not 0.0 < factor < float("inf"):
        raise InputError(message("factor of a tightening", factor, "above 0, e.g. 2"))
    full, _ = downloaded_tiers(keywords, frames)
    rules = full.get("venue")
    if rules is None:
        raise InputError('no venue given; say whose rules apply, e.g. venue="binance"')
    own = make_venue(rules, as_of=full.get("as_of")) if isinstance(rules, str) else rules
    said = {n: dict(each) for n, each in (full.get("symbols") or {}).items()}
    moved = {n: {k: each.pop(k) for k in _MAINTENANCE if k in each} for n, each in said.items()}
    moved = {name: each for name, each in moved.items() if each}
    own = own.with_symbols(moved) if moved else own
    symbols = {name: each for name, each in said.items() if each}
    changed = {"venue": _later(own, names, factor, since), "symbols": symbols or None}
    return full | changed | ({"as_of": None} if isinstance(rules, str) else {})


def _later(venue: Venue, names: Sequence[str], factor: float, since: int) -> Venue:
    """The venue with its change."""
    if all(rule.plain for _, rule in venue.margin):
        asked = {venue.resolve(name) for name in names}
        own = {venue.stands_for.get(symbol, symbol) for symbol in asked}
        changed = {symbol: later(venue.schedule(symbol), factor, since) for symbol in own}
        return replace(venue, schedules=Overlay(venue.schedules, changed))
    before = [(begin, rule) for begin, rule in venue.margin if begin < since]
    now = venue.margin_at(since)
    after = [(begin, rule) for begin, rule in venue.margin if begin > since]
    rules = [*before, (since, TightenedRule(now, factor))]
    rules += [(begin, TightenedRule(rule, factor)) for begin, rule in after]
    shared = None if venue.shared is None else LaterShare(venue.shared, factor, since)
    return replace(venue, margin=tuple(rules), shared=shared)


def later(schedule: TierSchedule, factor: float, since: int) -> TierSchedule:
    """The schedule with every table in force from ``since`` on times a factor.

    >>> from bt_margin.core.tiers import TierTable
    >>> own = later(TierSchedule(((0, TierTable.flat(0.01)),)), 2.0, 1_000)
    >>> own.at(999).at(1).mmr, own.at(1_000).at(1).mmr
    (0.01, 0.02)
    """
    kept = [(begin, table) for begin, table in schedule.tables if begin < since]
    rest = [(begin, table) for begin, table in schedule.tables if begin > since]
    if not kept:  # the first table stands in for the time before it
        kept = [(since - 1, schedule.at(since))]
    tables = [*kept, (since, capped(schedule.at(since), factor))]
    tables += [(begin, capped(table, factor)) for begin, table in rest]
    return TierSchedule(tuple(tables))


def capped(table: TierTable, factor: float) -> TierTable:
    """The table with every rate times a factor, none above 0.999; continuous where it was.

    >>> tight = capped(TierTable.of([(50, 0.25, 0), (100, 0.5, None)]), 2.0)
    >>> [tier.mmr for tier in tight.tiers], tight.maintenance(50), tight.maintenance(100)
    ([0.5, 0.999], 25.0, 74.95)
    """
    tiers: list[Tier] = []
    for tier in table.tiers:
        rate, deduction = tier.mmr * factor, tier.deduction * factor
        if rate > _MOST:
            rate = _MOST
            if tiers and not table.stepped:
                deduction = tiers[-1].deduction + tier.floor * (rate - tiers[-1].mmr)
        tiers.append(Tier(tier.floor, tier.cap, rate, deduction, tier.max_leverage))
    return TierTable(tuple(tiers), table.stepped)


@dataclass(frozen=True)
class TightenedRule(StretchedRule):
    """A margin rule whose requirement is times a factor; initial margin and caps are the rule's own."""

    def requirement(self, held: Held) -> TierTable:
        """The rule's requirement, times the factor."""
        return capped(self.rule.requirement(held), self.factor)


@dataclass(frozen=True)
class LaterShare:
    """A requirement of a whole pool, times a factor from a moment on."""

    shared: SharedRequirement
    factor: float
    since: int

    def of(self, pool: PoolView, time: int) -> float:
        """What the pool must keep beyond its positions."""
        return self.shared.of(pool, time) * (self.factor if time >= self.since else 1.0)
