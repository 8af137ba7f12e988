"""What is read out of files, folders and frames, and what becomes a finding instead of an error."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market.check.plants import FILES, PRICES, World, write
from market.check.worlds import synthetic

from bt_margin.errors import DataError
from bt_margin.market.check import Finding, check_files, check_frames, check_paths
from bt_margin.market.files import save_market
from bt_margin.market.shapes import Piece, write_foreign
from bt_margin.market.synthetic import generate_market

NOW = int(pd.Timestamp("2026-11-01", tz="UTC").value // 1_000_000)
BTC = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def world() -> World:
    return synthetic()


def grave(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.kind, each.severity) for each in findings if each.severity != "info"]


def test_frames_are_checked_as_last_mark_and_funding() -> None:
    market = generate_market(hours=600)
    assert grave(check_frames(market, now=NOW)) == []
    frame = market[BTC].copy()
    frame.iloc[300, frame.columns.get_loc("mark_close")] = np.nan
    frame.iloc[400:410, frame.columns.get_indexer(["mark_open", "mark_high"])] = np.nan
    frame.iloc[400:410, frame.columns.get_indexer(["mark_low", "mark_close"])] = np.nan
    found = check_frames({BTC: frame}, "binance", now=NOW)
    assert [(f.kind, f.exchange, f.symbol, f.data, f.count) for f in found if f.kind != "intervals"] == [
        ("price", "binance", BTC, "mark/1h", 1),
        ("mark missing", "binance", BTC, "mark/1h", 10),
    ]  # fmt: skip


def test_settlements_beside_a_frame_are_read_from_its_attrs() -> None:
    frame = generate_market(hours=600)[BTC]
    rates = frame["funding_rate"].dropna()
    frame.attrs["funding"] = rates.drop(rates.index[len(rates) // 2])
    assert ("settlement missing", "error") in grave(check_frames({BTC: frame}, now=NOW))


def test_a_frame_no_reader_would_take_is_a_finding() -> None:
    frame = generate_market(hours=300)[BTC]
    found = check_frames({BTC: frame.tz_localize(None)}, now=NOW)
    assert [(each.kind, each.symbol) for each in found] == [("unreadable", BTC)]
    assert "no time zone" in found[0].text


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_canonical_files_are_checked_for_all_they_hold(tmp_path: Path, kind: str) -> None:
    save_market(generate_market(hours=600), tmp_path, kind=kind)  # type: ignore[arg-type]  # a literal
    found = check_paths([tmp_path], now=NOW)
    assert found.datasets == 3 * len(generate_market(hours=600))
    assert grave(found.findings) == []


@pytest.mark.parametrize(
    ("shape", "suffix"),
    [("ccxt", ".csv"), ("binance", ".zip"), ("freqtrade", ".feather")],
)
def test_files_of_other_shapes_are_read_by_their_readers(
    tmp_path: Path, world: World, shape: str, suffix: str
) -> None:
    for kind in ("ohlcv", "mark"):
        frame = world[kind].set_index("timestamp").drop(index=world[kind]["timestamp"].iloc[50])
        piece = Piece(BTC, kind, "1h", frame[[*PRICES, "volume"]])
        write_foreign([piece], tmp_path, shape, exchange="binanceusdm", suffix=suffix)
    found = check_paths([tmp_path], now=NOW)
    assert found.datasets >= 2
    assert ("gap", "warning") in grave(found.findings)


def test_files_that_cannot_be_read_are_findings_and_the_others_are_checked(
    tmp_path: Path, world: World
) -> None:
    write(world, tmp_path)
    mark = tmp_path / FILES["mark"]
    mark.write_bytes(mark.read_bytes()[:5000])
    (tmp_path / "ETHUSDT_1h.csv").write_text("timestamp,open,high\n2024-01-01T00:00:00Z,1,2\n")
    naive = world["ohlcv"].assign(timestamp=world["ohlcv"]["timestamp"].dt.tz_localize(None))
    naive.to_parquet(tmp_path / "binance_SOLUSDT_ohlcv_1h.parquet")
    words = world["ohlcv"].astype({"close": object})
    words.loc[3, "close"] = "none"
    words.astype({"close": str}).to_parquet(tmp_path / "binance_XRPUSDT_ohlcv_1h.parquet")
    found = check_paths([tmp_path], now=NOW)
    told = {each.data: each.text for each in found.findings if each.kind == "unreadable"}
    assert set(told) == {
        FILES["mark"], "ETHUSDT_1h.csv", "binance_SOLUSDT_ohlcv_1h.parquet",
        "binance_XRPUSDT_ohlcv_1h.parquet",
    }  # fmt: skip
    assert "no time zone" in told["binance_SOLUSDT_ohlcv_1h.parquet"]
    assert "close is not a number" in told["binance_XRPUSDT_ohlcv_1h.parquet"]
    assert any(each.data == FILES["funding"] for each in found.findings)


def test_files_of_a_folder_that_hold_no_market_are_left_alone(tmp_path: Path, world: World) -> None:
    write(world, tmp_path)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / ".hidden").mkdir()
    world["ohlcv"].to_parquet(tmp_path / ".hidden" / "binance_BTCUSDT_ohlcv_1h.parquet")
    found = check_paths([tmp_path], now=NOW)
    assert (found.datasets, [path.name for path in found.left_alone]) == (4, ["notes.csv"])
    named = check_files([tmp_path / "notes.csv"], now=NOW)
    assert [each.kind for each in named] == ["unreadable"]


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="file not found"):
        check_files([tmp_path / "nothing"])


def test_an_empty_file_is_told(tmp_path: Path, world: World) -> None:
    world["ohlcv"].iloc[:0].to_parquet(tmp_path / FILES["ohlcv"])
    assert grave(check_files([tmp_path], now=NOW)) == [("empty", "warning")]


@pytest.mark.parametrize(
    ("minutes", "found"),
    [(-1, []), (0, ["unfinished"]), (59, ["unfinished"]), (60, []), (100_000, [])],
)
def test_a_file_written_inside_its_newest_bar_holds_an_unfinished_one(
    tmp_path: Path, world: World, minutes: int, found: list[str]
) -> None:
    """Written before that bar opened, the time of the file is made up; written later it proves nothing."""
    path = tmp_path / FILES["ohlcv"]
    world["ohlcv"].to_parquet(path)
    at = world["ohlcv"]["timestamp"].iloc[-1].timestamp() + 60 * minutes
    os.utime(path, (at, at))
    told = [each for each in check_files([path], now=NOW) if each.severity == "error"]
    assert [each.kind for each in told] == found
    newest = int(world["ohlcv"]["timestamp"].iloc[-1].timestamp() * 1000)
    assert all((each.start, each.count) == (newest, 1) for each in told)


def test_only_what_is_asked_for_is_checked(tmp_path: Path, world: World) -> None:
    spoiled = dict(world)
    spoiled["ohlcv"] = world["ohlcv"].drop(index=range(2000, 2005))
    write(spoiled, tmp_path)
    edge = int(world["ohlcv"]["timestamp"].iloc[1900].timestamp() * 1000)
    assert grave(check_files([tmp_path], "binance", ["BTCUSDT"], now=NOW)) == [("gap", "warning")]
    assert grave(check_files([tmp_path], "okx", now=NOW)) == []
    assert grave(check_files([tmp_path], None, ["ETHUSDT"], now=NOW)) == []
    assert grave(check_files([tmp_path], span=(None, edge), now=NOW)) == []
    assert grave(check_files([tmp_path], span=(edge, None), now=NOW)) == [("gap", "warning")]


def test_copies_in_other_folders_and_timeframes_are_compared(tmp_path: Path, world: World) -> None:
    write({"ohlcv": world["ohlcv"]}, tmp_path)
    part = world["ohlcv"].iloc[400:1400].copy()
    (tmp_path / "copy").mkdir()
    part.to_parquet(tmp_path / "copy" / FILES["ohlcv"])
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    slow = world["ohlcv"].set_index("timestamp").resample("4h").agg(rules).reset_index()
    slow.to_parquet(tmp_path / "binance_BTCUSDT_ohlcv_4h.parquet")
    assert grave(check_files([tmp_path], now=NOW)) == []
    part.iloc[10:30, part.columns.get_indexer(PRICES)] *= 1.001
    part.to_parquet(tmp_path / "copy" / FILES["ohlcv"])
    slow.iloc[:500, slow.columns.get_indexer(PRICES)] *= 1.002
    slow.to_parquet(tmp_path / "binance_BTCUSDT_ohlcv_4h.parquet")
    found = [each for each in check_files([tmp_path], now=NOW) if each.severity != "info"]
    assert [(each.kind, each.severity, each.data, each.count) for each in found] == [
        ("disagree", "error", "binance_BTCUSDT_ohlcv_4h.parquet", 500),
        ("disagree", "warning", f"copy/{FILES['ohlcv']}", 20),
    ]


def test_rates_of_two_venues_are_compared(tmp_path: Path, world: World) -> None:
    write({name: world[name] for name in ("ohlcv", "funding")}, tmp_path)
    rates = world["funding"].iloc[100:].copy()
    rates["funding_rate"] = rates["funding_rate"] * np.where(np.arange(len(rates)) % 7, 1.0, 1.3)
    for factor, told in ((1.0, []), (-1.0, ["rate sign"]), (0.01, ["rate unit"])):
        table = rates.assign(funding_rate=rates["funding_rate"] * factor + 1e-9)
        table.to_parquet(tmp_path / "okx_BTCUSDT_funding_8h.parquet")
        found = check_files([tmp_path], now=NOW)
        assert sorted({f.kind for f in found if f.severity == "error"}) == told, factor
