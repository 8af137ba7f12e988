"""What a survival study says of itself: who computed what, what was compared, how it was made."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pandas as pd

from bt_margin._version import __version__
from bt_margin.plugin.late import JOINS
from bt_margin.studies.backends import Crew
from bt_margin.studies.cells import Job
from bt_margin.studies.run import plain
from bt_margin.studies.survival_work import FULL, REPLAY, TO_FAILURE
from bt_margin.studies.sweep_store import data_digest

if TYPE_CHECKING:
    from bt_margin.studies.starts import WarmUp
    from bt_margin.studies.survival_result import Survival

_FEW = 10.0  # windows that do not overlap: below, intervals say little


def engines(runs: pd.DataFrame, reason: str) -> list[str]:
    """Which engine computed how many runs, and why some were not replayed ("": no reason is known)."""
    why = f": {reason}" if reason else ""
    counts = runs["engine"].value_counts()
    own = {name: int(counts.get(name, 0)) for name in (REPLAY, TO_FAILURE, FULL)}
    if own[FULL] == len(runs):
        return [f"Every run is a full run in backtrader{why}."]
    told = [f"{own[REPLAY]:,} were replayed"]
    if own[TO_FAILURE]:
        told.append(f"{own[TO_FAILURE]:,} replayed to their failure")
    told.append(f"{own[FULL]:,} run in full{why}" if own[FULL] else "none had to be run in full")
    return [f"Of {plural(len(runs), 'run')} {', '.join(told)}."]


def notes(result: Survival, warm: WarmUp, said: Sequence[str], lost: int) -> Iterator[str]:
    """What to know when reading a survival study."""
    bars = "all bars before it" if warm.bars is None else plural(warm.bars, "bar")
    met = "lived through without trading" if warm.begin == JOINS else "for the indicators only"
    yield f"Before each start: {bars} of warm-up, {met}. The first order fills a bar after the start."
    yield from said
    if result.independent < _FEW:
        yield (
            f"The windows overlap: the history holds {result.independent:.1f} of them side by side, and "
            "intervals from so few say little."
        )
    mixed = int((~result.frontier["monotone"].astype(bool)).sum())
    if mixed:
        yield (
            f"At {mixed} of {plural(len(result.frontier), 'start and mode', 'starts and modes')} a riskier "
            f"{'wallet' if result.variable == 'cash' else 'leverage'} survived what a safer one did not "
            "(column monotone)."
        )
    if len(result.runs) < len(result.frontier) * len(result.plan.ladder):
        yield (
            "Rungs between two that were run and agree were not run themselves; "
            'method="grid" runs every one.'
        )
    if (result.runs["engine"] == TO_FAILURE).any():
        yield (
            "What was replayed to its failure has the fate and the days, and no number of what came after; "
            'method="grid" runs it in full.'
        )
    failed = int((result.runs["error"] != "").sum())
    if failed or lost:
        yield f"{plural(failed + lost, 'run')} raised an error and counts as not surviving (column error)."


def stamp_of(job: Job, crew: Crew, seconds: float, command: str) -> dict[str, Any]:
    """How the study was made: enough to make it again."""
    return {
        "strategy": job.strategy.__name__,
        "params": dict(job.params),
        "settings": {name: plain(value) for name, value in job.common.items()},
        "bt_margin": __version__,
        **{name: metadata.version(name) for name in ("backtrader", "numpy", "pandas", "joblib")},
        "python": platform.python_version(),
        "data": {symbol: data_digest(frame) for symbol, frame in job.data.items()},
        "backend": crew.backend,
        "seconds": round(seconds, 3),
        "command": command or " ".join(sys.argv[:1]),
    }


def plural(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> plural(1, "bar"), plural(1200, "bar")
    ('1 bar', '1,200 bars')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
