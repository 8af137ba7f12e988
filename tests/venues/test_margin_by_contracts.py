"""Margin by contracts: the law that the price has no part in the tier."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from core.exact import contracts, fractions, prices, sizes
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import Contract, Leg, TierTable, liquidation_price, liquidation_price_at
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_by_contracts import (
    ByContracts,
    margin_level,
    tier_by_contracts,
    tier_number,
)

RULE = ByContracts()
TAKER = Fraction(1, 2000)
LIMITS = TierTable.of(
    [
        (10, Fraction(4, 1000), 0, 100),
        (20, Fraction(5, 1000), 0, 50),
        (40, Fraction(1, 100), 0, 20),
    ],
    stepped=True,
)


def held(
    contract: Contract, size: Any, entry: Any = 100, isolated: bool = True, leverage: Any = 10
) -> Held:
    return Held(contract, size, entry, leverage, LIMITS, TAKER, isolated)  # type: ignore[arg-type]  # exact


@pytest.mark.parametrize(
    ("size", "number"),
    [(1, 1), (10, 1), (10.01, 2), (-10, 1), (-10.01, 2), (20, 2), (20.01, 3), (40, 3), (41, 3)],
)
def test_a_cap_belongs_to_the_lower_tier_on_both_sides(size: float, number: int) -> None:
    assert tier_number(LIMITS, size) == number
    assert tier_by_contracts(LIMITS, size) is LIMITS.tiers[number - 1]


def test_the_noise_of_a_cut_to_a_cap_does_not_reach_the_next_tier() -> None:
    size = 30.0 - 30.0 * (1 - 20 / 30.0)
    assert tier_number(LIMITS, max(size, 20.000000000000004)) == 2
    assert tier_number(LIMITS, 20.00000001) == 3


@given(contracts(), sizes, prices)
def test_the_requirement_is_one_line_through_zero_at_every_price(
    contract: Contract, size: Fraction, price: Fraction
) -> None:
    """trap of tiers by notional: here a price move never changes the rate."""
    position = held(contract, size)
    rate = tier_by_contracts(LIMITS, size).mmr + TAKER
    table = RULE.requirement(position)
    assert table.maintenance(position.value(price)) == position.value(price) * rate
    assert table.edges == ()


@given(contracts(), sizes)
def test_the_requirement_jumps_by_the_whole_position_at_an_edge(
    contract: Contract, size: Fraction
) -> None:
    for low, high in pairwise(LIMITS.tiers):
        edge = low.cap
        below, above = (
            RULE.requirement(held(contract, s)) for s in (edge, edge + abs(size) / 10**6)
        )
        notional = contract.notional(edge, Fraction(100))  # type: ignore[arg-type]  # exact
        assert above.maintenance(notional) - below.maintenance(notional) == (
            notional * (high.mmr - low.mmr)
        )


@given(contracts(), sizes, prices, prices, fractions(1, 50))
def test_initial_margin_is_at_entry_in_isolated_and_at_the_price_in_cross(
    contract: Contract, size: Fraction, entry: Fraction, price: Fraction, leverage: Fraction
) -> None:
    alone = held(contract, size, entry, leverage=leverage)
    shared = alone._replace(isolated=False)
    assert RULE.initial(alone, price) == contract.notional(size, entry) / leverage
    assert RULE.initial(shared, price) == contract.notional(size, price) / leverage


@pytest.mark.parametrize(
    ("leverage", "contracts_allowed"), [(100, 10), (50, 20), (51, 10), (20, 40), (1, 40), (101, 0)]
)
@given(contract=contracts(), price=prices)
def test_the_cap_is_the_value_of_the_contracts_allowed(
    leverage: float, contracts_allowed: int, contract: Contract, price: Fraction
) -> None:
    cap = RULE.cap(held(contract, 1, leverage=leverage), price)
    assert cap == contract.notional(contracts_allowed, price)


def test_a_table_without_leverage_caps_nothing() -> None:
    free = held(Contract("X"), 1)._replace(limits=TierTable.flat(0.005))
    assert RULE.cap(free, 100) == float("inf")


@given(st.sampled_from([1, -1]), fractions(1, 40), prices, fractions(1, 30))
def test_the_linear_formula_of_the_venue(
    side: int, count: Fraction, entry: Fraction, leverage: Fraction
) -> None:
    """LP = (EP − side · margin / qty) / (1 − side · (mmr + taker))."""
    contract, size = Contract("X", multiplier=1), side * count
    position = held(contract, size, entry, leverage=leverage)
    margin = RULE.initial(position, entry)
    rate = tier_by_contracts(LIMITS, size).mmr + TAKER
    expected = (entry - side * margin / count) / (1 - side * rate)
    leg = Leg(contract, size, entry, RULE.requirement(position))  # type: ignore[arg-type]  # exact
    found = liquidation_price([leg], margin)
    assert found == (expected if expected > 0 else None)
    again = liquidation_price_at(contract, size, entry, margin, rate)  # type: ignore[arg-type]  # exact
    assert again == found


@given(st.sampled_from([1, -1]), fractions(1, 40), prices, fractions(2, 30))
def test_the_inverse_formula_of_the_venue(
    side: int, count: Fraction, entry: Fraction, leverage: Fraction
) -> None:
    """LP = face · (1 + side · (mmr + taker)) / (face / EP + side · margin)."""
    contract, size = Contract("X/USD:X", "inverse", 100, "X"), side * count
    position = held(contract, size, entry, leverage=leverage)
    margin, face = RULE.initial(position, entry), 100 * count
    rate = tier_by_contracts(LIMITS, size).mmr + TAKER
    expected = face * (1 + side * rate) / (face / entry + side * margin)
    leg = Leg(contract, size, entry, RULE.requirement(position))  # type: ignore[arg-type]  # exact
    assert liquidation_price([leg], margin) == expected


def test_the_margin_level_of_the_api_sample() -> None:
    """okx-inv-iso: 1 contract of 10 USD, ETH-USD-210430, 2021-04-27; the level counts the fee."""
    contract = Contract("ETH/USD:ETH", "inverse", 10, "ETH")
    position = Held(contract, 1, 2566.31, 10, TierTable.flat(0.008), 0.0005, True)
    mark = 10 / (3.11811092368e-05 / 0.008)
    need = RULE.requirement(position).maintenance(position.value(mark))
    equity = 0.0003896645377994 + contract.pnl(1, 2566.31, mark)
    assert margin_level(equity, need) == pytest.approx(11.731726509588816, abs=1e-6)
    assert margin_level(1.0, 0.0) is None
