"""Surfaces of a sweep for eyes: maps in a terminal, a page that opens offline, a fragment for a notebook."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.text import Text

from bt_margin.report import markup, style
from bt_margin.report import numbers as n
from bt_margin.report.plain import plain
from bt_margin.report.terminal import ASCII_BLOCKS, BLOCKS, block

if TYPE_CHECKING:
    from bt_margin.studies.sweep_result import Sweep

#: What the page shows, one surface (or several side by side) each: column -> its heading.
SHOWN = {
    "total_return": "Total return",
    "max_drawdown": "Deepest drawdown",
    "liquidations": "Liquidations",
    "min_margin_buffer": "Smallest margin buffer",
    "sharpe": "Sharpe ratio",
}
_SHARES = {
    "total_return", "cagr", "volatility", "max_drawdown", "ulcer", "value_at_risk", "expected_shortfall",
    "win_rate", "exposure", "time_at_risk", "min_margin_buffer",
}  # fmt: skip
#: Higher is worse: shown in the colour of losses.
_BAD = {"max_drawdown", "liquidations", "liquidated_notional", "ulcer", "volatility", "shortfall",
        "time_at_risk", "rejected_orders", "margin_calls", "longest_drawdown"}  # fmt: skip
MOST_SIDES = 6  # values of a third setting that get a surface each
MOST_WITH_TEXT = 16  # columns up to which numbers stand in the cells of the page
BEST = 10
MISSING, ASCII_MISSING = "·", "?"
_LABEL = 22


@dataclass(frozen=True, slots=True)
class Surface:
    """One surface: what it is of, of which cells, and its numbers (rows: y, columns: x)."""

    value: str
    title: str
    table: pd.DataFrame

    @property
    def reach(self) -> float:
        """The largest number there is, unsigned: what has the deepest colour."""
        known = np.abs(self.table.to_numpy(dtype=float))
        known = known[np.isfinite(known)]
        return float(known.max()) if len(known) else 0.0


def surfaces(result: Sweep, value: str = "total_return") -> list[Surface]:
    """A surface for each value of a third setting, where there is one with few values; else one alone.

    Cells that differ in other settings still are put together by their median.
    """
    x, y = result._sides(None, None)
    free = [
        name
        for name in result.axes
        if name not in (x, y) and 1 < len(result.axes[name]) <= MOST_SIDES
    ]
    if not free:
        return [Surface(value, "", result.heat(x, y, value))]
    third = "margin_mode" if "margin_mode" in free else free[0]
    found = []
    for place, each in enumerate(result.axes[third]):
        table = _part(result, third, place).pipe(_pivot, x, y, value)
        found.append(Surface(value, f"{third} {each}", table))
    return found


def _part(result: Sweep, name: str, place: int) -> pd.DataFrame:
    """The rows of one value of a setting."""
    wanted = repr(result.axes[name][place])
    picked = [repr(cell.settings.get(name)) == wanted for cell in result.cells]
    return result.frame[picked]


def _pivot(cells: pd.DataFrame, x: str, y: str | None, value: str) -> pd.DataFrame:
    from bt_margin.studies.sweep_result import surface_of

    return surface_of(cells, x, y, value, "median")


def shown(name: str, value: Any) -> str:
    """A statistic as people read it.

    >>> shown("total_return", 0.5), shown("liquidations", 3.0), shown("sharpe", float("nan"))
    ('50 %', '3', '–')
    """
    if value is None or not math.isfinite(float(value)):
        return n.NOTHING
    if name in _SHARES:
        return f"{value * 100:,.0f} %" if abs(value) >= 0.0995 else f"{value * 100:.2g} %"
    return f"{float(value):,.4g}"


# -- terminal ----------------------------------------------------------------------------------------


def maps(
    result: Sweep, width: int, value: str = "total_return", *, ascii_only: bool = False
) -> list[Text]:
    """The surfaces in lines of at most ``width`` columns: numbers where they fit, else blocks.

    All surfaces have one scale.
    """
    every = surfaces(result, value)
    known = np.concatenate([each.table.to_numpy(dtype=float).ravel() for each in every])
    known = known[np.isfinite(known)]
    if not len(known):
        return [Text("no cell has a value to show")]
    scale = (float(known.min()), float(known.max()))
    lines: list[Text] = []
    for each in every:
        heading = SHOWN.get(value, value) + (f", {each.title}" if each.title else "")
        lines += [Text(), Text(plain(heading), style="bold")]
        lines += _map(each, width, scale, ascii_only)
    return lines


def _map(
    surface: Surface, width: int, scale: tuple[float, float], ascii_only: bool
) -> Iterator[Text]:
    table = surface.table
    cells = [[shown(surface.value, v) for v in row] for row in table.to_numpy(dtype=float)]
    heads = [plain(_label(v)) for v in table.columns]
    names = [plain(_label(v))[:_LABEL] for v in table.index]
    side = max(len(str(table.index.name or "")), *map(len, names))
    size = max(len(text) for row in [heads, *cells] for text in row) + 1
    if side + 1 + size * len(heads) <= width:
        yield Text(
            f"{table.index.name or '':>{side}} " + "".join(f"{h:>{size}}" for h in heads),
            style="dim",
        )
        for name, row, values in zip(names, cells, table.to_numpy(dtype=float), strict=True):
            line = Text(f"{name:>{side}} ")
            for text, number in zip(row, values, strict=True):
                line.append(f"{text:>{size}}", style=_ink(surface.value, number))
            yield line
    else:
        yield from _blocks(surface, names, heads, width - side - 1, scale, ascii_only)
    yield Text(f"{'':>{side}} across: {table.columns.name}", style="dim")


def _blocks(
    surface: Surface,
    names: list[str],
    heads: list[str],
    room: int,
    scale: tuple[float, float],
    ascii_only: bool,
) -> Iterator[Text]:
    """One sign for each cell, the higher the more; too many columns are thinned."""
    side = max(len(str(surface.table.index.name or "")), *map(len, names))
    signs, none = (ASCII_BLOCKS, ASCII_MISSING) if ascii_only else (BLOCKS, MISSING)
    count = min(len(heads), max(room, 8))
    places = np.linspace(0, len(heads) - 1, count).round().astype(int)
    for name, values in zip(names, surface.table.to_numpy(dtype=float)[:, places], strict=True):
        line = Text(f"{name:>{side}} ")
        for value in values:
            sign = block(float(value), *scale, signs) if np.isfinite(value) else none
            line.append(sign, style=_ink(surface.value, float(value)))
        yield line
    first, last = heads[0], heads[-1]
    gap = max(1, count - len(first) - len(last))
    yield Text(f"{'':>{side}} {first}{' ' * gap}{last}", style="dim")
    low, high = (shown(surface.value, v) for v in scale)
    yield Text(f"{signs[0]} {low} to {signs[-1]} {high}, {none} no value", style="dim")


def _ink(name: str, value: float) -> str:
    if not math.isfinite(value) or value == 0.0:
        return "dim"
    return "red" if (value < 0) != (name in _BAD) else "green"


def _label(value: Any) -> str:
    """A value of a setting, as short as it can be told."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


# -- page --------------------------------------------------------------------------------------------

_STYLE = """
.heat td{padding:3px 7px;text-align:right;border-bottom:0;white-space:nowrap;min-width:14px}
.heat th{padding:3px 7px;border-bottom:0;color:var(--soft);font-weight:400;white-space:nowrap}
.heat td.g{background:rgba(var(--gain-wash),var(--deep))}
.heat td.l{background:rgba(var(--loss-wash),var(--deep))}
.heat td.n{color:var(--soft)}.heat.bare td{padding:9px 0}
.heat.bare td.n{padding:0;text-align:center}.heat caption{font-weight:600;color:var(--ink)}
.maps{display:flex;flex-wrap:wrap;gap:18px 40px;align-items:flex-start}
"""


def page(result: Sweep, value: str = "total_return") -> str:
    """The whole page as text; it asks for nothing and needs no script."""
    order = dict.fromkeys([value, *SHOWN])
    sections = "".join(_section(result, name) for name in order)
    title = f"{result.job.strategy.__name__}: {n.plural(len(result.cells), 'cell')}"
    badge = "<span class='badge'>SYNTHETIC market</span>" if result.synthetic else ""
    return style.document(
        title,
        _STYLE,
        f"<main><header class='top'><div><h1>{escape(title)}{badge}</h1>"
        f"<p class='span'>{escape(_span(result))}</p></div></header>",
        f"<p class='verdict'>{escape(verdict(result))}</p>",
        sections,
        _best(result),
        _failed(result),
        markup.sentences("engines", "How it was computed", [result.check]),
        markup.stamp({"stamp": _stamp(result), "settings": {}}),
        "</main>",
    )


def verdict(result: Sweep) -> str:
    """What the sweep found, in a sentence or two.

    The best cell by return, and how many cells were liquidated at least once.
    """
    frame, best = result.frame, result.best(1)
    if not len(best):
        return "No cell came to its end; each row has its error."
    row = best.iloc[0]
    died = int((frame["liquidations"] > 0).sum())
    text = (
        f"The highest return is {shown('total_return', row['total_return'])}, at {settings_of(result, row)}. "
        f"{died:,} of {n.plural(len(frame), 'cell')} were liquidated at least once"
    )
    lost = int((frame["total_return"] < -0.99).sum())
    return text + (f", {lost:,} lost everything." if lost else ".")


def settings_of(result: Sweep, row: Any) -> str:
    """The settings in which a cell differs, in words."""
    return ", ".join(f"{name} {_label(row[name])}" for name in result.axes if name in row.index)


def _span(result: Sweep) -> str:
    """Symbols, time, and how many bars."""
    frames = list(result.job.data.values())
    first, last = min(f.index[0] for f in frames), max(f.index[-1] for f in frames)
    bars = max(len(f) for f in frames)
    names = ", ".join(list(result.job.data)[:4]) + (" …" if len(frames) > 4 else "")
    return f"{names} · {first:%Y-%m-%d} to {last:%Y-%m-%d} UTC, {n.plural(bars, 'bar')}"


def _section(result: Sweep, value: str) -> str:
    """One statistic: its surfaces side by side, all in one scale."""
    if value not in result.frame or result.frame[value].isna().all():
        return ""
    every = surfaces(result, value)
    reach = max(each.reach for each in every)
    tables = "".join(_table(each, reach) for each in every)
    return (
        f"<section id='{escape(value)}'><h2>{escape(SHOWN.get(value, value))}</h2>"
        f"<p class='note'>{escape(legend(every))}</p><div class='maps'>{tables}</div></section>"
    )


def legend(every: list[Surface]) -> str:
    """What the colours of some surfaces mean: the deepest is the number furthest from zero."""
    known = np.concatenate([each.table.to_numpy(dtype=float).ravel() for each in every])
    known = known[np.isfinite(known)]
    if not len(known):
        return "No cell has a value."
    low, high = (shown(every[0].value, value) for value in (known.min(), known.max()))
    return f"From {low} to {high}; no colour is zero, {MISSING} no value. The numbers show under the pointer."


def _table(surface: Surface, reach: float) -> str:
    table = surface.table
    bare = len(table.columns) > MOST_WITH_TEXT
    every = max(1, -(-len(table.columns) // 24))
    heads = "".join(
        f"<th scope='col'>{escape(_label(v)) if place % every == 0 else ''}</th>"
        for place, v in enumerate(table.columns)
    )
    rows = "".join(
        f"<tr><th scope='row'>{escape(_label(label))}</th>"
        + "".join(
            _cell(surface, x, v, reach, bare) for x, v in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for label, row in zip(table.index, table.to_numpy(dtype=float), strict=True)
    )
    corner = escape(f"{table.index.name or ''} \\ {table.columns.name}")
    name = escape(surface.title or surface.value, quote=True)
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{name}'>"
        f"<table class='heat{' bare' if bare else ''}'><caption>{escape(surface.title)}</caption><thead><tr>"
        f"<th scope='col'>{corner}</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(surface: Surface, x: Any, value: float, reach: float, bare: bool) -> str:
    text = shown(surface.value, value)
    if not math.isfinite(value):
        return f"<td class='n'>{MISSING if bare else text}</td>"
    kind = "l" if (value < 0) != (surface.value in _BAD) else "g"
    deep = 0.75 * math.sqrt(min(1.0, abs(value) / reach)) if reach else 0.0
    tip = escape(f"{surface.table.columns.name} {_label(x)}: {text}")
    return f"<td class='{kind}' style='--deep:{deep:.2f}' title='{tip}'>{'' if bare else text}</td>"


def _best(result: Sweep) -> str:
    """The cells with the highest returns."""
    best = result.best(BEST)
    if not len(best):
        return ""
    names = [name for name in result.axes if name in best]
    heads = "".join(f"<th scope='col'>{escape(h)}</th>" for h in [*names, *SHOWN.values()])
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(_label(row[name]))}</td>" for name in names)
        + "".join(f"<td class='right'>{shown(name, row[name])}</td>" for name in SHOWN)
        + "</tr>"
        for _, row in best.iterrows()
    )
    return (
        "<section id='best'><h2>The highest returns</h2><div class='scroll'><table>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _failed(result: Sweep) -> str:
    """What cells raised, each error once."""
    counts = result.failed["error"].value_counts()
    items = [f"{n.plural(int(count), 'cell')}: {text}" for text, count in counts.head(BEST).items()]
    return markup.sentences("failed", "Cells that failed", items)


def _stamp(result: Sweep) -> dict[str, Any]:
    return {**result.stamp, "data": json.dumps(result.stamp.get("data", {}))}


def write_page(result: Sweep, path: str | Path, *, value: str = "total_return") -> Path:
    """Write the page in one step; returns where it is."""
    from bt_margin.studies.write import atomic_text

    return atomic_text(path, page(result, value))


def fragment(result: Sweep, value: str = "total_return") -> str:
    """The surfaces and the verdict for a notebook cell, in the colours of the page it stands in."""
    every = surfaces(result, value)
    reach = max(each.reach for each in every)
    rules = _STYLE.replace("\n.", "\n.bt-margin .").replace("}.", "}.bt-margin .")
    for name, colour in (("gain", "15,107,80"), ("loss", "168,50,31")):
        rules = rules.replace(f"var(--{name}-wash)", colour)
    tables = "".join(_table(each, reach) for each in every)
    return (
        f"<div class='bt-margin'><style>{rules}</style><p><b>{escape(verdict(result))}</b></p>"
        f"<p>{escape(SHOWN.get(value, value))}</p><div class='maps'>{tables}</div>"
        f"<p>{escape(result.check)}</p></div>"
    )
