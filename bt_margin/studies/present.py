"""How results become pages and pictures.

Studies know nothing of the report, which stands above them. What a result needs for the eye it asks of the
*presenter*, a module found by name when it is first wanted; another one can be put in its place.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast


class Presenter(Protocol):
    """What a presenter can do with a comparison, and with a run alone."""

    def write_page(self, comparison: Any, path: str | Path) -> Path:
        """Write one self-contained HTML page."""

    def write_bundle(self, comparison: Any, folder: str | Path) -> list[Path]:
        """Write what the page is made of, so that it can be made again without the run."""

    def write_picture(self, comparison: Any, path: str | Path) -> Path:
        """Write the equity curves as an SVG picture."""

    def figure(self, result: Any) -> Any:
        """An interactive figure of a comparison or a run."""

    def notebook_html(self, result: Any) -> str:
        """A fragment for a notebook cell, of a comparison or a run."""

    def as_text(self, comparison: Any) -> str:
        """A few lines of plain text."""


def presenter() -> Presenter:
    """The report, loaded at its first use: studies do not import what stands above them."""
    return cast(Presenter, import_module("bt_margin.report"))
