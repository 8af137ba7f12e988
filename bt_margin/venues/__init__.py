"""Venues by name: dated facts plus a choice of policies.

    btm.venue("binance")                        the tables change on their dates during a run
    btm.venue("binance", as_of="2025-01-31")    every table pinned to one date
    btm.venue("generic", maintenance_rate=0.005, ...)    nothing assumed, every number stated
    btm.venues()                                the names

A venue module is loaded when it is first asked for.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from bt_margin.errors import InputError, UnknownVenue
from bt_margin.venues.names import moment

if TYPE_CHECKING:
    from datetime import date

    from bt_margin.venues.spec import Venue

__all__ = ["venue", "venues"]

#: Name -> the module and the function that builds the venue.
_BUILDERS: dict[str, tuple[str, str]] = {
    "binance": ("bt_margin.venues.binance", "usdm"),
    "binancecoinm": ("bt_margin.venues.binance", "coinm"),
    "generic": ("bt_margin.venues.generic", "generic"),
}
#: Other names (ccxt's class names) for the same venues.
_ALIASES = {"binanceusdm": "binance"}


def venues() -> tuple[str, ...]:
    """The names :func:`venue` knows, in alphabetical order.

    >>> "binance" in venues()
    True
    """
    return tuple(sorted(_BUILDERS))


def venue(name: str, as_of: str | int | date | None = None, **options: object) -> Venue:
    """A venue by name.

    ``as_of`` (a date, an ISO string or UTC milliseconds) pins every dated table, fee and rule to
    what was in force at that moment; without it they change on their dates during a run.
    ``options`` are the venue's own: the ``"generic"`` venue wants all its numbers there.

    Raises :class:`~bt_margin.errors.UnknownVenue` for a name that does not exist and
    :class:`~bt_margin.errors.InputError` for an option the venue does not have or misses.

    >>> venue("binance", as_of="2023-06-01").schedule("SOL/USDT:USDT").at(0).at(1_000).mmr
    0.02
    """
    key = name.strip().lower() if isinstance(name, str) else ""
    key = _ALIASES.get(key, key)
    if key not in _BUILDERS:
        near = get_close_matches(key, [*_BUILDERS, *_ALIASES], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownVenue(
            f"venue {name!r} is not known; allowed: {', '.join(map(repr, venues()))}{hint}"
        )
    module, function = _BUILDERS[key]
    build = getattr(import_module(module), function)
    allowed = [option for option in build.__kwdefaults__ if option != "as_of"]
    unknown = [option for option in options if option not in allowed]
    if unknown:
        listed = ", ".join(allowed) if allowed else "none"
        raise InputError(
            f"the venue {key!r} has no option {', '.join(map(repr, unknown))}; options: {listed}"
        )
    built: Venue = build(as_of=moment(as_of), **options)
    return built


class _Venues(ModuleType):
    """``bt_margin.venues`` is this package and, called, the function ``btm.venues()``."""

    def __call__(self) -> tuple[str, ...]:
        return venues()


sys.modules[__name__].__class__ = _Venues
