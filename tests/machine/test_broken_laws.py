"""Every law of the machine can be broken: with the code damaged in one place some early story breaks it."""

from __future__ import annotations

import pytest
from machine.breaks import BREAKS, WHERE, broken
from machine.court import judged
from machine.grammar import story
from machine.naively import naive_story
from machine.witness import ALIKE, LAWS, NAIVE

STORIES = 150


def test_every_law_has_its_break() -> None:
    assert sorted(LAWS) == sorted(BREAKS)


@pytest.mark.parametrize("law", LAWS)
def test_the_law_can_be_broken(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(law, monkeypatch)
    for number in range(STORIES):
        seed = f"breaks:{number}"
        one = naive_story(seed) if law == NAIVE else story(seed, 150, WHERE.get(law, ""))
        if law in judged(one, twice=law == ALIKE).broken:
            return
    pytest.fail(f"no story of {STORIES} breaks it")
