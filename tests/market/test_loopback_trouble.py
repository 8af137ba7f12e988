"""Downloads through every fault: nothing is lost, nothing is invented, and what is over is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from market.loopback import HOUR, MINUTE, Coin, Loopback, Outage, loopback, ms
from market.loopback.stored import assert_held, calm, dataset, fetched

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable
from bt_margin.market.exchange import client as client_module
from bt_margin.market.fetch import Report

DAY = 24 * HOUR
NOW = ms("2024-06-01 10:43") + 12_345
LAST = NOW - NOW % MINUTE
BARS = 4_500
SINCE = LAST - BARS * MINUTE
SPAN = (SINCE, NOW)
OUT = (SINCE + 2_500 * MINUTE, SINCE + 2_530 * MINUTE)
KINDS = ("ohlcv", "mark", "funding")
COINS = {
    name: Coin("BTC", quote, listed=SINCE - 3 * DAY, outages=(Outage(*OUT),))
    for name, quote in (
        ("binanceusdm", "USDT"),
        ("bybit", "USDT"),
        ("okx", "USDT"),
        ("krakenfutures", "USD"),
        ("dydx", "USDC"),
    )
}
COINS["hyperliquid"] = Coin("BTC", "USDC", listed=SINCE - 3 * DAY)
BARS_OF = {  # what a request for bars of the last price says
    "binanceusdm": "/klines?",
    "bybit": "/market/kline?",
    "okx": "candles?",
    "krakenfutures": "/charts/v1/trade",
    "dydx": "/candles/",
    "hyperliquid": "candleSnapshot",
}
ANSWERS = ("429", "418", "500", "502", "503", "502 html", "html", "cut", "short", "closed", "slow")
ROWS = ("empty", "duplicates", "overlap", "disorder", "holes", "tail")
PASSING = [
    *((fault, exchange) for fault in (*ANSWERS, *ROWS) for exchange in ("binanceusdm", "bybit")),
    *((fault, exchange) for fault in ROWS for exchange in list(COINS)[2:]),
]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return calm(monkeypatch)


def fetched_all(server: Loopback, folder: Path, **options: object) -> Report:
    kinds = KINDS if server.exchange not in ("dydx", "hyperliquid") else ("ohlcv", "funding")
    since = SINCE if server.exchange != "hyperliquid" else LAST - 4_000 * MINUTE
    return fetched(server, folder, (since, NOW), kinds=kinds, **options)


def assert_all_held(server: Loopback, folder: Path) -> None:
    symbol = next(iter(server.hall.coins))
    short = server.exchange == "hyperliquid"
    since = LAST - 4_000 * MINUTE if short else SINCE
    assert_held(server, folder, symbol, "ohlcv", (since, NOW), gaps=() if short else (OUT,))
    if server.exchange not in ("dydx", "hyperliquid"):
        assert_held(server, folder, symbol, "mark", (since, NOW), gaps=(OUT,))
    assert_held(server, folder, symbol, "funding", (since, NOW))


@pytest.mark.parametrize(("fault", "exchange"), PASSING)
def test_what_passes_leaves_no_trace(fault: str, exchange: str, tmp_path: Path) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        server.faults.add(fault, times=2, where=BARS_OF[exchange])
        server.faults.add(fault, times=1, where=BARS_OF[exchange], skip=2)
        if fault != "holes":  # settlements with holes have a test of their own
            server.faults.add(fault, times=2, where="unding", skip=exchange == "bybit")
        options = {"timeout": 60} if fault == "slow" else {}
        report = fetched_all(server, tmp_path, **options)
        assert report.failures == []
        assert server.faults.fired[fault] >= 2
        assert_all_held(server, tmp_path)


@pytest.mark.parametrize(("exchange", "fault"), [("bybit", "busy"), ("bybit", "timeout")])
@pytest.mark.parametrize("where", ["/market/kline?", "mark-price", "funding"])
def test_words_of_bybit_that_mean_later(
    exchange: str, fault: str, where: str, tmp_path: Path
) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        server.faults.add(fault, times=2, where=where, skip=1)
        assert fetched_all(server, tmp_path).failures == []
        assert_all_held(server, tmp_path)


@pytest.mark.parametrize(
    ("exchange", "fault"),
    [("okx", "maintenance"), ("okx", "busy"), ("binanceusdm", "-1001")],
)
def test_words_of_a_venue_that_mean_later(exchange: str, fault: str, tmp_path: Path) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        server.faults.add(fault, times=3, skip=3)
        assert fetched_all(server, tmp_path).failures == []
        assert_all_held(server, tmp_path)


def test_the_venue_says_how_long_and_is_obeyed(waits: list[float], tmp_path: Path) -> None:
    with loopback("binanceusdm", COINS["binanceusdm"], now=NOW) as server:
        server.faults.add("429", where="/klines", retry_after=17)
        assert fetched_all(server, tmp_path).failures == []
        assert max(waits) == pytest.approx(17, abs=1)
        waits.clear()
        server.now += HOUR
        server.faults.add("418", where="/klines", ban=server.now + 90_000)
        fetched(server, tmp_path, (SINCE, server.now))
        assert max(waits) == pytest.approx(91, abs=2)
        waits.clear()
        server.now += HOUR
        server.faults.add("429", times=2, where="/klines")
        fetched(server, tmp_path, (SINCE, server.now))
        assert 60 in [round(wait) for wait in waits]
        assert 120 in [round(wait) for wait in waits]


@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit", "okx", "krakenfutures"])
@pytest.mark.parametrize("fault", ["451", "403"])
def test_a_block_ends_it_at_once_and_keeps_what_came(
    fault: str, exchange: str, tmp_path: Path, waits: list[float]
) -> None:
    coin = COINS[exchange]
    with loopback(exchange, coin, now=NOW) as server:
        server.faults.add(fault, times=1_000, where=BARS_OF[exchange], skip=2)
        report = fetched(server, tmp_path, SPAN)
        (failed,) = report.failures
        assert isinstance(failed.error, ExchangeRefused)
        assert "block" in str(failed.error)
        assert server.faults.fired[fault] == 1
        assert waits == []
        stored = dataset(server, tmp_path, coin.symbol, "ohlcv", "1m").read()
        held = server.held(coin.symbol, "ohlcv", "1m", SINCE)
        assert 0 < len(stored) < len(held)
        np.testing.assert_array_equal(stored.to_numpy(), held.to_numpy()[: len(stored)])
        server.faults.clear()
        assert fetched(server, tmp_path, SPAN).failures == []
        assert_held(server, tmp_path, coin.symbol, "ohlcv", SPAN, gaps=(OUT,))


@pytest.mark.parametrize(
    ("exchange", "fault"),
    [("binanceusdm", "-1121"), ("binanceusdm", "-1016"), ("okx", "no symbol")],
)
def test_what_the_venue_refuses_for_good_is_asked_once(
    exchange: str, fault: str, tmp_path: Path
) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        server.faults.add(fault, times=1_000, where=BARS_OF[exchange])
        (failed,) = fetched(server, tmp_path, SPAN).failures
        assert isinstance(failed.error, ExchangeRefused)
        assert server.faults.fired[fault] == 1
        assert dataset(server, tmp_path, "BTC/USDT:USDT", "ohlcv", "1m").rows == 0


@pytest.mark.parametrize("fault", ["503", "html", "closed", "cut"])
def test_a_venue_that_stays_away_is_given_up_and_gone_on_with_later(
    fault: str, tmp_path: Path
) -> None:
    coin = COINS["binanceusdm"]
    with loopback("binanceusdm", coin, now=NOW) as server:
        server.faults.add(fault, times=10_000, where="/klines?", skip=3)
        (failed,) = fetched(server, tmp_path, SPAN).failures
        assert isinstance(failed.error, ExchangeUnreachable)
        assert dataset(server, tmp_path, coin.symbol, "ohlcv", "1m").rows > 0
        server.faults.clear()
        assert fetched(server, tmp_path, SPAN).failures == []
        assert_held(server, tmp_path, coin.symbol, "ohlcv", SPAN, gaps=(OUT,))


@pytest.mark.parametrize("exchange", list(COINS))
def test_a_storm_of_everything_leaves_no_trace(exchange: str, tmp_path: Path) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        rng = np.random.default_rng(7)
        for skip in range(40):
            server.faults.add(str(rng.choice([*ANSWERS, *ROWS])), skip=int(skip + rng.integers(3)))
        report = fetched_all(server, tmp_path, timeout=150)
        assert report.failures == []
        assert sum(server.faults.fired.values()) > 3
        assert_all_held(server, tmp_path)


def test_settlements_left_out_of_a_page_are_asked_for_again(tmp_path: Path) -> None:
    coin = Coin("BTC", listed=SINCE - 100 * DAY)
    span = (SINCE - 90 * DAY, NOW)
    with loopback("binanceusdm", coin, now=NOW) as server:
        server.faults.add("holes", where="unding")
        assert fetched(server, tmp_path, span, kinds=("funding",)).failures == []
        assert server.requests["/fapi/v1/fundingRate"] > 1
        assert_held(server, tmp_path, coin.symbol, "funding", span)


@pytest.mark.parametrize("exchange", ["bybit", "okx", "dydx"])
def test_a_holed_page_that_reaches_back_makes_no_hole_at_the_start(
    exchange: str, tmp_path: Path
) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        for since in range(SINCE, SINCE + 9 * HOUR, HOUR):
            server.faults.add("holes", times=2, where="unding")
            folder = tmp_path / str(since)
            span = (since, NOW)
            assert fetched(server, folder, span, kinds=("funding",)).failures == []
            assert_held(server, folder, next(iter(server.hall.coins)), "funding", span)
            server.faults.clear()


# --- time


@pytest.mark.parametrize(
    ("local", "venue"),
    [(0, 5 * MINUTE), (5 * MINUTE, 0), (-5 * MINUTE, 0), (0, -5 * MINUTE), (3 * DAY, 0)],
)
def test_no_clock_that_is_wrong_lets_an_unfinished_bar_in(
    local: int, venue: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coin = COINS["bybit"]
    monkeypatch.setattr(client_module, "wall", lambda: NOW + local)
    with loopback("bybit", coin, now=NOW) as server:
        server.skew = venue
        report = fetched(server, tmp_path, (SINCE, NOW + DAY), kinds=("ohlcv", "mark"))
        assert report.failures == []
        for kind in ("ohlcv", "mark"):
            stored = dataset(server, tmp_path, coin.symbol, kind, "1m").read()
            held = server.held(coin.symbol, kind, "1m", SINCE)
            np.testing.assert_array_equal(stored.to_numpy(), held.to_numpy()[: len(stored)])
            assert len(held) - len(stored) <= 6
        server.skew = 0
        monkeypatch.setattr(client_module, "wall", lambda: NOW)
        fetched(server, tmp_path, SPAN, kinds=("ohlcv", "mark"))
        for kind in ("ohlcv", "mark"):
            assert_held(server, tmp_path, coin.symbol, kind, SPAN, gaps=(OUT,))


@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit", "dydx"])
def test_a_coin_delisted_half_way_keeps_what_it_had(exchange: str, tmp_path: Path) -> None:
    coin = Coin(**{**vars(COINS[exchange]), "outages": ()})
    end = SINCE + 3_000 * MINUTE
    other = Coin("ETH", coin.quote, listed=coin.listed)
    asked = {"kinds": ("ohlcv", "funding"), "symbols": [coin.symbol]}
    with loopback(exchange, coin, other, now=NOW) as server:
        fetched(server, tmp_path, (SINCE, SINCE + 1_500 * MINUTE), **asked)
        server.delist(coin.symbol, end)
        report = fetched(server, tmp_path, SPAN, **asked)
        if exchange == "bybit":  # it lists such a coin no more
            assert "no market" in str(report.failures[0].error)
            end = SINCE + 1_500 * MINUTE
        else:
            assert report.failures == []
        for kind in ("ohlcv", "funding"):
            data = dataset(server, tmp_path, coin.symbol, kind, "1m")
            held = server.held(coin.symbol, kind, "1m", SINCE, end)
            np.testing.assert_array_equal(data.read().to_numpy(), held.to_numpy())
            assert [gap for gap in data.gaps if gap.start < end - 8 * HOUR] == []


def test_a_coin_gone_between_two_pages_ends_with_its_name(tmp_path: Path) -> None:
    coin = COINS["binanceusdm"]
    with loopback("binanceusdm", coin, now=NOW) as server:
        server.faults.add("-1121", times=1_000, where="/klines?", skip=2)
        (failed,) = fetched(server, tmp_path, SPAN).failures
        assert isinstance(failed.error, ExchangeRefused)
        assert coin.symbol in str(failed.error)
        assert dataset(server, tmp_path, coin.symbol, "ohlcv", "1m").rows == 2_000


def test_a_candle_revised_later_is_taken_and_the_old_one_kept(tmp_path: Path) -> None:
    coin = COINS["binanceusdm"]
    with loopback("binanceusdm", coin, now=NOW) as server:
        fetched(server, tmp_path, SPAN)
        newest = LAST - MINUTE
        server.revise(coin.symbol, "ohlcv", "1m", newest)
        server.now += 10 * MINUTE
        report = fetched(server, tmp_path, (SINCE, server.now))
        data = dataset(server, tmp_path, coin.symbol, "ohlcv", "1m")
        held = server.held(coin.symbol, "ohlcv", "1m", SINCE)
        np.testing.assert_array_equal(data.read().to_numpy(), held.to_numpy())
    assert report.jobs[0].revised == 1
    assert len(data.revisions) == 1
