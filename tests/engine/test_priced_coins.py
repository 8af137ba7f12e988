"""Coins whose value moves with a mark: pledges whose symbol stands elsewhere, wallets of other coins."""

from __future__ import annotations

import pytest

import bt_margin as btm
from bt_margin.engine.account import Account
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
FLAT = (2_950.0,) * 4


def pledged(mode: str) -> Account:
    """15 ETH long in cross, which a fall of the pledged coin to 5,000 brings down."""
    multi = btm.venue("okx", account="multi", discount_rates={"BTC": 0.9})
    a = Account(
        multi, cash=200, margin_mode="cross", leverage=10, collateral={"BTC": 0.1},
        symbols={BTC: {"margin_mode": mode}}, debug=True,
    )  # fmt: skip
    a.mark(BTC, 50_000.0)
    a.mark(ETH, 3_000.0)
    assert a.fill(ETH, 150.0, 3_000.0).refusal is None
    a.mark(ETH, 2_950.0)
    return a


def liquidations(a: Account) -> list[str | None]:
    return [e.symbol for e in a.events if e.kind == "liquidation"]


def test_the_mark_of_a_pledged_coin_liquidates_without_a_position_in_it() -> None:
    a = pledged("cross")
    a.mark(BTC, 5_000.0)
    assert liquidations(a) == [ETH]


def test_a_price_that_is_said_liquidates_too() -> None:
    a = pledged("cross")
    a.price("BTC", 5_000.0)
    assert liquidations(a) == [ETH]


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("close", [5_000.0, 50_000.0], ids=["fallen", "wick"])
def test_a_bar_of_the_pledged_coin_liquidates_in_whatever_mode_its_symbol_is(
    mode: str, close: float
) -> None:
    a = pledged(mode)
    coin = Quote(a.position(BTC)).set(0, 60_000, (50_000.0, 50_000.0, 5_000.0, close))
    Stepper(a).step(0, [coin, Quote(a.position(ETH)).set(0, 60_000, FLAT)], NoOrders())
    assert liquidations(a) == [ETH]
    breach = next(e for e in a.events if e.kind == "breach")
    found, allowed = breach.found, breach.allowed
    assert found is not None
    assert allowed == pytest.approx(found)


def test_the_value_of_a_flat_account_follows_its_coins() -> None:
    a = Account(
        btm.venue("okx", account="multi", discount_rates={"BTC": 0.9}),
        cash=1_000, collateral={"BTC": 0.1},
    )  # fmt: skip
    a.mark(BTC, 50_000.0)
    coin = Quote(a.position(BTC)).set(0, 60_000, (50_000.0, 50_000.0, 30_000.0, 30_000.0))
    Stepper(a).step(0, [coin], NoOrders())
    assert a.equity() == pytest.approx(1_000 + 0.1 * 30_000)


def test_the_value_of_a_flat_account_follows_its_wallets() -> None:
    a = Account("krakeninverse", cash={"BTC": 0.5}, currency="USD")
    a.mark("BTC/USD:BTC", 50_000.0)
    coin = Quote(a.position("BTC/USD:BTC")).set(0, 60_000, (50_000.0, 50_000.0, 30_000.0, 30_000.0))
    Stepper(a).step(0, [coin], NoOrders())
    assert a.equity() == pytest.approx(15_000)


def test_an_account_valued_in_a_coin_counts_another_coin_in_that_coin() -> None:
    a = Account("krakeninverse", cash={"BTC": 0.5, "ETH": 10})
    assert a.currency == "BTC"
    a.mark("ETH/USD:ETH", 3_000.0)
    assert a.equity() == pytest.approx(0.5)  # before the first mark of BTC
    assert a.position("BTC/USD:BTC").mark == 0.0
    assert a.equity() == pytest.approx(0.5)  # known by now, and still without one
    a.mark("BTC/USD:BTC", 60_000.0)
    assert a.equity() == pytest.approx(0.5 + 10 * 3_000 / 60_000)


def test_a_bar_goes_on_when_the_liquidation_has_taken_the_coins_too() -> None:
    """A flat pool whose coins are all sold stands at zero while their price still moves: no breach."""
    a = Account("bybit", cash=1.0, leverage=10, collateral={"BTC": 0.1}, debug=True)
    a.mark(BTC, 60_000.0)
    assert a.fill(BTC, 0.8, 60_000.0).refusal is None
    crash = Quote(a.position(BTC)).set(0, 60_000, (30_000.0, 30_500.0, 20_000.0, 25_000.0))
    Stepper(a).step(0, [crash], NoOrders())
    assert liquidations(a) == [BTC]
    assert a.vault["BTC"].balance == a.wallet() == 0.0
    assert a.dead
