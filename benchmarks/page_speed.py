"""How fast the page of a long run loads and zooms in headless chromium: prints, never fails.

    python benchmarks/page_speed.py [bars] [symbols] [times]

A made-up run of 500,000 one-minute bars, two scenarios and four symbols is written, opened from disk in a
new browser each time, and used. Printed are the size of the file, the time from opening to the first charts
drawn (``load``), to every chart unpacked and drawn (``complete``), and from a click to the second frame
painted after it (``zoom``), each the best and the middle one of several: other work on the machine only adds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from report.browser.conftest import ARGUMENTS, CHROMIUM  # noqa: E402 # found by the line above
from report.bundles import bundle  # noqa: E402 # found by the line above

from bt_margin.report.page import page  # noqa: E402 # found by the line above

CLICKS = ("Zoom in", "Zoom in", "Zoom in", "Later", "Zoom out", "Show everything")
FIRST = "#panel-equity svg.main-svg"
FRAME = """button => new Promise(done => { const t = performance.now(); button.click();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - t))); })"""


def measured(browser: Any, path: Path) -> dict[str, list[float]]:
    """One opening of the page, in milliseconds."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    tab.goto(path.as_uri(), wait_until="commit")
    tab.wait_for_selector("html[data-ready=yes]", state="attached")
    tab.evaluate("() => document.querySelector('.bar').scrollIntoView()")
    tab.wait_for_selector(FIRST, state="attached")
    load = (time.perf_counter() - started) * 1000
    tab.wait_for_selector("html[data-complete=yes]", state="attached", timeout=120_000)
    complete = (time.perf_counter() - started) * 1000
    zooms = [tab.eval_on_selector(f"#tools [aria-label='{name}']", FRAME) for name in CLICKS]
    tab.evaluate("() => document.querySelector('#group-price').scrollIntoView()")
    tab.wait_for_timeout(200)
    prices = [tab.eval_on_selector(f"#tools [aria-label='{name}']", FRAME) for name in CLICKS]
    tab.close()
    return {"load": [load], "complete": [complete], "zoom, equity": zooms, "zoom, prices": prices}


def main(bars: int = 500_000, symbols: int = 4, times: int = 3) -> None:
    """Write the page, open it so many times, print."""
    from playwright.sync_api import sync_playwright

    started = time.perf_counter()
    text = page(bundle(bars, symbols=symbols, fills=20_000, liquidations=40, step=60_000))
    took = time.perf_counter() - started
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        size = path.stat().st_size / 1e6
        print(f"{bars:,} bars, 2 scenarios, {symbols} symbols: {size:.1f} MB in {took:.1f} s")
        for _ in range(times):
            browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
            for name, values in measured(browser, path).items():
                found.setdefault(name, []).extend(values)
            browser.close()
    for name, values in found.items():
        print(f"{name:14} best {min(values):6.0f} ms, middle {median(values):6.0f} ms")


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
