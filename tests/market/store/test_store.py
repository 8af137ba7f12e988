"""The store lists what it has, keeps dated facts, and tells symbols apart."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market.store.venue import BTC, EXCHANGE, NEW_YEAR, Clock, Venue

from bt_margin.errors import InputError, StoreDamaged
from bt_margin.market.store import Dataset, Store
from bt_margin.market.store.places import symbol_name
from bt_margin.market.store.snapshots import added

ETH = "ETH/USDT:USDT"
CHINESE = "币安人生/USDT:USDT"


def fill(
    store: Store, exchange: str, symbol: str, kind: str = "ohlcv", timeframe: str = "1h"
) -> Dataset:
    venue = Venue(kind=kind, timeframe=timeframe)
    dataset = store.dataset(exchange, symbol, kind, timeframe)
    with dataset.writing() as writer:
        writer.add(venue.page(0, 3))
    return dataset


def test_a_store_that_is_not_there_is_empty_and_stays_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.exchanges() == store.datasets() == store.symbols(EXCHANGE) == []
    assert store.market(EXCHANGE, BTC) is None
    assert store.markets(EXCHANGE) == {}
    assert store.tiers(EXCHANGE, BTC) == []
    assert not store.folder.exists()


def test_what_was_written_is_listed_by_exchange_symbol_and_kind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, "bybit", BTC, "mark")
    fill(store, "bybit", BTC)
    fill(store, "bybit", CHINESE)
    fill(store, "okx", ETH, "index", "15m")
    store.put_market("kraken", {"symbol": "BTC/USD"}, 1)
    store.put_tiers("bybit", ETH, {"rate": [0.01]}, 1)
    (tmp_path / "synthetic-sample").mkdir()
    (tmp_path / "bybit" / "notes").mkdir()
    (tmp_path / "README.md").write_text("x")
    assert store.exchanges() == ["bybit", "kraken", "okx"]
    assert store.symbols("bybit") == [BTC, ETH, CHINESE]
    found = [(d.exchange, d.symbol, d.kind, d.timeframe) for d in store.datasets()]
    assert (
        found
        == [
            ("bybit", BTC, "mark", "1h"),
            ("bybit", BTC, "ohlcv", "1h"),
            ("bybit", CHINESE, "ohlcv", "1h"),
            ("okx", ETH, "index", "15m"),
        ]
        or sorted(found) == found
    )
    assert [d.symbol for d in store.datasets("bybit", CHINESE)] == [CHINESE]
    assert [d.kind for d in store.datasets(symbol=BTC, kind="mark")] == ["mark"]
    assert all(dataset.rows == 3 for dataset in store.datasets())


def test_a_damaged_dataset_is_listed_under_its_symbol(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, "bybit", BTC).folder.joinpath("_manifest.json").write_bytes(b"")
    fill(store, "bybit", CHINESE).folder.joinpath("_manifest.json").write_bytes(b"")
    assert [d.symbol for d in store.datasets()] == [BTC, symbol_name(CHINESE)]
    stranger = next(d for d in store.datasets() if d.symbol != BTC)
    with pytest.raises(StoreDamaged, match="delete the folder and download"):
        stranger.repair()
    store.put_market("bybit", {"symbol": CHINESE}, 1)
    known = next(d for d in store.datasets() if d.symbol == CHINESE)
    assert [problem.family for problem in known.repair()] == ["manifest"]
    assert known.rows == 3


def clashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every symbol's folder the same, as a file system without upper and lower case may."""
    for module in ("store", "homes"):
        monkeypatch.setattr(f"bt_margin.market.store.{module}.symbol_name", lambda symbol: "SAME")


def test_two_symbols_in_one_folder_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clashing(monkeypatch)
    store = Store(tmp_path)
    mine = fill(store, "bybit", "kPEPE/USDT:USDT")
    says = r"two symbols share one folder, 'KPEPE/USDT:USDT' and: found 'kPEPE/USDT:USDT'"
    other = store.dataset("bybit", "KPEPE/USDT:USDT", "ohlcv", "1h")
    for act in (other.read, lambda: other.missing((0, 1)), lambda: other.writing().__enter__()):
        with pytest.raises(InputError, match=says):
            act()
    with pytest.raises(InputError, match=says):
        store.dataset("bybit", "KPEPE/USDT:USDT", "mark", "1h").writing().__enter__()
    assert mine.rows == 3
    store.put_tiers("bybit", "kPEPE/USDT:USDT", {"rate": []}, 1)
    with pytest.raises(InputError, match=says):
        store.put_tiers("bybit", "KPEPE/USDT:USDT", {"rate": []}, 1)
    with pytest.raises(InputError, match=says):
        store.tiers("bybit", "KPEPE/USDT:USDT")


def test_market_metadata_is_dated_and_kept_when_it_changes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_market(EXCHANGE, {"symbol": BTC, "tick": 0.1}, 10)
    store.put_market(EXCHANGE, {"symbol": ETH, "tick": 0.01, "created": None}, 11)
    store.put_market(EXCHANGE, {"symbol": BTC, "tick": 0.1}, 20)
    store.put_market(EXCHANGE, {"symbol": BTC, "tick": 0.5}, 30)
    assert store.market(EXCHANGE, BTC) == {"symbol": BTC, "tick": 0.5}
    assert store.market(EXCHANGE, ETH) == {"symbol": ETH, "tick": 0.01, "created": None}
    assert list(store.markets(EXCHANGE)) == [BTC, ETH]
    assert [each["at"] for each in store.market_history(EXCHANGE, BTC)] == [10, 30]
    assert store.market_history(EXCHANGE, "XRP/USDT:USDT") == []


def test_tiers_are_dated_and_appended_only_when_they_changed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, two = {"rate": [0.004], "cap": [None]}, {"rate": [0.005], "cap": [None]}
    for at, tiers in [(10, one), (20, one), (30, two), (40, one)]:
        store.put_tiers(EXCHANGE, BTC, tiers, at)
    found = store.tiers(EXCHANGE, BTC)
    assert found == [{"at": 10, "tiers": one}, {"at": 30, "tiers": two}, {"at": 40, "tiers": one}]
    path = tmp_path / EXCHANGE / "BTC_USDT_USDT" / "tiers.json"
    before = path.stat().st_mtime_ns
    store.put_tiers(EXCHANGE, BTC, one, 50)
    assert path.stat().st_mtime_ns == before


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=8))
def test_snapshots_told_in_order_say_what_held_when(told: list[tuple[int, int]]) -> None:
    found: list[dict[str, object]] = []
    held: dict[int, int] = {}
    for at, value in sorted(told, key=lambda each: each[0]):
        found = added(found, "x", {"v": value}, at)
        held[at] = value
    for at, value in held.items():
        before = [each for each in found if int(str(each["at"])) <= at]
        assert before[-1]["x"] == {"v": value}
    assert all(a["at"] != b["at"] for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("market", "at", "says"),
    [
        ({"tick": 1}, 1, "without a symbol"),
        ({"symbol": ".."}, 1, "not a symbol"),
        ({"symbol": BTC, "tick": float("nan")}, 1, "market is not JSON"),
        ({"symbol": BTC, "tick": object()}, 1, "market is not JSON"),
        ({"symbol": BTC}, -1, "not a time"),
        ({"symbol": BTC}, 10**16, "not a time"),
    ],
)
def test_metadata_that_cannot_be_kept_is_refused(
    tmp_path: Path, market: dict[str, object], at: int, says: str
) -> None:
    store = Store(tmp_path)
    with pytest.raises(InputError, match=says):
        store.put_market(EXCHANGE, market, at)
    assert store.exchanges() == []


BAD = [
    b"",
    b"[",
    b"[]",
    b"{}",
    b'{"snapshots":5}',
    b'{"snapshots":{"X":[]}}',
    b'{"snapshots":{"X":[{"at":"1","KEY":{}}]}}',
    b'{"snapshots":{"X":[{"at":-1,"KEY":{}}]}}',
    b'{"snapshots":{"X":[{"at":1,"KEY":5}]}}',
    b'{"snapshots":{"X":[{"at":2,"KEY":{}},{"at":1,"KEY":{}}]}}',
    b'{"snapshots":{"X":[{"at":1}]}}',
    b"[" * 200_000,
    b" " * 64_000_001,
]


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_a_bad_file_of_facts_is_one_clear_line(tmp_path: Path, data: bytes) -> None:
    store = Store(tmp_path)
    store.put_market(EXCHANGE, {"symbol": BTC}, 1)
    store.put_tiers(EXCHANGE, BTC, {"rate": []}, 1)
    files = [
        tmp_path / EXCHANGE / "_markets.json",
        tmp_path / EXCHANGE / "BTC_USDT_USDT" / "tiers.json",
    ]
    reads = [lambda: store.market(EXCHANGE, BTC), lambda: store.tiers(EXCHANGE, BTC)]
    for path, key, read in zip(files, [b"market", b"tiers"], reads, strict=True):
        path.write_bytes(data.replace(b"KEY", key))
        with pytest.raises(StoreDamaged, match="delete it; the next download") as caught:
            read()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert store.exchanges() == [EXCHANGE]


def test_facts_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_market(EXCHANGE, {"symbol": BTC}, 1)
    path = tmp_path / EXCHANGE / "_markets.json"
    path.write_bytes(b'{"format":2}')
    with pytest.raises(InputError, match="update bt-margin"):
        store.put_market(EXCHANGE, {"symbol": BTC}, 2)
    assert path.read_bytes() == b'{"format":2}'


def test_a_store_that_cannot_be_written_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / "file", clock=Clock(NEW_YEAR))
    with pytest.raises(InputError, match="the store cannot be written"):
        store.dataset(EXCHANGE, BTC, "mark", "1h").writing().__enter__()
    with pytest.raises(InputError, match="the store cannot be written"):
        store.put_tiers(EXCHANGE, BTC, {}, 1)
