"""The client: real ccxt classes on loopback servers, their failures and their answers."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from market.exchange.support import COINS, LISTED, NOW, Quick
from market.loopback import MINUTE, Coin, loopback, ms

from bt_margin.errors import (
    ExchangeRefused,
    ExchangeUnreachable,
    InputError,
    UnknownExchange,
)
from bt_margin.market.exchange import Client, Pace
from bt_margin.market.kinds import KINDS

SYMBOL = "BTC/USDT:USDT"
NINE = [name for name in COINS if name != "gate"]


@pytest.fixture
def quick() -> Quick:
    return Quick()


def bars(client: Client, symbol: str = SYMBOL, count: int = 10) -> Any:
    """The first bars after the listing, asked for with one call."""
    span = (LISTED, LISTED + count * MINUTE)
    params: dict[str, Any] = {"until": span[1] - 1}
    return client.call(
        "fetch_ohlcv", symbol, "1m", LISTED, count, params, symbol=symbol, kind="ohlcv", span=span
    )


def test_an_unknown_exchange_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownExchange, match=r"did you mean .*binance"):
        Client("binanse")


@pytest.mark.parametrize("options", [{"urls": "http://hunter2"}, {"options": 5}, {"has": []}])
def test_options_ccxt_cannot_take_are_the_callers_mistake(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has the wrong shape") as caught:
        Client("okx", options)
    assert "hunter2" not in str(caught.value)


def test_an_option_ccxt_does_not_know_is_told() -> None:
    told: list[str] = []
    Client("okx", {"apikey": "hunter2", "timeout": 5}, told=told.append)
    assert len(told) == 1
    assert "'apikey' is none that ccxt knows; did you mean apiKey" in told[0]


def test_options_are_merged_deeply() -> None:
    client = Client("binanceusdm", {"options": {"mine": 1}, "timeout": 7})
    assert client._ccxt.options["mine"] == 1
    assert client._ccxt.options["fetchMarkets"]["types"] == ["linear"]
    assert client._ccxt.timeout == 7


@pytest.mark.parametrize("exchange", NINE)
def test_a_market_is_described_in_plain_values(quick: Quick, exchange: str) -> None:
    coin = COINS[exchange]
    with loopback(exchange, coin, now=NOW) as server, quick.client(server) as client:
        market = client.market(coin.symbol)
        assert market == json.loads(json.dumps(market))
        assert (market["symbol"], market["base"], market["quote"]) == (
            coin.symbol,
            coin.base,
            coin.quote,
        )
        assert (market["linear"], market["inverse"]) == (
            not coin.spot and not coin.inverse,
            coin.inverse,
        )
        assert market["contract_size"] > 0
        assert market["tick"] == (1.0 if exchange == "hyperliquid" else 0.1)
        assert market["ccxt"] == client.version
    assert quick.told == []


@pytest.mark.parametrize("short", ["BTC/USDT", "BTCUSDT", "btc/usdt:usdt", "BTC/USDT:USDC", ""])
def test_only_the_full_symbol_will_do(quick: Quick, short: str) -> None:
    with loopback("binanceusdm", COINS["binanceusdm"], now=NOW) as server:
        client = quick.client(server)
        with pytest.raises(ExchangeRefused) as caught:
            client.market(short)
    assert "full ccxt symbol" in str(caught.value)
    assert (f"did you mean {SYMBOL}?" in str(caught.value)) is bool(short)
    assert (caught.value.exchange, caught.value.symbol) == ("binanceusdm", short)


def test_what_is_offered_and_why_not() -> None:
    offered = {name: [k for k in KINDS if Client(name).offers(k)] for name in NINE}
    bars_and_more = ["ohlcv", "mark", "index", "funding"]
    assert offered == {
        "binanceusdm": bars_and_more,
        "binancecoinm": bars_and_more,
        "binance": bars_and_more,
        "bybit": list(KINDS),
        "okx": list(KINDS),
        "kraken": ["ohlcv"],
        "krakenfutures": list(KINDS),
        "dydx": ["ohlcv", "funding", "tiers"],
        "hyperliquid": ["ohlcv", "funding", "tiers"],
    }
    assert "API key" in Client("binanceusdm").why_not("tiers")
    assert Client("binanceusdm", {"apiKey": "a", "secret": "b"}).offers("tiers")


FAULTS: dict[str, tuple[tuple[str, dict[str, Any]], list[float]]] = {
    "429 with retry-after": (("429", {"retry_after": 7}), [7.0]),
    "429 without": (("429", {}), [60.0]),
    "418": (("418", {"ban": NOW + 45_000}), [46.0]),
    "500": (("500", {}), [1.0]),
    "502": (("502", {}), [1.0]),
    "502 html": (("502 html", {}), [1.0]),
    "503": (("503", {}), [1.0]),
    "-1001": (("-1001", {}), [1.0]),
    "html with status 200": (("html", {}), [1.0]),
    "cut JSON": (("cut", {}), [1.0]),
    "short body": (("short", {}), [1.0]),
    "closed": (("closed", {}), [1.0]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_passing_failure_is_waited_for_and_the_answer_is_whole(quick: Quick, case: str) -> None:
    (name, detail), slept = FAULTS[case]
    with loopback("binanceusdm", COINS["binanceusdm"], now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        before = client.requests
        server.faults.add(name, **detail)
        assert len(bars(client)) == 10
        assert client.requests == before + 2
    waited = [seconds for seconds in quick.slept if seconds in slept]
    assert waited == slept


def test_a_slow_answer_is_asked_for_again(quick: Quick) -> None:
    with loopback("bybit", COINS["bybit"], now=NOW) as server:
        client = quick.client(server, options={"timeout": 100})
        client.market(SYMBOL)
        server.faults.add("slow", seconds=0.3)
        assert len(bars(client)) == 10


@pytest.mark.parametrize("exchange", NINE)
@pytest.mark.parametrize("fault", ["html", "cut", "short", "502 html"])
def test_markets_come_whole_too(quick: Quick, exchange: str, fault: str) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        server.faults.add(fault, times=2)
        assert quick.client(server).market(COINS[exchange].symbol)["active"]
        assert server.faults.pending == 0


def test_an_empty_list_of_markets_is_no_answer(quick: Quick) -> None:
    with loopback("binanceusdm", Coin(listed=NOW + 1), now=NOW) as server:
        client = quick.client(server)
        with pytest.raises(ExchangeUnreachable, match="list of markets is empty"):
            client.market(SYMBOL)


REFUSALS = {
    ("binanceusdm", "451"): ("HTTP 451", "another exchange"),
    ("binanceusdm", "403"): ("HTTP 403", "another exchange"),
    ("bybit", "403"): ("HTTP 403", "another exchange"),
    ("binanceusdm", "-1016"): ("-1016", "check symbol"),
    ("binanceusdm", "-1121"): ("-1121", "full ccxt symbol"),
}


@pytest.mark.parametrize(("exchange", "fault"), REFUSALS)
def test_a_permanent_failure_stops_at_once_in_plain_words(
    quick: Quick, exchange: str, fault: str
) -> None:
    with loopback(exchange, COINS[exchange], now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        before = client.requests
        server.faults.add(fault)
        with pytest.raises(ExchangeRefused) as caught:
            bars(client)
        assert client.requests == before + 1
    assert quick.slept == []
    for part in (exchange, SYMBOL, "2024-02-06 00:00", *REFUSALS[exchange, fault]):
        assert part in str(caught.value)
    assert (caught.value.kind, caught.value.span) == ("ohlcv", (LISTED, LISTED + 10 * MINUTE))


def test_patience_has_an_end_that_is_told(quick: Quick) -> None:
    with loopback("okx", COINS["okx"], now=NOW) as server:
        client = quick.client(server, retry=quick.retry(attempts=3))
        client.market(SYMBOL)
        server.faults.add("503", times=9)
        with pytest.raises(ExchangeUnreachable, match="asked 3 times"):
            bars(client)


def test_a_second_request_that_gets_no_answer_is_not_judged_by_the_first(quick: Quick) -> None:
    with loopback("bybit", COINS["bybit"], now=NOW) as server:
        client = quick.client(server, retry=quick.retry(attempts=1))
        server.faults.add("closed", skip=1)
        with pytest.raises(ExchangeUnreachable, match="the connection failed"):
            client.market(SYMBOL)


def test_nobody_listens(quick: Quick) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        api = dict.fromkeys(("public", "private", "rest"), address)
        client = Client("bybit", {"urls": {"api": api}}, retry=quick.retry(attempts=3))
        with pytest.raises(ExchangeUnreachable, match=r"the connection failed .*refused"):
            client.market(SYMBOL)


def test_secrets_are_in_no_message(quick: Quick) -> None:
    key, secret = "hunter2hunter2", "swordfishswordfish"
    with loopback("binanceusdm", COINS["binanceusdm"], now=NOW) as server:
        options = {"apiKey": key, "secret": secret}
        client = quick.client(server, options=options, retry=quick.retry(attempts=2))
        client.market(SYMBOL)
        for fault in ("closed", "503", "-1121", "451"):
            server.faults.clear()
            server.faults.add(fault, times=9)
            with pytest.raises((ExchangeRefused, ExchangeUnreachable)) as caught:
                client.call("fetch_leverage_tiers", [SYMBOL])
            said = str(caught.value) + "".join(quick.told)
            assert not [each for each in (key, secret, "signature=") if each in said]


def test_a_server_behind_sets_the_time_and_one_ahead_does_not(quick: Quick) -> None:
    with loopback("binanceusdm", COINS["binanceusdm"], now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        assert client.now() == NOW
        server.skew = 7_200_000
        bars(client)
        assert client.now() == NOW
        server.skew = -7_200_000
        bars(client)
        assert client.now() == NOW - 7_200_000
    assert len(quick.told) == 1
    assert "behind" in quick.told[0]


def test_twins_share_markets_clock_and_pace(quick: Quick) -> None:
    with loopback("binanceusdm", COINS["binanceusdm"], now=NOW) as server:
        gaps: list[float] = []
        pace = Pace(gaps.append, lambda: 0.0)
        server.skew = -5_000
        client = quick.client(server, options={"enableRateLimit": True}, pace=pace)
        twin = client.twin()
        asked = sum(server.requests.values())
        assert twin.market(SYMBOL) == client.market(SYMBOL)
        assert sum(server.requests.values()) == asked
        assert twin.now() == client.now() == NOW - 5_000
        del gaps[:]
        bars(client)
        bars(twin, count=499)
        bars(client, count=1_000)
        assert [round(gap, 3) for gap in gaps] == [0.05, 0.15, 0.4]
        assert (twin.requests, client.requests) == (1, asked + 2)


def test_known_markets_are_not_asked_for_again(quick: Quick) -> None:
    with loopback("okx", COINS["okx"], now=NOW) as server:
        markets = quick.client(server).markets
        client = quick.client(server, markets=markets)
        assert client.market(SYMBOL)["contract_size"] == 0.01
        assert client.requests == 0


def test_an_empty_answer_needs_an_empty_list(quick: Quick) -> None:
    with loopback("hyperliquid", COINS["hyperliquid"], now=NOW) as server:
        client = quick.client(server, retry=quick.retry(attempts=2))
        symbol = COINS["hyperliquid"].symbol
        client.market(symbol)
        assert bars(client, symbol) == []
        client._ccxt.on_rest_response = _always(client._ccxt.on_rest_response, '{"note":"hello"}')
        with pytest.raises(ExchangeUnreachable, match="without an empty list"):
            bars(client, symbol)


def _always(respond: Any, body: str) -> Any:
    """What a cache in between might do: another body, still JSON, still status 200."""

    def other(
        code: int, reason: str, url: str, method: str, headers: Any, _: str, *rest: Any
    ) -> Any:
        return respond(code, reason, url, method, headers, body, *rest)

    return other


def test_a_fixed_clock_reaches_ccxt(quick: Quick) -> None:
    with loopback("okx", COINS["okx"], now=ms("2024-02-15")) as server:
        assert quick.client(server)._ccxt.milliseconds() == ms("2024-02-15")
        assert quick.client(server).twin()._ccxt.milliseconds() == ms("2024-02-15")
