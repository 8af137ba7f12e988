"""Files that are whole or not there, folders that remember them, and one writer at a time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bt_margin.errors import InputError, StoreDamaged, message

Told = Callable[[str], None]

REPAIR = "run `bt-margin check --repair`"
_BINARY = getattr(os, "O_BINARY", 0)  # Windows writes \n as two bytes without it
_WINDOWS = os.name == "nt"
_TRIES = 100


def temporary_of(path: Path) -> Path:
    """The name a file is written under before it takes its own; only one writer uses it at a time."""
    return path.with_name(f"_{path.name}.tmp")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all: temporary name, to the disk, rename.

    That the folder remembers the new name after a power cut needs `sync_folder`.
    """
    temporary = temporary_of(path)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, 0o666)
        try:
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        _replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def append(path: Path, data: bytes, length: int) -> int:
    """Append to a log of which `length` bytes count, dropping what lies behind; the new length.

    What a killed writer left behind the counted bytes is cut off. A log that lost bytes goes on on
    a new line.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
    try:
        size = os.fstat(handle).st_size
        if size > length:
            os.ftruncate(handle, length)
        elif size < length and size:
            data = b"\n" + data
        start = os.lseek(handle, 0, os.SEEK_END)
        _write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    return start + len(data)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _replace(source: Path, target: Path) -> None:
    """Rename over the target; on Windows a reader that has it open is waited for."""
    for _ in range(_TRIES if _WINDOWS else 0):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(0.01)
    os.replace(source, target)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut; Windows does so by itself."""
    if _WINDOWS:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each remembered by the one it is in."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        os.mkdir(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file")
    sync_folder(folder.parent)


def read_bounded(path: Path, most: int, todo: str = REPAIR) -> bytes:
    """A file's bytes; `StoreDamaged` when there are more than `most`. A missing one is an OSError."""
    with open(path, "rb") as file:
        data = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    if len(data) > most:
        raise damaged("a file is too large", path, f"more than {most:,} bytes", todo)
    return data


def read_json(path: Path, most: int, todo: str = REPAIR) -> dict[str, Any]:
    """A JSON object from a file of at most so many bytes, or `StoreDamaged` in one line."""
    data = read_bounded(path, most, todo)
    try:
        found = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise damaged("a file is not JSON", path, first_line(error), todo) from error
    if not isinstance(found, dict):
        raise damaged("a file is not a JSON object", path, type(found).__name__, todo)
    return found


def to_json(value: object, what: str) -> bytes:
    """Canonical JSON bytes, one line; `InputError` naming `what` when the value has no such form."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        allowed = "text, finite numbers, true, false, null, lists and objects"
        raise InputError(message(f"{what} is not JSON", first_line(error), allowed)) from error
    return text.encode()


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def first_line(error: BaseException) -> str:
    """What an error says, in one line of bearable length."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def damaged(what: str, path: Path, found: object = None, todo: str = REPAIR) -> StoreDamaged:
    """The error for a file of the store that is not what it should be."""
    return StoreDamaged(message(what, found, where=str(path), todo=todo))


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Say in one line that something cannot be written, instead of the system's own error."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = error.strerror or first_line(error)
    todo = "free space or make it writable, then run again; what was committed before is kept"
    return InputError(message("the store cannot be written", reason, None, str(path), todo))


@contextmanager
def locked(path: Path, wait: float | None = None, told: Told | None = None) -> Iterator[None]:
    """Hold a lock file, across threads and processes; a killed holder frees it.

    wait : seconds to wait for another holder; None for as long as it takes
    told : called once with a sentence when there is something to wait for
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if told is not None:
            told(f"waiting: another process writes {path.parent}")
        _wait_for(lock, path, wait)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _wait_for(lock: FileLock, path: Path, wait: float | None) -> None:
    where, todo = str(path.parent), "wait for it to end, or end it, and run again"
    try:
        lock.acquire(timeout=-1 if wait is None else wait, poll_interval=0.05)
    except Timeout as error:
        found = f"waited {wait:g} s" if wait else "held"
        raise InputError(
            message("another process is writing", found, where=where, todo=todo)
        ) from error
    except RuntimeError as error:
        todo = "end its `with` block first"
        raise InputError(
            message("this thread is writing here already", where=where, todo=todo)
        ) from error
