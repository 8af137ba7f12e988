"""Pages that are unlike the usual: hostile names, empty runs, many symbols, narrow and wide screens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from report.browser.conftest import Opened
from report.bundles import bundle

EVIL = "</script><img src=x onerror=\"document.title='broken'\">"
QUOTES = "\"'><b>&amp;</b>"


def bare(made: Any, **changes: Any) -> Any:
    made.meta |= changes
    return made


def lonely() -> Any:
    """One scenario: nothing to compare."""
    made = bundle(300, scenarios=("isolated",))
    made.meta["headline"]["columns"] = ["", "isolated"]
    return made


def untraded() -> Any:
    made = bundle(300, fills=0, liquidations=0)
    for name in made.arrays:
        if name.endswith(
            (".size", ".entry", ".liquidation", ".fees", ".funding", ".leverage", ".margin")
        ):
            made.arrays[name] = made.arrays[name] * (np.nan if name.endswith((".entry",)) else 0.0)
    return made


def dead() -> Any:
    """All dead on the first bar: nothing left, ratios without meaning."""
    made = bundle(300, liquidations=2)
    for name, values in made.arrays.items():
        if name.endswith(".equity"):
            made.arrays[name] = np.zeros(300)
        elif name.endswith(".drawdown"):
            made.arrays[name] = np.full(300, -1.0)
        elif name.endswith(".ratio"):
            made.arrays[name] = np.where(np.arange(300) < 1, np.inf, np.nan)
        elif ".y" in name:
            made.arrays[name] = values * np.nan
    return made


CASES: dict[str, Callable[[], Any]] = {
    "zero trades": untraded,
    "one bar": lambda: bundle(1, fills=1, liquidations=1),
    "two bars": lambda: bundle(2, fills=2, liquidations=0),
    "no bars": lambda: bundle(0, fills=0, liquidations=0, verdict="Nothing happened."),
    "no liquidation": lambda: bundle(300, liquidations=0),
    "all dead on bar one": dead,
    "fifty symbols": lambda: bundle(200, symbols=50, fills=300),
    "one scenario": lonely,
    "five scenarios": lambda: bundle(300, scenarios=("a", "b", "c", "d", "e"), liquidations=9),
    "no symbols": lambda: bundle(200, symbols=0, fills=0, liquidations=0),
    "a coin as currency": lambda: bare(bundle(200), currency="BTC", digits=8),
}


@pytest.mark.parametrize("case", CASES)
def test_unusual_runs_are_shown_without_complaint(opened: Callable[..., Opened], case: str) -> None:
    page = opened(CASES[case](), until="complete")
    assert page.text("#trouble") == ""
    assert page.locator(".panel").count() >= 8
    assert page.locator(".plot svg.main-svg").count() >= 2
    told = page.locator("body").inner_text()
    assert not re.search(r"\b(NaN|undefined|null|Infinity|\[object)\b", told)
    page.click("#tools [aria-label='Zoom in']")
    page.settle()


def test_of_many_symbols_a_few_are_open_and_the_others_a_button_away(
    opened: Callable[..., Opened],
) -> None:
    page = opened(CASES["fifty symbols"](), until="complete")
    assert page.locator("#group-price .panel:visible").count() == 4
    page.click("#symbols >> text=COIN42/USDT:USDT")
    assert page.locator("#panel-price-42").is_visible()
    assert "43 others are left out" in page.text("#panel-pools-1 .note")
    page.show("#panel-price-42")
    page.wait_for_selector("#panel-price-42 svg.main-svg", state="attached")


def test_many_thousand_fills_and_rows_are_carried(opened: Callable[..., Opened]) -> None:
    made = bundle(1_000, fills=150_000)
    made.meta["tables"]["fundings"]["rows"] = []
    page = opened(made)
    page.show("#panel-price-0")
    page.wait_for_selector("#panel-price-0 svg.main-svg", state="attached")
    assert re.search(r"[\d,]{6,} fills in sight", page.text("#panel-price-0 .note"))
    assert page.text("#trades .pager span") == "1 to 10 of 150,000"
    page.fill("#trades input[type=search]", "isolated btc -0.25")
    assert "(of 150,000)" in page.text("#trades .pager span")


def test_no_line_joins_the_liquidation_prices_of_a_long_and_a_short(
    opened: Callable[..., Opened],
) -> None:
    """Also where several bars share a column, and the position was flat at the end of one."""
    bars, turn = 9_000, 30
    made = bundle(bars, fills=0, liquidations=0)
    side = np.where(np.arange(bars) // turn % 2, 1.0, -1.0)
    side[turn - 1 :: turn] = 0.0
    close = made.arrays["y0.close"]
    for scenario in ("s0", "s1"):
        made.arrays[f"{scenario}.y0.size"] = side
        made.arrays[f"{scenario}.y0.entry"] = np.where(side, close, np.nan)
        made.arrays[f"{scenario}.y0.liquidation"] = np.where(side, close * (1 - 0.3 * side), np.nan)
    page = opened(made)
    page.show("#panel-price-0")
    page.wait_for_selector("#panel-price-0 svg.main-svg", state="attached")
    jumps = page.evaluate("""() => {
        const drawn = document.querySelector('#panel-price-0 .js-plotly-plot').data;
        const lines = drawn.filter((one) => one.mode === 'lines' && !one.fill);
        return lines.map((one) => {
            let most = 0;
            for (let i = 1; i < one.y.length; i += 1) {
                const step = Math.abs(one.y[i] / one.y[i - 1] - 1);
                if (step > most) most = step;
            }
            return most;
        });
    }""")
    assert len(jumps) == 3  # the price, and the liquidation prices of both scenarios
    assert max(jumps) < 0.3  # from one side to the other it is 0.86, or 0.46 downwards


def test_hostile_names_are_shown_as_text(opened: Callable[..., Opened]) -> None:
    made = bundle(300, scenarios=(EVIL, QUOTES), symbols=(EVIL + "/USDT", QUOTES), liquidations=3)
    made.meta |= {"title": EVIL, "verdict": EVIL, "fidelity": [EVIL], "approximations": [QUOTES]}
    made.meta |= {
        "footnotes": [EVIL],
        "definitions": {EVIL: EVIL},
        "settings": {EVIL: {EVIL: EVIL}},
    }
    made.meta["stamp"] |= {EVIL: EVIL, "command": EVIL}
    for table in made.meta["tables"].values():
        table |= {"title": EVIL, "note": EVIL}
        for column in table["columns"]:
            column["label"] = EVIL
    for mark in made.meta["markers"]:
        mark["text"] = EVIL
    page = opened(made)
    assert page.title() == EVIL
    assert page.locator("img").count() == 0
    assert page.locator("main b b").count() == 0
    assert page.locator("h1").inner_text() == EVIL
    assert EVIL in page.text(".scenarios")
    assert EVIL + "/USDT" in page.text("#panel-price-0 h3")
    page.locator("#liquidations button.jump").first.click()
    page.settle()
    assert EVIL in page.text("#pinned-text")
    assert page.title() == EVIL


def test_cells_that_a_spreadsheet_would_run_are_saved_as_text(
    opened: Callable[..., Opened],
) -> None:
    made = bundle(100, fills=2)
    made.meta["tables"]["trades"]["rows"][0][1] = '=HYPERLINK("http://x")'
    page = opened(made)
    with page.expect_download() as waiting:
        page.click("#trades .csv")
    assert '"\'=HYPERLINK(""http://x"")"' in waiting.value.path().read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_nothing_sticks_out_of_the_screen(opened: Callable[..., Opened], width: int) -> None:
    page = opened(
        bundle(500, symbols=4, scenarios=("cross", "isolated", "mixed")), width, until="complete"
    )
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    wide = page.locator("#panel-equity .plot svg").first.bounding_box()["width"]
    assert wide > 0.75 * width


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, two: str) -> float:
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_words_and_lines_has_contrast_aa(
    opened: Callable[..., Opened], scheme: str
) -> None:
    page = opened(bundle(50), color_scheme=scheme)
    names = ["ink", "soft", "accent", "warn", "gain", "loss", *(f"tone{k}" for k in range(8))]
    code = """names => { const s = getComputedStyle(document.documentElement);
        return names.map(n => s.getPropertyValue('--' + n).trim()); }"""
    grounds = page.evaluate(code, ["page", "card"])
    for name, colour in zip(names, page.evaluate(code, names), strict=True):
        assert contrast(colour, grounds[0]) >= 4.5, name
    assert contrast(page.evaluate(code, ["soft"])[0], grounds[1]) >= 4.5


def test_scenarios_differ_in_dashes_as_well_as_in_colour(opened: Callable[..., Opened]) -> None:
    page = opened(bundle(200, scenarios=("a", "b", "c", "d", "e")), until="complete")
    code = "one => one.data.filter(t => t.mode === 'lines').map(t => [t.line.dash, t.line.color])"
    lines = page.eval_on_selector("#panel-equity .plot", code)
    assert len({dash for dash, _ in lines}) == len({colour for _, colour in lines}) == 5
    samples = page.locator(".headline .swatch path").all()
    assert len({one.get_attribute("stroke-dasharray") for one in samples}) == 5


def test_everything_that_acts_can_be_reached_and_has_a_name(opened: Callable[..., Opened]) -> None:
    page = opened(bundle(200))
    code = """all => all.filter(b => b.offsetParent && (b.tabIndex < 0 ||
        !(b.textContent.trim() || b.getAttribute('aria-label')))).length"""
    assert page.eval_on_selector_all("button, select, input, a, .glass", code) == 0
    heads = "all => all.filter(t => !t.querySelector('th') || !t.querySelector('caption')).length"
    assert page.eval_on_selector_all("main table:not(details table)", heads) == 0
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
