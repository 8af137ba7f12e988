"""What a closed position earned, as position histories tell it."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core.contract import Contract
from bt_margin.core.margin import initial

__all__ = ["Outcome", "closed_outcome", "price_of_pnl"]


class Outcome(NamedTuple):
    """``pnl`` of the prices alone, ``realised`` after fees, funding and penalties   [settle].

    ``ratio`` is realised over the initial margin, a fraction.
    """

    pnl: float
    realised: float
    ratio: float


def closed_outcome(
    contract: Contract,
    size: float,
    entry: float,
    exit: float,
    leverage: float,
    *,
    fee: float = 0,
    funding: float = 0,
    penalty: float = 0,
) -> Outcome:
    """The outcome of a position of signed ``size`` opened at ``entry`` and closed at ``exit``.

        realised = pnl + fee + funding + penalty,      ratio = realised / (N(entry) / leverage)

    fee, funding, penalty : changes of the wallet over its life   [settle], below 0 when paid

    OKX API, position history (realizedPnl, pnlRatio), payload of 2025-01-13.

    >>> closed_outcome(Contract("X"), -2, 100, 90, leverage=4, fee=-1, funding=0.5)
    Outcome(pnl=20.0, realised=19.5, ratio=0.39)
    """
    pnl = contract.pnl(size, entry, exit)
    realised = pnl + fee + funding + penalty
    return Outcome(pnl, realised, realised / initial(contract.notional(size, entry), leverage))


def price_of_pnl(contract: Contract, size: float, entry: float, pnl: float) -> float:
    """The price at which a position has earned ``pnl``, the inverse of :meth:`Contract.pnl`.

        worth(p) = worth(entry) + pnl / (size · multiplier)

    Raises InputError where an inverse contract has no such price.

    >>> price_of_pnl(Contract("X"), size=-2, entry=100, pnl=20)
    90.0
    """
    return contract.price(contract.worth(entry) + pnl / (size * contract.multiplier))
