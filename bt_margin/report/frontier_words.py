"""A survival study in words, tables and lines of a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bt_margin.report.numbers import money, percent, plural
from bt_margin.report.plain import plain
from bt_margin.report.terminal import ASCII_BLOCKS, BLOCKS, block

if TYPE_CHECKING:
    from bt_margin.studies.survival_result import Survival

#: Shares of the starts a rung has to carry to stand in the headline.
CARRIED = (0.5, 0.9, 0.95, 1.0)
_LABELS = {0.5: "half of the starts", 0.9: "90 % of the starts", 0.95: "95 % of the starts",
           1.0: "every start"}  # fmt: skip


def rung(result: Survival, value: Any) -> str:
    """A leverage or a wallet, or that there is none."""
    if value is None or pd.isna(value):
        return "none"
    if result.variable == "leverage":
        return f"{value:g}x"
    return f"{money(value, result.currency)} {result.currency}".strip()


def edge(result: Survival, value: Any) -> str:
    """A rung where survival ends; the last one tried says that it may not end there."""
    sign = {"leverage": "≥\u00a0", "cash": "≤\u00a0"}[result.variable]
    last = not pd.isna(value) and value == result.plan.ladder[-1]
    return f"{sign if last else ''}{rung(result, value)}"


def carried(result: Survival, mode: str, share: float) -> float:
    """The riskiest rung at which at least this share of the starts survives; NaN: none does."""
    own = result.rungs[result.rungs["margin_mode"] == mode]
    good = own[1.0 - own["liquidated"] >= share - 1e-12]
    return float(good[result.variable].iloc[-1]) if len(good) else math.nan


def verdict(result: Survival) -> str:
    """What the study says, in two or three sentences."""
    rows = result.rungs
    if not len(rows):
        return "No start has data up to the horizon; the runs themselves are in the table."
    starts = int(rows["starts"].max())
    what = "leverage" if result.variable == "leverage" else "wallet"
    most = "highest leverage" if what == "leverage" else "smallest wallet"
    own = [
        f"{edge(result, carried(result, mode, 0.95))} under {mode}, where half of them survive "
        f"{edge(result, carried(result, mode, 0.5))}"
        for mode in result.modes
    ]
    text = (
        f"{result.title} from {plural(starts, 'start')}, {result.horizon:g} days each: the {most} that "
        f"95 % of the starts survive is {'; '.join(own)}."
    )
    return text + _worth(result, what)


def _worth(result: Survival, what: str) -> str:
    """What the modes were paid at the riskiest rung that was run everywhere."""
    known = result.rungs.groupby(result.variable)["median_return"].count()
    common = [value for value in result.shown if known.get(value, 0) == len(result.modes)]
    if not common or len(result.modes) < 2:
        return ""
    at = common[-1]
    own = result.rungs[result.rungs[result.variable] == at].set_index("margin_mode")
    told = [
        f"{mode} {percent(own.loc[mode, 'liquidated'])} liquidated, median return "
        f"{percent(own.loc[mode, 'median_return'])}"
        for mode in result.modes
    ]
    return f" At {what} {rung(result, at)}: {'; '.join(told)}."


def headline(result: Survival) -> list[list[str]]:
    """What each mode carries, as rows of cells; the first row is the header."""
    what = "highest leverage" if result.variable == "leverage" else "smallest wallet"
    rows = [["", *result.modes]]
    for share in CARRIED:
        cells = [edge(result, carried(result, mode, share)) for mode in result.modes]
        rows.append([f"{what} that {_LABELS[share]} survive{'s' if share == 1.0 else ''}", *cells])
    cells = [edge(result, _best(result, mode)) for mode in result.modes]
    rows.append([f"{what} that any start survives", *cells])
    return rows


def _best(result: Survival, mode: str) -> float:
    """The riskiest rung that survives from any start; NaN: none does."""
    own = result.frontier[(result.frontier["margin_mode"] == mode) & result.frontier["whole"]]
    known = own["highest"].dropna()
    return float(known.max() if result.variable == "leverage" else known.min())


def rung_table(result: Survival) -> list[list[str]]:
    """Risk and reward of the rungs that were run for every start; the first row is the header."""
    head = [result.variable, "mode", "liquidated", "95 % interval", "median return",
            "median return on margin"]  # fmt: skip
    rows = [head]
    for value in result.shown:
        own = result.rungs[result.rungs[result.variable] == value]
        for _, row in own.iterrows():
            rows.append(
                [
                    rung(result, value),
                    str(row["margin_mode"]),
                    percent(row["liquidated"]),
                    f"{percent(row['low'])} to {percent(row['high'])}",
                    percent(row["median_return"]),
                    percent(row["median_return_on_margin"]),
                ]
            )
    return rows


def chart(result: Survival, *, width: int = 100, ascii_only: bool = False) -> list[str]:
    """The share liquidated at each rung, one line per mode of at most ``width`` columns: higher is more.

    Where there are more rungs than columns, a column is the last of its rungs.
    """
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    pad = max((len(mode) for mode in result.modes), default=0)
    size = len(result.plan.ladder)
    columns = max(1, min(size, width - pad - 2))
    shown = [(place + 1) * size // columns - 1 for place in range(columns)]
    lines = []
    for mode in result.modes:
        own = result.rungs[result.rungs["margin_mode"] == mode]["liquidated"].to_numpy()
        if len(own):
            drawn = "".join(block(own[place], 0.0, 1.0, blocks) for place in shown)
            lines.append(f"{mode.ljust(pad)}  {drawn}")
    if lines:
        first, last = rung(result, result.plan.ladder[0]), rung(result, result.plan.ladder[-1])
        lines.append(
            f"liquidated within {result.horizon:g} days, none to all, at {first} to {last}"
        )
    return lines


def as_text(result: Survival) -> str:
    """Headline, chart, rungs and verdict in plain text, as ``repr`` shows them."""
    label = ["SYNTHETIC market"] if result.synthetic else []
    lines = [*label, *_columns(headline(result)), "", *chart(result), ""]
    lines += [*_columns(rung_table(result)), "", verdict(result)]
    return "\n".join(map(plain, [*lines, *(f"· {note}" for note in result.notes)]))


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: labels to the left, numbers to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
