"""Returns by month: they multiply to what the whole run made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies.worlds import BTC, Cycle, flat_venue, frame

from bt_margin.report.months import months, years_of
from bt_margin.studies.compare import compare


def curve(values: list[float], start: str, freq: str) -> pd.Series:
    return pd.Series(values, pd.date_range(start, periods=len(values), freq=freq, tz="UTC"))


@given(
    st.lists(st.just(0.0) | st.floats(1e-6, 1e3), min_size=1, max_size=60),
    st.sampled_from(["D", "7D", "23D", "50D"]),
    st.sampled_from(["2023-11-30", "2024-01-01", "2024-02-28 23:00"]),
)
def test_law_months_multiply_to_years_and_years_to_the_total(
    values: list[float], freq: str, start: str
) -> None:
    dead = [i for i, value in enumerate(values) if value == 0.0]
    grown = values[: dead[0]] + [0.0] * (len(values) - dead[0]) if dead else values
    rows = years_of(curve(grown, start, freq))
    for row in rows:
        known = [1.0 + m for m in row["months"] if m is not None]
        assert math.prod(known) == pytest.approx(1.0 + row["total"])
    assert math.prod(1.0 + row["total"] for row in rows) == pytest.approx(grown[-1], abs=1e-9)


def test_months_before_the_start_and_after_the_end_are_none() -> None:
    (row,) = years_of(curve([1.0, 1.1, 1.2], "2024-03-31", "D"))
    assert [i for i, month in enumerate(row["months"], 1) if month is not None] == [3, 4]
    assert row["months"][2] == 0.0


def test_a_month_without_a_bar_returns_nothing() -> None:
    times = pd.to_datetime(["2024-01-31", "2024-03-01"], utc=True)
    (row,) = years_of(pd.Series([1.1, 1.21], times))
    assert row["months"][:3] == pytest.approx([0.1, 0.0, 0.1])


def test_no_bar_no_month() -> None:
    assert years_of(pd.Series(dtype=float)) == []


def test_a_comparison_has_the_months_of_every_scenario() -> None:
    luck = np.random.default_rng(5)
    closes = 100.0 * np.exp(np.cumsum(luck.normal(0.0, 0.01, 24 * 70)))
    result: Any = compare(
        Cycle,
        {BTC: frame([float(c) for c in closes])},
        venue=flat_venue(taker_fee=0.0005),
        leverage=5,
    )
    found = months(result)["scenarios"]
    assert list(found) == ["cross", "isolated"]
    for name, rows in found.items():
        total = math.prod(1.0 + row["total"] for row in rows) - 1.0
        assert total == pytest.approx(result.summary.loc[name, "total_return"])
