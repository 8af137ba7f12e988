"""Venues by name: dated facts plus a choice of policies.

    btm.venue("binance")                        the tables change on their dates during a run
    btm.venue("binance", as_of="2025-01-31")    every table pinned to one date
    btm.venue("generic", maintenance_rate=0.005, ...)    nothing assumed, every number stated
    btm.venues()                                the names
    btm.register("mine", builder)               a venue of your own

A builder is a function with keyword arguments that returns a :class:`~bt_margin.venues.spec.Venue`;
``as_of`` is one of them, the others are the venue's options.

A venue module is loaded when it is first asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from inspect import Parameter, signature
from types import ModuleType
from typing import TYPE_CHECKING

from bt_margin.errors import InputError, UnknownVenue
from bt_margin.venues.names import moment

if TYPE_CHECKING:
    from datetime import date

    from bt_margin.venues.spec import Venue

__all__ = ["register", "venue", "venues"]

#: Name -> the function that builds the venue, or where it is.
_BUILDERS: dict[str, tuple[str, str] | Callable[..., Venue]] = {
    "aave_v3": ("bt_margin.venues.aave_v3", "aave_v3"),
    "binance": ("bt_margin.venues.binance", "usdm"),
    "binancecoinm": ("bt_margin.venues.binance", "coinm"),
    "bybit": ("bt_margin.venues.bybit", "bybit"),
    "dydx_v3": ("bt_margin.venues.dydx_v3", "dydx_v3"),
    "dydx_v4": ("bt_margin.venues.dydx_v4", "dydx_v4"),
    "generic": ("bt_margin.venues.generic", "generic"),
    "gmx_v1": ("bt_margin.venues.gmx_v1", "gmx_v1"),
    "gmx_v2": ("bt_margin.venues.gmx_v2", "gmx_v2"),
    "hyperliquid": ("bt_margin.venues.hyperliquid", "hyperliquid"),
    "krakenfutures": ("bt_margin.venues.krakenfutures", "krakenfutures"),
    "krakeninverse": ("bt_margin.venues.krakeninverse", "krakeninverse"),
    "krakenspot": ("bt_margin.venues.krakenspot", "krakenspot"),
    "okx": ("bt_margin.venues.okx", "okx"),
}
#: Other names (ccxt's class names) for the same venues.
_ALIASES = {
    "aave": "aave_v3",
    "binanceusdm": "binance",
    "dydx": "dydx_v4",
    "gmx": "gmx_v2",
    "kraken": "krakenspot",
}


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
    build = _builder(key)
    allowed = [option for option in _options(build) if option != "as_of"]
    unknown = [option for option in options if option not in allowed]
    if unknown:
        listed = ", ".join(allowed) if allowed else "none"
        raise InputError(
            f"the venue {key!r} has no option {', '.join(map(repr, unknown))}; options: {listed}"
        )
    built: Venue = build(as_of=moment(as_of), **options)
    if not hasattr(built, "schedule"):
        raise InputError(f"the builder of the venue {key!r} returned {built!r}, which is no Venue")
    return built


def register(name: str, build: Callable[..., Venue], *, aliases: Iterable[str] = ()) -> None:
    """Make a venue of one's own known by name, wherever a venue is named.

    build : a function that takes ``as_of`` (UTC ms or None) and its own options
        as keyword arguments and returns a :class:`~bt_margin.venues.spec.Venue`; it is called anew by every
        :func:`venue`

    Raises :class:`~bt_margin.errors.InputError` for a name that is taken, or a builder without ``as_of``.

    >>> def mine(*, as_of=None):
    ...     from dataclasses import replace
    ...     from bt_margin.venues import venue
    ...     return replace(venue("binance", as_of), name="mine", title="Mine")
    >>> register("mine", mine)
    >>> venue("mine").title
    'Mine'
    """
    keys = [name.strip().lower(), *(alias.strip().lower() for alias in aliases)]
    for key in keys:
        taken = _BUILDERS.get(key) or _ALIASES.get(key)
        if not key or (taken is not None and taken is not build and not _same(taken, build)):
            raise InputError(f"the venue name {key!r} is taken or empty; choose another")
    if "as_of" not in _options(build):
        raise InputError(f"the builder of the venue {name!r} must take as_of= as a keyword")
    _BUILDERS[keys[0]] = build
    _ALIASES.update(dict.fromkeys(keys[1:], keys[0]))


def _same(taken: object, build: Callable[..., Venue]) -> bool:
    """Whether a name is registered again by the same function (a notebook cell run twice)."""
    named = [getattr(one, "__qualname__", None) for one in (taken, build)]
    return callable(taken) and named[0] == named[1]


def _builder(key: str) -> Callable[..., Venue]:
    found = _BUILDERS[key]
    if isinstance(found, tuple):
        built: Callable[..., Venue] = getattr(import_module(found[0]), found[1])
        return built
    return found


def _options(build: Callable[..., Venue]) -> list[str]:
    """The keyword arguments a builder takes."""
    kinds = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, one in signature(build).parameters.items() if one.kind in kinds]


class _Venues(ModuleType):
    """``bt_margin.venues`` is this package and, called, the function ``btm.venues()``."""

    def __call__(self) -> tuple[str, ...]:
        return venues()


sys.modules[__name__].__class__ = _Venues
