"""Replayed cells against full runs of the same cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bt_margin.studies.cells import COLUMNS, Outcome

#: How far a replayed number may be from the engine's, relative to its size (from 1 on).
TOLERANCE = 1e-9
#: Cells that are run in full besides: at least so many, at most so many.
FEWEST, MOST = 4, 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found: a sentence, and whether anything differs."""

    sentence: str
    differs: bool


def sample(found: Sequence[Outcome]) -> list[Outcome]:
    """The replayed cells to be run in full: the ends, the liquidated ones, and some between.

    The same cells for the same sweep.
    """
    count = min(len(found), max(FEWEST, min(MOST, len(found) // 100)))
    died = [place for place, one in enumerate(found) if float(one.row.get("liquidations", 0)) > 0]
    wanted = dict.fromkeys([0, len(found) - 1][: len(found)])
    wanted |= dict.fromkeys(died[:: max(1, len(died) // max(1, count // 2))][: count // 2])
    spread = np.random.default_rng(len(found)).permutation(len(found))
    for place in spread.tolist():
        if len(wanted) >= count:
            break
        wanted[place] = None
    return [found[place] for place in sorted(wanted)][: max(count, 2)]


def compared(
    chosen: Sequence[Outcome], again: Sequence[Outcome], found: Sequence[Outcome]
) -> Verdict:
    """What the sample (``chosen``, and ``again`` in full) says of everything that was found by replay."""
    engine = {outcome.cell.number: outcome for outcome in again}
    for outcome in chosen:
        other = engine[outcome.cell.number]
        name = difference(outcome, other)
        if name:
            own, theirs = outcome.row.get(name), other.row.get(name)
            return Verdict(
                f"The replay was thrown away and every cell run in full: in cell {outcome.cell.number} "
                f"{name} was {own!r} replayed and {theirs!r} in full. Please report this.",
                True,
            )
    several = f"{len(chosen)} of them were" if len(chosen) > 1 else "One of them was"
    return Verdict(
        f"{len(found):,} cells were replayed; {several} run in full as well and agree to "
        f"{TOLERANCE:g} in every statistic.",
        False,
    )


def difference(own: Outcome, other: Outcome) -> str:
    """The first column in which two outcomes differ by more than the tolerance, "" for none."""
    if bool(own.row.get("error")) != bool(other.row.get("error")):
        return "error"
    return next((name for name in COLUMNS if not _same(own.row[name], other.row[name])), "")


def _same(a: float, b: float) -> bool:
    """Equal to the tolerance; missing equals missing.

    >>> _same(1.0, 1.0 + 1e-12), _same(1.0, 1.001), _same(float("nan"), float("nan"))
    (True, False, True)
    """
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))
