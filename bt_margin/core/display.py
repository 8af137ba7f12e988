"""Prices as venues show them, where that differs from the price at which it happens."""

from __future__ import annotations

__all__ = ["one_tick_early"]


def one_tick_early(price: float, size: float, tick: float) -> float:
    """A liquidation price as shown: one tick before the price gets there, above it for a long.

        shown = price + tick  (long),  price − tick  (short)

    It is not rounded to the tick. The sample of a long position in OKX's API reference (2021-04-27) shows its
    formula plus exactly one tick; the other side is by symmetry.

    >>> one_tick_early(100.25, size=3, tick=0.5), one_tick_early(100.25, size=-3, tick=0.5)
    (100.75, 99.75)
    """
    return price + tick if size > 0 else price - tick
