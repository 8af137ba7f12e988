"""Shocks as people type them: ``kind=size@when``, with what else a kind needs behind it.

    gap=-0.3@2025-10-01                  30 % lower from then on
    wick=-0.2@2025-10-01T21:00          the last price reaches 20 % under its open; wick-mark: the mark too
    funding=-0.02@2025-10-01*7           seven settlements in a row at -2 %
    depeg=-0.1@2025-10-01/24h[USDC]      a coin a tenth off its peg for a day (USDT when none is named)
    tiers=2@2025-10-01                   twice the maintenance from then on
    outage=6h@2025-10-01                 no order arrives for six hours
    slippage=0.002                       every fill 0.2 % worse; liquidation-slippage: liquidation sales
    crash=2025-10-10@2025-06-01*1.5      a crash of the library, half as deep again (in logs)

Gap, wick, funding and tiers take symbols in brackets at the end, ``gap=-0.3@2025-10-01[DOGE/USDT:USDT]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from bt_margin.errors import InputError, near
from bt_margin.studies import shocks as s
from bt_margin.studies.crashes import crash

_FORM = re.compile(
    r"(?P<size>[^@*/\[\]]+)(@(?P<at>[^@*/\[\]]+))?(\*(?P<times>[^@*/\[\]]+))?"
    r"(/(?P<long>[^@*/\[\]]+))?(\[(?P<names>[^\]]+)\])?"
)
_UNITS = {"m": 1.0 / 60.0, "h": 1.0, "d": 24.0, "w": 168.0}


class _Said(NamedTuple):
    """The parts of a text."""

    text: str
    size: str
    at: str
    times: str
    long: str
    names: tuple[str, ...]

    def number(self) -> float:
        return _number(self.size, self.text)

    def factor(self, usual: float) -> float:
        return _number(self.times, self.text) if self.times else usual


_KINDS: dict[str, Callable[[_Said], s.Shock]] = {
    "gap": lambda t: s.Gap(t.number(), t.at, t.names),
    "wick": lambda t: s.Wick(t.number(), t.at, False, t.names),
    "wick-mark": lambda t: s.Wick(t.number(), t.at, True, t.names),
    "funding": lambda t: s.FundingSpike(t.number(), t.at, int(t.factor(1.0)), t.names),
    "depeg": lambda t: s.Depeg(t.number(), t.at, _hours(t.long or "0h", t.text), *t.names[:1]),
    "tiers": lambda t: s.TierTightening(t.number(), t.at, t.names),
    "outage": lambda t: s.Outage(t.at, _hours(t.size, t.text)),
    "slippage": lambda t: s.Slippage(orders=t.number()),
    "liquidation-slippage": lambda t: s.Slippage(liquidations=t.number()),
    "crash": lambda t: s.CrashAt(crash(t.size).name, t.at, t.factor(1.0)),
}
#: Kinds that hold all the way; the others need a moment.
_ALWAYS = ("slippage", "liquidation-slippage")
_EXAMPLE = "gap=-0.3@2025-10-01"


def shock_of(said: Any) -> s.Shock:
    """The shock behind a text; a shock as it is.

    :raises InputError: what is neither, with the nearest kind.

    >>> shock_of("gap=-0.3@2025-10-01")
    Gap(size=-0.3, at='2025-10-01', symbols=())
    >>> shock_of("outage=90m@2025-10-01").hours, shock_of("funding=-0.02@2025-10-01*7").settlements
    (1.5, 7)
    """
    if isinstance(said, s.Shock):
        return said
    kind, equals, rest = str(said).partition("=")
    make = _KINDS.get(kind.strip().lower())
    if not isinstance(said, str) or not equals or make is None:
        hint = near(kind.strip(), list(_KINDS)) or f"known are {', '.join(_KINDS)}"
        raise InputError(f"shock {said!r} is not of the form {_EXAMPLE}; {hint}")
    found = _FORM.fullmatch(rest.strip())
    if found is None or (kind.strip().lower() not in _ALWAYS and not found["at"]):
        raise InputError(f"shock {said!r} is not of the form {_EXAMPLE}: kind=size@when")
    names = tuple(name.strip() for name in (found["names"] or "").split(",") if name.strip())
    part = {name: (found[name] or "").strip() for name in ("size", "at", "times", "long")}
    return make(_Said(str(said), **part, names=names))


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"shock {where!r}: {text!r} is not a number") from None


def _hours(text: str, where: str) -> float:
    """A length of time in hours: 90m, 6h, 2d, 1w."""
    text = text.strip().lower()
    unit = _UNITS.get(text[-1:])
    if unit is None:
        raise InputError(f"shock {where!r}: {text!r} is not a length of time, like 90m, 6h or 2d")
    return _number(text[:-1], where) * unit
