"""Settlements: found missing by their own stamps, filled only by name, never invented or lost."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.errors import DataError, InputError, MissingData
from bt_margin.market.align_frame import align
from bt_margin.market.align_funding import holes_between
from bt_margin.market.frames import REQUIRED

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
Spans = list[tuple[int, int]]


def hours(count: int, start: int = START) -> pd.DataFrame:
    index = pd.to_datetime(start + np.arange(count) * HOUR, unit="ms", utc=True)
    return pd.DataFrame(dict.fromkeys(REQUIRED, 100.0), index)


def rates(stamps: list[int]) -> pd.Series:
    """A rate of its own for each settlement, given in hours since the start."""
    index = pd.to_datetime(START + np.array(stamps, dtype=np.int64) * HOUR, unit="ms", utc=True)
    return pd.Series(1e-6 * (1 + np.array(stamps, dtype=float)), index)


def stamps_in(frame: pd.DataFrame) -> dict[int, float]:
    """What a reader of the frame charges: hours since the start to rate."""
    series = frame.attrs.get("funding")
    series = frame["funding_rate"].dropna() if series is None else series
    times = (pd.DatetimeIndex(series.index).as_unit("ms").asi8 - START) // HOUR
    return dict(zip(times.tolist(), series.tolist(), strict=True))


def joined(stamps: list[int], bars: int, policy: str, **more: object) -> pd.DataFrame:
    keywords = {"missing_funding": policy, "symbol": "BTC", **more}
    return align(hours(bars), None, rates(stamps), **keywords)  # type: ignore[arg-type]  # kwargs


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[int], set[int]]:
    """Settlements with changing intervals, and single ones taken out well inside a regular run."""
    stamps, lost = [0], set()
    for each in draw(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=4)):
        stamps += [stamps[-1] + each * (i + 1) for i in range(draw(st.integers(6, 9)))]
        if draw(st.booleans()):
            lost.add(stamps[-3])
    return stamps, lost


@given(schedules())
def test_exactly_the_lost_settlements_are_missed(case: tuple[list[int], set[int]]) -> None:
    stamps, lost = case
    kept = np.array([s for s in stamps if s not in lost], dtype=np.int64) * HOUR
    assert {t // HOUR for t in holes_between(kept, 8 * HOUR).tolist()} == lost


@given(schedules(), st.integers(1, 3))
def test_under_skip_no_settlement_is_invented_or_lost(
    case: tuple[list[int], set[int]], size: int
) -> None:
    stamps, lost = case
    kept = [s for s in stamps if s not in lost]
    bars = stamps[-1] // size * size + size
    frame = joined(kept, bars, "skip", timeframe=f"{size}h", last_timeframe="1h")
    end = frame.attrs["alignment"]["bars"] * size
    assert stamps_in(frame) == {s: 1e-6 * (1 + s) for s in kept if s < end}
    column = frame["funding_rate"].sum()
    assert column == pytest.approx(sum(1e-6 * (1 + s) for s in kept if s < end))


@given(schedules(), st.sampled_from(["skip", "hold", "constant=0.0005"]))
def test_true_and_filled_are_all_there_are(case: tuple[list[int], set[int]], policy: str) -> None:
    stamps, lost = case
    frame = joined([s for s in stamps if s not in lost], stamps[-1] + 1, policy)
    counts = frame.attrs["alignment"]["funding"]
    assert counts["settlements"] + counts["filled"] == len(stamps_in(frame))
    assert (counts["settlements"], counts["missing"]) == (len(stamps) - len(lost), len(lost))
    assert counts["filled"] == (0 if policy == "skip" else len(lost))
    for each in lost if policy != "skip" else ():
        before = max(s for s in stamps if s < each and s not in lost)
        expected = 0.0005 if policy != "hold" else 1e-6 * (1 + before)
        assert stamps_in(frame)[each] == pytest.approx(expected)


@pytest.mark.parametrize("pair", list(itertools.permutations([1, 2, 4, 8], 2)))
def test_a_change_of_interval_is_no_hole(pair: tuple[int, int]) -> None:
    first, second = pair
    stamps = [first * i for i in range(4)] + [3 * first + second * (i + 1) for i in range(4)]
    assert not len(holes_between(np.array(stamps, dtype=np.int64) * HOUR, 8 * HOUR))


@pytest.mark.parametrize(
    ("stamps", "lost"),
    [
        ([0, 8, 16, 40, 48, 56], {24, 32}),
        ([0, 8, 24, 40, 48], {16, 32}),
        ([0, 1, 2, 10, 18, 42, 50], {26, 34}),
        ([0, 4, 8, 24, 32, 40], {16}),
        ([0, 8, 16, 28, 32, 36], {24}),
        ([0, 4, 8, 20, 28, 36], {12}),
        ([0, 1, 2, 3, 5, 6, 8, 10, 12], {4}),
        ([0, 24], {8, 16}),
        ([0, 24, 48, 72], set()),
        ([0], set()),
        ([], set()),
    ],
)
def test_holes_are_filled_with_the_interval_beside_them(stamps: list[int], lost: set[int]) -> None:
    found = holes_between(np.array(stamps, dtype=np.int64) * HOUR, 8 * HOUR)
    assert {int(t) // HOUR for t in found} == lost


def test_fail_names_the_first_stretch_how_many_and_what_to_choose() -> None:
    with pytest.raises(MissingData) as caught:
        joined([0, 8, 32, 40, 56, 64], 72, "fail")
    text = str(caught.value)
    assert "3 missing beside 6 found, the first 2024-01-01 16:00 UTC to 2024-01-02 00:00" in text
    assert "choose missing_funding: hold, constant=RATE, skip" in text


def test_the_ends_are_missing_only_where_nobody_asked() -> None:
    stamps = [24, 32, 40]
    everything: Spans = [(START, START + 72 * HOUR)]
    whole = joined(stamps, 72, "fail", covered=everything)
    assert whole.attrs["alignment"]["funding"]["missing"] == 0
    half: Spans = [(START + 16 * HOUR, START + 56 * HOUR)]
    frame = joined(stamps, 72, "skip", covered=half)
    counts = frame.attrs["alignment"]["funding"]
    assert (counts["missing"], counts["unanswered"]) == (4, 4)  # 0, 8, 56 and 64
    with pytest.raises(
        MissingData, match=r"download the funding \(the store has no answer about 4\), or"
    ):
        joined(stamps, 72, "fail", covered=half)
    assert joined(stamps, 72, "skip").attrs["alignment"]["funding"]["missing"] == 6


def test_the_last_change_of_interval_is_believed_where_the_venue_was_asked() -> None:
    stamps = [0, 2, 4, 6, 8, 16]
    assert joined(stamps, 17, "fail", covered=[(START, START + 17 * HOUR)]) is not None
    with pytest.raises(MissingData, match="3 missing"):
        joined(stamps, 17, "fail")


def test_a_perpetual_without_any_funding_fails_and_a_constant_charges_on_the_clock() -> None:
    bars = hours(48)
    with pytest.raises(MissingData, match="6 missing beside 0 found"):
        align(bars)
    frame = align(bars, missing_funding=("constant", 0.0002))
    assert stamps_in(frame) == dict.fromkeys(range(0, 48, 8), 0.0002)
    assert any("0.0200% was charged at each of 6" in note for note in frame.attrs["notes"])
    hourly = align(bars, missing_funding="constant=0.0002", interval="1h")
    assert len(stamps_in(hourly)) == 48
    assert "funding" in hourly.attrs  # a column full of one rate could be read as a repeated one


def test_what_has_no_funding_misses_none() -> None:
    frame = align(hours(48), perpetual=False)
    assert frame.attrs["alignment"]["funding"]["missing"] == 0
    assert "funding_rate" not in frame


def test_nothing_can_be_held_before_the_first_rate() -> None:
    frame = joined([24, 32, 40, 48], 49, "hold")
    assert sorted(stamps_in(frame)) == [24, 32, 40, 48]
    assert any("3 had none before them" in note for note in frame.attrs["notes"])


def test_a_rate_from_before_the_bars_is_held_into_them() -> None:
    frame = align(hours(24, START + 40 * HOUR), None, rates([0, 8, 16, 32]), missing_funding="hold")
    assert stamps_in(frame) == {40: pytest.approx(33e-6)} | {
        48: pytest.approx(33e-6), 56: pytest.approx(33e-6)
    }  # fmt: skip


def test_stamps_early_or_late_by_milliseconds_fall_on_their_minute() -> None:
    index = pd.to_datetime([START + 7, START + 8 * HOUR - 3], unit="ms", utc=True)
    frame = align(hours(16), None, pd.Series([1e-4, 2e-4], index))
    assert stamps_in(frame) == {0: 1e-4, 8: 2e-4}
    assert frame.attrs["alignment"]["funding"]["jitter_ms"] == 7


def test_the_intervals_are_counted_and_a_change_is_told() -> None:
    frame = joined([0, 8, 16, 20, 24, 26, 28], 30, "fail", covered=[(START, START + 99 * HOUR)])
    assert frame.attrs["alignment"]["funding"]["intervals_found"] == {"2h": 2, "4h": 2, "8h": 2}
    assert any("interval changes" in note for note in frame.attrs["notes"])


def test_settlements_without_a_bar_are_kept_and_counted() -> None:
    bars = hours(24).drop(hours(24).index[7:10])
    frame = align(bars, None, rates([0, 8, 16]))
    assert sorted(stamps_in(frame)) == [0, 8, 16]
    assert frame.attrs["alignment"]["funding"]["unplaced"] == 1


def test_broken_rates_are_named() -> None:
    good = rates([0, 8])
    for broken, said in (
        (good * np.nan, r"bad funding rate.*funding of BTC, 2024-01-01 00:00"),
        (good.tz_localize(None), "naive times"),
        (good.to_frame("cost"), "no column of rates: found cost"),
        (pd.concat([good, good * 2]), r"two funding rates for one minute.*2024-01-01 00:00"),
    ):
        with pytest.raises(DataError, match=said):
            align(hours(16), None, broken, symbol="BTC")
    twice = align(hours(16), None, pd.concat([good, good]))
    assert sorted(stamps_in(twice)) == [0, 8]


@pytest.mark.parametrize(
    "policy", ["", "constant", "constant=", "constant=x", "constant=nan", "constant=2", "hold=1"]
)
def test_an_unknown_policy_is_refused(policy: str) -> None:
    with pytest.raises(InputError, match=r"unknown policy for missing funding.*constant=0\.0001"):
        joined([0, 8], 16, policy)
