"""The fee of closing at the bankruptcy price: exact laws, and the worked examples that print it."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.closing_fee import (
    closing_fee,
    closing_fee_of_balance,
    legacy_cross_price,
    opening_cost,
)
from bt_margin.core.contract import Contract
from bt_margin.core.health import direction

LINEAR = Contract("X", multiplier=F(1, 2))
COIN = Contract("X/USD:X", "inverse", F(10), "X")
contracts = st.sampled_from([LINEAR, COIN])
sizes = st.integers(1, 1_000).flatmap(lambda n: st.sampled_from([F(n), F(-n)]))
entries = st.integers(1, 100_000).map(F)
leverages = st.integers(11, 1_000).map(lambda n: F(n, 10))
takers = st.integers(0, 100).map(lambda n: F(n, 100_000))


def facing(contract: Contract, size: F) -> int:
    return direction(contract) * (1 if size > 0 else -1)


@given(contracts, sizes, entries, leverages, takers)
def test_the_fee_of_the_initial_margin_is_that_of_a_balance_of_margin_and_fee(
    contract: Contract, size: F, entry: F, leverage: F, taker: F
) -> None:
    fee = closing_fee(contract, size, entry, leverage, taker)
    margin = contract.notional(size, entry) / leverage + fee
    assert closing_fee_of_balance(contract, size, entry, margin, taker) == fee
    assert fee >= 0


@given(contracts, sizes, entries, takers, st.integers(0, 99))
def test_equity_is_just_the_fee_where_the_balance_is_used_up(
    contract: Contract, size: F, entry: F, taker: F, percent: int
) -> None:
    value = contract.notional(size, entry)
    balance = value * F(percent, 100)
    fee = closing_fee_of_balance(contract, size, entry, balance, taker)
    left = (value - facing(contract, size) * balance) / (1 - facing(contract, size) * taker)
    units = contract.notional(size, F(1))  # for an inverse contract: its notional at a price of 1
    price = contract.price(direction(contract) * left / units)
    assert contract.notional(size, price) == left
    assert balance + contract.pnl(size, entry, price) == taker * left == fee


@pytest.mark.parametrize(("contract", "size"), [(LINEAR, F(4)), (COIN, F(-4))])
def test_a_fully_paid_position_has_no_bankruptcy_price_and_reserves_nothing(
    contract: Contract, size: F
) -> None:
    value = contract.notional(size, F(100))
    assert closing_fee(contract, size, F(100), F(1), F(1, 1_000)) == 0
    assert closing_fee(contract, size, F(100), F(1, 2), F(1, 1_000)) == 0
    assert closing_fee_of_balance(contract, size, F(100), value * 2, F(1, 1_000)) == 0
    assert closing_fee(contract, -size, F(100), F(1), F(1, 1_000)) == 2 * value / 1_000


def test_the_reserve_of_a_real_position() -> None:
    """0.5 ETH at 1,073.85, 10x, 0.06 %: the positionIM and positionMM of a unified account, 2022-07-13."""
    pair = Contract("ETH/USDT:USDT")
    fee = closing_fee(pair, 0.5, 1_073.85, 10, 0.0006)
    assert 536.925 / 10 + fee == pytest.approx(53.9824395, abs=1e-9)
    assert 536.925 * 0.005 + fee == pytest.approx(2.9745645, abs=1e-9)


@pytest.mark.parametrize(("side", "kept"), [(1, 24.75), (-1, 30.25)])
def test_the_published_order_cost_and_its_other_side(side: int, kept: float) -> None:
    """1 BTC at 50,000, 10x, 0.055 %: 5,000 + 27.50 + 24.75; a short keeps 30.25 (help centre, Order Cost)."""
    pair = Contract("BTC/USDT:USDT")
    assert closing_fee(pair, side, 50_000, 10, 0.00055) == pytest.approx(kept, abs=1e-9)
    assert opening_cost(pair, side, 50_000, 10, 0.00055) == pytest.approx(5_027.5 + kept, abs=1e-9)


def test_the_legacy_page_of_2020() -> None:
    """10,000 USD long at 8,000 with 0.5 BTC: 5,739.08 before rounding (legacy help centre)."""
    coin = Contract("BTC/USD:BTC", "inverse", 1.0, "BTC", tick=0.5)
    price = legacy_cross_price(coin, 10_000, 8_000, 0.5, 0.005, 0.00075)
    bust = 1.00075 * 10_000 / (10_000 / 8_000 + 0.5)
    assert bust == pytest.approx(5_718.57, abs=0.01)
    loss = 0.5 - 1.25 * 0.005 - 10_000 * 0.00075 / bust
    assert price == pytest.approx(10_000 / (1.25 + loss), rel=1e-14)
    assert round(price or 0, 2) == 5_739.08


@given(sizes, entries, takers, st.integers(1, 90), st.integers(0, 30), st.integers(0, 20))
def test_at_the_legacy_price_the_loss_is_what_the_balance_has_to_spare(
    size: F, entry: F, taker: F, percent: int, orders: int, rate: int
) -> None:
    mmr, value = F(rate, 1_000), COIN.notional(size, entry)
    balance, margin = value * F(percent, 100), value * F(orders, 1_000)
    price = legacy_cross_price(COIN, size, entry, balance, mmr, taker, order_margin=margin)
    fee = closing_fee_of_balance(COIN, size, entry, balance, taker)
    spare = balance - margin - value * mmr - fee
    if price is None:
        assert size < 0
        assert spare >= value  # a short cannot lose more coins than it is worth
    else:
        assert -COIN.pnl(size, entry, price) == spare


def test_a_deduction_is_part_of_the_legacy_requirement() -> None:
    plain = legacy_cross_price(COIN, F(-100), F(50), F(5), F(1, 100), F(0))
    less = legacy_cross_price(COIN, F(-100), F(50), F(5), F(1, 100), F(0), deduction=F(1, 10))
    assert plain is not None
    assert less is not None
    assert COIN.pnl(F(-100), plain, less) == -F(1, 10)
