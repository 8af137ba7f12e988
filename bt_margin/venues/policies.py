"""Liquidation policies: which positions of a pool in breach are closed, and how they are settled.

A policy is a pure choice. It is shown the pool as numbers (:class:`Breach`) and answers with the next
closings; the engine books them, tests the pool again and asks once more while the pool is still in breach.

Two ways to settle a closing:

``sale``
    closed at the mark (with slippage), paying the liquidation fee on the closed notional.
``takeover``
    handed to the insurance fund at the bankruptcy price, the price at which nothing of the collateral is
    left. When the mark is already beyond it, the position is closed at the mark and what is missing is
    booked as a shortfall. No liquidation fee is charged on a takeover: the fund keeps the remainder.
    Where the closing fee belongs to the bankruptcy price (``Closing.fee``), the collateral is used up
    after that fee.

``residual`` says who keeps what a completely sold pool has left: the trader or the fund.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.flat import BELOW
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError

Settle = Literal["sale", "takeover"]
Residual = Literal["trader", "fund"]


class Exposed(NamedTuple):
    """One open position as a policy sees it; ``size`` is signed, ``loss`` is positive when it loses.

    ``table`` its maintenance requirement by notional, ``limits`` the venue's table (None: the same);
    ``entry`` average price, ``opened`` when it was opened (UTC ms; 0 unknown), ``fees`` its fee rates,
    ``leverage`` as chosen; ``leg`` names the side in hedge mode, ``name`` is what the account calls it.
    """

    symbol: str
    contract: Contract
    size: float
    mark: float
    loss: float
    table: TierTable
    limits: TierTable | None = None
    entry: float = 0.0
    opened: int = 0
    fees: Fees | None = None
    leverage: float = 1.0
    leg: str | None = None
    name: str = ""

    @property
    def key(self) -> str:
        """What a closing names: the account's name of the position, else the symbol and its side."""
        if self.name:
            return self.name
        return self.symbol if self.leg is None else f"{self.symbol} {self.leg}"

    @property
    def notional(self) -> float:
        """Unsigned notional at the mark, in the settlement currency."""
        return self.contract.notional(self.size, self.mark)

    @property
    def value(self) -> float:
        """Unsigned value in quote currency, of linear and inverse contracts alike."""
        inverse = self.contract.kind == "inverse"
        return abs(self.size) * self.contract.multiplier if inverse else self.notional


class Breach(NamedTuple):
    """A pool whose equity no longer exceeds its maintenance requirement.

    ``cost`` is what closing one unit of notional by sale takes out of the pool (liquidation fee plus
    slippage), as a fraction, per symbol; ``closed`` counts the closings of each symbol so far. ``isolated``
    tells the kind of pool, ``time`` the moment (UTC ms), ``cut`` when the venue last sold a part of a
    position of the account (UTC ms; None: never).
    """

    equity: float
    maintenance: float
    positions: tuple[Exposed, ...]
    cost: dict[str, float]
    closed: Mapping[str, int]
    isolated: bool = False
    time: int = 0
    cut: int | None = None


class Closing(NamedTuple):
    """Close ``fraction`` (0 to 1) of the position in ``symbol`` (its key), settled as named.

    ``fee`` is the rate on the notional closed, in place of the venue's liquidation fee (None); of a sale no
    more is taken than the pool still holds.
    """

    symbol: str
    fraction: float
    settle: Settle
    fee: float | None = None


class LiquidationPolicy(Protocol):
    """What the engine asks of a policy."""

    @property
    def settle(self) -> Settle:
        """How whole positions end."""

    @property
    def residual(self) -> Residual:
        """Who keeps what a completely sold pool has left."""

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The next closings; never empty for a pool with positions."""


def _check(settle: str, residual: str) -> None:
    if settle not in ("sale", "takeover"):
        raise InputError(f"settle {settle!r} is not known; allowed: 'sale', 'takeover'")
    if residual not in ("trader", "fund"):
        raise InputError(f"residual {residual!r} is not known; allowed: 'trader', 'fund'")
    if settle == "takeover" and residual == "trader":
        raise InputError(
            "a takeover at the bankruptcy price leaves nothing to the trader; "
            "use settle='sale' with residual='trader', or residual='fund'"
        )


def _worst_first(breach: Breach) -> list[Exposed]:
    return sorted(breach.positions, key=lambda p: (-p.loss, p.key))


def _all(breach: Breach, settle: Settle) -> tuple[Closing, ...]:
    return tuple(Closing(p.key, 1.0, settle) for p in breach.positions)


@dataclass(frozen=True, slots=True)
class FullClose:
    """Every position of the pool is closed at once."""

    settle: Settle = "sale"
    residual: Residual = "trader"

    def __post_init__(self) -> None:
        _check(self.settle, self.residual)

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """All positions, whole."""
        return _all(breach, self.settle)


@dataclass(frozen=True, slots=True)
class LargestLossFirst:
    """Whole positions one at a time, the largest unrealised loss first, until the pool is healthy."""

    settle: Settle = "sale"
    residual: Residual = "trader"

    def __post_init__(self) -> None:
        _check(self.settle, self.residual)

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The position with the largest loss, whole; the last one as ``settle`` says."""
        if len(breach.positions) == 1:
            return _all(breach, self.settle)
        return (Closing(_worst_first(breach)[0].key, 1.0, "sale"),)


@dataclass(frozen=True, slots=True)
class TierStepDown:
    """The largest loser is cut to the cap of the next lower tier; from the lowest tier it is closed whole."""

    settle: Settle = "sale"
    residual: Residual = "trader"

    def __post_init__(self) -> None:
        _check(self.settle, self.residual)

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """Down one tier while the pool still has equity, else the rest of the position."""
        worst = _worst_first(breach)[0]
        floor = worst.table.at(worst.notional).floor
        if floor > 0 and breach.equity > 0:
            return (Closing(worst.key, 1.0 - floor * BELOW / worst.notional, "sale"),)
        if len(breach.positions) == 1:
            return _all(breach, self.settle)
        return (Closing(worst.key, 1.0, "sale"),)


@dataclass(frozen=True, slots=True)
class Fraction:
    """A fixed fraction of the largest loser at a time, counted on its size when the liquidation began.

    A rest worth less than ``smallest`` in quote currency is closed with it: venues keep no dust.
    """

    fraction: float = 0.25
    settle: Settle = "sale"
    residual: Residual = "trader"
    smallest: float = 10.0

    def __post_init__(self) -> None:
        _check(self.settle, self.residual)
        if not 0 < self.fraction <= 1:
            raise InputError(f"fraction {self.fraction} must lie in (0, 1]")

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The next equal slice; when the slices of the last position are used up, the rest."""
        worst = _worst_first(breach)[0]
        left = 1.0 / self.fraction - breach.closed.get(worst.key, 0)
        rest = worst.value * (1.0 - 1.0 / left) if left > 1.0 else 0.0
        if rest > self.smallest and breach.equity > 0:
            return (Closing(worst.key, 1.0 / left, "sale"),)
        if len(breach.positions) == 1:
            return _all(breach, self.settle)
        return (Closing(worst.key, 1.0, "sale"),)


@dataclass(frozen=True, slots=True)
class JustEnough:
    """Close just as much as brings the pool back to ``target`` (maintenance over equity), else all of it.

    The largest unrealised loss goes first. A position in its lowest tier is closed whole; a larger one is
    cut by the smallest fraction ``x`` that satisfies::

        maintenance(x) ≤ target · (equity − x·notional·cost)

    solved exactly, tier by tier (``cost``: liquidation fee and slippage). Where selling costs more than
    it frees, or nothing would remain to be saved, the whole pool is settled as ``settle`` says. A target
    below 1 keeps a falling price from producing endless tiny closings.
    """

    target: float = 0.9
    settle: Settle = "takeover"
    residual: Residual = "fund"

    def __post_init__(self) -> None:
        _check(self.settle, self.residual)
        if not 0 < self.target < 1:
            raise InputError(f"target {self.target} must lie between 0 and 1")

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The first step of the shortest sequence of sales that restores the target, or everything."""
        equity, maintenance = breach.equity, breach.maintenance
        ordered = _worst_first(breach)
        first: Closing | None = None
        for place, p in enumerate(ordered, start=1):
            own, cost = p.table.maintenance(p.notional), breach.cost[p.key]
            if p.table.at(p.notional).floor > 0:
                other = maintenance - own
                x = enough(equity, other, p.notional, p.table, cost, self.target)
                if x is not None:
                    return (first or Closing(p.key, x, "sale"),)
            first = first or Closing(p.key, 1.0, "sale")
            equity -= p.notional * cost
            maintenance -= own
            if place < len(ordered) and equity > 0 and maintenance <= self.target * equity:
                return (first,)
        return _all(breach, self.settle)


def enough(
    equity: float, other: float, notional: float, table: TierTable, cost: float, target: float
) -> float | None:
    """Smallest fraction x of a position to sell so that ``maintenance ≤ target·equity``, or None.

    ``other`` is the maintenance of the rest of the pool, ``cost`` the fraction of the sold notional that
    leaves the pool. x = 1 is no answer here (that is a whole closing), unless something else remains.

    >>> flat = TierTable.flat(0.02)
    >>> round(enough(2_000.0, 0.0, 100_000.0, flat, 0.0, 0.8), 9)  # keep 1,600 / 0.02 = 80,000
    0.2
    >>> enough(400.0, 0.0, 100_000.0, TierTable.flat(0.004), 0.0125, 0.8) is None
    True
    """
    if equity <= 0:
        return None
    kept_high = notional
    for edge in reversed([e for e in (0.0, *table.edges) if e < notional]):
        tier = table.at(kept_high)
        # maintenance(kept) = kept·mmr − deduction; equity(kept) = equity − (notional − kept)·cost
        room = target * (equity - notional * cost) + tier.deduction - other
        slope = tier.mmr - target * cost
        kept = room / slope if slope > 0 else (kept_high if room >= slope * kept_high else -1.0)
        kept = min(kept, kept_high)
        if edge < kept < notional:
            return 1.0 - kept / notional
        kept_high = edge
    return None
