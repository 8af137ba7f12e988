"""Alignment of real history: its holes, changing intervals and coarse marks are found as they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from real.rawdata import VARIABLE, folder, ms

from bt_margin.errors import MissingData
from bt_margin.market.align import align
from bt_margin.market.files import load_market
from bt_margin.market.frames import MARK
from bt_margin.plugin.feeds import PerpData

HOUR = 3_600_000
SOL, ORCA = "SOL/USDT:USDT", "ORCA/USDT:USDT"


@pytest.fixture(autouse=True, scope="module")
def market() -> None:
    if not folder().is_dir():
        pytest.skip(
            f"no real market data: neither {VARIABLE} nor ../shared/market beside the checkout"
        )


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(folder() / f"{name}.parquet").set_index("timestamp")


def charged(frame: pd.DataFrame) -> dict[int, float]:
    """What the plug-in charges from a frame, by time."""
    return {time: rate for time, rate, _ in PerpData(dataname=frame).funding_stamps() or ()}


def inside(rates: pd.DataFrame, frame: pd.DataFrame, step: int = HOUR) -> dict[int, float]:
    """The settlements of a file within a frame's bars, by time."""
    times = rates.index.as_unit("ms").asi8.tolist()
    first = int(frame.index[0].value // 1_000_000)
    last = int(frame.index[-1].value // 1_000_000) + step
    pairs = zip(times, rates["funding_rate"].tolist(), strict=True)
    return {time: rate for time, rate in pairs if first <= time < last}


def test_the_two_days_without_sol_marks_are_found_and_treated_by_name() -> None:
    last, mark = table("binance_SOLUSDT_ohlcv_1h"), table("binance_SOLUSDT_mark_1h")
    rates = table("binance_SOLUSDT_funding_var")
    frame = align(last, mark, rates, symbol=SOL)
    counts = frame.attrs["alignment"]["marks"]
    assert (counts["true"], counts["missing"], counts["longest"]) == (37_896, 48, 24)
    bare = frame.index[frame["mark_close"].isna()]
    assert sorted(set(bare.strftime("%Y-%m-%d"))) == ["2022-10-02", "2023-02-24"]
    held = align(last, mark, rates, missing_marks="hold")
    before = mark["close"].loc["2022-10-01 23:00+00:00"]
    flat = held.loc["2022-10-02", list(MARK)]
    assert (flat == before).all(axis=None)
    assert held.attrs["alignment"]["marks"]["proxy"] == 48
    with pytest.raises(MissingData, match=r"48 of 37,944 bars.*first 2022-10-02 00:00 UTC to 2022"):
        align(last, mark, rates, missing_marks="fail")


def test_sol_in_november_2022_changes_its_interval_and_misses_nothing() -> None:
    rates = table("binance_SOLUSDT_funding_var")
    frame = align(table("binance_SOLUSDT_ohlcv_1h"), None, rates)
    counts = frame.attrs["alignment"]["funding"]
    assert counts["intervals_found"] == {"2h": 98, "4h": 3, "8h": 4716}
    assert (counts["missing"], counts["settlements"]) == (0, 4818)
    assert charged(frame) == inside(rates, frame)


def test_orca_changes_between_four_two_and_one_hour_and_misses_nothing() -> None:
    last, rates = table("binance_ORCAUSDT_ohlcv_1h"), table("binance_ORCAUSDT_funding_var")
    for step in (1, 4, 24):
        frame = align(last, None, rates, timeframe=f"{step}h", symbol=ORCA)
        assert frame.attrs["alignment"]["funding"]["missing"] == 0
        assert charged(frame) == inside(rates, frame, step * HOUR)
    assert min(charged(frame).values()) == pytest.approx(-0.02)


@pytest.mark.parametrize("lost", ["2022-11-10 14:00", "2022-11-09 16:00", "2024-05-05 08:00"])
def test_a_settlement_taken_out_of_real_history_is_missed(lost: str) -> None:
    rates = table("binance_SOLUSDT_funding_var")
    gone = rates.drop(pd.Timestamp(lost, tz="UTC"))
    frame = align(table("binance_SOLUSDT_ohlcv_1h"), None, gone, missing_funding="hold")
    counts = frame.attrs["alignment"]["funding"]
    assert (counts["missing"], counts["filled"]) == (1, 1)
    assert set(charged(frame)) == set(inside(rates, frame))
    assert f"the first at {lost} UTC" in " ".join(frame.attrs["notes"])


def test_okx_marks_of_an_hour_on_bars_of_five_minutes() -> None:
    frame = load_market(
        folder(),
        "BTCUSDT",
        venue="okx",
        timeframe="5m",
        missing_marks="clip",
        missing_funding="constant=0.0001",
    )["BTC/USDT:USDT"]
    counts = frame.attrs["alignment"]
    assert (counts["bars"], counts["marks"]["proxy"], counts["marks"]["missing"]) == (
        70_499,
        70_499,
        0,
    )
    assert counts["funding"]["filled"] == 735
    mark = table("okx_BTCUSDT_mark_1h")
    around = mark.reindex(frame.index.floor("h"))
    assert (frame["mark_low"].to_numpy() >= around["low"].to_numpy()).all()
    assert (frame["mark_high"].to_numpy() <= around["high"].to_numpy()).all()
    hourly = frame.iloc[::12]
    assert (hourly["mark_open"] == mark["open"].reindex(hourly.index)).all()
    assert np.isfinite(frame[list(MARK)].to_numpy()).all()


def test_fifteen_minutes_make_the_same_hours_as_the_exchange_made() -> None:
    fine, hourly = table("binance_SOLUSDT_ohlcv_15m"), table("binance_SOLUSDT_ohlcv_1h")
    span = slice("2024-08-04", "2024-08-06")
    frame = align(fine.loc[span], timeframe="1h", missing_funding="skip")
    pd.testing.assert_frame_equal(
        frame, hourly.loc[span], check_freq=False, check_names=False, rtol=1e-12
    )


def test_listing_days_have_no_marks_and_missing_settlements_are_told() -> None:
    last, mark = table("binance_BTCUSDT_ohlcv_1h"), table("binance_BTCUSDT_mark_1h")
    rates = table("binance_BTCUSDT_funding_8h")
    early = last.loc[:"2019-12-31"]
    frame = align(early, mark, rates, missing_funding="skip")
    gone = int((early.index < mark.index[0]).sum())
    assert frame.attrs["alignment"]["marks"]["missing"] == gone == 2538
    assert frame.attrs["alignment"]["funding"]["missing"] == 4  # before the first one of 09-10
    asked = [(ms("2019-09-01"), ms("2020-01-01"))]
    whole = align(early, mark, rates, covered=asked)
    assert whole.attrs["alignment"]["funding"]["missing"] == 0
