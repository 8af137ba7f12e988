"""Liquidation on the open book first, in one part or two, and a backstop that takes what is too far gone.

While the equity is at least a floor of the requirement, positions are sold at the market, the largest loss
first: a position above a threshold gives a part at first, and the rest when that was not enough. The trader
keeps what remains. Below the floor the backstop takes all positions of the pool over, and their margin.
"""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.errors import InputError, message
from bt_margin.venues.policies import Breach, Closing, Residual, Settle


@dataclass(frozen=True, slots=True)
class MarketThenBackstop:
    """Sales at the market, partial at first for large positions; below ``floor`` a takeover of everything.

    large
        value above which a position is sold in two steps.
    part
        the share of it that goes first.
    floor
        share of the requirement below which the equity leaves the pool to the backstop.
    cool
        for so long after a partial sale of any position of the account the next ones take whole ones   [ms].

    >>> from bt_margin.core.contract import Contract
    >>> from bt_margin.core.tiers import TierTable
    >>> from bt_margin.venues.policies import Exposed
    >>> position = Exposed("X", Contract("X"), 30.0, 10_000.0, 1.0, TierTable.flat(0.0125))
    >>> policy = MarketThenBackstop(100_000, 0.2, 2 / 3)
    >>> policy.choose(Breach(3_700.0, 3_750.0, (position,), {"X": 0.0}, {}))
    (Closing(symbol='X', fraction=0.2, settle='sale', fee=None),)
    >>> policy.choose(Breach(2_400.0, 3_750.0, (position,), {"X": 0.0}, {}))
    (Closing(symbol='X', fraction=1.0, settle='takeover', fee=None),)
    """

    large: float
    part: float
    floor: float
    settle: Settle = "sale"
    residual: Residual = "trader"
    cool: int = 0

    def __post_init__(self) -> None:
        if not (self.large >= 0 and 0 < self.part <= 1 and 0 <= self.floor <= 1):
            found = f"large {self.large}, part {self.part}, floor {self.floor}"
            allowed = "large 0 or more, part in (0, 1], floor in [0, 1]"
            raise InputError(message("a backstop", found, allowed))

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The largest loser, a part of it or whole; everything to the backstop below the floor."""
        if breach.equity < self.floor * breach.maintenance:
            return tuple(Closing(p.key, 1.0, "takeover") for p in breach.positions)
        worst = min(breach.positions, key=lambda p: (-p.loss, p.key))
        warm = breach.cut is not None and breach.time - breach.cut < self.cool
        first = worst.value > self.large and not any(breach.closed.values()) and not warm
        return (Closing(worst.key, self.part if first else 1.0, "sale"),)
