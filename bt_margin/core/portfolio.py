"""Pieces of a portfolio margin: a charge that grows faster than its size, the larger of two demands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["portfolio_requirement", "scaled_charge"]


def scaled_charge(raw: float, tiers: Iterable[Sequence[float | None]]) -> float:
    """A raw charge with each part of it multiplied by the factor of its tier, as income tax is.

        scaled = Σ factor_n · (the part of raw between cap_{n−1} and cap_n)

    raw : 0 or more. tiers : rows (cap, factor), caps rising and counted from 0; a cap of None has no end, and
    beyond the last cap its factor goes on.
    OKX announcement "OKEx adjusts scaling factor logic in Portfolio Margin mode" (2021-12): MR7.

    >>> scaled_charge(30_000, [(10_000, 1), (70_000, 2)])
    50000
    >>> scaled_charge(80_000, [(10_000, 1), (70_000, 2)])
    150000
    """
    total: float = 0
    floor: float = 0
    factor: float = 1
    for cap, times in tiers:
        factor = 1 if times is None else times
        if cap is None or raw <= cap:
            break
        total += (cap - floor) * factor
        floor = cap
    return total + (raw - floor) * factor


def portfolio_requirement(stress: float, charge: float) -> float:
    """Maintenance of a portfolio margin unit: the stress result or the minimum charge, the larger one.

    >>> portfolio_requirement(stress=40_000, charge=50_000)
    50000
    """
    return max(stress, charge)
