"""What a venue is made of, as plain types: rules, dates, tables, options, facts and fidelity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from inspect import Parameter, getdoc, signature
from typing import Any

from bt_margin.errors import InputError, UnknownVenue
from bt_margin.venues import _ALIASES, _builder, venue, venues
from bt_margin.venues.spec import Venue

__all__ = ["dates", "described", "listed", "options_of"]

_HOUR = 3_600_000
#: Topics of facts that tell when a venue liquidates, and how their values are put.
_TRIGGERS = {
    "trigger": "{}",
    "liquidation threshold": "{}",
    "health factor": "{}",
    "margin liquidation level": "margin level at {}",
}


def listed() -> list[dict[str, Any]]:
    """One row per venue; of one that wants numbers first, what it wants.

    >>> [row["title"] for row in listed() if row["name"] == "binance"]
    ['Binance USD-M']
    """
    rows = []
    for name in venues():
        try:
            rows.append(summary(venue(name)) | {"name": name})
        except InputError as error:
            told = str(error).partition(";")[0].partition(" misses ")[2]
            rows.append({"name": name, "title": name, "wants": told or str(error)})
    return rows


def summary(rules: Venue) -> dict[str, Any]:
    """The few words that tell venues apart; ``funding_hours`` is None where the venue has no funding."""
    kinds = Counter(rules.contract(symbol).kind for symbol in rules.schedules)
    return {
        "name": rules.name,
        "title": rules.title,
        "currency": rules.currency,
        "symbols": len(rules.schedules),
        "kinds": {kind: kinds[kind] for kind in ("linear", "inverse") if kinds[kind]},
        "modes": list(rules.modes),
        "hedge": rules.hedge,
        "funding_hours": None
        if rules.funding.payer == "nobody"
        else rules.funding_interval / _HOUR,
        "trigger": trigger(rules),
        "dates": dates(rules),
    }


def described(name: str, options: Mapping[str, object] | None = None) -> dict[str, Any]:
    """All there is to say about a venue; of one that wants numbers first, what it wants.

    :raises UnknownVenue: no such venue.  :raises InputError: ``options`` has one that it cannot use.

    >>> told = described("binance")
    >>> sorted(told)[:4], len(told["facts"]) > 20
    (['absent', 'approximated', 'currency', 'dates'], True)
    """
    try:
        rules = venue(name, None, **dict(options or {}))
    except UnknownVenue:
        raise
    except InputError as error:
        if options:
            raise
        return {"name": name, "title": name, "wants": str(error), "options": options_of(name)}
    return {
        **summary(rules),
        "mode_scope": rules.switching.scope,
        "funding": {
            "payer": rules.funding.payer,
            "capped": rules.funding.capped,
            "accrues": rules.funding.accrues,
        },
        "fees": [
            {"since": day(since), "maker": f.maker, "taker": f.taker, "liquidation": f.liquidation}
            for since, f in rules.fees
        ],
        "options": options_of(name),
        "tables": tables(rules),
        "facts": [
            {"topic": f.topic, "value": f.value, "source": f.source, "as_of": f.as_of, "tag": f.tag}
            for f in rules.facts
        ],
        "exact": list(rules.exact),
        "approximated": list(rules.approximations),
        "absent": list(rules.absent),
    }


def trigger(rules: Venue) -> str:
    """When the venue liquidates, in the words of its facts."""
    for topic, put in _TRIGGERS.items():
        found = [put.format(f.value) for f in rules.facts if f.topic.partition(",")[0] == topic]
        if found:
            return "; ".join(dict.fromkeys(found))
    return ""


def dates(rules: Venue) -> list[str]:
    """The days on which a rule or a fee of the venue changes during a run."""
    changes = [
        since for since, _ in (*rules.margin[1:], *rules.liquidation_changes, *rules.fees[1:])
    ]
    return sorted({day(since) or "" for since in changes})


def tables(rules: Venue) -> list[dict[str, Any]]:
    """Where the tier tables were read, and how many symbols each source serves."""
    count: Counter[str] = Counter()
    since: dict[str, int] = {}
    for symbol in rules.schedules:
        schedule = rules.schedules[symbol]
        for (start, _), source in zip(schedule.tables, schedule.sources, strict=False):
            count[source] += 1
            since[source] = min(start, since.get(source, start))
    rows = [
        {"since": day(since[source]), "symbols": number, "source": source}
        for source, number in count.items()
    ]
    return sorted(rows, key=lambda row: (row["since"] or "", row["source"]))


def options_of(name: str) -> dict[str, Any]:
    """The options of a venue with their defaults (None where a number is wanted), and their words.

    >>> "taker_fee" in options_of("generic")["defaults"]
    True
    """
    build = builder(name)
    kinds = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    defaults = {
        key: None if one.default is Parameter.empty else one.default
        for key, one in signature(build).parameters.items()
        if one.kind in kinds and key != "as_of"
    }
    words = (getdoc(build) or "").partition(">>>")[0].strip()
    return {"defaults": defaults, "words": words if defaults else ""}


def builder(name: str) -> Callable[..., Venue]:
    """The function that builds a venue."""
    key = name.strip().lower()
    return _builder(_ALIASES.get(key, key))


def day(ms: int) -> str | None:
    """A date; None for always.

    >>> day(1_756_771_200_000), day(-(2**62))
    ('2025-09-02', None)
    """
    if not 0 < ms < 10**13:
        return None
    return datetime.fromtimestamp(ms / 1000, timezone.utc).date().isoformat()
