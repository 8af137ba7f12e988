"""Market files: written whole, read back equal, joined without losing anything silently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bt_margin.errors import DataError, InputError, MissingData
from bt_margin.market import storage
from bt_margin.market.files import load_frame, load_market, save_market, unified_symbol
from bt_margin.market.frames import LAST, MARK, validate_frame
from bt_margin.market.synthetic import generate_market

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    return generate_market(hours=240)


def split(
    frame: pd.DataFrame, folder: Path, stem: str = "binance_BTCUSDT", step: str = "1h"
) -> None:
    """Write a canonical frame as three files, the way exchanges' archives come."""
    table = frame.reset_index()
    table[["timestamp", *LAST, "volume"]].to_parquet(folder / f"{stem}_ohlcv_{step}.parquet")
    marks = table[["timestamp", *MARK]].rename(columns=dict(zip(MARK, LAST, strict=True)))
    marks.to_parquet(folder / f"{stem}_mark_{step}.parquet")
    rates = table[["timestamp", "funding_rate"]].dropna()
    rates.to_parquet(folder / f"{stem}_funding_8h.parquet")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_saved_and_read_back_to_the_last_bit(
    tmp_path: Path, market: dict[str, pd.DataFrame], kind: str
) -> None:
    written = save_market(market, tmp_path, kind=kind)  # type: ignore[arg-type]
    assert written[BTC].name == f"BTC_USDT_USDT_1h.{kind}"
    back = load_market(tmp_path)
    assert set(back) == set(market)
    for symbol, frame in market.items():
        pd.testing.assert_frame_equal(back[symbol], frame, check_exact=True)
        assert back[symbol].attrs == frame.attrs
    pd.testing.assert_frame_equal(load_frame(written[ETH]), market[ETH], check_exact=True)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_split_files_joined_saved_and_read_back(
    tmp_path: Path, market: dict[str, pd.DataFrame], kind: str
) -> None:
    split(market[BTC], tmp_path)
    joined = load_market(tmp_path)[BTC]
    pd.testing.assert_frame_equal(joined, market[BTC], check_exact=True)
    save_market({BTC: joined}, tmp_path / "out", kind=kind)  # type: ignore[arg-type]
    back = load_market(tmp_path / "out")[BTC]
    pd.testing.assert_frame_equal(back, joined, check_exact=True)
    assert back.attrs == joined.attrs
    assert "funding" not in joined.attrs  # every settlement lies on a bar's open
    joined.to_parquet(tmp_path / "plain.parquet")  # attrs stay what pandas can store
    pd.concat([joined.iloc[:5], joined.iloc[5:]])


def test_bars_without_mark_are_counted_not_invented(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    split(market[BTC], tmp_path)
    path = tmp_path / "binance_BTCUSDT_mark_1h.parquet"
    marks = pd.read_parquet(path)
    marks.drop(index=[3, 4, 5]).to_parquet(path)
    frame = load_market(tmp_path)[BTC]
    assert frame.attrs["mark_missing"] == 3
    assert frame["mark_close"].isna().to_numpy().nonzero()[0].tolist() == [3, 4, 5]
    assert load_market(tmp_path, since=frame.index[5])[BTC].attrs["mark_missing"] == 1
    path.unlink()
    bare = load_market(tmp_path)[BTC]
    assert bare.attrs["mark_missing"] == len(bare)
    assert "mark_close" not in bare.columns


def test_marks_of_another_timeframe_are_not_joined(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    split(market[BTC], tmp_path)
    name = tmp_path / "binance_BTCUSDT_mark_1h.parquet"
    name.rename(tmp_path / "binance_BTCUSDT_mark_4h.parquet")
    assert "mark_close" not in load_market(tmp_path)[BTC].columns


def test_policies_join_split_files_and_place_marks_of_another_timeframe(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    split(market[BTC], tmp_path)
    whole = load_market(tmp_path, missing_marks="fail", missing_funding="fail")[BTC]
    pd.testing.assert_frame_equal(whole, market[BTC], check_exact=True)
    assert whole.attrs["alignment"]["marks"]["true"] == 240
    (tmp_path / "binance_BTCUSDT_funding_8h.parquet").unlink()
    with pytest.raises(MissingData, match="30 missing beside 0 found"):
        load_market(tmp_path, missing_funding="fail")
    filled = load_market(tmp_path, missing_funding="constant=0.0002", since="2024-01-02")[BTC]
    assert (len(filled), filled["funding_rate"].count()) == (216, 27)
    path = tmp_path / "binance_BTCUSDT_mark_1h.parquet"
    marks = pd.read_parquet(path).set_index("timestamp").resample("4h")
    rough = marks.agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    rough.reset_index().to_parquet(tmp_path / "binance_BTCUSDT_mark_4h.parquet")
    path.unlink()
    clip = load_market(tmp_path, missing_marks="clip")[BTC]
    assert clip.attrs["alignment"]["marks"]["proxy"] == 240
    assert clip.attrs["files"][1] == "binance_BTCUSDT_mark_4h.parquet"
    assert (clip["mark_high"] <= rough["high"].reindex(clip.index, method="ffill")).all()
    with pytest.raises(DataError, match="no bars in the time asked"):
        load_market(tmp_path, missing_marks="clip", since="2031-01-01")


def test_a_file_that_is_joined_already_takes_no_policy(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    save_market({BTC: market[BTC]}, tmp_path)
    with pytest.raises(InputError, match=r"joined already: found BTC_USDT_USDT_1h\.parquet"):
        load_market(tmp_path, missing_marks="hold")


def test_settlements_on_every_bar_travel_with_their_times(tmp_path: Path) -> None:
    """A full column of one rate could be read as a single rate that is repeated."""
    index = pd.date_range("2024-01-01", periods=24, freq="h", tz="UTC", name="timestamp")
    bars = pd.DataFrame(dict.fromkeys(LAST, 100.0) | {"volume": 1.0}, index)
    bars.to_csv(tmp_path / "dydx_BTCUSD_ohlcv_1h.csv")
    pd.DataFrame({"funding_rate": 1e-5}, index).to_csv(tmp_path / "dydx_BTCUSD_funding_1h.csv")
    (frame,) = load_market(tmp_path).values()
    assert len(frame.attrs["funding"]) == frame["funding_rate"].count() == 24


def test_funding_stamps_off_by_milliseconds_fall_on_their_bar(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    """Trap 49: an exact join would drop every row."""
    split(market[BTC], tmp_path)
    path = tmp_path / "binance_BTCUSDT_funding_8h.parquet"
    rates = pd.read_parquet(path)
    rates["timestamp"] += pd.to_timedelta(np.arange(len(rates)) % 1_000, unit="ms")
    rates.to_parquet(path)
    frame = load_market(tmp_path)[BTC]
    pd.testing.assert_series_equal(frame["funding_rate"], market[BTC]["funding_rate"])
    assert frame.attrs["funding_unplaced"] == 0


def test_stamps_inside_a_bar_stay_exact_and_a_gap_is_counted(tmp_path: Path) -> None:
    index = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 04:00", "2024-01-01 12:00"], utc=True)
    bars = pd.DataFrame(dict.fromkeys(LAST, 100.0) | {"volume": 1.0}, index)
    bars.rename_axis("timestamp").to_csv(tmp_path / "okx_BTCUSDT_ohlcv_4h.csv")
    hours = pd.date_range("2024-01-01", periods=16, freq="h", tz="UTC", name="timestamp")
    rates = pd.DataFrame({"fundingRate": 0.0001 * np.arange(1, 17)}, hours)
    rates.to_csv(tmp_path / "okx_BTCUSDT_funding_1h.csv")
    frame = load_market(tmp_path)[BTC]
    first, second, third = frame["funding_rate"]
    assert (first, second) == (pytest.approx(0.0010), pytest.approx(0.0026))
    assert third == pytest.approx(0.0058)
    assert frame.attrs["funding_unplaced"] == 4  # 08:00 to 11:00 have no bar
    assert len(frame.attrs["funding"]) == 16
    save_market({BTC: frame}, tmp_path / "out")
    back = load_market(tmp_path / "out")[BTC]
    pd.testing.assert_series_equal(back.attrs["funding"], frame.attrs["funding"])
    late = load_market(tmp_path, since="2024-01-01 04:00", until="2024-01-01 08:00")[BTC]
    assert late.attrs["funding"].index.hour.tolist() == [4, 5, 6, 7]


def test_since_and_until_cut_bars_and_stamps(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    split(market[BTC], tmp_path)
    frame = load_market(tmp_path, since="2024-01-02", until="2024-01-03")[BTC]
    assert (frame.index[0].hour, len(frame), frame["funding_rate"].count()) == (0, 24, 3)
    with pytest.raises(DataError, match="no bars in the time asked"):
        load_market(tmp_path, since="2031-01-01")
    with pytest.raises(InputError, match="since is not a time"):
        load_market(tmp_path, since="soon")


def test_symbols_are_chosen_by_either_name(tmp_path: Path, market: dict[str, pd.DataFrame]) -> None:
    save_market(market, tmp_path)
    assert list(load_market(tmp_path, ["ETHUSDT", BTC])) == [ETH, BTC]
    with pytest.raises(DataError, match=r"no data for ETC/USDT:USDT.*did you mean .*ETH"):
        load_market(tmp_path, ["ETC/USDT:USDT"])


def test_several_timeframes_need_a_choice_unless_one_has_marks(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    split(market[BTC], tmp_path)
    plain = tmp_path / "binance_BTCUSDT_ohlcv_1h.parquet"
    (tmp_path / "binance_BTCUSDT_ohlcv_15m.parquet").write_bytes(plain.read_bytes())
    assert load_market(tmp_path)[BTC].attrs["files"][0] == plain.name
    assert "mark_close" not in load_market(tmp_path, timeframe="15m")[BTC].columns
    (tmp_path / "okx_BTCUSDT_ohlcv_1h.parquet").write_bytes(plain.read_bytes())
    with pytest.raises(DataError, match=r"several sets of files fit: found binance 15m.*venue="):
        load_market(tmp_path)
    assert load_market(tmp_path, venue="okx")[BTC].attrs["files"] == [
        "okx_BTCUSDT_ohlcv_1h.parquet"
    ]


def test_strangers_in_a_folder_are_left_alone_but_named_when_given(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    save_market({BTC: market[BTC]}, tmp_path)
    stranger = tmp_path / "manifest.csv"
    stranger.write_text("a,b\n1,2\n")
    assert list(load_market(tmp_path)) == [BTC]
    with pytest.raises(DataError, match="no symbol in the file's name"):
        load_market([stranger])
    with pytest.raises(DataError, match=r"missing columns|open times"):
        load_market({BTC: stranger})


def test_a_mapping_names_files_freely(tmp_path: Path, market: dict[str, pd.DataFrame]) -> None:
    market[BTC].to_csv(tmp_path / "my data.csv")
    assert list(load_market({"BTCUSDT": tmp_path / "my data.csv"})) == [BTC]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("BTCUSDT.csv", "", "cannot be read"),
        ("BTCUSDT.csv", "hello", "cannot be read"),
        ("BTCUSDT.csv", "timestamp,open\n2024-01-01T00:00:00Z,1\n", "missing columns"),
        ("BTCUSDT.csv", "open,high,low,close,volume\n1,1,1,1,1\n", "open times are not clear"),
        (
            "BTCUSDT.csv",
            "date,open,high,low,close,volume\n2024-01-01,1,1,1,1,1\n",
            r"naive times.*2024-01-01T00:00:00Z",
        ),
        ("BTCUSDT.csv", "date,open,high,low,close,volume\nx,1,1,1,1,1\n", "read as dates"),
        ("BTCUSDT.csv", "date,open\n1,2\n3\n", "cannot be read"),
        ("BTCUSDT.parquet", "PAR1 but not really", "cannot be read"),
        ("binance_BTCUSDT_ohlcv_1h.parquet", "no", "cannot be read"),
        ("BTCUSDT.xlsx", "no", "unknown file"),
    ],
)
def test_a_malformed_file_gets_one_clear_line(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        load_market([path])
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        load_frame(tmp_path / "BTCUSDT.csv")
    with pytest.raises(DataError, match="file not found"):
        load_market(tmp_path / "BTCUSDT.csv")
    with pytest.raises(DataError, match="no market files"):
        load_market(tmp_path)


def test_broken_funding_is_named(tmp_path: Path, market: dict[str, pd.DataFrame]) -> None:
    split(market[BTC], tmp_path)
    path = tmp_path / "binance_BTCUSDT_funding_8h.parquet"
    good = pd.read_parquet(path)
    for broken, said in (
        (good.assign(funding_rate=np.nan), "bad funding rate"),
        (good.iloc[::-1], "do not rise strictly"),
        (good.rename(columns={"funding_rate": "cost"}), "not a funding file"),
        (good.assign(timestamp=good["timestamp"].dt.tz_localize(None)), "naive times"),
    ):
        broken.to_parquet(path)
        with pytest.raises(DataError, match=said) as caught:
            load_market(tmp_path)
        assert path.name in str(caught.value)


def test_nothing_half_written_is_left(
    tmp_path: Path, market: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_market({BTC: market[BTC]}, tmp_path)
    before = (tmp_path / "BTC_USDT_USDT_1h.parquet").read_bytes()

    def fail(table: object, where: Path, **rest: object) -> None:
        where.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(storage.pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        save_market({BTC: market[BTC].iloc[:50]}, tmp_path)
    assert (tmp_path / "BTC_USDT_USDT_1h.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["BTC_USDT_USDT_1h.parquet"]


def test_a_bad_market_is_refused_before_anything_is_written(
    tmp_path: Path, market: dict[str, pd.DataFrame]
) -> None:
    with pytest.raises(DataError, match="not sorted"):
        save_market({BTC: market[BTC], ETH: market[ETH].iloc[::-1]}, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="parquet or csv"):
        save_market(market, tmp_path, kind="feather")  # type: ignore[arg-type]


def test_files_of_others_are_read_by_name(tmp_path: Path, market: dict[str, pd.DataFrame]) -> None:
    market[BTC].to_csv(tmp_path / "BTCUSD_1h.csv")
    market[ETH].to_parquet(tmp_path / "ETH_USDC_USDC-1h.parquet")
    back = load_market(tmp_path)
    assert list(back) == ["BTC/USD:BTC", "ETH/USDC:USDC"]
    pd.testing.assert_frame_equal(back["BTC/USD:BTC"], market[BTC], check_exact=True)


def test_other_names_pass_unchanged() -> None:
    assert unified_symbol("1000PEPEUSDT") == "1000PEPE/USDT:USDT"
    assert unified_symbol("gold") == "gold"


def test_validation_speaks_of_the_file(tmp_path: Path, market: dict[str, pd.DataFrame]) -> None:
    bad = validate_frame(market[BTC], BTC)
    bad.iloc[7, 1] = 1.0
    bad.to_csv(tmp_path / "BTCUSDT.csv")
    with pytest.raises(DataError, match=r"high is below low.*BTCUSDT\.csv, bar 2024-01-01 07:00"):
        load_frame(tmp_path / "BTCUSDT.csv")
