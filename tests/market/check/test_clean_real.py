"""The whole real market: no error, no warning its own documentation does not list, its traps explained.

What is listed comes from the README and the manifest that lie beside the files: two highs no mark
followed, 48 missing bars of one mark, half an hour of minutes without a trade, an outage.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from market.check.worlds import ABSENT
from real.rawdata import folder

from bt_margin.market.check import Checked, Finding, check_paths

NOW = int(pd.Timestamp("2026-11-01", tz="UTC").value // 1_000_000)
LISTED_WARNINGS = {
    ("mark wick", "binance_BTCUSDT_ohlcv_1h.parquet", "2021-07-26 01:00"): 1,
    ("mark wick", "binance_ETHUSDT_ohlcv_1h.parquet", "2020-03-13 02:00"): 1,
    ("mark wick", "windows/2020-03-12/binance_ETHUSDT_ohlcv_1h.parquet", "2020-03-13 02:00"): 1,
    ("mark missing", "binance_SOLUSDT_mark_1h.parquet", "2022-10-02 00:00"): 24,
    ("mark missing", "binance_SOLUSDT_mark_1h.parquet", "2023-02-24 00:00"): 24,
    ("zero volume", "okx_BTCUSDT_ohlcv_5m.parquet", "2022-12-18"): 122,
    ("zero volume", "windows/2022-12-18-okx-outage/okx_BTCUSDT_ohlcv_5m.parquet", "2022-12-18"): 122,
    ("zero volume", "okx_SOLUSDT_ohlcv_5m.parquet", "2022-12-18"): 124,
}  # fmt: skip


@pytest.fixture(scope="module")
def market() -> Checked:
    if not folder().is_dir():
        pytest.skip(ABSENT)
    return check_paths([folder()], now=NOW)


def time_of(finding: Finding) -> str:
    return f"{pd.Timestamp(finding.start, unit='ms'):%Y-%m-%d %H:%M}"


def test_every_file_is_read(market: Checked) -> None:
    files = pd.read_csv(folder() / "manifest.csv")
    assert market.datasets == len(files)
    assert market.rows == files["rows"].sum()
    assert [path.name for path in market.left_alone] == ["manifest.csv"]


def test_there_is_no_error(market: Checked) -> None:
    assert [each for each in market.findings if each.severity == "error"] == []


def test_every_warning_is_one_the_documentation_lists(market: Checked) -> None:
    warned = [each for each in market.findings if each.severity == "warning"]
    minutes = [each for each in warned if "dydx" in each.data]
    assert {(each.kind, each.data) for each in minutes} == {
        ("gap", "permissive/dydx_BTC-USD_ohlcv_1m.parquet")
    }
    assert sum(each.count for each in minutes) == 30
    left = {
        (kind, data, time): each.count
        for each in warned
        if each not in minutes
        for kind, data, time in LISTED_WARNINGS
        if (kind, data) == (each.kind, each.data) and time_of(each).startswith(time)
    }
    assert left == LISTED_WARNINGS
    assert len(warned) == len(minutes) + len(LISTED_WARNINGS)


def test_missing_and_silent_bars_are_those_of_the_manifest(market: Checked) -> None:
    files = pd.read_csv(folder() / "manifest.csv").set_index("file")
    missing: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    for each in market.findings:
        if each.kind in ("gap", "mark missing"):
            missing[each.data] += each.count
        if each.kind == "zero volume":
            silent[each.data] += each.count
    bars = files[files["missing_bars"].notna()]
    assert {name: missing[name] for name in bars.index} == bars["missing_bars"].to_dict()
    last = files[files["zero_vol"].notna() & files.index.str.contains("_ohlcv_")]
    assert {name: silent[name] for name in last.index} == last["zero_vol"].to_dict()


@pytest.mark.parametrize(
    ("data", "kind", "time", "words"),
    [
        ("binance_BTCUSDT_mark_1h.parquet", "frozen", "2020-07-27 20:00", "stands still at 10812"),
        ("binance_ETHUSDT_mark_1h.parquet", "frozen", "2020-07-27 20:00", "stands still at 322.5"),
        ("binance_BTCUSDT_mark_1h.parquet", "coverage", "2019-09-08 17:00", "starts 2019-12-23"),
        ("binance_ETHUSDT_ohlcv_1h.parquet", "mark wick", "2021-05-19 13:00", "1400.73 against mark 1764"),
        ("binance_BTCUSDT_ohlcv_1h.parquet", "mark wick", "2020-03-12 10:00", "5199.17 against mark 5620"),
        ("binance_SOLUSDT_mark_1h.parquet", "mark far", "2022-11-09 18:00", "4.96 % below"),
        ("binance_SOLUSDT_funding_var.parquet", "intervals", "2022-01-01 00:00", "8 h × 4,716, 2 h × 98"),
        ("binance_SOLUSDT_funding_var.parquet", "rate extreme", "2022-11-09", "-2 %"),
        ("binance_ORCAUSDT_funding_var.parquet", "intervals", "2024-12-31", "1 h × 934, 2 h × 86"),
        ("binance_BTCUSDT_ohlcv_1h.parquet", "disagree", "2024-10-28 20:00", "3 bars of 20,410"),
        ("permissive/8h/okx_BTCUSDT_ohlcv_8h.parquet", "phase", "2022-12-31 20:00", "4 h after"),
        ("permissive/kucoin_BTCUSDT_funding_8h.parquet", "phase", "2021-01-01 04:00", "04:00, 12:00, 20:00"),
    ],
)  # fmt: skip
def test_the_documented_traps_are_told_as_facts_with_their_numbers(
    market: Checked, data: str, kind: str, time: str, words: str
) -> None:
    hits = [
        each
        for each in market.findings
        if (each.data, each.kind, each.severity) == (data, kind, "info")
        and time_of(each).startswith(time)
    ]
    assert len(hits) == 1
    assert words in hits[0].text
