"""Auto-deleveraging: when an insurance pool stops taking losses and the other side pays."""

from __future__ import annotations

__all__ = ["deleveraged_loss", "drawdown_ratio", "starts_deleveraging", "stops_deleveraging"]


def drawdown_ratio(pnl: float, highest_pnl: float, highest_balance: float) -> float:
    """How far a symbol's result has fallen, against the insurance pool that bore it   [fraction, 0 or below].

    (pnl − highest pnl) / highest balance of the pool, both maxima over the same window.
    Bybit API reference, ADL alert (window of 8 hours), 2025-2026.

    >>> drawdown_ratio(-350_000, 0, 1_000_000)
    -0.35
    """
    return (pnl - highest_pnl) / highest_balance


def starts_deleveraging(ratio: float, balance: float, threshold: float, trigger: float = 0) -> bool:
    """Whether positions are reduced: the pool is empty, or holds more than ``trigger`` and the drawdown has
    come down to ``threshold`` (a ratio such as −0.3; the reference's second example counts equality).

    >>> starts_deleveraging(-0.35, 1_000_000, -0.3, 1), starts_deleveraging(-0.1, 0, -0.3, 1)
    (True, True)
    >>> starts_deleveraging(-0.29, 1_000_000, -0.3, 1)
    False
    """
    return balance <= 0 or (balance > trigger and ratio <= threshold)


def stops_deleveraging(ratio: float, balance: float, stop: float) -> bool:
    """Whether the reduction ends: the pool holds something and the drawdown is above ``stop`` (−0.25).

    >>> stops_deleveraging(-0.2, 500, -0.25), stops_deleveraging(-0.28, 500, -0.25)
    (True, False)
    """
    return balance > 0 and ratio > stop


def deleveraged_loss(
    pnl: float, highest_pnl: float, highest_balance: float, threshold: float
) -> float:
    """The part of a symbol's loss since its maximum that the pool does not bear   [settle], 0 or above.

    The pool bears −threshold · highest balance of it (threshold below 0); the rest is closed.

    >>> deleveraged_loss(-350_000, 0, 1_000_000, -0.3), deleveraged_loss(0, 200_000, 1_000_000, -0.3)
    (50000.0, 0)
    """
    return max(0, threshold * highest_balance - (pnl - highest_pnl))
