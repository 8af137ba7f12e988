"""Tiers that came with downloaded data, for symbols the venue's own dated tables do not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bt_margin.errors import UnknownSymbol
from bt_margin.venues import venue as make_venue
from bt_margin.venues.spec import Venue

_CONTRACT = ("tick", "lot", "min_notional")


def downloaded_tiers(
    keywords: Mapping[str, Any], frames: Mapping[str, pd.DataFrame] | None
) -> tuple[dict[str, Any], list[str]]:
    """The broker's keywords with the tiers a frame brought, and a sentence about each.

    A frame brings tiers in ``attrs["tiers"]`` (dated snapshots, as :func:`bt_margin.download` leaves them).
    They stand in only where the venue has no table of the symbol and the caller gave none: the newest
    snapshot, for all times, because venues publish no history. Tables whose rate holds for the whole
    position do not fit a venue that deducts amounts, and are left out.
    """
    full = dict(keywords)
    rules = full.get("venue")
    if rules is None or not frames:
        return full, []
    chosen = make_venue(rules, as_of=full.get("as_of")) if isinstance(rules, str) else rules
    symbols, notes = dict(full.get("symbols") or {}), []
    for symbol, frame in frames.items():
        snapshots = frame.attrs.get("tiers") or ()
        if not snapshots or _known(chosen, symbol) or "tiers" in symbols.get(symbol, {}):
            continue
        newest = snapshots[-1]["tiers"]
        if newest.get("stepped"):
            continue
        symbols[symbol] = {
            **_rules(newest, frame.attrs.get("contract") or {}),
            **symbols.get(symbol, {}),
        }
        day = pd.Timestamp(snapshots[-1]["at"], unit="ms", tz="UTC")
        notes.append(
            f"{chosen.title} has no dated tier table of {symbol}: "
            f"the tiers read from {newest.get('source')} on {day:%Y-%m-%d} stand in for all times."
        )
    return (full | {"symbols": symbols}, notes) if notes else (full, [])


def _known(venue: Venue, symbol: str) -> bool:
    if venue.default_schedule is not None:
        return True
    try:
        venue.resolve(symbol)
    except UnknownSymbol:
        return False
    return True


def _rules(tiers: Mapping[str, Any], contract: Mapping[str, Any]) -> dict[str, Any]:
    """What ``symbols=`` takes: rows (cap, rate, amount, leverage), and the contract's steps."""
    rows = [
        (band["cap"], band["rate"], band["amount"], band["max_leverage"]) for band in tiers["tiers"]
    ]
    steps = {name: contract[name] for name in _CONTRACT if contract.get(name)}
    return {"tiers": rows, **steps}
