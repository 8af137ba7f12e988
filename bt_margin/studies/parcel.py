"""A job on its way to the workers: packed once, opened once by each, read without copying.

A parcel is one file: a pickle whose numpy arrays stand beside it, aligned, as they are in memory. A worker
on the same machine maps the file into memory, so that all workers share one copy of the data; a worker on
another machine is sent its bytes, once. The folder is taken away at the end; when this process is killed,
joblib's resource tracker does it.

Classes that a fresh process could not import travel by value (:mod:`bt_margin.studies.sweep_classes`), and so
do venues of one's own.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib.externals.loky.backend import resource_tracker
from numpy.typing import NDArray

from bt_margin.errors import BtMarginError, InputError
from bt_margin.studies.cells import Job
from bt_margin.studies.sweep_classes import StandIn, dumped, own_modules
from bt_margin.venues import _ALIASES, _BUILDERS

FILE = "job.parcel"
PREFIX = "bt_margin-sweep-"
_ALIGNED = 64
Bytes = NDArray[np.uint8]


class ParcelError(BtMarginError):
    """A worker could not open the job: the same for every cell, so the sweep ends."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Where a packed job is: ``path`` of the file, ``digest`` of what is in it."""

    path: str
    digest: str

    def content(self) -> Bytes:
        """All its bytes, for workers that do not see the file."""
        return np.fromfile(self.path, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Opened:
    """A job in the process that works on it."""

    job: Job


@contextmanager
def packed(job: Job, folder: str | Path | None = None) -> Iterator[Parcel]:
    """The job in a file of a folder of its own (under ``folder``, else the system's temporary one).

    :raises InputError: a strategy or a setting that cannot be sent to another process, or no place for it.
    """
    blobs = _pickled(job)
    try:
        place = tempfile.mkdtemp(prefix=PREFIX, dir=folder)
    except OSError as error:
        raise InputError(f"no place for the data of the sweep: {error}") from error
    resource_tracker.register(place, "folder")
    try:
        path = Path(place) / FILE
        digest = _write(path, blobs)
        yield Parcel(str(path), digest)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(Exception):
            resource_tracker.unregister(place, "folder")


def _pickled(job: Job) -> list[Any]:
    """Where to import from, the pickle, and the buffers it leaves out."""
    buffers: list[pickle.PickleBuffer] = []
    own = {n: build for n, build in _BUILDERS.items() if not isinstance(build, tuple)}
    told = {"venues": own, "aliases": dict(_ALIASES), "job": job}
    names = [module.__name__ for module in own_modules(job.strategy)]
    try:
        main = dumped(told, job.strategy, buffers)
        kept = [buffer.raw() for buffer in buffers]
    except Exception as error:
        raise InputError(
            f"this job cannot be sent to other processes: {type(error).__name__}: {error}; "
            'keep what cannot be pickled (open files, connections) out of it, or take backend="serial"'
        ) from error
    return [pickle.dumps((list(sys.path), names)), main, *kept]


def _write(path: Path, blobs: list[Any]) -> str:
    """The blobs behind a table of their places; the digest of all."""
    sizes = [memoryview(blob).nbytes for blob in blobs]
    head = 8 * (1 + 2 * len(blobs))
    table, at = [len(blobs)], _rounded(head)
    for size in sizes:
        table += [at, size]
        at = _rounded(at + size)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for place, blob in [
            (0, np.array(table, dtype="<u8").tobytes()),
            *zip(table[1::2], blobs, strict=True),
        ]:
            file.seek(place)
            file.write(blob)
            digest.update(blob)
        file.truncate(max(at, 1))
    return digest.hexdigest()[:32]


def _rounded(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


_OPEN: dict[str, Opened] = {}  # the job this process works on: the last one only


def opened(parcel: Parcel, content: Any = None) -> Opened:
    """The job of a parcel in this process; what was opened before is kept.

    ``content``: the bytes, where the file may be out of sight. Arrays are views of them and cannot be written
    to. :raises ParcelError: the parcel cannot be opened here.
    """
    found = _OPEN.get(parcel.digest)
    if found is None:
        try:
            own = np.memmap(parcel.path, dtype=np.uint8, mode="r") if content is None else content
            found = _unpacked(own)
        except Exception as error:
            raise ParcelError(_lost(parcel, error)) from error
        _OPEN.clear()
        _OPEN[parcel.digest] = found
    return found


def _unpacked(content: Bytes) -> Opened:
    """The job, after this process was made ready for it: the places it imports from, the venues it names."""
    view = memoryview(np.asarray(content).data).toreadonly()
    count = int(np.frombuffer(view[:8], dtype="<u8")[0])
    table = np.frombuffer(view[8 : 8 + 16 * count], dtype="<u8").reshape(count, 2).tolist()
    origin, main, *buffers = [view[at : at + size] for at, size in table]
    places, names = pickle.loads(origin)
    sys.path += [place for place in places if place not in sys.path]
    for name in names:
        sys.modules.setdefault(name, StandIn(name))
    told = pickle.loads(main, buffers=buffers)
    for name, build in told["venues"].items():
        _BUILDERS.setdefault(name, build)
    for alias, name in told["aliases"].items():
        _ALIASES.setdefault(alias, name)
    return Opened(told["job"])


def _lost(parcel: Parcel, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"a worker does not see {parcel.path}: it runs on another machine; "
            "take backend dask or ray, or give store= a folder that all machines share"
        )
    return f"a worker cannot open the job: {type(error).__name__}: {error}"
