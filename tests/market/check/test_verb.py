"""``bt-margin check``: what it prints, its exit codes, and a repair by a real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import typer
from market.check.plants import FILES, World, put, without, write
from market.check.worlds import synthetic
from market.loopback import HOUR, Coin, Loopback, Outage, loopback, ms
from typer.testing import CliRunner, Result

from bt_margin.cli.check import check
from bt_margin.market.exchange import Retry
from bt_margin.market.fetch import Order, fetch
from bt_margin.market.kinds import Page
from bt_margin.market.store import Store

BTC = "BTC/USDT:USDT"
app = typer.Typer()
app.command("check")(check)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def world() -> World:
    return synthetic()


@pytest.fixture
def place(tmp_path: Path, world: World) -> Path:
    write(world, tmp_path)
    return tmp_path


def spoil(place: Path, world: World, *, gravely: bool) -> None:
    spoiled = dict(world)
    without(spoiled, "ohlcv", 1000, 1004)
    if gravely:
        put(spoiled, "ohlcv", "low", 2000, -1.0)
    write(spoiled, place)


def test_a_clean_folder_ends_with_its_count_and_code_0(place: Path) -> None:
    done = call(place)
    assert done.exit_code == 0
    assert "settles every 8 h" in done.output
    assert "4 datasets, 11,167 rows checked: 0 errors, 0 warnings, 1 fact" in done.output


def test_errors_give_code_1_and_warnings_only_when_strict(place: Path, world: World) -> None:
    spoil(place, world, gravely=False)
    done = call(place)
    assert (done.exit_code, call(place, "--strict").exit_code) == (0, 1)
    assert "5 bars missing from 2024-02-11 16:00 to 2024-02-11 21:00" in done.output
    spoil(place, world, gravely=True)
    done = call(place)
    assert done.exit_code == 1
    assert "ERROR" in done.output
    assert done.output.index("ERROR") < done.output.index("warning") < done.output.index("fact")
    assert "1 error, 1 warning" in done.output


def test_quiet_prints_the_count_alone(place: Path, world: World) -> None:
    spoil(place, world, gravely=True)
    done = call(place, "--quiet")
    assert done.output.splitlines() == [
        "4 datasets, 11,162 rows checked: 1 error, 1 warning, 1 fact"
    ]


def test_json_tells_programs_everything(place: Path, world: World) -> None:
    spoil(place, world, gravely=True)
    (place / "notes.csv").write_text("a\n1\n")
    done = call(place, "--json")
    told = json.loads(done.output)
    assert done.exit_code == 1
    assert (told["errors"], told["warnings"], told["facts"]) == (1, 1, 1)
    assert told["left_alone"] == [str(place / "notes.csv")]
    (wrong,) = [each for each in told["findings"] if each["severity"] == "error"]
    assert wrong == {
        "kind": "price", "severity": "error", "exchange": "binance", "symbol": BTC,
        "data": FILES["ohlcv"], "from": "2024-03-24T13:00:00Z", "to": "2024-03-24T13:00:00Z",
        "count": 1, "text": "1 bar with a price that is none: low -1.0",
    }  # fmt: skip


def test_only_what_is_asked_for_is_checked(place: Path, world: World) -> None:
    spoil(place, world, gravely=True)
    assert call(place, "--exchange", "okx").exit_code == 0
    assert call(place, "--symbols", "BTCUSDT", "--until", "2024-02-01").exit_code == 0
    assert call(place, "--symbols", "BTCUSDT", "--since", "2024-03-01").exit_code == 1
    done = call(place, "--since", "some day")
    assert done.exit_code == 2
    assert "since is not a time" in done.output


def test_nothing_to_check_is_helped(tmp_path: Path, place: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = call(empty)
    assert done.exit_code == 2
    assert "nothing to check" in done.output
    assert "bt-margin download" in done.output
    done = call(place, "--symbols", "ETHUSDT")
    assert done.exit_code == 2
    assert "nothing of ETHUSDT to check" in done.output
    done = call(tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "file not found" in done.output


def test_without_a_path_the_folder_data_is_checked(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = call()
    assert done.exit_code == 2
    assert "nothing to check in data" in done.output
    (elsewhere / "data").symlink_to(place, target_is_directory=True)
    assert "4 datasets" in call("-q").output


def test_files_are_not_repaired(place: Path) -> None:
    done = call(place, "--repair", "--quiet")
    assert done.exit_code == 2
    assert "--repair works on a store" in done.output


# -- a store, and the venue it came from -----------------------------------------------------------

SINCE, NOW = ms("2024-02-01"), ms("2024-03-01 00:30")
OUT = (SINCE + 40 * HOUR, SINCE + 43 * HOUR)


@pytest.fixture
def server() -> Iterator[Loopback]:
    coin = Coin("BTC", listed=ms("2024-01-01"), outages=(Outage(*OUT),))
    with loopback("binanceusdm", coin, now=NOW) as running:
        yield running


@pytest.fixture
def store(server: Loopback, tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    quick = Retry(attempts=3, patience=1e9, sleep=lambda seconds: None)
    order = Order(
        "binanceusdm", (BTC,), "1h", ((SINCE, NOW),), ("ohlcv", "mark", "funding"),
        options=server.exchange_options,
    )  # fmt: skip
    assert fetch([order], made, retry=quick).failures == []
    return made


def overwrite(store: Store, kind: str, place: int, factor: float) -> None:
    """One stored bar with its prices multiplied."""
    dataset = store.dataset("binanceusdm", BTC, kind, "1h")
    frame = dataset.read()
    time = int(frame.index[place].value // 1_000_000)
    row = frame.iloc[place]
    values = [float(value) * factor for value in row.iloc[:4]] + [float(row.iloc[4])]
    page = Page((time, time + HOUR), [time], tuple([value] for value in values))
    with dataset.writing() as writer:
        writer.add(page)


def test_a_download_is_clean_and_an_outage_of_the_venue_a_fact(store: Store) -> None:
    done = call(store.folder)
    assert done.exit_code == 0, done.output
    assert "the venue has none, asked again and confirmed" in done.output
    assert "0 errors, 0 warnings" in done.output
    part = call(store.folder / "binanceusdm")
    assert part.exit_code == 2
    assert "part of a store" in part.output


@pytest.mark.parametrize(
    ("exchange", "coin"),
    [
        ("bybit", Coin("ETH", listed=ms("2024-01-01"))),
        ("okx", Coin("BTC", listed=ms("2024-01-01"))),
        ("krakenfutures", Coin("BTC", "USD", listed=ms("2024-01-01"))),
        ("dydx", Coin("BTC", "USDC", listed=ms("2024-01-01"))),
        ("hyperliquid", Coin("BTC", "USDC", listed=ms("2024-01-01"))),
    ],
)
def test_downloads_from_every_venue_are_clean(exchange: str, coin: Coin, tmp_path: Path) -> None:
    with loopback(exchange, coin, now=NOW) as server:
        order = Order(
            exchange, (coin.symbol,), "1h", ((SINCE, NOW),), ("ohlcv", "mark", "funding"),
            options=server.exchange_options,
        )  # fmt: skip
        assert fetch([order], Store(tmp_path / "store")).failures == []
    done = call(tmp_path / "store")
    assert done.exit_code == 0
    assert "0 errors, 0 warnings" in done.output, done.output


def test_a_repair_asks_the_venue_again_and_ends_clean(
    store: Store, server: Loopback, tmp_path: Path
) -> None:
    before = {kind: read(store, kind) for kind in ("ohlcv", "mark", "funding")}
    overwrite(store, "ohlcv", 300, 1.4)
    with store.dataset("binanceusdm", BTC, "mark", "1h").writing() as writer:
        writer.forget((SINCE + 100 * HOUR, SINCE + 130 * HOUR))
    funding = store.dataset("binanceusdm", BTC, "funding", "")
    with funding.writing() as writer:
        time = int(funding.read().index[30].value // 1_000_000)
        writer.forget((time - HOUR, time + HOUR))
    damaged = next((tmp_path / "store").glob("*/*/mark_1h/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-7])
    assert call(store.folder).exit_code == 1
    options = tmp_path / "options.json"
    options.write_text(json.dumps(server.exchange_options))
    done = call(store.folder, "--repair", "--exchange-options", options)
    assert done.exit_code == 0, done.output
    assert "Asking again for" in done.output
    assert done.output.splitlines()[-1].startswith("3 datasets")
    assert "0 errors, 0 warnings" in done.output.splitlines()[-1]
    for kind in before:
        pd.testing.assert_frame_equal(read(store, kind), before[kind], check_exact=True)
    again = json.loads(call(store.folder, "--repair", "--json").output)
    assert (again["errors"], again["repaired"]) == (0, [])


def read(store: Store, kind: str) -> pd.DataFrame:
    return store.dataset("binanceusdm", BTC, kind, "" if kind == "funding" else "1h").read()
