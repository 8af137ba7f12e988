"""A quote balance and positions: the same equity as an account that keeps entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bt_margin as btm
from bt_margin.core.fillable import is_liquidatable
from bt_margin.core.subaccounts import Perpetual, Subaccount


@given(
    st.floats(1_000, 9_000),
    st.lists(
        st.tuples(st.floats(0.01, 1), st.sampled_from((1, -1)), st.floats(90, 110)), max_size=3
    ),
)
def test_quote_and_values_make_the_equity_of_a_wallet_with_entries(
    cash: float, held: list[tuple[float, int, float]]
) -> None:
    venue = btm.venue("dydx_v4", as_of="2024-01-01")
    symbols = ["BTC/USDC:USDC", "ETH/USDC:USDC", "SOL/USDC:USDC"][: len(held)]
    account = btm.Account(venue, cash=cash, leverage=10, debug=True)
    quote, rows = cash, []
    for symbol, (size, side, price) in zip(symbols, held, strict=True):
        account.mark(symbol, 100.0)
        account.fill(symbol, side * size, 100.0, fee=lambda size, price: 0.0)
        quote -= side * size * 100.0
        rate = account.position(symbol).table.maintenance(1.0)
        rows.append(Perpetual(side * size, price, 0.0, rate))
        account.position(symbol).move(price)
    found = Subaccount(quote, tuple(rows))
    assert account.cross.equity() == pytest.approx(found.equity)
    assert account.cross.maintenance() == pytest.approx(found.maintenance)
    if abs(found.equity - found.maintenance) > 1e-6:
        assert account.cross.breached() == is_liquidatable(found.equity, found.maintenance)
