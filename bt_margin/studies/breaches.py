"""What stands behind a liquidation: the breach, and the funding that tipped it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def funding_behind(event: Any, events: Sequence[Any]) -> float:
    """What funding took just before the breach behind a liquidation, if that is what tipped it; else 0.

    Funding tipped it when, without the payments booked right before the breach in the same pool, the
    equity would still have exceeded the maintenance margin. ``events`` are all of the run, in order.
    """
    breach = breach_behind(event, events)
    if breach is None or breach.found is None or breach.allowed is None:
        return 0.0
    paid = 0.0
    for before in reversed(events[: breach.id]):
        if before.kind != "funding" or before.pool != breach.pool or before.time != breach.time:
            break
        paid -= before.amount or 0.0
    return paid if paid > 0.0 and breach.allowed + paid > breach.found else 0.0


def breach_behind(event: Any, events: Sequence[Any]) -> Any | None:
    """The breach that led to a liquidation, or ``None`` where the engine recorded none."""
    at: Any | None = event
    while at is not None and at.cause is not None and at.cause < len(events):
        at = events[at.cause]
        if at.kind == "breach":
            return at
    return None
