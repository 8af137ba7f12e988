"""Margin by level: the value of a position picks a level, and the level's two rates hold for all of it.

The value is counted in the quote currency (linear: at the mark; inverse: the face value, which no price
moves). There are no deductions, so both margins jump where a level begins; a value equal to a level's end
still belongs to it. A larger position asks for more margin, and is refused only above the largest position
the venue allows.

    maintenance margin = notional at mark · mmr of the level                                      [settle]
    initial margin     = notional · max(imr of the level, 1 / leverage)        :class:`ByLevel`
                       = notional · imr of the level                           :class:`ByLevelAlone`

A level states its initial rate as the most leverage it allows, imr = 1 / max_leverage. Where a table of the
user's own says nothing about leverage, imr = 2 · mmr, as in every published level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bt_margin.core.tiers import Tier, TierTable
from bt_margin.venues.margin import Held

__all__ = ["ByLevel", "ByLevelAlone", "initial_rate", "level", "level_table", "required"]

INF = float("inf")
INITIAL_OVER_MAINTENANCE = 2


def level_table(rows: Iterable[Sequence[float | None]]) -> TierTable:
    """A stepped table from rows (end of the level, imr, mmr); the end of the last may be None.

    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> table.maintenance(1_000), table.maintenance(1_001), table.max_leverage(1_001)
    (10.0, 20.02, 25.0)
    """
    return TierTable.of(
        [(cap, mmr, 0, None if imr is None else 1 / imr) for cap, imr, mmr in rows], stepped=True
    )


def initial_rate(tier: Tier) -> float:
    """The initial margin rate of a level.

    >>> initial_rate(Tier(0, 1_000, 0.01, max_leverage=50)), initial_rate(Tier(0, 1_000, 0.01))
    (0.02, 0.02)
    """
    if tier.max_leverage is None:
        return tier.mmr * INITIAL_OVER_MAINTENANCE
    return 1 / tier.max_leverage


def level(held: Held, price: float) -> Tier:
    """The level of a position at a price; an inverse position's is the same at every price.

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> coin = Contract("BTC/USD:BTC", "inverse", 1, "BTC")
    >>> level(Held(coin, -1_001, 100, 10, table, 0, False), 50_000).mmr
    0.02
    """
    if held.contract.kind == "inverse":
        return held.limits.at(abs(held.size) * held.contract.multiplier)
    return held.limits.at(held.value(price))


def required(held: Held) -> TierTable:
    """The requirement by notional: the stepped table itself, or the one rate of an inverse position.

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> coin = Contract("BTC/USD:BTC", "inverse", 1, "BTC")
    >>> required(Held(coin, 1_000, 8_000, 10, table, 0, False)).maintenance(0.125)
    0.00125
    """
    if held.contract.kind == "inverse":
        tier = level(held, held.entry)
        return TierTable.flat(tier.mmr, tier.max_leverage)
    return held.limits


def largest(held: Held, price: float, most: Mapping[str, float]) -> float:
    """Notional of the largest position allowed, ``most`` contracts by symbol   [settle]; else infinite."""
    contracts = most.get(held.contract.symbol)
    return INF if contracts is None else held.contract.notional(contracts, price)


@dataclass(frozen=True, slots=True)
class ByLevel:
    """Both rates by the level of the position; a lower leverage of one's own asks for more.

    most : largest position by symbol   [contracts]; a symbol that is not listed has no limit

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(1_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> held = Held(Contract("X"), 10.0, 100.0, 40.0, table, 0.0005, False)
    >>> ByLevel().initial(held, 100.0), ByLevel().initial(held, 200.0)  # 1/40 binds, then 4 %
    (25.0, 80.0)
    """

    most: Mapping[str, float] = field(default_factory=dict, hash=False)
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """Notional at the mark times the rate of its level."""
        return required(held)

    def tier(self, held: Held, price: float) -> Tier:
        """The level of the position."""
        return level(held, price)

    def initial(self, held: Held, price: float) -> float:
        """Notional at the price times the rate of its level, or over the leverage where that is more."""
        notional = held.value(price)
        return max(notional * initial_rate(level(held, price)), notional / held.leverage)

    def cap(self, held: Held, price: float) -> float:
        """The largest position, whatever the leverage."""
        return largest(held, price, self.most)


@dataclass(frozen=True, slots=True)
class ByLevelAlone:
    """Both rates by the level of the position; there is no leverage to choose.

    most : largest position by symbol   [contracts]; a symbol that is not listed has no limit

    >>> from bt_margin.core.contract import Contract
    >>> table = level_table([(500_000, 0.02, 0.01), (None, 0.04, 0.02)])
    >>> coin = Contract("BTC/USD:BTC", "inverse", 1, "BTC")
    >>> ByLevelAlone().initial(Held(coin, 1_000, 8_000, 10, table, 0, False), 8_000)
    0.0025
    """

    most: Mapping[str, float] = field(default_factory=dict, hash=False)
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """Notional at the mark times the rate of its level."""
        return required(held)

    def tier(self, held: Held, price: float) -> Tier:
        """The level of the position."""
        return level(held, price)

    def initial(self, held: Held, price: float) -> float:
        """Notional at the price times the rate of its level."""
        return held.value(price) * initial_rate(level(held, price))

    def cap(self, held: Held, price: float) -> float:
        """The largest position."""
        return largest(held, price, self.most)
