"""Laws no story may break: a strategy that does anything, anywhere, and the books on every bar.

The laws are those of :mod:`machine.laws`, which the state machine keeps as well, with its ways to break them.
BT_MARGIN_STORIES=2000 tells many more stories.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from machine.breaks import broken as break_law
from machine.laws import AT_THE_END, FOLLOWS, ON_EVERY_BAR, OVER, Law
from machine.witness import ENDED
from plugin.restless import Story, live

from bt_margin.engine.events import KINDS

TESTS = Path(__file__).resolve().parents[1]
STORIES = max(24, int(os.environ.get("BT_MARGIN_STORIES", "24")))
#: seeds of stories in linear and, from one in which accounts die, in coin contracts
TOLD = [
    *((seed, False) for seed in range(STORIES)),
    *((seed, True) for seed in range(6, 6 + STORIES // 4)),
]
LAWS = [*(law.__name__ for law in (*ON_EVERY_BAR, *AT_THE_END)), ENDED]
#: what Mirrored asks on its own: broken like the law of the books
MIRRORED = "what Mirrored asks"


@dataclass
class Verdict:
    """What a story broke (law → where and what, the first time), and what happened in it."""

    broken: dict[str, str]
    kinds: Counter[str]
    statuses: Counter[str]


def judged(seed: int, coin: bool = False) -> Verdict:
    """Tell a story and hold it against every law."""
    broken: dict[str, str] = {}
    where = f"seed {seed}{', coin' if coin else ''}"

    def hold(laws: tuple[Law, ...], against: Any, when: str) -> None:
        for law in laws:
            try:
                law(against)
            except Exception as error:
                broken.setdefault(law.__name__, f"{where}, {when}: {error!r}")

    def watch(s: Any) -> None:
        hold(ON_EVERY_BAR, s, f"bar {len(s)}")

    try:
        life = live(Story(seed, coin), watch)
    except Exception as error:
        name = MIRRORED if isinstance(error, AssertionError) else ENDED
        return Verdict({**broken, name: f"{where}: {error!r}"}, Counter(), Counter())
    hold(AT_THE_END, life, "at the end")
    lines = [line for s in life.strategies for line in s.told if line[1] == "order"]
    kinds = Counter(event.kind for event in life.broker.events)
    return Verdict(broken, kinds, Counter(line[3] for line in lines))


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return [judged(seed, coin) for seed, coin in TOLD]


@pytest.mark.parametrize("law", [*LAWS, MIRRORED])
def test_no_story_breaks_the_law(law: str, verdicts: list[Verdict]) -> None:
    assert [v.broken[law] for v in verdicts if law in v.broken] == []


def test_everything_that_can_happen_happened(verdicts: list[Verdict]) -> None:
    """All kinds of events but the interest of spot loans, dated tables and the sale of pledged coins."""
    kinds = sum((verdict.kinds for verdict in verdicts), Counter())
    assert set(KINDS) - {"interest", "rules", "conversion"} - set(kinds) == set()
    assert set(sum((verdict.statuses for verdict in verdicts), Counter())) == {*FOLLOWS, *OVER}
    coins = sum((v.kinds for v, (_, coin) in zip(verdicts, TOLD, strict=True) if coin), Counter())
    assert set(coins) >= {"fill", "funding", "liquidation", "shortfall", "dead", "revived"}
    for count, stories in ((kinds, len(TOLD)), (coins, STORIES // 4)):
        assert min(count[kind] for kind in ("fill", "funding", "liquidation", "rejected")) > stories


# -- the same again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("coin", [False, True], ids=["linear", "coin"])
def test_a_story_told_twice_is_the_same(coin: bool) -> None:
    once, again, other = (live(Story(seed, coin)).retold() for seed in (3, 3, 4))
    assert len(once) > 50
    assert once == again
    assert once != other


def test_a_story_does_not_depend_on_hashes() -> None:
    script = "from plugin.restless import Story, live; print(*live(Story(5)).retold(), sep='\\n')"
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told == [live(Story(5)).retold()] * 2


# -- each law can be broken ---------------------------------------------------------------------------------

#: what these stories never bring (tables that change, rules that are asked anew), or Mirrored ends before it
NEVER = {
    "leverage_is_what_the_table_in_force_allows", "what_is_asked_is_what_the_rules_in_force_say",
    "each_fill_is_told_once",
}  # fmt: skip


@pytest.mark.parametrize("law", [law for law in (*LAWS, MIRRORED) if law not in NEVER])
def test_the_law_can_be_broken(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the code broken in one place some early story breaks this law."""
    break_law("open_trades_are_the_position" if law == MIRRORED else law, monkeypatch)
    assert any(law in judged(seed).broken for seed in range(STORIES))
