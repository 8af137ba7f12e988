"""Stress: one strategy through crashes, shocks and paths it has not seen, in every margin mode."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

from bt_margin._version import __version__
from bt_margin.errors import InputError, message
from bt_margin.plugin import assemble
from bt_margin.studies import backends
from bt_margin.studies.bend import step_of
from bt_margin.studies.bootstrap import BLOCK, Bootstrap
from bt_margin.studies.cells import Cell, Job
from bt_margin.studies.compare import _scenarios as _named
from bt_margin.studies.crashes import Crash, crash, crashes
from bt_margin.studies.paths import Market, Plan, through
from bt_margin.studies.run import as_frames, complete
from bt_margin.studies.shock_texts import shock_of
from bt_margin.studies.shocks import Shock, shocked, under
from bt_margin.studies.stress_points import points
from bt_margin.studies.stressed import TIE, Stress

Progress = Callable[[str, float], None]
PATHS = 100
AT = 3
#: Keywords of the broker that belong to the history as it was, and would be untrue in any other market.
_OF_HISTORY = ("detail", "funding", "mark", "delisted")


def stress(
    strategy: Any,
    data: Any,
    *,
    params: Mapping[str, Any] | None = None,
    crashes: Iterable[str | Crash] | None = None,
    at: Any = AT,
    shocks: Sequence[Shock | str] = (),
    paths: int = PATHS,
    length: str | None = None,
    block: str = BLOCK,
    seed: int = 0,
    scenarios: Mapping[str, Mapping[str, Any]] | None = None,
    workers: int | None = 1,
    backend: str = "loky",
    progress: Progress | None = None,
    command: str = "",
    **broker: Any,
) -> Stress:
    """Run a strategy through crashes, shocks and resampled paths, in both margin modes on the same markets.

    strategy, data, params, broker : as for :func:`bt_margin.run`; the strategy is a class
    crashes : crashes of the library laid over the history (names, or own :class:`Crash` objects); None: all,
        ``()``: none
    at : where a crash begins: a time, several times, or a number of evenly spaced ones
    shocks : what holds in every market but the plain history: objects of :mod:`bt_margin.studies.shocks`
        or texts (``"gap=-0.3@2025-10-01"``)
    paths : how many bootstrapped paths (:class:`bt_margin.studies.bootstrap.Bootstrap`); 0: none
    length, block : of a path (None: as long as the history), and the mean length of its blocks
    seed : of the paths, of the strategy's luck on them and of the intervals
    scenarios : name → broker keywords, by default the venue's margin modes
    workers, backend : processes (1: this one, None: as many as cores) and joblib's backend; the result does
        not depend on them

    Each market is run by the full engine. The result is a :class:`bt_margin.studies.stressed.Stress`.

    :raises InputError: what cannot be meant, or a run that failed, with the market it failed in.
    """
    began = time.perf_counter()
    frames = as_frames(data)
    _check(strategy, params, paths, seed)
    chosen = _scenarios(scenarios, broker)
    applied = tuple(shock_of(each) for each in shocks)
    drawn = Bootstrap(frames, block=block, bars=_bars(length, frames)) if paths else None
    plan = Plan(chosen, applied, seed, block, drawn.bars if drawn else None)
    markets = _markets(frames, _crashes(crashes), at, applied, paths)
    job = Job(strategy, frames, dict(params or {}), {"plan": plan})
    _try_out(job, plan, markets)
    crew = backends.Crew(backends.SERIAL if workers == 1 else backend, workers)
    backends.check(crew)
    rows, curves, told = _gather(job, markets, crew, progress)
    return Stress(
        runs=rows,
        curves={name: np.array(each) for name, each in curves.items()},
        scenarios=tuple(chosen),
        strategy=told["title"],
        currency=told["currency"],
        cash=float(rows["initial_cash"].iloc[0]),
        days=0.0 if drawn is None else drawn.bars * drawn.step / 86_400_000_000_000,
        seed=seed,
        shocks=tuple(repr(shock) for shock in applied),
        stamp=_stamp(job, plan, paths, began, command),
        synthetic=any(bool(frame.attrs.get("synthetic")) for frame in frames.values()),
    )


def _check(strategy: Any, params: Mapping[str, Any] | None, paths: Any, seed: Any) -> None:
    """:raises InputError: no strategy class, parameters it lacks, no number of paths, or no seed."""
    if not assemble.is_strategy(strategy):
        todo = "give the class itself: every path is a run of its own"
        allowed = "a subclass of backtrader.Strategy"
        raise InputError(message("strategy", repr(strategy), allowed, None, todo))
    assemble.check_params(strategy, params or {})
    for name, value in (("paths", paths), ("seed", seed)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InputError(message(name, repr(value), "a whole number from 0 on"))


def _scenarios(
    given: Mapping[str, Mapping[str, Any]] | None, broker: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The scenarios by name, every broker keyword in each. :raises InputError: series of the history."""
    chosen = {name: {**broker, **own} for name, own in _named(given, broker).items()}
    if TIE in chosen:
        raise InputError(f"a scenario cannot be called {TIE!r}: so are paths that end alike")
    for keywords in chosen.values():
        for word in _OF_HISTORY:
            if keywords.get(word) is not None:
                raise InputError(
                    f"{word}= belongs to the history as it was, and a stress test has other prices; "
                    "put funding and marks into the frames, leave finer bars out"
                )
    return chosen


def _crashes(given: Iterable[str | Crash] | None) -> list[Crash]:
    if given is None:
        return list(crashes().values())
    if isinstance(given, (str, Crash)):
        given = [given]
    return [crash(each) if isinstance(each, str) else each for each in given]


def _bars(length: str | None, frames: Mapping[str, pd.DataFrame]) -> int | None:
    """The bars of a path. :raises InputError: no length of time."""
    if length is None:
        return None
    try:
        span = pd.Timedelta(length)
    except (ValueError, TypeError) as error:
        raise InputError(message("length", repr(length), 'a length of time, e.g. "90D"')) from error
    return max(0, int(span.value // step_of(next(iter(frames.values())))))


def _markets(
    frames: Mapping[str, pd.DataFrame],
    chosen: Sequence[Crash],
    at: Any,
    applied: Sequence[Shock],
    paths: int,
) -> list[Market]:
    """Every market: the history, with the shocks, through each crash at each point, and the paths."""
    found = [Market("history")]
    if applied:
        found.append(Market("shocked"))
    if chosen:
        times = points(frames, at)
        found += [Market("crash", crash=each, at=time) for each in chosen for time in times]
    return found + [Market("path", number=number) for number in range(paths)]


def _try_out(job: Job, plan: Plan, markets: Sequence[Market]) -> None:
    """Refuse here what every worker would refuse: settings nobody has, shocks outside the data."""
    cerebro = assemble.build(job.strategy, job.data, job.params)
    for keywords in plan.scenarios.values():
        complete(keywords, cerebro, False)
        under(keywords, job.data, plan.shocks)
    shocked(job.data, plan.shocks)
    for kind in ("crash", "path"):
        first = next((each for each in markets if each.kind == kind), None)
        try:
            if first is not None:
                first.frames(job, plan)
        except InputError as error:
            raise InputError(
                f"on the {kind}s: {error}; shocks hold there as well: choose moments that lie in them, "
                f"or leave the {kind}s out"
            ) from error


def _gather(
    job: Job, markets: Sequence[Market], crew: backends.Crew, progress: Progress | None
) -> tuple[pd.DataFrame, dict[str, list[Any]], dict[str, str]]:
    """Every market run once; rows and curves in the order of the markets, whoever came first."""
    cells = [Cell(place, {"market": market}) for place, market in enumerate(markets)]
    found: dict[int, Mapping[str, Any]] = {}
    for outcome in backends.each(job, cells, crew, work=through):
        if outcome.error:
            raise InputError(f"{job.strategy.__name__} failed on {outcome.error}")
        found[outcome.cell.number] = outcome.row
        if progress is not None:
            progress("stress", len(found) / len(cells))
    ordered = [found[place] for place in range(len(cells))]
    rows = pd.DataFrame([row for each in ordered for row in each["rows"]])
    rows["path"] = rows["path"].astype("Int64")
    curves: dict[str, list[Any]] = {}
    for each in ordered:
        for name, curve in each["curves"].items():
            curves.setdefault(name, []).append(curve)
    return rows, curves, {"title": ordered[0]["title"], "currency": ordered[0]["currency"]}


def _stamp(job: Job, plan: Plan, paths: int, began: float, command: str) -> dict[str, Any]:
    """How this was made: enough to make it again."""
    return {
        "strategy": job.strategy.__name__,
        "params": {**dict(job.strategy.params._getitems()), **job.params},
        "paths": paths,
        "bars of a path": plan.bars,
        "block": plan.block,
        "seed": plan.seed,
        "bt_margin": __version__,
        **{name: metadata.version(name) for name in ("backtrader", "numpy", "pandas")},
        "python": platform.python_version(),
        "seconds": round(time.perf_counter() - began, 3),
        "command": command or " ".join(sys.argv[:1]),
    }
