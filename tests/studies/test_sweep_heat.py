"""What is shown of a sweep: surfaces, maps in a terminal, the page, the fragment of a notebook."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, Hold, frame

from bt_margin.errors import InputError
from bt_margin.report import heat
from bt_margin.studies.cells import COLUMNS, Job, Outcome
from bt_margin.studies.sweep_grid import Uniform, plan
from bt_margin.studies.sweep_result import Sweep, Table


def result(grid: Any, value: Any, *, common: Any = None, **drawn: Any) -> Sweep:
    """A sweep that was not run: its total return is ``value`` of a cell's settings (None: it failed)."""
    points = plan(grid, **drawn)
    data = frame([100.0, 101.0])
    data.attrs["synthetic"] = True
    job = Job(Hold, {BTC: data}, {}, {"venue": "binance", "seed": 0, **(common or {})})
    table = Table(len(points.cells))
    for cell in points.cells:
        own = value(cell.settings)
        row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan if own is None else 0.0)
        error = "Boom: <b>x</b>" if own is None else ""
        row |= {"total_return": math.nan if own is None else own, "error": error}
        table.add(Outcome(cell, row | {"engine": "full", "seconds": 0.1}))
    return Sweep(job, points, table, "All of it <made up>.", {"command": "none"})


GRID = {"leverage": [2, 5, 10], "margin_mode": ["cross", "isolated"], "params.exposure": [1.0, 3.0]}


def worth(own: Any) -> float:
    return (
        float(own["leverage"])
        * own["params.exposure"]
        * (-1 if own["margin_mode"] == "isolated" else 1)
    )


def test_a_surface_has_the_median_of_the_cells_that_share_both_sides() -> None:
    found = result(GRID, worth).heat("leverage", "margin_mode")
    assert found.loc["cross"].tolist() == [4.0, 10.0, 20.0]
    assert found.loc["isolated"].tolist() == [-4.0, -10.0, -20.0]
    assert (found.index.name, found.columns.name) == ("margin_mode", "leverage")


def test_a_condition_and_another_way_to_put_cells_together() -> None:
    own = result(GRID, worth)
    assert (
        own.heat("leverage", "margin_mode", where="`params.exposure` == 3").loc["cross", 10] == 30.0
    )
    assert own.heat("leverage", "margin_mode", by="min").loc["isolated", 10] == -30.0
    with pytest.raises(InputError, match="cannot be read"):
        own.heat(where="leverage ==")
    with pytest.raises(InputError, match="did you mean leverage"):
        own.heat("leverag")


def test_without_sides_the_settings_with_the_most_values_are_taken() -> None:
    assert result(GRID, worth).heat().columns.name == "leverage"
    alone = result({"leverage": [1, 2]}, lambda own: own["leverage"]).heat()
    assert alone.loc["total_return"].tolist() == [1, 2]


def test_drawn_numbers_are_put_into_classes() -> None:
    own = result(
        None, lambda s: s["leverage"], draws=400, distributions={"leverage": Uniform(0.0, 100.0)}
    )
    found = own.heat()
    assert found.shape == (1, 10)
    assert np.allclose(found.iloc[0], found.columns.to_numpy(dtype=float), atol=4)


def test_the_best_cells_first_and_failed_ones_never() -> None:
    own = result(GRID, lambda s: None if s["leverage"] == 10 else worth(s))
    assert own.best(2)["total_return"].tolist() == [15.0, 6.0]
    assert own.best(1, highest=False)["total_return"].tolist() == [-15.0]
    assert len(own.failed) == 4
    assert len(own.best(99)) == 8


def test_small_third_settings_get_a_surface_each() -> None:
    titles = [each.title for each in heat.surfaces(result(GRID, worth))]
    assert titles == ["params.exposure 1.0", "params.exposure 3.0"] or titles == [
        "margin_mode cross", "margin_mode isolated",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 70, 160])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_maps_fit_the_terminal(width: int, ascii_only: bool) -> None:
    grid = {"leverage": list(range(1, 41)), "margin_mode": ["cross", "isolated"]}
    own = result(grid, lambda s: None if s["leverage"] == 7 else s["leverage"] / 10 - 2)
    lines = [line.plain for line in heat.maps(own, width, ascii_only=ascii_only)]
    assert max(map(len, lines)) <= width
    drawing = next(line for line in lines if line.strip().startswith("cross "))
    assert width < 70 or (heat.ASCII_MISSING if ascii_only else heat.MISSING) in drawing
    if ascii_only:
        assert "\n".join(lines).isascii()


def test_numbers_stand_in_the_map_where_they_fit() -> None:
    text = "\n".join(line.plain for line in heat.maps(result(GRID, worth), 100))
    assert "2,000 %" in text or "3,000 %" in text
    assert "across: leverage" in text


def test_the_page_shows_everything_and_escapes_what_it_was_told(tmp_path: Path) -> None:
    own = result(
        {"params.exposure": [1.0, 2.0], "params.name": ["<script>", "b"]},
        lambda s: s["params.exposure"],
    )
    text = own.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>b" not in text
    assert text.count("<script>") == 1  # our own, which the policy knows by its digest
    assert "&lt;script&gt;" in text
    assert "All of it &lt;made up&gt;." in text
    assert "SYNTHETIC market" in text
    assert re.search(r"src=|href='http|url\(", text) is None


def test_failed_cells_are_told_once_on_the_page(tmp_path: Path) -> None:
    own = result(GRID, lambda s: None if s["leverage"] == 10 else worth(s))
    text = own.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "4 cells: Boom: &lt;b&gt;x&lt;/b&gt;" in text


def test_a_sweep_in_which_every_cell_failed_has_a_page_and_words() -> None:
    own = result(GRID, lambda s: None)
    assert "No cell came to its end" in heat.page(own)
    assert "no cell has a value" in heat.maps(own, 80)[0].plain
    assert "12 failed" in repr(own)


def test_a_notebook_shows_the_surfaces_without_a_script() -> None:
    text = result(GRID, worth)._repr_html_()
    assert "<script" not in text
    assert "class='heat'" in text
    assert ":root" not in text


def test_the_folder_has_table_page_and_stamp(tmp_path: Path) -> None:
    files = result(GRID, worth).to_dir(tmp_path / "out")
    assert {path.name for path in files} == {
        "cells.csv",
        "cells.parquet",
        "stamp.json",
        "sweep.html",
    }
    table = pd.read_parquet(tmp_path / "out" / "cells.parquet")
    assert table["synthetic"].eq("SYNTHETIC").all()
    assert len(table) == 12
