"""Liquidation by tiers of contracts: a large position is cut two tiers at a time, a small one is taken over.

What is asked, in this order, each time the pool is found in breach:

1. Both sides of a symbol are held: as much of them as hedge each other is closed.
2. The pool still has more than the lowest tier would ask of all its positions, and the largest loser is in
   tier 3 or higher: it is cut to the cap of the tier two below.
3. Else it is closed whole. The last position of the pool goes to the fund at the bankruptcy price, and
   nothing is left; before the last, closing the largest loser may save the others, so it is sold.

Source: OKX help, "Forced partial or full liquidation"; which position of a cross pool goes first is not
published (the largest unrealised loss, here), nor is the price at which one of several is taken over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.margin_by_contracts import tier_number
from bt_margin.venues.policies import Breach, Closing, Exposed, Residual, Settle

#: How the last position can end; a takeover leaves nothing to the trader.
_ENDS = (("takeover", "fund"), ("sale", "fund"), ("sale", "trader"))


@dataclass(frozen=True, slots=True)
class CutByTiers:
    """Down by ``tiers`` tiers of contracts at a time, while the pool has more than the lowest tier needs.

    A position of tier ``tiers`` or lower is closed whole. ``settle`` is how the last position ends.
    """

    tiers: int = 2
    settle: Settle = "takeover"
    residual: Residual = "fund"

    def __post_init__(self) -> None:
        if not (isinstance(self.tiers, int) and self.tiers >= 1):
            raise InputError(
                f"tiers {self.tiers!r} is not possible; allowed: a whole number from 1"
            )
        if (self.settle, self.residual) not in _ENDS:
            found = f"settle {self.settle!r} with residual {self.residual!r}"
            raise InputError(f"{found} is not possible; allowed: {', '.join(map(str, _ENDS))}")

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The hedged pairs, or a cut of the largest loser, or all of it."""
        pairs = hedged_pairs(breach.positions)
        if pairs:
            return pairs
        worst = min(breach.positions, key=lambda p: (-p.loss, p.key))
        cap = self._cap_below(worst)
        if cap is not None and breach.equity > lowest_need(breach.positions):
            return (Closing(worst.key, 1 - cap / abs(worst.size), "sale"),)
        last = len(breach.positions) == 1
        return (Closing(worst.key, 1.0, self.settle if last else "sale"),)

    def _cap_below(self, p: Exposed) -> float | None:
        """The cap of the tier that many below the position's, in contracts; None when there is none."""
        limits = _limits(p)
        number = tier_number(limits, p.size) - self.tiers
        return limits.tiers[number - 1].cap if number >= 1 else None


def lowest_need(positions: Iterable[Exposed]) -> float:
    """What the lowest tier would ask of these positions, Σ N · (mmr₁ + taker)   [settle].

    >>> from bt_margin.core.contract import Contract
    >>> from bt_margin.core.fees import Fees
    >>> limits = TierTable.of([(10, 0.004, 0), (50, 0.005, 0)], stepped=True)
    >>> fees = Fees(maker=0.0002, taker=0.001, liquidation=0.001)
    >>> large = Exposed("X", Contract("X"), 40, 100, 0, TierTable.flat(0.006), limits, fees=fees)
    >>> lowest_need([large])
    20.0
    """
    return sum(
        p.notional * (_limits(p).tiers[0].mmr + (p.fees.taker if p.fees else 0)) for p in positions
    )


def hedged_pairs(positions: Iterable[Exposed]) -> tuple[Closing, ...]:
    """Closings of what the two sides of a symbol hedge of each other: the smaller whole, the larger as far.

    Nothing for a symbol that is held on one side only.
    """
    by_symbol: dict[str, list[Exposed]] = {}
    for p in positions:
        by_symbol.setdefault(p.contract.symbol, []).append(p)
    found: list[Closing] = []
    for sides in by_symbol.values():
        longs, shorts = ([p for p in sides if (p.size > 0) is up] for up in (True, False))
        for one, other in zip(longs, shorts, strict=False):
            both = min(abs(one.size), abs(other.size))
            found += [Closing(p.key, both / abs(p.size), "sale") for p in (one, other)]
    return tuple(found)


def _limits(p: Exposed) -> TierTable:
    return p.table if p.limits is None else p.limits
