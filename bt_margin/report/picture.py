"""The picture of a comparison: an SVG written by hand, no browser and no drawing library needed.

It follows the reader's light or dark scheme where the viewer does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.report.numbers import date, money, plural
from bt_margin.report.series import Curve, curves
from bt_margin.report.verdict import verdict
from bt_margin.report.words import currency
from bt_margin.studies.comparison import Comparison

WIDTH, HEIGHT = 1080, 560
LEFT, RIGHT, TOP, BOTTOM = 86, 24, 92, 48
_STYLE = """
text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#24292f}
.bg{fill:#ffffff}.grid{stroke:#d8dee4;stroke-width:1}.axis{font-size:12px;fill:#57606a}
.title{font-size:18px;font-weight:600}.sub{font-size:12.5px;fill:#57606a}.key{font-size:13px}
.synthetic{font-size:14px;font-weight:700;fill:#c0392b;letter-spacing:2px}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}.cross{stroke-width:2.4;stroke-linecap:round}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.bg{fill:#0d1117}.grid{stroke:#30363d}
.axis,.sub{fill:#9198a1}.synthetic{fill:#ff7b72}}
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where data lands on the picture: times and equities to pixels."""

    start: float
    end: float
    low: float
    high: float

    def x(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels from the left."""
        span = (self.end - self.start) or 1.0
        return LEFT + (seconds - self.start) / span * (WIDTH - LEFT - RIGHT)

    def y(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels from the top."""
        span = (self.high - self.low) or 1.0
        return HEIGHT - BOTTOM - (values - self.low) / span * (HEIGHT - TOP - BOTTOM)


def picture(comparison: Comparison) -> str:
    """The equity curves, their liquidations as crosses, axes and a legend, as SVG text."""
    lines = curves(comparison, most=2 * (WIDTH - LEFT - RIGHT))
    frame = _frame(lines)
    title = f"{comparison.first.title}: {' and '.join(comparison.runs)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" '
        'style="max-width:100%;height:auto">',
        f"<title>{escape(title)}</title><desc>{escape(verdict(comparison))}</desc>",
        f"<style>{_STYLE}</style>",
        f'<rect class="bg" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="32">{escape(title)}</text>',
        *_axes(frame, currency(comparison)),
        *[_line(curve, frame) for curve in lines],
        *[_crosses(curve, frame) for curve in lines],
        *_legend(lines, currency(comparison)),
    ]
    if comparison.synthetic:
        parts.append(
            f'<text class="synthetic" x="{WIDTH - RIGHT}" y="32" text-anchor="end">'
            "SYNTHETIC market</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between two values: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0.0, 10.0)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    span = high - low
    if not span > 0.0:
        return [low]
    rough = span / max(1, about - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1.0, 2.0, 5.0, 10.0) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _seconds(times: pd.DatetimeIndex) -> NDArray[np.float64]:
    return times.as_unit("ms").asi8 / 1000.0


def _frame(lines: Sequence[Curve]) -> Frame:
    """Room for every curve, with a little air above and below."""
    if not any(len(curve.times) for curve in lines):
        return Frame(0.0, 1.0, 0.0, 1.0)
    seconds = np.concatenate([_seconds(curve.times) for curve in lines])
    values = np.concatenate([curve.equity for curve in lines])
    low, high = float(values.min()), float(values.max())
    air = 0.05 * (high - low) or max(1.0, abs(high) * 0.05)
    floor = low - air if low - air > 0.0 or low < 0.0 else 0.0
    return Frame(float(seconds.min()), float(seconds.max()), floor, high + air)


def _axes(frame: Frame, unit: str) -> list[str]:
    """Grid lines with their labels."""
    parts = [f'<text class="axis" x="{LEFT}" y="{TOP - 12}">equity [{escape(unit)}]</text>']
    for value in ticks(frame.low, frame.high, about=9):
        y = float(frame.y(np.array([value]))[0])
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="axis" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_round(value, unit)}</text>"
        )
    for share in np.linspace(0.0, 1.0, 7):
        second = frame.start + float(share) * (frame.end - frame.start)
        x = float(frame.x(np.array([second]))[0])
        anchor = "start" if share == 0.0 else "end" if share == 1.0 else "middle"
        label = date(pd.Timestamp(second, unit="s", tz="UTC")).split(" ")[0]
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="axis" x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="{anchor}">'
            f"{label}</text>"
        )
    return parts


def _round(value: float, unit: str) -> str:
    """An amount on the axis, without the zeros behind its point."""
    text = money(value, unit)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(curve: Curve, frame: Frame) -> str:
    """One equity curve."""
    points = zip(frame.x(_seconds(curve.times)), frame.y(curve.equity), strict=True)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="line" stroke="{curve.colour}" points="{path}"/>'


def _crosses(curve: Curve, frame: Frame) -> str:
    """The liquidations of one curve, each with its explanation as a tooltip."""
    xs, ys = frame.x(_seconds(curve.cross_times)), frame.y(curve.cross_equity)
    return "\n".join(
        f"<g><title>{escape(text)}</title>{_cross(float(x), float(y), curve.colour)}</g>"
        for x, y, text in zip(xs, ys, curve.cross_texts, strict=True)
    )


def _cross(x: float, y: float, colour: str) -> str:
    return (
        f'<path class="cross" stroke="{colour}" d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"/>'
    )


def _legend(lines: Sequence[Curve], unit: str) -> list[str]:
    """Which colour is which, with the final equity and the number of liquidations."""
    parts, x = [], float(LEFT)
    for curve in lines:
        last = money(curve.equity[-1], unit) if len(curve.equity) else money(None)
        fallen = len(curve.cross_times)
        note = f"  ({plural(fallen, 'liquidation')})" if fallen else ""
        text = f"{curve.name}  {last}{note}"
        parts.append(
            f'<line x1="{x}" x2="{x + 22}" y1="54" y2="54" stroke="{curve.colour}" '
            f'stroke-width="3"/><text class="key" x="{x + 28}" y="58">{escape(text)}</text>'
        )
        x += 60 + 7.2 * len(text)
    if any(len(curve.cross_times) for curve in lines):
        cross = _cross(x + 6, 54.0, "#888888")
        parts.append(f'{cross}<text class="key" x="{x + 18}" y="58">liquidation</text>')
    return parts
