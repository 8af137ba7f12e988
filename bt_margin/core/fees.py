"""Fee rates and the one formula that uses them."""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.core.checks import finite, not_negative

__all__ = ["Fees", "fee"]


@dataclass(frozen=True, slots=True)
class Fees:
    """Fee rates as fractions of notional; a maker rate below 0 is a rebate.

    maker : for orders that rested in the book
    taker : for orders that traded at once
    liquidation : on the notional a liquidation closes, in place of the taker rate

    >>> Fees(maker=0.0002, taker=0.0005, liquidation=0.0125).taker
    0.0005
    """

    maker: float
    taker: float
    liquidation: float

    def __post_init__(self) -> None:
        finite("maker fee", self.maker)
        finite("taker fee", self.taker)
        not_negative("liquidation fee", self.liquidation)


def fee(notional: float, rate: float) -> float:
    """Fee of a fill, F = notional · rate   [settle]; + is paid, − is a rebate received.

    >>> fee(10_000, 0.0005)
    5.0
    """
    return notional * rate
