"""One strategy on many venues: a scenario for each venue and each margin mode it has.

The data is one market's; each venue trades its own linear contract on the same coin under its own rules, so
what differs between the runs is the rules alone. Inverse contracts are compared where a venue has the same
symbol; their sizes are contracts, worth 100 dollars here and 1 there, so size them by a target. A venue that
allows less leverage on a coin, or whole numbers only, runs at what it allows. A venue without cross margin is
also run with automatic top-ups from the free wallet, the nearest thing to it, and says so in the scenario's
name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor
from typing import Any

from bt_margin.errors import InputError
from bt_margin.venues import venue as make_venue
from bt_margin.venues.spec import Venue

TOPPED_UP = "isolated, topped up"

Venues = Iterable[str | Venue] | Mapping[str, str | Venue]


def across(
    venues: Venues, symbols: Iterable[str], broker: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Scenarios by name, ``"okx isolated"``: the broker keywords of each venue and mode.

    venues : names or venue objects, or a mapping from the names to show to either
    symbols : what the feeds are called
    broker : the common keywords; ``leverage`` is what no venue's own limit goes below, ``as_of`` pins all

    Raises InputError for no venue or a venue twice, and what a venue refuses.

    >>> found = across(["binance", "hyperliquid"], ["BTC/USDT:USDT"], {"leverage": 50, "cash": 100})
    >>> list(found), found["hyperliquid cross"]["symbols"]["BTC/USDT:USDT"]["leverage"]
    (['binance cross', 'binance isolated', 'hyperliquid cross', 'hyperliquid isolated'], 40.0)
    """
    for word in ("venue", "margin_mode"):
        if word in broker:
            raise InputError(f"{word}= says what venues= compares; leave one of them out")
    names = list(symbols)
    found: dict[str, dict[str, Any]] = {}
    for label, given in _named(venues).items():
        rules = _made(given, broker).standing_for(names)
        own: dict[str, Any] = {"venue": rules, "symbols": _leverages(rules, names, broker)}
        if "as_of" in broker:
            own["as_of"] = None  # the venue is pinned already
        found |= {f"{label} {mode}": own | setting for mode, setting in modes_of(rules).items()}
    return found


def modes_of(rules: Venue) -> dict[str, dict[str, Any]]:
    """Scenarios of one venue: its margin modes, and topped-up isolated margin where it has no cross.

    >>> from bt_margin.venues import venue
    >>> list(modes_of(venue("binance"))), list(modes_of(venue("gmx_v2")))
    (['cross', 'isolated'], ['isolated', 'isolated, topped up'])
    """
    found: dict[str, dict[str, Any]] = {mode: {"margin_mode": mode} for mode in rules.modes}
    if "cross" not in rules.modes:
        found[TOPPED_UP] = {"margin_mode": "isolated", "auto_top_up": True}
    return found


def _named(venues: Venues) -> dict[str, str | Venue]:
    if isinstance(venues, str):
        raise InputError(f"venues={venues!r} is one name; give a list of them")
    if isinstance(venues, Mapping):
        named = dict(venues)
    else:
        given = list(venues)
        labels = [each if isinstance(each, str) else each.name for each in given]
        twice = {label for label in labels if labels.count(label) > 1}
        if twice:
            raise InputError(
                f"{', '.join(sorted(twice))} given twice; name them: venues={{name: venue}}"
            )
        named = dict(zip(labels, given, strict=True))
    if not named:
        raise InputError("no venues to compare; give names such as venues=['binance', 'okx']")
    return named


def _made(given: str | Venue, broker: Mapping[str, Any]) -> Venue:
    if not isinstance(given, str):
        if broker.get("as_of") is not None:
            raise InputError(
                f"as_of={broker['as_of']!r} comes too late for the venue {given.name}, made already; "
                f"pin it where it is made: btm.venue({given.name!r}, as_of=...)"
            )
        return given
    options = {"coins": True} if given == "okx" else {}  # sizes mean coins on every venue
    return make_venue(given, as_of=broker.get("as_of"), **options)


def _leverages(
    rules: Venue, names: Iterable[str], broker: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What the caller says per symbol, with leverages no higher than the venue allows."""
    said = {name: dict(own) for name, own in (broker.get("symbols") or {}).items()}
    for name in names:
        tables = [table for _, table in rules.schedule(name).tables]
        most = min(table.max_leverage(0.0) for table in tables)
        wanted = said.get(name, {}).get("leverage", broker.get("leverage", 1.0))
        step = rules.leverage_step
        allowed = min(wanted, most)
        if step is not None:
            allowed = max(step, floor(allowed / step + 1e-9) * step)
        if abs(allowed - wanted) > 1e-9 * wanted:
            said.setdefault(name, {})["leverage"] = allowed
    return said
