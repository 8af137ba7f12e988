"""A venue with its fees or its maintenance requirement changed: settings of a sweep that no broker has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bt_margin.core.fees import Fees
from bt_margin.core.tiers import Tier, TierSchedule, TierTable
from bt_margin.errors import InputError, message
from bt_margin.venues.spec import SymbolFees, Venue

if TYPE_CHECKING:
    from bt_margin.venues.carry import PoolView, SharedRequirement
    from bt_margin.venues.margin import Held, MarginRule

#: Setting -> what it does; all are properties of the venue, and none is a keyword of the broker.
RULES = {
    "taker_fee": "taker fee rate of every symbol, in place of the venue's",
    "maker_fee": "maker fee rate of every symbol, in place of the venue's",
    "liquidation_fee": "liquidation fee rate of every symbol, in place of the venue's",
    "fee_factor": "the venue's maker and taker fees times this",
    "maintenance_buffer": "every maintenance requirement is higher by this share of itself",
}


def altered(venue: Venue, changes: Mapping[str, Any]) -> Venue:
    """The venue with :data:`RULES` applied; entries that are None change nothing.

    ``maintenance_buffer`` 0.1 asks for a tenth more than the venue does: accounts are liquidated earlier by
    so much. Initial margin and tier caps stay.

    >>> from bt_margin.venues import venue
    >>> own = altered(venue("binance"), {"taker_fee": 0.001, "maintenance_buffer": 0.25})
    >>> own.fees_at("BTC/USDT:USDT", 0).taker, own.schedule("BTC/USDT:USDT").at(0).at(1).mmr
    (0.001, 0.005)

    :raises InputError: a number that cannot be a fee or a buffer.
    """
    given = {name: _number(name, value) for name, value in changes.items() if value is not None}
    if given.keys() & {"taker_fee", "maker_fee", "liquidation_fee", "fee_factor"}:
        venue = replace(
            venue,
            fees=tuple((since, _fees(fees, given)) for since, fees in venue.fees),
            symbol_fees=Mapped(venue.symbol_fees, _OwnFees(given)),
        )
    buffer = given.get("maintenance_buffer", 0.0)
    return _buffered(venue, 1.0 + buffer) if buffer else venue


def _number(name: str, value: Any) -> float:
    """The value as a number. :raises InputError: it is none, or one that cannot be meant."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    low = 0.0 if name in ("liquidation_fee", "fee_factor", "maintenance_buffer") else -1.0
    if not low <= found < (float("inf") if name == "fee_factor" else 10.0):
        raise InputError(message(name, repr(value), f"a number of {low:g} or more", RULES[name]))
    return found


def _fees(fees: Fees, given: Mapping[str, float]) -> Fees:
    factor = given.get("fee_factor", 1.0)
    return Fees(
        maker=given.get("maker_fee", fees.maker * factor),
        taker=given.get("taker_fee", fees.taker * factor),
        liquidation=given.get("liquidation_fee", fees.liquidation),
    )


@dataclass(frozen=True)
class _OwnFees:
    """Fees of one symbol, changed alike."""

    given: Mapping[str, float]

    def __call__(self, own: SymbolFees) -> SymbolFees:
        factor = self.given.get("fee_factor", 1.0)
        changed: dict[str, float | None] = {}
        for name in ("maker", "taker"):
            value = getattr(own, name)
            scaled = None if value is None else value * factor
            changed[name] = None if f"{name}_fee" in self.given else scaled
        changed["liquidation"] = None if "liquidation_fee" in self.given else own.liquidation
        return SymbolFees(**changed)


class Mapped(Mapping[str, Any]):
    """A mapping whose values go through a function when they are read."""

    def __init__(self, base: Mapping[str, Any], change: Any) -> None:
        self._base, self._change = base, change
        self._made: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._made:
            self._made[key] = self._change(self._base[key])
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._base

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)


def _buffered(venue: Venue, factor: float) -> Venue:
    """The venue with every requirement times ``factor``: its tables, or the answers of its rules."""
    shared = None if venue.shared is None else StretchedShare(venue.shared, factor)
    if not all(rule.plain for _, rule in venue.margin):
        rules = tuple((since, StretchedRule(rule, factor)) for since, rule in venue.margin)
        return replace(venue, margin=rules, shared=shared)
    stretch = _Stretch(factor)
    kept = venue.default_schedule
    return replace(
        venue,
        schedules=Mapped(venue.schedules, stretch),
        default_schedule=None if kept is None else stretch(kept),
        shared=shared,
    )


@dataclass(frozen=True)
class _Stretch:
    """Times a factor: a schedule of tables."""

    factor: float

    def __call__(self, schedule: TierSchedule) -> TierSchedule:
        tables = tuple((since, stretched(table, self.factor)) for since, table in schedule.tables)
        return TierSchedule(tables, schedule.sources)


def stretched(table: TierTable, factor: float) -> TierTable:
    """The table with every rate and deduction times a factor.

    >>> stretched(TierTable.of([(50, 0.01, 0), (100, 0.02, None)]), 2.0).maintenance(100)
    3.0

    :raises InputError: a rate would reach 1, more than the position is worth.
    """
    tiers = []
    for tier in table.tiers:
        if tier.mmr * factor >= 1.0:
            raise InputError(
                message(
                    "maintenance_buffer", f"{factor - 1.0:g}", "rates below 1", f"rate {tier.mmr:g}"
                )
            )
        tiers.append(
            Tier(
                tier.floor, tier.cap, tier.mmr * factor, tier.deduction * factor, tier.max_leverage
            )
        )
    return TierTable(tuple(tiers), table.stepped)


@dataclass(frozen=True)
class StretchedRule:
    """A margin rule whose requirement is times a factor; initial margin and caps are the rule's own."""

    rule: MarginRule
    factor: float

    @property
    def plain(self) -> bool:
        """Never: the requirement is not the venue's table."""
        return False

    @property
    def reads_balance(self) -> bool:
        """As the rule's own."""
        return self.rule.reads_balance

    def requirement(self, held: Held) -> TierTable:
        """The rule's requirement, times the factor."""
        return stretched(self.rule.requirement(held), self.factor)

    def initial(self, held: Held, price: float) -> float:
        """The rule's own."""
        return self.rule.initial(held, price)

    def cap(self, held: Held, price: float) -> float:
        """The rule's own."""
        return self.rule.cap(held, price)


@dataclass(frozen=True)
class StretchedShare:
    """A requirement of a whole pool, times a factor."""

    shared: SharedRequirement
    factor: float

    def of(self, pool: PoolView, time: int) -> float:
        """What the pool must keep beyond its positions."""
        return self.shared.of(pool, time) * self.factor
