"""A real browser for the page: Debian's chromium, driven by playwright; without either, tests here skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bt_margin.report.page import page as written

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {390: 844, 1280: 900, 2560: 1440}


@dataclass
class Opened:
    """A page in the browser, what it complained about and what it asked for."""

    tab: Any
    bundle: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tab, name)

    def text(self, selector: str) -> str:
        return str(self.tab.locator(selector).first.inner_text())

    def span(self) -> tuple[float, float]:
        """The span of time all charts show, as the page says it."""
        data = self.tab.locator("#charts").evaluate("one => [one.dataset.low, one.dataset.high]")
        return float(data[0]), float(data[1])

    def ranges(self) -> list[list[float]]:
        """The span of time of every chart on the screen, as plotly drew it."""
        self.settle()
        code = """all => all.filter(one => one.layout && one.closest('.panel').getBoundingClientRect().top
            < innerHeight && one.closest('.panel').getBoundingClientRect().bottom > 0)
            .map(one => one.layout.xaxis.range.map(Number))"""
        return list(self.tab.eval_on_selector_all(".plot", code))

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        # Coming into sight is noticed in one frame, drawn in the next, and painted after that.
        code = """() => new Promise(done => { let left = 4;
            const next = () => (left-- ? requestAnimationFrame(next) : done()); next(); })"""
        self.tab.evaluate(code)

    def show(self, selector: str) -> None:
        """Scroll an element to the middle of the screen and wait until it is drawn."""
        one = self.tab.locator(selector).first
        one.evaluate("one => one.scrollIntoView({block: 'center'})")
        self.settle()

    def middle(self, selector: str, share: float = 0.5, height: float = 0.5) -> tuple[float, float]:
        """A point of the screen inside an element, which is scrolled into sight first."""
        self.show(selector)
        box = self.tab.locator(selector).first.bounding_box()
        return box["x"] + box["width"] * share, box["y"] + box["height"] * height


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    library = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is missing (apt-get install chromium)")
    with library.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield one
        one.close()


@pytest.fixture(scope="session")
def opened(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Opened]]:
    """Opens a bundle's page from disk; afterwards nobody may have complained or asked for anything."""
    folder, made = tmp_path_factory.mktemp("pages"), []

    def go(bundle: Any, width: int = 1280, *, until: str = "ready", **settings: Any) -> Opened:
        path = folder / f"{len(made)}.html"
        path.write_text(written(bundle), encoding="utf-8")
        size = {"width": width, "height": SIZES[width]}
        settings = {"reduced_motion": "reduce", "accept_downloads": True, **settings}
        context = browser.new_context(viewport=size, **settings)
        one = Opened(context.new_page(), bundle)
        made.append(one)
        one.tab.on(
            "console", lambda m: one.complaints.append(m.text) if m.type == "error" else None
        )
        one.tab.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.tab.on("request", lambda request: one.requests.append(request.url))
        one.tab.goto(path.as_uri())
        one.tab.wait_for_selector(f"html[data-{until}=yes]", state="attached")
        one.settle()
        assert one.complaints == []
        return one

    yield go
    for one in made:
        assert one.complaints == []
        assert {url.split(":")[0] for url in one.requests} <= {"file", "blob", "data"}
        one.tab.context.close()
