"""The court: a story is told and held against every law; what it broke is the verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from machine.life import LOOPS, Life, live
from machine.naively import State, followed, state_of, understood
from machine.story import Story
from machine.witness import ALIKE, AT_THE_END, ENDED, NAIVE, ON_EVERY_BAR


@dataclass
class Verdict:
    """What a story broke (law → where and what, the first time), and what happened in it."""

    broken: dict[str, str] = field(default_factory=dict)
    bar: int = -1
    bars: int = 0
    events: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    followed: int = 0


def judged(story: Story, *, twice: bool = False) -> Verdict:
    """Tell a story and hold it against every law; ``twice``: in another loop as well."""
    verdict, states = Verdict(), dict[int, State]()
    naively = understood(story)

    def note(law: str, where: str, error: BaseException) -> None:
        if law not in verdict.broken:
            verdict.broken[law] = f"{where}: {type(error).__name__}: {str(error)[:400]}"

    def watch(s: Any) -> None:
        for law in ON_EVERY_BAR:
            try:
                law(s)
            except Exception as error:
                if not verdict.broken:
                    verdict.bar = s.p.life.bar
                note(law.__name__, f"bar {s.p.life.bar}", error)

    def after(s: Any) -> None:
        states[s.p.life.bar] = state_of(s)

    try:
        life = live(story, watch, after if naively else None)
    except Exception as error:
        note(ENDED, "the run", error)
        return verdict
    for law in AT_THE_END:
        try:
            law(life)
        except Exception as error:
            note(law.__name__, "at the end", error)
    if naively:
        try:
            verdict.followed = followed(life, states)
        except Exception as error:
            note(NAIVE, "beside the naive account", error)
    if twice and not verdict.broken:
        _again(story, life, note)
    _count(verdict, life)
    return verdict


def _again(story: Story, life: Life, note: Any) -> None:
    """The same story in the loop beside its own."""
    looks_back = story.setup.interest or story.setup.filler or story.setup.coo
    if looks_back and story.setup.loop == "exactbars 1":
        return  # which keeps no bar before: for interest, fillers of orders for the close, marks at an open
    loops = [loop for loop in LOOPS if loop not in (story.setup.loop, "exactbars 1")]
    other = loops[len(story.bars) % len(loops)]
    try:
        again = live(story, **{"preload": True, "runonce": True, "exactbars": 0, **LOOPS[other]})
        for one, two in zip(life.retold(), again.retold(), strict=False):
            assert one == two, f"{other}:\n{one}\n{two}"
        assert len(life.broker.events) == len(again.broker.events), other
    except Exception as error:
        note(ALIKE, other, error)


def _count(verdict: Verdict, life: Life) -> None:
    verdict.bars = life.passed
    verdict.events = Counter(event.kind for event in life.broker.events)
    verdict.acts = life.done
    for strategy in life.strategies:
        verdict.statuses.update(line[3] for line in strategy.told if line[1] == "order")


__all__ = ["NAIVE", "Verdict", "judged"]
