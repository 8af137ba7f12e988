"""Interest on borrowed money."""

from __future__ import annotations

__all__ = ["accrued", "started_hours"]


def accrued(borrowed: float, rate: float, hours: float, period_hours: float) -> float:
    """Simple interest, I = borrowed · rate · hours / period_hours   [currency of the debt].

    rate : fraction per period; period_hours : hours the rate is stated for (24 for a daily rate)
    hours : time borrowed; venues that charge each started hour get :func:`started_hours` of it

    >>> accrued(borrowed=60, rate=0.0005, hours=1, period_hours=24)
    0.00125
    """
    return borrowed * rate * hours / period_hours


def started_hours(hours: float) -> int:
    """Hours begun, the way spot margin counts: 10 minutes are 1 hour, exactly 5 hours are 5.

    >>> started_hours(1 / 6), started_hours(5), started_hours(5.01), started_hours(0)
    (1, 5, 6, 0)
    """
    whole = int(hours)
    return whole + 1 if hours > whole else whole
