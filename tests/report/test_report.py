"""Words, tables, figures, picture and page of a comparison."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from studies.worlds import BTC, ETH, Hedge, Hold, flat_venue, frame

from bt_margin import report
from bt_margin.report import tables, words
from bt_margin.report.bundle import bundle_of
from bt_margin.report.figures import figure_dict
from bt_margin.report.page import page
from bt_margin.report.picture import picture, ticks
from bt_margin.report.thin import thin
from bt_margin.report.verdict import verdict
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison

UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def hedge() -> Comparison:
    """A hedge: healthy under cross, one leg cut under isolated."""
    data = {BTC: frame(UP), ETH: frame(UP)}
    return compare(Hedge, data, venue=flat_venue(), leverage=10, cash=1_000)


@pytest.fixture(scope="module")
def synthetic() -> Comparison:
    """A run on data that says it is made up, with bounds and without marks."""
    bars = frame([100.0] * 8, lows={4: 85.0}, marks=False)
    bars.attrs["synthetic"] = True
    return compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10, bounds=True)


def test_the_verdict_says_who_won_by_how_much_and_why(hedge: Comparison) -> None:
    text = verdict(hedge)
    ended = hedge.runs["isolated"].final
    assert text.startswith("Isolated lost its ETH short to liquidation on ")
    assert f"and ended with {ended:,.2f} USDT" in text
    assert "; cross ended with 1,000.00 USDT (0.00 %)." in text


def test_a_lost_account_is_called_lost() -> None:
    bars = frame([100.0, 100.0, 100.0, 50.0, 50.0])
    bars.iloc[3, bars.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = 50.0
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10)
    assert "cross lost everything on " in verdict(result)


def test_a_liquidation_is_explained_by_mark_equity_and_maintenance(hedge: Comparison) -> None:
    (row,) = words.liquidations(hedge)
    assert row["equity"] == pytest.approx(row["maintenance"])
    text = row["explanation"]
    assert "The mark reached" in text
    assert "fallen to the maintenance margin of" in text
    assert "(0.50 % of" in text
    assert "It was closed at" in text


def test_a_gap_is_told_as_a_gap() -> None:
    bars = frame([100.0, 100.0, 100.0, 85.0, 85.0])
    bars.iloc[3, bars.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = 85.0
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10)
    (row,) = words.liquidations(result)
    assert "was already below the maintenance margin" in row["explanation"]


def test_a_last_price_in_place_of_a_mark_is_named(synthetic: Comparison) -> None:
    (row,) = words.liquidations(synthetic)
    assert "The last price, for want of a mark, reached" in row["explanation"]
    notes = " ".join(words.fidelity(synthetic))
    assert "No mark prices for BTC/USDT:USDT" in notes
    assert "SYNTHETIC" in notes
    assert "certain liquidations 1" in notes


def test_what_holds_for_all_runs_is_said_once(hedge: Comparison) -> None:
    notes = [*words.fidelity(hedge), *words.approximations(hedge)]
    assert len(notes) == len(set(notes))


def test_the_headline_has_a_difference_that_adds_up(hedge: Comparison) -> None:
    rows = tables.headline(hedge)
    assert rows[0] == ["", "cross", "isolated", "difference"]
    final = next(row for row in rows if row[0] == "final equity")
    first, second, gap = (float(cell.replace(",", "")) for cell in final[1:])
    assert second - first == pytest.approx(gap, abs=0.011)


def test_three_scenarios_have_no_difference_column() -> None:
    scenarios = {f"{x}x": {"leverage": x} for x in (2, 5, 10)}
    data = {BTC: frame(UP)}
    result = compare(Hold, data, venue=flat_venue(), scenarios=scenarios, params={"exposure": 1.5})
    assert tables.headline(result)[0] == ["", "2x", "5x", "10x"]
    assert tables.episodes(result)[0][0] == "against"
    assert "All ended with" in verdict(result)


def test_totals_are_start_episodes_and_compounding(hedge: Comparison) -> None:
    row = tables.totals(hedge)[1]
    numbers = [float(cell.replace(",", "")) for cell in row[1:]]
    assert sum(numbers[:3]) == pytest.approx(numbers[3], abs=0.02)


def test_the_figure_has_curves_drawdowns_and_crosses(hedge: Comparison) -> None:
    traces = figure_dict(hedge)["data"]
    names = [
        "cross",
        "cross",
        "cross",
        "isolated",
        "isolated",
        "isolated: liquidations",
        "isolated",
    ]
    assert [trace["name"] for trace in traces] == names
    assert type(report.figure(hedge)).__name__ == "Figure"
    assert type(hedge.plot()).__name__ == "Figure"


def test_the_picture_is_well_formed_and_shows_everything(hedge: Comparison) -> None:
    root = ET.fromstring(picture(hedge))
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert len(root.findall(f"{SVG}g")) == 1
    shown = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    assert "isolated" in shown
    assert "(1 liquidation)" in shown
    assert "SYNTHETIC" not in shown


def test_made_up_data_is_marked_on_everything(synthetic: Comparison) -> None:
    assert "SYNTHETIC market" in picture(synthetic)
    assert "SYNTHETIC market" in page(bundle_of(synthetic))
    assert "SYNTHETIC" in verdict(synthetic)
    assert "SYNTHETIC" in repr(synthetic)
    assert "SYNTHETIC" in synthetic._repr_html_()
    assert "SYNTHETIC" in json.dumps(figure_dict(synthetic)["layout"])
    assert bool(synthetic.summary["synthetic"].all())


def test_the_page_is_one_file_with_everything_in_it(hedge: Comparison, tmp_path: Path) -> None:
    path = hedge.report(tmp_path / "deep" / "out.html")
    text = path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["out.html"]
    for part in (
        "What the difference is made of",
        "Month by month",
        "How this was made",
        "data hash",
    ):
        assert part in text
    assert "\u00a0\u00a0from</th>" in text
    assert "smallest share of a pool" in text


def test_names_cannot_break_the_page() -> None:
    scenarios = {"</script><b>": {"margin_mode": "cross"}, 'a"&b': {"margin_mode": "isolated"}}
    data = {BTC: frame(UP), ETH: frame(UP)}
    result = compare(Hedge, data, venue=flat_venue(), leverage=10, scenarios=scenarios)
    assert "</script><b>" not in page(bundle_of(result))
    ET.fromstring(picture(result))


def test_the_notebook_shows_verdict_table_and_picture(hedge: Comparison) -> None:
    html = hedge._repr_html_()
    assert "<table" in html
    assert "<svg" in html
    assert "final equity" in repr(hedge)


def test_thinning_keeps_ends_extremes_and_what_must_stay() -> None:
    values = np.sin(np.arange(50_000) / 50.0)
    values[12_345], values[23_456] = 9.0, -9.0
    places = thin(values, 500, keep=[777])
    assert {0, 49_999, 12_345, 23_456, 777} <= set(places.tolist())
    assert len(places) <= 503
    assert len(thin([], 10)) == 0


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (9_800.0, 10_150.0), (-3.0, 4.0), (0.0001, 0.0003)]
)
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 12
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)


def test_the_mark_of_made_up_data_stands_between_the_panels(synthetic: Comparison) -> None:
    layout = figure_dict(synthetic)["layout"]
    assert layout["modebar"]["orientation"] == "v"
    (mark,) = layout["annotations"]
    assert layout["yaxis2"]["domain"][1] < mark["y"] < layout["yaxis"]["domain"][0]


def test_the_picture_shrinks_with_its_cell(hedge: Comparison) -> None:
    root = ET.fromstring(picture(hedge))
    assert "max-width:100%" in root.attrib["style"]


def test_definitions_exist_for_what_is_not_plain(hedge: Comparison) -> None:
    lines = tables.footnotes()
    assert [line.split(":")[0] for line in lines] == ["price result", "min margin buffer"]
    assert set(tables.definitions()) >= {row[0] for row in tables.headline(hedge)[1:]}
