"""The library of crashes: its figures, their sources, and falls laid over a history."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from studies.worlds import frame

from bt_margin.errors import InputError
from bt_margin.market.frames import MARK, validate_frame
from bt_margin.market.synthetic import generate_market
from bt_margin.studies.bend import bent
from bt_margin.studies.crashes import COLUMNS, Crash, crash, crashes

MARKET = generate_market(seed=5, hours=1_000)
BTC = MARKET["BTC/USDT:USDT"]
DATED = ["2020-03-12", "2021-05-19", "2022-05", "2022-06", "2022-11", "2024-08-05", "2025-10-10"]
ROW = 300


def after(each: Crash, coin: str, bars: pd.DataFrame = BTC, scale: float = 1.0) -> pd.DataFrame:
    return validate_frame(bent(bars, each.fall(coin), bars.index[ROW], scale))


def test_the_dated_crashes_are_there_in_order_of_time() -> None:
    assert list(crashes()) == DATED
    assert [each.start for each in crashes().values()] == sorted(
        each.start for each in crashes().values()
    )


def test_every_number_of_every_fall_has_a_source_and_a_date() -> None:
    for each in crashes().values():
        told = pd.DataFrame(each.facts)
        assert told["source"].str.len().min() > 3
        assert told["as_of"].str.match(r"20\d\d").all()
        assert set(told["tag"]) == {"R", "W"}
        for fall in each.falls:
            numbers = 4 * len(fall.plunges) + 2
            assert told["topic"].str.startswith(f"{fall.coin}:").sum() == numbers


def test_figures_stand_in_the_order_a_bar_allows() -> None:
    for each in crashes().values():
        for fall in each.falls:
            for plunge in fall.plunges:
                assert plunge.low < min(plunge.opened, plunge.closed)
                assert plunge.low <= plunge.mark_low
            assert fall.depth < fall.worst_hour < 0.0 < fall.recovered < 1.0
            assert fall.funding < 0.0


def test_published_sizes_of_the_crash_of_october_2025() -> None:
    table = crash("2025-10-10").to_frame().set_index("coin")
    assert list(table.reset_index().columns[:1]) == ["coin"]
    assert list(table.index) == ["BTC", "ETH", "SOL", "DOGE", "ORCA"]
    assert list(table["worst_hour"]) == [-0.1111, -0.1202, -0.2823, -0.6171, -0.6109]


def test_the_table_has_one_row_per_crash_and_coin() -> None:
    table = crashes().to_frame()
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == sum(len(each.falls) for each in crashes().values())
    assert "2020-03-12" in repr(crashes())
    assert "<table" in crashes()._repr_html_()


def test_a_crash_is_found_by_its_name_the_beginning_of_it_or_a_word() -> None:
    assert crash("2020").name == "2020-03-12"
    assert crash("FTX").name == "2022-11"
    assert crash("3AC").name == "2022-06"
    with pytest.raises(InputError, match="it could be 2022-05, 2022-06, 2022-11"):
        crash("2022")
    with pytest.raises(InputError, match=r"no crash is called '1929'; .*known are 2020-03-12"):
        crash("1929")


@pytest.mark.parametrize("name", DATED)
@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL"])
def test_the_history_falls_exactly_as_deep_as_the_figures_say(name: str, coin: str) -> None:
    each = crash(name)
    fall, out = each.fall(coin), after(each, coin)
    last = out["low"].iloc[ROW : ROW + each.hours].min() / BTC["open"].iloc[ROW]
    mark = out["mark_low"].iloc[ROW : ROW + each.hours].min() / BTC["mark_open"].iloc[ROW]
    assert last - 1.0 == pytest.approx(fall.depth, abs=1e-12)
    assert mark - 1.0 == pytest.approx(fall.mark_depth, abs=1e-12)
    assert (out["low"] / out["open"]).min() - 1.0 <= fall.worst_hour + 5e-5
    done = ROW + fall.plunges[-1].hour + 24
    assert out["close"].iloc[done] / BTC["open"].iloc[ROW] == pytest.approx(
        fall.level_after, rel=2e-3
    )


def test_before_a_crash_nothing_changes_and_after_it_the_historys_own_returns_go_on() -> None:
    each = crash("2020-03-12")
    out, end = after(each, "BTC"), ROW + each.hours
    pd.testing.assert_frame_equal(out.iloc[:ROW], BTC.iloc[:ROW])
    for column in ("close", "high", "mark_close"):
        own = np.log(BTC[column]).diff().iloc[end + 1 :]
        np.testing.assert_allclose(np.log(out[column]).diff().iloc[end + 1 :], own, atol=1e-12)
    pd.testing.assert_series_equal(out["volume"], BTC["volume"])


def test_the_distance_of_mark_and_last_stays_but_in_the_worst_hours() -> None:
    each = crash("2021-05-19")
    fall, out = each.fall("ETH"), after(each, "ETH")
    before, now = BTC["mark_close"] / BTC["close"], out["mark_close"] / out["close"]
    np.testing.assert_allclose(now, before, rtol=1e-12)
    hour = ROW + fall.plunges[0].hour
    start = BTC["open"].iloc[ROW]
    gap = (out["mark_low"].iloc[hour] - out["low"].iloc[hour]) / start
    assert gap == pytest.approx(fall.basis, abs=1e-3)


def test_the_lowest_funding_is_settled_as_often_as_it_was() -> None:
    each = crash("2022-11")
    fall, out = each.fall("SOL"), after(each, "SOL")
    changed = out["funding_rate"][out["funding_rate"] != BTC["funding_rate"]].dropna()
    assert list(changed) == [fall.funding] * 7
    assert changed.index[0] >= BTC.index[ROW] + pd.Timedelta(hours=fall.funding_hour)


def test_a_crash_is_laid_over_bars_of_any_length() -> None:
    names = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    names |= dict(zip(MARK, ("first", "max", "min", "last"), strict=True))
    coarse = validate_frame(BTC.drop(columns="funding_rate").resample("4h").agg(names))
    index = pd.date_range("2025-01-01", periods=2_000, freq="5min", tz="UTC")
    flat = pd.DataFrame(100.0, index, ["open", "high", "low", "close", "volume", *MARK])
    for bars in (coarse, validate_frame(flat)):
        each = crash("2025-10-10")
        out = validate_frame(bent(bars, each.fall("DOGE"), bars.index[ROW // 4]))
        low = out["low"].min() / bars["open"].iloc[ROW // 4] - 1.0
        mark = out["mark_low"].min() / bars["mark_open"].iloc[ROW // 4] - 1.0
        assert low == pytest.approx(each.fall("DOGE").depth, abs=1e-12)
        assert mark == pytest.approx(each.fall("DOGE").mark_depth, abs=1e-12)


def test_twice_a_crash_is_its_square() -> None:
    out = after(crash("2020-03-12"), "BTC", scale=2.0)
    assert out["low"].min() / BTC["open"].iloc[ROW] == pytest.approx(0.4562**2, abs=1e-12)


def test_bars_without_marks_and_without_funding_fall_as_well() -> None:
    bars = frame([100.0] * 200, marks=False)
    out = bent(bars, crash("2025-10-10").fall("SOL"), bars.index[100])
    assert out["low"].min() == pytest.approx(63.74, abs=1e-9)
    assert list(out.columns) == list(bars.columns)


def test_a_crash_behind_the_data_changes_nothing() -> None:
    assert bent(BTC, crash("ftx").fall("BTC"), BTC.index[-1] + pd.Timedelta("1D")) is BTC


def test_a_wick_of_the_history_never_reaches_below_the_low_of_the_crash() -> None:
    wild = BTC.copy()
    wild.loc[wild.index[ROW + 5 : ROW + 20], ["low", "mark_low"]] *= 0.4
    out = after(crash("2025-10-10"), "BTC", wild)
    window = out.iloc[ROW : ROW + crash("2025-10-10").hours]
    assert window["low"].min() == pytest.approx(0.8353 * wild["open"].iloc[ROW], rel=1e-12)
    assert window["mark_low"].min() == pytest.approx(
        0.8383 * wild["mark_open"].iloc[ROW], rel=1e-12
    )


def test_on_fine_bars_the_mark_parts_from_the_last_price_on_its_way_into_the_low() -> None:
    index = pd.date_range("2025-01-01", periods=600, freq="5min", tz="UTC")
    flat = pd.DataFrame(100.0, index, ["open", "high", "low", "close", "volume", *MARK])
    out = bent(validate_frame(flat), crash("2021-05-19").fall("ETH"), index[12])
    lowest = 12 + 13 * 12 + 6  # half an hour into the worst hour
    assert out["open"].iloc[lowest] == pytest.approx(41.48, rel=1e-12)
    assert out["mark_open"].iloc[lowest] == pytest.approx(52.26, rel=1e-12)
    quarter = out["mark_open"].iloc[lowest - 3] / out["open"].iloc[lowest - 3]
    assert quarter == pytest.approx((52.26 / 41.48) ** 0.5, rel=1e-12)
