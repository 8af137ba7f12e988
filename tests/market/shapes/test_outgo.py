"""Out of the store into files, and back in: the same store."""

from __future__ import annotations

from pathlib import Path

import pytest
from market.shapes.makers import HOUR, PERP, SPOT, START, bars, funding

from bt_margin.errors import DataError, InputError
from bt_margin.market.files import load_frame
from bt_margin.market.shapes import Asked, Piece
from bt_margin.market.shapes.intake import Taken, take, take_files
from bt_margin.market.shapes.outgo import datasets_of, export, span_of
from bt_margin.market.store import Store

EXCHANGE = "binanceusdm"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two symbols, one of them with a hole."""
    kept = Store(tmp_path / "data")
    for piece in (bars(), bars(kind="mark"), funding(count=8), bars("ETH/USDT:USDT", count=50)):
        take(kept, EXCHANGE, piece, Path("rows.csv"))
    holed = bars("SOL/USDT:USDT").frame.drop(bars().frame.index[[4, 5]])
    take(kept, EXCHANGE, Piece("SOL/USDT:USDT", "ohlcv", "1h", holed), Path("rows.csv"))
    return kept


def same_rows(one: Store, other: Store) -> None:
    for each in one.datasets():
        twin = other.dataset(each.exchange, each.symbol, each.kind, each.timeframe)
        assert twin.read().equals(each.read()), each
        assert twin.covered == each.covered, each


@pytest.mark.parametrize("shape", ["ccxt", "binance", "freqtrade", "split"])
def test_a_store_written_out_and_taken_in_is_the_same_store(
    tmp_path: Path, store: Store, shape: str
) -> None:
    found = datasets_of(store, EXCHANGE, None, None, None)
    written = export(store, found, span_of(None, None), shape, tmp_path / "out")
    assert all(each.files for each in written)
    other = Store(tmp_path / "other")
    back = list(take_files(other, EXCHANGE, [tmp_path / "out"], Asked()))
    assert all(isinstance(each, Taken) for each in back)
    same_rows(store, other)


@pytest.mark.parametrize("shape", ["csv", "parquet"])
def test_canonical_files_hold_marks_and_funding_on_the_bars(
    tmp_path: Path, store: Store, shape: str
) -> None:
    found = datasets_of(store, EXCHANGE, [PERP], None, None)
    (written,) = export(store, found, span_of(None, None), shape, tmp_path)
    assert written.rows == {"ohlcv": 30, "mark": 30, "funding": 4}
    frame = load_frame(written.files[0])
    assert frame["close"].tolist() == bars().frame["close"].tolist()
    assert frame["mark_high"].tolist() == bars(kind="mark").frame["high"].tolist()


def test_kinds_not_asked_for_are_not_in_a_canonical_file(tmp_path: Path, store: Store) -> None:
    found = datasets_of(store, EXCHANGE, [PERP], ["ohlcv", "mark"], None)
    (written,) = export(store, found, span_of(None, None), "parquet", tmp_path)
    frame = load_frame(written.files[0])
    assert "funding_rate" not in frame
    assert "mark_low" in frame
    found = datasets_of(store, EXCHANGE, [PERP], ["mark"], None)
    with pytest.raises(InputError, match="needs the last prices"):
        export(store, found, span_of(None, None), "csv", tmp_path)


def test_a_stretch_of_time(tmp_path: Path, store: Store) -> None:
    found = datasets_of(store, EXCHANGE, ["BTCUSDT"], ["ohlcv"], None)
    span = span_of("2024-01-01 05:00", "2024-01-01T08:00:00+01:00")
    assert span == (START + 5 * HOUR, START + 7 * HOUR)
    (written,) = export(store, found, span, "ccxt", tmp_path)
    assert written.rows == {"ohlcv": 2}
    (whole,) = export(store, found, span, "parquet", tmp_path)
    assert whole.rows == {"ohlcv": 2}
    late = span_of("2030-01-01", None)
    for shape in ("ccxt", "parquet"):
        (nothing,) = export(store, found, late, shape, tmp_path)
        assert (nothing.files, len(nothing.notes)) == ([], 1)


def test_holes_are_said(tmp_path: Path, store: Store) -> None:
    found = datasets_of(store, EXCHANGE, ["SOL/USDT:USDT"], None, None)
    (written,) = export(store, found, span_of(None, None), "ccxt", tmp_path)
    assert written.notes == ["SOL/USDT:USDT ohlcv 1h: 2 bars are missing inside"]


def test_what_is_not_there_is_said(tmp_path: Path, store: Store) -> None:
    for told, words in (
        (("kraken", None, None, None), "nothing of kraken in the store"),
        ((EXCHANGE, ["ETC/USDT:USDT"], None, None), r"no data for ETC.*did you mean ETH/USDT:USDT"),
        ((EXCHANGE, [PERP], ["index"], None), "no index of BTC/USDT:USDT.*ohlcv 1h, mark|no index"),
        ((EXCHANGE, [PERP], None, "4h"), "no bars of BTC/USDT:USDT in 4h"),
    ):
        with pytest.raises(DataError, match=words):
            datasets_of(store, *told)
    with pytest.raises(InputError, match="unknown kind"):
        datasets_of(store, EXCHANGE, None, ["marks"], None)


def test_several_timeframes_have_to_be_chosen_from(tmp_path: Path, store: Store) -> None:
    day = Piece(PERP, "ohlcv", "1d", bars(count=1).frame)
    take(store, EXCHANGE, day, Path("rows.csv"))
    with pytest.raises(InputError, match=r"several timeframes.*--timeframe"):
        datasets_of(store, EXCHANGE, [PERP], None, None)
    found = datasets_of(store, EXCHANGE, [PERP], None, "1h")
    assert [each.kind for each in found[PERP]] == ["funding", "mark", "ohlcv"]


@pytest.mark.parametrize(
    ("since", "until"), [("soon", None), (None, "NaT"), ("2024-01-02", "2024-01-01")]
)
def test_times_that_cannot_be_meant(since: str | None, until: str | None) -> None:
    with pytest.raises(InputError, match=r"--since|--until"):
        span_of(since, until)


def test_a_spot_market_has_no_place_for_marks_in_freqtrade(tmp_path: Path, store: Store) -> None:
    take(store, "binance", bars(SPOT), Path("rows.csv"))
    found = datasets_of(store, "binance", None, None, None)
    (written,) = export(store, found, span_of(None, None), "freqtrade", tmp_path)
    assert [path.name for path in written.files] == ["BTC_USDT-1h.feather"]
