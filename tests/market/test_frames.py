"""What a frame must be, and what is said when it is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bt_margin.errors import DataError
from bt_margin.market.frames import CANONICAL, MARK, validate_frame, validate_frames

SYMBOL = "BTC/USDT:USDT"
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def bars(n: int = 6, *, marks: bool = True, funding: bool = True) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC")
    base = 100.0 + np.arange(n)
    frame = pd.DataFrame(
        {"open": base, "high": base + 2, "low": base - 2, "close": base + 1, "volume": 5.0}, index
    )
    if marks:
        for name in MARK:
            frame[name] = frame[name.removeprefix("mark_")]
    if funding:
        frame["funding_rate"] = np.nan
        frame.loc[index[0], "funding_rate"] = 0.0001
    return frame


def put(column: str, value: float, row: int = 2) -> Spoil:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame.iloc[row, frame.columns.get_loc(column)] = value
        return frame

    return spoil


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame.iloc[:3], frame.iloc[2:]])


BROKEN: dict[str, tuple[Spoil, str]] = {
    "a price is NaN": (put("close", np.nan), r"bad close: found nan.*02:00"),
    "a price is infinite": (put("high", np.inf), r"bad high: found inf.*02:00"),
    "a price is zero": (put("low", 0.0), r"bad low: found 0.0, allowed a price above 0.*02:00"),
    "a price is negative": (put("low", -1.0), r"bad low: found -1.0"),
    "high below low": (put("high", 90.0), r"high is below low: found open 102.0, high 90.0.*02:00"),
    "high below close": (put("high", 102.5), r"high is below open or close"),
    "low above open": (put("low", 102.5), r"low is above open or close"),
    "volume is negative": (put("volume", -3.0), r"bad volume: found -3.0, allowed .*0 or more"),
    "volume is NaN": (put("volume", np.nan), r"bad volume"),
    "a mark is missing": (put("mark_low", np.nan), r"some marks are missing: found no mark_low"),
    "a mark is zero": (put("mark_low", 0.0), r"bad mark_low"),
    "mark high below mark low": (put("mark_high", 1.0), r"mark_high is below mark_low"),
    "funding is infinite": (put("funding_rate", -np.inf), r"bad funding_rate: found -inf"),
    "rows are not sorted": (lambda f: f.iloc[::-1], r"not sorted: .*04:00.* after .*05:00.*sort"),
    "a row is there twice": (twice, r"duplicate bar: .*02:00.*drop the duplicates"),
    "times are naive": (lambda f: f.tz_localize(None), r'naive times.*tz_localize\("UTC"\)'),
    "no rows": (lambda f: f.iloc[:0], r"frame is empty"),
    "a column is missing": (lambda f: f.drop(columns="low"), r"missing columns low: found open"),
    "no volume": (lambda f: f.drop(columns="volume"), r"add a volume column of zeros"),
    "one mark column is missing": (lambda f: f.drop(columns="mark_low"), r"all four or none"),
    "no times at all": (lambda f: f.reset_index(drop=True), r"open times are not clear"),
    "a column twice": (lambda f: f.assign(Close=1.0), r"twice: found close"),
    "text among prices": (lambda f: f.assign(close="n/a"), r"close is not a number"),
    "a missing time": (
        lambda f: f.set_axis(pd.DatetimeIndex([pd.NaT, *f.index[1:]])),
        r"time is missing: found NaT in row 0",
    ),
    "levels in the columns": (lambda f: pd.concat({"BTC": f}, axis=1), r"several levels"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_frame_is_named(case: str) -> None:
    spoil, said = BROKEN[case]
    with pytest.raises(DataError, match=said) as caught:
        validate_frame(spoil(bars()), SYMBOL)
    assert SYMBOL in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sound_frame_comes_back_equal_and_the_input_untouched() -> None:
    frame = bars()
    frame.attrs["note"] = "kept"
    before = frame.copy()
    out = validate_frame(frame, SYMBOL)
    pd.testing.assert_frame_equal(
        out, frame, check_names=False, check_freq=False, check_index_type=False
    )
    pd.testing.assert_frame_equal(frame, before)
    assert out is not frame
    assert out.attrs == {"note": "kept"}
    assert list(out.columns) == list(CANONICAL)
    assert str(out.index.dtype) == "datetime64[ns, UTC]"
    assert out.index.name == "timestamp"


@pytest.mark.parametrize("name", ["timestamp", "Datetime", "DATE"])
def test_times_may_stand_in_a_column(name: str) -> None:
    frame = bars()
    column = frame.rename_axis(name).reset_index()
    assert validate_frame(column, SYMBOL).index.equals(validate_frame(frame, SYMBOL).index)


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_epoch_numbers_are_read_by_their_size(per_second: int) -> None:
    frame = validate_frame(bars(), SYMBOL)
    numbers = frame.index.asi8 // (10**9 // per_second)
    column = frame.reset_index(drop=True).assign(timestamp=numbers)
    assert validate_frame(column, SYMBOL).index.equals(frame.index)


def test_other_zones_become_utc_and_names_lower_case() -> None:
    frame = bars().tz_convert("Asia/Tokyo").rename(columns=str.upper)
    out = validate_frame(frame, SYMBOL)
    assert out.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert list(out.columns) == list(CANONICAL)


def test_whole_bars_without_mark_are_allowed_and_stay_nan() -> None:
    frame = bars()
    frame.iloc[1, [frame.columns.get_loc(name) for name in MARK]] = np.nan
    out = validate_frame(frame, SYMBOL)
    assert out[list(MARK)].isna().sum().tolist() == [1, 1, 1, 1]


def test_unknown_columns_are_kept() -> None:
    out = validate_frame(bars(marks=False, funding=False).assign(Signal="up", trades=3), SYMBOL)
    assert list(out.columns) == ["open", "high", "low", "close", "volume", "Signal", "trades"]


def test_integers_become_floats() -> None:
    out = validate_frame(bars(marks=False, funding=False).astype(int), SYMBOL)
    assert set(out.dtypes.astype(str)) == {"float64"}


def test_a_market_is_validated_symbol_by_symbol() -> None:
    with pytest.raises(DataError, match="ETH/USDT:USDT"):
        validate_frames({SYMBOL: bars(), "ETH/USDT:USDT": bars().iloc[::-1]})
    with pytest.raises(DataError, match="market is empty"):
        validate_frames({})


def test_not_a_frame_is_named() -> None:
    with pytest.raises(DataError, match="found list, allowed a pandas DataFrame"):
        validate_frame([1, 2], SYMBOL)  # type: ignore[arg-type]
