"""Margin level: equity over the margin that positions use, as spot margin counts it.

    used margin of a long   = cost / leverage                        fixed: quote money was borrowed
    used margin of a short  = coins · price / leverage               revalued: coins were borrowed
    margin level            = equity / used margin                   (venues print it in per cent)

Positions are closed by force when the level falls to ``stop``, so what must be kept is stop · used margin: an
amount for a long, a rate of the notional for a short.
"""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.core.tiers import TierTable
from bt_margin.venues.margin import Held

__all__ = ["MarginLevel", "margin_level", "used_margin"]

INF = float("inf")


def used_margin(held: Held, price: float) -> float:
    """Margin a position uses at a price   [settle]: a long's at its entry, a short's at the price.

    >>> from bt_margin.core.contract import Contract
    >>> from bt_margin.core.tiers import TierTable
    >>> long = Held(Contract("BTC/USD"), 0.2, 50_000, 5, TierTable.flat(0), 0, False)
    >>> used_margin(long, 65_200), used_margin(long._replace(size=-0.2), 65_200)
    (2000.0, 2608.0)
    """
    return held.value(held.entry if held.size > 0 else price) / held.leverage


def margin_level(equity: float, used: float) -> float:
    """Equity over used margin, a fraction (0.8 is a level of 80 %); infinite when no margin is used.

    >>> margin_level(5_000, 2_000)
    2.5
    """
    return equity / used if used else INF


@dataclass(frozen=True, slots=True)
class MarginLevel:
    """A pool must keep ``stop`` times the margin its positions use.

    stop : margin level of the forced closing, a fraction

    >>> from bt_margin.core.contract import Contract
    >>> from bt_margin.core.tiers import TierTable
    >>> long = Held(Contract("BTC/USD"), 1.0, 20_000.0, 5.0, TierTable.flat(0), 0, False)
    >>> short = long._replace(size=-1.0)
    >>> rule = MarginLevel(0.4)
    >>> [rule.requirement(held).maintenance(30_000.0) for held in (long, short)]
    [1600.0, 2400.0]
    """

    stop: float
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """``stop`` times the used margin: fixed for a long, by the notional at the mark for a short."""
        if held.size > 0:
            return TierTable.fixed(used_margin(held, held.entry) * self.stop)
        return TierTable.flat(self.stop / held.leverage)

    def initial(self, held: Held, price: float) -> float:
        """The used margin: a position can be opened while the level stays at 100 % or more."""
        return used_margin(held, price)

    def cap(self, held: Held, price: float) -> float:
        """No limit to the size but the margin."""
        return INF
