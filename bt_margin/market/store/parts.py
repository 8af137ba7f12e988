"""The files of a dataset: columns to Parquet bytes and back, and how new rows join old ones.

Bytes depend on the rows alone: one row group, no dictionary, no metadata of frames, times as
differences and floats split by byte, zstd.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bt_margin.errors import StoreDamaged
from bt_margin.market.kinds import columns_of
from bt_margin.market.store.disk import damaged, first_line
from bt_margin.market.store.manifest import Part, file_name

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
TIME = "timestamp"
_MS = pa.timestamp("ms", tz="UTC")


class Rows(NamedTuple):
    """Rows of one dataset: times of shape (n,) [ms], values of shape (columns, n)."""

    times: Times
    values: Values


class Revised(NamedTuple):
    """Rows that were replaced: time, when the new one was seen, old values and new ones."""

    times: Times
    seen: Times
    old: Values
    new: Values


class PartGone(StoreDamaged):
    """A file the manifest names is not there: a newer commit removed it, or somebody else did."""


class Damaged(NamedTuple):
    """Why a file cannot be trusted, and whether that is because it is not there."""

    text: str
    gone: bool = False


def no_rows(kind: str) -> Rows:
    """Rows of a kind, none of them."""
    return Rows(np.empty(0, np.int64), np.empty((len(columns_of(kind)), 0)))


def tidy(values: Values) -> Values:
    """Values whose equality is that of their bits: one NaN, one zero."""
    values = values + 0.0
    values[np.isnan(values)] = np.nan
    return values


def merged(old: Rows, new: Rows, seen: Times) -> tuple[Rows, Revised]:
    """Old and new rows as one rising series, and what was replaced on the way.

    new : in the order they were told; where times are equal the later row stands
    seen : ndarray of shape (n,): when each new row was told [ms]

    >>> a, b = Rows(np.array([1]), np.array([[5.0]])), Rows(np.array([2, 1]), np.array([[6.0, 7.0]]))
    >>> rows, revised = merged(a, b, np.array([90, 90]))
    >>> rows.times.tolist(), rows.values.tolist(), revised.old.tolist(), revised.new.tolist()
    ([1, 2], [[7.0, 6.0]], [[5.0]], [[7.0]])
    """
    times = np.concatenate([old.times, new.times])
    values = np.concatenate([old.values, new.values], axis=1)
    when = np.concatenate([np.zeros(len(old.times), np.int64), seen])
    order = np.argsort(times, kind="stable")
    times, values, when = times[order], values[:, order], when[order]
    again = times[1:] == times[:-1]
    bits = values.view(np.int64)
    changed = np.flatnonzero(again & (bits[:, 1:] != bits[:, :-1]).any(axis=0))
    last = np.append(~again, True)[: len(times)]
    before, after = values[:, changed], values[:, changed + 1]
    revised = Revised(times[changed], when[changed + 1], before, after)
    return Rows(times[last], values[:, last]), revised


def names_of(family: str, kind: str) -> list[str]:
    """The columns of a family of files, times first."""
    values = columns_of(kind)
    if family == "gaps":
        return [TIME, "stop", "checked"]
    if family == "revisions":
        return [TIME, "seen", *(f"{age}_{name}" for age in ("old", "new") for name in values)]
    return [TIME, *values]


def schema_of(family: str, kind: str) -> pa.Schema:
    """Times are timestamp[ms, UTC], all else float64; nothing may be null."""
    times = {TIME, "stop", "checked", "seen"}
    return pa.schema(
        [
            pa.field(name, _MS if name in times else pa.float64(), nullable=False)
            for name in names_of(family, kind)
        ]
    )


def encode(family: str, kind: str, columns: Sequence[npt.NDArray[np.generic]]) -> bytes:
    """The Parquet bytes of columns in the order of `names_of`."""
    schema = schema_of(family, kind)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    encodings = {
        f.name: "DELTA_BINARY_PACKED" if f.type == _MS else "BYTE_STREAM_SPLIT" for f in schema
    }
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema),
        sink,
        row_group_size=2**26,
        compression="zstd",
        use_dictionary=False,
        column_encoding=encodings,
        store_schema=False,
    )
    return bytes(sink.getvalue())


def part_of(data: bytes, times: Times) -> Part:
    """The manifest's entry for a file."""
    sha256 = hashlib.sha256(data).hexdigest()
    return Part(sha256, len(data), len(times), int(times[0]), int(times[-1]))


def decode(family: str, kind: str, data: bytes) -> list[npt.NDArray[np.generic]]:
    """The columns in a file's bytes, times as int64; ValueError when they are not this family's."""
    table = pq.read_table(pa.BufferReader(data))
    schema = schema_of(family, kind)
    if not table.schema.equals(schema):
        raise ValueError(f"columns {', '.join(table.schema.names)[:200]}")
    numbers = [
        column.cast(pa.int64()) if field.type == _MS else column
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return [column.to_numpy() for column in numbers]


def check(folder: Path, family: str, period: str, part: Part) -> bytes | Damaged:
    """The bytes of a part when they are the ones the manifest knows, else what is wrong."""
    try:
        with open(folder / file_name(family, period, part.sha256), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read() if size == part.size else b""
    except FileNotFoundError:
        return Damaged("missing", gone=True)
    except OSError as error:
        return Damaged(first_line(error))
    if size != part.size:
        return Damaged(f"{size:,} bytes instead of {part.size:,}")
    if hashlib.sha256(data).hexdigest() != part.sha256:
        return Damaged("other content than was written")
    return data


def load(
    folder: Path, family: str, kind: str, period: str, part: Part
) -> list[npt.NDArray[np.generic]]:
    """The columns of a part; `PartGone` when it is not there, `StoreDamaged` when it was changed."""
    path = folder / file_name(family, period, part.sha256)
    data = check(folder, family, period, part)
    if isinstance(data, Damaged):
        if data.gone:
            raise PartGone(str(damaged("a file of the store is missing", path)))
        raise damaged("a file of the store is damaged", path, data.text)
    try:
        return decode(family, kind, data)
    except (ValueError, pa.ArrowException, OSError) as error:
        raise damaged("a file of the store is damaged", path, first_line(error)) from error


def load_rows(folder: Path, kind: str, period: str, part: Part | None) -> Rows:
    """The rows of a part; none when there is no part."""
    if part is None:
        return no_rows(kind)
    times, *values = load(folder, "rows", kind, period, part)
    return Rows(np.asarray(times, np.int64), np.array(values, np.float64))
