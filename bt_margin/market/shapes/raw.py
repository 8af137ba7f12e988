"""Bytes and tables of files that others made: read within bounds, written whole or not at all.

What a packed file says it unpacks to is checked before it is unpacked, and what really comes out is
counted. Names inside an archive are never used as places. Nothing in a file is run.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bt_margin.errors import message
from bt_margin.market.shapes.piece import Times, Values, dates_ms, epoch_ms, fault
from bt_margin.market.storage import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1 << 30  # of text, unpacked: about 15 million bars
MOST_JSON = 1 << 28  # JSON takes ten times its size in memory
MOST_ROWS = 20_000_000  # 38 years of minutes
_HEAD = 1 << 16
_PIECE = 1 << 24
_TEXT = (".csv", ".json", ".txt")
_ROW = re.compile(r"(?:In CSV column #(\d+): |CSV parse error: )Row #(\d+): (.*)", re.DOTALL)
_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|NaN|")


class _Readable(Protocol):
    """Bytes to read, packed or not."""

    def read(self, size: int, /) -> bytes: ...


def content(path: Path, most: int = MOST_BYTES) -> bytes:
    """All bytes of a file, of the one text file in a `.zip`, or of what a `.gz` packs.

    Raises `DataError` when there is more than `most`, or the file is missing or damaged.
    """
    data = bytearray()
    with _opened(path, most) as file:
        while len(data) <= most and (
            piece := file.read(_PIECE)
        ):  # room for what comes, not for `most`
            data += piece
    if len(data) > most:
        raise _too_big(path, f"more than {most:,} bytes", most)
    return bytes(data).removeprefix(b"\xef\xbb\xbf")


def head(path: Path) -> bytes:
    """The first bytes of what `content` would read."""
    with _opened(path, None) as file:
        return file.read(_HEAD).removeprefix(b"\xef\xbb\xbf")


@contextmanager
def _opened(path: Path, most: int | None) -> Iterator[_Readable]:
    try:
        if path.suffix.lower() == ".zip":
            with (
                zipfile.ZipFile(path) as archive,
                archive.open(_member(archive, path, most)) as file,
            ):
                yield file
        elif path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                yield packed
        else:
            if most is not None and path.stat().st_size > most:
                raise _too_big(path, f"{path.stat().st_size:,} bytes", most)
            with path.open("rb") as file:
                yield file
    except FileNotFoundError as error:
        raise fault("file not found", where=str(path)) from error
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise fault("file cannot be read", error, where=str(path)) from error


def _member(archive: zipfile.ZipFile, path: Path, most: int | None) -> zipfile.ZipInfo:
    """The one text file of an archive; its declared size must be within bounds."""
    inside = [info for info in archive.infolist() if not info.is_dir()]
    texts = [info for info in inside if info.filename.lower().endswith(_TEXT)]
    if len(texts) != 1:
        found = f"{len(texts)} of {len(inside)} files"
        raise fault("a zip must hold one file of text", found, "one .csv or .json", str(path))
    if most is not None and texts[0].file_size > most:
        raise _too_big(path, f"{texts[0].file_size:,} bytes unpacked", most)
    return texts[0]


def _too_big(path: Path, found: str, most: int) -> Exception:
    return fault(
        "file is too big", found, f"{most:,} bytes", str(path), "cut it into several files"
    )


def first_line(data: bytes) -> list[str]:
    """The cells of the first line that is not empty.

    >>> first_line(b"open_time, open\\r\\n1,2\\r\\n")
    ['open_time', 'open']
    """
    for line in data.split(b"\n"):
        if line.strip():
            text = line.decode("utf-8", errors="replace")
            return [cell.strip().strip('"') for cell in text.split(",")]
    return []


def is_number(cell: str) -> bool:
    """Whether a cell holds a number (or nothing), not a name or a date."""
    return _NUMBER.fullmatch(cell) is not None


def csv_columns(
    data: bytes, names: Sequence[str], header: bool, wanted: Sequence[str], where: str
) -> dict[str, npt.NDArray[Any]]:
    """Some columns of a CSV text; the first one wanted holds times [ms], the others numbers.

    names : all columns in the order of the file; header : whether the first line is no row.
    Empty cells are NaN. Raises `DataError` naming row and column.
    """
    import pyarrow as pa
    from pyarrow import csv

    start = _after_header(data) if header else 0
    cells = first_line(data[start : start + _HEAD])
    if not cells:
        raise fault("no rows", where=where)
    time = wanted[0]
    types = dict.fromkeys(wanted, pa.float64())
    types[time] = _time_type(cells[min(list(names).index(time), len(cells) - 1)])
    try:
        table = csv.read_csv(
            pa.BufferReader(memoryview(data)[start:]),
            read_options=csv.ReadOptions(column_names=list(names), use_threads=False),
            convert_options=csv.ConvertOptions(column_types=types, include_columns=list(wanted)),
        )
    except (pa.ArrowException, ValueError) as error:
        raise _csv_fault(error, names, where) from error
    check_rows(len(table), where)
    out: dict[str, npt.NDArray[Any]] = {time: _times(table.column(time), where)}
    for name in wanted[1:]:
        out[name] = table.column(name).to_numpy().astype(np.float64)
    return out


def check_rows(count: int, where: str) -> None:
    """Refuse a file of more rows than any history has."""
    if count > MOST_ROWS:
        todo = "cut the file into several"
        raise fault("too many rows", f"{count:,}", f"{MOST_ROWS:,}", where, todo)


def _after_header(data: bytes) -> int:
    """Where the line after the first one that is not empty begins."""
    blank = len(data) - len(data.lstrip(b"\r\n"))
    end = data.find(b"\n", blank)
    return len(data) if end < 0 else end + 1


def _time_type(cell: str) -> Any:
    import pyarrow as pa

    if _WHOLE.fullmatch(cell):
        return pa.int64()
    return pa.float64() if is_number(cell) else pa.string()


def _times(column: Any, where: str) -> Times:
    """A column of epoch numbers or of dates with a zone, in ms."""
    import pyarrow as pa

    if column.type != pa.string():
        if column.null_count:
            row = column.is_null().to_pylist().index(True) + 1
            raise fault("time is missing", where=f"{where}, row {row}")
        return epoch_ms(column.to_numpy(), where)
    import pandas as pd

    texts = pd.Series(column.to_pylist(), dtype=object)
    try:
        stamps = pd.to_datetime(texts, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise fault("a time cannot be read", error, "2024-01-01T00:00:00Z", where) from error
    return dates_ms(stamps, where)


def _csv_fault(error: Exception, names: Sequence[str], where: str) -> Exception:
    """pyarrow's words about a CSV file, in ours."""
    text = " ".join(str(error).split())
    match = _ROW.match(text)
    if not match:
        return fault("not a table of numbers", text, where=where)
    column, row, rest = match.groups()
    value = re.search(r"invalid value '(.*)'", rest)
    if column is None or value is None:
        return fault("row is not whole", rest, f"{len(names)} columns", f"{where}, row {row}")
    name = names[int(column)]
    return fault(f"{name} is not a number", repr(value.group(1)), where=f"{where}, row {row}")


def json_rows(path: Path) -> list[Any]:
    """The list in a JSON file; `DataError` for anything else."""
    data = content(path, MOST_JSON)
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise fault("not JSON", error, "a list of rows", str(path)) from error
    if not isinstance(rows, list):
        raise fault("not a list of rows", type(rows).__name__, "[[time, ...], ...]", str(path))
    if not rows:
        raise fault("no rows", where=str(path))
    return rows


def number_column(values: Sequence[Any], name: str, where: str, *, empty: bool = False) -> Values:
    """Values of a JSON column as floats; None is NaN where it is allowed.

    >>> number_column([1, "2.5", None], "volume", "file", empty=True).tolist()
    [1.0, 2.5, nan]
    """
    out = np.empty(len(values))
    for row, value in enumerate(values):
        if value is None and empty:
            out[row] = np.nan
            continue
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError
            out[row] = float(value)
        except (ValueError, OverflowError):
            place = f"{where}, row {row + 1}"
            raise fault(f"{name} is not a number", repr(value), where=place) from None
    return out


def whole_numbers(values: Sequence[Any], where: str) -> Times:
    """Times of a JSON column, in ms; they must be whole numbers."""
    for row, value in enumerate(values):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (isinstance(value, float) and value.is_integer())) or abs(value) >= 2**62:
            place = f"{where}, row {row + 1}"
            raise fault("time is not a whole number", repr(value), "epoch milliseconds", place)
    return epoch_ms(np.array([int(value) for value in values], dtype=np.int64), where)


def write_bytes(path: Path, data: bytes) -> Path:
    """Write bytes whole; a path ending in `.zip` or `.gz` is packed, the same bytes every time."""
    if path.suffix == ".zip":
        inside = zipfile.ZipInfo(f"{path.stem}.csv", (1980, 1, 1, 0, 0, 0))
        inside.compress_type = zipfile.ZIP_DEFLATED

        def pack(file: Path) -> None:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(inside, data)

        return whole(path, pack)
    packed = gzip.compress(data, mtime=0) if path.suffix == ".gz" else data
    return whole(path, lambda file: file.write_bytes(packed))


def no_room(shape: str, what: str, symbol: str, todo: str | None = None) -> str:
    """Why a shape cannot hold something."""
    return message(f"the {shape} shape has no room for {what}", where=symbol, todo=todo)
