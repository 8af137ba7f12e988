"""The words, tables and numbers of a bundle, as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.report.headline import MANY, headline
from bt_margin.report.months import months
from bt_margin.report.numbers import price
from bt_margin.report.sheets import sheets
from bt_margin.report.tables import definitions, footnotes
from bt_margin.report.verdict import verdict
from bt_margin.report.waterfall import waterfalls
from bt_margin.report.words import approximations, explain, fidelity, statements
from bt_margin.studies.amounts import is_cash
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.result import Run


def meta_of(comparison: Comparison, symbols: Sequence[str]) -> dict[str, Any]:
    """Everything a page says that is no curve; ``symbols`` in the order of the arrays."""
    first, index = comparison.first, comparison.index
    runs = list(comparison.runs.values())
    found: dict[str, Any] = plain(
        {
            "title": f"{first.title}: {_named(list(comparison.runs))}",
            "strategy": first.title,
            "currency": first.currency,
            "digits": 2 if is_cash(first.currency) else 8,
            "synthetic": comparison.synthetic,
            "from": index[0].isoformat() if len(index) else None,
            "to": index[-1].isoformat() if len(index) else None,
            "bars": len(index),
            "scenarios": [_scenario(run) for run in runs],
            "symbols": list(symbols),
            "verdict": verdict(comparison),
            "headline": headline(comparison),
            "waterfalls": waterfalls(comparison),
            "months": months(comparison),
            "markers": [each for i, run in enumerate(runs) for each in markers(i, run, symbols)],
            "thresholds": sorted({each for r in runs for each in r.broker.account.margin_calls}),
            "tables": sheets(comparison),
            "fidelity": fidelity(comparison),
            "approximations": approximations(comparison),
            "statements": statements(comparison),
            "definitions": definitions(),
            "footnotes": footnotes(),
            "stamp": dict(comparison.stamp),
            "settings": comparison.settings,
        }
    )
    return found


def _named(names: Sequence[str]) -> str:
    """The scenarios in a title: by name, or by their number when there are many."""
    return " and ".join(names) if len(names) < MANY else f"{len(names)} scenarios"


def _scenario(run: Run) -> dict[str, Any]:
    """A scenario: its name, the margin mode of its account, the pools that backed positions."""
    return {
        "name": run.name,
        "mode": run.settings["margin_mode"],
        "pools": list(run.held.pools),
    }


def markers(number: int, run: Run, symbols: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Where a run traded and was liquidated: one marker per fill and liquidation, in order of time."""
    places = {symbol: j for j, symbol in enumerate(symbols)}
    for event in run.broker.events:
        if event.kind not in ("fill", "liquidation") or event.symbol not in places:
            continue
        yield {
            "scenario": number,
            "symbol": places[event.symbol],
            "kind": event.kind,
            "time": event.time,
            "price": event.price,
            "size": event.size,
            "text": explain(run, event) if event.kind == "liquidation" else _fill(event),
            "event": event.id,
        }


def _fill(event: Any) -> str:
    """A fill in few words."""
    side = "bought" if event.size > 0 else "sold"
    return f"{side} {abs(event.size):,.6g} at {price(event.price)}"


def plain(value: Any) -> Any:
    """A value as JSON has it: no NaN or infinity (None), times as ISO text, numpy's numbers as Python's.

    >>> plain({"a": (np.float64(0.5), float("nan"), np.int64(3)), 1: pd.Timestamp("2025-01-01", tz="UTC")})
    {'a': [0.5, None, 3], '1': '2025-01-01T00:00:00+00:00'}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, pd.Timestamp):
        return None if pd.isna(value) else value.isoformat()
    return None if value is pd.NaT or value is pd.NA else str(value)
