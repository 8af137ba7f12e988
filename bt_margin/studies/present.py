"""How results become pages and pictures.

Studies know nothing of the report, which stands above them. What a result needs for the eye it asks of the
*presenter*, a module found by name when it is first wanted; another one can be put in its place.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast


class Presenter(Protocol):
    """What a presenter can do with a comparison."""

    def write_page(self, comparison: Any, path: str | Path) -> Path:
        """Write one self-contained HTML page."""

    def write_picture(self, comparison: Any, path: str | Path) -> Path:
        """Write the equity curves as an SVG picture."""

    def figure(self, comparison: Any) -> Any:
        """An interactive figure."""

    def notebook_html(self, comparison: Any) -> str:
        """A fragment for a notebook cell."""

    def as_text(self, comparison: Any) -> str:
        """A few lines of plain text."""


def presenter() -> Presenter:
    """The report, loaded at its first use: studies do not import what stands above them."""
    return cast(Presenter, import_module("bt_margin.report"))
