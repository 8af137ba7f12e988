"""Who does the work: cells go to joblib's backends and come back as outcomes, each exactly once.

``"serial"`` works in this process, ``"loky"`` in processes of this machine, ``"dask"`` and ``"ray"`` on their
clusters (a local one is started where none is connected), and any other name is a backend registered with
joblib. A worker that dies takes its cell with it and nothing else: what had not come back is handed out
again. A cell that was in the hands of dying workers several times is tried once more on its own, and when
that fails too its row says so.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import joblib
from joblib import parallel

from bt_margin.errors import InputError, near
from bt_margin.studies.cells import ALONE, COLUMNS, Cell, Job, Outcome, echo, full, told
from bt_margin.studies.parcel import Parcel, ParcelError, opened, packed
from bt_margin.studies.sweep_classes import studied

SERIAL = "serial"
#: More processes than any machine has cores, or tasks of a cluster that are handed out at once.
MOST_WORKERS = 1_024
#: Backends whose workers may be on other machines: what they need besides joblib.
CLUSTERS = {"dask": "dask[distributed]", "ray": "ray"}
#: How often a cell may be in the hands of a dying pool before it is tried on its own.
STRIKES = 3
#: Cells a worker gets at a time from backends that cannot give results one by one.
SLICE = 8
_LOOK = 1.0  # seconds between two looks of a worker for its parent


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of a sweep: joblib's backend, how many, and the address of a cluster ("": a local one)."""

    backend: str = "loky"
    workers: int | None = None
    address: str = ""

    def count(self) -> int:
        """How many workers are asked for: as many as this machine has cores when nothing was said."""
        return self.workers or joblib.cpu_count()


def check(crew: Crew) -> None:
    """:raises InputError: no such backend, a package it needs is not installed, or no number of workers."""
    workers = crew.workers
    if workers is not None and (not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS):
        raise InputError(
            f"workers={workers!r}: give a whole number from 1 to {MOST_WORKERS:,}, or None for all cores"
        )
    if crew.address and crew.backend not in CLUSTERS:
        raise InputError(
            f"address={crew.address!r} is for backend dask or ray, not {crew.backend!r}"
        )
    if crew.backend == SERIAL:
        return
    if crew.backend in CLUSTERS:
        _register(crew.backend)
    known = [SERIAL, *CLUSTERS, *parallel.BACKENDS]
    if crew.backend not in parallel.BACKENDS:
        hint = near(str(crew.backend), known) or f"known are {', '.join(dict.fromkeys(known))}"
        raise InputError(
            f"backend {crew.backend!r} is not registered with joblib; {hint}, "
            "or register it with joblib.register_parallel_backend"
        )


def _register(name: str) -> None:
    """Tell joblib of a cluster's backend. :raises InputError: its package is not installed."""
    try:
        if name == "ray":
            import_module("ray.util.joblib").register_ray()
        else:
            import_module("dask.distributed")
            parallel.EXTERNAL_BACKENDS["dask"]()
    except ImportError as error:
        raise InputError(
            f"backend {name!r} needs {CLUSTERS[name]}: pip install 'bt-margin[{name}]' ({error})"
        ) from error


def each(
    job: Job, cells: Sequence[Cell], crew: Crew, *, folder: Any = None, work: Any = full
) -> Iterator[Outcome]:
    """The outcome of every cell, once, as they come; the same whatever the backend.

    ``work(cell, job)`` is what is done with a cell; ``folder`` where the packed job is put (``None``: the
    system's temporary folder).
    """
    if crew.backend == SERIAL or not cells:
        yield from _alone(job, cells, work)
        return
    with packed(job, folder) as parcel, cluster(crew) as (workers, sent, options):
        crowd = min(workers, len(cells))  # nobody is called who has nothing to do
        rounds = _Rounds(crew.backend, options, crowd, parcel, sent(parcel), work, job)
        yield from rounds.all_of(cells)


def _alone(job: Job, cells: Sequence[Cell], work: Any) -> Iterator[Outcome]:
    """One after the other, in this process."""
    for cell in cells:
        with studied(job.strategy):
            outcome = work(cell, job)
        yield outcome


def do(work: Any, parcel: Parcel, content: Any, cell: Cell) -> Outcome:
    """What a worker does with one cell. :raises ParcelError: it cannot open the job."""
    with ALONE:
        job = opened(parcel, fetched(content)).job
        with studied(job.strategy):
            found: Outcome = work(cell, job)
    return found


def fetched(content: Any) -> Any:
    """The bytes of a job: as they are, or from Ray's store of objects."""
    if type(content).__name__ == "ObjectRef":
        return import_module("ray").get(content)
    return content


@dataclass
class _Rounds:
    """Handing out cells until all have come back: a round ends when all are done or the pool broke."""

    backend: str
    options: Mapping[str, Any]
    workers: int
    parcel: Parcel
    content: Any
    work: Any
    job: Job
    strikes: dict[int, int] = field(default_factory=dict)

    def all_of(self, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """Every cell once."""
        waiting = {cell.number: cell for cell in cells}
        while waiting:
            handed: list[int] = []
            fit = [c for n, c in waiting.items() if self.strikes.get(n, 0) < STRIKES]
            batch, workers = (fit, self.workers) if fit else ([next(iter(waiting.values()))], 1)
            try:
                for outcome in self._round(batch, workers, handed):
                    if waiting.pop(outcome.cell.number, None) is not None:
                        yield outcome
            except (ParcelError, GeneratorExit):
                raise
            except Exception as error:
                lost = self._struck([n for n in handed if n in waiting], batch, bool(fit))
                if lost is not None:
                    yield _fallen(waiting.pop(lost), self.job, error)

    def _struck(self, held: Sequence[int], batch: Sequence[Cell], several: bool) -> int | None:
        """Note who was in the hands of the broken pool; the cell that broke it alone, if it did."""
        if not several:
            return batch[0].number
        for number in held or [batch[0].number]:
            self.strikes[number] = self.strikes.get(number, 0) + 1
        return None

    def _round(self, cells: Sequence[Cell], workers: int, handed: list[int]) -> Iterator[Outcome]:
        """One pool, one cell a task, as they come back; backends that give lists get a slice at a time.

        A single worker is one of two, the other without work: joblib would let this process do the work of
        a pool of one, and die of it.
        """
        pool_of = max(2, workers)
        with joblib.parallel_config(backend=self.backend, n_jobs=pool_of, **self.options) as config:
            streams = bool(config["backend"].supports_return_generator)
            pool = joblib.Parallel(
                batch_size=1,
                pre_dispatch="2*n_jobs" if workers > 1 else 1,
                max_nbytes=None,
                return_as="generator_unordered" if streams else "list",
            )
        if streams:
            yield from pool(self._tasks(cells, handed))
            return
        with pool:  # one pool for all slices
            for start in range(0, len(cells), SLICE * workers):
                yield from pool(self._tasks(cells[start : start + SLICE * workers], handed))

    def _tasks(self, cells: Sequence[Cell], handed: list[int]) -> Iterator[Any]:
        """What the pool asks for, noting what it got."""
        for cell in cells:
            handed.append(cell.number)
            yield joblib.delayed(do)(self.work, self.parcel, self.content, cell)


def _fallen(cell: Cell, job: Job, error: Exception) -> Outcome:
    """The row of a cell whose worker dies whenever it has it."""
    row = echo(cell, job) | dict.fromkeys(COLUMNS, math.nan)
    died = f"the worker died each time it had this cell ({told(error)[:200]})"
    return Outcome(cell, row | {"error": died, "engine": "full", "seconds": math.nan})


# -- clusters ----------------------------------------------------------------------------------------

Sent = Callable[[Parcel], Any]


@contextmanager
def cluster(crew: Crew) -> Iterator[tuple[int, Sent, dict[str, Any]]]:
    """What is behind a backend: how many workers, how a parcel is sent there, and joblib's options of it.

    A client of Dask or a Ray that is connected already is used and left as it is.
    """
    with ExitStack() as stack:
        if crew.backend == "dask":
            client = stack.enter_context(_dask(crew))
            yield max(1, sum(client.ncores().values())), Parcel.content, {"client": client}
        elif crew.backend == "ray":
            workers = stack.enter_context(_ray(crew))
            yield workers, lambda parcel: import_module("ray").put(parcel.content()), {}
        elif crew.backend == "loky":
            yield crew.count(), _stays, {"initializer": stay_with, "initargs": (os.getpid(),)}
        else:
            yield crew.count(), _stays, {}


def stay_with(parent: int) -> None:
    """Let this process end when its parent is gone: killed outright, a parent cannot tell its workers.

    Ctrl-C reaches the workers too; it is the parent that ends them, without a word of theirs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


def _stays(parcel: Parcel) -> None:
    """Workers on this machine read the file."""


@contextmanager
def _dask(crew: Crew) -> Iterator[Any]:
    """A client of Dask: the one there is, one of the address given, or one of a cluster of our own."""
    distributed = import_module("dask.distributed")
    with ExitStack() as stack:
        client = None
        if not crew.address:
            with suppress(ValueError):
                client = distributed.get_client()
        if client is None:
            where: Mapping[str, Any] = {"address": crew.address} if crew.address else _local(crew)
            client = stack.enter_context(distributed.Client(**where))
        yield client


def _local(crew: Crew) -> dict[str, Any]:
    """A Dask cluster on this machine alone: one thread a worker, nothing on the network, no web page."""
    return {
        "n_workers": crew.count(),
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
    }


@contextmanager
def _ray(crew: Crew) -> Iterator[int]:
    """Ray: the one that is running, the cluster at the address given, or a local one for a while."""
    ray = import_module("ray")
    mine = not ray.is_initialized()
    if mine:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        where = {"address": crew.address} if crew.address else {"num_cpus": crew.count()}
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
        ray.init(**quiet, **where)
    try:
        there = int(ray.cluster_resources().get("CPU", 1))
        yield min(crew.workers or there, there)
    finally:
        if mine:
            ray.shutdown()
