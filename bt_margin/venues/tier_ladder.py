"""Liquidation down the tiers: a position gives back what lies above the next lower one, to the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bt_margin.errors import InputError
from bt_margin.venues.policies import Breach, Closing, Exposed, Residual, Settle

#: Of a value: so little above the edge of a tier counts as standing on it. A position whose value rises as it
#: loses is back above the edge it was cut to as soon as the mark moves on: its steps end here.
_NOISE = 1e-6


@dataclass(frozen=True, slots=True)
class TierLadder:
    """Sell what lies above the next lower tier's cap, test again; from the lowest tier the rest goes.

    value
        the tier is that of the position's value at the ``"mark"``, or at its ``"entry"`` price.

    The largest unrealised loss goes first. A sale needs a pool that could still pay for closing all it
    holds (fee and slippage): beyond that its orders would not fill inside the bankruptcy price. The
    last position, in its lowest tier or beyond that point, is taken over at the bankruptcy price and pays
    the taker fee there; nothing is left to the trader. Where both sides of a symbol are held, only what one
    side has more than the other is closed, as long as that is a lot or more.
    """

    value: Literal["mark", "entry"]

    def __post_init__(self) -> None:
        if self.value not in ("mark", "entry"):
            raise InputError(f"value {self.value!r} is not known; allowed: 'mark', 'entry'")

    @property
    def settle(self) -> Settle:
        """The last position is taken over."""
        return "takeover"

    @property
    def residual(self) -> Residual:
        """What is left then belongs to the fund."""
        return "fund"

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """One step down of the largest loser; from the lowest tier all of it."""
        shares = {p.key: net_share(p, breach) for p in breach.positions}
        exposed = [p for p in breach.positions if shares[p.key] > max(_NOISE, _least(p))]
        worst = min(exposed or breach.positions, key=lambda p: (-p.loss, p.key))
        share = shares[worst.key] if exposed else 1.0
        solvent = breach.equity > sum(p.notional * breach.cost[p.key] for p in breach.positions)
        floor = self._floor(worst, share) if solvent else 0.0
        if floor > 0.0:
            return (Closing(worst.key, share - floor / self._value(worst), "sale"),)
        if len(breach.positions) > 1:
            return (Closing(worst.key, share, "sale"),)
        fee = worst.fees.taker if worst.fees is not None else 0.0
        return (Closing(worst.key, 1.0, "takeover", fee),)

    def _value(self, p: Exposed) -> float:
        return p.contract.notional(p.size, p.entry) if self.value == "entry" else p.notional

    def _floor(self, p: Exposed, share: float) -> float:
        """Where the tier of the value begins; a value on an edge stands in the lower tier."""
        limits = p.table if p.limits is None else p.limits
        return limits.at(self._value(p) * share * (1.0 - _NOISE)).floor


def _least(p: Exposed) -> float:
    """Share of a position that is no whole lot: closing a lot of it would only turn the difference round."""
    return (p.contract.lot or 0.0) * (1.0 - _NOISE) / abs(p.size)


def net_share(p: Exposed, breach: Breach) -> float:
    """Share of a position that the symbol's other side in the pool does not cover, 0 to 1."""
    other = sum(o.size for o in breach.positions if o.symbol == p.symbol and o.size * p.size < 0)
    return max(0.0, 1.0 - abs(other) / abs(p.size))
