"""Health of one symbol as straight lines: equity minus maintenance against |worth| of the price.

With u = |worth(price)| (the price itself for linear contracts, 1/price for inverse ones) and
σ = +1 (linear) or −1 (inverse), a leg of signed size s with multiplier k adds

    equity        s·k·(σ·u − worth(entry))
    requirement   |s|·k·u·(mmr + fee_rate) − deduction

Both are straight in u between the edges of the tiers, so health is a chain of straight pieces and
every crossing of zero has an exact solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import Tier, TierTable

__all__ = ["Leg", "Piece", "boundary", "edges_in_worth", "leg_line", "pieces"]

INF = float("inf")


class Leg(NamedTuple):
    """One position of a symbol: signed size in contracts, average entry, its tier table."""

    contract: Contract
    size: float
    entry: float
    table: TierTable


class Piece(NamedTuple):
    """Health a + b·u for lo < u <= hi, where every leg stays in one tier."""

    lo: float
    hi: float
    a: float
    b: float


def direction(contract: Contract) -> int:
    """σ: how worth moves with |worth|, +1 for linear and −1 for inverse contracts."""
    return 1 if contract.kind == "linear" else -1


def leg_line(leg: Leg, tier: Tier, fee_rate: float = 0) -> tuple[float, float]:
    """Constant and slope in u of one leg's equity minus requirement in a given tier."""
    contract, size, entry, _ = leg
    exposure = size * contract.multiplier
    constant = -exposure * contract.worth(entry) + tier.deduction
    slope = exposure * direction(contract) - abs(exposure) * (tier.mmr + fee_rate)
    return constant, slope


def edges_in_worth(leg: Leg) -> list[float]:
    """The values of u at which a leg changes its tier."""
    unit = abs(leg.size) * leg.contract.multiplier
    return [edge / unit for edge in leg.table.edges]


def pieces(legs: Sequence[Leg], rest: float, fee_rate: float = 0) -> list[Piece]:
    """Health of several legs of one symbol plus the constant ``rest``, from u = 0 to infinity.

    >>> legs = [Leg(Contract("X"), 2, 100, TierTable.of([(100, 0.0, 0), (None, 0.5, None)]))]
    >>> pieces(legs, rest=50)
    [Piece(lo=0, hi=50.0, a=-150.0, b=2.0), Piece(lo=50.0, hi=inf, a=-100.0, b=1.0)]
    """
    ends: list[float] = sorted({edge for leg in legs for edge in edges_in_worth(leg)})
    chain: list[Piece] = []
    lo: float = 0
    for hi in [*ends, INF]:
        inside = lo * 2 + 1 if hi == INF else (lo + hi) / 2
        a, b = rest, 0 * rest
        for leg in legs:
            tier = leg.table.at(abs(leg.size) * leg.contract.multiplier * inside)
            constant, slope = leg_line(leg, tier, fee_rate)
            a += constant
            b += slope
        chain.append(Piece(lo, hi, a, b))
        lo = hi
    return chain


def boundary(
    chain: Sequence[Piece], start: float, *, rising: bool, into_breach: bool
) -> float | None:
    """The first u, going up or down from ``start``, where health stops being on one side of zero.

    into_breach : True looks for health <= 0, False for health > 0. None when that never comes at
    a u above 0. At an edge where the requirement jumps the edge itself is the answer.
    """
    for piece in chain if rising else reversed(chain):
        if (piece.hi <= start) if rising else (piece.lo >= start):
            continue
        near, far = (piece.lo, piece.hi) if rising else (piece.hi, piece.lo)
        near = max(near, start) if rising else min(near, start)
        if _reached(piece.a + piece.b * near, into_breach):
            return near
        if far == INF:
            turned = (piece.b < 0) if into_breach else (piece.b > 0)
        elif far == 0:
            turned = (piece.a < 0) if into_breach else (piece.a > 0)
        else:
            turned = _reached(piece.a + piece.b * far, into_breach)
        if turned:
            return -piece.a / piece.b
    return None


def _reached(health: float, into_breach: bool) -> bool:
    return health <= 0 if into_breach else health > 0
