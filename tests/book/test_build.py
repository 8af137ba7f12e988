"""The book is built without a warning, holds what the code states, and asks nothing of the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from importlib.util import find_spec
from pathlib import Path

import pytest
from book.reading import ROOT, tool

import bt_margin as btm

TOOLS = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers")
MISSING = [name for name in TOOLS if find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed: pip install '.[docs]'"
)
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=\"(?:https?:)?//|<link[^>]+href=\"(?:https?:)?//"
)
FETCHED = re.compile(r"@import|url\(['\"]?(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    call = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(call, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def words(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_pages_load_nothing_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    assert [p.name for p in pages if LOADED.search(p.read_text(encoding="utf-8"))] == []
    sheets = site.rglob("*.css")
    assert [p.name for p in sheets if FETCHED.search(p.read_text(encoding="utf-8"))] == []


def test_the_page_of_venues_holds_every_fact_and_every_approximation(site: Path) -> None:
    text = " ".join(words(site / "venues.html").split())
    for name in btm.venues():
        venue = btm.venue(name, **tool("hooks").STATED.get(name, {}))
        stated = [f.value for f in venue.facts] + [f.source for f in venue.facts]
        for each in (*stated, *venue.exact, *venue.approximations, *venue.absent):
            assert " ".join(each.split()) in text, each


def test_the_crash_is_told_with_what_its_cells_show(site: Path) -> None:
    page = (site / "crash.html").read_text(encoding="utf-8")
    assert page.count("<table") > 5
    assert "exposure per coin" in page


def test_the_reference_is_made_from_docstrings(site: Path) -> None:
    text = " ".join(words(site / "reference" / "studies.html").split())
    assert " ".join((btm.compare.__doc__ or "").split()[:8]) in text


def test_tools_are_not_part_of_the_book(site: Path) -> None:
    assert not (site / "tools").exists()


def test_docstrings_come_out_as_lists_and_doctests_as_code(site: Path) -> None:
    for page in (site / "reference").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r":(?:class|func|mod|meth):|:raises ", words(page)), page.name
        assert "<blockquote" not in text, page.name
    broker = (site / "reference" / "broker.html").read_text(encoding="utf-8")
    assert "<strong>liquidation_slippage</strong>" in broker
