"""Liquidation in parts: the largest loser is sold just so far that the pool complies again."""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.errors import InputError
from bt_margin.venues.policies import Breach, Closing, Exposed, Residual, Settle, enough

__all__ = ["PartialSale"]


@dataclass(frozen=True, slots=True)
class PartialSale:
    """The largest unrealised loss first: its smallest part that restores ``target``, else all of it.

    target : maintenance over equity after the sale and its costs. Below 1, and no sale is smaller than
        1 − target of the position: a falling price, or one that carries a short over the edge of a level,
        does not produce endless tiny sales
    smallest : a rest worth less than this in quote currency is sold with it

    Every position can be cut, also one in its lowest level; one that cannot save the pool is closed whole,
    and the next is looked at. What the sales leave is the trader's.
    """

    target: float = 0.9
    smallest: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise InputError(f"target {self.target} must lie between 0 and 1")

    @property
    def settle(self) -> Settle:
        """Sold, never taken over."""
        return "sale"

    @property
    def residual(self) -> Residual:
        """The trader keeps what is left."""
        return "trader"

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """One sale from the position with the largest loss."""
        worst = min(breach.positions, key=lambda p: (-p.loss, p.key))
        return (Closing(worst.key, self._part(breach, worst), "sale"),)

    def _part(self, breach: Breach, p: Exposed) -> float:
        """The part of a position to sell; at the edge of a level, still within it, the least there is."""
        part: float | None = 0.0
        if breach.maintenance > self.target * breach.equity:
            others = breach.maintenance - p.table.maintenance(p.notional)
            cost = breach.cost[p.key]
            part = enough(breach.equity, others, p.notional, p.table, cost, self.target)
        if part is None:
            return 1.0
        part = max(part, 1.0 - self.target)
        return 1.0 if p.value * (1.0 - part) < self.smallest else part
