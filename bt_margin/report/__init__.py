"""For eyes: words, tables, figures, the picture and the page of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bt_margin.report.bundle import Bundle
    from bt_margin.studies.comparison import Comparison
    from bt_margin.studies.result import Run


def write_page(result: Comparison | Bundle, path: str | Path) -> Path:
    """Write one self-contained HTML page that opens offline; returns where it is.

    A bundle that was saved gives the page of the comparison it was made of, to the letter.
    """
    from bt_margin.report.bundle import Bundle, bundle_of
    from bt_margin.report.page import page
    from bt_margin.studies.write import atomic_text

    bundle = result if isinstance(result, Bundle) else bundle_of(result)
    return atomic_text(path, page(bundle))


def write_bundle(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Keep everything the page shows in a folder, from which ``bt-margin report`` makes it again."""
    from bt_margin.report.bundle import bundle_of, save

    return save(bundle_of(comparison), folder)


def write_picture(comparison: Comparison, path: str | Path) -> Path:
    """Write the equity curves with their liquidations as an SVG picture; returns where it is."""
    from bt_margin.report.picture import picture
    from bt_margin.studies.write import atomic_text

    return atomic_text(path, picture(comparison))


def figure(result: Comparison | Run) -> Any:
    """A plotly figure: equity, drawdown and margin ratio on one time axis, liquidations as crosses."""
    from plotly.graph_objects import Figure

    from bt_margin.report.figures import figure_dict

    return Figure(figure_dict(comparison_of(result)))


def notebook_html(result: Comparison | Run) -> str:
    """A fragment for a notebook cell: the verdict, a small chart and the headline table."""
    from bt_margin.report.notebook import fragment

    return fragment(comparison_of(result))


def as_text(comparison: Comparison) -> str:
    """The headline table and the verdict as plain text."""
    from bt_margin.report import terminal

    return terminal.as_text(comparison)


def comparison_of(result: Comparison | Run) -> Comparison:
    """A comparison as it is, a run as a comparison of that run alone."""
    from bt_margin.studies.comparison import Comparison

    return result if isinstance(result, Comparison) else Comparison({result.name: result}, {})
