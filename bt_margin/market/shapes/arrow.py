"""Arrow and Parquet files of others: what they unpack to is known before they are unpacked.

A feather file keeps, before every packed column, the number of bytes it unpacks to; Arrow makes room for
exactly that many. So the numbers are added up first, from the message headers alone (flatbuffers, laid out
as in Arrow's `Message.fbs`), and a file that would grow beyond the bound is refused.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bt_margin.errors import DataError
from bt_margin.market.shapes.piece import fault
from bt_margin.market.shapes.raw import MOST_BYTES, check_rows

if TYPE_CHECKING:
    import pandas as pd

MAGIC = b"ARROW1"
MOST_CELLS = 1 << 27  # of a Parquet file: 1 GB as numbers, 23 years of minutes
MOST_COLUMNS = 1_000
_RECORD_BATCH = 3  # MessageHeader.RecordBatch; 2 is a dictionary


def read_feather(path: Path) -> pd.DataFrame:
    """The table in a feather (Arrow IPC) file; `DataError` when it is damaged or too big."""
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            if file.read(6) != MAGIC:
                raise fault(
                    "not a feather file", where=str(path), todo="write it with a newer tool"
                )
        with pa.memory_map(str(path)) as source:
            size, rows = unpacked(source)
            if size > MOST_BYTES:
                todo = "cut it into several files"
                found, most = f"{size:,} bytes unpacked", f"{MOST_BYTES:,} bytes"
                raise fault("file is too big", found, most, str(path), todo)
            check_rows(rows, str(path))
            source.seek(0)
            table = pa.ipc.open_file(source).read_all()
            _plain(table.schema, path)
            frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    except DataError:
        raise
    except FileNotFoundError as error:
        raise fault("file not found", where=str(path)) from error
    except (OSError, MemoryError, ValueError, struct.error, IndexError, pa.ArrowException) as error:
        text = " ".join(str(error).split()) or "its headers are damaged"
        raise fault("file cannot be read", text, where=str(path)) from error
    return frame


def read_parquet_columns(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Some columns of a Parquet file within bounds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_parquet(path)
    try:
        table = pq.read_table(path, columns=list(columns))
        _plain(table.schema, path)
        frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    except DataError:
        raise
    except (OSError, KeyError, ValueError, MemoryError, pa.ArrowException) as error:
        raise fault("file cannot be read", error, where=str(path)) from error
    return frame


def check_parquet(path: Path, *, plain: bool = False) -> list[str]:
    """The column names of a Parquet file; `DataError` when it is damaged or too big.

    plain : every column must hold numbers or times (texts may unpack without bound)
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        meta = pq.read_metadata(path)
        schema = meta.schema.to_arrow_schema()
    except FileNotFoundError as error:
        raise fault("file not found", where=str(path)) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise fault("file cannot be read", error, where=str(path)) from error
    check_rows(meta.num_rows, str(path))
    check_columns(meta.num_columns, str(path))
    if plain:
        _plain(schema, path)
    cells = meta.num_rows * len(schema)
    if cells > MOST_CELLS:
        todo = "cut it into several files"
        raise fault("file is too big", f"{cells:,} values", f"{MOST_CELLS:,}", str(path), todo)
    groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    if size > MOST_BYTES:
        found, most = f"{size:,} bytes unpacked", f"{MOST_BYTES:,} bytes"
        raise fault("file is too big", found, most, str(path), "cut it into several files")
    return list(schema.names)


def check_columns(count: int, where: str) -> None:
    """Refuse a table of more columns than any has that holds a market."""
    if count > MOST_COLUMNS:
        raise fault("too many columns", f"{count:,}", f"{MOST_COLUMNS:,}", where)


def read_texts_too(path: Path) -> pd.DataFrame:
    """A whole Parquet file within bounds: numbers, times and texts, with what pandas noted of it.

    A text that stands in a million rows is kept once in a file; it is written out only where all of them
    have room.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_parquet(path)
    schema = pq.read_schema(path)
    for field in schema:
        if pa.types.is_nested(field.type):
            allowed = "numbers, times, texts"
            raise fault(f"column {field.name} is a table itself", field.type, allowed, str(path))
    texts = [field.name for field in schema if _is_text(field.type)]
    table = pq.read_table(path, read_dictionary=texts)
    for place, field in enumerate(schema):
        if field.name in texts:
            written = _written_out(table.column(place), path).cast(field.type)
            table = table.set_column(place, pa.field(field.name, field.type), written)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _is_text(kind: Any) -> bool:
    import pyarrow.types as t

    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind))


def _written_out(column: Any, path: Path) -> Any:
    """A column of texts without its dictionary; `DataError` when it would be too big."""
    from pyarrow import compute

    size = 0
    for chunk in column.chunks:
        lengths = compute.binary_length(chunk.dictionary).take(chunk.indices)
        size += compute.sum(lengths).as_py() or 0
    if size > MOST_BYTES:
        found, most = f"{size:,} bytes of text", f"{MOST_BYTES:,} bytes"
        raise fault("file is too big", found, most, str(path), "cut it into several files")
    return column.cast(column.type.value_type)


def unpacked(source: Any) -> tuple[int, int]:
    """Bytes and rows all record batches of an Arrow file unpack to, by what they declare."""
    import pyarrow as pa

    source.seek(8)  # the magic and its padding; then a stream of messages
    size = rows = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type != "record batch":
            size += 0 if message.body is None else message.body.size
            continue
        batch = _table(message.metadata.to_pybytes(), _RECORD_BATCH)
        rows += batch.number(0, "<q")
        packed = batch.place(3) is not None
        for offset, length in batch.structs(2):
            declared = length
            if packed and length >= 8:
                (told,) = struct.unpack_from("<q", message.body.slice(offset, 8).to_pybytes())
                declared = length if told < 0 else told
            size += declared
    return size, rows


class _Table:
    """One flatbuffers table: where its fields lie."""

    __slots__ = ("data", "start")

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.start = data, start

    def place(self, field: int) -> int | None:
        """Where a field lies; None when it is left out."""
        head = self.start - struct.unpack_from("<i", self.data, self.start)[0]
        (size,) = struct.unpack_from("<H", self.data, head)
        if 4 + 2 * field >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, head + 4 + 2 * field)
        return self.start + offset if offset else None

    def number(self, field: int, code: str) -> int:
        """A number; 0 when it is left out."""
        place = self.place(field)
        return 0 if place is None else int(struct.unpack_from(code, self.data, place)[0])

    def follow(self, field: int) -> int:
        """Where a field that points elsewhere points to."""
        place = self.place(field)
        if place is None:
            raise IndexError(field)
        return place + int(struct.unpack_from("<I", self.data, place)[0])

    def structs(self, field: int) -> list[tuple[int, int]]:
        """A vector of pairs of 64-bit numbers."""
        start = self.follow(field)
        (count,) = struct.unpack_from("<I", self.data, start)
        if start + 4 + 16 * count > len(self.data):
            raise IndexError(count)
        return [struct.unpack_from("<qq", self.data, start + 4 + 16 * n) for n in range(count)]


def _table(header: bytes, kind: int) -> _Table:
    """The table a message carries: field 1 names its kind, field 2 points to it."""
    message = _Table(header, struct.unpack_from("<I", header)[0])
    if message.number(1, "<B") != kind:
        raise IndexError(kind)
    return _Table(header, message.follow(2))


def _plain(schema: Any, path: Path) -> None:
    """Refuse columns that are neither numbers nor times."""
    import pyarrow as pa

    for field in schema:
        kind = field.type
        if not (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)
        ):
            raise fault(
                f"column {field.name} holds no numbers", str(kind), "numbers, times", str(path)
            )
