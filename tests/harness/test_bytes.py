"""Same inputs, same bytes: in another process, and whatever Python's hashes are seeded with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness.bytes_of import cases

TESTS = Path(__file__).parents[1]


def printed(seed: str) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "harness.bytes_of"],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, str], dict[str, str]]:
    return printed("1"), printed("20250101")


@pytest.mark.parametrize("name", list(cases()))
def test_two_processes_leave_the_same_bytes(
    name: str, both: tuple[dict[str, str], dict[str, str]]
) -> None:
    """Ledger, events and equity of a run; every table of a study."""
    one, other = both
    assert one[name] == other[name]


def test_what_is_compared_differs_from_case_to_case(
    both: tuple[dict[str, str], dict[str, str]],
) -> None:
    assert len(set(both[0].values())) == len(cases())
