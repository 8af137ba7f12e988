"""The three numbers that decide about a pool, and their sum."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Risk"]

INF = float("inf")


@dataclass(frozen=True, slots=True)
class Risk:
    """Equity and the two requirements on it, all in the settlement currency. Risk adds.

    equity : wallet plus unrealised profit at mark
    initial : margin locked by positions and orders
    maintenance : what the venue demands to keep the positions open

    >>> Risk(100, 50, 10) + Risk(-20, 10, 5)
    Risk(equity=80, initial=60, maintenance=15)
    """

    equity: float
    initial: float
    maintenance: float

    def __add__(self, other: Risk) -> Risk:
        return Risk(
            self.equity + other.equity,
            self.initial + other.initial,
            self.maintenance + other.maintenance,
        )

    @classmethod
    def zero(cls) -> Risk:
        """The risk of nothing, the start of a sum.

        >>> Risk.zero() + Risk(1, 2, 3) == Risk(1, 2, 3)
        True
        """
        return cls(0, 0, 0)

    @property
    def ratio(self) -> float:
        """Margin ratio, maintenance / equity; 1 or more means liquidation.

        0 when nothing is demanded, infinite when something is demanded of no equity.

        >>> Risk(100, 50, 20).ratio, Risk(-1, 5, 2).ratio, Risk(0, 0, 0).ratio
        (0.2, inf, 0.0)
        """
        if self.maintenance <= 0:
            return 0.0
        return self.maintenance / self.equity if self.equity > 0 else INF

    @property
    def available(self) -> float:
        """Equity free for new initial margin, equity − initial; below 0 when overcommitted.

        >>> Risk(100, 60, 20).available
        40
        """
        return self.equity - self.initial

    def breached(self, has_position: bool) -> bool:
        """True when the pool must be liquidated: it holds something and equity <= maintenance.

        Meeting the requirement exactly is a breach. A pool without positions never breaches.

        >>> Risk(20, 50, 20).breached(True), Risk(20, 50, 20).breached(False)
        (True, False)
        """
        return has_position and self.equity <= self.maintenance
