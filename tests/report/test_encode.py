"""Arrays as text: what comes out is what went in, to the digits that matter, in few bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.errors import InputError
from bt_margin.report import encode

NAN, INF = float("nan"), float("inf")
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-1e6, 1e6),
    st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1e-9, 0.005, 2.0**53, 1e300, 1.005, 99.995]),
)
NAMES = (
    "y0.open", "y0.high", "y0.low", "y0.close", "y0.mark",
    "s0.equity", "s0.drawdown", "s0.ratio", "s0.margin", "s0.p0.margin", "s0.y0.size",
)  # fmt: skip


def there_and_back(arrays: dict[str, Any], money: int = 2) -> dict[str, Any]:
    """Through JSON, as the page carries it."""
    return encode.decode(json.loads(json.dumps(encode.encode(arrays, money))))


@given(
    st.integers(0, 12).flatmap(
        lambda n: st.tuples(*[st.lists(NUMBERS, min_size=n, max_size=n)] * 11)
    )
)
def test_what_comes_out_is_the_quantised_number_exactly(columns: Any) -> None:
    arrays = {name: np.array(column) for name, column in zip(NAMES, columns, strict=True)}
    found, wanted = there_and_back(arrays), encode.quantised(arrays)
    assert list(found) == list(arrays)
    for name in arrays:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30), st.sampled_from([2, 8]))
def test_quantising_moves_money_by_half_its_last_digit_at_most(
    values: list[float], money: int
) -> None:
    equity = np.array(values)
    moved = np.abs(encode.quantised({"s0.equity": equity}, money)["s0.equity"] - equity)
    assert moved.max() <= 0.5 * 10.0**-money * (1 + 1e-6) + 1e-9 * equity.max()


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=30), st.integers(0, 6))
def test_prices_on_a_tick_come_out_as_they_are(ticks: list[int], digits: int) -> None:
    prices = np.array(ticks) / 10.0**digits
    if digits > encode.FINE - 1 - np.floor(np.log10(np.median(prices))):
        return  # more digits than are kept
    np.testing.assert_array_equal(there_and_back({"y0.close": prices})["y0.close"], prices)


def test_prices_without_a_tick_keep_nine_digits_and_seven_in_long_runs() -> None:
    few = np.full(10, 61_234.123456789)
    many = np.full(encode.LONG + 1, 61_234.123456789)
    assert there_and_back({"y0.close": few})["y0.close"][0] == 61_234.1235
    assert there_and_back({"y0.close": many})["y0.close"][0] == 61_234.12


def test_every_small_step_and_every_width_comes_out() -> None:
    near = [base + step for base in (0, 2**7, 2**15, 2**23, 2**31, 2**39) for step in range(-9, 10)]
    steps = np.array([step for each in [*range(-300, 301), *near] for step in (each, -each)])
    for values in (np.cumsum(steps), steps):
        found = there_and_back({"time": values, "s0.equity": values / 100.0})
        np.testing.assert_array_equal(found["time"], values)
        np.testing.assert_array_equal(found["s0.equity"], values / 100.0)


def test_times_of_any_spacing_come_out_whole() -> None:
    times = np.array([1_700_000_000_000, 1_700_000_060_001, 1_760_000_000_000])
    assert there_and_back({"time": times})["time"].tolist() == times.tolist()


def walk(n: int = 20_000) -> dict[str, Any]:
    """Prices of one symbol, and an equity that holds it."""
    luck = np.random.default_rng(5)
    close = np.round(60_000 * np.exp(np.cumsum(luck.normal(0, 4e-4, n))), 1)
    opened = np.concatenate(([60_000.0], close[:-1]))
    high = np.round(np.maximum(opened, close) + luck.exponential(5, n), 1)
    equity = np.round(close / 6, 2)
    return {
        "y0.open": opened,
        "y0.high": high,
        "y0.close": close,
        "y0.mark": np.round(close + luck.normal(0, 1, n), 8),
        "s0.equity": equity,
        "s0.drawdown": equity / np.maximum.accumulate(equity) - 1.0,
        "s0.margin": equity,
        "s0.p0.margin": equity,
    }


def test_what_another_array_tells_takes_no_room() -> None:
    coded = encode.encode(walk())
    how = {name: one["how"] for name, one in coded.items()}
    assert [how[f"y0.{name}"] for name in ("open", "high", "close", "mark")] == [
        "before",
        "max",
        "last",
        "same",
    ]
    assert (how["s0.drawdown"], how["s0.p0.margin"]) == ("fall", "same")
    for name in ("y0.open", "s0.drawdown", "s0.p0.margin"):
        assert len(coded[name]["data"]) < 0.05 * len(coded["y0.close"]["data"]), name
    assert (
        sum(len(one["data"]) for one in coded.values()) < 12 * 20_000
    )  # 64 bytes a bar as they are


def test_nothing_is_text_too() -> None:
    assert there_and_back({"time": np.zeros(0), "s0.equity": np.zeros(0)})["s0.equity"].size == 0
    assert there_and_back({}) == {}


def broken(change: dict[str, Any]) -> dict[str, Any]:
    return {"y0.close": encode.encode({"y0.close": np.array([1.5, 2.5])})["y0.close"] | change}


@pytest.mark.parametrize(
    "change",
    [
        {"data": "%%%"},
        {"data": "AAAA"},
        {"n": 3},
        {"width": 2},
        {"how": "sideways"},
        {"of": ["y0.close"], "how": "same"},
        {"of": ["y9.close"], "how": "same"},
        {"digits": 400},
        {"start": None},
        {"kind": "float", "n": 7},
    ],
)
def test_text_that_is_none_of_ours_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="text of the arrays"):
        encode.decode(broken(change))
