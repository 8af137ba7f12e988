"""Makes a story that breaks a law as small as it can: fewer bars, symbols and acts, a plainer setup.

Plain delta debugging on the data of the story. Whatever still breaks the same law is kept; the result is
written as Python that says what it broke, and is replayed from then on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import copysign
from pathlib import Path

from machine.story import DEFAULTS, Bar, Move, Story

KEPT = Path(__file__).parent / "stories"
Breaks = Callable[[Story], bool]


def shrunk(story: Story, breaks: Breaks, seconds: float = 120.0) -> Story:
    """The smallest story found within the time that still breaks what this one does."""
    end = time.monotonic() + seconds

    def better(candidates: Iterator[Story]) -> bool:
        nonlocal story
        for candidate in candidates:
            if time.monotonic() > end:
                return False
            if candidate != story and breaks(candidate):
                story = candidate
                return True
        return False

    better(_heads(story))
    while time.monotonic() < end:
        steps = (_without_bars, _plainer_setup, _without_acts, _calmer, _rounder)
        found = [better(step(story)) for step in steps]
        if not any(found):
            break
    return story


def _heads(story: Story) -> Iterator[Story]:
    """Shorter beginnings."""
    length = 2
    while length < len(story.bars):
        yield replace(story, bars=story.bars[:length])
        length = length + max(1, length // 8)


def _without_bars(story: Story) -> Iterator[Story]:
    """Runs of bars taken out, long ones first."""
    size = len(story.bars) // 2
    while size:
        for at in range(0, len(story.bars), size):
            left = story.bars[:at] + story.bars[at + size :]
            if left:
                yield replace(story, bars=left)
        size //= 2


def _plainer_setup(story: Story) -> Iterator[Story]:
    """One choice at a time as it usually is."""
    for name, plain in DEFAULTS.items():
        if story.setup.differs(name):
            yield replace(story, setup=replace(story.setup, **{name: plain}))
    if story.setup.symbols > 1:
        yield replace(story, setup=replace(story.setup, symbols=story.setup.symbols - 1))


def _changed(story: Story, at: int, bar: Bar) -> Story:
    return replace(story, bars=(*story.bars[:at], bar, *story.bars[at + 1 :]))


def _without_acts(story: Story) -> Iterator[Story]:
    for at, bar in enumerate(story.bars):
        if bar.acts or bar.stamps:
            yield _changed(story, at, bar._replace(acts=(), stamps=()))
        for n in range(len(bar.acts)):
            yield _changed(story, at, bar._replace(acts=bar.acts[:n] + bar.acts[n + 1 :]))
        for n in range(len(bar.stamps)):
            yield _changed(story, at, bar._replace(stamps=bar.stamps[:n] + bar.stamps[n + 1 :]))


def _calmer(story: Story) -> Iterator[Story]:
    """Bars that stand still, then bars with one number less."""
    for at, bar in enumerate(story.bars):
        if any(move != Move() for move in bar.moves):
            yield _changed(story, at, bar._replace(moves=()))
        for n, move in enumerate(bar.moves):
            for name, plain in zip(Move._fields, Move(), strict=True):
                if getattr(move, name) != plain:
                    calm = move._replace(**{name: plain})
                    moves = (*bar.moves[:n], calm, *bar.moves[n + 1 :])
                    yield _changed(story, at, bar._replace(moves=moves))


def _rounder(story: Story) -> Iterator[Story]:
    """Acts with plainer numbers."""
    for at, bar in enumerate(story.bars):
        for n, act in enumerate(bar.acts):
            half = copysign(0.5, act.share)
            for plain in (
                {"who": 0}, {"on": 0}, {"pick": 0}, {"share": half}, {"away": 0.01},
                {"share": round(act.share, 1)}, {"away": round(act.away, 2)},
            ):  # fmt: skip
                if any(getattr(act, name) != value for name, value in plain.items()):
                    acts = (*bar.acts[:n], act._replace(**plain), *bar.acts[n + 1 :])
                    yield _changed(story, at, bar._replace(acts=acts))


SOURCE = '''"""Broke {laws}.

{why}
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = {story!r}
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")
'''


def keep(story: Story, law: str, why: str, folder: Path = KEPT) -> Path:
    """Write a story as Python that can be run and is replayed by the tests."""
    folder.mkdir(exist_ok=True)
    name = re.sub(r"\W+", "_", f"{law}_{story.seed}")
    file = folder / f"{name}.py"
    told = why.replace("\\", "/").replace('"""', "'''")
    lines = [line[:105] for line in told.splitlines() if line.strip()][:6]
    file.write_text(
        SOURCE.format(laws=law, why="\n".join(lines), story=story), encoding="utf-8"
    )  # fmt: skip
    return file
