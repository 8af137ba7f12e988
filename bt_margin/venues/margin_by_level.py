"""Margin by level: each part of a position pays the rates of the level it lies in, or the whole those of one.

The value is counted in the quote currency (linear: at the mark; inverse: the face value, which no price
moves) and cut at the ends of the levels; a value equal to a level's end still belongs to it. Level n begins
at floor_n and asks for imr_n to open and mmr_n to hold.

    share at a rate r   = Σ over levels of (part of the value in level n) · r_n           [quote]
    maintenance margin  = share(mmr)
                        = value · mmr_n − deduction_n                        in the last level reached, with
        deduction_n     = deduction_{n−1} + floor_n · (mmr_n − mmr_{n−1}),   deduction_1 = 0
    initial margin      = max(share(imr), value / leverage)                  :class:`ByLevel`
                        = share(imr)                                         :class:`ByLevelAlone`

A linear position's value is its notional. An inverse one owes the average rate, share / face value, on its
notional in the coin: the same rate at every price. A larger position asks for more margin, never by a jump,
and is refused only above the largest position the venue allows.

The other reading (``marginal=False``) takes the rates of the level that the value is in for all of it: no
deductions, and both margins jump where a level begins.

A level states its initial rate as the most leverage it allows, imr = 1 / max_leverage. Where a table of the
user's own says nothing about leverage, imr = 2 · mmr, as in every published level. In the first reading a
stepped table is read as rates alone; one with deductions is taken as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bt_margin.core.tiers import Tier, TierTable
from bt_margin.venues.margin import Held

__all__ = [
    "ByLevel",
    "ByLevelAlone",
    "by_parts",
    "counted",
    "initial_rate",
    "level",
    "level_table",
    "opening_share",
    "required",
]

INF = float("inf")
INITIAL_OVER_MAINTENANCE = 2


def level_table(rows: Iterable[Sequence[float | None]], *, marginal: bool = True) -> TierTable:
    """A table from rows (end of the level, imr, mmr); the end of the last may be None.

    marginal : each part pays the rate of its level; else the whole that of the level it is in (stepped)

    >>> rows = [(1_000, 0.02, 0.01), (None, 0.04, 0.02)]
    >>> table, whole = level_table(rows), level_table(rows, marginal=False)
    >>> table.maintenance(1_000), table.maintenance(1_500), table.max_leverage(1_001)
    (10.0, 20.0, 25.0)
    >>> whole.maintenance(1_000), whole.maintenance(1_500)
    (10.0, 30.0)
    """
    return TierTable.of(
        [(cap, mmr, None, None if imr is None else 1 / imr) for cap, imr, mmr in rows],
        stepped=not marginal,
    )


def by_parts(table: TierTable) -> TierTable:
    """A stepped table as one whose parts pay the rate of their level; one with deductions as it is.

    >>> whole = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)], marginal=False)
    >>> by_parts(whole).maintenance(1_500), by_parts(by_parts(whole)) == by_parts(whole)
    (20.0, True)
    """
    if not table.stepped:
        return table
    return TierTable.of([(t.cap, t.mmr, None, t.max_leverage) for t in table.tiers])


def initial_rate(tier: Tier) -> float:
    """The initial margin rate of a level.

    >>> initial_rate(Tier(0, 1_000, 0.01, max_leverage=50)), initial_rate(Tier(0, 1_000, 0.01))
    (0.02, 0.02)
    """
    if tier.max_leverage is None:
        return tier.mmr * INITIAL_OVER_MAINTENANCE
    return 1 / tier.max_leverage


def opening_share(table: TierTable, value: float) -> float:
    """Initial margin of a value whose parts pay the initial rate of their level   [as the value].

    >>> table = level_table([(500_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> opening_share(table, 500_000), opening_share(table, 1_000_000)
    (10000.0, 30000.0)
    """
    share = 0 * value
    for tier in table.tiers:
        if value <= tier.floor:
            break
        share = share + (min(value, tier.cap) - tier.floor) * initial_rate(tier)
    return share


def counted(held: Held, price: float) -> float:
    """What levels go by: the notional at a price, or the face value of an inverse position   [quote]."""
    if held.contract.kind == "inverse":
        return abs(held.size) * held.contract.multiplier
    return held.value(price)


def level(held: Held, price: float) -> Tier:
    """The level a position reaches at a price; an inverse position's is the same at every price.

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> coin = Contract("BTC/USD:BTC", "inverse", 1, "BTC")
    >>> level(Held(coin, -1_001, 100, 10, table, 0, False), 50_000).mmr
    0.02
    """
    return held.limits.at(counted(held, price))


def required(held: Held, marginal: bool = True) -> TierTable:
    """The requirement by notional: the table of a linear position, the average rate of an inverse one.

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> coin = Contract("BTC/USD:BTC", "inverse", 1, "BTC")
    >>> held = Held(coin, 2_000, 8_000, 10, table, 0, False)  # 10 and 20 in 2,000: 1.5 %
    >>> required(held).maintenance(0.25), required(held, marginal=False).maintenance(0.25)
    (0.00375, 0.005)
    """
    table = by_parts(held.limits) if marginal else held.limits
    if held.contract.kind != "inverse":
        return table
    face = counted(held, held.entry)
    tier = table.at(face)
    average = tier.mmr - tier.deduction / face if marginal and tier.deduction else tier.mmr
    return TierTable.flat(average, tier.max_leverage)


def opening(held: Held, price: float, marginal: bool = True) -> float:
    """Initial margin by the levels alone   [settle]."""
    if not marginal:
        return held.value(price) * initial_rate(level(held, price))
    value = counted(held, price)
    share = opening_share(held.limits, value)
    if held.contract.kind == "inverse" and value:
        return held.value(price) * (share / value)
    return share


def largest(held: Held, price: float, most: Mapping[str, float]) -> float:
    """Notional of the largest position allowed, ``most`` contracts by symbol   [settle]; else infinite."""
    contracts = most.get(held.contract.symbol)
    return INF if contracts is None else held.contract.notional(contracts, price)


@dataclass(frozen=True, slots=True)
class ByLevel:
    """Both rates by level; a lower leverage of one's own asks for more.

    most : largest position by symbol   [contracts]; a symbol that is not listed has no limit
    marginal : each part of a position pays the rates of its level; False: the whole those of one level

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> held = Held(Contract("X"), 10.0, 100.0, 40.0, table, 0.0005, False)
    >>> ByLevel().initial(held, 100.0), ByLevel().initial(held, 200.0)  # 1/40 binds, then 20 and 40
    (25.0, 60.0)
    >>> ByLevel(marginal=False).initial(held, 200.0)  # 4 % of 2,000
    80.0
    """

    most: Mapping[str, float] = field(default_factory=dict, hash=False)
    marginal: bool = True
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The maintenance rates of the levels on the notional at the mark."""
        return required(held, self.marginal)

    def tier(self, held: Held, price: float) -> Tier:
        """The level the position reaches."""
        return level(held, price)

    def initial(self, held: Held, price: float) -> float:
        """The initial rates of the levels at the price, or notional over leverage where that is more."""
        return max(opening(held, price, self.marginal), held.value(price) / held.leverage)

    def cap(self, held: Held, price: float) -> float:
        """The largest position, whatever the leverage."""
        return largest(held, price, self.most)


@dataclass(frozen=True, slots=True)
class ByLevelAlone:
    """Both rates by level; there is no leverage to choose.

    most : largest position by symbol   [contracts]; a symbol that is not listed has no limit
    marginal : each part of a position pays the rates of its level; False: the whole those of one level

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(500_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> coin = Contract("BTC/USD:BTC", "inverse", 1, "BTC")
    >>> ByLevelAlone().initial(Held(coin, 1_000, 8_000, 10, table, 0, False), 8_000)
    0.0025
    >>> ByLevelAlone().initial(Held(coin, 1_000_000, 8_000, 10, table, 0, False), 8_000)  # 30,000 USD
    3.75
    """

    most: Mapping[str, float] = field(default_factory=dict, hash=False)
    marginal: bool = True
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The maintenance rates of the levels on the notional at the mark."""
        return required(held, self.marginal)

    def tier(self, held: Held, price: float) -> Tier:
        """The level the position reaches."""
        return level(held, price)

    def initial(self, held: Held, price: float) -> float:
        """The initial rates of the levels at the price."""
        return opening(held, price, self.marginal)

    def cap(self, held: Held, price: float) -> float:
        """The largest position."""
        return largest(held, price, self.most)
