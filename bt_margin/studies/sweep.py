"""The same strategy under thousands of settings: grids and draws, in parallel, resumable."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from bt_margin.errors import InputError, message
from bt_margin.plugin import assemble
from bt_margin.studies.backends import Crew, check, each
from bt_margin.studies.cells import COLUMNS, Cell, Job, Outcome, check_settings
from bt_margin.studies.run import as_frames
from bt_margin.studies.sweep_check import Verdict, compared, sample
from bt_margin.studies.sweep_classes import studied
from bt_margin.studies.sweep_grid import Plan, plan
from bt_margin.studies.sweep_result import Sweep, Table
from bt_margin.studies.sweep_stamp import stamp_of
from bt_margin.studies.sweep_store import Store, store

Progress = Callable[[str, float], None]
ENGINES = ("auto", "replay", "full")
LABEL = "sweep"


class ReplayDiffers(UserWarning):
    """Replay and full engine disagreed on a sweep: a fault of ours; its results are the full engine's."""


def sweep(
    strategy: Any,
    data: Any,
    grid: Mapping[str, Iterable[Any]] | None = None,
    *,
    draws: int | None = None,
    distributions: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    engine: str = "auto",
    backend: str = "loky",
    workers: int | None = None,
    address: str = "",
    store: str | Path | None = None,
    progress: Progress | None = None,
    command: str = "",
    **common: Any,
) -> Sweep:
    """Run one strategy under every combination of settings and lay the results out as a table.

        btm.sweep(Trend, frames, {"leverage": range(1, 51), "margin_mode": ["cross", "isolated"]},
                  venue="binance", cash=10_000)

    ``strategy`` class, ``data`` and ``params`` as in :func:`bt_margin.run`; ``common`` are the settings all
    cells share. A *setting* is a keyword of :class:`MarginBroker` (``leverage``, ``margin_mode``, ``venue``,
    ``as_of``, ``cash``, ``intrabar``, ...), one of ``taker_fee``, ``maker_fee``, ``liquidation_fee``,
    ``fee_factor`` (times the venue's fees), ``maintenance_buffer`` (0.1: a tenth more than the venue asks
    for), ``fill_slippage`` (fraction of the price, of every market order), ``seed`` (of Python's and numpy's
    random numbers), or a parameter of the strategy as ``"params.fast"``.

    ``grid`` setting → values: every combination. ``draws`` and ``distributions``: that many random points
    (:func:`bt_margin.studies.sweep_grid.plan`); with a grid besides, each point under all its combinations.
    ``seed`` is that of the draws, and of the cells where it is no setting: all cells meet the same luck.

    ``engine`` ``"full"`` runs every cell in backtrader. ``"replay"`` replays the recorded orders of one run
    and is refused where the strategy reads its account. ``"auto"`` replays where that is exact and proved on
    this strategy, and says so; a sample of what was replayed is run in full and compared.

    ``backend`` ``"loky"`` (processes of this machine), ``"serial"``, ``"dask"``, ``"ray"`` or any backend
    registered with joblib; ``workers`` of them (None: one per core), ``address`` of a Dask or Ray cluster.
    The results are the same to the last bit. ``store``: a folder in which finished cells are kept; the same
    call goes on where a killed one was. ``progress`` is called with a label and the share done.

    A cell that raises is a row with its error.

    :raises InputError: an unknown setting, nothing to vary, a store of another sweep, a refused replay.
    """
    began = time.perf_counter()
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(message("seed", seed, "a whole number from 0 to 2**32 - 1"))
    todo = plan(grid, draws, distributions, seed)
    job = _job(strategy, data, params, {"seed": seed, **common}, todo)
    crew = Crew(backend, workers, address)
    _check(job, todo, crew, engine)
    work = _Work(job, todo, crew, engine, store, progress)
    with studied(strategy):
        said = work.done()
    seconds = time.perf_counter() - began
    return Sweep(job, todo, work.table, said, stamp_of(job, todo, crew, seconds, command))


def _job(
    strategy: Any,
    data: Any,
    params: Mapping[str, Any] | None,
    common: Mapping[str, Any],
    todo: Plan,
) -> Job:
    """What all cells share. :raises InputError: no strategy class, no frames, a setting nobody has."""
    if assemble.is_cerebro(strategy) or not assemble.is_strategy(strategy):
        found = "an assembled Cerebro" if assemble.is_cerebro(strategy) else repr(strategy)
        todo_ = (
            "give the class and its data; a Cerebro is one run, which btm.run and btm.compare take"
        )
        raise InputError(
            message("strategy", found, "a subclass of backtrader.Strategy", None, todo_)
        )
    assemble.check_params(strategy, params or {})
    job = Job(strategy, as_frames(data), dict(params or {}), dict(common), "venue" in todo.axes)
    check_settings([*common, *todo.axes], job)
    return job


def _check(job: Job, todo: Plan, crew: Crew, engine: str) -> None:
    """:raises InputError: what can be told before anything runs."""
    if engine not in ENGINES:
        raise InputError(message("engine", repr(engine), ", ".join(ENGINES)))
    if "venue" not in todo.axes and job.common.get("venue") is None:
        raise InputError('no venue given; say whose rules apply, e.g. venue="binance"')
    both = [name for name in todo.axes if name in job.common and name != "seed"]
    if both:
        raise InputError(f"{', '.join(both)} given for all cells and varied; leave one out")
    check(crew)


class _Work:
    """A sweep under way: what is done goes into the table and the store."""

    def __init__(
        self, job: Job, todo: Plan, crew: Crew, engine: str, folder: Any, progress: Progress | None
    ) -> None:
        self.job, self.cells, self.crew, self.engine = job, todo.cells, crew, engine
        self.folder, self.progress = folder, progress
        self.table = Table(len(todo.cells))
        self.finished = 0

    def done(self) -> str:
        """Do what is left to do; what there is to say about the engines."""
        with store(self.folder, self.job, self.cells, self.engine) as kept:
            for outcome in kept.done.values():
                self._take(outcome)
            left: Sequence[Cell] = [cell for cell in self.cells if cell.number not in kept.done]
            said = "Every cell is a full run in backtrader."
            if self.engine != "full":
                said, left = self._replayed(left, kept)
            self._run(left, kept)
        return said

    def _run(self, cells: Sequence[Cell], kept: Store) -> None:
        """The cells in full, as they come."""
        for outcome in each(self.job, cells, self.crew, folder=self._shared()):
            kept.add(outcome)
            self._take(outcome)

    def _shared(self) -> Any:
        """Where the packed job is put: with backends that may be anywhere, beside the results."""
        return (
            self.folder
            if self.crew.backend not in ("loky", "threading", "multiprocessing")
            else None
        )

    def _take(self, outcome: Outcome) -> None:
        self.table.add(outcome)
        self.finished += 1
        if self.progress is not None:
            self.progress(LABEL, min(1.0, self.finished / len(self.cells)))

    def _replayed(self, cells: Sequence[Cell], kept: Store) -> tuple[str, Sequence[Cell]]:
        """What can be replayed is; what is to be said about it, and the cells that are left.

        :raises InputError: engine="replay", and it cannot be.
        """
        if not cells:
            return "Everything was in the store.", cells
        answer = _replay(self.job, cells, self.crew.count())
        if answer.wrong:
            warnings.warn(answer.wrong, ReplayDiffers, stacklevel=5)
        if not answer.found:
            if self.engine == "replay":
                why = answer.reason
                raise InputError(f"engine='replay' cannot be used here: {why}; take engine='auto'")
            return f"Every cell is a full run in backtrader: {answer.reason}.", cells
        verdict = self._compared(answer.found)
        if verdict.differs:
            warnings.warn(verdict.sentence, ReplayDiffers, stacklevel=5)
            kept.forget()
            self.finished = 0
            return verdict.sentence, self.cells
        found = answer.found
        for outcome in found:
            kept.add(outcome)
            self._take(outcome)
        here = {outcome.cell.number for outcome in found}
        left = [cell for cell in cells if cell.number not in here]
        more = f" {len(left):,} others were run in full: {answer.reason}." if left else ""
        return verdict.sentence + more, left

    def _compared(self, found: Sequence[Outcome]) -> Verdict:
        """A sample of what was replayed against full runs."""
        chosen = sample(found)
        again = each(
            self.job, [outcome.cell for outcome in chosen], self.crew, folder=self._shared()
        )
        return compared(chosen, list(again), found)


class _Answer(NamedTuple):
    """What the kernel could do, why it left the (first) rest, and what its own check found wrong."""

    found: list[Outcome]
    reason: str = ""
    wrong: str = ""


def _replay(job: Job, cells: Sequence[Cell], threads: int) -> _Answer:
    """What the replay kernel could do exactly."""
    try:
        replayed = import_module("bt_margin.studies.replay").replayed
    except (ImportError, AttributeError):
        return _Answer([], "there is no replay kernel here")
    answer = replayed(job, cells, threads=threads)
    reasons = [str(one.reason) for one in answer.left]
    reason = str(answer.refused or next(iter(reasons), ""))
    return _Answer([_whole(outcome) for outcome in answer.outcomes], reason, str(answer.wrong))


def _whole(outcome: Outcome) -> Outcome:
    """An outcome of the kernel with every column there is."""
    blank = dict.fromkeys(COLUMNS, math.nan) | {
        "error": "",
        "engine": "replay",
        "seconds": math.nan,
    }
    return replace(outcome, row={**blank, **outcome.row})
