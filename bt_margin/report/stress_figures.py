"""The figures of a stress test, as SVG written by hand: no script draws them, and they follow the theme."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bt_margin.report.numbers import money
from bt_margin.report.picture import safe, ticks
from bt_margin.report.series import DASHES
from bt_margin.report.stress_words import share

if TYPE_CHECKING:
    from bt_margin.studies.stressed import Stress

WIDE, HIGH, LEFT, RIGHT, TOP, FOOT = 760, 300, 84, 20, 18, 44
TONES = 8
#: Rules of the figures; colours are the page's where there is one.
STYLE = (
    ".sf{max-width:100%;height:auto;font:12px system-ui,sans-serif}.sf text{fill:currentColor}"
    ".sf .grid{stroke:currentColor;stroke-opacity:.15}.sf .axis{fill-opacity:.75}"
    ".sf .line{fill:none;stroke:currentColor;stroke-width:2}.sf .band{fill:currentColor;fill-opacity:.13}"
    ".sf .start{stroke:currentColor;stroke-opacity:.5;stroke-dasharray:4 4}"
    ".sf .bar{stroke:currentColor;stroke-width:1.6}.sf .dot{fill:currentColor}"
    ".sf .hollow{fill:none;stroke:currentColor;stroke-width:1.8}"
)


class _Area:
    """From numbers to pixels; both axes may be logarithms."""

    def __init__(
        self,
        across: tuple[float, float],
        up: tuple[float, float],
        high: int = HIGH,
        log: bool = False,
    ) -> None:
        self.across, self.up, self.high, self.log = across, up, high, log

    def x(self, value: float) -> float:
        """Pixels from the left."""
        low, top = self.across
        if self.log:
            low, top, value = math.log(low), math.log(top), math.log(max(value, 1e-12))
        return LEFT + (value - low) / ((top - low) or 1.0) * (WIDE - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, top = self.up
        return self.high - FOOT - (value - low) / ((top - low) or 1.0) * (self.high - TOP - FOOT)


def _svg(name: str, parts: Sequence[str], high: int = HIGH) -> str:
    body = "".join(parts)
    return (
        f"<svg class='sf' viewBox='0 0 {WIDE} {high}' width='{WIDE}' height='{high}' role='img' "
        f"aria-label='{safe(name)}'><title>{safe(name)}</title>{body}</svg>"
    )


def _level(area: _Area, value: float, label: str) -> str:
    y = area.y(value)
    return (
        f"<line class='grid' x1='{LEFT}' x2='{WIDE - RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
        f"<text class='axis' x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{safe(label)}</text>"
    )


def _below(area: _Area, value: float, label: str) -> str:
    return (
        f"<text class='axis' x='{area.x(value):.1f}' y='{area.high - FOOT + 18}' "
        f"text-anchor='middle'>{safe(label)}</text>"
    )


def _tone(number: int) -> str:
    return f"tone{number % TONES}"


def horizons(found: Stress) -> str:
    """The probability of a liquidation by horizon, with whiskers as long as the intervals."""
    table = found.horizons
    if table.empty:
        return ""
    days = [float(each) for each in dict.fromkeys(table["days"])]
    top = max(0.05, float(table["high"].max()))
    area = _Area((min(days) * 0.8, max(days) * 1.1), (0.0, top), log=True)
    parts = [_level(area, value, share(value)) for value in ticks(0.0, top)]
    parts += [_below(area, each, f"{each:g}") for each in days]
    parts.append(
        f"<text class='axis' x='{WIDE - RIGHT}' y='{HIGH - 6}' text-anchor='end'>days from the start</text>"
    )
    for number, name in enumerate(found.scenarios):
        own = table[table["scenario"] == name]
        shift = 5.0 * (number - (len(found.scenarios) - 1) / 2.0)
        points = [
            (area.x(float(d)) + shift, float(v))
            for d, v in zip(own["days"], own["value"], strict=True)
        ]
        line = " ".join(f"{x:.1f},{area.y(v):.1f}" for x, v in points)
        dashes = DASHES[number % len(DASHES)]
        parts.append(
            f"<g class='{_tone(number)}'><polyline class='line' stroke-dasharray='{dashes}' points='{line}'/>"
        )
        for (x, value), low, high in zip(points, own["low"], own["high"], strict=True):
            parts.append(
                f"<line class='bar' x1='{x:.1f}' x2='{x:.1f}' y1='{area.y(low):.1f}' "
                f"y2='{area.y(high):.1f}'/><circle class='dot' cx='{x:.1f}' cy='{area.y(value):.1f}' r='4'>"
                f"<title>{safe(name)}: {share(value)} ({share(low)} to {share(high)})</title></circle>"
            )
        parts.append("</g>")
    return _svg("Probability of a liquidation by horizon", parts)


def fans(found: Stress) -> str:
    """The equity along the paths: one figure per scenario, all on one scale."""
    if found.fan.empty:
        return ""
    top = max(float(found.fan["q0.95"].max()), found.cash)
    low = min(float(found.fan["q0.05"].min()), found.cash)
    base = 0.0 if low < 0.5 * found.cash else low - 0.1 * (top - low)
    span = (base, top + 0.05 * (top - base))
    return "".join(_fan(found, number, name, span) for number, name in enumerate(found.scenarios))


def _fan(found: Stress, number: int, name: str, span: tuple[float, float]) -> str:
    own = found.fan[found.fan["scenario"] == name]
    days = own["days"].to_numpy(dtype=np.float64)
    area = _Area((0.0, float(days[-1])), span)
    parts = [_level(area, v, money(v, found.currency).removesuffix(".00")) for v in ticks(*area.up)]
    parts += [_below(area, value, f"{value:g}") for value in ticks(0.0, float(days[-1]), about=8)]
    parts.append(f"<g class='{_tone(number)}'>")
    for low, high in (("q0.05", "q0.95"), ("q0.25", "q0.75")):
        there = [f"{area.x(d):.1f},{area.y(v):.1f}" for d, v in zip(days, own[high], strict=True)]
        back = [f"{area.x(d):.1f},{area.y(v):.1f}" for d, v in zip(days, own[low], strict=True)]
        parts.append(f"<polygon class='band' points='{' '.join([*there, *reversed(back)])}'/>")
    middle = " ".join(
        f"{area.x(d):.1f},{area.y(v):.1f}" for d, v in zip(days, own["q0.5"], strict=True)
    )
    y = area.y(found.cash)
    parts.append(
        f"<polyline class='line' points='{middle}'/></g><line class='start' x1='{LEFT}' "
        f"x2='{WIDE - RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
        f"<text x='{LEFT + 8}' y='{TOP + 10}'>{safe(name)}</text>"
    )
    return _svg(f"Equity along the paths, {name}", parts)


def crashes(found: Stress) -> str:
    """Final equity over the cash at the start, crash by crash: filled where a position was liquidated."""
    own = found.crashes
    if own.empty:
        return ""
    groups = list(dict.fromkeys(own["crash"].where(own["kind"] == "crash", own["market"])))
    high = TOP + FOOT + 34 * len(groups)
    ends = own["final_equity"].to_numpy(dtype=np.float64) / found.cash
    area = _Area((0.0, max(1.0, float(ends.max())) * 1.03), (0.0, 1.0), high)
    parts = list(_across(area, high))
    for place, title in enumerate(groups):
        y = TOP + 34 * place + 17
        parts.append(
            f"<text x='{LEFT - 8}' y='{y + 4}' text-anchor='end'>{safe(_short(title))}</text>"
        )
        runs = own[own["crash"].where(own["kind"] == "crash", own["market"]) == title]
        for number, name in enumerate(found.scenarios):
            shift = 9.0 * (number - (len(found.scenarios) - 1) / 2.0)
            for run in runs[runs["scenario"] == name].itertuples():
                end = float(run.final_equity)
                died = int(run.liquidations) > 0
                told = f"{name}, {run.market}: {money(end, found.currency)}" + (
                    ", liquidated" * died
                )
                kind, x = ("dot" if died else "hollow"), area.x(end / found.cash)
                parts.append(
                    f"<circle class='{_tone(number)} {kind}' cx='{x:.1f}' "
                    f"cy='{y + shift:.1f}' r='4.5'><title>{safe(told)}</title></circle>"
                )
    return _svg("Final equity through each crash", parts, high)


def _across(area: _Area, high: int) -> Iterator[str]:
    """Grid lines from top to bottom, one at what there was at the start."""
    for value in ticks(*area.across):
        x = area.x(value)
        yield f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='{TOP}' y2='{high - FOOT}'/>"
        yield _below(area, value, f"{value * 100:.0f} %")
    x = area.x(1.0)
    yield f"<line class='start' x1='{x:.1f}' x2='{x:.1f}' y1='{TOP}' y2='{high - FOOT}'/>"


def _short(title: str) -> str:
    return "shocked" if title.endswith("shocks") else title


def winners(found: Stress) -> str:
    """Who ends with the most: one bar in the shares of the paths."""
    table = found.winner
    if table.empty or len(found.scenarios) < 2:
        return ""
    parts, at, high = [], float(LEFT), 84
    for number, (name, value) in enumerate(zip(table["winner"], table["value"], strict=True)):
        wide = float(value) * (WIDE - LEFT - RIGHT)
        kind = _tone(number) if number < len(found.scenarios) else "rest"
        weight = "fill='currentColor' fill-opacity='" + (".75'" if kind != "rest" else ".15'")
        if wide > 0.0:
            parts.append(
                f"<rect class='{kind}' {weight} x='{at:.1f}' y='14' width='{wide:.1f}' height='30'>"
                f"<title>{safe(str(name))}: {share(float(value))}</title></rect>"
            )
        if wide > 60.0:
            told = f"{safe(str(name))} {share(float(value))}"
            parts.append(f"<text x='{at + wide / 2:.1f}' y='64' text-anchor='middle'>{told}</text>")
        at += wide
    return _svg("Who ends with the most", parts, high)
