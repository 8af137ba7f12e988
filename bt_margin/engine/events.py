"""Events: what happened to an account, in order, with the two numbers that decided it.

An event is a fact of the run. Its ``id`` is its place in ``account.events``; ``cause`` is the id of the
event that led to it, so that a shortfall leads back to its liquidation and that to its breach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Final

KINDS: Final = (
    "deposit",
    "withdrawal",
    "transfer",
    "top_up",
    "fill",
    "funding",
    "interest",
    "conversion",
    "rejected",
    "refused",
    "canceled",
    "breach",
    "liquidation",
    "shortfall",
    "margin_call",
    "margin_call_cleared",
    "dead",
    "revived",
    "leverage",
    "margin_mode",
    "delisted",
    "rules",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the account.

    ``time`` UTC epoch ms; ``size`` signed contracts; ``price`` the execution price; ``mark`` the mark at
    that moment; ``amount`` signed change of a balance (funding received is positive); ``fee`` what was
    charged (positive); ``realised`` profit booked; ``balance`` of the pool and ``equity`` of the account
    afterwards; ``found`` and ``allowed`` the two numbers that decided a verdict; ``order`` the framework's
    order reference.

    >>> Event(0, 0, "deposit", amount=100.0).kind
    'deposit'
    """

    id: int
    time: int
    kind: str
    symbol: str | None = None
    pool: str | None = None
    size: float | None = None
    price: float | None = None
    mark: float | None = None
    amount: float | None = None
    fee: float | None = None
    realised: float | None = None
    balance: float | None = None
    equity: float | None = None
    reason: str = ""
    found: float | None = None
    allowed: float | None = None
    cause: int | None = None
    order: int | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line: when, what, on which symbol, how much at which price, and why.

        >>> print(Event(0, 0, "fill", symbol="X", size=-2.0, price=30_000.0, reason="test"))
        1970-01-01 00:00 fill X -2 at 30,000 (test)
        """
        when = datetime.fromtimestamp(self.time / 1000, timezone.utc)
        parts = [f"{when:%Y-%m-%d %H:%M}", self.kind]
        if self.symbol is not None:
            parts.append(self.symbol)
        if self.amount is not None:
            parts.append(f"{self.amount:+,.8g}")
        elif self.size is not None and self.price is not None:
            parts.append(f"{self.size:+,.8g} at {self.price:,.8g}")
        return " ".join(parts) + (f" ({self.reason})" if self.reason else "")

    def to_dict(self) -> dict[str, Any]:
        """A plain dict in field order, ``info`` flattened to a dict.

        >>> Event(3, 0, "dead").to_dict()["kind"]
        'dead'
        """
        row = {f.name: getattr(self, f.name) for f in fields(self)}
        row["info"] = dict(self.info)
        return row
