"""PerpData reads what PandasData reads, bar for bar, and refuses frames nobody can trade on."""

from __future__ import annotations

import datetime as dt
import pickle
import time
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.errors import DataError
from bt_margin.plugin.feeds import PerpData
from bt_margin.plugin.feeds.perp import day_numbers, timeframe_of

SYMBOL = "BTC/USDT:USDT"
MARKS = ["mark_open", "mark_high", "mark_low", "mark_close"]
STOCK = ["datetime", "open", "high", "low", "close", "volume", "openinterest"]


def frame_of(bars: int = 200, freq: str = "h", marks: bool = True) -> pd.DataFrame:
    """A seeded walk with every column; settlements every eight rows."""
    draw = np.random.default_rng(7)
    index = pd.date_range("2024-02-27 20:00", periods=bars, freq=freq, tz="UTC")
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, bars)))
    start = np.concatenate([[100.0], close[:-1]])
    frame = pd.DataFrame(
        {
            "open": start,
            "high": np.maximum(start, close) * 1.002,
            "low": np.minimum(start, close) * 0.998,
            "close": close,
            "volume": draw.uniform(1.0, 9.0, bars),
        },
        index=index,
    )
    if marks:
        for line in ("open", "high", "low", "close"):
            frame[f"mark_{line}"] = frame[line] * 1.001
        frame["funding_rate"] = np.where(np.arange(bars) % 8 == 4, 0.0001, np.nan)
    return frame


class Recorder(bt.Strategy):
    """Writes down every bar of every feed as it is seen."""

    params = (("lines", STOCK),)

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.mean = bt.ind.SMA(self.data.close, period=3)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for data in self.datas:
            if len(data):
                values = [repr(float(getattr(data.lines, name)[0])) for name in self.p.lines]
                self.rows.append((len(data), *values, repr(self.mean[0])))


def rows_of(
    feed: type,
    frame: pd.DataFrame,
    how: str = "add",
    again: Any = None,
    feed_args: Any = None,
    lines: list[str] = STOCK,
    **run: Any,
) -> list[tuple[Any, ...]]:
    cerebro = bt.Cerebro(stdstats=False, **run)
    timeframe = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    data = feed(dataname=frame, name=SYMBOL, **{**timeframe, **(feed_args or {})})
    four = {"timeframe": bt.TimeFrame.Minutes, "compression": 240}
    if how == "add":
        cerebro.adddata(data)
    elif how == "resample":
        cerebro.resampledata(data, **four)
    elif how == "replay":
        cerebro.replaydata(data, **four)
    elif how == "clone":
        cerebro.adddata(data)
        cerebro.resampledata(data, **four)
    elif how == "filter":
        data.addfilter(bt.filters.SessionFilter)
        cerebro.adddata(data)
    cerebro.addstrategy(Recorder, lines=lines)
    seen: list[tuple[Any, ...]] = cerebro.run()[0].rows
    assert seen
    return seen


RUNS = {
    "runonce": {},
    "next": {"runonce": False},
    "row by row": {"preload": False},
    "exactbars": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
    "lookahead": {"lookahead": 3},
}
FEED_ARGS = {
    "all": {},
    "from and to": {
        "fromdate": dt.datetime(2024, 2, 28, 3),
        "todate": dt.datetime(2024, 3, 2, 2, 30),
    },
    "dates": {"fromdate": dt.date(2024, 2, 29), "todate": dt.date(2024, 3, 1)},
    "displayed elsewhere": {"tz": bt.utils.date.UTC, "fromdate": dt.datetime(2024, 2, 28, 3)},
}


class TestSameBarsAsPandasData:
    @pytest.mark.parametrize("how", ["add", "resample", "replay", "clone"])
    @pytest.mark.parametrize("run", RUNS)
    def test_every_bar_is_equal_in_every_way_of_running(self, how: str, run: str) -> None:
        frame = frame_of()
        ours = rows_of(PerpData, frame, how, **RUNS[run])
        assert ours == rows_of(bt.feeds.PandasData, frame, how, **RUNS[run])

    @pytest.mark.parametrize("args", FEED_ARGS)
    @pytest.mark.parametrize("run", ["runonce", "row by row"])
    def test_every_bar_is_equal_for_every_choice_of_dates(self, args: str, run: str) -> None:
        frame, given_args = frame_of(), FEED_ARGS[args]
        ours = rows_of(PerpData, frame, feed_args=given_args, **RUNS[run])
        assert ours == rows_of(bt.feeds.PandasData, frame, feed_args=given_args, **RUNS[run])

    def test_a_session_filter_sees_every_bar(self) -> None:
        session = {"sessionstart": dt.time(6), "sessionend": dt.time(18)}
        frame = frame_of()
        ours = rows_of(PerpData, frame, "filter", feed_args=session)
        assert ours == rows_of(bt.feeds.PandasData, frame, "filter", feed_args=session)
        assert len(ours) < len(frame)

    def test_columns_by_position_by_name_and_in_capitals(self) -> None:
        frame = frame_of(marks=False)
        frame["extra"] = frame["close"] * 2.0
        frame.columns = [name.upper() for name in frame.columns]
        args = {"openinterest": "extra", "volume": None, "open": 0}
        ours = rows_of(PerpData, frame, feed_args=args)
        assert ours == rows_of(bt.feeds.PandasData, frame, feed_args=args)

    def test_times_in_a_column_instead_of_the_index(self) -> None:
        frame = frame_of(marks=False).rename_axis("when").reset_index()
        args = {"datetime": "when"}
        ours = rows_of(PerpData, frame, feed_args=args)
        assert ours == rows_of(bt.feeds.PandasData, frame, feed_args=args)

    def test_another_time_zone_is_converted_to_utc(self) -> None:
        frame = frame_of()
        moved = frame.tz_convert("America/New_York")
        assert rows_of(PerpData, moved) == rows_of(PerpData, frame)

    def test_marks_and_funding_arrive_with_their_bar(self) -> None:
        lines = ["datetime", *MARKS, "funding_rate"]
        frame = frame_of()
        bulk = rows_of(PerpData, frame, lines=lines)
        assert bulk == rows_of(PerpData, frame, lines=lines, preload=False)
        assert [row[2] for row in bulk] == [repr(float(v)) for v in frame["mark_open"]]
        assert [row[6] for row in bulk] == [repr(float(v)) for v in frame["funding_rate"]]

    def test_a_second_run_sees_the_same_bars(self) -> None:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(PerpData(dataname=frame_of(), name=SYMBOL))
        cerebro.addstrategy(Recorder)
        assert cerebro.run()[0].rows == cerebro.run()[0].rows

    def test_a_subclass_with_its_own_line_is_loaded_too(self) -> None:
        class WithBasis(PerpData):
            lines = ("basis",)
            params = (("basis", -1),)

        frame = frame_of()
        frame["basis"] = np.arange(len(frame), dtype=float)
        seen = rows_of(WithBasis, frame, lines=["basis"])
        assert [row[1] for row in seen] == [repr(float(v)) for v in range(len(frame))]

    def test_feeds_of_different_lengths_run_together(self) -> None:
        def run(feed: type) -> list[tuple[Any, ...]]:
            cerebro = bt.Cerebro(stdstats=False)
            for part in (slice(0, 150), slice(30, 120)):
                cerebro.adddata(feed(dataname=frame_of().iloc[part]))
            cerebro.addstrategy(Recorder)
            seen: list[tuple[Any, ...]] = cerebro.run()[0].rows
            return seen

        assert run(PerpData) == run(bt.feeds.PandasData)


class TestCoarserBars:
    @pytest.mark.parametrize("how", ["resample", "clone", "replay"])
    def test_marks_are_first_highest_lowest_last(self, how: str) -> None:
        frame = frame_of()
        lines = ["datetime", *MARKS, "funding_rate"]
        seen = rows_of(PerpData, frame, how, lines=lines)
        coarse = {row[1]: [float(v) for v in row[2:7]] for row in seen}
        want = frame.loc["2024-02-29 08:01":"2024-02-29 12:00"]  # type: ignore[misc]
        expected = [
            want.mark_open.iloc[0],
            want.mark_high.max(),
            want.mark_low.min(),
            want.mark_close.iloc[-1],
            want.funding_rate.sum(min_count=1),
        ]
        stamp = repr(float(bt.date2num(dt.datetime(2024, 2, 29, 12))))
        assert coarse[stamp] == pytest.approx(expected, nan_ok=True)

    def test_a_missing_mark_takes_the_marks_of_its_coarse_bar(self) -> None:
        frame = frame_of()
        frame.loc["2024-02-29 10:00", MARKS] = np.nan
        seen = rows_of(PerpData, frame, "resample", lines=["datetime", "mark_close"])
        assert [row[0] for row in seen if row[2] == "nan"] == [11]


class TestTimes:
    @given(st.integers(min_value=0, max_value=4_102_444_800_000))
    def test_times_are_date2num_bit_for_bit(self, millis: int) -> None:
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=millis)
        assert day_numbers(np.array([millis * 1000]))[0] == bt.date2num(moment)

    @given(st.integers(min_value=0, max_value=4_102_444_800_000_000))
    def test_microseconds_too(self, micros: int) -> None:
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=micros)
        assert day_numbers(np.array([micros]))[0] == bt.date2num(moment)

    @pytest.mark.parametrize(
        ("freq", "expected"),
        [
            ("10ms", (bt.TimeFrame.MicroSeconds, 10_000)),
            ("15s", (bt.TimeFrame.Seconds, 15)),
            ("1min", (bt.TimeFrame.Minutes, 1)),
            ("4h", (bt.TimeFrame.Minutes, 240)),
            ("1D", (bt.TimeFrame.Days, 1)),
            ("3D", (bt.TimeFrame.Days, 3)),
            ("7D", (bt.TimeFrame.Weeks, 1)),
            ("MS", (bt.TimeFrame.Months, 1)),
            ("YS", (bt.TimeFrame.Years, 1)),
        ],
    )
    def test_timeframe_is_read_off_the_index(self, freq: str, expected: tuple[int, int]) -> None:
        data = PerpData(dataname=frame_of(12, freq))
        assert (data._timeframe, data._compression) == expected

    def test_a_gap_does_not_change_the_timeframe(self) -> None:
        assert timeframe_of(np.array([0, 1, 2, 50, 51]) * 60_000_000) == (bt.TimeFrame.Minutes, 1)

    def test_a_given_timeframe_stays(self) -> None:
        data = PerpData(dataname=frame_of(5), timeframe=bt.TimeFrame.Days)
        assert (data._timeframe, data._compression) == (bt.TimeFrame.Days, 1)


class TestFunding:
    def test_rows_with_a_rate_are_the_settlements(self) -> None:
        stamps = PerpData(dataname=frame_of(20)).funding_stamps()
        assert stamps is not None
        first = int(pd.Timestamp("2024-02-28 00:00", tz="UTC").timestamp() * 1000)
        assert stamps[0] == (first, 0.0001, None)
        assert [(t - first) // 3_600_000 for t, _, _ in stamps] == [0, 8]

    def test_finer_settlements_come_from_the_attributes_with_their_marks(self) -> None:
        frame = frame_of(5, "1D")
        times = pd.date_range("2024-02-28", periods=3, freq="8h", tz="UTC")
        frame.attrs["funding"] = pd.DataFrame(
            {"funding_rate": [0.0001, 0.0002, -0.0003], "mark": [100.0, np.nan, 90.0]}, index=times
        )
        stamps = PerpData(dataname=frame).funding_stamps()
        assert stamps is not None
        assert [(rate, mark) for _, rate, mark in stamps] == [
            (0.0001, 100.0),
            (0.0002, None),
            (-0.0003, 90.0),
        ]

    def test_nothing_known_is_none_and_not_zero(self) -> None:
        assert PerpData(dataname=frame_of(marks=False)).funding_stamps() is None
        empty = frame_of().assign(funding_rate=np.nan)
        assert PerpData(dataname=empty).funding_stamps() is None

    def test_zeros_between_settlements_are_no_settlements(self) -> None:
        sparse = frame_of(40)
        filled = sparse.assign(funding_rate=sparse.funding_rate.fillna(0.0))
        expected = PerpData(dataname=sparse).funding_stamps()
        assert PerpData(dataname=filled).funding_stamps() == expected
        assert PerpData(dataname=sparse.assign(funding_rate=0.0)).funding_stamps() == []

    def test_a_clone_knows_what_its_feed_knows(self) -> None:
        data = PerpData(dataname=frame_of(20))
        copy = data.clone()
        assert copy.funding_stamps() == data.funding_stamps()
        assert copy.mark_available is data.mark_available is True


def broken(column: str, value: float, row: int = 3) -> pd.DataFrame:
    frame = frame_of(10)
    frame.iloc[row, frame.columns.get_loc(column)] = value
    return frame


class TestRefusals:
    @pytest.mark.parametrize(
        ("frame", "words"),
        [
            (
                broken("close", np.nan),
                ["close", "nan", "2024-02-27 23:00:00 UTC", "positive price"],
            ),
            (broken("low", -1.0), ["low", "-1.0", "positive price"]),
            (broken("open", 0.0), ["open", "0.0"]),
            (broken("close", np.inf), ["close", "inf"]),
            (broken("high", 1.0), ["bar", "high 1", "high the highest"]),
            (broken("low", 1e6), ["bar", "low the lowest"]),
            (broken("volume", -5.0), ["volume", "-5.0", "zero or more"]),
            (broken("mark_low", np.nan), ["mark_low", "all four"]),
            (broken("mark_close", -3.0), ["mark_close", "-3.0"]),
            (broken("mark_high", 1.0), ["bar", "mark_high"]),
            (broken("funding_rate", 1.5), ["funding_rate", "1.5", "fraction"]),
            (frame_of(10).iloc[[0, 2, 1]], ["time", "strictly rising", "sort"]),
            (frame_of(10).iloc[[0, 1, 1]], ["time", "strictly rising", "duplicate"]),
            (frame_of(10).tz_localize(None), ["naive", 'tz_localize("UTC")']),
            (frame_of(10).reset_index(drop=True), ["times", "int64"]),
            (frame_of(10).drop(columns=["high"]), ["high", "none of them"]),
            (frame_of(10).drop(columns=["mark_high"]), ["mark columns", "mark_high"]),
            (frame_of(10).iloc[:0], ["rows", "at least one bar"]),
            (frame_of(10).assign(close="dear"), ["close", "'dear'", "numbers"]),
        ],
    )
    def test_a_broken_frame_is_refused_with_what_where_and_what_is_allowed(
        self, frame: pd.DataFrame, words: list[str]
    ) -> None:
        with pytest.raises(DataError) as caught:
            PerpData(dataname=frame, name=SYMBOL)
        assert [word for word in [*words, SYMBOL] if word not in str(caught.value)] == []

    def test_a_missing_time_is_refused(self) -> None:
        frame = frame_of(4)
        times = frame.index.tolist()
        frame.index = pd.DatetimeIndex([*times[:2], pd.NaT, times[3]])
        with pytest.raises(DataError, match="row 2"):
            PerpData(dataname=frame)

    def test_naive_times_in_a_column_are_refused(self) -> None:
        frame = frame_of(4).tz_localize(None).rename_axis("when").reset_index()
        with pytest.raises(DataError, match="naive"):
            PerpData(dataname=frame, datetime="when")

    def test_what_is_no_frame_is_refused(self) -> None:
        with pytest.raises(DataError, match="DataFrame"):
            PerpData(dataname="prices.csv", name=SYMBOL)

    def test_an_input_time_zone_is_refused(self) -> None:
        with pytest.raises(DataError, match="tzinput"):
            PerpData(dataname=frame_of(4), tzinput="EST")

    def test_a_named_column_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(DataError, match="column of the line volume"):
            PerpData(dataname=frame_of(4), volume="turnover")

    def test_broken_settlements_are_refused(self) -> None:
        frame = frame_of(4)
        frame.attrs["funding"] = [0.0001]
        with pytest.raises(DataError, match="funding"):
            PerpData(dataname=frame).funding_stamps()
        stamps = pd.Series([0.1, np.nan], index=frame.index[:2])
        frame.attrs["funding"] = stamps
        with pytest.raises(DataError, match="funding rate"):
            PerpData(dataname=frame).funding_stamps()

    def test_rows_without_a_mark_are_no_mistake(self) -> None:
        frame = frame_of(6)
        frame.loc[frame.index[2], MARKS] = np.nan
        assert PerpData(dataname=frame).mark_available is True
        frame[MARKS] = np.nan
        assert PerpData(dataname=frame).mark_available is False

    def test_rounding_noise_at_the_high_is_no_mistake(self) -> None:
        frame = frame_of(6)
        frame["high"] = frame[["open", "close"]].max(axis=1) * (1.0 - 1e-13)
        assert PerpData(dataname=frame).mark_available


class Hold(bt.Strategy):
    params = (("size", 1),)

    def next(self) -> None:
        if not self.position:
            self.buy(size=self.p.size)


class TestElsewhere:
    def test_it_can_be_pickled(self) -> None:
        data = PerpData(dataname=frame_of(20), name=SYMBOL)
        copy = pickle.loads(pickle.dumps(data))
        assert copy.funding_stamps() == data.funding_stamps()

    @pytest.mark.parametrize("optdatas", [True, False])
    def test_optstrategy_runs_in_other_processes(self, optdatas: bool) -> None:
        cerebro = bt.Cerebro(stdstats=False, maxcpus=2, optdatas=optdatas)
        cerebro.adddata(PerpData(dataname=frame_of(40), name=SYMBOL))
        cerebro.addanalyzer(bt.analyzers.Returns)
        cerebro.optstrategy(Hold, size=[1, 2])
        done = cerebro.run()
        totals = [run[0].analyzers.returns.get_analysis()["rtot"] for run in done]
        assert len(totals) == 2
        assert totals[0] != totals[1]

    def test_loading_costs_less_than_a_third_of_a_microsecond_per_bar_and_column(self) -> None:
        bars = 50_000
        frame = frame_of(bars, "min")
        cerebro = bt.Cerebro()
        data = PerpData(dataname=frame)
        cerebro.adddata(data)
        best = min(preload_seconds(cerebro, data) for _ in range(5))
        assert data.buflen() == bars
        assert best / bars / 11 < 0.3e-6


def preload_seconds(cerebro: Any, data: Any) -> float:
    data.reset()
    begun = time.process_time()
    data._start()
    data.preload()
    return time.process_time() - begun


@pytest.mark.parametrize("column", ["timestamp", "date", "Datetime"])
def test_times_in_a_column_are_found_as_people_name_them(column: str) -> None:
    """ccxt rows with their milliseconds, and frames whose index was reset."""
    index = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")
    bars = pd.DataFrame({"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5}, index=index)
    plain = PerpData(dataname=bars, name="X")
    aware = bars.reset_index(names=column)
    counted = aware.assign(**{column: aware[column].astype("datetime64[ms, UTC]").astype("int64")})
    for frame in (aware, counted):
        frame.attrs["funding"] = pd.Series([0.0001], index=index[:1])
        feed = PerpData(dataname=frame, name="X")
        assert feed.p.dataname.index.equals(plain.p.dataname.index)
        assert feed.p.compression == 60
        assert feed.funding_stamps() == [(1_704_067_200_000, 0.0001, None)]
    with pytest.raises(DataError, match="too small for ms"):
        PerpData(dataname=counted.assign(**{column: counted[column] // 1000}), name="X")
