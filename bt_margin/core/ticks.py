"""Rounding of displayed prices to the tick."""

from __future__ import annotations

from bt_margin.core.contract import Contract

__all__ = ["round_down_to_tick", "round_early", "round_up_to_tick"]

NOISE = 1e-12


def round_up_to_tick(contract: Contract, price: float) -> float:
    """The lowest price on the tick that is not below ``price``; unchanged without a tick.

    A price that stands on the tick up to float noise (10⁻¹² of it) stays there.

    >>> pair = Contract("X", tick=0.05)
    >>> round_up_to_tick(pair, 1_544.1506), round_up_to_tick(pair, 1_544.15), round_up_to_tick(pair, 0.3)
    (1544.2, 1544.15, 0.3)
    """
    if contract.tick is None:
        return price
    near = contract.round_price(price)
    return near if near >= price * (1 - NOISE) else contract.round_price(near + contract.tick)


def round_down_to_tick(contract: Contract, price: float) -> float:
    """The highest price on the tick that is not above ``price``; unchanged without a tick.

    >>> round_down_to_tick(Contract("X", tick=0.05), 1_544.1999)
    1544.15
    """
    if contract.tick is None:
        return price
    near = contract.round_price(price)
    return near if near <= price * (1 + NOISE) else contract.round_price(near - contract.tick)


def round_early(contract: Contract, size: float, price: float) -> float:
    """A position's liquidation or bankruptcy price as shown: the tick the mark comes to first.

    Up for a long, down for a short. Bybit API reference, manual-add-margin (2023-05-16), for a long; the
    short is by symmetry.

    >>> pair = Contract("X", tick=0.5)
    >>> round_early(pair, 3, 100.2), round_early(pair, -3, 100.2)
    (100.5, 100.0)
    """
    return round_up_to_tick(contract, price) if size > 0 else round_down_to_tick(contract, price)
