"""Wallets in several currencies: each backs what settles in it, and the account is valued in one."""

from __future__ import annotations

from typing import Any

import pytest

import bt_margin as btm
from bt_margin.engine.account import Account
from bt_margin.errors import CashError, UnknownSymbol

BTC, ETH = "BTC/USD:BTC", "ETH/USD:ETH"


def account(**own: Any) -> Account:
    flat = btm.venue(
        "generic", maintenance_rate=0.01, taker_fee=0.001, maker_fee=0.0, liquidation_fee=0.0,
        funding_interval="8h", residual="trader", currency="USD",
    )  # fmt: skip
    given: dict[str, Any] = {"cash": {"BTC": 0.5, "ETH": 10.0}, "leverage": 5, "debug": True} | own
    made = Account(flat, **given)
    made.mark(BTC, 40_000.0)
    if "ETH" in given["cash"]:
        made.mark(ETH, 2_000.0)
    return made


def test_the_account_is_the_sum_of_its_wallets_at_the_marks() -> None:
    a = account()
    assert list(a.wallets) == ["USD", "BTC", "ETH"]
    assert a.equity() == a.wallet() == 0.5 * 40_000 + 10 * 2_000
    a.mark(ETH, 2_500.0)
    assert a.equity() == 20_000 + 25_000


@pytest.mark.parametrize(
    ("currency", "quote", "worth"),
    [("EUR", "EUR", 20_000), ("USD", "USDT", 20_000), ("EUR", "USD", 0)],
)
def test_a_coin_counts_at_its_mark_where_that_is_in_the_accounts_currency(
    currency: str, quote: str, worth: float
) -> None:
    """One dollar is as good as another; a mark in any other currency says nothing about the account's."""
    flat = btm.venue(
        "generic", maintenance_rate=0.01, taker_fee=0.001, maker_fee=0.0, liquidation_fee=0.0,
        funding_interval="8h", residual="trader", currency=currency,
    )  # fmt: skip
    a = Account(flat, cash={"BTC": 0.5}, leverage=5)
    a.mark(f"BTC/{quote}:BTC", 40_000.0)
    assert a.currency == currency
    assert a.equity() == worth


@pytest.mark.parametrize("cash", [{"BTC": 0.5}, {"BTC": 0.5, "ETH": 10.0}])
def test_equity_and_what_is_available_are_those_of_all_wallets(cash: dict[str, float]) -> None:
    a = account(cash=cash)
    a.fill(BTC, 20_000.0, 40_000.0)
    a.mark(BTC, 50_000.0)
    free = sum(a.available(home) * a.rate(coin) for coin, home in a.wallets.items())
    assert a.figures() == pytest.approx((a.equity(), free))
    assert a.equity() == pytest.approx(
        sum(p.equity() * a.rate(p.currency) for p in a.pools.values())
    )


def test_a_position_is_paid_and_margined_in_its_own_coin() -> None:
    a = account()
    filled = a.fill(BTC, 40_000.0, 40_000.0)  # 40,000 contracts of 1 USD: 1 BTC
    assert filled.fee == pytest.approx(0.001)
    assert a.wallets["BTC"].balance == pytest.approx(0.499)
    assert a.wallets["ETH"].balance == 10.0
    assert a.available(a.wallets["BTC"]) == pytest.approx(0.499 - 0.2)
    assert a.available(a.wallets["ETH"]) == 10.0
    refused = a.fill(BTC, 100_000.0, 40_000.0)
    assert refused.refusal is not None
    assert refused.refusal.reason == "margin"


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_the_risk_of_the_account_is_that_of_its_coins_in_one_currency(mode: Any) -> None:
    """1 BTC and 5 ETH of notional: a fifth is margin, a hundredth maintenance."""
    a = account(margin_mode=mode)
    a.fill(BTC, 40_000.0, 40_000.0)
    a.fill(ETH, -10_000.0, 2_000.0)
    assert a.initial() == pytest.approx(0.2 * 40_000 + 1.0 * 2_000)
    assert a.maintenance() == pytest.approx(0.01 * 40_000 + 0.05 * 2_000)
    assert a.risk().maintenance == a.maintenance()


def test_events_tell_the_equity_of_all_wallets() -> None:
    a = account(margin_mode="isolated")
    a.fill(ETH, 2_000.0, 2_000.0)
    event = a.fill(BTC, 20_000.0, 40_000.0).event
    assert event is not None
    assert event.equity == pytest.approx(a.equity())


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_one_coin_s_crash_leaves_the_other_wallet_alone(mode: Any) -> None:
    a = account(margin_mode=mode)
    a.fill(ETH, -10_000.0, 2_000.0)
    a.fill(BTC, 60_000.0, 40_000.0)
    price = a.liquidation_price(BTC)
    assert price is not None
    before = a.wallets["ETH"].balance
    a.mark(BTC, price * 0.999)
    assert [e.symbol for e in a.events if e.kind == "liquidation"] == [BTC]
    assert a.wallets["ETH"].balance == before
    assert a.position(ETH).size == -10_000.0
    a.audit()


def test_margin_moves_between_a_position_and_the_wallet_of_its_coin() -> None:
    a = account(margin_mode="isolated")
    a.fill(ETH, 2_000.0, 2_000.0)
    a.add_margin(ETH, 1.0)
    assert a.wallets["ETH"].balance == pytest.approx(10.0 - 0.2 - 0.001 - 1.0)
    assert a.wallets["BTC"].balance == 0.5
    a.reduce_margin(ETH, 0.5)
    assert a.wallets["ETH"].balance == pytest.approx(10.0 - 0.2 - 0.001 - 0.5)
    a.fill(ETH, -2_000.0, 2_000.0)
    assert a.wallets["ETH"].balance == pytest.approx(10.0 - 0.002)


def test_funding_is_paid_in_the_coin() -> None:
    a = account()
    a.fill(ETH, 2_000.0, 2_000.0)
    a.fund(ETH, 0.01)
    assert a.ledger.totals["funding"] == pytest.approx(-0.01)  # ETH
    assert a.wallets["ETH"].balance == pytest.approx(10.0 - 0.001 - 0.01)


def test_deposits_and_withdrawals_name_their_wallet() -> None:
    a = account()
    a.deposit(1.0, "ETH")
    a.withdraw(0.25, "BTC")
    assert (a.wallets["ETH"].balance, a.wallets["BTC"].balance) == (11.0, 0.25)
    with pytest.raises(CashError, match="no wallet in SOL; it has USD, BTC, ETH"):
        a.deposit(1.0, "SOL")


def test_wallets_are_named() -> None:
    with pytest.raises(CashError, match="no wallet given"):
        account(cash={})


def test_a_coin_without_a_wallet_is_refused_by_name() -> None:
    with pytest.raises(UnknownSymbol, match="settles in SOL, this account holds USD, BTC, ETH"):
        account().mark("SOL/USD:SOL", 100.0)


def test_a_copy_keeps_its_own_wallets() -> None:
    a = account()
    twin = a.fork()
    twin.fill(BTC, 40_000.0, 40_000.0)
    assert a.wallets["BTC"].balance == 0.5
    assert twin.wallets["BTC"].balance < 0.5


def test_the_account_is_dead_only_when_nothing_is_left_anywhere() -> None:
    a = account()
    a.fill(BTC, 80_000.0, 40_000.0)
    a.mark(BTC, 20_000.0)
    assert not a.dead
    assert a.wallets["BTC"].balance == 0.0
    a.fill(ETH, 80_000.0, 2_000.0)
    a.mark(ETH, 1_000.0)
    assert a.dead
    a.deposit(1.0, "BTC")
    assert not a.dead
