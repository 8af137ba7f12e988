"""Parquet and CSV tables on disk: read with clear errors, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from bt_margin.errors import DataError, message
from bt_margin.market.names import META_SUFFIX, SUFFIXES

_META = b"bt_margin"
_BY_TIME = {"funding": "funding_rate", "funding_marks": "mark"}  # Series in attrs, and their names


def read_table(path: Path) -> pd.DataFrame:
    """The table in a Parquet or CSV file, with `attrs` as they were saved; not yet validated.

    Raises `DataError` naming the file when it is missing, of another kind, or cannot be read.
    """
    if not path.is_file():
        raise DataError(message("file not found", where=str(path)))
    if path.suffix not in SUFFIXES:
        raise DataError(message("unknown file", path.suffix, ", ".join(SUFFIXES), str(path)))
    try:
        if path.suffix == ".parquet":
            from bt_margin.market.shapes.arrow import read_texts_too

            frame = read_texts_too(path)
        else:
            frame = _read_csv(path)
        frame.attrs = _attrs(read_meta(path))
    except DataError:
        raise
    except (
        OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError, pa.ArrowException,
    ) as error:  # fmt: skip
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(message("file cannot be read", text, where=str(path))) from error
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    """A CSV file with a header line; a first column without a name holds the times."""
    from bt_margin.market.shapes.arrow import check_columns
    from bt_margin.market.shapes.raw import content, first_line

    data = content(path)  # types are judged on all rows, not the first: one block
    check_columns(len(first_line(data)), str(path))
    block = csv.ReadOptions(block_size=len(data) + 1)
    table = csv.read_csv(pa.BufferReader(data), read_options=block)
    frame: pd.DataFrame = table.to_pandas()
    return frame.rename(columns={"": "timestamp"})


def read_meta(path: Path) -> dict[str, Any]:
    """What was saved beside the numbers (symbol and attrs); {} for files that others wrote."""
    if path.suffix == ".parquet":
        raw = (pq.read_schema(path).metadata or {}).get(_META)
    else:
        beside = path.with_suffix(META_SUFFIX)
        raw = beside.read_bytes() if beside.is_file() else None
    try:
        meta = json.loads(raw) if raw else {}
    except RecursionError as error:
        raise ValueError("what is noted beside the numbers is nested too deep") from error
    return meta if isinstance(meta, dict) else {}


def write_parquet(frame: pd.DataFrame, symbol: str, path: Path) -> None:
    """Write a canonical frame and its attrs as Parquet, atomically."""
    columns = {"timestamp": pa.array(frame.index.to_numpy(), pa.timestamp("ns", tz="UTC"))}
    for name in frame.columns:
        columns[str(name)] = pa.array(frame[name], from_pandas=False)
    table = pa.table(columns).replace_schema_metadata({_META: _meta(frame, symbol).encode()})
    whole(path, lambda file: pq.write_table(table, file, compression="zstd"))


def write_csv(frame: pd.DataFrame, symbol: str, path: Path) -> None:
    """Write a canonical frame as CSV and its attrs beside it as JSON, each atomically."""
    meta = _meta(frame, symbol)
    whole(path.with_suffix(META_SUFFIX), lambda file: file.write_text(meta, encoding="utf-8"))
    whole(path, lambda file: frame.to_csv(file))


def whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside `path`, then move it into place: all of it, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        write(beside)
        beside.chmod(0o644)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path


def _meta(frame: pd.DataFrame, symbol: str) -> str:
    """Symbol and attrs as JSON; Series (settlements, their marks) become times in ns and values."""
    attrs = dict(frame.attrs)
    for name in _BY_TIME:
        series = attrs.get(name)
        if isinstance(series, pd.Series):
            stamps = pd.DatetimeIndex(series.index).as_unit("ns").asi8.tolist()
            attrs[name] = [stamps, series.astype(float).tolist()]
    try:
        return json.dumps({"symbol": symbol, "attrs": attrs}, sort_keys=True)
    except TypeError as error:
        raise DataError(message("attrs cannot be saved", str(error), "JSON", symbol)) from error


def _attrs(meta: dict[str, Any]) -> dict[Any, Any]:
    attrs = dict(meta.get("attrs", {}))
    for name in [name for name in _BY_TIME if name in attrs]:
        stamps, values = attrs[name]
        index = pd.DatetimeIndex(pd.to_datetime(stamps, unit="ns", utc=True), name="timestamp")
        attrs[name] = pd.Series(values, index.as_unit("ns"), dtype=float, name=_BY_TIME[name])
    return attrs
