"""Funding that accrues all the time instead of being paid by whoever is there at a stamp."""

from __future__ import annotations

from bt_margin.core.contract import Contract
from bt_margin.core.funding import payment

__all__ = ["accrued_payment"]


def accrued_payment(
    contract: Contract, size: float, mark: float, rate: float, share: float
) -> float:
    """Change of the wallet by funding over a part of its interval   [settle]; + is received, − is paid.

    P = −size · multiplier · |worth(mark)| · rate · share

    rate : of a whole interval; longs pay when it is above 0. share : part of the interval the position was
    held, from 0 to 1. The parts of an interval add up to the payment of the whole, at one mark.

    >>> accrued_payment(Contract("X"), size=-10, mark=2, rate=0.0001, share=0.5)
    0.001
    """
    return payment(contract, size, mark, rate) * share
