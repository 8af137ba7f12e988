"""The notebook of the crash runs, tells what its words say, and is kept without outputs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest
from book.reading import DOCS, tool

FILE = DOCS / "notebooks" / "crash.ipynb"
JUPYTER = all(find_spec(name) for name in ("nbformat", "nbclient", "ipykernel"))


@pytest.fixture(scope="module")
def shown() -> list[Any]:
    """What the code cells show, in order."""
    return [cell.shown for cell in tool("notebook").run("crash") if cell.kind == "code"]


def table(shown: list[Any], *columns: str) -> Any:
    (found,) = (t for t in shown if hasattr(t, "columns") and set(columns) <= set(t.columns))
    return found


def test_the_outputs_are_stripped() -> None:
    written = json.loads(FILE.read_text(encoding="utf-8"))
    assert {c["cell_type"] for c in written["cells"]} == {"markdown", "code"}
    code = [c for c in written["cells"] if c["cell_type"] == "code"]
    assert [c for c in code if c["outputs"] or c["execution_count"] is not None] == []


def test_cross_came_through_and_isolated_lost_two_coins(shown: list[Any]) -> None:
    final = next(value for value in shown if getattr(value, "name", None) is not None)
    assert final["cross"] > final["isolated"]
    fell = table(shown, "certainty")
    assert set(fell["scenario"]) == {"isolated"}
    assert list(fell["certainty"]) == ["certain", "certain"]


def test_the_coin_dies_within_the_hour_and_minutes_show_it_coming(shown: list[Any]) -> None:
    steps = table(shown, "equity", "maintenance", "ratio", "mark")
    assert steps["ratio"].dropna().is_monotonic_increasing
    assert steps["equity"].iloc[-1] == 0
    assert len(steps) > 3


def test_what_would_have_saved_it(shown: list[Any]) -> None:
    answers = table(shown, "final equity", "liquidated")
    saved = ~answers["liquidated"].str.contains("DOGE")
    assert set(answers.index[saved]) == {"leverage 1.5", "DOGE in cross", "stop on the mark"}
    equity = answers["final equity"]
    assert equity.idxmin() == "topped up"
    assert equity.idxmax() == "as it was"


def test_the_modes_change_places_with_more_exposure(shown: list[Any]) -> None:
    ends = next(t for t in shown if getattr(t, "index", None) is not None and len(t) == 4
                and t.index.name == "exposure per coin")  # fmt: skip
    ahead = (ends["cross"] > ends["isolated"]).to_dict()
    assert ahead == {0.5: True, 1.0: True, 1.25: False, 1.5: False}


@pytest.mark.skipif(not JUPYTER, reason="no Jupyter here: pip install '.[docs]'")
def test_jupyter_runs_it_too() -> None:
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(FILE, as_version=4)
    nbformat.validate(book)
    done = NotebookClient(book, timeout=120, kernel_name="python3").execute()
    assert any(c.get("outputs") for c in done.cells if c.cell_type == "code")
