"""Files that lie, nest or grow: refused in one line, before anything large is made of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bt_margin.errors import DataError
from bt_margin.market import files
from bt_margin.market.shapes import arrow

HEAD = "timestamp,open,high,low,close,volume\n"
DEEP = "[" * 100_000 + "]" * 100_000
NAMES = ("open", "high", "low", "close", "volume")


def times(count: int) -> pa.Array:
    stamps = np.arange(count) * 3_600_000_000_000 + 1_700_000_000_000_000_000
    return pa.array(stamps, pa.timestamp("ns", tz="UTC"))


def bars(count: int) -> dict[str, pa.Array]:
    return {"timestamp": times(count), **{name: pa.array(np.ones(count)) for name in NAMES}}


def many_rows(path: Path) -> None:
    """Forty million bars in some kilobytes: the same one again and again."""
    count, each = 40_000_000, 1_000_000
    column = pa.array(np.ones(each))
    with pq.ParquetWriter(path, pa.schema([("open", pa.float64())])) as file:
        for _ in range(count // each):
            file.write_table(pa.table({"open": column}))


def many_columns(path: Path) -> None:
    one = pa.array([1.0])
    pq.write_table(pa.table({f"c{number}": one for number in range(2_000)}), path)


def a_list_inside(path: Path) -> None:
    """One row that holds a hundred million numbers, all the same: a kilobyte."""
    inside = pa.ListArray.from_arrays(pa.array([0, 10_000_000], pa.int32()), np.ones(10_000_000))
    pq.write_table(pa.table({**bars(1), "note": inside}), path)


def a_long_text(path: Path) -> None:
    """A text of a megabyte that stands in every row, kept once a piece."""
    text = pa.array(["x" * 1_000_000] * 50)
    schema = pa.schema([("timestamp", times(1).type), ("note", pa.string())])
    with pq.ParquetWriter(path, schema, store_schema=False) as file:
        for _ in range(25):
            file.write_table(pa.table({"timestamp": times(50), "note": text}))


def deep_notes(name: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pq.write_table(pa.table(bars(3)).replace_schema_metadata({name: DEEP.encode()}), path)

    return make


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content, encoding="utf-8") and None


CASES: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("rows", "parquet", many_rows, "too many rows"),
    ("columns", "parquet", many_columns, "too many columns"),
    ("a list in a cell", "parquet", a_list_inside, "column note is a table itself"),
    ("a text in every row", "parquet", a_long_text, "bytes of text"),
    ("deep notes of ours", "parquet", deep_notes(b"bt_margin"), "nested too deep"),
    ("deep notes of pandas", "parquet", deep_notes(b"pandas"), "cannot be read"),
    ("columns", "csv", text(",".join(map(str, range(2_000))) + "\n"), "too many columns"),
    ("one long line", "csv", text(HEAD + "1" * 5_000_000 + "\n"), "cannot be read"),
    ("a year nobody counts", "csv", text(HEAD + "0001-01-01T00:00:00Z,1,1,1,1,1\n"), "out of range"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "make", "words"), [case[1:] for case in CASES], ids=[f"{c[1]}, {c[0]}" for c in CASES]
)
def test_a_file_of_absurd_contents_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, make: Any, words: str
) -> None:
    monkeypatch.setattr(arrow, "MOST_BYTES", 100_000_000)
    path = tmp_path / f"BTC_USDT_USDT.{kind}"
    make(path)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    with pytest.raises(DataError, match=words) as refused:
        files.load_market(tmp_path)
    held = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - before
    tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600
    assert held < 200e6


def test_deep_notes_beside_a_csv_are_refused(tmp_path: Path) -> None:
    text(HEAD + "2024-01-01T00:00:00Z,1,1,1,1,1\n")(tmp_path / "BTC_USDT_USDT.csv")
    text(DEEP)(tmp_path / "BTC_USDT_USDT.meta.json")
    with pytest.raises(DataError, match="nested too deep"):
        files.load_market(tmp_path)


def test_texts_and_what_pandas_notes_are_kept_within_bounds(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {**{name: [1.0, 1.0] for name in NAMES}, "note": ["a", None]},
        pd.date_range("2024-01-01", periods=2, freq="h", tz="UTC"),
    )
    frame.to_parquet(tmp_path / "BTC_USDT_USDT.parquet")
    (found,) = files.load_market(tmp_path).values()
    assert found["note"].iloc[0] == "a"
    assert found["note"].isna().tolist() == [False, True]
    assert list(found.index) == list(frame.index)
