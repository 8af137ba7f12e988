"""Random intents on random markets: the kernel and the full engine tell the same story, event by event."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from replay.stories import Story, difference, replayed

from bt_margin.studies.replay.compile import PLAIN
from bt_margin.studies.replay.market import Unfit

#: BT_MARGIN_STORIES=10000 tells many more
STORIES = int(os.environ.get("BT_MARGIN_STORIES", "120"))
BATCH = 20
TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("first", range(0, STORIES, BATCH))
def test_kernel_and_engine_tell_the_same_story(first: int) -> None:
    found = {seed: told(seed) for seed in range(first, first + BATCH)}
    assert {seed: words for seed, words in found.items() if words} == {}


def told(seed: int) -> str:
    """What differs in a story; "" also where it is not for the kernel."""
    try:
        return difference(seed)
    except Unfit:
        return ""


def digest(stories: int) -> str:
    """Everything a few stories leave behind, in sixteen digits."""
    whole = hashlib.sha256()
    for seed in range(stories):
        _, state, equity, _, _ = replayed(Story(seed))
        whole.update(equity.tobytes())
        whole.update(state.events.tobytes())
        whole.update(state.money.tobytes())
        whole.update(state.counts.tobytes())
    return whole.hexdigest()[:16]


def test_without_numba_the_results_are_the_same_bits() -> None:
    code = "from replay.test_stories import digest; print(digest(6))"
    plain = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=TESTS, capture_output=True, text=True,
        env={**os.environ, PLAIN: "1", "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}, check=True,
    )  # fmt: skip
    assert plain.stdout.strip() == digest(6)


#: Breaks that are tried here; all of them take many minutes: BT_MARGIN_BREAKS=99
BROKEN = os.environ.get("BT_MARGIN_BREAKS", "2")


def test_breaks_of_the_kernel_are_noticed() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "replay.breaks", BROKEN],
        cwd=TESTS, capture_output=True, text=True,
        env={**os.environ, PLAIN: "1", "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
