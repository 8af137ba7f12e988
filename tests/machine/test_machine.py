"""The state machine of the broker, told by hypothesis and from seeds, and the stories it once found.

:class:`Machine` is a hypothesis state machine whose rules write a story down, bar by bar and act by act; the
story is told through a real Cerebro when the rules are over. Telling at the end costs nothing (no act looks
at what came of the one before, sizes are shares of what is there when their bar comes) and lets hypothesis
shrink the story itself. It draws short stories; thousands of bars of the same grammar come from seeds
(``python -m machine``), whose failures :mod:`machine.shrink` makes small and keeps in ``stories/``.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from machine import grammar
from machine.__main__ import main
from machine.court import judged
from machine.formulas import FORMULAS, STRICT
from machine.grind import grind, tale
from machine.markets import PLACES
from machine.shrink import KEPT, keep, shrunk
from machine.story import Act, Bar, Move, Setup, Stamp, Story

import bt_margin as btm

TESTS = Path(__file__).resolve().parents[1]
BARS = int(os.environ.get("BT_MARGIN_BARS", "1000"))


@st.composite
def setups(draw: Any) -> Setup:
    return grammar.setup(grammar.Drawn(draw))


@st.composite
def moves(draw: Any) -> tuple[Move, ...]:
    return tuple(grammar.move(grammar.Drawn(draw)) for _ in range(2))


@st.composite
def acts(draw: Any) -> Act:
    return grammar.act(grammar.Drawn(draw), Setup(symbols=2, company=2))


class Machine(RuleBasedStateMachine):
    """Writes a story by its rules and holds it against every law when it is over."""

    def __init__(self) -> None:
        super().__init__()
        self.setup, self.bars = Setup(), [Bar()]

    @initialize(setup=setups())
    def begin(self, setup: Setup) -> None:
        self.setup = setup

    @rule(moves=moves())
    def bar(self, moves: tuple[Move, ...]) -> None:
        self.bars.append(Bar(moves))

    @rule(act=acts())
    def act(self, act: Act) -> None:
        self.bars[-1] = self.bars[-1]._replace(acts=(*self.bars[-1].acts, act))

    @rule(rate=st.integers(-40, 40), on=st.integers(0, 1), when=st.sampled_from([0.0, 0.5]))
    def funding(self, rate: int, on: int, when: float) -> None:
        stamp = Stamp(rate / 10_000, on, when)
        self.bars[-1] = self.bars[-1]._replace(stamps=(*self.bars[-1].stamps, stamp))

    def teardown(self) -> None:
        story = Story(self.setup, tuple(self.bars))
        found = judged(story).broken
        assert not found, f"{found}\n{story!r}"


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    settings(), stateful_step_count=30, max_examples=max(30, settings().max_examples // 2)
)  # fmt: skip


def test_seeded_stories_break_no_law(tmp_path: Path) -> None:
    """``BT_MARGIN_BARS=1000000`` looks further."""
    tally = grind(BARS, 11, longest=400, every=1e9, folder=tmp_path)
    assert tally.broken == {}
    assert tally.bars > 0.8 * BARS
    assert tally.followed > 30
    for kind in ("fill", "liquidation", "rejected", "canceled", "funding", "refused", "dead"):
        assert tally.events[kind] > 0, kind


def test_every_venue_of_the_registry_has_its_place_and_its_formula() -> None:
    assert {place.venue for place in PLACES.values()} == set(btm.venues()) == set(FORMULAS)
    hedged = {name for name in btm.venues() if btm.venue(name, **stated(name)).hedge}
    assert {place.venue for place in PLACES.values() if place.hedge} == hedged
    strict = {name for name in btm.venues() if btm.venue(name, **stated(name)).strict}
    assert strict == set(STRICT)


def stated(name: str) -> dict[str, Any]:
    """The options of a place at a venue, or numbers for the one that assumes nothing."""
    if name == "generic":
        numbers = dict.fromkeys(("maintenance_rate", "taker_fee", "maker_fee"), 0.01)
        return {**numbers, "liquidation_fee": 0.0, "funding_interval": "8h", "residual": "trader"}
    return next(place.options for place in PLACES.values() if place.venue == name)


@pytest.mark.parametrize("place", PLACES)
def test_a_story_at_every_place_breaks_no_law(place: str) -> None:
    """Two where sides can be held: one with them."""
    for hedge in {PLACES[place].hedge, False}:
        one = grammar.story(f"place:{place}", 40, place)
        found = judged(replace(one, setup=replace(one.setup, hedge=hedge)))
        assert found.broken == {}
        assert found.bars > 30


@pytest.mark.parametrize("file", sorted(KEPT.glob("*.py")), ids=lambda file: file.stem)
def test_a_kept_story_breaks_no_law_any_more(file: Path) -> None:
    assert judged(runpy.run_path(str(file))["STORY"], twice=True).broken == {}


def test_the_same_seed_tells_the_same_story() -> None:
    assert tale(3, 7, 400) == tale(3, 7, 400) != tale(4, 7, 400)
    script = "from machine.grind import tale; print(repr(tale(3, 7, 400)))"
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    told = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told == [repr(tale(3, 7, 400))] * 2


def test_a_failure_shrinks_to_a_story_that_is_kept(tmp_path: Path) -> None:
    """Of a story in which somebody cancels while holding short, the cancelling and the short remain."""

    def breaks(story: Story) -> bool:
        acts = [act for bar in story.bars for act in bar.acts]
        sells = any(act.name == "market" and act.share < 0 for act in acts)
        return sells and any(act.name == "cancel" for act in acts)

    number = next(n for n in range(200) if breaks(grammar.story(f"shrink:{n}", 150)))
    small = shrunk(grammar.story(f"shrink:{number}", 150), breaks, seconds=30.0)
    assert sum(len(bar.acts) for bar in small.bars) == 2
    assert len(small.bars) <= 2
    assert repr(small.setup) == "Setup()"
    file = keep(small, "a law", "it says why\n", tmp_path)
    assert runpy.run_path(str(file))["STORY"] == small
    assert "it says why" in file.read_text(encoding="utf-8")


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--bars", "60", "--seed", "2", "--longest", "40", "--keep", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "laws broken: none" in told
    assert "events: " in told
    file = keep(tale(2, 0, 40), "nothing", "", tmp_path)
    assert main(["--story", str(file)]) == 0
    assert "no law is broken" in capsys.readouterr().out
