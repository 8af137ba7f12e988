"""freqtrade's files: feather, Parquet and JSON; the funding rate stands in `open`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from market.shapes.makers import (
    COIN,
    PERP,
    SPOT,
    bars,
    funding,
    same,
    settlements,
    times_of,
    written,
)
from pyarrow import feather

from bt_margin.errors import DataError, InputError
from bt_margin.market.shapes import Piece, lost, read_foreign, sniff, write_foreign

NAMES = {"ohlcv": "futures", "mark": "mark", "index": "index"}


def as_freqtrade(frame: pd.DataFrame, unit: str = "ms") -> pd.DataFrame:
    """The frame freqtrade keeps: a column of dates and five of numbers."""
    dates = pd.DatetimeIndex(frame.index).as_unit(unit)
    return frame.set_axis(dates, axis=0).rename_axis("date").reset_index()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("kind", list(NAMES))
def test_feather_of_each_kind_of_candle(tmp_path: Path, kind: str, unit: str) -> None:
    piece = bars(kind=kind)
    path = tmp_path / f"BTC_USDT_USDT-1h-{NAMES[kind]}.feather"
    as_freqtrade(piece.frame, unit).to_feather(path, compression="lz4", compression_level=9)
    assert sniff(path) == "freqtrade"
    same(read_foreign(path)[0], piece)


def test_spot_has_no_word_for_its_candles(tmp_path: Path) -> None:
    piece = bars(SPOT)
    path = tmp_path / "BTC_USDT-1h.feather"
    as_freqtrade(piece.frame).to_feather(path)
    same(read_foreign(path)[0], piece)


@pytest.mark.parametrize("hours", [8, 1])
def test_the_funding_rate_stands_in_open(tmp_path: Path, hours: int) -> None:
    frame = settlements(hours=hours)
    zeros = dict.fromkeys(("high", "low", "close", "volume"), 0.0)
    table = as_freqtrade(frame[["funding_rate"]].rename(columns={"funding_rate": "open"}))
    path = tmp_path / f"BTC_USDT_USDT-{hours}h-funding_rate.feather"
    table.assign(**zeros).to_feather(path, compression="lz4")
    same(read_foreign(path)[0], Piece(PERP, "funding", "", frame))


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".parquet"])
def test_its_other_forms(tmp_path: Path, suffix: str) -> None:
    piece = bars()
    path = tmp_path / f"BTC_USDT_USDT-1h-futures{suffix}"
    if suffix == ".parquet":
        as_freqtrade(piece.frame).to_parquet(path)
    else:
        rows = [
            [t, *r]
            for t, r in zip(times_of(piece.frame), piece.frame.to_numpy().tolist(), strict=True)
        ]
        data = json.dumps(rows).encode()
        path.write_bytes(gzip.compress(data) if suffix == ".json.gz" else data)
    assert sniff(path) == "freqtrade"
    same(read_foreign(path)[0], piece)


@pytest.mark.parametrize("suffix", [".feather", ".json", ".json.gz"])
@pytest.mark.parametrize(
    "piece",
    [
        bars(count=1000), bars(kind="mark"), bars(COIN, "index"), bars(SPOT), bars(f"{PERP}-240628"),
        funding(), funding(COIN),
    ],
    ids=lambda piece: f"{piece.symbol} {piece.kind}",
)  # fmt: skip
def test_what_is_written_reads_back_value_for_value(
    tmp_path: Path, piece: Piece, suffix: str
) -> None:
    (path,) = write_foreign([piece], tmp_path, "freqtrade", suffix=suffix)
    assert path.parent == (tmp_path if piece.symbol == SPOT else tmp_path / "futures")
    assert sniff(path) == "freqtrade"
    same(read_foreign(path)[0], piece)


def test_feather_is_written_as_freqtrade_writes_it(tmp_path: Path) -> None:
    (path,) = write_foreign([bars()], tmp_path, "freqtrade")
    assert path.name == "BTC_USDT_USDT-1h-futures.feather"
    table = feather.read_table(path)
    assert table.schema.names == ["date", "open", "high", "low", "close", "volume"]
    assert table.schema.field("date").type == pa.timestamp("ms", tz="UTC")
    assert {str(field.type) for field in list(table.schema)[1:]} == {"double"}
    assert b"\x04\x22\x4d\x18" in path.read_bytes()  # an lz4 frame
    frame = feather.read_feather(path)
    assert isinstance(frame.index, pd.RangeIndex)


@pytest.mark.parametrize(("hours", "name"), [(8, "8h"), (4, "1h")])
def test_the_name_of_a_funding_file_tells_its_clock(tmp_path: Path, hours: int, name: str) -> None:
    piece = Piece(PERP, "funding", "", settlements(hours=hours))
    (path,) = write_foreign([piece], tmp_path, "freqtrade")
    assert path.name == f"BTC_USDT_USDT-{name}-funding_rate.feather"


def test_what_the_files_cannot_hold_is_said_or_refused(tmp_path: Path) -> None:
    assert "marks of settlements" in str(lost(funding(mark=True), "freqtrade"))
    empty = Piece(PERP, "mark", "1h", bars(kind="mark").frame.assign(volume=np.nan))
    assert "unknown volume" in str(lost(empty, "freqtrade"))
    with pytest.raises(InputError, match="no room for this symbol"):
        write_foreign([bars("A_B/USDT:USDT")], tmp_path, "freqtrade")


@pytest.mark.parametrize(
    ("name", "told", "words"),
    [
        ("BTC_USDT_USDT-1h-premiumIndex.feather", {}, "premium index"),
        ("mine.feather", {}, r"symbol could not be told.*--symbol"),
        ("mine.feather", {"symbol": PERP}, r"kind could not be told.*--kind"),
        ("BTC_USDT_USDT-1h-mark.feather", {"kind": "ohlcv"}, "file and --kind disagree"),
        ("BTC_USDT_USDT-1Mo-futures.feather", {}, "months have no fixed length"),
    ],
)
def test_what_a_name_does_not_tell_is_asked_for(
    tmp_path: Path, name: str, told: dict[str, str], words: str
) -> None:
    path = tmp_path / name
    as_freqtrade(bars(kind="mark").frame).to_feather(path)
    with pytest.raises(InputError, match=words):
        read_foreign(path, **told)


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT_USDT-1h-futures.feather"
    for data in (b"", b"ARROW1\0\0", b"ARROW1\0\0" + b"\xff" * 500, b"FEA1" * 20):
        path.write_bytes(data)
        with pytest.raises(DataError, match="BTC_USDT_USDT-1h-futures"):
            read_foreign(path)
    as_freqtrade(bars().frame).to_feather(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        read_foreign(path)
    as_freqtrade(bars().frame).drop(columns="low").to_feather(path)
    with pytest.raises(DataError, match="no column low"):
        read_foreign(path)
    as_freqtrade(bars().frame).assign(open="x").to_feather(path)
    with pytest.raises(DataError, match="column open holds no numbers"):
        read_foreign(path)
    with pytest.raises(DataError, match="file not found"):
        read_foreign(tmp_path / "ETH_USDT_USDT-1h-futures.feather")
    written(tmp_path / "BTC_USDT_USDT-1h-futures.json", "[]")
    with pytest.raises(DataError, match="no rows"):
        read_foreign(tmp_path / "BTC_USDT_USDT-1h-futures.json")
