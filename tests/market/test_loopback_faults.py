"""What goes wrong on the way, and what the bare ccxt class makes of it: the ground of every retry."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from market.loopback import MINUTE, Coin, loopback, ms

NOW = ms("2024-06-01 10:20")
START = ms("2024-05-31")
COINS = {
    "binanceusdm": Coin("BTC", listed=ms("2024-05-01")),
    "bybit": Coin("BTC", listed=ms("2024-05-01")),
    "okx": Coin("BTC", listed=ms("2024-05-01")),
    "krakenfutures": Coin("BTC", "USD", listed=ms("2024-05-01")),
    "kraken": Coin("BTC", "USD", None, listed=ms("2024-05-01")),
    "dydx": Coin("BTC", "USDC", listed=ms("2024-05-01")),
    "hyperliquid": Coin("BTC", "USDC", listed=ms("2024-05-01")),
    "gate": Coin("BTC", listed=ms("2024-05-01")),
}
ALL = tuple(COINS)
DOWN = ccxt.ExchangeNotAvailable

CLASSES = [
    ("binanceusdm", "429", ccxt.DDoSProtection),
    ("binanceusdm", "418", ccxt.DDoSProtection),
    ("binanceusdm", "-1001", ccxt.OperationFailed),
    ("binanceusdm", "-1016", ccxt.BadRequest),
    ("binanceusdm", "-1121", ccxt.BadSymbol),
    ("bybit", "busy", ccxt.RateLimitExceeded),
    ("bybit", "403", ccxt.RateLimitExceeded),
    ("bybit", "429", ccxt.ExchangeError),  # its code is not in ccxt's table: the status tells
    ("bybit", "timeout", ccxt.ExchangeError),
    ("okx", "429", ccxt.RateLimitExceeded),
    ("okx", "503", ccxt.OnMaintenance),
    ("okx", "maintenance", ccxt.OnMaintenance),
    ("okx", "no symbol", ccxt.BadSymbol),
    ("krakenfutures", "429", ccxt.DDoSProtection),
    ("kraken", "429", ccxt.DDoSProtection),
    ("kraken", "lockout", ccxt.DDoSProtection),
    ("dydx", "429", ccxt.RateLimitExceeded),
    ("hyperliquid", "429", ccxt.RateLimitExceeded),
    *((name, "502", DOWN) for name in ALL),
    *((name, "502 html", DOWN) for name in ALL),
    *((name, "451", DOWN) for name in ALL),
    *((name, "403", DOWN) for name in ALL if name != "bybit"),
    *((name, "short", ccxt.NetworkError) for name in ALL),
    *((name, "closed", ccxt.NetworkError) for name in ALL),
    *((name, "slow", ccxt.RequestTimeout) for name in ALL),
]


def bars(client: Any, symbol: str, count: int = 100) -> list[Any]:
    until = {}
    if client.id == "dydx":
        ends = (START, START + count * MINUTE)
        until = dict(zip(("fromISO", "toISO"), map(client.iso8601, ends), strict=True))
    return client.fetch_ohlcv(
        symbol, "1m", NOW - 100 * MINUTE if not until else START, count, until
    )


@pytest.mark.parametrize(("exchange", "fault", "error"), CLASSES)
def test_a_fault_comes_back_as_this_class_and_goes_away(
    exchange: str, fault: str, error: type[Exception]
) -> None:
    coin = COINS[exchange]
    with loopback(exchange, coin, now=NOW) as server:
        client = server.client()
        clean = bars(client, coin.symbol)
        client.timeout = 60 if fault == "slow" else 10_000
        server.faults.add(fault)
        with pytest.raises(error) as caught:
            bars(client, coin.symbol)
        client.timeout = 10_000
        assert type(caught.value) is error
        assert bars(client, coin.symbol) == clean
        assert server.faults.fired == {fault: 1}


@pytest.mark.parametrize("exchange", ALL)
@pytest.mark.parametrize("fault", ["html", "cut", "empty"])
def test_what_is_no_json_comes_back_as_nothing_without_an_error(exchange: str, fault: str) -> None:
    coin = COINS[exchange]
    with loopback(exchange, coin, now=NOW) as server:
        client = server.client()
        client.load_markets()
        server.faults.add(fault)
        assert bars(client, coin.symbol) == []
        assert len(bars(client, coin.symbol)) == 100


def wire(client: Any, symbol: str) -> list[int]:
    """The times of a page in the order they came, before ccxt sorts and cuts them."""
    seen: list[int] = []
    parse = client.parse_ohlcv
    client.parse_ohlcv = lambda *args: (row := parse(*args), seen.append(row[0]))[0]
    bars(client, symbol)
    return seen


@pytest.mark.parametrize("exchange", ALL)
def test_spoilt_pages_are_spoilt_on_the_wire(exchange: str) -> None:
    coin = COINS[exchange]
    with loopback(exchange, coin, now=NOW) as server:
        clean = wire(server.client(), coin.symbol)
        spoilt = {}
        for fault in ("duplicates", "overlap", "disorder", "holes", "tail"):
            client = server.client()
            client.load_markets()
            server.faults.add(fault)
            spoilt[fault] = wire(client, coin.symbol)
    falling = exchange in ("bybit", "okx", "dydx")
    assert clean == sorted(clean, reverse=falling)
    assert spoilt["duplicates"] == [time for time in clean for _ in range(2)]
    assert len(spoilt["overlap"]) == len(clean) + 5
    assert min(spoilt["overlap"]) == min(clean) - 5 * MINUTE
    assert sorted(spoilt["disorder"]) == sorted(clean)
    assert spoilt["disorder"] not in (clean, clean[::-1])
    assert 0 < len(spoilt["holes"]) < len(clean)
    assert spoilt["tail"] == clean[: len(clean) // 2]


def test_the_venue_says_how_long_to_wait() -> None:
    coin = COINS["binanceusdm"]
    with loopback("binanceusdm", coin, now=NOW) as server:
        client = server.client()
        server.faults.add("429", retry_after=17)
        server.faults.add("418", ban=NOW + 90_000)
        with pytest.raises(ccxt.DDoSProtection):
            client.load_markets()
        assert client.last_response_headers["Retry-After"] == "17"
        with pytest.raises(ccxt.DDoSProtection, match=f"banned until {NOW + 90_000}"):
            client.load_markets()


def test_a_fault_may_be_kept_for_one_route_and_for_later() -> None:
    coin = COINS["binanceusdm"]
    with loopback("binanceusdm", coin, now=NOW) as server:
        client = server.client()
        server.faults.add("500", times=2, where="interval=1m", skip=1)
        client.load_markets()
        assert len(bars(client, coin.symbol)) == 100
        client.fetch_ohlcv(coin.symbol, "1h")
        for _ in range(2):
            with pytest.raises(ccxt.ExchangeNotAvailable):
                bars(client, coin.symbol)
        assert server.faults.pending == 0
        assert len(bars(client, coin.symbol)) == 100


def test_a_fault_nobody_knows_is_a_mistake_of_the_test() -> None:
    with loopback("okx", COINS["okx"], now=NOW) as server, pytest.raises(ValueError, match="words"):
        server.faults.add("-1121")
