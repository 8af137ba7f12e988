"""The interactive figure as plain data: plotly draws it in a notebook, plotly.js on the page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bt_margin.report.series import Curve, curves
from bt_margin.report.words import currency
from bt_margin.studies.amounts import is_cash
from bt_margin.studies.comparison import Comparison

_WRAP = 80


def figure_dict(comparison: Comparison) -> dict[str, Any]:
    """Data and layout of a plotly figure: equity above, drawdown below, linked in time."""
    data: list[dict[str, Any]] = []
    digits = 2 if is_cash(currency(comparison)) else 8
    for curve in curves(comparison):
        data += _traces(curve, digits)
    return {"data": data, "layout": _layout(comparison)}


def _traces(curve: Curve, digits: int) -> list[dict[str, Any]]:
    """The traces of one scenario."""
    times = _iso(curve.times)
    line: dict[str, Any] = {"color": curve.colour, "width": 1.6}
    common: dict[str, Any] = {"type": "scatter", "mode": "lines", "legendgroup": curve.name}
    equity = common | {
        "name": curve.name,
        "x": times,
        "y": _rounded(curve.equity, digits + 2),
        "line": line,
        "hovertemplate": f"%{{y:,.{digits}f}}",
    }
    below = common | {
        "name": curve.name,
        "x": times,
        "y": _rounded(curve.drawdown, 6),
        "line": line | {"width": 1.1},
        "yaxis": "y2",
        "fill": "tozeroy",
        "opacity": 0.7,
        "showlegend": False,
        "hovertemplate": "%{y:.1%}",
    }
    traces = [equity, below]
    if len(curve.cross_times):
        traces.append(_crosses(curve, digits))
    return traces


def _crosses(curve: Curve, digits: int) -> dict[str, Any]:
    """The liquidations of one scenario as crosses on its curve."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{curve.name}: liquidations",
        "legendgroup": curve.name,
        "x": _iso(curve.cross_times),
        "y": _rounded(curve.cross_equity, digits + 2),
        "text": [_wrapped(text) for text in curve.cross_texts],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"symbol": "x", "size": 10, "color": curve.colour, "line": {"width": 1}},
    }


def _layout(comparison: Comparison) -> dict[str, Any]:
    """Two panels over one time axis; colours are left to the page's theme."""
    layout: dict[str, Any] = {
        "hovermode": "x unified",
        "margin": {"l": 70, "r": 44, "t": 40, "b": 40},
        "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},  # in the margin, over nothing
        "legend": {"orientation": "h", "y": 1.08, "x": 0},
        "xaxis": {"anchor": "y2", "type": "date"},
        "yaxis": {"domain": [0.32, 1.0], "title": {"text": f"equity [{currency(comparison)}]"}},
        "yaxis2": {
            "domain": [0.0, 0.25],
            "title": {"text": "drawdown"},
            "tickformat": ".0%",
            "rangemode": "tozero",
        },
    }
    if comparison.synthetic:
        layout["annotations"] = [
            {
                "text": "SYNTHETIC market",
                "xref": "paper",
                "yref": "paper",
                "x": 1.0,
                "y": 0.285,  # between the panels, where nothing else stands
                "xanchor": "right",
                "yanchor": "middle",
                "showarrow": False,
                "font": {"size": 13, "color": "#c0392b"},
            }
        ]
    return layout


def _iso(times: pd.DatetimeIndex) -> list[str]:
    """UTC times as plotly reads them."""
    return [f"{time:%Y-%m-%d %H:%M:%S}" for time in times]


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _wrapped(text: str) -> str:
    """A long text in lines short enough for a tooltip."""
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) > _WRAP:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "<br>".join([*lines, line])
