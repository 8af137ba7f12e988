"""The pictures are what their script draws, stand alone, and can be read on light and on dark paper."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from book.reading import DOCS, PAGES, tool

NAMES = ("pools", "bar", "paths", "liquidation", "tiers", "funding", "orders")


def file_of(name: str) -> Path:
    return DOCS / "img" / f"{name}.svg"


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_what_the_script_draws(name: str) -> None:
    drawn = tool("pictures").PICTURES
    assert set(drawn) == set(NAMES)
    assert file_of(name).read_text(encoding="utf-8") == drawn[name]().svg()


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_small_well_formed_titled_and_alone(name: str) -> None:
    text = file_of(name).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert all((root.findtext(f"{space}{part}") or "").strip() for part in ("title", "desc"))
    assert len(text) < 10_000
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert root.findall(f".//{space}image") + root.findall(f".//{space}script") == []


def test_words_keep_their_contrast_on_light_and_on_dark_paper() -> None:
    style = tool("sheet").STYLE
    light, dark = style.split("@media")[0], style.split("@media")[1].split("text {")[0]
    for scheme in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        for paper in ("paper", "fill", "warm", "cool"):
            for ink in ("ink", "quiet", "cross", "isolated", "bad", "good"):
                found = contrast(colours[ink], colours[paper])
                assert found >= 4.5, f"{ink} on {paper}: {found:.2f}"


def test_every_picture_is_shown_with_words_for_those_who_cannot_see_it() -> None:
    shown = {}
    for page in PAGES:
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text("utf-8")):
            shown[Path(target).stem] = words
    assert set(NAMES) <= set(shown)
    assert all(len(words) > 15 for words in shown.values())
