"""The picture of a comparison: an SVG written by hand, no browser and no drawing library needed.

As a file it follows the reader's light or dark scheme where the viewer does; inside a page (``INLINE``) it
has no ground, title or legend of its own and takes the colour of the text around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.report.numbers import date, money, plural
from bt_margin.report.plain import plain
from bt_margin.report.series import DASHES, Curve, curves
from bt_margin.report.verdict import verdict
from bt_margin.report.words import currency
from bt_margin.studies.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Sheet:
    """The size of a picture and of its margins, in pixels; ``ground``: with ground, title and legend."""

    width: int
    height: int
    top: int
    left: int = 86
    right: int = 24
    bottom: int = 48
    ground: bool = True
    rows: int = 9  # grid lines, about
    columns: int = 7

    @property
    def inner(self) -> int:
        """The width of the curves."""
        return self.width - self.left - self.right


_ROW = 20  # pixels of a row of the legend
_SHORT = 5 * 86_400.0  # seconds: below, the hour belongs to the date
FILE = Sheet(1080, 560, top=92)
INLINE = Sheet(760, 220, top=26, bottom=26, ground=False, rows=5, columns=4)
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
_LINES = (
    ".line{fill:none;stroke-width:1.6;stroke-linejoin:round}"
    ".cross{stroke-width:2.4;stroke-linecap:round}"
)
_GROUND = (
    f"text{{{_FONT};fill:#24292f}}"
    ".bg{fill:#ffffff}.grid{stroke:#d8dee4;stroke-width:1}.axis{font-size:12px;fill:#57606a}"
    ".title{font-size:18px;font-weight:600}.key{font-size:13px}"
    ".synthetic{font-size:14px;font-weight:700;fill:#c0392b;letter-spacing:2px}"
    f"{_LINES}"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.bg{fill:#0d1117}.grid{stroke:#30363d}"
    ".axis{fill:#9198a1}.synthetic{fill:#ff7b72}}"
)
#: A style sheet inside a page holds for all of the page: every rule names our own class.
_OURS = "bt-margin-picture"
_NO_GROUND = "".join(
    f".{_OURS} {rule}}}"
    for rule in (
        f"text{{{_FONT};fill:currentColor}}"
        ".grid{stroke:currentColor;stroke-opacity:.18}.axis{font-size:12px;fill-opacity:.75}"
        f"{_LINES}"
    ).split("}")[:-1]
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where data lands on the picture: times and equities to pixels."""

    start: float
    end: float
    low: float
    high: float
    sheet: Sheet = FILE

    def x(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels from the left."""
        span = (self.end - self.start) or 1.0
        return self.sheet.left + (seconds - self.start) / span * self.sheet.inner

    def y(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels from the top."""
        span = (self.high - self.low) or 1.0
        room = self.sheet.height - self.sheet.top - self.sheet.bottom
        return self.sheet.height - self.sheet.bottom - (values - self.low) / span * room


def picture(comparison: Comparison, sheet: Sheet = FILE) -> str:
    """The equity curves, their liquidations as crosses, axes and a legend, as SVG text."""
    lines, unit = (
        curves(comparison, most=(2 if sheet.ground else 1) * sheet.inner),
        currency(comparison),
    )
    legend, rows = _legend(lines, unit, sheet)
    sheet = replace(sheet, top=sheet.top + _ROW * (rows - 1)) if sheet.ground else sheet
    frame = _frame(lines, sheet)
    title = f"{comparison.first.title}: {' and '.join(comparison.runs)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {sheet.width} {sheet.height}" '
        f'width="{sheet.width}" height="{sheet.height}" role="img" class="{_OURS}" '
        'style="max-width:100%;height:auto">',
        f"<title>{safe(title)}</title><desc>{safe(verdict(comparison))}</desc>",
        f"<style>{_GROUND if sheet.ground else _NO_GROUND}</style>",
        *([*_title(title, sheet), *legend] if sheet.ground else ()),
        *_axes(frame, unit),
        *[_line(number, curve, frame) for number, curve in enumerate(lines)],
        *[_crosses(curve, frame) for curve in lines],
    ]
    if comparison.synthetic and sheet.ground:
        parts.append(
            f'<text class="synthetic" x="{sheet.width - sheet.right}" y="32" text-anchor="end">'
            "SYNTHETIC market</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _title(title: str, sheet: Sheet) -> list[str]:
    """The ground and the title on it."""
    return [
        f'<rect class="bg" width="{sheet.width}" height="{sheet.height}"/>',
        f'<text class="title" x="{sheet.left}" y="32">{safe(title)}</text>',
    ]


def safe(text: str) -> str:
    """A name or sentence for XML and HTML."""
    return escape(plain(text))


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


def _frame(lines: Sequence[Curve], sheet: Sheet) -> Frame:
    """Room for every curve, with a little air above and below."""
    if not any(len(curve.times) for curve in lines):
        return Frame(0.0, 1.0, 0.0, 1.0, sheet)
    seconds = np.concatenate([_seconds(curve.times) for curve in lines])
    values = np.concatenate([curve.equity for curve in lines])
    low, high = float(values.min()), float(values.max())
    air = 0.05 * (high - low) or max(1.0, abs(high) * 0.05)
    floor = low - air if low - air > 0.0 or low < 0.0 else 0.0
    return Frame(float(seconds.min()), float(seconds.max()), floor, high + air, sheet)


def _axes(frame: Frame, unit: str) -> list[str]:
    """Grid lines with their labels."""
    sheet = frame.sheet
    left, right, foot = sheet.left, sheet.width - sheet.right, sheet.height - sheet.bottom
    parts = [f'<text class="axis" x="{left}" y="{sheet.top - 12}">equity [{safe(unit)}]</text>']
    for value in ticks(frame.low, frame.high, about=sheet.rows):
        y = float(frame.y(np.array([value]))[0])
        parts.append(
            f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="axis" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_round(value, unit)}</text>"
        )
    for share in np.linspace(0.0, 1.0, sheet.columns):
        second = frame.start + float(share) * (frame.end - frame.start)
        x = float(frame.x(np.array([second]))[0])
        anchor = "start" if share == 0.0 else "end" if share == 1.0 else "middle"
        label = date(pd.Timestamp(second, unit="s", tz="UTC"))
        label = label if frame.end - frame.start < _SHORT else label.split(" ")[0]
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{sheet.top}" y2="{foot}"/>'
            f'<text class="axis" x="{x:.1f}" y="{foot + 20}" text-anchor="{anchor}">{label}</text>'
        )
    return parts


def _round(value: float, unit: str) -> str:
    """An amount on the axis, without the zeros behind its point."""
    text = money(value, unit)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(number: int, curve: Curve, frame: Frame) -> str:
    """One equity curve."""
    points = zip(frame.x(_seconds(curve.times)), frame.y(curve.equity), strict=True)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="line" {stroke(number, curve)} points="{path}"/>'


def stroke(number: int, curve: Curve) -> str:
    """Colour and kind of a scenario's line."""
    dashes = DASHES[number % len(DASHES)]
    return f'stroke="{curve.colour}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _crosses(curve: Curve, frame: Frame) -> str:
    """The liquidations of one curve, each with its explanation as a tooltip."""
    xs, ys = frame.x(_seconds(curve.cross_times)), frame.y(curve.cross_equity)
    return "\n".join(
        f"<g><title>{safe(text)}</title>{_cross(float(x), float(y), curve.colour)}</g>"
        for x, y, text in zip(xs, ys, curve.cross_texts, strict=True)
    )


def _cross(x: float, y: float, colour: str) -> str:
    return (
        f'<path class="cross" stroke="{colour}" d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"/>'
    )


def _legend(lines: Sequence[Curve], unit: str, sheet: Sheet) -> tuple[list[str], int]:
    """Which line is which, with final equity and liquidations; and how many rows that takes."""
    parts, x, row = [], float(sheet.left), 0
    for number, curve in enumerate(lines):
        text = key(curve, unit)
        wide = 60 + 7.2 * len(text)
        if x + wide > sheet.width and x > sheet.left:
            x, row = float(sheet.left), row + 1
        y = 54 + _ROW * row
        parts.append(
            f'<line x1="{x}" x2="{x + 22}" y1="{y}" y2="{y}" {stroke(number, curve)} '
            f'stroke-width="3"/><text class="key" x="{x + 28}" y="{y + 4}">{safe(text)}</text>'
        )
        x += wide
    if any(len(curve.cross_times) for curve in lines):
        if x + 100 > sheet.width:
            x, row = float(sheet.left), row + 1
        y = 54 + _ROW * row
        cross = _cross(x + 6, float(y), "#888888")
        parts.append(f'{cross}<text class="key" x="{x + 18}" y="{y + 4}">liquidation</text>')
    return parts, row + 1


def key(curve: Curve, unit: str) -> str:
    """What a line is: the scenario, its final equity, and how often it was liquidated."""
    last = money(curve.equity[-1], unit) if len(curve.equity) else money(None)
    fallen = len(curve.cross_times)
    note = f"  ({plural(fallen, 'liquidation')})" if fallen else ""
    return f"{curve.name}  {last}{note}"
