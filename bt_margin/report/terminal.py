"""A comparison in plain text: sparklines of its equity, and what ``repr`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from bt_margin.report import numbers as n
from bt_margin.report.plain import plain
from bt_margin.report.words import currency, liquidations

if TYPE_CHECKING:
    from bt_margin.studies.comparison import Comparison

BLOCKS, LIQUIDATED = "▁▂▃▄▅▆▇█", "✕"
#: The same for terminals that know ASCII alone: the more ink, the higher.
ASCII_BLOCKS, ASCII_LIQUIDATED = ".:-=+*#@", "X"
LONGEST = 100  # columns of a sparkline, at most
MOST_CROSSES = 1 / 3  # of a sparkline's columns; more stand below it, so that the curve is seen
_LEAST = 24  # columns a sparkline wants beside its name
_GAP = "  "


def sparklines(comparison: Comparison, width: int, *, ascii_only: bool = False) -> list[str]:
    """Equity curves in lines of at most ``width`` columns: one per scenario, then what they show.

    All have one scale: the lowest of all the values drawn is the lowest block, the highest the highest. A
    column is the last equity of its bars, and a cross where a position was liquidated in one of them; many
    crosses stand in a line below. Behind each line stands the final equity. A name that leaves too little
    room has a line of its own.
    """
    unit = currency(comparison)
    names = [plain(name) for name in comparison.runs]
    ends = [n.money(run.final, unit) for run in comparison.runs.values()]
    pad, tail = max(map(cell_len, names)), max(map(len, ends))
    room = width - tail - 2 * len(_GAP)
    beside = room - pad >= _LEAST
    columns = min(room - pad if beside else room, LONGEST)
    drawn = drawn_curves(comparison, max(columns, 1))
    known = np.concatenate([values[~np.isnan(values)] for values, _ in drawn])
    if not len(known):
        return []
    low, high = float(known.min()), float(known.max())
    blocks, cross = (ASCII_BLOCKS, ASCII_LIQUIDATED) if ascii_only else (BLOCKS, LIQUIDATED)
    lines = []
    for name, end, (values, fallen) in zip(names, ends, drawn, strict=True):
        drawing = [block(value, low, high, blocks) for value in values]
        crosses = [cross if at in fallen else " " for at in range(len(values))]
        below = len(fallen) > MOST_CROSSES * len(values)
        if not below:
            drawing = [
                own if mark == " " else mark for own, mark in zip(drawing, crosses, strict=True)
            ]
        label = name + " " * (pad - cell_len(name)) if beside else ""
        lines += [] if beside else [name]
        lines.append(f"{label}{_GAP}{''.join(drawing)}{_GAP}{end:>{tail}}")
        lines += [f"{' ' * len(label)}{_GAP}{''.join(crosses).rstrip()}"] if below else []
    several = any(fallen for _, fallen in drawn)
    told = f"equity, {n.money(low, unit)} to {n.money(high, unit)} {unit}"
    return [*lines, told + (f"; {cross} liquidation" if several else "")]


def drawn_curves(
    comparison: Comparison, columns: int
) -> list[tuple[NDArray[np.float64], frozenset[int]]]:
    """What is drawn of each scenario: the last equity of each column's bars, and the columns with crosses.

    A run shorter than ``columns`` has a column for each bar. NaN where a run has no equity.
    """
    index = comparison.index
    size = len(index)
    columns = min(columns, size)
    last = (np.arange(1, columns + 1) * size) // max(columns, 1) - 1
    fallen: dict[str, set[int]] = {name: set() for name in comparison.runs}
    for row in liquidations(comparison):
        bar = max(int(index.searchsorted(row["time"], side="right")) - 1, 0)
        fallen[row["scenario"]].add(int(np.searchsorted(last, bar)))
    return [
        (np.asarray(track.equity, dtype=float)[last], frozenset(fallen[track.name]))
        for track in comparison.tracks
    ]


def block(value: float, low: float, high: float, blocks: str = BLOCKS) -> str:
    """The block as high as a value between ``low`` and ``high``; a blank where there is none.

    >>> "".join(block(value, 0.0, 3.0) for value in (0.0, 1.0, 2.0, 3.0))
    '▁▃▆█'
    >>> block(float("nan"), 0.0, 1.0), block(5.0, 5.0, 5.0)
    (' ', '▄')
    """
    if np.isnan(value):
        return " "
    if not high > low:
        return blocks[len(blocks) // 2 - 1]
    return blocks[round((value - low) / (high - low) * (len(blocks) - 1))]


def as_text(comparison: Comparison) -> str:
    """The headline table and the verdict, as ``repr`` shows them."""
    from bt_margin.report.tables import headline
    from bt_margin.report.verdict import verdict
    from bt_margin.report.words import data_notes

    label = ["SYNTHETIC market"] if comparison.synthetic else []
    notes = [f"· {note}" for note in data_notes(comparison)]
    lines = [*label, *_columns(headline(comparison)), "", verdict(comparison), *notes]
    return "\n".join(map(plain, lines))


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: labels to the left, numbers to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        _GAP.join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
