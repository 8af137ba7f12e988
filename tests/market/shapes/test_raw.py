"""Reading within bounds: bombs, foreign paths, damage, and one clear line for each bad row."""

from __future__ import annotations

import gzip
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from market.shapes.makers import PERP, bars, candles, klines, packed, same, written

from bt_margin.errors import DataError
from bt_margin.market.shapes import arrow, raw, read_foreign

ROW = "1704067200000,1.0,2.0,1.0,2.0,3.0\n"
NEXT = "1704070800000,1.0,2.0,1.0,2.0,3.0\n"


def test_a_zip_that_declares_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "rows.zip", ROW * 1000)
    assert path.stat().st_size < 1000
    monkeypatch.setattr(raw, "MOST_BYTES", 10_000)
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(DataError, match="too big: found 34,000 bytes unpacked, allowed 10,000"):
        raw.content(path, raw.MOST_BYTES)


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_declared(tmp_path: Path) -> None:
    path = packed(tmp_path / "rows.zip", ROW * 1000)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\1\2")
    data[directory + 24 : directory + 28] = struct.pack("<I", 340)
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read"):
        raw.content(path, 10_000)


@pytest.mark.parametrize("suffix", [".csv.gz", ".json.gz"])
def test_a_gzip_bomb_stops_at_the_bound(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(gzip.compress(b"1" * 10_000_000))
    with pytest.raises(DataError, match="more than 1,000,000 bytes"):
        raw.content(path, 1_000_000)


def test_a_plain_file_is_judged_by_its_size(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", ROW * 100)
    with pytest.raises(DataError, match="too big: found 3,400 bytes, allowed 1,000 bytes"):
        raw.content(path, 1_000)


def test_paths_inside_a_zip_are_never_used(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    path = packed(inner / "BTCUSDT-1h-2024-01.zip", klines(candles()), "../../evil/../x.csv")
    before = sorted(tmp_path.rglob("*"))
    same(read_foreign(path, symbol=PERP)[0], bars())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_must_hold_one_text(tmp_path: Path) -> None:
    path = packed(tmp_path / "rows.zip", ROW, "readme.md")
    with pytest.raises(DataError, match="one file of text: found 0 of 1 files"):
        raw.content(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.csv", ROW)
        archive.writestr("b.csv", ROW)
    with pytest.raises(DataError, match="found 2 of 3 files"):
        raw.content(path)


@pytest.mark.parametrize("suffix", [".zip", ".gz"])
def test_damaged_packing_is_one_line(tmp_path: Path, suffix: str) -> None:
    whole = raw.write_bytes(tmp_path / f"rows{suffix}", (ROW * 500).encode()).read_bytes()
    path = tmp_path / f"rows.csv{suffix}"
    for data in (whole[: len(whole) // 2], whole[:40] + b"\xff" * 20 + whole[60:], b"hello"):
        path.write_bytes(data)
        with pytest.raises(DataError, match="cannot be read") as caught:
            raw.content(path)
        assert str(path) in str(caught.value)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "rows.zip", ROW)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        raw.content(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "shape of the file is not known|no rows"),
        ("\n\n", "no rows"),
        ("timestamp,open,high,low,close,volume\n", "no rows"),
        (ROW + "1704070800000,1.0,x,1.0,2.0,3.0\n", "high is not a number: found 'x'.*row 2"),
        (ROW + "1704070800000,1.0,2.0\n", "row is not whole: .*6 columns.*row 2"),
        (ROW + "1704070800000,1.0,,1.0,2.0,3.0\n", "high is not a price: found nan.*row 2"),
        (ROW + "1704070800000,1.0,inf,1.0,2.0,3.0\n", "high is not a price.*row 2"),
        (ROW + "1704070800000,1.0,0.5,1.0,2.0,3.0\n", "high is below open or close.*row 2"),
        (ROW + "1704070800000,1.0,2.0,1.5,2.0,3.0\n", "low is above open or close.*row 2"),
        (ROW + "1704070800000,1.0,2.0,-1.0,2.0,3.0\n", "low is not a price: found -1.0.*row 2"),
        (ROW + "1704070800000,1.0,2.0,1.0,2.0,-3.0\n", "volume is not a number.*row 2"),
        (ROW + "1704070800001,1.0,2.0,1.0,2.0,3.0\n", "not open on the grid of 1h.*row 2"),
        (ROW + ",1.0,2.0,1.0,2.0,3.0\n", "time is missing.*row 2"),
        (ROW + "-5,1.0,2.0,1.0,2.0,3.0\n", "time is not after 1970: found -5.*row 2"),
        (ROW + NEXT + ROW.replace("3.0", "4.0"), "two different rows of one time.*rows 1 and 3"),
        (ROW + "2024-13-45,1.0,2.0,1.0,2.0,3.0\n", "timestamp is not a number.*row 2"),
        ("timestamp,open,high,low,close,volume\nsoon,1,2,1,2,3\n", "a time cannot be read"),
        ("timestamp,open,high,close,volume\n1,1,2,2,3\n", "no column low"),
    ],
)
def test_a_broken_csv_is_one_line_that_names_the_file_and_the_row(
    tmp_path: Path, text: str, words: str
) -> None:
    path = written(tmp_path / "rows.csv", text)
    with pytest.raises(DataError, match=words) as caught:
        read_foreign(path, "ccxt", symbol=PERP, kind="ohlcv", timeframe="1h")
    assert "rows.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fault_far_down_is_found_in_its_row(tmp_path: Path) -> None:
    frame = candles(60_000)
    text = klines(frame, header=False) + "x" * 5 + ",1,1,1,1,1,1,1,1,1,1,1\n"
    path = written(tmp_path / "BTCUSDT-1h-2024-01.csv", text)
    with pytest.raises(DataError, match=r"open_time is not a number: found 'xxxxx'.*row 60001"):
        read_foreign(path, symbol=PERP)


def test_rows_out_of_order_are_sorted_and_equal_ones_taken_once_with_a_note(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", NEXT + ROW + NEXT)
    (found,) = read_foreign(path, symbol=PERP)
    assert len(found.frame) == 2
    assert found.frame.index.is_monotonic_increasing
    assert [note.partition("rows.csv: ")[2] for note in found.notes] == [
        "rows were not in order of time and were sorted",
        "rows that were there twice, taken once: 1",
    ]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(ROW.encode() + bytes(range(256)))
    with pytest.raises(DataError, match=r"rows.csv"):
        read_foreign(path, "ccxt", symbol=PERP, timeframe="1h")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (ROW + NEXT).encode())
    assert len(read_foreign(path, symbol=PERP)[0].frame) == 2


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MOST_ROWS", 1)
    with pytest.raises(DataError, match="too many rows: found 2, allowed 1"):
        read_foreign(written(tmp_path / "rows.csv", ROW + NEXT), symbol=PERP)


@pytest.mark.parametrize("packing", ["lz4", "zstd", "uncompressed"])
def test_what_a_feather_file_unpacks_to_is_known_before(tmp_path: Path, packing: str) -> None:
    path = tmp_path / "BTC_USDT_USDT-1h-futures.feather"
    count = 300_000
    zeros = {name: np.zeros(count) for name in ("open", "high", "low", "close", "volume")}
    dates = pd.date_range("2000-01-01", periods=count, freq="h", tz="UTC")
    pd.DataFrame({"date": dates, **zeros}).to_feather(path, compression=packing, chunksize=100_000)
    with pa.memory_map(str(path)) as source:
        size, rows = arrow.unpacked(source)
    assert rows == count
    assert 0 <= size - count * 6 * 8 < 1000


def test_a_feather_bomb_is_refused_before_it_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "BTC_USDT_USDT-1h-futures.feather"
    table = {"date": np.zeros(100_000, np.int64), "open": np.zeros(100_000)}
    pd.DataFrame(table).to_feather(path, compression="zstd")
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(arrow, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(pa.ipc, "open_file", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(DataError, match=r"too big: found 1,600,0.. bytes unpacked"):
        arrow.read_feather(path)


def test_a_parquet_bomb_is_refused_before_it_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "BTC_USDT_USDT_1h.parquet"
    pd.DataFrame({"timestamp": np.zeros(100_000, np.int64)}).to_parquet(path)
    monkeypatch.setattr(raw, "MOST_ROWS", 1000)
    with pytest.raises(DataError, match="too many rows: found 100,000"):
        read_foreign(path)


def test_a_parquet_file_of_texts_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    """A dictionary of one long text may stand for any number of rows."""
    path = tmp_path / "BTC_USDT_USDT_1h.parquet"
    frame = candles(1000).assign(remark="x" * 1_000_000)
    frame.to_parquet(path)
    assert path.stat().st_size < 300_000
    with pytest.raises(DataError, match="column remark holds no numbers"):
        read_foreign(path)


@pytest.mark.parametrize("place", range(8, 400, 13))
def test_a_feather_file_with_a_bad_byte_is_read_or_refused_but_never_breaks(
    tmp_path: Path, place: int
) -> None:
    path = tmp_path / "BTC_USDT_USDT-1h-futures.feather"
    frame = candles().rename_axis("date").reset_index()
    frame.to_feather(path, compression="lz4")
    data = bytearray(path.read_bytes())
    for where in (place, len(data) - place):
        for value in (0, 0x7F, 0xFF):
            bad = bytearray(data)
            bad[where] = value
            path.write_bytes(bad)
            with suppress(DataError):
                read_foreign(path)


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "old")

    def fails(beside: Path) -> None:
        beside.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        raw.whole(path, fails)
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]
    assert path.read_text() == "old"


def test_packing_the_same_rows_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in (".zip", ".gz"):
        first = raw.write_bytes(tmp_path / f"a{suffix}", ROW.encode()).read_bytes()
        assert raw.write_bytes(tmp_path / f"a{suffix}", ROW.encode()).read_bytes() == first
