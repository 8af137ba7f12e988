"""What a reader does with the page: zoom, move, point, jump, sort, filter, switch, print."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from report.browser.conftest import Opened
from report.bundles import START, bundle

HOUR = 3_600_000
BARS = 6_000


@pytest.fixture(scope="module")
def shared(opened: Callable[..., Opened]) -> Opened:
    """One page for all tests here; long enough that bars share pixels."""
    return opened(bundle(BARS, fills=37, liquidations=5), until="complete")


@pytest.fixture
def page(shared: Opened) -> Iterator[Opened]:
    """The page as it was when opened."""
    yield shared
    if shared.locator("#unpin").is_visible():
        shared.click("#unpin")
    shared.click("#tools [aria-label='Show everything']")
    shared.mouse.move(2, 2)


def drag(page: Opened, chart: str, start: float, end: float) -> None:
    page.mouse.move(*page.middle(f"#panel-{chart} .glass", start))
    page.mouse.down()
    page.mouse.move(*page.middle(f"#panel-{chart} .glass", (start + end) / 2))
    page.mouse.move(*page.middle(f"#panel-{chart} .glass", end))
    page.mouse.up()
    page.settle()


def linked(page: Opened) -> tuple[float, float]:
    """The span of time shown, after a look that all charts show it."""
    page.settle()
    low, high = page.span()
    ranges = page.ranges()
    assert len(ranges) >= 2
    assert all(one == pytest.approx([low, high]) for one in ranges)
    return low, high


def test_dragging_over_one_chart_zooms_all(page: Opened) -> None:
    page.show("#panel-equity")
    before = linked(page)
    drag(page, "equity", 0.4, 0.6)
    low, high = linked(page)
    assert (high - low) / (before[1] - before[0]) == pytest.approx(0.2, abs=0.05)
    page.show("#panel-leverage")
    assert linked(page) == (low, high)
    page.locator("#panel-equity .glass").dblclick()
    page.settle()
    assert linked(page) == before


def test_dragging_moves_when_asked_to_and_never_beyond_the_data(page: Opened) -> None:
    whole = page.span()
    page.click("#tools [aria-label='Zoom in']")
    page.settle()
    before = page.span()
    page.click("#tools >> text=Drag moves")
    drag(page, "equity", 0.6, 0.4)
    moved = linked(page)
    assert moved[1] - moved[0] == pytest.approx(before[1] - before[0])
    assert moved[0] > before[0]
    for _ in range(4):
        page.click("#tools [aria-label='Later']")
    page.settle()
    assert page.span()[1] == pytest.approx(whole[1])
    page.click("#tools >> text=Drag zooms")


def test_zooming_in_shows_finer_bars_and_at_last_candles(page: Opened) -> None:
    code = "one => one.data.map(t => [t.type, t.x.length])"
    assert "candlestick" not in [
        kind for kind, _ in page.eval_on_selector("#panel-price-0 .plot", code)
    ]
    page.locator("#panel-price-0 .glass").focus()
    for _ in range(8):
        page.keyboard.press("+")
    page.settle()
    low, high = page.span()
    kinds = dict(page.eval_on_selector("#panel-price-0 .plot", code))
    assert kinds["candlestick"] == pytest.approx((high - low) / HOUR, abs=3)
    page.keyboard.press("0")
    page.settle()


def test_shared_pixels_keep_the_extremes(page: Opened) -> None:
    page.show("#panel-ratio")
    code = "one => one.data.filter(t => t.fill === 'toself').map(t => Array.from(t.y))"
    bands = page.eval_on_selector("#panel-ratio .plot", code)
    for i in range(2):
        values = [value for value in bands[i] if value is not None]
        own = np.round(page.bundle.arrays[f"s{i}.ratio"], 5)
        assert (min(values), max(values)) == pytest.approx((own.min(), own.max()))


def test_ctrl_and_wheel_zoom_around_the_pointer_while_the_wheel_alone_scrolls(page: Opened) -> None:
    whole = page.span()
    at = page.middle("#panel-equity .glass", 0.5)
    page.mouse.move(*at)
    page.mouse.wheel(0, 60)
    page.settle()
    assert page.span() == whole
    page.mouse.move(*page.middle("#panel-equity .glass", 0.5))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    page.settle()
    low, high = linked(page)
    assert high - low < 0.7 * (whole[1] - whole[0])


def test_the_crosshair_stands_at_one_time_in_every_chart(page: Opened) -> None:
    page.mouse.move(*page.middle("#panel-drawdown .glass", 0.3))
    page.settle()
    code = """all => all.filter(h => !h.hidden).map(h => {
        const plot = h.closest('.stage').querySelector('.plot'), m = plot.layout.margin;
        const x = new DOMMatrix(getComputedStyle(h).transform).e;
        return (x - m.l) / (plot.clientWidth - m.l - m.r); })"""
    places = page.eval_on_selector_all(".hair", code)
    assert len(places) >= 2
    assert max(places) - min(places) < 0.002


def test_a_click_on_a_liquidation_jumps_there_in_every_chart(page: Opened) -> None:
    fallen = next(m for m in page.bundle.meta["markers"] if m["kind"] == "liquidation")
    code = """(plot, time) => {
        const m = plot.layout.margin, [low, high] = plot.layout.xaxis.range.map(Number);
        const t = plot.data.find(t => t.mode === 'markers'), k = t.x.indexOf(time);
        const [bottom, top] = plot.layout.yaxis.range, w = plot.clientWidth, h = plot.clientHeight;
        return [m.l + (time - low) / (high - low) * (w - m.l - m.r),
                m.t + (top - t.y[k]) / (top - bottom) * (h - m.t - m.b)]; }"""
    page.show("#panel-equity")
    x, y = page.locator("#panel-equity .plot").evaluate(code, fallen["time"])
    box = page.locator("#panel-equity .plot").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.settle()
    assert "liquidation" in page.text("#panel-equity .tip")
    page.mouse.down()
    page.mouse.up()
    low, high = linked(page)
    assert low < fallen["time"] < high
    assert high - low == pytest.approx(240 * HOUR, rel=0.05)
    assert "isolated: liquidation of" in page.text("#pinned-text")
    assert page.locator(".pin:visible").count() >= 2


def test_a_row_jumps_to_its_liquidation_and_back_again(page: Opened) -> None:
    jump = page.locator("#liquidations button.jump").nth(1)
    row = page.bundle.meta["tables"]["liquidations"]["rows"][1]
    jump.focus()
    page.keyboard.press("Enter")
    page.settle()
    low, high = linked(page)
    assert low < row[0] < high
    panel = f"panel-price-{page.bundle.meta['symbols'].index(row[2])}"
    code = "() => document.activeElement.closest('.panel').id"
    assert page.evaluate(code) == panel
    page.click("#back")
    page.settle()
    assert page.evaluate("() => document.activeElement.textContent") == jump.inner_text()
    assert page.locator("#pinned").is_hidden()


def test_a_step_of_the_waterfall_jumps_too(page: Opened) -> None:
    page.click(".waterfall button.jump")
    page.settle()
    low, high = linked(page)
    assert low < page.bundle.meta["waterfalls"][0]["steps"][0]["time"] < high


def test_the_log_switch_changes_the_scale(page: Opened) -> None:
    axis = "one => one.layout.yaxis.type"
    page.click("#panel-equity >> text=Log")
    page.settle()
    assert page.eval_on_selector("#panel-equity .plot", axis) == "log"
    assert page.locator("#panel-equity button[aria-pressed=true]").inner_text() == "Log"
    page.click("#panel-equity >> text=Linear")
    page.settle()
    assert page.eval_on_selector("#panel-equity .plot", axis) == "linear"


def test_a_scenario_can_be_hidden_in_all_charts(page: Opened) -> None:
    page.show("#panel-drawdown")
    lines = "one => one.data.filter(t => t.mode === 'lines' && !t.fill).length"
    page.click(".scenarios >> text=cross")
    page.settle()
    assert page.eval_on_selector("#panel-drawdown .plot", lines) == 1
    assert page.locator("#panel-drawdown .cell:visible").count() == 1
    page.click(".scenarios >> text=cross")
    page.settle()
    assert page.eval_on_selector("#panel-drawdown .plot", lines) == 2


# -- tables ------------------------------------------------------------------------------------------


def column(page: Opened, key: str, place: int) -> list[str]:
    return list(page.locator(f"#{key} tbody tr:not(.more) td:nth-child({place})").all_inner_texts())


def test_tables_sort_both_ways_and_say_so(page: Opened) -> None:
    head = page.locator("#trades thead th").nth(4)
    prices = sorted((row[4] for row in page.bundle.meta["tables"]["trades"]["rows"]), reverse=True)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    shown = [float(text.replace(",", "")) for text in column(page, "trades", 5)]
    assert shown == pytest.approx(prices[:10], abs=0.005)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    shown = [float(text.replace(",", "")) for text in column(page, "trades", 5)]
    assert shown == pytest.approx(prices[::-1][:10], abs=0.005)
    assert page.locator("#trades th[aria-sort=none]").count() == 4


def test_tables_filter_by_words_and_by_choice_and_save_what_is_left(page: Opened) -> None:
    page.fill("#fundings input[type=search]", "eth isol")
    assert set(column(page, "fundings", 2)) == {"isolated"}
    assert all("ETH" in text for text in column(page, "fundings", 3))
    rows = page.bundle.meta["tables"]["fundings"]["rows"]
    wanted = [row for row in rows if row[1] == "isolated" and "ETH" in row[2]]
    with page.expect_download() as waiting:
        page.click("#fundings .csv")
    saved = list(csv.reader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    assert len(saved) - 1 == len(wanted)
    page.fill("#fundings input[type=search]", "nothing of this kind")
    assert "no row fits" in page.text("#fundings .pager")
    page.fill("#fundings input[type=search]", "")
    page.select_option("#fundings select >> nth=0", label="cross")
    assert set(column(page, "fundings", 2)) == {"cross"}
    page.select_option("#fundings select >> nth=0", index=0)


def test_long_tables_are_turned_page_by_page(page: Opened) -> None:
    assert page.text("#trades .pager span") == "1 to 10 of 37"
    page.click("#trades .pager >> text=Next")
    assert page.text("#trades .pager span") == "11 to 20 of 37"
    page.select_option("#trades .pager select", label="50 rows")
    assert len(column(page, "trades", 1)) == 37


# -- the whole page ----------------------------------------------------------------------------------


def ground(page: Opened) -> str:
    return str(page.evaluate("() => getComputedStyle(document.body).backgroundColor"))


def test_colours_follow_the_system_until_the_reader_chooses(opened: Callable[..., Opened]) -> None:
    page = opened(bundle(300), color_scheme="dark")
    dark = ground(page)
    page.show("#panel-equity")
    page.wait_for_selector("#panel-equity svg.main-svg", state="attached")
    drawn = page.eval_on_selector("#panel-equity .plot", "one => one.data[0].line.color")
    page.click("#theme >> text=Light")
    page.settle()
    light = ground(page)
    assert light == "rgb(255, 255, 255)" != dark
    assert page.eval_on_selector("#panel-equity .plot", "one => one.data[0].line.color") != drawn
    page.reload()
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    assert ground(page) == light
    page.click("#theme >> text=System")
    page.emulate_media(color_scheme="dark")
    assert ground(page) == dark
    page.emulate_media(color_scheme="light")
    assert ground(page) == light


def test_keys_walk_zoom_and_find_liquidations_and_the_numbers_are_said(page: Opened) -> None:
    page.locator("#panel-equity .glass").focus()
    page.keyboard.press("Home")
    page.settle()
    assert page.text("#when").startswith("2025-01-01 00:00")
    page.keyboard.press("ArrowRight")
    page.settle()
    assert "Equity, 2025-01-01" in page.text("#said")
    assert "cross " in page.text("#said")
    page.keyboard.press("Enter")
    page.settle()
    first = min(m["time"] for m in page.bundle.meta["markers"] if m["kind"] == "liquidation")
    low, high = page.span()
    assert low < first < high
    page.keyboard.press("Escape")
    assert page.locator("#pinned").is_hidden()


def test_the_command_is_copied(opened: Callable[..., Opened]) -> None:
    page = opened(bundle(50), permissions=["clipboard-read", "clipboard-write"])
    page.click("button.copy")
    page.wait_for_selector("button.copy >> text=/Copied|Selected/")
    assert page.text("#again") == page.bundle.meta["stamp"]["command"]


def test_it_prints_by_day_with_every_chart_on_the_paper(opened: Callable[..., Opened]) -> None:
    page = opened(bundle(300), until="complete", color_scheme="dark")
    assert len(page.tab.pdf(format="A4")) > 50_000
    page.emulate_media(media="print")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert ground(page) == "rgb(255, 255, 255)"
    code = "all => all.map(one => one.querySelector('svg').getBoundingClientRect().width)"
    widths = page.eval_on_selector_all(".panel:not(.nothing) .plot", code)
    assert len(widths) > 8
    assert max(widths) <= 700
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")


def test_a_finger_moves_the_crosshair_and_two_zoom(opened: Callable[..., Opened]) -> None:
    page = opened(bundle(2_000), 390, has_touch=True, is_mobile=True)
    page.show("#panel-equity .glass")
    page.wait_for_selector("#panel-equity svg.main-svg", state="attached")
    page.touchscreen.tap(*page.middle("#panel-equity .glass", 0.5))
    page.settle()
    assert page.text("#when")[:10] != "2025-03-25"
    low, high = page.span()
    pinch(page, "#panel-equity .glass")
    page.settle()
    assert page.span()[1] - page.span()[0] < 0.6 * (high - low)


def pinch(page: Opened, selector: str) -> None:
    """Two fingers going apart."""
    session: Any = page.context.new_cdp_session(page.tab)
    x, y = page.middle(selector)
    for kind, apart in (("touchStart", 30), ("touchMove", 60), ("touchMove", 110), ("touchEnd", 0)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        sent = {"type": kind, "touchPoints": [] if kind == "touchEnd" else points}
        session.send("Input.dispatchTouchEvent", sent)
        page.settle()


def test_nothing_may_be_asked_for(page: Opened) -> None:
    code = "() => fetch('https://example.com/').then(() => 'came', () => 'refused')"
    assert page.evaluate(code) == "refused"
    page.complaints[:] = [
        one for one in page.complaints if "Content Security" not in one and "CSP" not in one
    ]
    page.requests[:] = [url for url in page.requests if "example.com" not in url]
    assert page.bundle.arrays["time"][0] == START
