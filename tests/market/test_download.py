"""One call fetches what the store lacks and gives frames back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from market.loopback import HOUR, Coin, Loopback, loopback, ms

import bt_margin as btm
from bt_margin.errors import (
    DownloadError,
    ExchangeRefused,
    ExchangeUnreachable,
    InputError,
    MissingData,
    UnknownExchange,
)
from bt_margin.market.check import check_store, worst
from bt_margin.market.download import FinerBars, chosen_kinds, listed, refetching, span_of, time_of
from bt_margin.market.exchange import Retry
from bt_margin.market.fetch import Order, fetch
from bt_margin.market.files import load_market
from bt_margin.market.filling import Progress
from bt_margin.market.store import Store

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
SINCE, NOW = ms("2024-02-01"), ms("2024-03-01 00:30")
QUICK = Retry(attempts=3, patience=1e9, sleep=lambda seconds: None)


@pytest.fixture
def server() -> Iterator[Loopback]:
    coins = (Coin("BTC", listed=ms("2024-01-01")), Coin("ETH", listed=ms("2024-02-10")))
    with loopback("binanceusdm", *coins, now=NOW) as running:
        yield running


def get(server: Loopback, store: Path, symbols: Any = BTC, **more: Any) -> dict[str, pd.DataFrame]:
    given = {"since": "2024-02-01", "exchange_options": server.exchange_options, "retry": QUICK}
    return btm.download(
        server.exchange, symbols, store=store, **{"timeframe": "1h", **given, **more}
    )


def order(server: Loopback, symbols: tuple[str, ...] = (BTC,), **more: Any) -> Order:
    given: dict[str, Any] = {
        "timeframe": "1h", "spans": ((SINCE, NOW),), "kinds": ("ohlcv", "mark", "funding"),
        "options": server.exchange_options, **more,
    }  # fmt: skip
    return Order(server.exchange, symbols, **given)


def asked(server: Loopback) -> int:
    """Requests for history, not for the list of markets."""
    return sum(count for path, count in server.requests.items() if "exchangeInfo" not in path)


def test_the_frame_is_what_the_server_holds(server: Loopback, tmp_path: Path) -> None:
    frame = get(server, tmp_path)[BTC]
    bars, marks = (server.held(BTC, kind, "1h", SINCE) for kind in ("ohlcv", "mark"))
    pd.testing.assert_frame_equal(frame[list(bars.columns)], bars, check_freq=False)
    assert (frame["mark_low"].to_numpy() == marks["low"].to_numpy()).all()
    rates = server.held(BTC, "funding", "", SINCE, ms("2024-03-01"))["funding_rate"]
    assert frame["funding_rate"].dropna().tolist() == rates.tolist()
    assert frame.attrs["contract"]["symbol"] == BTC


def test_the_same_call_again_asks_only_for_the_time_since(server: Loopback, tmp_path: Path) -> None:
    get(server, tmp_path)
    before = asked(server)
    server.now += 5 * HOUR
    frame = get(server, tmp_path)[BTC]
    assert frame.index[-1] == pd.Timestamp("2024-03-01 04:00", tz="UTC")
    assert asked(server) - before <= 6  # the newest bar, not closed yet, is asked for twice


def test_a_hole_in_the_middle_and_an_earlier_start_are_all_that_is_fetched(
    server: Loopback, tmp_path: Path
) -> None:
    get(server, tmp_path)
    data = Store(tmp_path).dataset("binanceusdm", BTC, "ohlcv", "1h")
    with data.writing() as writer:
        writer.forget((SINCE + 24 * HOUR, SINCE + 48 * HOUR))
    report = fetch(
        [order(server, spans=((SINCE - 10 * HOUR, NOW),), kinds=("ohlcv",))], Store(tmp_path)
    )
    assert (
        34 <= report.jobs[0].rows <= 36
    )  # the hole, the start, and a bar before each that shows revisions
    assert report.complete
    stored = data.read()
    pd.testing.assert_frame_equal(
        stored, server.held(BTC, "ohlcv", "1h", SINCE - 10 * HOUR), check_freq=False
    )


def test_a_candle_revised_later_is_taken_over_and_both_values_are_kept(
    server: Loopback, tmp_path: Path
) -> None:
    get(server, tmp_path)
    last = ms("2024-02-29 23:00")
    server.revise(BTC, "ohlcv", "1h", last)
    server.now += 2 * HOUR
    report = fetch([order(server, kinds=("ohlcv",), spans=((SINCE, server.now),))], Store(tmp_path))
    assert report.jobs[0].revised == 1
    data = Store(tmp_path).dataset("binanceusdm", BTC, "ohlcv", "1h")
    assert [revision.time for revision in data.revisions] == [last]
    held = server.held(BTC, "ohlcv", "1h", SINCE)
    pd.testing.assert_frame_equal(data.read(), held, check_freq=False)


def test_several_venues_and_symbols_side_by_side(server: Loopback, tmp_path: Path) -> None:
    with loopback("bybit", Coin("BTC", listed=ms("2024-01-01")), now=NOW) as other:
        report = fetch([order(server, (BTC, ETH)), order(other)], Store(tmp_path))
        assert report.complete
        store = Store(tmp_path)
        for where, symbol in ((server, BTC), (server, ETH), (other, BTC)):
            for kind, frame in (("ohlcv", "1h"), ("mark", "1h"), ("funding", "")):
                held = where.held(symbol, kind, frame, SINCE)
                read = store.dataset(where.exchange, symbol, kind, frame).read((SINCE, NOW))
                pd.testing.assert_frame_equal(read, held, check_freq=False)


def test_one_bad_symbol_does_not_end_the_others(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(ExchangeRefused, match=r"ETC/USDT:USDT.*3 of 6 datasets are complete"):
        get(server, tmp_path, [BTC, "ETC/USDT:USDT"], kinds="ohlcv,mark,funding")
    assert Store(tmp_path).dataset("binanceusdm", BTC, "mark", "1h").rows == 696


def test_a_kind_the_venue_lacks_is_a_note_unless_it_was_named(tmp_path: Path) -> None:
    with loopback("dydx", Coin("BTC", listed=ms("2024-01-01")), now=NOW) as server:
        frame = get(server, tmp_path, "BTC/USDC:USDC")["BTC/USDC:USDC"]
        assert any("dydx has no history of mark prices" in note for note in frame.attrs["notes"])
        with pytest.raises(DownloadError, match="dydx has no history of mark prices"):
            get(server, tmp_path, "BTC/USDC:USDC", kinds=["ohlcv", "mark"])


def test_what_came_before_the_venue_gave_up_is_kept(server: Loopback, tmp_path: Path) -> None:
    server.faults.add("503", times=1_000, where="markPriceKlines")
    with pytest.raises(ExchangeUnreachable, match="binanceusdm"):
        get(server, tmp_path)
    server.faults.clear()
    before = asked(server)
    assert len(get(server, tmp_path)[BTC]) == 696
    assert asked(server) - before <= 8  # the marks, and a look at the newest candle


def test_ctrl_c_keeps_what_was_fetched_and_the_next_call_goes_on(tmp_path: Path) -> None:
    coin = Coin("BTC", listed=ms("2022-01-01"))
    with loopback("binanceusdm", coin, now=NOW) as server:
        wanted = order(server, timeframe="5m", spans=((ms("2022-01-01"), NOW),), kinds=("ohlcv",))

        def interrupt(at: Progress) -> None:
            if at.job.rows > 20_000:
                signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            fetch([wanted], Store(tmp_path), told=interrupt)
        data = Store(tmp_path).dataset("binanceusdm", BTC, "ohlcv", "5m")
        kept = data.rows
        assert 20_000 < kept < 220_000
        report = fetch([wanted], Store(tmp_path))
        assert report.jobs[0].rows < 227_520 - kept + 10
        held = server.held(
            BTC, "ohlcv", "5m", until=NOW - 300_000
        )  # a bar closed this instant may still change
        pd.testing.assert_frame_equal(data.read(), held, check_freq=False)


def test_offline_is_the_store_alone(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(MissingData):
        get(server, tmp_path, offline=True)
    assert not server.requests
    get(server, tmp_path, until="2024-02-20")
    count = sum(server.requests.values())
    assert len(get(server, tmp_path, until="2024-02-20", offline=True)[BTC]) == 19 * 24
    assert sum(server.requests.values()) == count


def test_finer_bars_are_fetched_for_the_spans_alone(server: Loopback, tmp_path: Path) -> None:
    finer = FinerBars("binanceusdm", "1m", store=tmp_path, exchange_options=server.exchange_options)
    spans = [(SINCE, SINCE + HOUR), (SINCE + 40 * HOUR, SINCE + 41 * HOUR)]
    frame = finer(BTC, spans)
    assert frame is not None
    assert len(frame) == 120
    assert {"mark_open", "mark_close"} <= set(frame.columns)
    before = asked(server)
    finer(BTC, spans)
    assert asked(server) == before
    assert worst(check_store(Store(tmp_path))) == "info"  # what lies between was never wanted
    get(server, tmp_path)
    assert len(load_market(tmp_path)[BTC]) == 696  # the hours, which are whole
    get(server, tmp_path, timeframe="1m", until="2024-02-01 02:00", kinds="ohlcv,mark,funding")
    whole = check_store(Store(tmp_path), "binanceusdm", [BTC])
    assert worst(whole) == "error"  # now it was, and is missing


def test_a_spot_market_has_bars_alone(tmp_path: Path) -> None:
    coin = Coin("BTC", settle=None, listed=ms("2024-01-01"))
    with loopback("binance", coin, now=NOW) as server:
        report = fetch([order(server, ("BTC/USDT",))], Store(tmp_path))
        assert [bool(job.skipped) for job in report.jobs] == [False, True, True]
        assert report.jobs[0].rows == 696
        frame = get(server, tmp_path, "BTC/USDT", offline=True)["BTC/USDT"]
        assert any(
            "a spot market" in note for note in frame.attrs["notes"]
        )  # and no silent perpetual


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: btm.download("binanse", BTC, since="2024"), "binance"),
        (lambda: btm.download("okx", "", since="2024"), "at least one"),
        (lambda: btm.download("okx", BTC), "where to begin"),
        (lambda: btm.download("okx", BTC, since="soon"), "since is not a time"),
        (lambda: btm.download("okx", BTC, "1M", since="2024"), "months have no fixed length"),
        (
            lambda: btm.download("okx", BTC, since="2024-02-01", until="2024-01-01"),
            "not after since",
        ),
        (lambda: btm.download("okx", BTC, since="2024", kinds="marks"), "did you mean mark"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    mistake: Any, words: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        mistake()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_exchange_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UnknownExchange):
        fetch([Order("nowhere", (BTC,), "1h", ((0, 1),), ("ohlcv",))], Store(tmp_path))


def test_times_and_names_as_people_write_them() -> None:
    assert time_of("2024-01-01T02:00+02:00", "since") == ms("2024-01-01")
    assert span_of("2024-01-01 00:30", "2024-01-01 03:10", "1h") == (
        ms("2024-01-01"),
        ms("2024-01-01 04:00"),
    )
    assert listed(["A", "A", " B "]) == ("A", "B")
    assert chosen_kinds(None) == ("ohlcv", "mark", "funding", "tiers")


def test_what_is_doubted_is_asked_again_though_it_is_covered(
    server: Loopback, tmp_path: Path
) -> None:
    get(server, tmp_path)
    times = [SINCE + 5 * HOUR, SINCE + 6 * HOUR]
    for time in times:
        server.revise(BTC, "ohlcv", "1h", time)
    ask = refetching(Store(tmp_path), exchange_options=server.exchange_options, retry=QUICK)
    ask("binanceusdm", BTC, "ohlcv", "1h", [(times[0], times[1] + HOUR)])
    data = Store(tmp_path).dataset("binanceusdm", BTC, "ohlcv", "1h")
    assert [revision.time for revision in data.revisions] == times
    pd.testing.assert_frame_equal(
        data.read(), server.held(BTC, "ohlcv", "1h", SINCE), check_freq=False
    )


def test_waits_go_to_the_log_and_not_into_the_notes_of_a_frame(
    server: Loopback, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.add("429", where="klines", retry_after=7)
    frame = get(server, tmp_path, until="2024-03-01")[BTC]
    assert any("asking again in 7 s" in line for line in caplog.messages)
    assert not any("clock" in note or "again" in note for note in frame.attrs["notes"])


def test_a_delisted_market_is_complete_though_the_last_day_has_no_bars(
    server: Loopback, tmp_path: Path
) -> None:
    server.delist(BTC, ms("2024-02-20"))
    report = fetch([order(server)], Store(tmp_path))
    assert report.complete
    data = Store(tmp_path).dataset("binanceusdm", BTC, "ohlcv", "1h")
    assert data.missing((SINCE, ms("2024-03-01"))) == []


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_venue_that_answers_with_nothing_for_a_while_loses_no_settlement(
    tmp_path: Path, times: int
) -> None:
    with loopback("binanceusdm", Coin("BTC", listed=ms("2022-01-01")), now=NOW) as server:
        server.faults.add("empty", times=times, where="fundingRate", skip=1)
        since = ms("2022-06-01")
        get(server, tmp_path, since=since, until="2024-02-01", kinds="ohlcv,funding")
        held = server.held(BTC, "funding", "", since, ms("2024-02-01"))
        stored = Store(tmp_path).dataset("binanceusdm", BTC, "funding").read()
    assert len(held) > 1_000  # more than one page
    pd.testing.assert_frame_equal(stored, held, check_freq=False)
