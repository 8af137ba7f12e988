"""For eyes: words, tables, figures, the picture and the page of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bt_margin.studies.comparison import Comparison


def write_page(comparison: Comparison, path: str | Path) -> Path:
    """Write one self-contained HTML page that opens offline; returns where it is."""
    from bt_margin.report.page import page
    from bt_margin.studies.write import atomic_text

    return atomic_text(path, page(comparison))


def write_picture(comparison: Comparison, path: str | Path) -> Path:
    """Write the equity curves with their liquidations as an SVG picture; returns where it is."""
    from bt_margin.report.picture import picture
    from bt_margin.studies.write import atomic_text

    return atomic_text(path, picture(comparison))


def figure(comparison: Comparison) -> Any:
    """A plotly figure: equity curves, drawdowns below them, liquidations as crosses."""
    from plotly.graph_objects import Figure

    from bt_margin.report.figures import figure_dict

    return Figure(figure_dict(comparison))


def notebook_html(comparison: Comparison) -> str:
    """A fragment for a notebook cell: the verdict, the headline table and the picture."""
    from bt_margin.report.page import fragment

    return fragment(comparison)


def as_text(comparison: Comparison) -> str:
    """The headline table and the verdict as plain text."""
    from bt_margin.report.tables import headline
    from bt_margin.report.verdict import verdict
    from bt_margin.report.words import data_notes

    rows = headline(comparison)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    label = ["SYNTHETIC market"] if comparison.synthetic else []
    notes = [f"· {note}" for note in data_notes(comparison)]
    return "\n".join([*label, *lines, "", verdict(comparison), *notes])
