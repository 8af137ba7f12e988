"""Lending against collateral, on exact fractions: health, liquidation amounts, prices, rates, interest."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from core.exact import fractions
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core import lending
from bt_margin.core.lending import CloseRule, Owed, RateModel, Supplied

OLD = CloseRule(half=F(1, 2), full_at=F(95, 100))
NEW = CloseRule(half=F(1, 2), full_at=F(95, 100), small=2_000, leftover=1_000, of_total=True)

shares = fractions(F(1, 20), F(19, 20))
values = fractions(1, 10_000)
bonuses = fractions(0, F(3, 20))


@st.composite
def supplies(draw: st.DrawFn) -> Supplied:
    ltv, threshold = sorted([draw(shares), draw(shares)])
    return Supplied(draw(fractions(F(1, 10), 20)), draw(fractions(1, 500)), ltv, threshold)


owings = st.builds(Owed, fractions(F(1, 10), 20), fractions(1, 500))


# -- health ----------------------------------------------------------------------------------------


@given(st.lists(supplies(), max_size=4), st.lists(owings, min_size=1, max_size=4))
def test_equity_below_the_requirement_is_a_health_factor_below_one(
    supplied: list[Supplied], owed: list[Owed]
) -> None:
    data = lending.account_data(supplied, owed)
    equity = data.collateral - data.debt
    need = sum(lending.collateral_requirement(one.value, one.threshold) for one in supplied)
    assert (equity < need) == (data.health < 1) == data.liquidatable
    assert (equity == need) == (data.health == 1)
    assert lending.health_of(equity, need, data.debt) == data.health


def test_without_debt_health_is_infinite_and_everything_may_be_borrowed() -> None:
    data = lending.account_data([Supplied(F(2), F(50), F(1, 2), F(3, 4))], [])
    assert data == (100, 0, 50, F(1, 2), F(3, 4), float("inf"))
    assert not data.liquidatable
    assert lending.health_of(F(1), F(5), 0) == float("inf")


def test_without_collateral_nothing_may_be_borrowed() -> None:
    data = lending.account_data([], [Owed(F(3), F(2))])
    assert data == (0, 6, 0, 0, 0, 0)
    assert data.liquidatable


def test_a_debt_above_what_may_be_borrowed_leaves_nothing_available() -> None:
    data = lending.account_data([Supplied(1, 100, F(1, 2), F(3, 4))], [Owed(1, 60)])
    assert (data.available, data.health) == (0, F(5, 4))


# -- opening ---------------------------------------------------------------------------------------


@given(values, shares)
def test_a_long_at_its_most_leverage_owes_exactly_its_loan_to_value(equity: F, ltv: F) -> None:
    value = equity * lending.max_leverage_long(ltv)
    assert value - equity == value * ltv
    assert lending.collateral_requirement(value, ltv) == equity


@given(values, shares)
def test_a_short_at_its_most_leverage_owes_the_loan_to_value_of_all_it_supplies(
    equity: F, ltv: F
) -> None:
    debt = equity * lending.max_leverage_short(ltv)
    assert debt == (equity + debt) * ltv
    assert lending.debt_requirement(debt, ltv) == equity


# -- prices ----------------------------------------------------------------------------------------


@given(values, values, shares, values)
def test_a_long_has_a_health_factor_of_one_at_its_liquidation_price(
    amount: F, debt: F, threshold: F, rest: F
) -> None:
    assume(debt > rest)
    price = lending.liquidation_price_long(amount, debt, threshold, rest=rest)
    other = Supplied(rest, 1, F(1), F(1))
    assert (
        lending.account_data([Supplied(amount, price, 0, threshold), other], [Owed(debt, 1)]).health
        == 1
    )
    alone = lending.liquidation_price_long(amount, debt, threshold)
    assert alone == debt / (amount * threshold)


@given(values, values, shares, values)
def test_a_short_has_a_health_factor_of_one_at_its_liquidation_price(
    amount: F, collateral: F, threshold: F, rest: F
) -> None:
    assume(collateral * threshold > rest)
    price = lending.liquidation_price_short(amount, collateral, threshold, rest=rest)
    owed = [Owed(amount, price), Owed(rest, 1)]
    assert lending.account_data([Supplied(collateral, 1, 0, threshold)], owed).health == 1
    alone = lending.liquidation_price_short(amount, collateral, threshold)
    assert alone == collateral * threshold / amount


# -- how much --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "health", "collateral", "debt", "factor"),
    [
        (OLD, F(96, 100), 271, 230, F(1, 2)),
        (OLD, F(9501, 10_000), 271, 230, F(1, 2)),
        (OLD, F(95, 100), 271, 230, 1),
        (OLD, F(1, 2), 10**6, 10**6, 1),
        (NEW, F(96, 100), 2_000, 2_000, F(1, 2)),
        (NEW, F(96, 100), F(199_999, 100), 2_000, 1),
        (NEW, F(96, 100), 2_000, F(199_999, 100), 1),
        (NEW, F(95, 100), 10**6, 10**6, 1),
    ],
)
def test_the_close_factor_at_its_edges(
    rule: CloseRule, health: F, collateral: Any, debt: Any, factor: Any
) -> None:
    assert lending.close_factor(health, collateral, debt, rule) == factor


def test_half_is_of_that_debt_or_of_all_debt_and_never_more_than_there_is() -> None:
    assert lending.coverable(600, 1_000, F(1, 2), OLD) == 300
    assert lending.coverable(600, 1_000, F(1, 2), NEW) == 500
    assert lending.coverable(400, 1_000, F(1, 2), NEW) == 400
    assert lending.coverable(600, 1_000, 1, OLD) == lending.coverable(600, 1_000, 1, NEW) == 600


@given(values, values, bonuses, fractions(0, 1))
def test_what_is_repaid_is_paid_for_by_the_collateral(
    debt: F, collateral: F, bonus: F, share: F
) -> None:
    most = share * debt
    repaid = lending.repayable(debt, collateral, bonus, most)
    assert repaid == min(most, collateral / (1 + bonus))


@given(fractions(2_000, 10_000), fractions(2_000, 10_000), bonuses, fractions(0, 1))
def test_either_one_side_is_cleared_or_enough_is_left_on_both(
    debt: F, collateral: F, bonus: F, share: F
) -> None:
    repaid = lending.repayable(debt, collateral, bonus, share * debt, 1_000)
    left = debt - repaid, collateral - repaid * (1 + bonus)
    assert 0 <= repaid <= share * debt
    assert 0 in left or (left[0] >= 1_000 and left[1] >= 1_000)
    if 0 not in left and repaid < share * debt:
        assert 1_000 in left  # no more than needed is held back


@given(values, fractions(1, 500), values, fractions(1, 500), bonuses, fractions(0, 1))
def test_the_collateral_taken_is_worth_what_is_repaid_and_the_bonus(
    collateral: F, price: F, cover: F, debt_price: F, bonus: F, share: F
) -> None:
    got = lending.seizure(collateral, price, cover, debt_price, bonus, share)
    assert got.seized * price == got.repaid * debt_price * (1 + bonus)
    assert got.seized <= collateral
    assert got.repaid <= cover
    assert got.seized == collateral or got.repaid == cover
    assert got.protocol_fee * price == share * bonus * got.repaid * debt_price
    assert got.to_liquidator + got.protocol_fee == got.seized


@given(values, shares, bonuses, fractions(F(1, 2), 1), fractions(F(1, 20), F(9, 10)))
def test_health_after_a_part_of_a_single_pair_is_closed(
    debt: F, threshold: F, bonus: F, health: F, part: F
) -> None:
    """HF' = (HF − k · LT · (1 + b)) / (1 − k); it improves where LT · (1 + b) < HF."""
    collateral = health * debt / threshold
    repaid = lending.repayable(debt, collateral, bonus, part * debt)
    assume(repaid == part * debt)
    seized = lending.seizure(collateral, F(1), repaid, F(1), bonus).seized
    after = lending.health_factor((collateral - seized) * threshold, debt - repaid)
    assert after == (health - part * threshold * (1 + bonus)) / (1 - part)
    assert (after > health) == (threshold * (1 + bonus) < health)


def test_half_of_a_pair_of_ether_at_a_health_factor_of_one() -> None:
    """(1 − 0.5 · 0.83 · 1.05) / 0.5 = 1.1285"""
    debt, threshold = F(1_000), F(83, 100)
    collateral = debt / threshold
    seized = lending.seizure(collateral, F(1), debt / 2, F(1), F(5, 100)).seized
    assert lending.health_factor((collateral - seized) * threshold, debt / 2) == F(11_285, 10_000)


# -- rates and interest ----------------------------------------------------------------------------

MODEL = RateModel(F(8, 10), F(1, 100), F(4, 100), F(75, 100), F(1, 10))


@pytest.mark.parametrize(
    ("usage", "borrow"),
    [
        (0, F(1, 100)),
        (F(4, 10), F(3, 100)),
        (F(8, 10), F(5, 100)),
        (F(9, 10), F(5, 100) + F(375, 1_000)),
        (1, F(80, 100)),
    ],
)
def test_rates_bend_at_the_optimum(usage: Any, borrow: Any) -> None:
    rates = lending.interest_rates(MODEL, usage)
    assert rates.borrow == borrow
    assert rates.supply == borrow * usage * F(9, 10)


def test_suppliers_share_what_their_own_usage_earns() -> None:
    rates = lending.interest_rates(MODEL, F(8, 10), F(8, 1_000))
    assert rates == (F(5, 100), F(5, 100) * F(8, 1_000) * F(9, 10))


def test_a_reserve_whose_optimum_is_nothing_starts_at_its_base() -> None:
    model = RateModel(F(0), F(1, 100), F(1, 10), F(1), F(0))
    assert lending.interest_rates(model, 0).borrow == F(1, 100)
    assert lending.interest_rates(model, F(1, 2)).borrow == F(1, 100) + F(1, 10) + F(1, 2)


@given(fractions(0, 2), fractions(0, 10**8))
def test_debt_grows_faster_than_supply_and_slower_than_the_exponential(rate: F, seconds: F) -> None:
    x = rate * seconds / 31_536_000
    assert lending.linear_growth(rate, seconds) == 1 + x
    assert lending.compounded_growth(rate, seconds) == 1 + x + x**2 / 2 + x**3 / 6


@given(fractions(0, F(1, 2)), fractions(0, 10**6), fractions(0, 10**6))
def test_compounding_in_two_steps_loses_less_than_the_fourth_power(rate: F, one: F, two: F) -> None:
    both = lending.compounded_growth(rate, one) * lending.compounded_growth(rate, two)
    x = rate * (one + two) / 31_536_000
    assert 0 <= both - lending.compounded_growth(rate, one + two) <= x**4
