"""Pages of bars: what the server holds, whatever goes wrong, and the truth about what is missing."""

from __future__ import annotations

import dataclasses

import pytest
from market.exchange.support import (
    COINS,
    LISTED,
    NOW,
    WHOLE,
    Quick,
    assert_same,
    frame_of,
    holes,
    joined,
    left_open,
)
from market.loopback import HOUR, MINUTE, Coin, Outage, loopback, ms

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable, InputError
from bt_margin.market.exchange import bar_pages
from bt_margin.market.exchange.asking import Asker
from bt_margin.market.kinds import BAR_KINDS, Grid, Page, Span

SYMBOL = "BTC/USDT:USDT"
DAY = 24 * HOUR
CLOSED = NOW - NOW % MINUTE
START = LISTED + 5 * DAY
OUT = (START + 700 * MINUTE, START + 760 * MINUTE)


@pytest.fixture
def quick() -> Quick:
    return Quick()


def coin(exchange: str, *outages: Span) -> Coin:
    """A fresh coin of a venue, with these outages."""
    return dataclasses.replace(COINS[exchange], outages=tuple(Outage(*each) for each in outages))


@pytest.mark.parametrize("exchange", WHOLE)
def test_pages_are_what_the_server_holds(quick: Quick, exchange: str) -> None:
    traded = coin(exchange, OUT)
    with loopback(exchange, traded, now=NOW) as server, quick.client(server) as client:
        for kind in (kind for kind in BAR_KINDS if client.offers(kind)):
            pages = list(bar_pages(client, traded.symbol, kind, "1m", (START, CLOSED)))
            assert_same(pages, server.held(traded.symbol, kind, "1m", START), kind)
            assert joined(page.span for page in pages) == [(START, CLOSED)]
            assert holes(pages) == [OUT]
            assert left_open(pages) == []


@pytest.mark.parametrize("exchange", WHOLE)
def test_no_page_is_wider_than_a_request_and_all_lie_on_the_grid(
    quick: Quick, exchange: str
) -> None:
    traded = coin(exchange)
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        width = client.habits.width("ohlcv", client.limited) * 15 * MINUTE
        pages = list(bar_pages(client, traded.symbol, "ohlcv", "15m", (START + 1, NOW)))
        grid = Grid.of("15m")
        for page in pages:
            assert page.span[1] - page.span[0] <= width
            assert grid.on(page.span[0])
            assert grid.on(page.span[1])
        assert pages[0].span[0] == grid.ceil(START + 1)
        assert pages[-1].span[1] == grid.floor(NOW)
        assert sum(page.requests for page in pages) == len(pages)


ROW_FAULTS = ("empty", "duplicates", "overlap", "disorder", "holes", "tail")
LINE_FAULTS = ("html", "cut", "short", "closed", "502 html")
SPOILT = [(exchange, fault) for exchange in WHOLE for fault in ROW_FAULTS]
SPOILT += [(exchange, fault) for exchange in ("binanceusdm", "okx") for fault in LINE_FAULTS]


@pytest.mark.parametrize(("exchange", "fault"), SPOILT)
def test_nothing_is_lost_or_invented_by_a_spoilt_page(
    quick: Quick, exchange: str, fault: str
) -> None:
    traded = coin(exchange, OUT)
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        client.market(traded.symbol)
        for skip in (0, 1, 2):
            server.faults.add(fault, skip=skip)
        pages = list(bar_pages(client, traded.symbol, "ohlcv", "1m", (START, START + 3 * DAY)))
        held = server.held(traded.symbol, "ohlcv", "1m", START, START + 3 * DAY)
        assert_same(pages, held, "ohlcv")
        assert holes(pages) == [OUT]
        assert server.faults.fired[fault] == 3


def test_a_hole_is_asked_for_alone_twice_and_with_a_pause(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm", OUT), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        server.asked.clear()
        pages = list(bar_pages(client, SYMBOL, "ohlcv", "1m", (START, START + 1_000 * MINUTE)))
        alone = f"startTime={OUT[0]}&endTime={OUT[1] - 1}"
        assert [alone in line for line in server.asked] == [False, True, False, True]
        last = START + 999 * MINUTE  # a bar it sent, to see whether it listens
        assert f"startTime={last}&endTime={last + MINUTE - 1}" in server.asked[2]
        assert (pages[0].requests, quick.slept) == (4, [1.0])


@pytest.mark.parametrize("times", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit", "okx", "dydx", "hyperliquid"])
@pytest.mark.parametrize("after", [0, 2])
def test_a_venue_that_answers_with_nothing_for_a_while_makes_no_hole(
    quick: Quick, exchange: str, times: int, after: int
) -> None:
    traded = coin(exchange)
    with loopback(exchange, traded, now=NOW) as server, quick.client(server) as client:
        client.market(traded.symbol)
        where = {"bybit": "/kline", "okx": "candles", "dydx": "/candles", "hyperliquid": "candle"}
        server.faults.add("empty", times=times, where=where.get(exchange, "/klines"), skip=after)
        span = (CLOSED - 4_000 * MINUTE, CLOSED)
        pages = list(bar_pages(client, traded.symbol, "ohlcv", "1m", span))
        assert_same(pages, server.held(traded.symbol, "ohlcv", "1m", span[0]), "ohlcv")
        assert holes(pages) == []
        whole = exchange == "hyperliquid" and after  # one page holds it all
        assert sum(server.faults.fired.values()) == (0 if whole else times)


def test_a_venue_that_stops_sending_what_it_sent_is_given_up(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        server.faults.add("empty", times=1_000, where="/klines", skip=2)
        with pytest.raises(ExchangeUnreachable, match="even for a bar it sent before"):
            list(bar_pages(client, SYMBOL, "ohlcv", "1m", (START, CLOSED)))
        assert max(quick.slept) == 60


def test_venues_that_leave_out_quiet_bars_cost_one_request_more_a_page(quick: Quick) -> None:
    quiet = [(START + n * 7 * MINUTE, START + (n * 7 + 2) * MINUTE) for n in range(3_000)]
    with loopback("dydx", coin("dydx", *quiet), now=NOW) as server:
        client = quick.client(server)
        span = (START, START + 7_000 * MINUTE)
        pages = list(bar_pages(client, COINS["dydx"].symbol, "ohlcv", "1m", span))
        assert holes(pages) == [each for each in quiet if each[1] <= span[1]]
        assert [page.requests for page in pages] == [3, 3, 3, 2, 2, 2, 2]


def test_a_page_smaller_than_said_is_learned(quick: Quick) -> None:
    with loopback("okx", coin("okx"), now=NOW) as server:
        client = quick.client(server)
        client.habits = dataclasses.replace(client.habits, page={"ohlcv": 300, "mark": 300})
        span = (START, START + 3_000 * MINUTE)
        pages = list(bar_pages(client, SYMBOL, "mark", "1m", span))
        assert_same(pages, server.held(SYMBOL, "mark", "1m", *span), "mark")
        assert holes(pages) == []
        assert {page.span[1] - page.span[0] for page in pages[2:]} == {100 * MINUTE}


def test_a_page_smaller_than_said_hides_behind_many_small_holes(quick: Quick) -> None:
    small = [(START + n * 9 * MINUTE, START + (n * 9 + 1) * MINUTE) for n in range(1, 200)]
    with loopback("okx", coin("okx", *small), now=NOW) as server:
        client = quick.client(server)
        client.habits = dataclasses.replace(client.habits, page={"ohlcv": 300, "mark": 300})
        span = (START, START + 1_500 * MINUTE)
        pages = list(bar_pages(client, SYMBOL, "mark", "1m", span))
        assert_same(pages, server.held(SYMBOL, "mark", "1m", *span), "mark")
        assert holes(pages) == [each for each in small if each[1] <= span[1]]


@pytest.mark.parametrize("second", [0, 3, 4])
def test_a_bar_is_taken_five_seconds_after_its_end_and_not_before(
    quick: Quick, second: int
) -> None:
    now = CLOSED + second * 1_000
    with loopback("binanceusdm", coin("binanceusdm"), now=now) as server:
        client = quick.client(server)
        pages = list(bar_pages(client, SYMBOL, "ohlcv", "1m", (CLOSED - HOUR, now)))
        assert pages[-1].times[-1] == CLOSED - 2 * MINUTE
        server.now = CLOSED + 6_000
        pages = list(bar_pages(client, SYMBOL, "ohlcv", "1m", (CLOSED - HOUR, now + MINUTE)))
        assert pages[-1].times[-1] == CLOSED - MINUTE
        assert pages[-1].span[1] == CLOSED


@pytest.mark.parametrize("exchange", WHOLE)
def test_a_local_clock_that_is_ahead_lets_no_unfinished_bar_in(quick: Quick, exchange: str) -> None:
    traded = coin(exchange)
    with loopback(exchange, traded, now=NOW) as server:
        known = quick.client(server).markets
        for markets in (None, known):  # with markets given no answer has told the time yet
            client = quick.client(server, clock=lambda: NOW + 2 * HOUR + 7_000, markets=markets)
            span = (CLOSED - HOUR, NOW + DAY)
            pages = list(bar_pages(client, traded.symbol, "ohlcv", "1m", span))
            assert_same(pages, server.held(traded.symbol, "ohlcv", "1m", CLOSED - HOUR), "ohlcv")
            assert holes(pages) == []
            assert all(start >= CLOSED for start, _ in left_open(pages))


def test_what_ends_during_a_long_wait_was_unfinished_when_it_was_asked_for(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=CLOSED + 6_000) as server:
        client = quick.client(server)
        asker = Asker(client, SYMBOL, "ohlcv", "1m")

        def late(rows: object) -> object:
            server.now = CLOSED + 10 * MINUTE  # the answer took ten minutes to arrive
            return rows

        fetch = client._ccxt.fetch_ohlcv
        client._ccxt.fetch_ohlcv = lambda *args: late(fetch(*args))
        found = asker.find((CLOSED - HOUR, CLOSED + 5 * MINUTE))
        assert found.bars.times[-1] == CLOSED - MINUTE
        assert (found.reach, found.missing) == (CLOSED, [])


def test_the_newest_missing_bars_are_left_open_and_old_ones_are_holes(quick: Quick) -> None:
    young = (CLOSED - 30 * MINUTE, CLOSED)
    with loopback("bybit", coin("bybit", young), now=NOW) as server:
        client = quick.client(server)
        pages = list(bar_pages(client, SYMBOL, "mark", "1m", (CLOSED - HOUR, NOW)))
        assert (holes(pages), left_open(pages)) == ([], [young])
        span = (CLOSED - HOUR, NOW + HOUR)
        server.now = NOW + HOUR
        pages = list(bar_pages(client, SYMBOL, "mark", "1m", span))
        assert (holes(pages), left_open(pages)) == (
            [young],
            [],
        )  # later bars came, this one did not
        server.now = NOW + 2 * DAY
        span = (CLOSED - HOUR, CLOSED)
        pages = list(bar_pages(client, SYMBOL, "mark", "1m", span))
        assert (holes(pages), left_open(pages)) == ([young], [])


@pytest.mark.parametrize("exchange", WHOLE)
def test_before_the_listing_costs_a_handful_of_requests(quick: Quick, exchange: str) -> None:
    traded = dataclasses.replace(coin(exchange), listed=LISTED + 7 * HOUR + 11 * MINUTE)
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        client.market(traded.symbol)
        span = (ms("2019-01-01"), traded.listed + DAY)
        pages = list(bar_pages(client, traded.symbol, "ohlcv", "1m", span))
        assert_same(pages, server.held(traded.symbol, "ohlcv", "1m", until=span[1]), "ohlcv")
        before = [(span[0], traded.listed)]
        if client.habits.known:
            assert (holes(pages), left_open(pages)) == (before, [])
        else:
            assert (holes(pages), left_open(pages)) == ([], before)
            assert len([text for text in quick.told if "not recorded as a gap" in text]) == 1
        assert sum(page.requests for page in pages) <= 110  # empty pages are doubted longest


def test_daily_bars_before_a_date_of_listing_that_is_too_late_are_found(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server)
        client.markets[SYMBOL]["created"] = NOW - 3 * DAY
        for timeframe in ("1d", "1h"):
            pages = list(bar_pages(client, SYMBOL, "ohlcv", timeframe, (ms("2019-01-01"), NOW)))
            assert_same(pages, server.held(SYMBOL, "ohlcv", timeframe), "ohlcv")


def test_a_date_of_listing_serves_where_there_are_no_daily_bars(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        del client._ccxt.timeframes["1d"]
        pages = list(bar_pages(client, SYMBOL, "ohlcv", "1h", (ms("2019-01-01"), NOW)))
        assert_same(pages, server.held(SYMBOL, "ohlcv", "1h"), "ohlcv")
        assert pages[0].span[1] == LISTED - 60 * DAY


def test_after_a_delisting_the_rest_is_one_hole(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        end = START + 5 * DAY + 3 * HOUR
        server.delist(SYMBOL, end)
        client = quick.client(server)
        pages = list(bar_pages(client, SYMBOL, "ohlcv", "1m", (START, CLOSED)))
        assert_same(pages, server.held(SYMBOL, "ohlcv", "1m", START), "ohlcv")
        assert pages[-1].span[1] == CLOSED
        young = joined([*holes(pages), *left_open(pages)])
        assert young == [(end, CLOSED)]
        assert sum(page.requests for page in pages) < 40


@pytest.mark.parametrize(("exchange", "kept"), [("kraken", 719), ("hyperliquid", 4_999)])
def test_what_a_venue_no_longer_keeps_is_said_and_left_open(
    quick: Quick, exchange: str, kept: int
) -> None:
    traded = coin(exchange)
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        pages = list(bar_pages(client, traded.symbol, "ohlcv", "1m", (START, CLOSED)))
        assert_same(pages, server.held(traded.symbol, "ohlcv", "1m"), "ohlcv")
        edge = CLOSED - kept * MINUTE
        assert (holes(pages), left_open(pages)) == ([], [(START, edge)])
    assert len(quick.told) == 1
    assert f"{exchange} keeps only the newest" in quick.told[0]


@pytest.mark.parametrize("exchange", ["bybit", "okx", "binanceusdm", "krakenfutures"])
def test_weeks_begin_on_monday_and_none_is_lost(quick: Quick, exchange: str) -> None:
    traded = dataclasses.replace(coin(exchange), listed=ms("2023-06-01"), base_bar="1h")
    with loopback(exchange, traded, now=NOW) as server:
        client = quick.client(server)
        span = (ms("2023-06-05"), NOW)
        pages = list(bar_pages(client, traded.symbol, "ohlcv", "1w", span))
        assert_same(pages, server.held(traded.symbol, "ohlcv", "1w", span[0]), "ohlcv")
        assert holes(pages) == []


def test_bars_that_open_elsewhere_are_refused_and_not_called_holes(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        fetch = client._ccxt.fetch_ohlcv
        client._ccxt.fetch_ohlcv = lambda *args: [
            [row[0] + 30 * MINUTE, *row[1:]] for row in fetch(*args)
        ]
        with pytest.raises(ExchangeRefused, match="open at other times than expected"):
            list(bar_pages(client, SYMBOL, "ohlcv", "1h", (START, START + DAY)))


def test_two_versions_of_a_bar_are_asked_for_again_and_then_an_error(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        fetch, left = client._ccxt.fetch_ohlcv, [1]

        def twice(*args: object) -> list[list[float]]:
            rows: list[list[float]] = fetch(*args)
            left[0] -= 1
            return [*rows, [*rows[0][:4], rows[0][4] + 1, 0.0]] if left[0] >= 0 else rows

        client._ccxt.fetch_ohlcv = twice
        span = (START, START + HOUR)
        pages = list(bar_pages(client, SYMBOL, "ohlcv", "1m", span))
        assert_same(pages, server.held(SYMBOL, "ohlcv", "1m", *span), "ohlcv")
        left[0] = 99
        with pytest.raises(ExchangeUnreachable, match="two different bars of one time"):
            list(bar_pages(client, SYMBOL, "ohlcv", "1m", span))


def test_pages_that_came_before_a_failure_are_good(quick: Quick) -> None:
    with loopback("binanceusdm", coin("binanceusdm"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        server.faults.add("451", skip=2)
        pages: list[Page] = []
        walk = bar_pages(client, SYMBOL, "ohlcv", "1m", (START, CLOSED))
        with pytest.raises(ExchangeRefused, match="451"):
            pages.extend(iter(walk.__next__, None))
        assert len(frame_of(pages, "ohlcv")) == 2_000


@pytest.mark.parametrize(
    ("exchange", "kind", "timeframe", "error", "says"),
    [
        ("kraken", "mark", "1m", ExchangeRefused, "kraken has no history of mark prices"),
        ("kraken", "ohlcv", "3m", ExchangeRefused, "allowed 1m, 5m, 15m"),
        ("binanceusdm", "ohlcv", "1M", ExchangeRefused, "1M|no fixed length"),
        ("binanceusdm", "ohlcv", "7x", ExchangeRefused, "no bars of this length"),
    ],
)
def test_what_cannot_be_had_is_refused_before_it_is_asked_for(
    quick: Quick, exchange: str, kind: str, timeframe: str, error: type[Exception], says: str
) -> None:
    with loopback(exchange, coin(exchange), now=NOW) as server:
        client = quick.client(server)
        client.market(COINS[exchange].symbol)
        asked = client.requests
        with pytest.raises((error, InputError), match=says):
            list(bar_pages(client, COINS[exchange].symbol, kind, timeframe, (START, NOW)))
        assert client.requests == asked


def test_a_spot_market_has_no_mark(quick: Quick) -> None:
    spot = dataclasses.replace(COINS["binance"], settle=None)
    with loopback("binance", spot, now=NOW) as server:
        client = quick.client(server)
        with pytest.raises(ExchangeRefused, match="is a spot market"):
            list(bar_pages(client, spot.symbol, "mark", "1m", (START, NOW)))
        pages = list(bar_pages(client, spot.symbol, "ohlcv", "1h", (START, NOW)))
        assert_same(pages, server.held(spot.symbol, "ohlcv", "1h", START), "ohlcv")


def test_an_empty_span_asks_nothing(quick: Quick) -> None:
    with loopback("okx", coin("okx"), now=NOW) as server:
        client = quick.client(server)
        client.market(SYMBOL)
        asked = client.requests
        for span in ((START, START), (NOW, NOW + DAY), (CLOSED, NOW)):
            assert list(bar_pages(client, SYMBOL, "ohlcv", "1m", span)) == []
        assert client.requests == asked
