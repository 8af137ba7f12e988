"""The charts of a survival study, drawn as SVG: no script, the colours of the page they stand in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from bt_margin.report.picture import safe, ticks
from bt_margin.report.series import DASHES

Point = tuple[float, float]
WIDTH, HEIGHT = 620, 300
_YEAR = 366 * 86_400_000.0  # ms
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 44


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: what it spans, whether in factors (``log``), and how a value is written."""

    low: float
    high: float
    log: bool
    show: Callable[[float], str]

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end.

        >>> Axis(1.0, 100.0, True, str).share(10.0), Axis(0.0, 4.0, False, str).share(1.0)
        (0.5, 0.25)
        """
        low, high, here = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, here = math.log(low), math.log(high), math.log(here)
        return (here - low) / (high - low) if high > low else 0.5

    def marks(self) -> list[float]:
        """Round numbers along the axis."""
        if not self.log:
            return ticks(self.low, self.high, about=6)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        own = [step * 10.0**power for power in powers for step in (1.0, 2.0, 5.0)]
        return [mark for mark in own if self.low <= mark <= self.high]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, the number of its colour, its points, and the band around it, if any."""

    name: str
    tone: int
    points: Sequence[Point]
    band: Sequence[tuple[float, float, float]] = ()
    steps: bool = False


def drawing(lines: Sequence[Line], x: Axis, y: Axis, told: str) -> str:
    """Lines in their axes as an SVG picture; ``told`` is what it shows, for who cannot see it."""
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{safe(told)}">',
        *_grid(x, y),
        *(_band(line, x, y) for line in lines if len(line.band)),
        *(_path(line, x, y) for line in lines),
        "</svg>",
    ]
    return "".join(parts)


def _grid(x: Axis, y: Axis) -> Iterable[str]:
    """Grid lines with their labels."""
    foot, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for mark in y.marks():
        at = _y(y, mark)
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{safe(y.show(mark))}</text>'
    for mark in x.marks():
        at = _x(x, mark)
        yield f'<path class="grid" d="M{at:.1f} {TOP}V{foot}"/>'
        yield f'<text x="{at:.1f}" y="{foot + 18}" text-anchor="middle">{safe(x.show(mark))}</text>'


def _path(line: Line, x: Axis, y: Axis) -> str:
    """A line, broken where it has no value."""
    parts: list[str] = []
    before: Point | None = None
    for left, up in line.points:
        if math.isnan(up):
            before = None
            continue
        here = _x(x, left), _y(y, up)
        if before is None:
            parts.append(f"M{here[0]:.1f} {here[1]:.1f}")
        elif line.steps:
            parts.append(f"H{here[0]:.1f}V{here[1]:.1f}")
        else:
            parts.append(f"L{here[0]:.1f} {here[1]:.1f}")
        before = here
    dashes = DASHES[line.tone % len(DASHES)]
    kind = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path class="line" style="stroke:var(--tone{line.tone % 8})"{kind} d="{"".join(parts)}">'
        f"<title>{safe(line.name)}</title></path>"
    )


def _band(line: Line, x: Axis, y: Axis) -> str:
    """The interval around a line."""
    rows = [row for row in line.band if not any(map(math.isnan, row))]
    upper = _edge([(left, high) for left, _, high in rows], x, y, line.steps)
    lower = _edge([(left, low) for left, low, _ in rows], x, y, line.steps)[::-1]
    path = "L".join(f"{left:.1f} {up:.1f}" for left, up in [*upper, *lower])
    return f'<path class="band" style="fill:var(--tone{line.tone % 8})" d="M{path}Z"/>'


def _edge(points: Sequence[Point], x: Axis, y: Axis, steps: bool) -> list[Point]:
    """One side of a band in pixels."""
    own = [(_x(x, left), _y(y, up)) for left, up in points]
    if not steps:
        return own
    corners = [(after[0], before[1]) for before, after in pairwise(own)]
    return [point for pair in zip(own, [*corners, own[-1]], strict=False) for point in pair]


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - BOTTOM - TOP)


# -- axes --------------------------------------------------------------------------------------------


def shares() -> Axis:
    """From none to all."""
    return Axis(0.0, 1.0, False, lambda value: f"{value * 100:.0f} %")


def percents(values: Iterable[float]) -> Axis:
    """Room for all of these fractions and for nothing."""
    own = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(0.0, *own), max(0.0, *own)
    air = 0.06 * (high - low) or 0.01
    return Axis(low - air * (low < 0.0), high + air, False, lambda value: f"{value * 100:,.4g} %")


def days(horizon: float) -> Axis:
    """From the start to the horizon."""
    return Axis(0.0, horizon, False, lambda value: f"{value:g}")


def ladder(values: Sequence[float], unit: str) -> Axis:
    """The rungs, in factors where they are all above nothing."""
    return Axis(min(values), max(values), True, lambda value: f"{value:,g}{unit}")


def calendar(times: pd.Series) -> Axis:
    """Months of years, days where there is less; values are UTC ms."""
    own = moments(times)
    low, high = float(own.min()), float(own.max())
    form = "%Y-%m" if high - low > _YEAR else "%Y-%m-%d"
    return Axis(low, high, False, lambda value: pd.Timestamp(value, unit="ms").strftime(form))


def moments(times: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """UTC times as ms."""
    return np.asarray(pd.DatetimeIndex(times).as_unit("ms").asi8, dtype=float)
