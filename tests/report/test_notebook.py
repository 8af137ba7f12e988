"""What a notebook shows by itself, and the plotly figure: of a comparison and of a run."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Cycle, Hedge, Hold, flat_venue, frame

from bt_margin.report import notebook, tables
from bt_margin.report.figures import figure_dict
from bt_margin.report.picture import INLINE, picture
from bt_margin.report.verdict import verdict
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.stats import drawdowns
from bt_margin.studies.summary import growth_of

UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
HOSTILE = "<img src=x onerror=alert(1)>&\"'</style></svg>\x1b[31m"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def hedge() -> Comparison:
    """A hedge: healthy under cross, one leg cut under isolated."""
    data = {BTC: frame(UP), ETH: frame(UP)}
    return compare(
        Hedge, data, venue=flat_venue(), leverage=10, cash=1_000, margin_calls=(0.5, 0.8)
    )


@pytest.fixture(scope="module")
def hostile() -> Comparison:
    """Scenarios and a strategy whose names are HTML, of one bar's width."""
    strategy = type(HOSTILE, (Hold,), {})
    names = {HOSTILE: {"margin_mode": "cross"}, "b": {"margin_mode": "isolated"}}
    return compare(strategy, {BTC: frame(UP)}, venue=flat_venue(), leverage=10, scenarios=names)


def parsed(html: str) -> ET.Element:
    """A fragment as a tree: it is well formed."""
    return ET.fromstring(html.replace("&nbsp;", "\u00a0"))


def shown(html: str) -> str:
    """What the reader of a fragment sees."""
    root = parsed(html)
    for style in [*root.iter("style"), *root.iter(f"{SVG}style")]:
        style.text = ""
    return " ".join(" ".join(root.itertext()).split())


def test_a_comparison_shows_verdict_chart_and_the_whole_table(hedge: Comparison) -> None:
    html = hedge._repr_html_()
    text = shown(html)
    assert verdict(hedge) in text
    for row in tables.headline(hedge):
        for cell in row:
            assert " ".join(cell.split()) in text
    assert len(list(parsed(html).iter(f"{SVG}polyline"))) == 2
    assert "isolated 1,856.42 (1 liquidation)" in text


def test_a_run_shows_itself_likewise(hedge: Comparison) -> None:
    run = hedge.runs["isolated"]
    html = run._repr_html_()
    text = shown(html)
    assert "Hedge" in text
    assert "1,856.42" in text
    assert "difference" not in text
    assert len(list(parsed(html).iter(f"{SVG}polyline"))) == 1


def test_names_are_text_everywhere(hostile: Comparison) -> None:
    for result in (hostile, hostile.runs[HOSTILE]):
        html = result._repr_html_()
        assert "<img" not in html
        assert "\x1b" not in html
        assert html.count("</style>") == 2  # the fragment's and the picture's
        assert "<img src=x onerror=alert(1)>&\"'</style></svg>\ufffd[31m" in shown(html)
    assert "<img" not in picture(hostile)
    for trace in figure_dict(hostile)["data"]:
        assert "<img" not in trace["name"]
        assert all(re.fullmatch(r"(<br>|[^<])*", text) for text in trace.get("text", ()))


def test_no_rule_of_the_fragment_reaches_the_page_around_it(hedge: Comparison) -> None:
    html = hedge._repr_html_()
    for sheet in re.findall(r"<style>(.*?)</style>", html):
        assert "@media" not in sheet
        for rule in filter(None, sheet.split("}")):
            for selector in rule.split("{")[0].split(","):
                assert selector.strip().startswith((".bt-margin ", ".bt-margin-picture ")) or (
                    selector == ".bt-margin"
                )


def test_the_fragment_takes_the_colours_of_its_page(hedge: Comparison) -> None:
    html = hedge._repr_html_()
    assert "currentColor" in html
    assert not re.search(r"background(-color)?:\s*(#|rgb|white)", html)
    assert "<rect" not in html


def test_lines_are_told_apart_without_colour(hedge: Comparison) -> None:
    for text in (picture(hedge), picture(hedge, INLINE)):
        lines = list(ET.fromstring(text).iter(f"{SVG}polyline"))
        assert [line.get("stroke-dasharray") for line in lines] == [None, "7 4"]
    traces = figure_dict(hedge)["data"]
    dashes = {t["name"]: t["line"]["dash"] for t in traces if t["mode"] == "lines"}
    assert dashes == {"cross": "solid", "isolated": "7px,4px"}


def test_a_long_run_stays_small() -> None:
    rng = np.random.default_rng(3)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, 20_000)))
    result = compare(Hold, {BTC: frame(list(closes))}, venue=flat_venue(), leverage=2,
                     params={"exposure": 0.5})  # fmt: skip
    html = result._repr_html_()
    assert len(html) < 60_000
    points = re.findall(r'points="([^"]*)"', html)
    assert all(100 < len(each.split()) <= INLINE.inner + 2 for each in points)
    figure = figure_dict(result)["data"]
    highest = max(result.equity["cross"])
    assert max(figure[0]["y"]) == pytest.approx(highest, abs=0.01)
    assert all(len(trace["x"]) <= 4_010 for trace in figure)


def test_many_scenarios_wrap_in_the_legend() -> None:
    scenarios = {f"scenario number {i}": {"leverage": 1 + i} for i in range(12)}
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), scenarios=scenarios,
                     params={"exposure": 0.5})  # fmt: skip
    root = ET.fromstring(picture(result))
    keys = [each for each in root.iter(f"{SVG}text") if each.get("class") == "key"]
    assert len(keys) == 12
    width = float(root.get("width", "0"))
    assert all(float(k.get("x", "0")) + 6.0 * len(k.text or "") < width for k in keys)
    lowest = max(float(k.get("y", "0")) for k in keys)
    points = " ".join(each.get("points", "") for each in root.iter(f"{SVG}polyline"))
    assert min(float(point.split(",")[1]) for point in points.split()) > lowest


@pytest.mark.parametrize("closes", [[100.0], [100.0, 100.0], [100.0, 100.0, 50.0, 1.0]])
def test_one_bar_and_a_dead_account_are_shown(closes: list[float]) -> None:
    result = compare(Hold, {BTC: frame(closes)}, venue=flat_venue(), leverage=10)
    assert "final equity" in shown(result._repr_html_())
    assert "final equity" in shown(result.first._repr_html_())
    assert type(result.plot()).__name__ == type(result.first.plot()).__name__ == "Figure"


def by_axis(figure: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """The lines of one scenario by the axis they are drawn on."""
    return {
        trace.get("yaxis", "y"): trace
        for trace in figure["data"]
        if trace["name"] == name and trace["mode"] == "lines"
    }


def test_the_figure_draws_the_numbers_of_the_frames(hedge: Comparison) -> None:
    figure = figure_dict(hedge)
    for run, track in zip(hedge.runs.values(), hedge.tracks, strict=True):
        lines = by_axis(figure, run.name)
        assert set(lines) == {"y", "y2", "y3"}
        assert lines["y"]["y"] == pytest.approx(list(hedge.equity[run.name]), abs=1e-4)
        below = drawdowns(growth_of(run, track))
        assert lines["y2"]["y"] == pytest.approx(list(below), abs=1e-6)
        assert lines["y3"]["y"] == pytest.approx(list(run.bars["margin_ratio"]), abs=1e-6)
        assert list(pd.to_datetime(lines["y3"]["x"], utc=True)) == list(run.equity.index)
    (crosses,) = [t for t in figure["data"] if t["mode"] == "markers"]
    fallen = hedge.events[hedge.events["kind"] == "liquidation"]
    assert list(pd.to_datetime(crosses["x"], utc=True)) == list(fallen["time"])


def test_the_panels_share_one_time_axis_and_show_the_limits(hedge: Comparison) -> None:
    layout = hedge.plot().to_dict()["layout"]
    assert [name for name in layout if name.startswith("xaxis")] == ["xaxis"]
    assert {name for name in layout if name.startswith("yaxis")} == {"yaxis", "yaxis2", "yaxis3"}
    tops = [layout[name]["domain"] for name in ("yaxis3", "yaxis2", "yaxis")]
    assert tops[0][1] < tops[1][0] < tops[1][1] < tops[2][0]
    assert [shape["y0"] for shape in layout["shapes"]] == [1.0, 0.5, 0.8]
    alone = hedge.runs["cross"].plot().to_dict()
    assert {trace["name"] for trace in alone["data"]} == {"cross"}


def test_times_without_a_margin_ratio_leave_a_hole() -> None:
    closes = ([30_000.0] * 3 + [26_400.0, 30_000.0, 30_000.0]) * 6
    result = compare(Cycle, {BTC: frame(closes)}, venue=flat_venue(), leverage=10,
                     params={"exposure": 2.0})  # fmt: skip
    for name in result.runs:
        values = by_axis(figure_dict(result), name)["y3"]["y"]
        assert all(value is None or np.isfinite(value) for value in values)


def test_a_table_has_headers_for_rows_and_columns(hedge: Comparison) -> None:
    html = hedge._repr_html_()
    assert html.count("scope='col'") == 3
    assert html.count("scope='row'") == len(tables.headline(hedge)) - 1


def test_it_needs_no_ipython_and_plotly_only_for_the_figure() -> None:
    code = (
        "import sys; sys.modules['IPython'] = None; sys.modules['plotly'] = None; "
        "from bt_margin.studies.comparison import Comparison; "
        "from bt_margin.studies.result import Run; import bt_margin.report.notebook"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert notebook.STYLE.startswith(".bt-margin{")
