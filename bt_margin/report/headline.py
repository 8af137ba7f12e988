"""The headline table: one statistic per row, one scenario per column, and the difference of two."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from bt_margin.report import numbers as n
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.summary import COLUMNS

Show = Callable[[Any], str]
INDENT = "\u00a0\u00a0"  # also a browser keeps it


class Line(NamedTuple):
    """A row of the table: a column of the summary, its label, and how it is written.

    ``compact``: also where there is little room.  ``optional``: left out where it is 0 for all.
    """

    key: str
    label: str
    show: Show
    group: str
    compact: bool = True
    optional: bool = False


#: Every statistic in the order in which it is shown.
LINES: tuple[Line, ...] = (
    Line("final_equity", "final equity", n.money, "result"),
    Line("total_return", "total return", n.percent, "result"),
    Line("cagr", "yearly growth", n.percent, "result"),
    Line("hold_first", "buy and hold, first symbol", n.percent, "result", compact=False),
    Line("hold_all", "buy and hold, equal parts", n.percent, "result", compact=False),
    Line("max_drawdown", "max drawdown", n.percent, "risk"),
    Line("drawdown_peak", f"{INDENT}from", n.date, "risk"),
    Line("drawdown_trough", f"{INDENT}to", n.date, "risk"),
    Line("drawdown_recovered", f"{INDENT}recovered", n.date, "risk", compact=False),
    Line("longest_drawdown", "longest drawdown", n.days, "risk", compact=False),
    Line("volatility", "volatility", n.percent, "risk", compact=False),
    Line("sharpe", "Sharpe", n.ratio, "risk"),
    Line("sortino", "Sortino", n.ratio, "risk"),
    Line("calmar", "Calmar", n.ratio, "risk", compact=False),
    Line("omega", "Omega", n.ratio, "risk", compact=False),
    Line("ulcer", "ulcer index", n.percent, "risk", compact=False),
    Line("value_at_risk", "value at risk, a day", n.percent, "risk", compact=False),
    Line("expected_shortfall", "expected shortfall, a day", n.percent, "risk", compact=False),
    Line("skew", "skew", n.ratio, "risk", compact=False),
    Line("kurtosis", "kurtosis", n.ratio, "risk", compact=False),
    Line("tail_ratio", "tail ratio", n.ratio, "risk", compact=False),
    Line("liquidations", "liquidations", n.count, "margin"),
    Line("liquidated_notional", "liquidated notional", n.money, "margin"),
    Line("margin_calls", "margin calls", n.count, "margin"),
    Line("rejected_orders", "rejected orders", n.count, "margin"),
    Line("trades", "trades", n.count, "trades"),
    Line("win_rate", "win rate", n.percent, "trades", compact=False),
    Line("profit_factor", "profit factor", n.ratio, "trades", compact=False),
    Line("expectancy", "expectancy", n.money, "trades", compact=False),
    Line("payoff", "payoff", n.ratio, "trades", compact=False),
    Line("price_result", "price result", n.money, "costs"),
    Line("fees", "fees", n.money, "costs"),
    Line("funding", "funding", n.money, "costs"),
    Line("funding_received", f"{INDENT}received", n.money, "costs", compact=False, optional=True),
    Line("funding_paid", f"{INDENT}paid", n.money, "costs", compact=False, optional=True),
    Line("interest", "interest", n.money, "costs", optional=True),
    Line("liquidation_fees", "liquidation fees", n.money, "costs"),
    Line("slippage", "slippage", n.money, "costs", optional=True),
    Line("shortfall", "borne by the fund", n.money, "costs", optional=True),
    Line("exposure", "time in the market", n.percent, "margin", compact=False),
    Line("turnover", "turnover", n.times, "margin", compact=False),
    Line("average_leverage", "average leverage", n.times, "margin", compact=False),
    Line("max_leverage", "max leverage", n.times, "margin"),
    Line("min_margin_buffer", "min margin buffer", n.percent, "margin"),
    Line("time_at_risk", "time at risk", n.percent, "margin", compact=False),
    Line("mark_share", "bars with mark", n.percent, "data"),
    Line("certain_liquidations", "certain liquidations", n.count, "data"),
    Line("path_dependent_liquidations", "path-dependent", n.count, "data"),
    Line("final_equity_adverse", "final, worst path", n.money, "data"),
    Line("final_equity_favourable", "final, best path", n.money, "data"),
)
_BOUNDS = {
    "certain_liquidations": "liquidations that happen along the worst and the best path inside the bar",
    "path_dependent_liquidations": "liquidations that happen along one of them only",
    "final_equity_adverse": "final equity when each dangerous bar takes its worst path",
    "final_equity_favourable": "final equity when each dangerous bar takes its best path",
}
_SYMBOLS_OF = {
    "hold_first": 1,
    "hold_all": 2,
}  # how many symbols it takes for the row to say something


def in_unit(show: Show, unit: str) -> Show:
    """Money is written in its currency, everything else as it is."""
    return partial(n.money, unit=unit) if show is n.money else show


def meaning(key: str) -> str:
    """What a row is."""
    return COLUMNS.get(key) or _BOUNDS[key]


def headline(comparison: Comparison, *, compact: bool = False) -> dict[str, Any]:
    """The table as plain data: ``columns`` and ``rows``.

    Each row has the ``key`` of its statistic (a column of ``summary``), its ``label``, ``meaning`` and
    ``group``, whether it is ``compact``, its ``cells`` as texts and its ``values`` as numbers (dates in UTC
    ms, None where there is none), one per scenario and, for two, the difference second − first (of
    percentages in points). Lines that
    are optional are left out where they are 0 for all; ``compact`` keeps those that matter most.
    """
    names = list(comparison.runs)
    columns = ["", *names, *(["difference"] if len(names) == 2 else [])]
    return {"columns": columns, "rows": list(_rows(comparison, compact))}


#: From so many scenarios on they are shown as rows, the best first, under fewer numbers.
MANY = 5
_STANDING = (
    "final_equity", "total_return", "max_drawdown", "liquidations", "fees", "funding", "interest",
    "liquidation_fees", "shortfall",
)  # fmt: skip


def standings(table: Mapping[str, Any]) -> list[list[str]]:
    """A headline table turned on its side: a row per scenario, the largest final equity first.

    table : what :func:`headline` returns. The first row are the labels; numbers that are 0 for all are left
    out.
    """
    rows = {row["key"]: row for row in table["rows"]}
    kept = [rows[key] for key in _STANDING if key in rows and _tells(rows[key])]
    finals = rows["final_equity"]["values"]
    places = sorted(range(len(finals)), key=lambda place: (-(finals[place] or 0.0), place))
    named = table["columns"][1:]
    return [
        ["scenario", *(row["label"] for row in kept)],
        *([named[place], *(row["cells"][place] for row in kept)] for place in places),
    ]


def _tells(row: Mapping[str, Any]) -> bool:
    """Whether a row says something: the first three always do."""
    return row["key"] in _STANDING[:4] or any(row["values"])


def _rows(comparison: Comparison, compact: bool) -> Iterator[dict[str, Any]]:
    summary = comparison.summary
    symbols = len(comparison.first.broker.account.book)
    for line in LINES:
        if line.key not in summary or (compact and not line.compact):
            continue
        values = list(summary[line.key])
        useless = _SYMBOLS_OF.get(line.key, 0) > symbols
        if useless or (line.optional and not any(values)):
            continue
        show = in_unit(line.show, comparison.first.currency)
        cells = [show(value) for value in values]
        numbers = [_number(value) for value in values]
        if len(values) == 2:
            gap = None if line.show is n.date else values[1] - values[0]
            apart = n.points if show is n.percent else show
            cells.append("" if gap is None else n.signed(apart, gap))
            numbers.append(_number(gap))
        yield {
            "key": line.key,
            "label": line.label,
            "meaning": meaning(line.key),
            "group": line.group,
            "compact": line.compact,
            "cells": cells,
            "values": numbers,
        }


def _number(value: Any) -> float | int | None:
    """A value as JSON has it: dates as UTC ms, nothing where there is no number."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return int(value.timestamp() * 1000)
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
