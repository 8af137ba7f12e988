"""Marks on bars of any timeframe: whole or not at all, inside their range, and counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.errors import DataError, InputError, MissingData
from bt_margin.market.align_bars import coarser, opens_of
from bt_margin.market.align_frame import align
from bt_margin.market.frames import LAST, MARK, REQUIRED

MINUTE = 60_000
START = 1_704_067_200_000  # 2024-01-01
Rows = dict[int, tuple[float, float, float, float]]


def bars(
    count: int, step: int, seed: int = 1, drop: set[int] | frozenset[int] = frozenset()
) -> pd.DataFrame:
    """Bars of a random walk, `step` minutes long, those numbered in `drop` left out."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    first = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(rng.normal(0, 0.01, (2, count)))
    columns = {
        "open": first,
        "high": np.maximum(first, close) * (1 + wick[0]),
        "low": np.minimum(first, close) * (1 - wick[1]),
        "close": close,
        "volume": rng.uniform(1, 2, count),
    }
    times = START + np.arange(count) * step * MINUTE
    frame = pd.DataFrame(columns, pd.to_datetime(times, unit="ms", utc=True))
    return frame.drop(frame.index[sorted(drop)])


def rows(frame: pd.DataFrame, names: tuple[str, ...] = LAST) -> Rows:
    values = zip(*(frame[name].tolist() for name in names), strict=True)
    times = (pd.DatetimeIndex(frame.index).as_unit("ms").asi8).tolist()
    return {t: row for t, row in zip(times, values, strict=True) if row[0] == row[0]}


def naive(fine: Rows, times: list[int], step: int, part: int) -> Rows:
    """Each bar from its own finer ones, one by one; no bar where one of them is missing."""
    made = {}
    for time in times:
        inside = [fine.get(t) for t in range(time, time + step, part)]
        if all(inside):
            some = [row for row in inside if row]
            high, low = max(r[1] for r in some), min(r[2] for r in some)
            made[time] = (some[0][0], high, low, some[-1][3])
    return made


def skip(last: pd.DataFrame, mark: pd.DataFrame | None = None, **more: object) -> pd.DataFrame:
    return align(last, mark, **{"missing_funding": "skip", **more})  # type: ignore[arg-type]  # kwargs


holes = st.sets(st.integers(0, 59), max_size=12)


@given(drop=holes, seed=st.integers(0, 9), lost=st.sets(st.integers(0, 11), max_size=3))
def test_finer_marks_are_what_a_plain_loop_makes_of_them(
    drop: set[int], seed: int, lost: set[int]
) -> None:
    last, mark = bars(12, 5, seed, lost), bars(60, 1, seed + 1, drop)
    frame = skip(last, mark, timeframe="5m", last_timeframe="5m", mark_timeframe="1m")
    times = opens_of(last).tolist()
    expected = naive(rows(mark), times, 5 * MINUTE, MINUTE)
    found = rows(frame, MARK) if "mark_open" in frame else {}
    assert found == expected
    counts = frame.attrs["alignment"]["marks"]
    assert (counts["true"], counts["missing"]) == (len(expected), len(last) - len(expected))


@given(drop=holes)
def test_finer_last_prices_make_whole_bars_or_none(drop: set[int]) -> None:
    last = bars(60, 1, drop=drop)
    kept = naive(rows(last), [START + i * 15 * MINUTE for i in range(4)], 15 * MINUTE, MINUTE)
    if not kept:
        with pytest.raises(MissingData, match="no whole bar"):
            skip(last, timeframe="15m", last_timeframe="1m")
        return
    frame = skip(last, timeframe="15m", last_timeframe="1m")
    assert rows(frame) == kept
    counts = frame.attrs["alignment"]
    assert counts["partial"] + len(kept) == len(set(opens_of(last) // (15 * MINUTE)))
    assert counts["holes"] == (max(kept) - min(kept)) // (15 * MINUTE) + 1 - len(kept)


@given(drop=st.sets(st.integers(0, 4), max_size=3), seed=st.integers(0, 30))
def test_no_clipped_mark_leaves_the_mark_bar_around_it(drop: set[int], seed: int) -> None:
    last, mark = bars(60, 5, seed), bars(5, 60, seed + 1, drop)
    frame = skip(last, mark, missing_marks="clip", timeframe="5m", mark_timeframe="1h")
    around = rows(mark)
    for time, (o, h, lo, c) in (rows(frame, MARK) if "mark_open" in frame else {}).items():
        first, high, low, final = around[time // (60 * MINUTE) * 60 * MINUTE]
        assert low <= lo <= min(o, c) <= max(o, c) <= h <= high
        if time % (60 * MINUTE) == 0:
            assert o == first
        if (time + 5 * MINUTE) % (60 * MINUTE) == 0:
            assert c == final
    counts = frame.attrs["alignment"]["marks"]
    assert (counts["proxy"], counts["missing"]) == (60 - 12 * len(drop), 12 * len(drop))
    assert counts["true"] == 0


@pytest.mark.parametrize("policy", ["skip", "hold", "clip"])
@pytest.mark.parametrize(("step", "name"), [(1, "1m"), (5, "5m"), (60, "1h")])
def test_every_bar_is_true_or_proxy_or_missing(policy: str, step: int, name: str) -> None:
    last, mark = bars(120, 5, drop={7, 8}), bars(600 // step, step, 5, {0, 3})
    frame = skip(last, mark, missing_marks=policy, timeframe="5m", mark_timeframe=name)
    counts = frame.attrs["alignment"]["marks"]
    assert counts["true"] + counts["proxy"] + counts["missing"] == len(frame) == 118
    shares = counts["share_true"] + counts["share_proxy"] + counts["share_missing"]
    assert shares == pytest.approx(1.0)
    assert (
        int(frame["mark_close"].isna().sum() if "mark_close" in frame else 118)
        == (counts["missing"])
    )
    if policy == "skip":
        assert counts["proxy"] == 0


def test_a_spike_the_mark_did_not_follow_is_cut_and_a_missed_extreme_is_counted() -> None:
    last = bars(12, 5)
    last[list(LAST)] = 100.0
    last.iloc[4, 1] = 150.0
    mark = bars(1, 60)
    mark[list(LAST)] = [[100.0, 110.0, 80.0, 101.0]]
    frame = skip(last, mark, missing_marks="clip", timeframe="5m", mark_timeframe="1h")
    assert frame["mark_high"].tolist() == [100.0] * 4 + [110.0] + [100.0] * 6 + [101.0]
    assert frame["mark_low"].min() == 100.0
    counts = frame.attrs["alignment"]["marks"]
    assert (counts["extremes_missed"], counts["furthest_missed"]) == (1, pytest.approx(0.25))
    (note,) = [n for n in frame.attrs["notes"] if "clip" in n]
    assert "1 of 1 mark bars (100.00%) was not reached, by at most 25.00%" in note
    assert "errs towards fewer liquidations" in note


def test_held_marks_are_the_last_known_ones_and_never_look_ahead() -> None:
    last, mark = bars(6, 60), bars(6, 60, 2, {0, 3, 4})
    frame = skip(last, mark, missing_marks="hold", timeframe="1h")
    assert np.isnan(frame["mark_close"].iloc[0])
    for place in (3, 4):
        assert set(frame.iloc[place][list(MARK)]) == {mark["close"].iloc[1]}
    counts = frame.attrs["alignment"]["marks"]
    assert (counts["true"], counts["proxy"], counts["missing"]) == (3, 2, 1)
    coarse = skip(bars(24, 5), bars(2, 60, 2), missing_marks="hold", mark_timeframe="1h")
    opens = bars(2, 60, 2)["open"].tolist()
    assert coarse["mark_high"].tolist() == [opens[0]] * 12 + [opens[1]] * 12


def test_skip_leaves_coarser_marks_out_and_says_so() -> None:
    frame = skip(bars(24, 5), bars(2, 60), symbol="BTC", mark_timeframe="1h")
    assert "mark_close" not in frame
    assert any("coarser than the bars of 5m" in note for note in frame.attrs["notes"])
    assert all(note.startswith("BTC: ") for note in frame.attrs["notes"])


def test_fail_names_the_first_stretch_how_many_and_the_policies() -> None:
    with pytest.raises(MissingData) as caught:
        skip(bars(48, 60), bars(48, 60, drop={5, 6, 7, 20}), missing_marks="fail", symbol="SOL")
    text = str(caught.value)
    assert "4 of 48 bars without one, the first 2024-01-01 05:00 UTC to 2024-01-01 07:00" in text
    assert "skip, hold or clip" in text
    assert "SOL" in text
    with pytest.raises(MissingData, match="the marks there are of 1h"):
        skip(bars(24, 5), bars(2, 60), missing_marks="fail", mark_timeframe="1h")


def test_a_venue_without_marks_is_a_note_unless_they_are_demanded() -> None:
    why = {"mark": "kraken has no mark candles"}
    with pytest.raises(MissingData, match=r"kraken has no mark candles.*missing_marks: skip"):
        skip(bars(4, 60), None, missing_marks="fail", absent=why)
    frame = skip(bars(4, 60), None, absent=why)
    assert frame.attrs["notes"][0] == (
        "No mark prices (kraken has no mark candles): every bar was judged by the last price."
    )


def test_holes_stay_holes() -> None:
    frame = skip(bars(10, 60, drop={3, 4, 8}), bars(10, 60))
    assert (len(frame), frame.attrs["alignment"]["holes"]) == (7, 3)
    assert "3 bars inside the data are missing and stay so." in frame.attrs["notes"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"timeframe": "30m"}, "bars coarser than asked: found 1h, allowed 30m"),
        ({"timeframe": "90m"}, "do not divide the timeframe: found 1h, allowed parts of 90m"),
        ({"timeframe": "soon"}, "unknown timeframe"),
        ({"missing_marks": "clipp"}, r"unknown policy for missing marks.*did you mean clip"),
        ({"mark_timeframe": "90m"}, "marks do not fit the bars: found 90m"),
        ({"mark_timeframe": "25m"}, "do not divide the timeframe: found 25m"),
    ],
)
def test_what_cannot_be_meant_is_said(more: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        skip(bars(10, 60), bars(10, 60), **more)


def test_marks_that_are_no_bars_are_named() -> None:
    with pytest.raises(DataError, match=r"not bars of the mark: found close.*BTC"):
        skip(bars(3, 60), bars(3, 60)[["close"]], symbol="BTC")
    broken = bars(3, 60)
    broken.iloc[1, 1] = 1.0
    with pytest.raises(DataError, match="marks of BTC, bar 2024-01-01 01:00"):
        skip(bars(3, 60), broken, symbol="BTC")


def test_weeks_begin_on_mondays() -> None:
    days = bars(21, 24 * 60)  # 2024-01-01 is a Monday
    weeks, partial = coarser(days.iloc[2:], 24 * 60 * MINUTE, "1w", "BTC")
    assert (weeks.index.day_of_week.tolist(), partial) == ([0, 0], 1)
    assert weeks["volume"].iloc[0] == pytest.approx(days["volume"].iloc[7:14].sum())


def test_the_input_is_left_alone_and_what_it_carries_is_kept() -> None:
    last, mark = bars(4, 60), bars(4, 60)
    last.attrs = {"synthetic": True}
    before = last.copy(), mark.copy()
    frame = skip(last, mark)
    assert frame.attrs["synthetic"] is True
    assert list(frame) == [*REQUIRED, *MARK]
    pd.testing.assert_frame_equal(last, before[0])
    pd.testing.assert_frame_equal(mark, before[1])
