"""The interactive figure as plain data, for plotly: equity, drawdown and margin ratio on one time axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bt_margin.report.series import PLOTLY_DASHES, Curve, curves
from bt_margin.report.thin import thin
from bt_margin.report.words import currency
from bt_margin.studies.amounts import is_cash
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.result import Run

_WRAP = 80
HEIGHT = 640
DOMAINS = {"yaxis": [0.50, 1.0], "yaxis2": [0.26, 0.44], "yaxis3": [0.0, 0.20]}


def figure_dict(comparison: Comparison) -> dict[str, Any]:
    """Data and layout of a plotly figure: three panels linked in time, liquidations as crosses.

    Above the equity at the closes, below it the drawdown, and the largest maintenance / equity of any pool
    with its limit of 100 %. Long curves are thinned, their extremes kept.
    """
    data: list[dict[str, Any]] = []
    digits = 2 if is_cash(currency(comparison)) else 8
    for number, (curve, run) in enumerate(
        zip(curves(comparison), comparison.runs.values(), strict=True)
    ):
        line = {"color": curve.colour, "dash": PLOTLY_DASHES[number % len(PLOTLY_DASHES)]}
        data += _traces(curve, digits, line)
        data.append(_ratio(curve.name, run, line))
    return {"data": data, "layout": _layout(comparison)}


def _traces(curve: Curve, digits: int, line: dict[str, Any]) -> list[dict[str, Any]]:
    """The traces of one scenario."""
    equity = _common(curve.name) | {
        "x": _iso(curve.times),
        "y": _rounded(curve.equity, digits + 2),
        "line": line | {"width": 1.6},
        "hovertemplate": f"%{{y:,.{digits}f}}",
    }
    below = _common(curve.name) | {
        "x": _iso(curve.times),
        "y": _rounded(curve.drawdown, 6),
        "line": line | {"width": 1.1},
        "yaxis": "y2",
        "showlegend": False,
        "hovertemplate": "drawdown %{y:.1%}",
    }
    return [equity, below, *([_crosses(curve, digits)] if len(curve.cross_times) else [])]


def _common(name: str) -> dict[str, Any]:
    shown = _text(name)
    return {"type": "scatter", "mode": "lines", "legendgroup": name, "name": shown}


def _crosses(curve: Curve, digits: int) -> dict[str, Any]:
    """The liquidations of one scenario as crosses on its curve."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{_text(curve.name)}: liquidations",
        "legendgroup": curve.name,
        "x": _iso(curve.cross_times),
        "y": _rounded(curve.cross_equity, digits + 2),
        "text": [_wrapped(text) for text in curve.cross_texts],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"symbol": "x", "size": 10, "color": curve.colour, "line": {"width": 1}},
    }


def _ratio(name: str, run: Run, line: dict[str, Any]) -> dict[str, Any]:
    """The margin ratio of one scenario."""
    ratio = run.bars["margin_ratio"]
    values = ratio.to_numpy(dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    places = thin(values)
    return _common(name) | {
        "x": _iso(pd.DatetimeIndex(ratio.index)[places]),
        "y": _rounded(values[places], 6),
        "line": line | {"width": 1.1},
        "yaxis": "y3",
        "showlegend": False,
        "hovertemplate": "margin ratio %{y:.1%}",
    }


def _layout(comparison: Comparison) -> dict[str, Any]:
    """Three panels over one time axis; colours are left to the theme."""
    layout: dict[str, Any] = {
        "height": HEIGHT,
        "hovermode": "x unified",
        "margin": {"l": 70, "r": 44, "t": 70, "b": 40},
        "modebar": {"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},  # in the margin, over nothing
        "legend": {"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
        "xaxis": {"anchor": "y3", "type": "date"},
        "yaxis": {
            "domain": DOMAINS["yaxis"],
            "title": {"text": f"equity [{_text(currency(comparison))}]"},
        },
        "yaxis2": _share("drawdown", DOMAINS["yaxis2"]),
        "yaxis3": _share("margin ratio", DOMAINS["yaxis3"]),
        "shapes": [_limit(1.0, "dash"), *(_limit(call, "dot") for call in _calls(comparison))],
    }
    if comparison.synthetic:
        layout["annotations"] = [
            {
                "text": "SYNTHETIC market",
                "xref": "paper",
                "yref": "paper",
                "x": 1.0,
                "y": 0.47,  # between the panels, where nothing else stands
                "xanchor": "right",
                "yanchor": "middle",
                "showarrow": False,
                "font": {"size": 13, "color": "#c0392b"},
            }
        ]
    return layout


def _share(title: str, domain: list[float]) -> dict[str, Any]:
    """An axis in per cent."""
    return {
        "domain": domain,
        "title": {"text": title},
        "tickformat": ".0%",
        "rangemode": "tozero",
    }


def _limit(ratio: float, dash: str) -> dict[str, Any]:
    """A level line across the margin ratio: where it liquidates or calls."""
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y3", "y0": ratio, "y1": ratio,
        "line": {"color": "#c0392b", "width": 1, "dash": dash},
    }  # fmt: skip


def _calls(comparison: Comparison) -> list[float]:
    """The ratios that call for margin, of any scenario."""
    calls = (own.get("margin_calls") or () for own in comparison.settings.values())
    return sorted({float(ratio) for each in calls for ratio in each})


def _iso(times: pd.DatetimeIndex) -> list[str]:
    """UTC times as plotly reads them."""
    return [f"{time:%Y-%m-%d %H:%M:%S}" for time in times]


def _rounded(values: Any, digits: int) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), digits) for value in values]


def _text(text: str) -> str:
    """A text that plotly shows as it is: it takes some tags for its own.

    >>> _text("<b>5x</b>")
    '&lt;b&gt;5x&lt;/b&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _wrapped(text: str) -> str:
    """A long text in lines short enough for a tooltip."""
    lines, line = [], ""
    for word in _text(text).split():
        if len(line) + len(word) > _WRAP:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "<br>".join([*lines, line])
