"""A subaccount of a chain: one balance of quote currency, and positions worth what the oracle says.

Buying takes the price out of the balance and selling puts it in, so the balance may be below zero and the
equity needs no entry prices: E = quote + Σ size · price. On an account that keeps entries instead, the same
equity is balance + unrealised profit.

v4-chain 84d4664b, x/subaccounts/lib/updates.go; stark-perpetual 40f02826, position/status.cairo.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Perpetual", "Subaccount"]


class Perpetual(NamedTuple):
    """One position: signed size, oracle price, and the fractions of its notional that are asked for."""

    size: float
    price: float
    initial: float = 0
    maintenance: float = 0

    @property
    def notional(self) -> float:
        """|size| · price."""
        return abs(self.size) * self.price


class Subaccount(NamedTuple):
    """A quote balance and positions; money in the quote currency.

    >>> held = Subaccount(110, (Perpetual(100, 100, 0.5, 0.25), Perpetual(-25, 200, 0.5, 0.25)))
    >>> held.equity, held.initial, held.maintenance
    (5110, 7500.0, 3750.0)
    """

    quote: float
    positions: tuple[Perpetual, ...]

    @property
    def equity(self) -> float:
        """Quote balance plus the signed value of the positions."""
        return self.quote + sum(p.size * p.price for p in self.positions)

    @property
    def initial(self) -> float:
        """Initial margin of the positions."""
        return sum(p.notional * p.initial for p in self.positions)

    @property
    def maintenance(self) -> float:
        """Maintenance margin of the positions."""
        return sum(p.notional * p.maintenance for p in self.positions)
