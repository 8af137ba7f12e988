"""What would have avoided each liquidation, in a table and in words.

From the table that :func:`bt_margin.studies.counterfactual.counterfactuals` makes, where it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bt_margin.report import numbers as n
from bt_margin.report.headline import in_unit
from bt_margin.studies.comparison import Comparison

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("scenario", "scenario", "text"),
    ("time", "time", "time"),
    ("symbols", "symbols", "text"),
    ("leverage", "leverage", "number"),
    ("extra_margin", "extra margin, the bar", "money"),
    ("extra_worth", "worth at the end", "money"),
    ("extra_week", "extra margin, a week", "money"),
    ("week_worth", "worth at the end", "money"),
    ("lower_leverage", "leverage that avoids it", "number"),
    ("leverage_worth", "worth at the end", "money"),
    ("other_mode", "other mode", "text"),
    ("mode_worth", "worth at the end", "money"),
    ("engine", "made by", "text"),
    ("told", "in words", "text"),
    ("event", "event", "number"),
)
NOTE = (
    "Each is a run of its own to the end, with one thing changed; worth is what it has more at the end, "
    "money paid in taken off. The leverage is the highest below the run's own at which the position lives."
)


def avoided_rows(comparison: Comparison) -> list[list[Any]]:
    """The rows of the sheet: one per breach that closed anything, in order of time."""
    rows = []
    for row in records(comparison):
        own = {**row, "time": int(row["time"].timestamp() * 1000)}
        own["told"] = told(row, comparison.runs[row["scenario"]].currency)
        rows.append([_plain(own["breach" if key == "event" else key]) for key, _, _ in COLUMNS])
    return sorted(rows, key=lambda row: (row[1], row[0]))


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """The table row by row; empty where it was not asked for."""
    table = comparison.avoided
    if table is None:
        return []
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]


def avoided_table(comparison: Comparison, most: int) -> list[list[str]]:
    """Header and rows for the terminal: those for which something was worth most, in order of time."""
    found = records(comparison)
    order = sorted(range(len(found)), key=lambda place: -_best(found[place]))[:most]
    rows = [["time", "scenario", "symbols", "what would have avoided it"]]
    for place in sorted(order, key=lambda place: (found[place]["time"], place)):
        row = found[place]
        words = told(row, comparison.runs[row["scenario"]].currency)
        rows.append([n.date(row["time"]), row["scenario"], row["symbols"], words])
    return rows


def told(row: Mapping[str, Any], unit: str) -> str:
    """One breach in sentences."""
    return " ".join([*_extra(row, unit), _lower(row, unit), _switched(row, unit)]).strip()


def _extra(row: Mapping[str, Any], unit: str) -> Iterator[str]:
    show = in_unit(n.money, unit)
    if row["extra_avoided"] is None or pd.isna(row["extra_avoided"]):
        if not pd.isna(row["extra_margin"]):
            yield f"{show(row['extra_margin'])} lacked, and could not have been paid in before."
        return
    bar = f"{show(row['extra_margin'])} more margin"
    if not row["extra_avoided"]:
        yield f"{bar} would have met that bar, but it falls before."
    else:
        yield f"{bar} carries it through the bar ({_worth(row['extra_worth'], unit)})."
    if not pd.isna(row["week_worth"]):
        week = f"{show(row['extra_week'])} meets the week after"
        yield f"{week} ({_worth(row['week_worth'], unit)})."


def _lower(row: Mapping[str, Any], unit: str) -> str:
    if pd.isna(row["lower_leverage"]):
        return "No lower leverage avoids it." if row["leverage"] > 1 else ""
    return f"At {row['lower_leverage']:g}x it lives ({_worth(row['leverage_worth'], unit)})."


def _switched(row: Mapping[str, Any], unit: str) -> str:
    if not row["other_mode"]:
        return ""
    if pd.isna(row["mode_worth"]):
        return f"Under {row['other_mode']} the account refuses what the script asks."
    lives = "it lives" if row["mode_avoided"] else "it falls as well"
    return f"Under {row['other_mode']} {lives} ({_worth(row['mode_worth'], unit)})."


def _worth(value: float, unit: str) -> str:
    return f"{n.signed(in_unit(n.money, unit), value)} at the end"


def _best(row: Mapping[str, Any]) -> float:
    """What the best of the changes was worth."""
    worths = [row[f"{name}_worth"] for name in ("extra", "week", "leverage", "mode")]
    return max([float(worth) for worth in worths if not pd.isna(worth)], default=-float("inf"))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and pd.isna(value) else value
