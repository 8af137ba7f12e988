"""Coins pledged as collateral: their amount is money of its own, their value moves with a price.

A pledge counts in its pool's equity with the venue's ratio of its value, so it behaves as a position that
gains with the price and asks for no margin: amount · ratio coins, bought for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg
from bt_margin.core.margin import collateral_value
from bt_margin.core.path import Moving
from bt_margin.core.tiers import TierTable

if TYPE_CHECKING:
    from bt_margin.engine.pool import Pool, Position

NOTHING_ASKED = TierTable.flat(0.0)


class Pledge:
    """A coin that backs a cross pool.

    ``vault`` holds the amount, ``ratio`` is the share of its value that counts, ``source`` the symbol whose
    mark is its price; without one, ``price`` is what was said.
    """

    __slots__ = ("contract", "price", "ratio", "source", "vault")

    def __init__(self, vault: Pool, ratio: float) -> None:
        self.vault = vault
        self.ratio = ratio
        self.contract = Contract(vault.currency)
        self.source: Position | None = None
        self.price = 0.0

    @property
    def coin(self) -> str:
        """The currency pledged."""
        return self.vault.currency

    def now(self) -> float:
        """The coin's price at the marks; 0 before the first."""
        return self.source.mark if self.source is not None else self.price

    def worth(self) -> float:
        """Value of the coins, all of it   [currency of the pool they back]."""
        return self.vault.balance * self.now()

    def margin(self, price: float | None = None) -> float:
        """Value of the coins as margin, at the mark or at a price   [currency of the pool they back]."""
        return collateral_value(
            self.vault.balance, self.now() if price is None else price, self.ratio
        )

    def least(self) -> float:
        """Value as margin at the lowest mark of the bar."""
        return self.margin(self.source.low if self.source is not None else None)

    def moving(self, to: float) -> Moving:
        """The pledge on a leg whose mark goes to ``to``; its value at the start is left out."""
        now, amount = self.now(), self.vault.balance * self.ratio
        return Moving(self.contract, amount, now, NOTHING_ASKED, now, to)

    def leg(self, p: Position) -> Leg | None:
        """The pledge as a further leg of a position that moves with the same price; else None."""
        if self.source is None or p.inverse or self.source.market != p.market:
            return None
        amount = self.vault.balance * self.ratio / p.multiplier
        return Leg(p.contract, amount, self.now(), NOTHING_ASKED)
