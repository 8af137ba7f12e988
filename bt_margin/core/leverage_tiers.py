"""Maintenance tiers that follow from the largest leverage of each band of notional.

The maintenance rate of a band is half the initial rate at its largest leverage, 1 / (2 · leverage), and the
deductions make the requirement continuous. Hyperliquid documentation, "Margin tiers" (read 2026).
"""

from __future__ import annotations

from collections.abc import Sequence

from bt_margin.core.tiers import TierTable

__all__ = ["half_rate", "leverage_table"]


def half_rate(max_leverage: float) -> float:
    """Maintenance rate at a largest leverage, 1 / (2 · leverage).

    >>> half_rate(40), half_rate(20)
    (0.0125, 0.025)
    """
    return 1 / (2 * max_leverage)


def leverage_table(bands: Sequence[tuple[float, float]]) -> TierTable:
    """The tier table of bands (lowest notional, largest leverage), lowest first, from 0.

    >>> [tier.deduction for tier in leverage_table([(0, 40), (150_000_000, 20)]).tiers]
    [0, 1875000.0]
    """
    caps: list[float | None] = [lower for lower, _ in bands[1:]]
    rows = [
        (cap, half_rate(most), None, most)
        for cap, (_, most) in zip([*caps, None], bands, strict=True)
    ]
    return TierTable.of(rows)
