"""Every law of the machine can be broken: with the code damaged in one place some early story breaks it."""

from __future__ import annotations

import pytest
from machine.breaks import BREAKS, broken
from machine.court import judged
from machine.grammar import story
from machine.naively import naive_story
from machine.witness import ALIKE, LAWS, NAIVE

STORIES = 150


def test_every_law_has_its_break() -> None:
    assert sorted(LAWS) == sorted(BREAKS)


@pytest.mark.parametrize("law", LAWS)
def test_the_law_can_be_broken(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = naive_story if law == NAIVE else lambda seed: story(seed, 150)
    broken(law, monkeypatch)
    for number in range(STORIES):
        if law in judged(tell(f"breaks:{number}"), twice=law == ALIKE).broken:
            return
    pytest.fail(f"no story of {STORIES} breaks it")
