"""What a position costs while it is held: funding rules, interest and borrow fees, shared requirements.

All of it is choice, not calculation of the engine's: a venue brings objects that answer these questions, and
the engine books the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from bt_margin.core.contract import Contract


@dataclass(frozen=True, slots=True)
class FundingRule:
    """How a funding payment reaches the account.

    payer
        ``"pool"``: the pool that backs the position pays. ``"wallet"``: an isolated position's payment
        comes out of the free wallet as far as that reaches, the rest out of its own margin.
        ``"nobody"``: the venue has no funding, and a feed's rates are not charged.
    capped
        a payment takes no more than what the pool's equity exceeds its requirement by: funding alone
        does not liquidate.
    accrues
        a rate counts for the interval *before* its stamp and is charged pro rata of the time held, bar
        by bar; otherwise only positions open at the stamp pay, and they pay all of it.
    """

    payer: Literal["pool", "wallet", "nobody"] = "pool"
    capped: bool = False
    accrues: bool = False


@dataclass(frozen=True, slots=True)
class Conversion:
    """When pledged coins are sold to pay a debt of the pool they back.

    discount
        the fraction of the price that a conversion costs.
    threshold
        a debt larger than this is paid at once [currency of the account]; None: only when no position is
        left.
    """

    discount: float = 0.0
    threshold: float | None = None


class Carried(NamedTuple):
    """An open position as a carry or a shared requirement sees it.

    ``size`` signed contracts, average ``entry``, ``mark``; ``opened`` and ``changed`` when it was opened and
    last filled (UTC ms); ``leverage`` as chosen.
    """

    symbol: str
    contract: Contract
    size: float
    entry: float
    mark: float
    opened: int
    leverage: float
    changed: int = 0


class PoolView(NamedTuple):
    """A pool as a carry or a shared requirement sees it; ``balance`` is without unrealised profit.

    For linear contracts, ``balance − Σ size · multiplier · entry`` is the money left (or, below zero, owed)
    when each position is taken for the coins it stands for.
    """

    balance: float
    positions: tuple[Carried, ...]
    isolated: bool

    @property
    def cash(self) -> float:
        """Money left when each linear position is the coins it stands for; owed when below zero.

        >>> long = Carried("X", Contract("X"), 2.0, 100.0, 110.0, 0, 4.0)
        >>> PoolView(50.0, (long,), True).cash
        -150.0
        """
        return self.balance - sum(p.size * p.contract.multiplier * p.entry for p in self.positions)


class Charge(NamedTuple):
    """Money that leaves the pool (below zero: reaches it), on whose account and why."""

    symbol: str | None
    amount: float
    reason: str


class Carry(Protocol):
    """Interest and borrow fees."""

    def due(self, pool: PoolView, since: int, until: int) -> Sequence[Charge]:
        """What falls due on these positions in (since, until], UTC ms; the marks are those at ``until``."""

    def on_opening(self, position: Carried) -> float:
        """What opening such a position (its size is the opened part) costs beside the trading fee."""


class SharedRequirement(Protocol):
    """A requirement that belongs to a pool as a whole, beside those of its positions."""

    def of(self, pool: PoolView, time: int) -> float:
        """What the pool must keep beyond the sum of its positions' requirements; marks have no part in it."""
