"""Times as people write them: read one way, or refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bt_margin.errors import InputError
from bt_margin.market.download import time_of
from bt_margin.market.files import load_market, save_market
from bt_margin.market.frames import REQUIRED
from bt_margin.market.times import epoch_of, moment_of

JANUARY = 1_704_067_200_000
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    "time",
    [
        "2024", "20240101", "2024-01-01", "2024/01/01", "2024-01-01 00:00:00Z", "2024-01-01T02:00+02:00",
        "1704067200000", JANUARY, np.int64(JANUARY), np.datetime64("2024-01-01"), date(2024, 1, 1),
        datetime(2024, 1, 1), datetime(2024, 1, 1, 2, tzinfo=EAST), pd.Timestamp("2024-01-01", tz="UTC"),
    ],
)  # fmt: skip
def test_all_ways_to_write_one_time(time: Any) -> None:
    assert epoch_of(time, "since") == JANUARY
    assert moment_of(time, "since") == pd.Timestamp("2024-01-01", tz="UTC")


@pytest.mark.parametrize(
    "time",
    [
        "soon", "", "today", "now", "01/02/2024", "1/2/24", "Jan 5 2024", "1704067200", 1_704_067_200,
        1_704_067_200_000_000, 1_704_067_200_000.0, float("nan"), True, None, pd.NaT, "9" * 40, [],
    ],
)  # fmt: skip
def test_what_could_be_meant_otherwise_is_refused(time: Any) -> None:
    with pytest.raises(InputError, match="since is not a time"):
        epoch_of(time, "since")


def test_a_number_of_numpy_is_milliseconds_wherever_a_time_is_taken(tmp_path: Path) -> None:
    index = pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(REQUIRED, 1.0), index)
    save_market({"BTC/USDT:USDT": frame}, tmp_path)
    half = np.int64(JANUARY + 24 * 3_600_000)
    assert time_of(half, "since") == half
    assert len(load_market(tmp_path, since=half)["BTC/USDT:USDT"]) == 24  # type: ignore[arg-type]  # not a text
    with pytest.raises(InputError, match="until is not a time"):
        load_market(tmp_path, until=2.5)  # type: ignore[arg-type]  # a mistake
