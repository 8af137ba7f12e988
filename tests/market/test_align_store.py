"""Frames out of a store: what it holds, what it never asked for, and what the exchange has none of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bt_margin.errors import DataError, InputError, MissingData
from bt_margin.market.align import bars_within, load_store
from bt_margin.market.files import load_market, save_market
from bt_margin.market.frames import LAST, MARK
from bt_margin.market.kinds import Grid, Page
from bt_margin.market.store import Store

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
HOUR, DAY = 3_600_000, 86_400_000
START = 1_704_067_200_000  # 2024-01-01
EXCHANGE = "binanceusdm"
Span = tuple[int, int]


def put(
    store: Store,
    kind: str,
    timeframe: str,
    span: Span,
    *,
    symbol: str = BTC,
    without: Sequence[int] = (),
    listed: Span | None = None,
    exchange: str = EXCHANGE,
) -> None:
    """Bars of the hour's own number as price over the span, but for those that open in `without`."""
    step = Grid.of(timeframe).step
    first, last = listed or span
    times = [t for t in range(max(span[0], first), min(span[1], last), step) if t not in without]
    price = [100.0 + (t - START) // step for t in times]
    high, low = [p + 2.0 for p in price], [p - 2.0 for p in price]
    columns = (price, high, low, [p + 1.0 for p in price], [1.0] * len(times))
    holes = tuple((t, t + step) for t in without if span[0] <= t < span[1])
    with store.dataset(exchange, symbol, kind, timeframe).writing() as writer:
        writer.add(Page(span, times, columns, holes))
        writer.flush({"ccxt": "4.5.90"})


def settle(store: Store, span: Span, every: int = 8, symbol: str = BTC, until: int = 0) -> None:
    """A settlement each `every` hours, three milliseconds late."""
    stop = min(span[1], until or span[1])
    times = [t + 3 for t in range(span[0], stop, every * HOUR)]
    rates = [1e-4] * len(times)
    with store.dataset(EXCHANGE, symbol, "funding").writing() as writer:
        writer.add(Page(span, times, (rates, [100.0] * len(times))))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Four days of BTC, hourly, whole."""
    made = Store(tmp_path / "data")
    whole = (START, START + 4 * DAY)
    put(made, "ohlcv", "1h", whole)
    put(made, "mark", "1h", whole)
    settle(made, whole)
    return made


def test_what_was_stored_comes_back_whole(store: Store) -> None:
    market = {"symbol": BTC, "type": "swap", "active": True, "contract_size": 1.0}
    store.put_market(EXCHANGE, market, START)
    tiers = {"rows": [{"floor": 0, "cap": None, "rate": 0.01}], "raw": ["much"]}
    store.put_tiers(EXCHANGE, BTC, tiers, START)
    frame = load_store(store, EXCHANGE)[BTC]
    counts = frame.attrs["alignment"]
    assert (len(frame), counts["holes"], counts["never_downloaded"]) == (96, 0, 0)
    assert counts["marks"]["true"] == 96
    assert (counts["funding"]["settlements"], counts["funding"]["missing"]) == (12, 0)
    assert frame["funding_rate"].dropna().index.hour.unique().tolist() == [0, 8, 16]
    assert counts["funding"]["jitter_ms"] == 3
    assert frame.attrs["notes"] == []
    assert frame.attrs["symbol"] == BTC
    assert frame.attrs["delisted"] is None
    assert frame.attrs["contract"] == market
    assert frame.attrs["tiers"] == [{"at": START, "tiers": {"rows": tiers["rows"]}}]
    kinds = [each["kind"] for each in frame.attrs["source"]["datasets"]]
    assert kinds == ["ohlcv", "mark", "funding"]
    assert frame.attrs["source"]["datasets"][0]["provenance"]["ccxt"] == "4.5.90"


def test_what_it_says_survives_a_canonical_file(store: Store, tmp_path: Path) -> None:
    put(store, "ohlcv", "8h", (START, START + 4 * DAY))
    settle(store, (START + 4 * DAY, START + 5 * DAY), every=1)
    for timeframe in ("1h", "8h"):
        frame = load_store(store, EXCHANGE, timeframe=timeframe)[BTC]
        json.dumps({k: v for k, v in frame.attrs.items() if not k.startswith("funding")})
        save_market({BTC: frame}, tmp_path / timeframe)
        back = load_market(tmp_path / timeframe)[BTC]
        pd.testing.assert_frame_equal(back, frame, check_exact=True)
        assert back.attrs["alignment"] == frame.attrs["alignment"]
        assert back.attrs["notes"] == frame.attrs["notes"]
        pd.testing.assert_series_equal(back.attrs["funding_marks"], frame.attrs["funding_marks"])
    cut = load_market(tmp_path / "1h", since="2024-01-02", until="2024-01-03")[BTC]
    assert cut.attrs["notes"][-1].endswith("these counts are of 96 bars, 24 of which are used.")


def test_a_folder_is_read_as_a_store_where_it_is_one(store: Store, tmp_path: Path) -> None:
    whole = load_store(store, EXCHANGE)[BTC]
    for place in (store.folder, store.folder / EXCHANGE):
        pd.testing.assert_frame_equal(load_market(place)[BTC], whole)
        part = load_market(place, "BTCUSDT", since="2024-01-02", timeframe="4h")[BTC]
        assert (part.index[0].day, len(part)) == (2, 18)
    put(store, "ohlcv", "1h", (START, START + DAY), exchange="bybit")
    with pytest.raises(DataError, match=r"several exchanges are stored: found binanceusdm, bybit"):
        load_market(store.folder)
    assert len(load_market(store.folder, venue="bybit", missing_funding="skip")[BTC]) == 24
    with pytest.raises(DataError, match="nothing of okx is stored"):
        load_market(store.folder, venue="okx")
    with pytest.raises(MissingData, match="funding"):
        load_market(store.folder / "bybit")
    with pytest.raises(DataError, match="no market files"):
        load_market(tmp_path)


def test_finer_bars_and_marks_are_joined_up(store: Store) -> None:
    put(store, "mark", "15m", (START, START + 4 * DAY), without=[START + 5 * HOUR])
    frame = load_store(store, EXCHANGE, timeframe="4h")[BTC]
    assert frame.attrs["alignment"]["marks"]["timeframe"] == "1h"
    assert (len(frame), frame["high"].iloc[0]) == (24, 105.0)
    with pytest.raises(MissingData, match="no bars that 30m can be made of"):
        load_store(store, EXCHANGE, timeframe="30m")


def test_coarser_marks_are_clipped_only_when_asked(store: Store) -> None:
    put(store, "ohlcv", "15m", (START, START + DAY))
    ask = {"timeframe": "15m", "missing_funding": "skip"}
    plain = load_store(store, EXCHANGE, **ask)[BTC]  # type: ignore[arg-type]  # keywords
    assert "mark_close" not in plain
    clip = load_market(store.folder, missing_marks="clip", **ask)[BTC]  # type: ignore[arg-type]
    assert clip.attrs["alignment"]["marks"]["proxy"] == 96
    assert (clip["mark_high"] <= 100.0 + np.arange(96) // 4 + 2.0).all()


def test_bars_never_asked_for_are_told_from_those_the_exchange_lacks(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "ohlcv", "1h", (START, START + DAY), without=[START + 3 * HOUR])
    put(store, "ohlcv", "1h", (START + DAY + 6 * HOUR, START + 3 * DAY))
    settle(store, (START, START + 3 * DAY))
    frame = load_store(store, EXCHANGE, since="2023-12-31", until="2024-01-05")[BTC]
    counts = frame.attrs["alignment"]
    assert (len(frame), counts["holes"]) == (23 + 42, 7)
    assert counts["venue_has_none"] == 1
    assert counts["never_downloaded"] == 24 + 6 + 24
    (note,) = [n for n in frame.attrs["notes"] if "never downloaded" in n]
    assert note.startswith(f"{BTC}: 54 bars of the time asked were never downloaded, the first at")


def test_symbols_may_start_and_end_where_they_like(store: Store) -> None:
    listed = (START + DAY, START + 2 * DAY)
    whole = (START, START + 4 * DAY)
    put(store, "ohlcv", "1h", whole, symbol=ETH, listed=listed)
    put(store, "mark", "1h", whole, symbol=ETH, listed=listed)
    settle(store, (START, START + DAY), symbol=ETH, until=START)
    settle(store, (START + DAY, START + 4 * DAY), symbol=ETH, until=listed[1])
    frames = load_store(store, EXCHANGE, [ETH, "BTCUSDT"], since=START, until=START + 4 * DAY)
    assert list(frames) == [ETH, BTC]
    eth = frames[ETH]
    assert (eth.index[0].day, eth.index[-1].day, len(eth)) == (2, 2, 24)
    assert eth.attrs["delisted"] == listed[1]
    assert eth.attrs["alignment"]["never_downloaded"] == 0
    assert eth.attrs["alignment"]["funding"]["missing"] == 0
    assert eth.attrs["notes"] == [
        f"{ETH}: the exchange has no bars before 2024-01-02 00:00 UTC.",
        f"{ETH}: trading ended at 2024-01-03 00:00 UTC.",
    ]
    assert frames[BTC].attrs["delisted"] is None
    before = load_store(store, EXCHANGE, ETH, until=listed[1])[ETH]
    assert before.attrs["delisted"] is None


def test_an_inactive_market_ended_with_its_last_bar(store: Store) -> None:
    store.put_market(EXCHANGE, {"symbol": BTC, "type": "swap", "active": False}, START)
    assert load_store(store, EXCHANGE)[BTC].attrs["delisted"] == START + 4 * DAY


def test_funding_the_store_never_asked_for_fails_and_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "ohlcv", "1h", (START, START + 4 * DAY))
    settle(store, (START + DAY, START + 2 * DAY))
    with pytest.raises(
        MissingData, match=r"9 missing.*download the funding \(the store has no answer about 9"
    ):
        load_store(store, EXCHANGE)
    held = load_store(store, EXCHANGE, missing_funding="hold")[BTC]
    counts = held.attrs["alignment"]["funding"]
    assert (counts["settlements"], counts["missing"], counts["filled"]) == (3, 9, 6)
    constant = load_store(store, EXCHANGE, missing_funding=("constant", 0.0003))[BTC]
    assert constant["funding_rate"].count() == 12


def test_spot_has_no_funding_and_a_dated_future_neither(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for symbol in ("BTC/USDT", "BTC/USDT:USDT-240329"):
        put(store, "ohlcv", "1h", (START, START + DAY), symbol=symbol, exchange="binance")
        frame = load_store(store, "binance", symbol)[symbol]
        assert "funding_rate" not in frame
        assert frame.attrs["alignment"]["funding"]["missing"] == 0


def test_names_times_and_timeframes_that_cannot_be_meant(store: Store) -> None:
    with pytest.raises(MissingData, match=r"nothing of bybit is stored: found binanceusdm"):
        load_store(store, "bybit")
    with pytest.raises(MissingData, match=r"no data for BTC/USDC:USDC.*did you mean BTC/USDT:USDT"):
        load_store(store, EXCHANGE, "BTC/USDC:USDC")
    with pytest.raises(InputError, match="since is not a time"):
        load_store(store, EXCHANGE, since="soon")
    with pytest.raises(MissingData, match=r"no bars in the time asked.*bars from 2024-01-01"):
        load_store(store, EXCHANGE, since="2025-01-01")
    with pytest.raises(InputError, match="unknown policy for missing marks"):
        load_store(store, EXCHANGE, missing_marks="guess")
    put(store, "ohlcv", "15m", (START, START + DAY))
    assert len(load_store(store, EXCHANGE)[BTC]) == 96  # only 1h has marks
    put(store, "mark", "15m", (START, START + DAY))
    with pytest.raises(InputError, match=r"several timeframes are stored.*15m, 1h.*timeframe="):
        load_store(store, EXCHANGE)


def test_finer_bars_for_the_stretches_that_need_them(store: Store) -> None:
    put(store, "ohlcv", "1m", (START, START + 6 * HOUR))
    put(store, "mark", "1m", (START, START + 2 * HOUR))
    spans = [(START + HOUR, START + 2 * HOUR), (START + 4 * HOUR + 1, START + 4 * HOUR + 60_001)]
    fine = bars_within(store, EXCHANGE, BTC, "1m", spans)
    assert len(fine) == 60 + 2
    assert int(fine["mark_close"].notna().sum()) == 60
    assert list(fine)[:9] == [*LAST, "volume", *MARK]
    with pytest.raises(MissingData, match="no 1m bars there: found 1h, 1m stored"):
        bars_within(store, EXCHANGE, BTC, "1m", [(START + DAY, START + DAY + HOUR)])
    bare = bars_within(store, EXCHANGE, BTC, "1m", [(START + 5 * HOUR, START + 6 * HOUR)])
    assert "mark_close" not in bare


def test_the_plug_in_takes_such_frames(store: Store) -> None:
    from bt_margin.plugin.feeds import PerpData
    from bt_margin.plugin.series import detail_of

    put(store, "ohlcv", "1m", (START, START + HOUR))
    put(store, "mark", "1m", (START, START + HOUR))
    detail = detail_of(bars_within(store, EXCHANGE, BTC, "1m", [(START, START + HOUR)]), BTC)
    assert (len(detail.bars), detail.step) == (60, 60_000)
    daily = load_store(store, EXCHANGE, timeframe="1d")[BTC]
    stamps = PerpData(dataname=daily, name=BTC).funding_stamps()
    assert stamps is not None
    assert [time for time, _, _ in stamps] == list(range(START, START + 4 * DAY, 8 * HOUR))
