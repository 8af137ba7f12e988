"""What a preview says is what the fill leaves, on every margin rule and beside a symbol's other side."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.engine.account import Account
from bt_margin.engine.plan import Plan

LONG, SHORT = "BTC/USDT:USDT long", "BTC/USDT:USDT short"


def same(account: Account, name: str, size: float, price: float) -> None:
    """The pool after the fill is the pool of the preview."""
    told = account.preview(name, size, price)
    assert account.fill(name, size, price).refusal is None
    risk = account.risk(name)
    assert (told.equity, told.initial, told.maintenance) == pytest.approx(
        (risk.equity, risk.initial, risk.maintenance)
    )
    assert told.liquidation_price == pytest.approx(account.liquidation_price(name))


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("size", [-1.5, -5.0, -8.0])
def test_the_other_side_of_a_symbol_in_cross(venue: str, size: float) -> None:
    """Bybit asks nothing of what the two sides cover; on all of them both sides move with one price."""
    lot = 100.0 if venue == "okx" else 1.0
    account = Account(venue, cash=200_000, leverage=10)
    account.mark(LONG, 60_000.0)
    account.fill(LONG, 5.0 * lot, 60_000.0)
    account.mark(SHORT, 60_000.0)
    same(account, SHORT, size * lot, 60_100.0)
    same(account, LONG, -2.0 * lot, 59_900.0)


@pytest.mark.parametrize("size", [0.5, -0.5])
def test_the_fee_of_opening_a_spot_position(size: float) -> None:
    account = Account("krakenspot", cash=100_000, leverage=5)
    account.mark("BTC/USD", 60_000.0)
    same(account, "BTC/USD", size, 60_100.0)


def test_nothing_affordable_is_found_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full account asks its rule a few dozen times, not until floats run out."""
    account = Account("bybit", cash=6_100, leverage=10)
    account.mark("BTC/USDT:USDT", 60_000.0)
    account.fill("BTC/USDT:USDT", 1.0, 60_000.0)
    account.mark("BTC/USDT:USDT", 59_000.0)
    asked = []
    plan = account.plan

    def counted(*given: Any, **named: Any) -> Plan:
        asked.append(given)
        return plan(*given, **named)

    monkeypatch.setattr(account, "plan", counted)
    assert account.preview("BTC/USDT:USDT", 1.0).affordable_size == 0.0
    assert len(asked) < 100


@pytest.mark.parametrize("held", [0.0, 0.4, -0.4])
@pytest.mark.parametrize("at", [0.98, 1.0, 1.02])
@pytest.mark.parametrize(
    ("venue", "symbol", "mode"),
    [
        ("bybit", "BTC/USDT:USDT", "cross"),
        ("bybit", "BTC/USDT:USDT", "isolated"),
        ("okx", "BTC/USDT:USDT", "cross"),
        ("krakenfutures", "BTC/USD:USD", "cross"),
        ("krakenspot", "BTC/USD", "cross"),
    ],
)
def test_the_affordable_size_is_the_largest_that_is_accepted(
    venue: str, symbol: str, mode: Any, at: float, held: float
) -> None:
    """Also away from the mark, where an order's open loss counts and a better price is no credit yet."""
    account = Account(venue, cash=10_000, margin_mode=mode, leverage=5)
    account.mark(symbol, 60_000.0)
    if held:
        lots = 1.0 / account.position(symbol).multiplier
        assert account.fill(symbol, held * lots, 60_000.0).refusal is None
    for side in (1.0, -1.0):
        most = account.preview(symbol, side, 60_000.0 * at).affordable_size
        assert most * side > 0
        assert account.preview(symbol, most * (1 - 1e-6), 60_000.0 * at).accepted
        assert not account.preview(symbol, most * (1 + 1e-3), 60_000.0 * at).accepted
        assert account.verdict(symbol, most * (1 - 1e-6), 60_000.0 * at) is None
