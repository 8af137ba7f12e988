"""What a fill does to a position: open, add, reduce, close or flip."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core.contract import Contract

__all__ = ["Change", "change"]

DUST = 1e-12


class Change(NamedTuple):
    """A position after a fill, and what the fill did.

    size, entry : the new position; the entry of an empty position is 0 and means nothing
    opened, closed : parts of the fill, both signed in the direction of the FILL (backtrader's
        convention), so opened + closed is the fill
    realised : profit of the closed part   [settle], before fees
    """

    size: float
    entry: float
    opened: float
    closed: float
    realised: float


def change(contract: Contract, size: float, entry: float, fill_size: float, price: float) -> Change:
    """The position after a fill of ``fill_size`` at ``price``, both sizes signed.

    Adding moves the entry to the size-weighted mean of the *worth* of the prices: the arithmetic
    mean for linear contracts, the harmonic mean for inverse ones. Reducing keeps the entry.
    Crossing zero closes the old position and opens the rest at the fill price.

    What would stay smaller than 1e-12 of the larger of position and fill is float noise and counts
    as closed, so that a position sold off in parts ends at exactly 0.

    >>> pair = Contract("X")
    >>> change(pair, 0, 0, 2, 100)
    Change(size=2, entry=100, opened=2, closed=0, realised=0)
    >>> change(pair, 2, 100, 2, 110).entry
    105.0
    >>> change(pair, 2, 100, -3, 110)
    Change(size=-1, entry=110, opened=-1, closed=-2, realised=20.0)
    >>> change(pair, 2, 100, -2, 90)
    Change(size=0, entry=0, opened=0, closed=-2, realised=-20.0)
    """
    if size == 0:
        return Change(fill_size, price if fill_size else 0, fill_size, 0, 0)
    after = size + fill_size
    if (size > 0) == (fill_size > 0) or fill_size == 0:
        return Change(after, _mean(contract, size, entry, fill_size, price), fill_size, 0, 0)
    if abs(after) <= DUST * max(abs(size), abs(fill_size)):
        return Change(0, 0, 0, fill_size, contract.pnl(-fill_size, entry, price))
    if (after > 0) == (size > 0):
        return Change(after, entry, 0, fill_size, contract.pnl(-fill_size, entry, price))
    return Change(after, price, after, -size, contract.pnl(size, entry, price))


def _mean(contract: Contract, size: float, entry: float, added: float, price: float) -> float:
    """Average entry after adding: the price whose worth is the size-weighted mean of worth."""
    if added == 0 or price == entry:
        return entry
    worth = size * contract.worth(entry) + added * contract.worth(price)
    return contract.price(worth / (size + added))
