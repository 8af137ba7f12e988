"""Pages of real comparisons, of the sample and of 2025-10-10: the screen against the result's frames."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from real import stage
from real.rawdata import folder
from report.browser.conftest import Opened
from report.browser.test_numbers import number

import bt_margin as btm
from bt_margin.report import numbers as n
from bt_margin.report.bundle import bundle_of
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.load import find_strategy

TREND = {"fast": 12, "slow": 72, "exposure": 1.0}


def sample() -> Comparison:
    """The sample's own crash, the months around it."""
    market = {name: bars.loc["2025-08":"2025-11"] for name, bars in btm.sample_market().items()}
    return trend(dict(list(market.items())[:4]))


def october() -> Comparison:
    """Four symbols through 2025-10-10."""
    if not folder().is_dir():
        pytest.skip("no real market data: see tests/real/conftest.py")
    return trend(stage.frames(stage.FOUR, "2025-10-06", "2025-10-16"))


def trend(frames: dict[str, pd.DataFrame]) -> Comparison:
    strategy = find_strategy(str(stage.ROOT / "strategies" / "trend.py"))
    return btm.compare(strategy, frames, venue="binance", leverage=20, cash=10_000, params=TREND)


@pytest.fixture(scope="module", params=[sample, october], ids=["sample", "2025-10-10"])
def run(request: Any) -> Comparison:
    return request.param()


@pytest.fixture(scope="module")
def page(run: Comparison, opened: Callable[..., Opened]) -> Opened:
    return opened(bundle_of(run), until="complete")


def cells(page: Opened, key: str) -> list[str]:
    found = page.locator(f"table.headline td[data-key='{key}']").all_text_contents()
    return [text.replace("\u00a0", " ") for text in found]


def test_the_headline_is_the_summary(run: Comparison, page: Opened) -> None:
    page.click("#all-rows")
    shown = page.locator("table.headline tbody tr:visible").count()
    assert shown == len(page.bundle.meta["headline"]["rows"]) > 25
    for key, show in (("final_equity", n.money), ("total_return", n.percent), ("sharpe", n.ratio)):
        assert cells(page, key)[:2] == [show(value) for value in run.summary[key]]
    assert [int(text) for text in cells(page, "liquidations")[:2]] == list(
        run.summary["liquidations"]
    )


def test_the_waterfall_leads_from_one_final_equity_to_the_other(
    run: Comparison, page: Opened
) -> None:
    shown = [number(t) for t in page.locator(".waterfall tbody td.right").all_inner_texts()]
    finals = [round(run.runs[name].final, 2) for name in ("cross", "isolated")]
    assert [shown[0], shown[-1]] == pytest.approx(finals, abs=1e-9)
    assert round(sum(shown[:-1]) - shown[-1], 2) == 0.0


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
def test_the_crosshair_tells_equity_and_positions_of_the_frames(
    run: Comparison, page: Opened, share: float
) -> None:
    page.mouse.move(*page.middle("#panel-equity .glass", share))
    page.settle()
    time = pd.Timestamp(page.text("#when").removesuffix(" UTC"), tz="UTC")
    texts = page.locator("#panel-equity .value").all_inner_texts()
    assert texts == [n.money(round(run.equity[name][time], 2)) for name in run.runs]
    page.mouse.move(*page.middle("#panel-price-0 .glass", share))
    page.settle()
    time = pd.Timestamp(page.text("#when").removesuffix(" UTC"), tz="UTC")
    held = run.positions.reset_index()
    symbol = page.bundle.meta["symbols"][0]
    for name, text in zip(
        run.runs, page.locator("#panel-price-0 .value").all_inner_texts(), strict=True
    ):
        own = held[(held["scenario"] == name) & (held["symbol"] == symbol) & (held["time"] == time)]
        assert (text == "no position") == own.empty
        if not own.empty:
            row = own.iloc[0]
            size, entry = (number(x) for x in re.findall(r"[\d,.]+", text)[:2])
            assert size == pytest.approx(abs(row["size"]))
            assert entry == pytest.approx(row["entry"], rel=1e-5)


def test_every_liquidation_is_in_the_table_and_on_the_chart(run: Comparison, page: Opened) -> None:
    fallen = run.events[run.events["kind"] == "liquidation"]
    assert len(fallen) > 0
    if page.locator("#liquidations .pager select").is_visible():
        page.select_option("#liquidations .pager select", label="250 rows")
    rows = page.locator("#liquidations tbody tr:not(.more)")
    assert rows.count() == len(fallen)
    times = page.locator("#liquidations button.jump").all_inner_texts()
    assert sorted(times) == sorted(f"{t:%Y-%m-%d %H:%M}" for t in fallen["time"])
    page.show("#panel-equity")
    code = "one => one.data.filter(t => t.mode === 'markers').flatMap(t => Array.from(t.x))"
    drawn = page.eval_on_selector("#panel-equity .plot", code)
    assert len(drawn) == len(fallen)


def test_the_last_numbers_of_the_costs_are_those_of_the_summary(
    run: Comparison, page: Opened
) -> None:
    page.mouse.move(2, 2)
    for panel, column in (("funding", "funding"), ("fees", "fees")):
        page.show(f"#panel-cost-{panel}")
        texts = page.locator(f"#panel-cost-{panel} .value").all_inner_texts()
        shown = np.array([number(text) for text in texts])
        assert shown == pytest.approx(run.summary[column].to_numpy(float), abs=0.0051)
