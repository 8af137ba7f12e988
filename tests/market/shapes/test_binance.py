"""Binance's public archive: every layout read to the digit, nothing guessed, written back the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from market.shapes.makers import (
    COIN,
    HOUR,
    PERP,
    SPOT,
    START,
    bars,
    candles,
    funding,
    klines,
    packed,
    same,
    settlements,
    times_of,
    written,
)

from bt_margin.errors import DataError, InputError
from bt_margin.market.shapes import Piece, lost, read_foreign, sniff, write_foreign

UM, CM = "data/futures/um/monthly", "data/futures/cm/daily"
FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("suffix", [".csv", ".zip"])
@pytest.mark.parametrize(
    ("place", "name", "symbol", "kind"),
    [
        (f"{UM}/klines/BTCUSDT/1h", "BTCUSDT-1h-2024-01", PERP, "ohlcv"),
        (f"{UM}/markPriceKlines/BTCUSDT/1h", "BTCUSDT-1h-2024-01", PERP, "mark"),
        (f"{UM}/indexPriceKlines/BTCUSDT/1h", "BTCUSDT-1h-2024-01", PERP, "index"),
        (f"{CM}/klines/BTCUSD_PERP/1h", "BTCUSD_PERP-1h-2024-01-01", COIN, "ohlcv"),
        (f"{CM}/markPriceKlines/BTCUSD_PERP/1h", "BTCUSD_PERP-1h-2024-01-01", COIN, "mark"),
        (f"{CM}/indexPriceKlines/BTCUSD/1h", "BTCUSD-1h-2024-01-01", COIN, "index"),
        (f"{UM}/klines/BTCUSDT_240628/1h", "BTCUSDT_240628-1h-2024-01", f"{PERP}-240628", "ohlcv"),
        ("data/spot/monthly/klines/BTCUSDT/1h", "BTCUSDT-1h-2024-01", SPOT, "ohlcv"),
    ],
)
def test_the_folders_tell_market_and_kind(
    tmp_path: Path, place: str, name: str, symbol: str, kind: str, suffix: str, header: bool
) -> None:
    piece = bars(symbol, kind)
    text = klines(piece.frame, header=header)
    path = tmp_path / place / f"{name}{suffix}"
    path = packed(path, text) if suffix == ".zip" else written(path, text)
    assert sniff(path) == "binance"
    (found,) = read_foreign(path)
    same(found, piece)


def test_spot_files_since_2025_are_in_microseconds_and_say_so_themselves(tmp_path: Path) -> None:
    piece = bars(SPOT, start=1_735_689_600_000)
    text = klines(piece.frame, header=False, micro=True)
    (found,) = read_foreign(written(tmp_path / "BTCUSDT-1h-2025-01.csv", text), exchange="binance")
    same(found, piece)


def test_a_file_put_together_from_both_years_is_read_row_by_row(tmp_path: Path) -> None:
    before = bars(SPOT, start=1_735_689_600_000 - 24 * HOUR, count=24)
    after = bars(SPOT, start=1_735_689_600_000, count=24)
    text = klines(before.frame, header=False) + klines(after.frame, header=False, micro=True)
    path = written(tmp_path / "BTCUSDT-1h-2025-01.csv", text)
    (found,) = read_foreign(path, symbol=SPOT)
    assert times_of(found.frame) == times_of(before.frame) + times_of(after.frame)


@pytest.mark.parametrize("header", [True, False])
def test_funding_rates_keep_their_stamps_to_the_millisecond(tmp_path: Path, header: bool) -> None:
    frame = settlements(20)
    lines = [FUNDING_HEADER] if header else []
    rates = frame["funding_rate"].tolist()
    lines += [f"{t},8,{r!r}" for t, r in zip(times_of(frame), rates, strict=True)]
    path = packed(tmp_path / "BTCUSDT-fundingRate-2024-01.zip", "\n".join(lines))
    (found,) = read_foreign(path)
    same(found, Piece(PERP, "funding", "", frame))


@pytest.mark.parametrize("suffix", [".csv", ".zip"])
@pytest.mark.parametrize(
    "piece",
    [
        bars(count=1000),
        bars(kind="mark"),
        bars(COIN, "index"),
        bars(SPOT, count=60, start=1_735_689_600_000 - 30 * HOUR),
        bars(f"{PERP}-240628"),
        bars("ETH/BTC:BTC"),
        bars("1000SHIB/USDT:USDT", "mark"),
        funding(count=200),
        funding(COIN),
    ],
    ids=lambda piece: f"{piece.symbol} {piece.kind}",
)
def test_what_is_written_in_the_archives_layout_reads_back_value_for_value(
    tmp_path: Path, piece: Piece, suffix: str
) -> None:
    files = write_foreign([piece], tmp_path, "binance", suffix=suffix)
    back = [found for path in files for found in read_foreign(path)]
    assert {sniff(path) for path in files} == {"binance"}
    assert [times_of(found.frame)[0] for found in back] == sorted(
        times_of(found.frame)[0] for found in back
    )
    whole = [each.frame for each in back]
    import pandas as pd

    same(Piece(back[0].symbol, back[0].kind, back[0].timeframe, pd.concat(whole)), piece)
    assert [len(set(frame.index.strftime("%Y-%m"))) for frame in whole] == [1] * len(files)


def test_the_months_of_spot_change_to_microseconds_where_the_archive_did(tmp_path: Path) -> None:
    piece = bars(SPOT, count=4, start=1_735_689_600_000 - 2 * HOUR)
    before, after = write_foreign([piece], tmp_path, "binance")
    place = "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-12.csv"
    assert before == tmp_path / place
    assert before.read_text().split(",")[0] == "1735682400000"
    assert after.read_text().split(",")[0] == "1735689600000000"


def test_rows_without_volume_are_mark_or_index_and_have_to_be_told_apart(tmp_path: Path) -> None:
    text = klines(candles(volume=False))
    path = written(tmp_path / "BTCUSDT-1h-2024-01.csv", text)
    with pytest.raises(InputError, match=r"kind could not be told.*--kind"):
        read_foreign(path, exchange="binanceusdm")
    (found,) = read_foreign(path, exchange="binanceusdm", kind="mark")
    assert found.kind == "mark"


def test_a_name_alone_does_not_tell_spot_from_perpetual(tmp_path: Path) -> None:
    path = written(tmp_path / "BTCUSDT-1h-2024-01.csv", klines(candles()))
    with pytest.raises(InputError, match=r"BTC/USDT or BTC/USDT:USDT.*--symbol"):
        read_foreign(path, exchange="binance")
    assert read_foreign(path, exchange="binanceusdm")[0].symbol == PERP
    assert read_foreign(path, exchange="binance", symbol=SPOT)[0].symbol == SPOT


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"symbol": "ETH/USDT:USDT"}, "file and --symbol disagree"),
        ({"kind": "index"}, "file and --kind disagree"),
        ({"exchange": "binancecoinm"}, "files of um are not of binancecoinm"),
        ({"timeframe": "2x"}, "unknown timeframe"),
        ({"timeframe": "4h"}, r"does not open on the grid of 4h: .*row 2"),
    ],
)
def test_what_contradicts_the_file_is_refused(
    tmp_path: Path, told: dict[str, str], words: str
) -> None:
    path = tmp_path / UM / "klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.csv"
    written(path, klines(candles()))
    with pytest.raises(InputError, match=words):
        read_foreign(path, **told)


def test_a_checksum_beside_the_file_is_held_against_it(tmp_path: Path) -> None:
    path = packed(tmp_path / UM / "klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip", klines(candles()))
    beside = path.with_name(f"{path.name}.CHECKSUM")
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    assert read_foreign(path)
    beside.write_text(f"{'0' * 64}  {path.name}\n")
    with pytest.raises(DataError, match=r"not what its .CHECKSUM says.*download it again"):
        read_foreign(path)


def test_a_month_of_bars_has_no_fixed_length(tmp_path: Path) -> None:
    path = written(tmp_path / UM / "klines/BTCUSDT/1mo/BTCUSDT-1mo-2024-01.csv", klines(candles()))
    with pytest.raises(InputError, match="months have no fixed length"):
        read_foreign(path)


def test_the_timeframe_is_told_by_the_close_when_the_name_says_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.csv", klines(candles(1)))
    assert read_foreign(path, symbol=PERP)[0].timeframe == "1h"


def test_the_premium_index_is_no_kind_of_ours(tmp_path: Path) -> None:
    path = written(tmp_path / "premiumIndexKlines/BTCUSDT-1h-2024-01.csv", klines(candles()))
    with pytest.raises(InputError, match="premium index"):
        read_foreign(path)


def test_a_symbol_the_archive_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no name for this symbol"):
        write_foreign([bars("XBT/DOGE:DOGE")], tmp_path, "binance")


def test_what_the_layout_has_no_room_for_is_said(tmp_path: Path) -> None:
    assert "marks of settlements" in str(lost(funding(mark=True), "binance"))
    assert lost(funding(), "binance") is None
    (path,) = write_foreign([funding(count=3)], tmp_path, "binance")
    assert [line.split(",")[1] for line in path.read_text().split()[1:]] == ["8", "8", "8"]
    assert times_of(candles())[0] == START
