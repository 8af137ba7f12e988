"""Liquidation in the order of opening: the oldest position first, whatever its pair and its result."""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.errors import InputError
from bt_margin.venues.policies import Breach, Closing, Residual, Settle

__all__ = ["OldestFirst"]


@dataclass(frozen=True, slots=True)
class OldestFirst:
    """Whole positions, first in first out, by sale, until maintenance over equity is below ``target``.

    Positions opened at the same moment go in the order of their names. What the sales leave is the
    trader's. A position that was added to counts as opened when it began.
    """

    target: float

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise InputError(f"target {self.target} must lie above 0 and at most at 1")

    @property
    def settle(self) -> Settle:
        """Sold, never taken over."""
        return "sale"

    @property
    def residual(self) -> Residual:
        """The trader keeps what is left."""
        return "trader"

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The oldest positions, as many as bring the pool back to the target, or all of them."""
        equity, maintenance = breach.equity, breach.maintenance
        closings: list[Closing] = []
        for p in sorted(breach.positions, key=lambda p: (p.opened, p.key)):
            closings.append(Closing(p.key, 1.0, "sale"))
            equity -= p.notional * breach.cost[p.key]
            maintenance -= p.table.maintenance(p.notional)
            if maintenance < self.target * equity:
                break
        return tuple(closings)
