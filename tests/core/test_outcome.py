"""What a closed position earned, and prices as venues show them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from core.exact import contracts, fractions, prices, sizes
from hypothesis import assume, given

from bt_margin.core import Contract
from bt_margin.core.display import one_tick_early
from bt_margin.core.outcome import closed_outcome, price_of_pnl
from bt_margin.errors import InputError


@given(contracts(), sizes, prices, prices)
def test_the_price_of_a_profit_is_the_exit_that_made_it(
    contract: Contract, size: Fraction, entry: Fraction, exit: Fraction
) -> None:
    assert price_of_pnl(contract, size, entry, contract.pnl(size, entry, exit)) == exit


def test_an_inverse_long_cannot_earn_more_than_its_coins() -> None:
    coin = Contract("X/USD:X", "inverse", 100, "X")
    with pytest.raises(InputError, match="no price has this worth"):
        price_of_pnl(coin, size=10, entry=100, pnl=10.5)


@given(contracts(), sizes, prices, prices, fractions(1, 50), fractions(-3, 0))
def test_realised_is_the_sum_and_the_ratio_is_per_unit_of_initial_margin(
    contract: Contract, size: Fraction, entry: Fraction, exit: Fraction, leverage: Fraction,
    paid: Fraction,
) -> None:  # fmt: skip
    found = closed_outcome(
        contract, size, entry, exit, leverage, fee=paid, funding=2 * paid, penalty=3 * paid
    )
    assert found.realised == found.pnl + 6 * paid
    assert found.ratio * contract.notional(size, entry) == found.realised * leverage


def test_a_position_history_of_2025() -> None:
    """okx-hist-eth: nautilus_trader's payload of 2025-01-13."""
    found = closed_outcome(Contract("ETH"), 0.01, 3226.93, 3224.8, 3, fee=-0.04516211)
    assert found.pnl == pytest.approx(-0.0213, abs=1e-9)
    assert found.realised == pytest.approx(-0.06646211, abs=1e-9)
    assert found.ratio == pytest.approx(-0.0061788241455501, abs=1e-9)


@given(prices, sizes, fractions(0, 1))
def test_a_price_is_shown_one_tick_before_it_happens(
    price: Fraction, size: Fraction, tick: Fraction
) -> None:
    shown = one_tick_early(price, size, tick)
    assert abs(shown - price) == tick
    assume(tick > 0)
    assert (shown > price) == (size > 0)
