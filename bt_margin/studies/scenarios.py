"""One prepared Cerebro, run once per scenario: every run begins alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from bt_margin.plugin import assemble
from bt_margin.studies.bounds import EXTREMES
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.result import Run
from bt_margin.studies.run import complete, run_prepared

Scenarios = Mapping[str, Mapping[str, Any]]
#: Entered around each run with its label; gives what is to be told of its progress (0 … 1), if anything.
Around = Callable[[str], AbstractContextManager[Callable[[float], None] | None]]
Stamp = Callable[[Mapping[str, Run], float], Mapping[str, Any]]


def run_all(
    cerebro: Any,
    frames: Any,
    chosen: Scenarios,
    *,
    bounds: bool,
    around: Around,
    stamp: Stamp,
    last: str = "",
) -> Comparison:
    """Run a prepared Cerebro under each scenario (name → every broker keyword) and compare.

    The state of Python's and numpy's random numbers, and of the feeds' filters, is the same at the
    beginning of each run. ``last``
    names the scenario that is run after all others, so that the Cerebro and the script that owns it are
    left as that run leaves them. ``bounds`` also runs each scenario with the path inside the bar at its worst
    and at its best. ``stamp`` is given the runs and the seconds they took.
    """
    for own in chosen.values():
        complete(own, cerebro, frames is None)
    luck = random.getstate(), np.random.get_state()
    filters = assemble.keep_filters(cerebro)

    def once(label: str, name: str, keywords: Mapping[str, Any]) -> Run:
        random.setstate(luck[0])
        np.random.set_state(luck[1])
        filters()
        with around(label) as told:
            return run_prepared(cerebro, frames, keywords, name, told)

    started = time.perf_counter()
    runs: dict[str, Run] = {}
    extremes: dict[str, dict[str, Run]] = {}
    for name in sorted(chosen, key=lambda name: name == last):
        own = chosen[name]
        middle = complete(own, cerebro, frames is None).get("intrabar", "adverse")
        outer = [policy for policy in EXTREMES if bounds and policy != middle]
        found = {p: once(f"{name}, {p}", name, {**own, "intrabar": p}) for p in outer}
        runs[name] = once(name, name, own)
        if bounds:
            extremes[name] = {policy: found.get(policy, runs[name]) for policy in EXTREMES}
    runs = {name: runs[name] for name in chosen}
    comparison = Comparison(runs, stamp(runs, time.perf_counter() - started), extremes)
    comparison.divergence.to_frame()  # the law is checked on every comparison, asked for or not
    return comparison


def reporting(progress: Callable[[str, float], None] | None) -> Around:
    """Around each run nothing but a report of its progress under its label."""

    @contextmanager
    def around(label: str) -> Iterator[Callable[[float], None] | None]:
        yield None if progress is None else (lambda share: progress(label, share))

    return around
