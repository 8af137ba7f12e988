"""Liquidation and bankruptcy price of one symbol, alone or inside a shared pool.

Both are read off the health line of :mod:`bt_margin.core.health`: the liquidation price is where
equity meets the maintenance requirement, the bankruptcy price where equity meets zero. None means
that no price of this symbol alone can do it; it is never written as 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg, Piece, boundary, direction, pieces
from bt_margin.errors import InputError, message

__all__ = ["Leg", "bankruptcy_price", "liquidation_price", "liquidation_price_at"]


FARTHEST = 1e12
"""A price so many times away is the noise of two slopes that cancel (a nearly perfect hedge)."""


def liquidation_price(
    legs: Sequence[Leg],
    balance: float,
    *,
    other_maintenance: float = 0,
    other_unrealised: float = 0,
    fee_rate: float = 0,
    fee_reserve: float = 0,
    mark: float | None = None,
) -> float | None:
    """The mark price of one symbol at which its pool has to be liquidated.

    Solves, with N the notional of each leg at the price p that is looked for, and the tier of each
    leg taken AT p,

        balance + other_unrealised + Σ pnl(p)
            = other_maintenance + fee_reserve + Σ (N(p) · (mmr + fee_rate) − deduction)

    legs : positions of ONE symbol, two in hedge mode; those of size 0 are ignored
    balance : wallet of the pool   [settle]; isolated: what was posted to the position
    other_maintenance, other_unrealised : of the pool's other symbols at their marks; isolated: 0
    fee_rate, fee_reserve : fees the venue counts inside the requirement, 0 where it does not
    mark : where the price stands, None for the largest leg's entry. It only matters when there
        are several solutions (hedged legs, stepped tables): the first one met in the losing
        direction counts, then the first in the other direction.

    A pool that is already in breach gets the price at which it would be out of it, and ``mark``
    itself when there is none. None: no price above 0 of this symbol alone brings the pool down
    (a fully paid long, an inverse short at 1x) or there is no leg.
    Binance USD-M and COIN-M FAQ "How to Calculate Liquidation Price", read 2024.

    >>> from bt_margin.core.tiers import TierTable
    >>> table = TierTable.of([(50_000, 0.004, 0), (250_000, 0.005, 50), (None, 0.01, 1_300)])
    >>> long = Leg(Contract("X"), 1, 30_000, table)
    >>> round(liquidation_price([long], balance=3_000), 2)
    27108.43
    >>> liquidation_price([long], balance=30_000) is None
    True
    """
    legs = _of_one_symbol(legs)
    if not legs:
        return None
    contract = legs[0].contract
    rest = balance + other_unrealised - other_maintenance - fee_reserve
    chain = pieces(legs, rest, fee_rate)
    price = max(legs, key=lambda leg: abs(leg.size)).entry if mark is None else mark
    start = abs(contract.worth(price))
    here = _piece_at(chain, start)
    loses_falling = here.b > 0
    if here.a + here.b * start <= 0:
        found = boundary(chain, start, rising=loses_falling, into_breach=False)
        return price if found is None else _price(contract, found)
    for rising in (not loses_falling, loses_falling):
        found = boundary(chain, start, rising=rising, into_breach=True)
        if found is not None and start / FARTHEST < found < start * FARTHEST:
            return _price(contract, found)
    return None


def liquidation_price_at(
    contract: Contract,
    size: float,
    entry: float,
    balance: float,
    mmr: float,
    deduction: float = 0,
    *,
    other_maintenance: float = 0,
    other_unrealised: float = 0,
    fee_rate: float = 0,
    fee_reserve: float = 0,
) -> float | None:
    """Liquidation price of one position when its tier is known, in closed form.

    |worth(p)| = (T + k − d − B + s·worth(entry)) / (σ·s − |s|·(mmr + f)),  s = size · multiplier,

    with B = balance + other_unrealised, T = other_maintenance, k = fee_reserve, d = deduction,
    f = fee_rate, σ = +1 linear, −1 inverse. The tier is taken on trust: it must be the one that
    holds at the result. None when there is no such price above 0 or the size is 0.

    >>> liquidation_price_at(Contract("X"), 1, 100, balance=10, mmr=0.1)
    100.0
    >>> coin = Contract("X", kind="inverse", multiplier=1)
    >>> liquidation_price_at(coin, -100, 100, balance=1, mmr=0.01) is None
    True
    """
    if size == 0:
        return None
    exposure = size * contract.multiplier
    unit = exposure * direction(contract) - abs(exposure) * (mmr + fee_rate)
    needed = other_maintenance + fee_reserve - deduction - balance - other_unrealised
    needed += exposure * contract.worth(entry)
    if unit == 0 or needed == 0 or (needed > 0) != (unit > 0):
        return None
    return _price(contract, needed / unit)


def bankruptcy_price(
    legs: Sequence[Leg], balance: float, *, other_unrealised: float = 0, fee_rate: float = 0
) -> float | None:
    """The price at which the pool's equity is exactly zero; requirements have no part in it.

    balance + other_unrealised + Σ pnl(p) = fee_rate · Σ N(p), where ``fee_rate`` is that of the closing fee
    a venue's bankruptcy price leaves room for (0: none). None when no price above 0 does it (a fully paid
    long, a perfect hedge, an inverse short at 1x), or there is no leg.

    >>> from bt_margin.core.tiers import TierTable
    >>> legs = [Leg(Contract("X"), 10, 100, TierTable.flat(0.01))]
    >>> bankruptcy_price(legs, balance=100)
    90.0
    >>> bankruptcy_price(legs, balance=1_000) is None
    True
    """
    legs = _of_one_symbol(legs)
    if not legs:
        return None
    contract = legs[0].contract
    exposure = sum(leg.size * contract.multiplier for leg in legs)
    paid = sum(leg.size * contract.multiplier * contract.worth(leg.entry) for leg in legs)
    gross = sum(abs(leg.size) * contract.multiplier for leg in legs)
    needed = paid - balance - other_unrealised
    slope = exposure * direction(contract) - gross * fee_rate
    if slope == 0 or needed * slope <= 0:
        return None
    return _price(contract, needed / slope)


def _of_one_symbol(legs: Sequence[Leg]) -> list[Leg]:
    """The legs that hold something, checked to belong to one contract."""
    held = [leg for leg in legs if leg.size != 0]
    symbols = {leg.contract for leg in held}
    if len(symbols) > 1:
        found = ", ".join(sorted(contract.symbol for contract in symbols))
        todo = "give other symbols as other_maintenance and other_unrealised"
        raise InputError(message("legs of several contracts", found, "one contract", todo=todo))
    return held


def _piece_at(chain: Sequence[Piece], u: float) -> Piece:
    for piece in chain[:-1]:
        if u <= piece.hi:
            return piece
    return chain[-1]  # has no end


def _price(contract: Contract, u: float) -> float:
    """The price whose |worth| is u, u above 0."""
    return contract.price(direction(contract) * u)
