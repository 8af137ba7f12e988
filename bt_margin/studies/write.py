"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from bt_margin.errors import InputError

#: Rows above which a table is not written as CSV: so many lines are for no eye, and slow to write.
MOST_AS_TEXT = 250_000


def atomic(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Let ``write`` fill a file beside ``path``, then put it in place in one step.

    When ``write`` fails, nothing is left behind and what was at ``path`` stays. :raises InputError: the
    folder cannot be made or written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=target.suffix)
    except OSError as error:
        raise InputError(
            f"cannot write {target}: {error.strerror}; choose another place"
        ) from error
    os.close(handle)
    beside = Path(name)
    try:
        write(beside)
        beside.chmod(0o644)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target


def usable(folder: str | Path) -> Path:
    """The folder, made if it was not there and found to be writable.

    :raises InputError: a file stands there, or it cannot be made or written into.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(
            f"cannot write into {place}: it is a file, not a folder; choose another place"
        )
    made = _missing(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        _take_away(made)
        raise InputError(
            f"cannot write into {place}: {error.strerror}; choose another place"
        ) from error
    return place


def tried(folder: str | Path) -> Path:
    """The same test, before a long run: folders made for it are taken away again."""
    made = _missing(Path(folder))
    place = usable(folder)
    _take_away(made)
    return place


def _missing(place: Path) -> list[Path]:
    """The folders on the way that are not there, the innermost first."""
    return [path for path in (place, *place.parents) if not path.exists()]


def _take_away(made: list[Path]) -> None:
    for empty in made:
        with suppress(OSError):
            empty.rmdir()


@contextmanager
def staged(folder: str | Path) -> Iterator[tuple[Path, list[Path]]]:
    """A hidden folder to write several files into; they move to ``folder`` together when all are done.

    Yields the hidden folder and a list that holds the final paths afterwards. When the writing fails,
    nothing of it stays and what was in ``folder`` is untouched.
    """
    target = usable(folder)
    written: list[Path] = []
    with tempfile.TemporaryDirectory(dir=target, prefix=".writing-") as name:
        place = Path(name)
        yield place, written
        try:
            for path in sorted(place.iterdir()):
                written.append(path.replace(target / path.name))
        except OSError as error:
            raise InputError(
                f"cannot write {target / path.name}: {error.strerror}; choose another place"
            ) from error


def drop_stale(folder: str | Path, tables: Iterable[str], written: Sequence[Path]) -> None:
    """Take away the CSV of an earlier, shorter run of these tables, which are now Parquet only."""
    for name in tables:
        old = Path(folder) / f"{name}.csv"
        if old not in written:
            old.unlink(missing_ok=True)


def atomic_text(path: str | Path, text: str) -> Path:
    """Write a text file in one step."""
    return atomic(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], synthetic: bool) -> list[Path]:
    """Each table as CSV and as Parquet; made-up data is marked in a column of its own.

    A table longer than :data:`MOST_AS_TEXT` rows is written as Parquet only.
    """
    written = []
    for name, table in tables.items():
        flat = _flat(table)
        if synthetic and "synthetic" not in flat:
            flat["synthetic"] = pd.Series("SYNTHETIC", flat.index, dtype="category")
        if len(flat) <= MOST_AS_TEXT:
            written.append(atomic(folder / f"{name}.csv", _csv(flat)))
        written.append(atomic(folder / f"{name}.parquet", _parquet(flat)))
    return written


def _csv(table: pd.DataFrame) -> Callable[[Path], object]:
    return lambda beside: table.to_csv(beside, index=False, date_format="%Y-%m-%dT%H:%M:%S%z")


def _parquet(table: pd.DataFrame) -> Callable[[Path], object]:
    return lambda beside: table.to_parquet(beside, index=False, compression="zstd")


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """The table with nested values as JSON text."""
    flat = table.copy()
    for name in flat.columns:
        if (
            str(flat[name].dtype) == "object"
            and flat[name].map(lambda value: isinstance(value, (dict, list, tuple))).any()
        ):
            flat[name] = flat[name].map(_json)
    return flat


def _json(value: Any) -> str:
    return json.dumps(value, default=str) if value else ""
