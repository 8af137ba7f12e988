"""Positions against a pool: profit on the size, states, what remains, what is returned."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from core.exact import fractions
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core import Contract, Leg, TierTable, change, liquidation_price
from bt_margin.core import pool_perps as pool

X = Contract("X", multiplier=1)
prices = fractions(1, 500)
money = fractions(1, 2_000)
sizes = st.one_of(money, money.map(lambda size: -size))
amounts = fractions(-300, 600)
rates = fractions(0, F(1, 5), 200)


# -- profit ----------------------------------------------------------------------------------------


@given(sizes, prices, prices)
def test_profit_by_size_and_by_tokens_is_that_of_a_linear_contract(
    size: F, entry: F, at: F
) -> None:
    tokens = size / entry
    assert pool.size_pnl(size, entry, at) == pool.token_pnl(size, tokens, at)
    assert pool.size_pnl(size, entry, at) == X.pnl(tokens, entry, at)


@given(sizes, prices, money, prices)
def test_adding_averages_as_the_contract_does(size: F, average: F, added: F, at: F) -> None:
    """price · S' / (S' ± profit), + for a long, as Vault.getNextAveragePrice writes it."""
    whole = abs(size) + added
    profit = pool.size_pnl(size, average, at)
    divisor = whole + profit if size > 0 else whole - profit
    signed = added if size > 0 else -added
    after = change(X, size / average, average, signed / at, at)
    assert after.entry == at * whole / divisor


# -- states ----------------------------------------------------------------------------------------


@given(money, amounts, sizes, rates, fractions(0, 20), fractions(1, 100))
def test_a_position_is_healthy_exactly_when_the_required_amount_remains(
    collateral: F, pnl: F, size: F, rate: F, fee: F, leverage: F
) -> None:
    fees = pool.margin_fees(size, rate)
    state = pool.liquidation_state(collateral, pnl, size, fees, fee, leverage)
    needed = pool.required_remaining(size, fees, fee, leverage)
    assert (state == pool.HEALTHY) == (collateral + pnl >= needed)
    lost = collateral + pnl < fees + fee
    assert (state == pool.LOST) == lost


@pytest.mark.parametrize("side", [1, -1])
def test_both_bounds_are_safe_when_met_exactly(side: int) -> None:
    def state(remaining: F, size: int = 1_000) -> int:
        return pool.liquidation_state(F(99), remaining - 99, side * size, F(1), F(5), F(50))

    least = F(1, 10**9)
    assert [state(F(20)), state(20 - least)] == [pool.HEALTHY, pool.OVER_LEVERED]
    assert [state(F(6)), state(6 - least)] == [pool.OVER_LEVERED, pool.LOST]
    # below a size of (1 + 5) · 50 the fees come first, and there is no state between
    assert [state(F(6), 300), state(6 - least, 300)] == [pool.HEALTHY, pool.LOST]


def test_a_loss_beyond_the_collateral_and_fees_beyond_what_remains_are_lost() -> None:
    assert pool.liquidation_state(10, -11, 1_000, 0, 0, 50) == pool.LOST
    assert pool.liquidation_state(10, -9.5, 1_000, 1, 0, 50) == pool.LOST


def test_the_two_bounds_meet_at_a_size_of_about_263() -> None:
    """t · S + 5 = S / 50 at t = 0.1 %: S = 5 / 0.019."""
    meet = F(5) / (F(1, 50) - F(1, 1000))
    assert round(float(meet), 2) == 263.16
    for size, first in ((meet - 1, True), (meet + 1, False)):
        fees = pool.margin_fees(size, F(1, 1000))
        assert (pool.required_remaining(size, fees, F(5), F(50)) == fees + 5) is first


@given(money, amounts, fractions(0, 100))
def test_fees_taken_and_payout_share_what_remains(collateral: F, pnl: F, fees: F) -> None:
    taken, paid = pool.fees_taken(collateral, pnl, fees), pool.payout(collateral, pnl, fees)
    assert taken + paid == max(0, collateral + pnl)
    assert 0 <= taken <= fees


# -- what remains after costs ----------------------------------------------------------------------


@given(amounts, sizes, rates, fractions(0, 5))
def test_liquidatable_is_less_than_required_and_never_nothing(
    remaining: F, size: F, factor: F, minimum: F
) -> None:
    needed = pool.required_collateral(size, factor, minimum)
    found = pool.is_liquidatable(remaining, size, factor, minimum)
    assert found == (remaining < needed or remaining <= 0)
    assert pool.is_liquidatable(needed, size, factor, minimum) == (needed == 0)


def test_the_minimum_matters_for_small_sizes_only() -> None:
    f = F(1, 200)
    assert [pool.required_collateral(size, f, 1) for size in (100, 200, -300)] == [1, 1, F(3, 2)]


@given(sizes, amounts, rates)
def test_only_a_negative_impact_counts_and_only_down_to_its_cap(
    size: F, impact: F, most: F
) -> None:
    counted = pool.counted_impact(impact, size, most)
    assert -abs(size) * most <= counted <= 0
    assert counted in (impact, 0, -abs(size) * most)
    assert pool.counted_impact(impact, size, 0) == 0
    assert pool.collateral_left(F(9), F(1), impact, F(2)) == 8 + min(0, impact)


@given(
    sizes, prices, money, fractions(0, 50), fractions(0, 50), fractions(-50, 50), fractions(0, 3)
)
def test_at_the_liquidation_price_exactly_the_required_amount_remains(
    size: F, entry: F, collateral: F, required: F, costs: F, impact: F, index: F
) -> None:
    tokens = size / entry
    needed = pool.required_before_costs(required, costs, impact)
    price = pool.liquidation_price_on_size(size, tokens, needed, collateral, index)
    assume(price is not None)
    assert price is not None
    held = collateral + pool.worth_of(index, price)
    pnl = pool.token_pnl(size, tokens, price)
    assert pool.collateral_left(held, pnl, impact, costs) == required


@given(sizes, prices, money, fractions(0, 50))
def test_with_stable_collateral_it_is_the_liquidation_price_of_the_engine(
    size: F, entry: F, collateral: F, required: F
) -> None:
    assume(collateral > required)
    tokens = size / entry
    ours = pool.liquidation_price_on_size(size, tokens, required, collateral)
    leg = Leg(X, tokens, entry, TierTable.fixed(required))
    assert ours == liquidation_price([leg], collateral)


def test_collateral_in_the_index_token_can_cover_a_short_whole() -> None:
    assert pool.liquidation_price_on_size(-200_000, -40, 2_000, 0, 40) is None
    assert pool.liquidation_price_on_size(-200_000, -40, 2_000, 0, 41) is None
    assert pool.liquidation_price_on_size(-200_000, -40, 2_000, 0, 20) == 9_900
    assert pool.liquidation_price_on_size(1_000, 1, 0, 1_000) is None  # a fully paid long
    assert pool.liquidation_price_on_size(0, 0, 500, 0, 10) is None  # no position at all
    assert pool.liquidation_price_on_size(1_000, 0.5, 100, 200) == 1_800
    assert pool.liquidation_price_on_size(-1_000, -0.5, 100, 200) == 2_200
    assert pool.liquidation_price_on_size(1_000, 2_000, 100, 200) == 0.45


@given(prices, sizes, rates)
def test_slipping_costs_whoever_closes(price: F, size: F, rate: F) -> None:
    assert X.pnl(size, price, pool.slipped(price, size, rate)) == -abs(size) * price * rate


# -- closing a part --------------------------------------------------------------------------------


@given(money, prices, money, prices, st.booleans(), fractions(0, 1), fractions(0, 50), prices)
def test_a_part_closed_leaves_the_average_price_and_every_unit_of_money(
    size: F, entry: F, collateral: F, at: F, long: bool, share: F, fees: F, token: F
) -> None:
    size = size if long else -size
    tokens, closed = size / entry, size * share
    left = pool.decreased(
        size, tokens, collateral, closed, at, collateral_price=token, fees=fees, withdrawn=F(1)
    )
    assert (left.size, left.tokens) == (size - closed, (size - closed) / entry)
    realised = X.pnl(tokens * share, entry, at)
    assert left.collateral + left.paid == collateral + (realised - fees) / token
    assert left.paid == 1 + max(0, realised - fees) / token


@given(sizes, prices, prices)
def test_two_halves_are_the_whole(size: F, entry: F, at: F) -> None:
    tokens, held = size / entry, F(1_000)
    once = pool.decreased(size, tokens, held, size / 2, at)
    again = pool.decreased(once.size, once.tokens, once.collateral, once.size, at)
    whole = pool.decreased(size, tokens, held, size, at)
    assert (again.size, again.tokens) == (whole.size, whole.tokens) == (0, 0)
    assert again.collateral == whole.collateral
    assert once.paid + again.paid == whole.paid


@given(amounts, money, money, fractions(F(1, 10), 1))
def test_a_capped_profit_is_its_share_of_the_capped_pool(
    pnl: F, pool_pnl: F, value: F, most: F
) -> None:
    found = pool.capped_pnl(pnl, pool_pnl, value, most)
    if pnl > 0:
        assert found * pool_pnl == pnl * min(pool_pnl, value * most)
    else:
        assert found == pnl


def test_a_pool_without_value_caps_no_profit() -> None:
    """The contract scales a profit only where what the pool may pay is above zero."""
    assert pool.capped_pnl(100, 1_000, 0, 0.9) == 100


# -- fees and units --------------------------------------------------------------------------------


@given(sizes, rates, fractions(0, 1), fractions(0, 10))
def test_fees_are_on_the_size_of_either_side(size: F, rate: F, discount: F, due: F) -> None:
    assert pool.position_fee(size, rate, discount) == abs(size) * rate * (1 - discount)
    assert pool.margin_fees(size, rate, due) == pool.position_fee(size, rate) + due


def test_tokens_are_rounded_down_to_whole_units() -> None:
    assert pool.token_units(F(2791, 100), F(120_000), 8) == 23_258
    assert pool.token_units(1, 3, 2) == 33
    assert pool.tokens_of(F(1), F(4)) == F(1, 4)
