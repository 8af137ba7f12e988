"""Run the cells of a notebook one after the other, without Jupyter: what is printed and what is shown last.

A cell's last expression is shown, as in a notebook. Nothing is written back.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


@dataclass(frozen=True)
class Cell:
    """One cell after it has run: its kind and text, what it printed, the value of its last expression."""

    kind: str
    text: str
    printed: str = ""
    shown: Any = None


def cells(name: str) -> list[Cell]:
    """The cells as they are written."""
    written = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [Cell(cell["cell_type"], "".join(cell["source"])) for cell in written]


def run(name: str) -> Iterator[Cell]:
    """The cells in order, each run in the names the ones before it left.

    :raises Exception: whatever a cell raises.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for place, cell in enumerate(cells(name), 1):
        yield cell if cell.kind != "code" else _run(cell, f"{name}.ipynb cell {place}", names)


def _run(cell: Cell, where: str, names: dict[str, Any]) -> Cell:
    tree = ast.parse(cell.text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, shown = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, where, "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), where, "eval"), names)
    return Cell(cell.kind, cell.text, printed.getvalue(), shown)
