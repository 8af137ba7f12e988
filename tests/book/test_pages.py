"""The pages hang together: links lead somewhere, every page is in the contents and says what it is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from book.reading import DOCS, FENCE, PAGES, ROOT, name_of

#: Pages of the book that are files elsewhere in the repository (docs/tools/hooks.py makes them).
ELSEWHERE = {
    "frames.md": "data/README.md",
    "strategies.md": "strategies/README.md",
    "changelog.md": "CHANGELOG.md",
}
CONTENTS = re.findall(r"^\s+- [^:\n]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
MINE = [
    p for p in PAGES if p.name not in ("compatibility.md", "data.md", "statistics.md", "crash.md")
]
TOLD = re.compile(r"\b(you|your|here)\b", re.IGNORECASE)


def source_of(page: str) -> Path:
    return ROOT / ELSEWHERE[page] if page in ELSEWHERE else DOCS / page


def written(path: Path) -> str:
    """A page without its examples."""
    if path.name == "crash.md":
        path = DOCS / "notebooks" / "crash.ipynb"
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """What a heading is called in a link."""
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip()
    return re.sub(r"[\s]+", "-", plain)


def anchors(path: Path) -> set[str]:
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", written(path), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", written(page)):
        if "://" in target:
            continue
        file, _, part = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if there.is_relative_to(DOCS) and name_of(there) in ELSEWHERE:
            there = source_of(name_of(there))
        if not there.exists() or (part and part not in anchors(there)):
            lost.append(target)
    assert lost == []


def test_the_contents_name_every_page_once_and_nothing_else() -> None:
    assert sorted(CONTENTS) == sorted({*map(name_of, PAGES), *ELSEWHERE})


@pytest.mark.parametrize("page", MINE, ids=name_of)
def test_a_page_says_first_what_its_reader_will_be_able_to_do(page: Path) -> None:
    title, _, rest = page.read_text(encoding="utf-8").partition("\n\n")
    assert title.startswith("# ")
    first = " ".join(rest.partition("\n\n")[0].split())
    assert TOLD.search(" ".join(re.split(r"(?<=[.:]) ", first)[:2])), first


def test_no_page_sends_its_reader_to_another_machine() -> None:
    outside = {
        target
        for page in PAGES
        for target in re.findall(r"https?://[^\s)>\"'`]+", page.read_text(encoding="utf-8"))
    }
    assert outside == set()


def test_every_public_name_is_in_the_reference() -> None:
    import bt_margin as btm

    text = "\n".join(p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md"))
    told = set(re.findall(r"^::: bt_margin\.(\w+)$", text, re.MULTILINE))
    missing = [name for name in btm.__all__ if name not in told]
    assert missing == ["__version__", "venues"]
    assert "::: bt_margin.venues.venues" in text


def test_the_command_is_told_with_words_it_knows() -> None:
    from typer.main import get_command

    from bt_margin.cli.app import app

    verbs = get_command(app).commands  # type: ignore[attr-defined]  # a group of verbs
    for page in PAGES:
        for verb in re.findall(r"\bbt-margin ([a-z]+)\b", page.read_text(encoding="utf-8")):
            assert verb in verbs, f"{name_of(page)}: bt-margin {verb}"
