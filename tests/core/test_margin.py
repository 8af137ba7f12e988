"""Margin of orders and positions; the largest affordable order is affordable and no more is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from core.exact import BTC_2026, amounts, contracts, fractions, prices, sizes
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import (
    Contract,
    affordable_size,
    assumed_price,
    collateral_value,
    initial,
    maintenance,
    open_loss,
    order_cost,
    order_need,
)

PAIR = Contract("X")
leverages = fractions(1, 125)
rates = fractions(0, Fraction(1, 100), 2_000)
held_sizes = st.one_of(st.just(Fraction(0)), sizes)
marks = st.one_of(st.none(), prices)
sides = st.sampled_from([1, -1])
MORE = Fraction(10_001, 10_000)


@given(
    contracts(), sides, prices, amounts, leverages, held_sizes, marks, rates, fractions(0, 9_000)
)
def test_the_affordable_size_is_affordable_and_a_ten_thousandth_more_is_not(
    contract: Contract,
    side: int,
    price: Fraction,
    available: Fraction,
    leverage: Fraction,
    size: Fraction,
    mark: Fraction | None,
    rate: Fraction,
    cap: Fraction,
) -> None:
    """trap 38: what is held and what is reserved both count; the rule is order_need's."""
    terms: dict[str, Any] = {"size": size, "mark": mark, "fee_rate": rate}
    best = affordable_size(contract, side, price, available, leverage, cap=cap, **terms)
    assert best * side >= 0

    def allowed(order: Fraction) -> bool:
        closing_only = size * order < 0 and abs(order) <= abs(size)
        need = order_need(contract, order, price, leverage, **terms)
        fits = contract.notional(size + order, price) <= cap
        return closing_only or order == 0 or (need <= available and fits)

    assert allowed(best)
    more = best * MORE if best else side * Fraction(1, 10_000)
    assert not allowed(more)


@given(contracts(), prices, leverages, sizes, amounts)
def test_closing_is_always_affordable(
    contract: Contract, price: Fraction, leverage: Fraction, size: Fraction, available: Fraction
) -> None:
    """trap 37: a position can be closed whatever is available."""
    side = -1 if size > 0 else 1
    best = affordable_size(contract, side, price, available, leverage, size=size)
    assert abs(best) >= abs(size)


@given(contracts(), prices, leverages, sizes)
def test_reducing_releases_the_share_it_closes(
    contract: Contract, price: Fraction, leverage: Fraction, size: Fraction
) -> None:
    half = order_need(contract, -size / 2, price, leverage, size=size)
    assert half == -initial(contract.notional(size, price), leverage) / 2
    assert order_need(contract, -size, price, leverage, size=size, held=77) == -77
    assert order_need(contract, -size / 2, price, leverage, size=size, held=78) == -39


@given(contracts(), prices, leverages, sizes)
def test_a_flip_of_equal_size_needs_nothing(
    contract: Contract, price: Fraction, leverage: Fraction, size: Fraction
) -> None:
    """Only the new side is margined, with what the old side sets free."""
    assert order_need(contract, -2 * size, price, leverage, size=size) == 0


@given(
    contracts(), prices, leverages, held_sizes, sizes, st.fractions(0, 1, max_denominator=9), rates
)
def test_the_need_of_an_order_does_not_depend_on_how_it_is_split(
    contract: Contract,
    price: Fraction,
    leverage: Fraction,
    size: Fraction,
    order: Fraction,
    part: Fraction,
    rate: Fraction,
) -> None:
    """trap 36: a hundred small orders lock what one big one locks."""
    terms: dict[str, Any] = {"fee_rate": rate}
    whole = order_need(contract, order, price, leverage, size=size, **terms)
    one = order_need(contract, order * part, price, leverage, size=size, **terms)
    left = size + order * part
    two = order_need(contract, order - order * part, price, leverage, size=left, **terms)
    assert one + two == whole


def test_the_leverage_cap_limits_the_position_not_the_order() -> None:
    terms: dict[str, Any] = {"price": 100, "available": 1e9, "leverage": 10, "cap": 5_000}
    assert affordable_size(PAIR, 1, size=20, **terms) == 30
    assert affordable_size(PAIR, 1, size=60, **terms) == 0
    assert affordable_size(PAIR, -1, size=20, **terms) == -70


def test_fees_leave_less_room() -> None:
    assert affordable_size(PAIR, 1, 100, 1_000, 10, fee_rate=0.1) == 50


@pytest.mark.parametrize(
    ("size", "price", "mark", "loss"),
    [(2, 105, 100, 10), (2, 95, 100, 0), (-2, 95, 100, 10), (-2, 105, 100, 0)],
)
def test_only_a_price_worse_than_the_mark_costs(
    size: float, price: float, mark: float, loss: float
) -> None:
    assert open_loss(PAIR, size, price, mark) == loss
    assert order_cost(PAIR, size, price, 10, mark) == 2 * price / 10 + loss


@given(contracts(), sizes, prices, prices)
def test_the_open_loss_is_the_loss_at_the_moment_of_the_fill(
    contract: Contract, size: Fraction, price: Fraction, mark: Fraction
) -> None:
    assert open_loss(contract, size, price, mark) == max(0, -contract.pnl(size, price, mark))


@pytest.mark.parametrize(
    ("size", "price", "mark", "last", "expected"),
    [(1, 90, 100, 110, 90), (-1, 90, 130, 80, 130), (-1, 90, 80, 80, 120), (-1, 150, 1, 1, 150)],
)
def test_sells_are_margined_at_the_price_they_may_reach(
    size: float, price: float, mark: float, last: float, expected: float
) -> None:
    assert assumed_price(size, price, mark, last, premium=0.5) == expected


def test_opening_at_the_most_leverage_is_no_instant_margin_call() -> None:
    """trap 6: at every cap the initial margin at the allowed leverage exceeds maintenance."""
    for tier in BTC_2026.tiers:
        assert tier.max_leverage is not None
        assert initial(tier.cap, tier.max_leverage) > maintenance(tier.cap, BTC_2026)
        assert BTC_2026.max_leverage(tier.cap) == tier.max_leverage


def test_collateral_counts_with_its_haircut_and_debt_in_full() -> None:
    assert collateral_value(2, 500, 0.95) == pytest.approx(950)
    assert collateral_value(-2, 500, 0.95) == -1_000
    assert collateral_value(0, 500, 0.95) == 0
