"""Settlements: each venue walked its own way, irregular intervals found, nothing assumed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from market.exchange.support import (
    COINS,
    LISTED,
    NOW,
    Quick,
    assert_same,
    frame_of,
    holes,
    joined,
    left_open,
)
from market.loopback import HOUR, Coin, loopback, ms

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable
from bt_margin.market.exchange import funding_pages
from bt_margin.market.kinds import Page, Span

SYMBOL = "BTC/USDT:USDT"
DAY = 24 * HOUR
LONG_AGO = ms("2023-01-03 02:00")
VENUES = [name for name in COINS if name != "kraken"]
KEEPING = [name for name in VENUES if name != "okx"]
PLAN = ((0, 8), (LONG_AGO + 100 * DAY, 4), (LONG_AGO + 200 * DAY, 1), (LONG_AGO + 300 * DAY, 8))


@pytest.fixture
def quick() -> Quick:
    return Quick()


def coin(exchange: str, **more: Any) -> Coin:
    """A coin of a venue that trades since long ago, in coarse bars."""
    return dataclasses.replace(COINS[exchange], listed=LONG_AGO, base_bar="1h", **more)


def covered(pages: list[Page]) -> list[Span]:
    return joined(page.span for page in pages)


@pytest.mark.parametrize("exchange", KEEPING)
def test_four_hundred_days_of_changing_intervals_are_what_the_server_holds(
    quick: Quick, exchange: str
) -> None:
    traded = coin(exchange, funding=PLAN)
    with loopback(exchange, traded, now=NOW) as server, quick.client(server) as client:
        span = (LONG_AGO + 3 * DAY, NOW)
        pages = list(funding_pages(client, traded.symbol, span))
        assert_same(pages, server.held(traded.symbol, "funding", "", span[0]), "funding")
        assert covered(pages) == [span]
        assert holes(pages) == []
        last = max(time for page in pages for time in page.times)
        assert left_open(pages) == [(last + 1, NOW)]
        if exchange != "krakenfutures":
            assert max(len(page.times) for page in pages) <= client.habits.funding_page


def test_a_cut_page_behind_real_holes_is_not_believed(quick: Quick) -> None:
    out = tuple((LONG_AGO + n * DAY, LONG_AGO + n * DAY + 4 * HOUR) for n in range(2, 12, 2))
    traded = coin("binanceusdm", funding=((0, 1),), unsettled=out)
    with loopback("binanceusdm", traded, now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        server.faults.add("tail")
        span = (LONG_AGO + DAY, LONG_AGO + 200 * DAY)
        pages = list(funding_pages(client, SYMBOL, span))
        assert_same(pages, server.held(SYMBOL, "funding", "", *span), "funding")
        assert len(holes(pages)) == len(out)


@pytest.mark.parametrize("exchange", KEEPING)
def test_a_span_in_the_past_is_settled_whole(quick: Quick, exchange: str) -> None:
    traded = coin(exchange)
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        span = (LONG_AGO + 30 * DAY + 7, LONG_AGO + 60 * DAY + 13)
        pages = list(funding_pages(client, traded.symbol, span))
        assert_same(pages, server.held(traded.symbol, "funding", "", *span), "funding")
        assert (covered(pages), holes(pages), left_open(pages)) == ([span], [], [])


def test_okx_says_what_it_keeps_no_longer_and_leaves_it_unsettled(quick: Quick) -> None:
    traded = coin("okx")
    with loopback("okx", traded, now=NOW) as server:
        client = quick.client(server)
        pages = list(funding_pages(client, SYMBOL, (LONG_AGO, NOW)))
        held = server.held(SYMBOL, "funding")
        assert_same(pages, held, "funding")
        first = min(time for page in pages for time in page.times)
        assert left_open(pages)[0] == (LONG_AGO, first)
        assert holes(pages) == []
    assert len(quick.told) == 1
    assert "keeps them for about 90 days" in quick.told[0]


@pytest.mark.parametrize("exchange", VENUES)
def test_before_the_listing_there_is_nothing_and_little_is_asked(
    quick: Quick, exchange: str
) -> None:
    traded = dataclasses.replace(COINS[exchange], base_bar="1h")
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        start = ms("2021-01-01")
        pages = list(funding_pages(client, traded.symbol, (start, NOW)))
        assert_same(pages, server.held(traded.symbol, "funding"), "funding")
        first = min(time for page in pages for time in page.times)
        before = holes(pages) if client.habits.known else left_open(pages)
        assert before[0][0] == start
        assert LISTED <= first <= LISTED + 9 * HOUR
        if client.habits.known:
            assert sum(page.requests for page in pages) < 12


@pytest.mark.parametrize("fault", ["empty", "duplicates", "overlap", "disorder", "holes", "tail"])
@pytest.mark.parametrize("exchange", VENUES)
def test_nothing_is_lost_or_invented_by_a_spoilt_page(
    quick: Quick, exchange: str, fault: str
) -> None:
    traded = coin(exchange, funding=((0, 4),))
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        client.market(traded.symbol)
        server.faults.add(fault)
        server.faults.add(fault, skip=3)
        span = (NOW - 80 * DAY, NOW)
        pages = list(funding_pages(client, traded.symbol, span))
        assert_same(pages, server.held(traded.symbol, "funding", "", span[0]), "funding")
        assert holes(pages) == []
        assert server.faults.fired[fault] >= 1


@pytest.mark.parametrize("exchange", VENUES)
def test_a_settlement_the_venue_left_out_is_a_hole_that_was_asked_for_again(
    quick: Quick, exchange: str
) -> None:
    out = (NOW - 20 * DAY, NOW - 19 * DAY)
    traded = coin(exchange, funding=((0, 8),), unsettled=(out,))
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        span = (NOW - 60 * DAY, NOW)
        pages = list(funding_pages(client, traded.symbol, span))
        assert_same(pages, server.held(traded.symbol, "funding", "", span[0]), "funding")
        assert len(holes(pages)) == 1
        start, stop = holes(pages)[0]
        assert start - 1 < out[0] < out[1] <= stop
        times = {time for page in pages for time in page.times}
        assert {start - 1, stop} <= times
        assert quick.slept == [1.0]


def test_what_is_spoilt_before_the_span_is_no_hole_in_it(quick: Quick) -> None:
    with loopback("okx", coin("okx"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        stamps = server.held(SYMBOL, "funding").index.as_unit("ns").asi8 // 10**6
        start = int(stamps[-40]) - 17 * 60_000
        fetch = client._ccxt.fetch_funding_rate_history

        def spoilt(*args: Any) -> Any:
            return [row for row in fetch(*args) if not start - 20 * HOUR < row["timestamp"] < start]

        client._ccxt.fetch_funding_rate_history = spoilt
        pages = list(funding_pages(client, SYMBOL, (start, NOW)))
        assert_same(pages, server.held(SYMBOL, "funding", "", start), "funding")
        assert holes(pages) == []


def test_the_mark_of_a_settlement_is_kept_where_it_is_told(quick: Quick) -> None:
    told = {}
    for exchange in VENUES:
        traded = coin(exchange)
        with loopback(exchange, traded, now=NOW) as server:
            client = quick.client(server)
            pages = list(funding_pages(client, traded.symbol, (NOW - 20 * DAY, NOW - DAY)))
            told[exchange] = bool(frame_of(pages, "funding")["mark"].notna().all())
    assert [name for name, marks in told.items() if marks] == [
        "binanceusdm",
        "binancecoinm",
        "binance",
        "dydx",
    ]


def test_funding_ends_with_a_delisting(quick: Quick) -> None:
    traded = coin("binanceusdm")
    with loopback("binanceusdm", traded, now=NOW) as server:
        end = LONG_AGO + 100 * DAY + HOUR
        server.delist(SYMBOL, end)
        pages = list(funding_pages(quick.client(server), SYMBOL, (LONG_AGO + DAY, NOW)))
        held = server.held(SYMBOL, "funding", "", LONG_AGO + DAY)
        assert_same(pages, held, "funding")
        last = max(time for page in pages for time in page.times)
        assert holes(pages)[0][0] == last + 1
        assert joined([*holes(pages), *left_open(pages)]) == [(last + 1, NOW)]


def test_two_rates_of_one_stamp_are_asked_for_again_and_then_an_error(quick: Quick) -> None:
    with loopback("bybit", coin("bybit"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        fetch = client._ccxt.fetch_funding_rate_history
        left = [1]

        def twice(*args: Any) -> Any:
            rows = fetch(*args)
            left[0] -= 1
            return [*rows, {**rows[0], "fundingRate": 0.5}] if left[0] >= 0 else rows

        client._ccxt.fetch_funding_rate_history = twice
        span = (NOW - 20 * DAY, NOW - DAY)
        pages = list(funding_pages(client, SYMBOL, span))
        assert_same(pages, server.held(SYMBOL, "funding", "", *span), "funding")
        left[0] = 99
        with pytest.raises(ExchangeUnreachable, match="two different settlements"):
            list(funding_pages(client, SYMBOL, span))


def test_what_has_no_funding_is_refused(quick: Quick) -> None:
    with loopback("kraken", COINS["kraken"], now=NOW) as server:
        client = quick.client(server)
        with pytest.raises(ExchangeRefused, match="take krakenfutures"):
            list(funding_pages(client, COINS["kraken"].symbol, (LISTED, NOW)))
    spot = dataclasses.replace(COINS["binance"], settle=None)
    with loopback("binance", spot, now=NOW) as server:
        client = quick.client(server)
        with pytest.raises(ExchangeRefused, match="is not a perpetual"):
            list(funding_pages(client, spot.symbol, (LISTED, NOW)))


def test_a_span_that_has_not_begun_asks_nothing(quick: Quick) -> None:
    with loopback("bybit", coin("bybit"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        asked = client.requests
        assert list(funding_pages(client, SYMBOL, (NOW, NOW + DAY))) == []
        assert list(funding_pages(client, SYMBOL, (NOW - DAY, NOW - DAY))) == []
        assert client.requests == asked
