"""Is what lies in the store what was written? And what to do when it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bt_margin.errors import StoreDamaged, message
from bt_margin.market.kinds import Span
from bt_margin.market.store.commit import Commit
from bt_margin.market.store.disk import REPAIR, damaged, first_line, read_bounded, writable
from bt_margin.market.store.homes import folder_of
from bt_margin.market.store.manifest import (
    FAMILIES,
    MOST_PART,
    Manifest,
    Part,
    file_name,
    read_file_name,
)
from bt_margin.market.store.parts import Damaged, Rows, Times, check, decode, merged, no_rows
from bt_margin.market.store.places import MANIFEST, PAGES, period_span
from bt_margin.market.store.spans import Spans, joined, minus
from bt_margin.market.store.writer import Writer

if TYPE_CHECKING:
    from bt_margin.market.store.dataset import Dataset

MOST_TAIL = 10_000_000  # bytes of a page log that are searched for the end of a line

Columns = list[npt.NDArray[Any]]


class Problem(NamedTuple):
    """One file that is not what was written.

    text : one line that names the file and says what to do
    span : what has to be fetched again once the file is out of the store [ms]; None when nothing
    family : rows, gaps or revisions; manifest; pages
    """

    file: Path
    text: str
    span: Span | None
    family: str
    period: str = ""


def verify(dataset: Dataset) -> list[Problem]:
    """All problems of a dataset: bytes, hashes, rows, order, and that the files fit each other.

    One file is open at a time. Files that a commit took away meanwhile are no problem.
    """
    while True:
        try:
            state = dataset.state()
        except StoreDamaged as error:
            return [Problem(dataset.folder / MANIFEST, str(error), None, "manifest")]
        found = list(_problems(dataset.folder, state))
        if not found or dataset.state().serial == state.serial:
            return found


def repair(dataset: Dataset) -> list[Problem]:
    """Take what is damaged out of the store, so that it is missing and can be fetched again.

    A damaged manifest is made anew from the files that are whole: bars next to each other count as
    covered, everything else will be asked for again. Gives the problems that were there.
    """
    with dataset.locked():
        found = verify(dataset)
        if any(problem.family == "manifest" for problem in found):
            with writable(dataset.folder):
                _salvage(dataset)
            found += verify(dataset)
        writer = Writer(dataset)
        for problem in found:
            if problem.family == "revisions":
                writer.drop(problem.family, problem.period)
            elif problem.span is not None:
                writer.forget(problem.span)
            elif problem.family == "pages":
                with writable(dataset.folder):
                    _shorten_log(dataset)
    return found


def _problems(folder: Path, state: Manifest) -> Iterator[Problem]:
    for period in sorted({period for parts in state.parts.values() for period in parts}):
        times = np.empty(0, np.int64)
        for family in FAMILIES:
            part = state.parts[family].get(period)
            if part is None:
                continue
            found = _columns(folder, state, family, period, part)
            if family == "rows" and not isinstance(found, Damaged):
                times = found[0]
            reason = found if isinstance(found, Damaged) else _content(state, period, family, found)
            reason = reason or _unlike(part, found) or _filled(family, found, times)
            if reason is not None:
                path = folder / file_name(family, period, part.sha256)
                yield _problem(path, reason, family, period)
    yield from _log_problems(folder / PAGES, state.log)


def _problem(path: Path, reason: Damaged, family: str, period: str) -> Problem:
    text = message("a file of the store is damaged", reason.text, None, str(path), REPAIR)
    span = None if family == "revisions" else period_span(period)
    return Problem(path, text, span, family, period)


def _log_problems(log: Path, length: int) -> Iterator[Problem]:
    size = log.stat().st_size if log.is_file() else 0
    if size < length:
        found = f"{size:,} bytes instead of {length:,}"
        text = message("the page log is damaged", found, None, str(log), REPAIR)
        yield Problem(log, text, None, "pages")


def _columns(
    folder: Path, state: Manifest, family: str, period: str, part: Part
) -> Columns | Damaged:
    """The columns of a file; its bytes, hash, size and form are right when they come."""
    data = check(folder, family, period, part)
    if isinstance(data, Damaged):
        return data
    try:
        columns = decode(family, state.kind, data)
    except (ValueError, pa.ArrowException, OSError) as error:
        return Damaged(first_line(error))
    return [np.asarray(column) for column in columns]


def _unlike(part: Part, columns: Columns | Damaged) -> Damaged | None:
    """What the manifest says of a file that its rows do not."""
    if isinstance(columns, Damaged):
        return columns
    times = columns[0]
    if len(times) != part.rows:
        return Damaged(f"{len(times):,} rows instead of {part.rows:,}")
    if (times[0], times[-1]) != (part.first, part.last):
        return Damaged(f"rows from {times[0]} to {times[-1]}, not {part.first} to {part.last}")
    return None


def _content(state: Manifest, period: str, family: str, columns: Columns) -> Damaged | None:
    """What is wrong with the order and the places of the rows of a file."""
    times = columns[0]
    start, stop = period_span(period)
    if len(times) == 0 or times.min() < start or times.max() >= stop:
        return Damaged(f"rows outside of {period}")
    steps = np.diff(times)
    if (steps < 0).any() or (family != "revisions" and (steps == 0).any()):
        return Damaged("rows that are not in order")
    if family == "rows" and state.grid and ((times - state.grid.anchor) % state.grid.step).any():
        return Damaged("bars off their grid")
    if family == "gaps":
        ends = columns[1]
        spans = tuple(zip(times.tolist(), ends.tolist(), strict=True))
        if (ends <= times).any() or (times[1:] < ends[:-1]).any():
            return Damaged("gaps that are not in order")
        if minus(joined(spans), state.covered):
            return Damaged("gaps nobody has asked for")
    return None


def _filled(family: str, columns: Columns | Damaged, times: Times) -> Damaged | None:
    """A gap with a row in it is none."""
    if family != "gaps" or isinstance(columns, Damaged):
        return None
    low, high = np.searchsorted(times, columns[0]), np.searchsorted(times, columns[1])
    return Damaged("gaps with rows in them") if (high > low).any() else None


def _shorten_log(dataset: Dataset) -> None:
    state = dataset.state()
    length = min(_whole_lines(dataset.folder / PAGES), state.log)
    commit = Commit(dataset.folder, replace(state, log=length))
    commit.finish(state.covered, b"", state.provenance)


def _whole_lines(log: Path) -> int:
    """How many bytes of the page log end in a whole line."""
    if not log.is_file():
        return 0
    with open(log, "rb") as file:
        start = max(0, file.seek(0, SEEK_END) - MOST_TAIL)
        file.seek(start)
        return start + file.read().rfind(b"\n") + 1


def _salvage(dataset: Dataset) -> None:
    """Put the files that are whole under a new manifest, in place of the damaged one."""
    folder, empty = dataset.folder, dataset.owner
    if folder_of(dataset.symbol) != folder.parent.name:
        todo = f"delete the folder and download {folder.parent.name} again"
        raise damaged("a manifest nobody else knows the symbol of", folder / MANIFEST, None, todo)
    commit = Commit(folder, empty)
    covered: Spans = ()
    for period, rows in _whole_rows(folder, empty):
        commit.put("rows", period, [rows.times, *rows.values])
        if empty.grid:
            covered = joined([*covered, *_runs(rows.times, empty.step)])
    for period, columns in _whole_revisions(folder, empty):
        commit.put("revisions", period, columns)
    commit.state = replace(empty, log=_whole_lines(folder / PAGES))
    commit.finish(covered, b"", {"repaired": dataset.clock()})


def _runs(times: Times, step: int) -> Spans:
    """The spans that bars next to each other fill."""
    turns = np.flatnonzero(np.diff(times) != step)
    starts = times[np.concatenate([[0], turns + 1])]
    stops = times[np.concatenate([turns, [len(times) - 1]])] + step
    return tuple(zip(starts.tolist(), stops.tolist(), strict=True))


def _whole(folder: Path, owner: Manifest, family: str) -> Iterator[tuple[str, Columns]]:
    """The files of a family whose bytes are those of their name, by period, older before newer."""
    named = [(path, read_file_name(path.name)) for path in folder.iterdir()]
    ours = [
        (name[1], path.stat().st_mtime_ns, path, name[2])
        for path, name in named
        if name is not None and name[0] == family
    ]
    for period, _, path, digits in sorted(ours):
        try:
            data = read_bounded(path, MOST_PART)
            if not hashlib.sha256(data).hexdigest().startswith(digits):
                continue
            columns = [np.asarray(column) for column in decode(family, owner.kind, data)]
        except (OSError, ValueError, pa.ArrowException):
            continue  # not whole: what was in it will be fetched again
        if _content(owner, period, family, columns) is None:
            yield period, columns


def _whole_rows(folder: Path, owner: Manifest) -> Iterator[tuple[str, Rows]]:
    files = _whole(folder, owner, "rows")
    for period, group in groupby(files, key=lambda each: each[0]):
        rows = no_rows(owner.kind)
        for _, (times, *values) in group:
            new = Rows(times, np.array(values, np.float64))
            rows, _ = merged(rows, new, np.zeros(len(times), np.int64))
        yield period, rows


def _whole_revisions(folder: Path, owner: Manifest) -> Iterator[tuple[str, Columns]]:
    files = _whole(folder, owner, "revisions")
    for period, group in groupby(files, key=lambda each: each[0]):
        yield period, max((columns for _, columns in group), key=lambda columns: len(columns[0]))
