"""Rates from files: units normalised, mistakes named in one line, written and read back equal."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.errors import DataError, InputError
from bt_margin.market.rates import borrow_from_ccxt, load_rates, validate_rates, write_rates

ROOT = Path(__file__).resolve().parents[2]
T1, T2 = "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"

BORROW = {"timestamp": [T1, T2], "currency": "USDT", "rate": [0.00024, 0.00048], "period": "1d"}
AAVE = {
    "timestamp": [T1, T2],
    "asset": "WETH",
    "variable_borrow_rate": [0.021, 0.022],
    "liquidity_rate": [0.015, 0.016],
    "variable_borrow_index": [1.05, 1.0500025],
    "price": [2300.0, 2310.0],
    "ltv": [0.805, np.nan],
    "liquidation_threshold": [0.83, np.nan],
    "liquidation_bonus": [0.05, np.nan],
}
GMX = {
    "timestamp": [T1, T2],
    "market": "ETH/USD [WETH-USDC]",
    "borrowing_long_per_hour": [0.00002, 0.00003],
    "borrowing_short_per_hour": 0.0,
    "funding_long_per_hour": [0.00001, -0.00001],
    "funding_short_per_hour": [-0.00002, 0.00001],
    "price_min": [2299.0, 2309.0],
    "price_max": [2301.0, 2311.0],
}
KINDS = {"borrow": BORROW, "aave": AAVE, "gmx": GMX}


def table(kind: str, **more: object) -> pd.DataFrame:
    made = pd.DataFrame(KINDS[kind] | {k: v for k, v in more.items() if v is not None})
    return made.drop(columns=[k for k, v in more.items() if v is None])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_written_and_read_back_to_the_last_bit(tmp_path: Path, kind: str, suffix: str) -> None:
    tidy = validate_rates(table(kind))
    assert tidy.attrs == {"kind": kind}
    path = write_rates(tidy, tmp_path / f"rates.{suffix}")
    back = load_rates(path)
    pd.testing.assert_frame_equal(back, tidy, check_exact=True)
    assert back.attrs == tidy.attrs
    assert [file.name for file in tmp_path.iterdir()] == [f"rates.{suffix}"]


@given(st.lists(st.floats(0.0, 0.9), min_size=1, max_size=5))
def test_every_period_says_the_same_per_hour(yearly: list[float]) -> None:
    times = pd.date_range("2024-01-01", periods=len(yearly), freq="h", tz="UTC")
    base = pd.DataFrame({"timestamp": times, "currency": "BTC"})
    values = np.array(yearly)
    for period, ms, hours in (
        ("1h", 3_600_000, 1),
        ("1d", 86_400_000, 24),
        ("1y", 31_536_000_000, 8760),
    ):
        rate = values / 8760 * hours
        named = {"1h": "hour", "1d": "day", "1y": "year"}[period]
        for made in (
            base.assign(rate=rate, period=period),
            base.assign(rate=rate, period=ms),
            base.assign(**{f"rate_per_{named}": rate}),
        ):
            found = validate_rates(made)["rate_per_hour"]
            assert found.to_numpy() == pytest.approx(values / 8760, rel=1e-12, abs=1e-30)


def test_rays_and_seconds_are_told_by_the_name() -> None:
    rays = table("aave", variable_borrow_rate=None, liquidity_rate=None).assign(
        variable_borrow_rate_ray=[2.1e25, 2.2e25], liquidity_rate_ray=[1.5e25, 1.6e25]
    )
    tidy = validate_rates(rays)
    assert tidy["variable_borrow_rate"].tolist() == pytest.approx([0.021, 0.022])
    gmx = table("gmx", borrowing_long_per_hour=None, borrowing_short_per_hour=None).assign(
        borrowing_long_per_second=1e-8, borrowing_short_per_year=0.0876
    )
    tidy = validate_rates(gmx)
    assert tidy["borrowing_long_per_hour"].tolist() == pytest.approx([3.6e-5] * 2)
    assert tidy["borrowing_short_per_hour"].tolist() == pytest.approx([1e-5] * 2)


def test_several_keys_in_one_file_are_ordered_each_for_itself() -> None:
    both = pd.concat([table("borrow"), table("borrow", currency="BTC")]).sort_values("timestamp")
    tidy = validate_rates(both)
    assert tidy["currency"].tolist() == ["BTC", "BTC", "USDT", "USDT"]
    assert tidy["timestamp"].is_monotonic_increasing is False


def bad(kind: str, said: str, **more: object) -> object:
    return pytest.param(kind, more, said, id=f"{kind}: {said[:40]}")


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        bad("borrow", r"naive times", timestamp=["2024-01-01T00:00:00", "2024-01-01T01:00:00"]),
        bad("borrow", r"that is 7\.3 a year: divide percent by 100", rate=[0.02, 0.02]),
        bad("borrow", r"okx's annual rates as hourly", rate=[0.05, 0.06], period="1h"),
        bad("borrow", r"bad rate_per_hour: found -1e-05.*a cost is positive", rate=[1e-4, -2.4e-4]),
        bad("borrow", r"bad rate_per_hour: found nan.*USDT at 2024-01-01 01:00", rate=[1e-4, np.nan]),
        bad("borrow", r"unknown column rates.*did you mean rate", rates=1.0),
        bad("borrow", r"duplicate row.*row 1, USDT\); drop", timestamp=[T1, T1]),
        bad("borrow", r"rows are not sorted.*sort the file by time", timestamp=[T2, T1]),
        bad("borrow", r"the rate has no period.*rate_per_hour", period=None),
        bad("borrow", r"unknown period: found '8h', allowed 1h, 1d, 1y.*row 0", period="8h"),
        bad("borrow", r"missing columns rate_per_hour", rate=None, period=None),
        bad("borrow", r"rate is not a number", rate=["much", "little"]),
        bad("borrow", r"no currency: found ''.*row 1", currency=["USDT", np.nan]),
        bad("borrow", r"rate_per_hour is there twice", rate_per_day=1e-4),
        bad("aave", r"bad variable_borrow_rate.*divide percent by 100", variable_borrow_rate=[2.1, 2]),
        bad("aave", r"name the column liquidity_rate_ray", liquidity_rate=[1.5e25, 1.6e25]),
        bad("aave", r"bad variable_borrow_index.*never falls", variable_borrow_index=[1.1, 1.05]),
        bad("aave", r"bad variable_borrow_index.*1 or more", variable_borrow_index=[0.9, 1.05]),
        bad("aave", r"not 8300 basis points", liquidation_threshold=[8300, 8300]),
        bad("aave", r"0\.05 for a bonus of 5 %", liquidation_bonus=[1.05, 1.05]),
        bad("aave", r"bad ltv.*at most the liquidation_threshold", ltv=[0.9, 0.9]),
        bad("aave", r"bad liquidation_threshold.*1 / \(1 \+ liq", liquidation_threshold=[0.96, 0.96]),
        bad("aave", r"bad price.*a price above 0", price=[0.0, 1.0]),
        bad("aave", r"missing columns liquidity_rate", liquidity_rate=None),
        bad("gmx", r"missing columns borrowing_short_per_hour", borrowing_short_per_hour=None),
        bad("gmx", r"unknown column borrowing_long: ", borrowing_long=0.1),
        bad("gmx", r"divide by 1e30 first", borrowing_long_per_hour=[1e22, 1e22]),
        bad("gmx", r"bad borrowing_long_per_hour.*0 or more", borrowing_long_per_hour=[-1e-6, 0]),
        bad("gmx", r"one side at least that pays", funding_short_per_hour=[0, -0.00001]),
        bad("gmx", r"price_min and price_max: found one", price_max=None),
        bad("gmx", r"bad price_min.*at most price_max", price_max=[2000.0, 2311.0]),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line_that_names_it(
    tmp_path: Path, kind: str, more: dict[str, object], said: str
) -> None:
    path = tmp_path / "rates.csv"
    table(kind, **more).to_csv(path, index=False)
    with pytest.raises(DataError, match=said) as caught:
        load_rates(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text


def test_what_is_no_file_of_rates(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        load_rates(tmp_path / "rates.csv")
    path = tmp_path / "rates.csv"
    path.write_text("timestamp,price\n2024-01-01T00:00:00Z,1\n")
    with pytest.raises(DataError, match=r"not clear what kind of rates.*currency \(borrow\)"):
        load_rates(path)
    with pytest.raises(InputError, match=r"unknown kind of rates: found 'spot', allowed borrow"):
        load_rates(path, "spot")
    with pytest.raises(DataError, match="no rates"):
        validate_rates(table("borrow").iloc[:0])
    with pytest.raises(InputError, match="unknown kind of file"):
        write_rates(table("borrow"), tmp_path / "rates.json")
    with pytest.raises(DataError, match="naive"):
        write_rates(table("borrow", timestamp=["2024-01-01", "2024-01-02"]), path)
    assert path.read_text().startswith("timestamp,price")


def test_ccxt_rows_of_okx_are_annual_whatever_they_say() -> None:
    rows = [
        {"currency": "USDT", "rate": 0.0876, "period": 3_600_000, "timestamp": 1704067200000 + t}
        for t in (3_600_000, 0, 0)
    ]
    assert borrow_from_ccxt("okx", rows)["rate_per_hour"].tolist() == pytest.approx([1e-5] * 2)
    with pytest.raises(DataError, match=r"borrow rates of bybit.*767\.4 a year"):
        borrow_from_ccxt("bybit", rows)
    daily = [{**row, "period": 86_400_000, "rate": 0.00024, "info": {}} for row in rows]
    assert borrow_from_ccxt("binance", daily)["rate_per_hour"].tolist() == pytest.approx([1e-5] * 2)


def test_the_examples_of_the_manual_are_read(tmp_path: Path) -> None:
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    blocks = re.findall(r"```csv\n(.*?)```", text, re.S)
    kinds = []
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.csv"
        path.write_text(block)
        kinds.append(load_rates(path).attrs["kind"])
    assert kinds == ["borrow", "aave", "gmx"]
