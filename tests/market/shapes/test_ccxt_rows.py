"""Rows as ccxt returns them, as CSV and JSON, with and without header."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market.shapes.makers import (
    COIN,
    PERP,
    SPOT,
    bars,
    candles,
    csv_text,
    funding,
    packed,
    same,
    settlements,
    times_of,
    written,
)

from bt_margin.errors import DataError, InputError
from bt_margin.market.shapes import Piece, read_foreign, sniff, write_foreign


def rows_of(piece: Piece) -> list[list[Any]]:
    rows = piece.frame.to_numpy().tolist()
    return [[time, *row] for time, row in zip(times_of(piece.frame), rows, strict=True)]


def plain_csv(piece: Piece, header: str = "") -> str:
    return header + "".join(",".join(repr(v) for v in row) + "\n" for row in rows_of(piece))


@pytest.mark.parametrize("header", ["", "timestamp,open,high,low,close,volume\n"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_csv_of_fetch_ohlcv_with_and_without_header(
    tmp_path: Path, header: str, ending: str
) -> None:
    piece = bars()
    path = tmp_path / "rows.csv"
    path.write_bytes(plain_csv(piece, header).replace("\n", ending).encode())
    assert sniff(path) == "ccxt"
    same(read_foreign(path, symbol=PERP)[0], piece)


@pytest.mark.parametrize("name", ["date", "datetime", "Timestamp"])
def test_dates_with_a_zone_are_read_and_naive_ones_refused(tmp_path: Path, name: str) -> None:
    piece = bars()
    text = csv_text(piece.frame).replace("timestamp", name, 1)
    path = written(tmp_path / "BTC_USDT_USDT_1h.csv", text)
    same(read_foreign(path)[0], piece)
    written(path, text.replace("+00:00", ""))
    with pytest.raises(DataError, match="no time zone"):
        read_foreign(path)


def test_a_column_of_row_numbers_as_pandas_writes_it_is_passed_over(tmp_path: Path) -> None:
    piece = bars()
    flat = piece.frame.reset_index().assign(timestamp=times_of(piece.frame))
    path = written(tmp_path / "rows.csv", csv_text(flat))
    same(read_foreign(path, "ccxt", symbol=PERP)[0], piece)


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_json_of_fetch_ohlcv(tmp_path: Path, suffix: str) -> None:
    piece = bars()
    path = tmp_path / f"rows{suffix}"
    data = json.dumps(rows_of(piece)).encode()
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert sniff(path) == "ccxt"
    same(read_foreign(path, symbol=PERP)[0], piece)


def test_marks_may_come_without_volume(tmp_path: Path) -> None:
    rows = [[*row[:5], None] for row in rows_of(bars(kind="mark"))]
    path = written(tmp_path / "rows.json", json.dumps(rows))
    with pytest.raises(InputError, match=r"kind could not be told.*--kind"):
        read_foreign(path, symbol=PERP)
    (found,) = read_foreign(path, symbol=PERP, kind="mark")
    assert np.isnan(found.frame["volume"]).all()
    with pytest.raises(DataError, match=r"volume is not a number.*row 1"):
        read_foreign(path, symbol=PERP, kind="ohlcv")


def test_funding_history_is_a_list_of_dicts_that_say_whose_they_are(tmp_path: Path) -> None:
    frame = settlements(mark=True)
    rows = [
        {
            "info": {"symbol": "BTCUSDT", "markPrice": str(mark)},
            "symbol": PERP,
            "fundingRate": rate,
            "timestamp": time,
            "datetime": "2024-01-01T00:00:00.000Z",
        }
        for time, rate, mark in zip(
            times_of(frame), frame["funding_rate"], frame["mark"], strict=True
        )
    ]
    path = written(tmp_path / "anything.json", json.dumps(rows))
    same(read_foreign(path)[0], Piece(PERP, "funding", "", frame))
    with pytest.raises(InputError, match="file and --symbol disagree"):
        read_foreign(path, symbol=COIN)
    with pytest.raises(InputError, match="holds funding, not mark"):
        read_foreign(path, kind="mark")
    rows[3]["symbol"] = COIN
    with pytest.raises(DataError, match="several symbols in one file"):
        read_foreign(written(path, json.dumps(rows)))


def test_funding_as_a_table(tmp_path: Path) -> None:
    frame = settlements()
    lines = ["symbol,timestamp,fundingRate"]
    pairs = zip(times_of(frame), frame["funding_rate"].tolist(), strict=True)
    lines += [f"{PERP},{time},{rate!r}" for time, rate in pairs]
    path = written(tmp_path / "BTC_USDT_USDT-funding.csv", "\n".join(lines))
    same(read_foreign(path)[0], Piece(PERP, "funding", "", frame))


@pytest.mark.parametrize("suffix", [".csv", ".json", ".json.gz", ".csv.gz"])
@pytest.mark.parametrize(
    "piece",
    [
        bars(), bars(kind="mark"), bars(COIN, "index"), bars(SPOT), bars(f"{PERP}-240628"), funding(),
        funding(mark=True),
    ],
    ids=lambda piece: f"{piece.symbol} {piece.kind}",
)  # fmt: skip
def test_what_is_written_reads_back_value_for_value(
    tmp_path: Path, piece: Piece, suffix: str
) -> None:
    (path,) = write_foreign([piece], tmp_path, "ccxt", suffix=suffix)
    assert sniff(path) == "ccxt"
    same(read_foreign(path)[0], piece)


def test_unknown_volumes_survive_the_round_trip(tmp_path: Path) -> None:
    piece = Piece(PERP, "mark", "1h", candles(volume=False).assign(volume=np.nan))
    for suffix in (".csv", ".json"):
        (path,) = write_foreign([piece], tmp_path, "ccxt", suffix=suffix)
        same(read_foreign(path)[0], piece)


def test_a_zip_of_rows(tmp_path: Path) -> None:
    piece = bars()
    path = packed(tmp_path / "rows.zip", plain_csv(piece))
    same(read_foreign(path, symbol=PERP)[0], piece)


def test_rows_do_not_say_whose_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "BTCUSDT.csv", plain_csv(bars()))
    with pytest.raises(InputError, match=r"symbol could not be told.*--symbol"):
        read_foreign(path, exchange="binance")
    assert read_foreign(path, exchange="binanceusdm")[0].symbol == PERP
    assert read_foreign(path, symbol="BTCUSDT")[0].symbol == PERP
    with pytest.raises(InputError, match="not a symbol"):
        read_foreign(path, symbol="bitcoin")


def test_one_row_does_not_tell_its_length(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", plain_csv(bars(count=1)))
    with pytest.raises(InputError, match=r"timeframe could not be told.*--timeframe"):
        read_foreign(path, symbol=PERP)
    assert read_foreign(path, symbol=PERP, timeframe="1h")[0].timeframe == "1h"


def test_a_name_that_promises_finer_bars_than_there_are_is_doubted(tmp_path: Path) -> None:
    piece = Piece(PERP, "ohlcv", "4h", candles(step=4 * 3_600_000))
    path = written(tmp_path / "BTC_USDT_USDT_1h.csv", plain_csv(piece))
    with pytest.raises(InputError, match=r"says 1h.*--timeframe"):
        read_foreign(path)
    same(read_foreign(path, timeframe="4h")[0], piece)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("{}", "not a list of rows"),
        ("[]", "no rows"),
        ("[[1,2", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[[1704067200000,1,2,1,2]]", "not a row of bars: found 5 values.*row 1"),
        ('[[1704067200000,1,2,1,2,3],["x",1,2,1,2,3]]', "time is not a whole number.*row 2"),
        ('[[1704067200000,1,2,1,2,3],[1704070800000,1,2,"y",2,3]]', "low is not a number.*row 2"),
        ("[[1704067200000,1,2,1,2,3],[1704070800000,true,2,1,2,3]]", "open is not a number.*row 2"),
        ("[[1704067200000,1,2,1,NaN,3]]", "close is not a price.*row 1"),
        ("[[1e400,1,2,1,2,3]]", "time is not a whole number.*row 1"),
        ('[{"timestamp": 1}]', "not a settlement.*row 1"),
        ('[{"timestamp":1704067200000,"fundingRate":null}]', "fundingRate is not a number.*row 1"),
    ],
)
def test_broken_json_is_one_line_that_names_the_file_and_the_row(
    tmp_path: Path, rows: str, words: str
) -> None:
    path = written(tmp_path / "rows.json", rows)
    with pytest.raises(DataError, match=words) as caught:
        read_foreign(path, "ccxt", symbol=PERP, timeframe="1h")
    assert "rows.json" in str(caught.value)
    assert "\n" not in str(caught.value)
