"""What stands behind a liquidation: the breach, and the funding that tipped it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def funding_behind(event: Any, events: Sequence[Any]) -> float:
    """What the funding behind a liquidation's breach took, if funding is what tipped it; else 0.

    The engine names the funding as the breach's cause when the pool would have been healthy without it
    where it stood; a price that crossed the line later is a price's doing. ``events``: all, in order.
    """
    breach = breach_behind(event, events)
    if breach is None or breach.cause is None or events[breach.cause].kind != "funding":
        return 0.0
    payments = [e for e in events[breach.cause : breach.id] if e.kind == "funding"]
    return -sum(e.amount or 0.0 for e in payments if e.pool == breach.pool)


def breach_behind(event: Any, events: Sequence[Any]) -> Any | None:
    """The breach that led to a liquidation, or ``None`` where the engine recorded none."""
    at: Any | None = event
    while at is not None and at.cause is not None and at.cause < len(events):
        at = events[at.cause]
        if at.kind == "breach":
            return at
    return None
