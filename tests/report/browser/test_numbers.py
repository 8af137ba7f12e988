"""Every number on the screen is the bundle's."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from report.browser.conftest import Opened
from report.bundles import bundle

from bt_margin.report import numbers as n
from bt_margin.report.encode import quantised
from bt_margin.studies.amounts import fixed

SHOWN = {"money": n.money, "percent": n.percent, "ratio": n.ratio}


@pytest.fixture(scope="module")
def small(opened: Callable[..., Opened]) -> Opened:
    return opened(bundle(600, fills=37, liquidations=5), until="complete")


def stamp(text: str) -> int:
    """UTC ms of a time as the page writes it."""
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def number(text: str) -> float:
    return float(text.replace(",", "").replace("%", "e-2").replace(" ", "").replace("×", ""))


def same(text: str, value: Any, kind: str) -> bool:
    """Whether a text is the number, to the digits it is written with."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return text == n.NOTHING
    if kind == "time":
        return stamp(text) == value
    if kind == "text":
        return text == value
    if kind in SHOWN:
        return text == SHOWN[kind](value)
    return number(text) == pytest.approx(value, rel=5e-6, abs=1e-9)


def test_the_headline_is_the_bundles(small: Opened) -> None:
    for row in small.bundle.meta["headline"]["rows"]:
        cells = small.locator(f"table.headline td[data-key='{row['key']}']").all_inner_texts()
        assert [text.replace("\u00a0", " ") for text in cells] == row["cells"]
    told = small.text(".verdict").replace("\u00a0", " ")
    assert told == small.bundle.meta["verdict"]


def test_the_waterfall_adds_up_to_the_cent(small: Opened) -> None:
    (fall,) = small.bundle.meta["waterfalls"]
    shown = [number(t) for t in small.locator(".waterfall tbody td.right").all_inner_texts()]
    assert shown == pytest.approx(
        [fall["start"], *(s["value"] for s in fall["steps"]), fall["end"]]
    )
    assert round(sum(shown[:-1]) - shown[-1], 2) == 0.0


def test_the_bars_of_the_waterfall_reach_from_one_level_to_the_next(small: Opened) -> None:
    rows = small.eval_on_selector_all(
        ".waterfall .fall i",
        "all => all.map(i => [i.className, parseFloat(i.style.left), parseFloat(i.style.width) || 0])",
    )
    at = rows[0][1]
    for kind, left, width in rows[1:-1]:
        before, after = (left, left + width) if kind == "gain" else (left + width, left)
        assert before == pytest.approx(at, abs=0.03)
        at = after
    assert at == pytest.approx(rows[-1][1], abs=0.03)


def test_the_months_are_the_bundles(small: Opened) -> None:
    rows = small.locator(".months tbody tr").all()
    names = list(small.bundle.meta["months"]["scenarios"])
    assert len(rows) == len(names)
    for row, name in zip(rows, names, strict=True):
        (year,) = small.bundle.meta["months"]["scenarios"][name]
        wanted = [n.percent(v) if v is not None else "" for v in (*year["months"], year["total"])]
        assert row.locator("td").all_inner_texts() == wanted


@pytest.mark.parametrize("key", ["liquidations", "trades", "fundings"])
def test_every_cell_of_a_table_is_the_bundles(small: Opened, key: str) -> None:
    table = small.bundle.meta["tables"][key]
    seen: list[list[str]] = []
    while True:
        for line in small.locator(f"#{key} tbody tr:not(.more)").all():
            seen.append(line.locator("td").all_inner_texts())
        onward = small.locator(f"#{key} .pager button").nth(1)
        if onward.is_hidden() or onward.is_disabled():
            break
        onward.click()
    assert len(seen) == len(table["rows"])
    columns = [(c, one) for c, one in enumerate(table["columns"]) if one["key"] != "why"]
    for texts, row in zip(seen, table["rows"], strict=True):
        for text, (c, column) in zip(texts, columns, strict=True):
            assert same(text, row[c], column["kind"]), (text, row[c])


def test_the_sentences_of_a_liquidation_stand_below_its_row(small: Opened) -> None:
    shown = small.locator("#liquidations tr.more").all_inner_texts()
    wanted = [row[-1] for row in small.bundle.meta["tables"]["liquidations"]["rows"]]
    assert [text.removeprefix("why ") for text in shown] == wanted


@pytest.mark.parametrize("share", [0.12, 0.5, 0.93])
def test_the_crosshair_tells_the_numbers_of_its_bar_in_every_chart(
    small: Opened, share: float
) -> None:
    small.mouse.move(*small.middle("#panel-equity .glass", share))
    small.settle()
    told = small.bundle
    arrays = quantised(told.arrays, told.meta["digits"])
    time = stamp(small.text("#when").removesuffix(" UTC"))
    (bar,) = np.flatnonzero(told.arrays["time"] == time)
    panels = {"equity": ("equity", n.money), "drawdown": ("drawdown", n.percent)}
    for panel, (field, show) in panels.items():
        values = small.locator(f"#panel-{panel} .value").all_inner_texts()
        assert values == [show(arrays[f"s{i}.{field}"][bar]) for i in range(2)]
    small.mouse.move(*small.middle("#panel-price-0 .glass", share))
    small.settle()
    (bar,) = np.flatnonzero(told.arrays["time"] == stamp(small.text("#when")[:16]))
    candle = [number(x) for x in re.findall(r"[\d,.]+", small.text("#panel-price-0 .cell"))]
    names = ("open", "high", "low", "close", "mark")
    assert candle == pytest.approx([arrays[f"y0.{x}"][bar] for x in names], abs=0.005)
    for i, text in enumerate(small.locator("#panel-price-0 .value").all_inner_texts()):
        check_position(
            text, {k: arrays[f"s{i}.y0.{k}"][bar] for k in ("size", "entry", "liquidation")}
        )


def check_position(text: str, held: dict[str, float]) -> None:
    """A position in words: side, size, entry and liquidation price."""
    if held["size"] == 0.0:
        assert text == "no position"
        return
    assert text.startswith("long" if held["size"] > 0 else "short")
    size, entry, liquidation = (number(x) for x in re.findall(r"[\d,.]+", text)[:3])
    assert size == abs(held["size"])
    assert (entry, liquidation) == pytest.approx((held["entry"], held["liquidation"]), abs=0.005)


@pytest.mark.parametrize(
    ("panel", "field"),
    [("ratio", "ratio"), ("leverage", "leverage"), ("cost-fees", "fees"), ("drawdown", "drawdown")],
)
def test_what_is_drawn_bar_by_bar_is_the_array(small: Opened, panel: str, field: str) -> None:
    small.show(f"#panel-{panel}")
    code = "one => one.data.filter(t => t.mode === 'lines').map(t => Array.from(t.y))"
    drawn = small.eval_on_selector(f"#panel-{panel} .plot", code)
    arrays = quantised(small.bundle.arrays, small.bundle.meta["digits"])
    for i in range(2):
        assert drawn[i] == arrays[f"s{i}.{field}"].tolist()


def test_the_band_of_a_price_reaches_from_the_lows_to_the_highs(small: Opened) -> None:
    small.show("#panel-price-1")
    code = "one => Array.from(one.data.find(t => t.fill === 'toself').y)"
    drawn = small.eval_on_selector("#panel-price-1 .plot", code)
    arrays = quantised(small.bundle.arrays, small.bundle.meta["digits"])
    high, low = arrays["y1.high"].tolist(), arrays["y1.low"].tolist()
    assert drawn == [*high, *low[::-1], None]


def test_at_rest_the_last_bar_is_told(small: Opened) -> None:
    small.mouse.move(2, 2)
    small.keyboard.press("Escape")
    small.settle()
    last = small.bundle.arrays["s1.fees"][-1]
    small.show("#panel-cost-fees")
    assert small.locator("#panel-cost-fees .value").all_inner_texts()[1] == fixed(last, 2)


def test_the_csv_holds_the_rows_with_all_their_digits(small: Opened) -> None:
    with small.expect_download() as waiting:
        small.click("#fundings .csv")
    text = waiting.value.path().read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    table = small.bundle.meta["tables"]["fundings"]
    assert waiting.value.suggested_filename == "fundings.csv"
    assert rows[0] == [column["key"] for column in table["columns"]]
    assert [float(row[3]) for row in rows[1:]] == [row[3] for row in table["rows"]]
    assert rows[1][0].endswith("Z")
