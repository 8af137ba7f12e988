"""How the kernel's parts are compiled: linked, by address, once for all whole numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from bt_margin.studies.replay import linking
from bt_margin.studies.replay.compile import COMPILED, compiled, entry
from bt_margin.studies.replay.handles import handle


class Pair(NamedTuple):
    """Two arrays."""

    first: Any
    second: Any


@compiled
def taken(pair: Pair, place: int) -> float:
    """A number of the first array, after the second has been told."""
    pair.second[place] += 1.0
    return float(pair.first[place])


@compiled
def summed(pair: Pair) -> float:
    """Both places, one written out and one counted."""
    total = taken(pair, 0)
    for place in range(1, len(pair.first)):
        total += taken(pair, place)
    return total


@entry
def asked(pair: Pair) -> float:
    """What Python calls."""
    return summed(handle(pair))


def test_a_handle_reads_and_writes_the_arrays_it_stands_for() -> None:
    pair = Pair(np.array([2.0, 3.0]), np.zeros(2))
    assert asked(pair) == 5.0
    assert list(pair.second) == [1.0, 1.0]


@pytest.mark.skipif(not COMPILED, reason="numba is not installed, or BT_MARGIN_PLAIN_KERNEL is set")
def test_a_part_is_compiled_once_for_numbers_written_out_and_counted() -> None:
    asked(Pair(np.array([2.0, 3.0]), np.zeros(2)))
    assert len(getattr(taken, "overloads", ())) <= 1  # none when the entry came from numba's cache


@pytest.mark.parametrize(
    ("version", "hooked"), [("0.58.1", False), ("0.59.0", True), ("1.0", False)]
)
def test_a_numba_without_the_hooks_compiles_as_ever(version: str, hooked: bool) -> None:
    assert bool(linking.options(SimpleNamespace(__version__=version))) == hooked
