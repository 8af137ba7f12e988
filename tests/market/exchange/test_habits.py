"""The table of venues: it knows all nine classes, and other classes get cautious defaults."""

from __future__ import annotations

import ccxt
import pytest

from bt_margin.market.exchange.habits import TABLE, UNSAID, habits_of
from bt_margin.market.kinds import KINDS

BINANCE = ["binanceusdm", "binancecoinm", "binance"]
NINE = [*BINANCE, "bybit", "okx", "kraken", "krakenfutures", "dydx", "hyperliquid"]


def test_the_table_covers_the_nine_classes() -> None:
    assert sorted(TABLE) == sorted(NINE)


@pytest.mark.parametrize("name", NINE)
def test_what_the_table_offers_ccxt_has(name: str) -> None:
    has = getattr(ccxt, name)().has
    methods = {
        "ohlcv": "fetchOHLCV",
        "mark": "fetchMarkOHLCV",
        "index": "fetchIndexOHLCV",
        "funding": "fetchFundingRateHistory",
    }
    for kind, method in methods.items():
        assert bool(has.get(method)) is (kind not in TABLE[name].missing), kind


@pytest.mark.parametrize("name", NINE)
def test_reasons_name_the_class_and_a_known_kind(name: str) -> None:
    for kind, reason in TABLE[name].missing.items():
        assert kind in KINDS
        assert name in reason


@pytest.mark.parametrize(
    ("name", "kind", "limited", "page"),
    [
        ("binanceusdm", "ohlcv", True, 499),
        ("binanceusdm", "mark", True, 499),
        ("binanceusdm", "ohlcv", False, 1_000),
        ("bybit", "index", True, 1_000),
        ("okx", "ohlcv", True, 300),
        ("okx", "mark", False, 100),
        ("krakenfutures", "mark", True, 2_000),
        ("kraken", "ohlcv", True, 720),
        ("dydx", "ohlcv", True, 1_000),
        ("hyperliquid", "ohlcv", True, 5_000),
    ],
)
def test_pages_are_as_wide_as_measured(name: str, kind: str, limited: bool, page: int) -> None:
    assert TABLE[name].width(kind, limited) == page


def test_an_unknown_class_gets_small_pages_and_reasons() -> None:
    habits = habits_of("coinbase", ccxt.coinbase())
    assert not habits.known
    assert habits.width("ohlcv", limited=False) <= 100
    assert "coinbase" in habits.missing["funding"]


def test_every_class_of_ccxt_gets_habits() -> None:
    for name in ccxt.exchanges:
        habits = habits_of(name, getattr(ccxt, name)())
        assert 1 <= habits.width("mark", limited=True) <= 5_000, name
        assert habits.end in ("inclusive", "exclusive", "iso", UNSAID), name
