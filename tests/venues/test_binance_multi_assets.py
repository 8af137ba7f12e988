"""Binance's multi-assets mode: what other coins count for, and what becomes of them.

Ratios: Binance FAQ on Multi-Assets Mode, 2021; conversion: Multi-Assets Mode Info, 2021.
"""

from __future__ import annotations

import pytest

import bt_margin as btm
from bt_margin.core.margin import collateral_value
from bt_margin.engine.account import Account
from bt_margin.errors import CashError, MarginModeRefused

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def account(**own: float) -> Account:
    rules = btm.venue("binance", as_of="2023-06-01", multi_assets=True)
    made = Account(rules, 1_000, leverage=10, collateral=own or {"BTC": 1.0}, debug=True)
    made.mark(BTC, 30_000.0)
    made.mark(ETH, 2_000.0)
    return made


def test_the_published_haircut() -> None:
    """1,000 USD of an asset with ratio 95 % count for 950 (Binance, Multi-Assets Mode)."""
    assert collateral_value(1.0, 1_000.0, 0.95) == 950.0
    a = account()
    a.mark(BTC, 1_000.0)
    assert a.available() == 1_000 + 950


@pytest.mark.parametrize(
    ("coin", "ratio"), [("BTC", 0.95), ("ETH", 0.95), ("BNB", 0.95), ("SOL", 0.90), ("XRP", 0.90)]
)
def test_each_coin_counts_at_its_ratio(coin: str, ratio: float) -> None:
    a = account(**{coin: 10.0})
    a.price(coin, 100.0)
    assert a.available() == pytest.approx(1_000 + 10 * 100 * ratio)
    assert a.equity() == pytest.approx(1_000 + 10 * 100)


def test_a_dollar_coin_is_a_dollar_until_a_price_is_said() -> None:
    a = account(USDC=5_000.0)
    assert a.available() == pytest.approx(1_000 + 5_000 * 0.9999)
    a.price("USDC", 0.9)
    assert a.available() == pytest.approx(1_000 + 4_500 * 0.9999)


def test_isolated_margin_does_not_exist() -> None:
    rules = btm.venue("binance", multi_assets=True)
    with pytest.raises(MarginModeRefused, match="no isolated margin"):
        Account(rules, 1_000, "isolated")
    with pytest.raises(CashError, match="takes no BTC as collateral; it takes none"):
        Account("binance", 1_000, collateral={"BTC": 1.0})


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_crash_liquidates_where_wallet_coins_and_positions_meet_the_requirement(
    side: float,
) -> None:
    a = account()
    size = side * (8.0 if side > 0 else 60.0)
    symbol = BTC if side > 0 else ETH
    entry = 30_000.0 if side > 0 else 2_000.0
    a.fill(symbol, size, entry)
    price = a.liquidation_price(symbol)
    assert price is not None
    p, tier = a.position(symbol), a.position(symbol).table.at(abs(size) * price)
    wallet = a.cross.balance
    coins = 0.95 * (price if side > 0 else 30_000.0)
    assert wallet + coins + size * (price - entry) == pytest.approx(
        abs(size) * price * tier.mmr - tier.deduction, rel=1e-9
    )
    a.mark(symbol, price * (1 - side * 1e-9))
    assert p.size == 0.0 or abs(p.size) < abs(size)
    kinds = [e.kind for e in a.events]
    assert "liquidation" in kinds
    a.audit()


def test_a_debt_beyond_ten_thousand_is_paid_at_a_discount() -> None:
    a = account()
    a.fill(ETH, 40.0, 2_000.0)
    a.fill(ETH, -40.0, 1_800.0)  # −8,000 against 1,000
    assert a.vault["BTC"].balance == 1.0
    a.fill(ETH, 40.0, 1_800.0)
    a.fill(ETH, -40.0, 1_650.0)
    sale = next(e for e in a.events if e.kind == "conversion")
    assert sale.price == pytest.approx(0.975 * 30_000)
    assert sale.amount == pytest.approx(-sale.size * sale.price)
    assert a.cross.balance == pytest.approx(0.0, abs=1e-9)
    a.audit()
