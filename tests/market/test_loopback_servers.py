"""The loopback servers are proved first: the bare ccxt classes read from them what they hold."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ccxt
import numpy as np
import pandas as pd
import pytest
from market.loopback import HOUR, MINUTE, Coin, Loopback, Outage, loopback, loopback_apart, ms

DAY = 24 * HOUR
NOW = ms("2024-06-01 10:20") + 12_345
LISTED = ms("2024-01-01")

LINEAR = Coin("BTC")
INVERSE = Coin("BTC", "USD", "BTC", volume_digits=8)
SPOT = Coin("BTC", "USDT", None)
BARS = ("ohlcv", "mark", "index")
EVERYTHING = [
    ("binanceusdm", LINEAR, BARS),
    ("binancecoinm", INVERSE, BARS),
    ("binance", SPOT, ("ohlcv",)),
    ("bybit", LINEAR, BARS),
    ("bybit", INVERSE, BARS),
    ("okx", LINEAR, BARS),
    ("okx", INVERSE, BARS),
    ("kraken", Coin("BTC", "USD", None), ("ohlcv",)),
    ("krakenfutures", Coin("BTC", "USD"), BARS),
    ("krakenfutures", INVERSE, BARS),
    ("dydx", Coin("BTC", "USDC"), ("ohlcv",)),
    ("hyperliquid", Coin("BTC", "USDC"), ("ohlcv",)),
    ("gate", LINEAR, BARS),
]
SERIES = [(name, coin, kind) for name, coin, kinds in EVERYTHING for kind in kinds]
PERPETUALS = [(name, coin) for name, coin, _ in EVERYTHING if not coin.spot]


@contextmanager
def serving(exchange: str, coin: Coin, **changes: Any) -> Iterator[tuple[Loopback, Any, str]]:
    """A server, the bare class at it, and the coin's symbol."""
    told = {**{name: getattr(coin, name) for name in coin.__dataclass_fields__}, **changes}
    with loopback(exchange, Coin(**told), now=NOW) as server:
        yield server, server.client(), coin.symbol


def raw(server: Loopback, path: str) -> Any:
    with urllib.request.urlopen(server.base + path, timeout=5) as answer:
        return json.loads(answer.read())


def frame(rows: list[list[Any]]) -> pd.DataFrame:
    columns = ["timestamp", "open", "high", "low", "close", "volume"]
    found = pd.DataFrame(rows, columns=columns).set_index("timestamp").astype("float64")
    found.index = pd.to_datetime(found.index, unit="ms", utc=True).as_unit("ns")
    return found


def asked(client: Any, symbol: str, kind: str, timeframe: str, since: int, limit: int) -> Any:
    params = {} if kind == "ohlcv" else {"price": kind}
    if client.id == "dydx":  # the class misspells these
        until = since + limit * client.parse_timeframe(timeframe) * 1000
        params = {"fromISO": client.iso8601(since), "toISO": client.iso8601(until)}
    return client.fetch_ohlcv(symbol, timeframe, since, limit, params)


def times(rows: list[list[Any]]) -> list[int]:
    return [row[0] for row in rows]


@pytest.mark.parametrize(("exchange", "coin", "kind"), SERIES)
@pytest.mark.parametrize("timeframe", ["1m", "1h"])
def test_the_class_parses_what_the_server_holds(
    exchange: str, coin: Coin, kind: str, timeframe: str
) -> None:
    step = MINUTE if timeframe == "1m" else HOUR
    since = NOW - NOW % step - 300 * step
    with serving(exchange, coin) as (server, client, symbol):
        rows = asked(client, symbol, kind, timeframe, since, 90)
        held = server.held(symbol, kind, timeframe, since, since + 90 * step)
    assert len(held) == 90
    pd.testing.assert_frame_equal(frame(rows), held, check_names=False, check_exact=True)


@pytest.mark.parametrize(("exchange", "coin", "kind"), SERIES)
def test_the_newest_bar_is_not_finished(exchange: str, coin: Coin, kind: str) -> None:
    opened = NOW - NOW % HOUR
    with serving(exchange, coin) as (server, client, symbol):
        forming = asked(client, symbol, kind, "1h", opened - 5 * HOUR, 10)[-1]
        server.now += 2 * HOUR
        done = server.held(symbol, kind, "1h", opened, opened + HOUR)
    assert forming[0] == opened
    assert forming[4] != done["close"].iloc[0]


@pytest.mark.parametrize(("exchange", "coin", "kind"), SERIES)
def test_outages_are_missing_and_listings_begin(exchange: str, coin: Coin, kind: str) -> None:
    out = (NOW - NOW % HOUR - 60 * HOUR, NOW - NOW % HOUR - 57 * HOUR)
    listed = out[0] - 20 * HOUR
    with serving(exchange, coin, outages=(Outage(*out),), listed=listed) as (_, client, symbol):
        rows = asked(client, symbol, kind, "1h", listed - 5 * HOUR, 60)
    want = [t for t in range(listed, listed + 55 * HOUR, HOUR) if not out[0] <= t < out[1]]
    assert times(rows)[: len(want)] == want


@pytest.mark.parametrize(("exchange", "coin"), PERPETUALS)
def test_settlements_are_the_ones_held_whatever_their_interval(exchange: str, coin: Coin) -> None:
    changed = NOW - NOW % DAY - 4 * DAY
    plan = ((0, 8), (changed, 4), (changed + DAY, 1))
    with serving(exchange, coin, funding=plan) as (server, client, symbol):
        since = changed - 3 * DAY
        found = client.fetch_funding_rate_history(
            symbol, since, 100, {"until": since + 5 * DAY} if exchange == "bybit" else {}
        )
        held = server.held(symbol, "funding", "", found[0]["timestamp"], found[-1]["timestamp"] + 1)
    assert [row["fundingRate"] for row in found] == held["funding_rate"].to_list()
    stamps = held.index.asi8 // 1_000_000
    assert [row["timestamp"] for row in found] == stamps.tolist()
    assert {8, 4} & set(np.round(np.diff(stamps) / HOUR).astype(int)) or exchange != "binanceusdm"


def test_the_stamps_of_binance_and_dydx_are_late_as_they_are_there() -> None:
    late = {}
    for exchange, coin in (("binanceusdm", LINEAR), ("dydx", Coin("BTC", "USDC")), ("okx", LINEAR)):
        with serving(exchange, coin) as (server, _, symbol):
            stamps = server.held(symbol, "funding").index.asi8 // 1_000_000
        late[exchange] = int((stamps % HOUR).max())
    assert 0 < late["binanceusdm"] < 20
    assert 900 < late["dydx"] < 1_200
    assert late["okx"] == 0


# --- the paging rule of every venue


def test_binance_fills_a_page_from_the_old_end_and_both_ends_are_inclusive() -> None:
    with serving("binanceusdm", LINEAR) as (_, client, symbol):
        rows = client.fetch_ohlcv(symbol, "1m", LISTED, 1000, {"until": LISTED + 5000 * MINUTE})
        some = client.fetch_ohlcv(symbol, "1m", LISTED, 1000, {"until": LISTED + 2 * MINUTE})
        late = client.fetch_ohlcv(symbol, "1m", LISTED + 1, 2)
    assert times(rows) == list(range(LISTED, LISTED + 1000 * MINUTE, MINUTE))
    assert len(some) == 3
    assert late[0][0] == LISTED + MINUTE


def test_coin_margined_binance_fills_from_the_new_end_of_at_most_200_days() -> None:
    with serving("binancecoinm", INVERSE) as (_, client, symbol):
        rows = client.fetch_ohlcv(symbol, "1h", LISTED, 100, {"until": LISTED + 999 * HOUR})
        with pytest.raises(ccxt.ExchangeError, match="-1127"):
            client.fetch_ohlcv(symbol, "1d", LISTED - 100 * DAY, 100, {"until": LISTED + 101 * DAY})
    assert rows[0][0] == LISTED + 900 * HOUR


def test_bybit_fills_from_the_new_end_when_told_both_ends() -> None:
    with serving("bybit", LINEAR) as (server, client, symbol):
        both = client.fetch_ohlcv(symbol, "1m", LISTED, 1000, {"until": LISTED + 4999 * MINUTE})
        start = client.fetch_ohlcv(symbol, "1m", LISTED, 1000)
        wire = raw(server, "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=60&limit=3")
        newest = [int(row[0]) for row in wire["result"]["list"]]
    assert both[0][0] == LISTED + 4000 * MINUTE
    assert start[0][0] == LISTED
    assert newest == [NOW - NOW % HOUR - n * HOUR for n in range(3)]


def test_bybit_refuses_settlements_from_a_start_alone_and_gives_the_newest_200() -> None:
    path = "/v5/market/funding/history?category=linear&symbol=BTCUSDT&startTime=1704067200000"
    with serving("bybit", LINEAR, funding=((0, 1),)) as (server, client, symbol):
        assert raw(server, path)["retCode"] == 10001
        late = client.fetch_funding_rate_history(symbol, LISTED + DAY, 500)
    assert late[0]["timestamp"] == LISTED + DAY + 301 * HOUR


def test_okx_gives_the_newest_between_two_exclusive_bounds() -> None:
    with serving("okx", LINEAR) as (server, client, symbol):
        base = "/api/v5/market/history-candles?instId=BTC-USDT-SWAP&bar=1H&limit=5"
        before = LISTED + 10 * HOUR
        bounds = raw(server, f"{base}&before={before}&after={before + 9 * HOUR}")["data"]
        alone = raw(server, f"{base}&before={before}")["data"]
        recent = client.fetch_ohlcv(symbol, "1m", NOW - 1441 * MINUTE, 300, {"type": "Candles"})
        history = raw(server, base)["data"]
    assert [int(row[0]) for row in bounds] == [before + n * HOUR for n in range(8, 3, -1)]
    assert int(alone[0][0]) == NOW - NOW % HOUR - HOUR
    assert recent[0][0] >= NOW - 1440 * MINUTE
    assert int(history[0][0]) + HOUR <= NOW


def test_okx_keeps_three_months_of_settlements_and_counts_marks_by_the_hundred() -> None:
    with serving("okx", LINEAR) as (server, client, symbol):
        rates = client.fetch_funding_rate_history(symbol, LISTED, 400)
        marks = client.fetch_ohlcv(symbol, "1m", LISTED, 300, {"price": "mark"})
        held = server.held(symbol, "funding")
    assert rates[0]["timestamp"] >= NOW - 92 * DAY
    assert len(held) == len(rates) == 276
    assert len(marks) == 100


def test_kraken_futures_counts_seconds_and_says_when_there_is_more() -> None:
    path = f"/api/charts/v1/trade/PF_XBTUSD/1m?from={LISTED // 1000}&to="
    with serving("krakenfutures", Coin("BTC", "USD")) as (server, client, symbol):
        short = raw(server, f"{path}{LISTED // 1000 + 60}")
        cut = raw(server, f"{path}{LISTED // 1000 + 60 * 3000}")
        client.fetch_ohlcv(symbol, "1m", LISTED, 10, {"until": LISTED})
    assert (len(short["candles"]), short["more_candles"]) == (2, False)
    assert (len(cut["candles"]), cut["more_candles"]) == (2000, True)
    assert cut["candles"][0]["time"] == LISTED
    assert "until=" in server.asked[-1]  # it leaks into the query, and means nothing


def test_kraken_has_the_newest_720_bars_whatever_is_asked() -> None:
    with serving("kraken", Coin("BTC", "USD", None)) as (server, client, symbol):
        rows = client.fetch_ohlcv(symbol, "1h", LISTED, 720)
        held = server.held(symbol, "ohlcv", "1h")
    assert len(rows) == 720
    assert rows[0][0] == NOW - NOW % HOUR - 719 * HOUR
    assert len(held) == 719  # one is still forming


def test_dydx_reads_one_spelling_only_and_ends_before_the_end() -> None:
    with serving("dydx", Coin("BTC", "USDC")) as (server, client, symbol):
        params = {"fromISO": "2024-01-02T00:00:00.000Z", "toISO": "2024-01-02T03:00:00.000Z"}
        right = client.fetch_ohlcv(symbol, "1h", ms("2024-01-02"), 1000, params)
        wrong = client.fetch_ohlcv(symbol, "1h", ms("2024-01-02"), 10, {"until": ms("2024-01-03")})
        path = "/v4/candles/perpetualMarkets/BTC-USD?resolution=1HOUR&limit=1001"
        with pytest.raises(urllib.error.HTTPError, match="400"):
            raw(server, path)
    assert times(right) == [ms("2024-01-02") + n * HOUR for n in range(3)]
    assert wrong[0][0] > ms("2024-05-01")  # the newest, not those asked for


def test_hyperliquid_forgets_all_but_5000_bars_and_pages_settlements_by_500() -> None:
    with serving("hyperliquid", Coin("BTC", "USDC")) as (server, client, symbol):
        rows = client.fetch_ohlcv(symbol, "1m", LISTED)
        rates = client.fetch_funding_rate_history(symbol, LISTED)
        held = server.held(symbol, "ohlcv", "1m")
    assert len(rows) == 5000
    assert rows[0][0] == NOW - NOW % MINUTE - 4999 * MINUTE
    assert len(held) == 4999
    assert len(rates) == 500
    assert rates[0]["timestamp"] < LISTED + 2 * HOUR


# --- what else a market is


@pytest.mark.parametrize(("exchange", "coin"), PERPETUALS)
def test_markets_say_what_they_are(exchange: str, coin: Coin) -> None:
    with serving(exchange, coin) as (_, client, symbol):
        client.load_markets()
        market = client.market(symbol)
    assert market["symbol"] == symbol
    assert market["swap"]
    assert market["inverse"] == coin.inverse
    assert market["created"] in (LISTED, None)
    size = {"binancecoinm": 100, "gate": 0.0001, "okx": 100 if coin.inverse else 0.01}
    assert market["contractSize"] == size.get(exchange, 1)


@pytest.mark.parametrize(
    ("exchange", "coin", "floor", "cap"),
    [
        ("binanceusdm", LINEAR, 50_000, 600_000),
        ("binancecoinm", INVERSE, 50_000 / 30_000, 20),  # coins
        ("bybit", LINEAR, 50_000, 600_000),
        ("bybit", INVERSE, 50_000 / 30_000, 20),
        ("okx", LINEAR, 166.68, 2_000),  # contracts of 0.01 coins
        ("okx", INVERSE, 500.01, 6_000),  # contracts of 100 dollars
        ("krakenfutures", Coin("BTC", "USD"), 50_000, 600_000),
    ],
)
def test_tiers_come_in_the_units_of_their_venue(
    exchange: str, coin: Coin, floor: float, cap: float
) -> None:
    with serving(exchange, coin) as (server, _, symbol):
        key = {"apiKey": "key", "secret": "secret"} if "binance" in exchange else {}
        client = server.client(**key)
        if client.has["fetchLeverageTiers"]:
            tiers = client.fetch_leverage_tiers([symbol])[symbol]
        else:
            tiers = client.fetch_market_leverage_tiers(symbol)
    assert (tiers[1]["minNotional"], tiers[1]["maxNotional"]) == pytest.approx((floor, cap))
    assert [t["maintenanceMarginRate"] for t in tiers] == [0.004, 0.005, 0.01, 0.025, 0.05]


def test_binance_wants_a_key_for_its_tiers() -> None:
    refused = pytest.raises(urllib.error.HTTPError, match="401")
    with serving("binanceusdm", LINEAR) as (server, _, _symbol), refused:
        raw(server, "/fapi/v1/leverageBracket")


def test_bybit_pages_its_risk_limits_by_fifteen_symbols() -> None:
    coins = [Coin(f"C{n:02}", base_bar="1d") for n in range(20)]
    with loopback("bybit", *coins, now=NOW) as server:
        tiers = server.client().fetch_leverage_tiers()
    assert len(tiers) == 20
    assert server.requests["/v5/market/risk-limit"] == 2


def test_a_delisted_coin_ends_and_a_removed_one_is_unknown() -> None:
    end = NOW - NOW % HOUR - 30 * HOUR
    with serving("binanceusdm", LINEAR) as (server, client, symbol):
        client.load_markets()
        server.delist(symbol, end)
        rows = client.fetch_ohlcv(symbol, "1h", end - 5 * HOUR, 100)
        rates = client.fetch_funding_rate_history(symbol, end - 5 * DAY, 100)
        status = raw(server, "/fapi/v1/exchangeInfo")["symbols"][0]["status"]
        server.delist(symbol, end, gone=True)
        with pytest.raises(ccxt.BadSymbol):
            client.fetch_ohlcv(symbol, "1h")
    assert rows[-1][0] == end - HOUR
    assert end - 8 * HOUR < rates[-1]["timestamp"] <= end + 1
    assert status == "SETTLING"


def test_a_candle_revised_later_is_served_and_held_anew() -> None:
    time = LISTED + 100 * HOUR
    with serving("binanceusdm", LINEAR) as (server, client, symbol):
        old = client.fetch_ohlcv(symbol, "1h", time, 1)[0]
        server.revise(symbol, "ohlcv", "1h", time, ticks=7)
        new = client.fetch_ohlcv(symbol, "1h", time, 1)[0]
        held = server.held(symbol, "ohlcv", "1h", time, time + HOUR)
    assert new[4] == pytest.approx(old[4] + 0.7)
    assert new[1:] == held.iloc[0].to_list()


def test_the_date_header_is_the_clock_and_may_be_skewed() -> None:
    with serving("binanceusdm", LINEAR) as (server, client, symbol):
        client.fetch_ohlcv(symbol, "1h", LISTED, 1)
        told = pd.Timestamp(client.last_response_headers["Date"])
        server.skew = 5 * MINUTE
        client.fetch_ohlcv(symbol, "1h", LISTED, 1)
        skewed = pd.Timestamp(client.last_response_headers["Date"])
    assert told.value // 1_000_000 == NOW - NOW % 1000
    assert skewed - told == pd.Timedelta(minutes=5)


def test_a_longer_history_begins_with_the_shorter_one() -> None:
    short, long = (Loopback("bybit", Coin("BTC"), now=now) for now in (NOW, NOW + 90 * DAY))
    symbol = "BTC/USDT:USDT"
    for kind in (*BARS, "funding"):
        one = short.held(symbol, kind, "1h")
        two = long.held(symbol, kind, "1h", until=NOW - HOUR + 1)
        pd.testing.assert_frame_equal(one, two)
    for server in (short, long):
        server.close()


def test_a_server_in_another_process_holds_the_same_and_can_be_told_things() -> None:
    with loopback_apart("binanceusdm", LINEAR, now=NOW) as server:
        client, symbol = server.client(), LINEAR.symbol
        rows = client.fetch_ohlcv(symbol, "1h", LISTED, 500)
        held = server.held(symbol, "ohlcv", "1h", LISTED, LISTED + 500 * HOUR)
        server.do("fault", "429", retry_after=7)
        with pytest.raises(ccxt.DDoSProtection):
            client.fetch_ohlcv(symbol, "1h", LISTED, 500)
        waits = client.last_response_headers["Retry-After"]
        counts = server.do("counts")
    pd.testing.assert_frame_equal(frame(rows), held, check_names=False, check_exact=True)
    assert waits == "7"
    assert counts == {"/fapi/v1/exchangeInfo": 1, "/fapi/v1/klines": 2}
