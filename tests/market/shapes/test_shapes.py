"""Which shape a file is, our own files as pieces, and the door of the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market.shapes.makers import COIN, PERP, SPOT, bars, candles, csv_text, funding, same, written
from real.rawdata import folder

from bt_margin.errors import DataError, InputError
from bt_margin.market.files import load_market, save_market
from bt_margin.market.shapes import Piece, own, read_foreign, sniff, write_foreign
from bt_margin.market.synthetic import generate_market


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    """A small synthetic market with marks and funding."""
    return generate_market(hours=500)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_canonical_files_give_a_piece_of_each_kind_and_come_back_the_same(
    tmp_path: Path, market: dict[str, pd.DataFrame], suffix: str
) -> None:
    files = save_market(market, tmp_path / "ours", kind="csv" if suffix == "csv" else "parquet")
    for symbol, path in files.items():
        assert sniff(path) == suffix
        pieces = read_foreign(path)
        assert [piece.kind for piece in pieces] == ["ohlcv", "mark", "funding"]
        assert {piece.symbol for piece in pieces} == {symbol}
        (back,) = write_foreign(pieces, tmp_path / "back", suffix)
        assert back.name == path.name
    ours, again = load_market(tmp_path / "ours"), load_market(tmp_path / "back")
    for symbol, frame in ours.items():
        pd.testing.assert_frame_equal(again[symbol], frame, check_exact=True)


def test_bars_without_a_mark_give_no_mark(tmp_path: Path, market: dict[str, pd.DataFrame]) -> None:
    symbol, frame = next(iter(market.items()))
    marks = [name for name in frame.columns if name.startswith("mark_")]
    holed = frame.copy()
    holed.loc[holed.index[10:20], marks] = np.nan
    path = save_market({symbol: holed}, tmp_path)[symbol]
    mark = {piece.kind: piece for piece in read_foreign(path)}["mark"]
    assert len(mark.frame) == len(frame) - 10
    (only,) = read_foreign(path, kind="mark")
    same(only, mark)
    with pytest.raises(DataError, match="no index in the file"):
        read_foreign(path, kind="index")
    with pytest.raises(InputError, match="file and --symbol disagree"):
        read_foreign(path, symbol="XRP/USDT:USDT")


def test_settlements_no_bar_can_hold_travel_beside_the_frame(tmp_path: Path) -> None:
    settled = funding(count=20)
    quarter = Piece(PERP, "ohlcv", "1d", candles(8, step=86_400_000))
    (path,) = write_foreign([quarter, settled], tmp_path, "parquet")
    back = {piece.kind: piece for piece in read_foreign(path)}["funding"]
    rates = back.frame["funding_rate"].tolist()
    assert rates == settled.frame["funding_rate"].tolist()
    assert (back.frame.index == settled.frame.index.floor("min")).all()


def test_a_canonical_file_needs_the_last_price(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the last prices"):
        write_foreign([bars(kind="mark")], tmp_path, "parquet")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize(
    "piece",
    [bars(), bars(kind="mark"), bars(COIN), funding(), funding(COIN, mark=True)],
    ids=lambda piece: f"{piece.symbol} {piece.kind}",
)
def test_split_files_read_back_value_for_value(tmp_path: Path, piece: Piece, suffix: str) -> None:
    if piece.symbol == COIN:
        piece = Piece("BTC/USD:BTC", piece.kind, piece.timeframe, piece.frame)
    (path,) = write_foreign([piece], tmp_path, "split", exchange="okx", suffix=suffix)
    assert sniff(path) == "split"
    same(read_foreign(path)[0], piece)


def test_split_files_are_what_load_market_reads(tmp_path: Path) -> None:
    pieces = [bars(), bars(kind="mark"), funding()]
    write_foreign(pieces, tmp_path, "split", exchange="okx")
    frame = load_market(tmp_path)[PERP]
    assert frame["close"].tolist() == pieces[0].frame["close"].tolist()
    assert frame["mark_low"].tolist() == pieces[1].frame["low"].tolist()
    assert frame["funding_rate"].notna().sum() == 4


def test_what_split_names_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no room for index prices"):
        write_foreign([bars(kind="index")], tmp_path, "split")
    with pytest.raises(InputError, match="no room for this symbol"):
        write_foreign([bars(SPOT)], tmp_path, "split")
    (path,) = write_foreign([bars()], tmp_path, "split", exchange="okx")
    with pytest.raises(InputError, match="file and --symbol disagree"):
        read_foreign(path, symbol=COIN)
    with pytest.raises(DataError, match="not the name of a split file"):
        own.read_split(path.with_name("x.parquet"), own.Asked())


@pytest.mark.parametrize(
    ("name", "text", "shape"),
    [
        ("BTCUSDT.csv", "timestamp,open,high,low,close,volume\n1704067200000,1,2,1,2,3\n", "ccxt"),
        ("a.csv", "timestamp,open,high,low,close,volume,mark_open\n", "csv"),
        ("a.csv", ",open,high,low,close,volume\n", "csv"),
        ("okx_BTCUSDT_funding_8h.csv", "timestamp,funding_rate\n", "split"),
        ("a.csv", "open_time,open,high,low,close,volume\n", "binance"),
        ("a.csv", "calc_time,funding_interval_hours,last_funding_rate\n", "binance"),
        ("a.csv", "1,1,1,1,1,1,1,1,1,1,1,0\n", "binance"),
        ("a.csv", "1704067200000,1,2,1,2,3\n", "ccxt"),
        ("a.json", "[[1704067200000,1,2,1,2,3]]", "ccxt"),
        ("BTC_USDT_USDT-1h-mark.json", "[[1704067200000,1,2,1,2,3]]", "freqtrade"),
    ],
)
def test_name_and_first_line_tell_the_shape(
    tmp_path: Path, name: str, text: str, shape: str
) -> None:
    assert sniff(written(tmp_path / name, text)) == shape


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "file,rows,first\nx,1,2\n"),
        ("a.csv", ""),
        ("a.csv", "1,2\n"),
        ("a.csv", "<html><body>502 Bad Gateway</body></html>"),
        ("a.json", '{"a": 1}'),
        ("a.txt", "hello"),
        ("a.csv", "trade_id,price,qty\n1,2,3\n"),
    ],
)
def test_a_file_of_no_shape_is_said_with_the_option_that_names_one(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(InputError, match=r"shape of the file is not known.*--shape"):
        sniff(written(tmp_path / name, text))


def test_words_that_are_no_shape_or_kind_are_refused_with_a_hint(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", csv_text(candles()))
    with pytest.raises(InputError, match=r"unknown shape.*did you mean binance\?"):
        read_foreign(path, "binanse")
    with pytest.raises(InputError, match=r"unknown kind.*did you mean mark\?"):
        read_foreign(path, kind="marks")
    with pytest.raises(InputError, match="one symbol at a time"):
        write_foreign([bars(), bars(SPOT)], tmp_path, "ccxt")


def test_marks_with_volume_are_remarked_on(tmp_path: Path) -> None:
    piece = Piece(PERP, "mark", "1h", candles())
    (path,) = write_foreign([piece], tmp_path, "ccxt")
    assert "make sure they are not the last price" in read_foreign(path)[0].notes[0]


@pytest.mark.parametrize("shape", ["ccxt", "binance", "freqtrade", "split"])
def test_real_history_goes_through_every_shape_unchanged(tmp_path: Path, shape: str) -> None:
    if not folder().is_dir():
        pytest.skip("no real market data beside the checkout")
    for name in ("ohlcv_1h", "mark_1h", "funding_var"):
        (piece,) = read_foreign(folder() / f"binance_SOLUSDT_{name}.parquet")
        files = write_foreign([piece], tmp_path / name, shape)
        back = [read_foreign(path)[0] for path in files]
        whole = pd.concat([each.frame for each in back])
        same(Piece(back[0].symbol, back[0].kind, back[0].timeframe, whole), piece)
