"""``result.json``: how a comparison ended, for other programs.

    verdict, title, strategy, currency, synthetic, from, to, bars
    headline      statistic → {scenario: number}, "difference" where there are two; null where there is none
    divergence    "steps" from one final equity to the other (waterfall by waterfall), and "partings"
    liquidations  one object per liquidation
    counterfactuals    what would have avoided each, one object per breach, where it was asked for
    scenarios, settings, stamp, fidelity, approximations, statements

Money is in ``currency``, rates are fractions, times are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

_AS_THEY_ARE = (
    "title",
    "strategy",
    "currency",
    "synthetic",
    "from",
    "to",
    "bars",
    "verdict",
    "scenarios",
    "settings",
    "stamp",
    "fidelity",
    "approximations",
    "statements",
)


def outcome(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a comparison from the meta data of its bundle, as JSON has it."""
    tables = meta["tables"]
    return {
        "format": meta["format"],
        **{name: meta[name] for name in _AS_THEY_ARE if name in meta},
        "headline": _headline(meta["headline"]),
        "divergence": {
            "steps": [_waterfall(each) for each in meta["waterfalls"]],
            "partings": records(tables.get("partings")),
        },
        "liquidations": records(tables.get("liquidations")),
        **({"counterfactuals": records(tables["avoided"])} if "avoided" in tables else {}),
    }


def records(table: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rows of a table as objects by column key, times as text.

    >>> column = {"key": "time", "kind": "time"}
    >>> records({"columns": [column], "rows": [[0]]})
    [{'time': '1970-01-01T00:00:00+00:00'}]
    """
    if table is None:
        return []
    columns = [(column["key"], column["kind"]) for column in table["columns"]]
    return [
        {
            key: iso(value) if kind == "time" else value
            for (key, kind), value in zip(columns, row, strict=True)
        }
        for row in table["rows"]
    ]


def iso(time: Any) -> str | None:
    """UTC epoch milliseconds as ISO 8601; None stays None.

    >>> iso(1_760_000_000_500)
    '2025-10-09T08:53:20.500000+00:00'
    """
    if time is None:
        return None
    seconds, rest = divmod(int(time), 1000)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.replace(microsecond=rest * 1000).isoformat()


def _headline(table: Mapping[str, Any]) -> dict[str, Any]:
    """Statistic → scenario → number; dates as text."""
    names = table["columns"][1:]
    dates = ("drawdown_peak", "drawdown_trough", "drawdown_recovered")
    found = {}
    for row in table["rows"]:
        values = [iso(v) if row["key"] in dates else v for v in row["values"]]
        found[row["key"]] = dict(zip(names, values, strict=False))
    return found


def _waterfall(fall: Mapping[str, Any]) -> dict[str, Any]:
    steps = [{**step, "time": iso(step.get("time"))} for step in fall["steps"]]
    return {**fall, "steps": steps}
