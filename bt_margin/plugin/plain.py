"""Numbers as scripts and records want them: whole where they were asked so, and never numpy's."""

from __future__ import annotations

from typing import Any


def as_asked(size: float, order: Any) -> float:
    """A filled size as a whole number where the order asked for one: scripts print it with ``%d``."""
    return int(size) if isinstance(order.size, int) and size == int(size) else size


def unbox(order: Any) -> None:
    """numpy's numbers in an order become plain ones: they end in events and balances."""
    created = order.created
    for name in ("price", "pricelimit", "pclose", "trailamount", "trailpercent"):
        number = getattr(created, name)
        if hasattr(number, "item"):
            setattr(created, name, number.item())
    for name in ("trailamount", "trailpercent", "_limitoffset"):  # what a trailing stop goes by
        if hasattr(getattr(order, name, None), "item"):
            setattr(order, name, getattr(order, name).item())
    if hasattr(order.size, "item"):
        order.size = created.size = order.executed.remsize = order.size.item()
