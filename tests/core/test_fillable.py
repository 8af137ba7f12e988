"""Liquidation on an order book with a limit, on exact fractions."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from core.exact import fractions, prices, quantities, sizes
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import Contract
from bt_margin.core import fillable as fl

PAIR = Contract("X", multiplier=1)
shares: Any = fractions(0, 1, 40)
rates: Any = fractions(F(1, 200), F(1, 5), 200)
equities: Any = fractions(-50, 500)


@pytest.mark.parametrize(
    ("equity", "need", "found"), [(99, 100, True), (100, 100, False), (-1, 0, False), (0, 1, True)]
)
def test_only_less_than_what_is_asked_is_liquidated(equity: int, need: int, found: bool) -> None:
    assert fl.is_liquidatable(equity, need) is found


@given(quantities, quantities, shares)
def test_limits_lie_within_the_position(notional: Any, smallest: Any, portion: Any) -> None:
    least, most = fl.liquidatable(notional, smallest, portion)
    assert least == min(smallest, notional)
    assert least <= most <= notional
    assert most == max(least, portion * notional)


@given(sizes, prices, shares, st.sampled_from([None, F(1, 10), F(1)]))
def test_a_liquidation_takes_whole_steps_towards_zero_or_everything(
    size: Any, price: Any, portion: Any, lot: Any
) -> None:
    contract = Contract("X", multiplier=1, lot=lot)
    most = portion * abs(size) * price
    found = fl.liquidated_size(contract, size, price, most)
    assert found * size > 0 or found == 0 == portion
    if most >= abs(size) * price or abs(size) <= (lot or 0):
        assert found == size
    elif lot is None:
        assert abs(found) == portion * abs(size)
    else:
        assert abs(found) / lot % 1 == 0 or found == size
        assert abs(found) <= max(portion * abs(size), lot)
        assert abs(found) > portion * abs(size) - lot


@given(sizes, prices, equities, quantities, rates)
def test_closing_at_the_bankruptcy_quote_leaves_the_ratio_as_it_is(
    size: Any, price: Any, equity: Any, other: Any, rate: Any
) -> None:
    value = abs(size) * price
    need = value * rate + other
    share = fl.share_of_equity(equity, need, value * rate)
    quote = fl.bankruptcy_quote(fl.quote_of(PAIR, size, price), share)
    left = equity - (fl.quote_of(PAIR, size, price) - quote)
    assert left * need == equity * other


@given(sizes, prices, prices, equities, rates, shares)
def test_the_fund_takes_a_surplus_up_to_a_fee_and_pays_what_is_missing(
    size: Any, price: Any, fill: Any, equity: Any, rate: Any, fee: Any
) -> None:
    quote = fl.quote_of(PAIR, size, fill)
    bankrupt = fl.bankruptcy_quote(fl.quote_of(PAIR, size, price), equity)
    most = fl.most_fee(quote, fee)
    paid = fl.insurance_delta(quote, bankrupt, most)
    surplus = quote - bankrupt
    assert paid == (surplus if surplus <= most else most)
    assert (paid < 0) == (surplus < 0)


@given(sizes, prices, equities, quantities, rates, rates, shares)
def test_the_limit_is_the_oracle_at_the_trigger_and_widens_to_the_spread(
    size: Any, price: Any, equity: Any, need: Any, rate: Any, spread: Any, adjustment: Any
) -> None:
    found = fl.fillable_price(size, price, equity, need, rate, adjustment, spread)
    side = 1 if size > 0 else -1
    off = side * (price - found) / price
    assert 0 <= off <= spread * rate
    if equity >= need:
        assert off == 0
    if 0 <= equity < need:
        assert off == adjustment * (1 - equity / need) * spread * rate


@given(sizes, prices, equities, rates, quantities)
def test_the_close_price_takes_the_share_of_the_equity(
    size: Any, price: Any, equity: Any, rate: Any, other: Any
) -> None:
    value = abs(size) * price
    need = value * rate + other
    closed = fl.close_price(size, price, equity, need, rate)
    lost = -PAIR.pnl(size, price, closed)
    assert lost == fl.share_of_equity(equity, need, value * rate)


def test_the_close_price_of_v3_is_the_bankruptcy_quote_of_v4() -> None:
    share = fl.share_of_equity(F(100), F(200), F(150))
    quote = fl.bankruptcy_quote(fl.quote_of(PAIR, F(3), F(1_000)), share)
    assert quote / 3 == fl.close_price(F(3), F(1_000), F(100), F(200), F(1, 20))
