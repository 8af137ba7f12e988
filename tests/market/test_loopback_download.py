"""Whole downloads by the real ccxt classes: what is stored is what the server holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market.loopback import HOUR, MINUTE, Coin, Outage, loopback, ms
from market.loopback.stored import ALL_ROWS, LOCAL, assert_held, calm, dataset, fetched

from bt_margin.market.download import download
from bt_margin.market.fetch import Order, fetch
from bt_margin.market.store import Store

DAY = 24 * HOUR
BARS = 50_000
NOW = ms("2024-06-01 10:43") + 12_345
LAST = NOW - NOW % MINUTE
SINCE = LAST - BARS * MINUTE
LISTED = SINCE - 30 * HOUR
OUT = (SINCE + 1_000 * MINUTE, SINCE + 1_060 * MINUTE)
PLAN = ((0, 8), (LISTED + 12 * DAY, 4), (LISTED + 24 * DAY, 1))
OUTAGE = (Outage(*OUT),)
SYMBOL = "BTC/USDT:USDT"

HISTORIES = [
    ("binanceusdm", Coin("BTC", listed=LISTED, outages=OUTAGE, funding=PLAN), ALL_ROWS),
    ("bybit", Coin("BTC", listed=LISTED, outages=OUTAGE, funding=PLAN), ALL_ROWS),
    ("okx", Coin("BTC", listed=LISTED, outages=OUTAGE, funding=PLAN), ALL_ROWS),
    ("krakenfutures", Coin("BTC", "USD", listed=LISTED, outages=OUTAGE), ALL_ROWS),
    ("dydx", Coin("BTC", "USDC", listed=LISTED, outages=OUTAGE), ("ohlcv", "funding")),
    ("binancecoinm", Coin("BTC", "USD", "BTC", listed=LISTED, outages=OUTAGE), ALL_ROWS),
    ("binance", Coin("BTC", "USDT", None, listed=LISTED, outages=OUTAGE), ("ohlcv",)),
    ("gate", Coin("BTC", listed=LISTED, outages=OUTAGE, funding=PLAN), ALL_ROWS),
]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return calm(monkeypatch)


@pytest.mark.parametrize(("exchange", "coin", "kinds"), HISTORIES)
def test_fifty_thousand_bars_of_every_kind_are_stored_as_they_are_held(
    exchange: str, coin: Coin, kinds: tuple[str, ...], tmp_path: Path
) -> None:
    with loopback(exchange, coin, now=NOW) as server:
        report = fetched(server, tmp_path, (SINCE, NOW), kinds=kinds)
        assert report.failures == []
        for kind in kinds:
            gaps = (OUT,) if kind != "funding" else ()
            assert_held(server, tmp_path, coin.symbol, kind, (SINCE, NOW), gaps=gaps)


def test_hyperliquid_gathers_fifty_thousand_bars_by_and_by(tmp_path: Path) -> None:
    coin = Coin("BTC", "USDC", listed=LISTED)
    first = SINCE + 4_900 * MINUTE + 12_345
    with loopback("hyperliquid", coin, now=first) as server:
        for time_of_run in [*range(first, NOW, 4_900 * MINUTE), NOW]:
            server.now = time_of_run
            report = fetched(server, tmp_path, (SINCE, NOW), kinds=("ohlcv", "funding"))
            assert report.failures == []
        data = dataset(server, tmp_path, coin.symbol, "ohlcv", "1m")
        assert data.rows == BARS
        assert_held_whole(server, data.read())
        assert_held(server, tmp_path, coin.symbol, "funding", (SINCE, NOW))


def assert_held_whole(server: Any, stored: Any) -> None:
    """Compare with all the bars there ever were, those the server shows no longer included."""
    symbol = next(iter(server.hall.coins))
    held = server.hall.held(symbol, "ohlcv", "1m", SINCE, NOW)
    np.testing.assert_array_equal(stored.to_numpy(), held.to_numpy())
    assert stored.index.equals(held.index)


@pytest.mark.parametrize(
    ("exchange", "coin", "kept"),
    [
        ("kraken", Coin("BTC", "USD", None, listed=LISTED), 719),
        ("hyperliquid", Coin("BTC", "USDC", listed=LISTED), 4_999),
    ],
)
def test_what_a_venue_has_forgotten_is_said_and_not_called_an_outage(
    exchange: str, coin: Coin, kept: int, tmp_path: Path
) -> None:
    with loopback(exchange, coin, now=NOW) as server:
        report = fetched(server, tmp_path, (SINCE, NOW))
        assert_held(server, tmp_path, coin.symbol, "ohlcv", (LAST - kept * MINUTE, NOW))
    assert report.failures == []
    assert any("keeps only the newest" in note for note in report.notes)


def test_coin_margined_days_are_asked_for_in_windows_of_200_days(tmp_path: Path) -> None:
    coin = Coin("BTC", "USD", "BTC", listed=NOW - 900 * DAY, base_bar="1h")
    since = NOW - NOW % DAY - 850 * DAY
    with loopback("binancecoinm", coin, now=NOW) as server:
        report = fetched(server, tmp_path, (since, NOW), timeframe="1d", kinds=("ohlcv", "mark"))
        assert report.failures == []
        for kind in ("ohlcv", "mark"):
            assert_held(server, tmp_path, coin.symbol, kind, (since, NOW), timeframe="1d")


@pytest.mark.parametrize("timeframe", ["15m", "4h", "1d", "1w"])
@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit", "okx"])
def test_every_timeframe_keeps_to_its_grid(exchange: str, timeframe: str, tmp_path: Path) -> None:
    coin = Coin("BTC", listed=ms("2023-01-01"), base_bar="15m")
    since = ms("2023-02-06")
    with loopback(exchange, coin, now=ms("2024-03-01 10:20") + 12_345) as server:
        span = (since, server.now)
        report = fetched(server, tmp_path, span, timeframe=timeframe, kinds=("ohlcv", "mark"))
        assert report.failures == []
        for kind in ("ohlcv", "mark"):
            assert_held(server, tmp_path, SYMBOL, kind, span, timeframe=timeframe)


@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit", "okx", "krakenfutures", "dydx"])
def test_the_time_before_the_listing_is_no_bars_and_few_requests(
    exchange: str, tmp_path: Path
) -> None:
    quote = {"krakenfutures": "USD", "dydx": "USDC"}.get(exchange, "USDT")
    listed = ms("2024-05-01 07:31")
    coin = Coin("BTC", quote, listed=listed)
    kinds = ("ohlcv", "funding")
    with loopback(exchange, coin, now=ms("2024-06-01 10:20") + 12_345) as server:
        report = fetched(server, tmp_path, (ms("2022-01-01"), server.now), kinds=kinds)
        assert report.failures == []
        for kind in kinds:
            stored = dataset(server, tmp_path, coin.symbol, kind, "1m").read()
            held = server.held(coin.symbol, kind, "1m")
            assert stored.index.equals(held.index)
            np.testing.assert_array_equal(stored.to_numpy(), held.to_numpy())
        assert sum(server.requests.values()) < 400


def test_old_settlements_of_binance_have_no_mark_and_lost_ones_are_a_hole(tmp_path: Path) -> None:
    told, lost = SINCE + 10 * DAY, (SINCE + 20 * DAY, SINCE + 21 * DAY)
    coin = Coin("BTC", listed=LISTED, marks_from=told, unsettled=(lost,))
    with loopback("binanceusdm", coin, now=NOW) as server:
        report = fetched(server, tmp_path, (SINCE, NOW), kinds=("funding",))
        assert report.failures == []
        data = dataset(server, tmp_path, SYMBOL, "funding", "")
        held = server.held(SYMBOL, "funding", "", SINCE)
    pd.testing.assert_frame_equal(data.read(), held, check_exact=True, check_freq=False)
    assert held["mark"].isna().sum() == 30
    (hole,) = [gap for gap in data.gaps if gap.stop > gap.start + HOUR]
    before = held.index.asi8[held.index.asi8 < lost[0] * 1_000_000].max() // 1_000_000
    assert hole.start <= max(before + 1, lost[0])
    assert hole.stop >= lost[1] - HOUR


def test_a_venue_whose_pages_have_become_smaller_is_still_read_whole(tmp_path: Path) -> None:
    coin = Coin("BTC", listed=LISTED)
    span = (LAST - 3_000 * MINUTE, NOW)
    with loopback("binanceusdm", coin, now=NOW) as server:
        server.hall.page = 77
        assert fetched(server, tmp_path, span).failures == []
        assert_held(server, tmp_path, SYMBOL, "ohlcv", span)
        assert sum(server.requests.values()) < 60


def test_the_same_again_asks_for_nothing_and_more_asks_for_the_rest(tmp_path: Path) -> None:
    coin = Coin("BTC", listed=LISTED)
    middle = (SINCE + 2_000 * MINUTE, SINCE + 4_000 * MINUTE)
    whole = (SINCE, SINCE + 9_000 * MINUTE)
    with loopback("binanceusdm", coin, now=NOW) as server:
        route = "/fapi/v1/klines"
        fetched(server, tmp_path, middle)
        assert server.requests[route] == 2
        fetched(server, tmp_path, middle)
        assert server.requests[route] == 2
        fetched(server, tmp_path, whole)
        assert server.requests[route] in (9, 10)  # one bar before a seam may be asked again
        assert_held(server, tmp_path, SYMBOL, "ohlcv", whole)


def test_several_symbols_of_a_venue_do_not_mix(tmp_path: Path) -> None:
    coins = [Coin(name, price=10.0**n, listed=LISTED) for n, name in enumerate("ABCDE", 1)]
    span = (LAST - 3_000 * MINUTE, NOW)
    with loopback("bybit", *coins, now=NOW) as server:
        report = fetched(server, tmp_path, span, kinds=("ohlcv", "mark", "funding", "tiers"))
        assert report.failures == []
        for coin in coins:
            for kind in ("ohlcv", "mark"):
                assert_held(server, tmp_path, coin.symbol, kind, span)
            tiers = Store(tmp_path).tiers("bybit", coin.symbol)[-1]
            assert [row["rate"] for row in tiers["tiers"]["tiers"]] == [
                tier.rate for tier in coin.tiers
            ]


def test_several_venues_at_once_fill_one_store(tmp_path: Path) -> None:
    coin, other = Coin("BTC", listed=LISTED), Coin("BTC", "USDC", listed=LISTED)
    span = (LAST - 3_000 * MINUTE, NOW)
    with loopback("okx", coin, now=NOW) as okx, loopback("dydx", other, now=NOW) as dydx:
        LOCAL["now"] = NOW
        kinds = ("ohlcv", "funding")
        orders = [
            Order(s.exchange, (c.symbol,), "1m", (span,), kinds, options=s.exchange_options)
            for s, c in ((okx, coin), (dydx, other))
        ]
        assert fetch(orders, Store(tmp_path)).failures == []
        for kind in kinds:
            assert_held(okx, tmp_path, coin.symbol, kind, span)
            assert_held(dydx, tmp_path, other.symbol, kind, span)


def test_the_unfinished_bar_is_not_kept_and_comes_when_it_is_over(tmp_path: Path) -> None:
    coin = Coin("BTC", listed=LISTED)
    until = LAST + 30 * MINUTE
    with loopback("okx", coin, now=LAST + MINUTE - 1) as server:
        for now in (LAST + MINUTE - 1, LAST + 10 * MINUTE + 30_000, LAST + 40 * MINUTE):
            server.now = now
            span = (LAST - 500 * MINUTE, min(now, until))
            report = fetched(server, tmp_path, (span[0], until), kinds=("ohlcv", "mark"))
            assert report.failures == []
            for kind in ("ohlcv", "mark"):
                stored = dataset(server, tmp_path, SYMBOL, kind, "1m").read()
                held = server.held(SYMBOL, kind, "1m", span[0], until)
                np.testing.assert_array_equal(stored.to_numpy(), held.to_numpy())
        assert len(stored) == 530


def test_frames_come_back_with_marks_and_funding_in_place(tmp_path: Path) -> None:
    coin = Coin("BTC", listed=LISTED)
    since = LAST - LAST % HOUR - 20 * DAY
    with loopback("binanceusdm", coin, now=NOW) as server:
        options = server.exchange_options
        frames = download(
            "binanceusdm", SYMBOL, "1h", since=since, store=tmp_path, exchange_options=options
        )
        again = download("binanceusdm", SYMBOL, "1h", since=since, store=tmp_path, offline=True)
        held = server.held(SYMBOL, "ohlcv", "1h", since)
        mark = server.held(SYMBOL, "mark", "1h", since)
        rates = server.held(SYMBOL, "funding", "", since)
    frame = frames[SYMBOL]
    np.testing.assert_array_equal(frame["close"].to_numpy(), held["close"].to_numpy())
    np.testing.assert_array_equal(frame["mark_low"].to_numpy(), mark["low"].to_numpy())
    assert frame["funding_rate"].dropna().to_list() == rates["funding_rate"].to_list()
    assert again[SYMBOL].equals(frame)
