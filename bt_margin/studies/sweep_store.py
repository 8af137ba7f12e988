"""The folder in which a sweep keeps what it has done, so that a killed one goes on where it was.

``job.json`` says what the sweep is; ``cells.jsonl`` has a line for each finished cell, written as soon as it
is there. A line cut short by a kill is dropped and its cell done again. A folder of another job is refused,
with what differs.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from bt_margin._version import __version__
from bt_margin.errors import InputError
from bt_margin.studies.cells import COLUMNS, Cell, Job, Outcome
from bt_margin.studies.run import plain
from bt_margin.studies.sweep_classes import own_modules, travels
from bt_margin.studies.write import atomic_text, usable
from bt_margin.venues.spec import Venue

JOB, CELLS, LOCK = "job.json", "cells.jsonl", "lock"
_KEPT = ("engine", "seconds", "error")
_SHOWN = 20  # values of a setting that are told by name when they have changed


def identity(job: Job, cells: Sequence[Cell], engine: str) -> dict[str, Any]:
    """What a sweep is, in words and digests: equal for two sweeps whose results would be."""
    settings = {name: _told(value) for name, value in job.common.items()}
    asked: dict[str, list[Any]] = {}
    for cell in cells:
        for name, value in cell.settings.items():
            own = asked.setdefault(name, [])
            if len(own) < _SHOWN and _told(value) not in own:
                own.append(_told(value))
    every = "\n".join(json.dumps(_settings(cell), sort_keys=True) for cell in cells)
    return {
        "bt_margin": __version__,
        "strategy": job.strategy.__name__,
        "code of the strategy": _code(job.strategy),
        "params": {name: plain(value) for name, value in job.params.items()},
        "settings": settings,
        "engine": engine,
        "data": {symbol: data_digest(frame) for symbol, frame in job.data.items()},
        "number of cells": len(cells),
        "values": asked,
        "cells": _digest(every.encode()),
    }


def _settings(cell: Cell) -> dict[str, Any]:
    return {name: _told(value) for name, value in cell.settings.items()}


def _told(value: Any) -> Any:
    """A setting as it is compared: venues by their rules, series by a digest, the rest by what it is."""
    if isinstance(value, Venue):
        rules = (
            value.fees,
            value.margin,
            value.liquidation,
            value.default_schedule,
            value.symbol_fees,
        )
        return (
            f"{value.name}, {_digest(repr((rules, value.funding_interval, value.as_of)).encode())}"
        )
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return data_digest(value)
    if isinstance(value, Mapping):
        return {str(key): _told(each) for key, each in value.items()}
    return plain(value)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _code(strategy: type[Any]) -> str:
    """A digest of the source the strategy is made of, its own files beside it included."""
    texts = {}
    for kind in strategy.__mro__:
        with suppress(OSError, TypeError):
            if travels(kind.__module__):
                texts[kind.__qualname__] = inspect.getsource(kind)
    for module in own_modules(strategy):
        with suppress(OSError):
            texts[module.__name__] = Path(str(module.__file__)).read_text(encoding="utf-8")
    return _digest(json.dumps(texts, sort_keys=True).encode())


def data_digest(frame: pd.DataFrame | pd.Series) -> str:
    """A digest of every bar of a frame and of the funding it brings."""
    sha = hashlib.sha256()
    tables: list[Any] = [frame, *(frame.attrs.get(name) for name in ("funding",))]
    for table in tables:
        if isinstance(table, (pd.DataFrame, pd.Series)):
            sha.update(np.ascontiguousarray(pd.util.hash_pandas_object(table)).tobytes())
            sha.update(str(list(getattr(table, "columns", ()))).encode())
    return f"{len(frame)} bars, {sha.hexdigest()[:16]}"


class Store:
    """The folder of one sweep; :meth:`add` is safe against being killed at any moment."""

    def __init__(self, folder: Path, cells: Sequence[Cell]) -> None:
        self.folder = folder
        self.cells = {cell.number: cell for cell in cells}
        self.done: dict[int, Outcome] = {}
        self._file: IO[str] | None = None

    def add(self, outcome: Outcome) -> None:
        """Keep a finished cell."""
        if self._file is not None:
            row = outcome.row
            line = [outcome.cell.number, *(row[n] for n in _KEPT), *(row[n] for n in COLUMNS)]
            self._file.write(json.dumps(line, default=_number) + "\n")
            self._file.flush()

    def forget(self) -> None:
        """Drop every cell done so far: they are to be done again another way."""
        self.done.clear()
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def open(self) -> None:
        """Read what is there, and be ready for more."""
        path = self.folder / CELLS
        kept = path.read_bytes() if path.exists() else b""
        whole = kept[: kept.rfind(b"\n") + 1]
        for line in whole.splitlines():
            outcome = self._outcome(line)
            if outcome is not None:
                self.done[outcome.cell.number] = outcome
        self._file = path.open("a", encoding="utf-8", newline="\n")
        self._file.truncate(len(whole))

    def close(self) -> None:
        """No more is written."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _outcome(self, line: bytes) -> Outcome | None:
        """A kept cell; None for a line that is none."""
        try:
            number, *values = json.loads(line)
            row = dict(zip((*_KEPT, *COLUMNS), values, strict=True))
        except (ValueError, TypeError, RecursionError):
            return None
        cell = self.cells.get(number)
        return None if cell is None else Outcome(cell, row)


def _number(value: Any) -> Any:
    """numpy's numbers as Python's."""
    return value.item() if hasattr(value, "item") else math.nan


@contextmanager
def store(
    folder: str | Path | None, job: Job, cells: Sequence[Cell], engine: str
) -> Iterator[Store]:
    """The store of a sweep; without a folder one that keeps nothing.

    :raises InputError: the folder cannot be used, belongs to another job, or another sweep is writing to it.
    """
    if folder is None:
        yield Store(Path(), cells)
        return
    place = usable(folder)
    found = Store(place, cells)
    with _locked(place):
        _check(place, identity(job, cells, engine))
        found.open()
        try:
            yield found
        finally:
            found.close()


def _check(place: Path, wanted: Mapping[str, Any]) -> None:
    """Begin a new folder, or make sure that an old one is of the same job."""
    path = place / JOB
    if not path.exists():
        strangers = [each.name for each in place.iterdir() if each.name != LOCK]
        if (place / CELLS).exists():
            raise InputError(f"{place} has cells of a sweep but no {JOB}; choose another folder")
        if strangers:
            raise InputError(
                f"{place} holds other files ({', '.join(sorted(strangers)[:3])}); "
                "give the sweep a folder of its own"
            )
        atomic_text(path, json.dumps(wanted, indent=1, default=str) + "\n")
        return
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); choose another folder") from error
    changed = list(differences(kept, json.loads(json.dumps(wanted, default=str))))
    if changed:
        raise InputError(
            f"{place} holds another sweep; what changed: {'; '.join(changed[:6])}; "
            "choose another folder, or remove this one to begin anew"
        )


def differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """What differs between two identities, one sentence each.

    >>> list(differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}))
    ['b c was 2, is 3']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            own = f"{name} {key}".strip()
            yield from differences(old.get(key), new.get(key), own)
    elif old != new:
        yield f"{name} was {_short(old)}, is {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One sweep at a time; the lock of a process that is gone does not count."""
    path = place / LOCK
    for _ in range(2):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            if _alive(path):
                raise InputError(
                    f"another sweep is writing to {place} (process {path.read_text().strip()}); "
                    f"wait for it, or remove {path} if there is none"
                ) from None
            path.unlink(missing_ok=True)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(str(os.getpid()))
            file.flush()
            yield
    finally:
        path.unlink(missing_ok=True)


def _alive(path: Path) -> bool:
    """Whether the process that wrote a lock is running on this machine."""
    try:
        if os.name == "nt":  # a file that is open cannot be removed there, and signal 0 is Ctrl-C
            path.unlink()
            return False
        os.kill(int(path.read_text()), 0)
    except (OSError, ValueError, OverflowError) as error:
        return isinstance(error, PermissionError)
    return True
