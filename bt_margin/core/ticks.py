"""Rounding of displayed prices to the tick."""

from __future__ import annotations

from bt_margin.core.contract import Contract

__all__ = ["round_up_to_tick"]

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
