"""Every example of the book runs, and prints what the page says it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from book.reading import (
    DOCS,
    PAGES,
    ROOT,
    Block,
    Reader,
    agrees,
    blocks,
    in_place_of_exchanges,
    name_of,
)

from bt_margin import venues as registry
from bt_margin.studies.conformance.run import _OWN

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Lines that other tests or CI run: those of the README (CI, tests/test_readme.py) and of the build.
ELSEWHERE = set(README.splitlines()) | {"pip install '.[docs]'", "mkdocs build --strict"}
#: Blocks that are shown and not run: data, and what a program prints.
SHOWN = {"text", "csv"}
WITH_EXAMPLES = [page for page in PAGES if {b.kind for b in blocks(page)} - SHOWN]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A venue that a page makes known is forgotten when the page is read."""
    known = (registry._BUILDERS, registry._ALIASES, _OWN)
    before = [dict(each) for each in known]
    yield
    for now, then in zip(known, before, strict=True):
        now.clear()
        now.update(then)


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_a_reader_can_follow_the_page(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").symlink_to(ROOT / "strategies")
    asks = re.search(r"btm\.(download|FinerBars)\(", page.read_text(encoding="utf-8"))
    with in_place_of_exchanges(monkeypatch) if asks else nullcontext():
        Reader(page, ELSEWHERE).follow()


def test_nothing_is_shown_in_a_language_that_nobody_runs() -> None:
    kinds = {block.kind for page in PAGES for block in blocks(page)}
    assert kinds <= {"python", "bash", *SHOWN}


def test_the_book_has_examples_worth_running() -> None:
    counted = sum(block.kind in ("python", "bash") for page in PAGES for block in blocks(page))
    assert counted > 40
    assert {"studies.md", "recipes/account.md", "concepts/bar.md"} <= set(
        map(name_of, WITH_EXAMPLES)
    )


def test_a_wrong_output_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = DOCS / "concepts" / "pools.md"
    reader = Reader(page, set())
    block = next(b for b in blocks(page) if b.output)
    assert agrees(block.output or "", reader.do(block))
    spoilt = Block(block.kind, "", block.text.replace("112", "110"), block.line, block.output)
    assert not agrees(block.output or "", reader.do(spoilt))
