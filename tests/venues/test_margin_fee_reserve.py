"""Margin rules with a closing-fee reserve: their published prices, as laws on exact fractions."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core.closing_fee import closing_fee, closing_fee_of_balance
from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg, direction
from bt_margin.core.liquidation import liquidation_price
from bt_margin.core.tiers import TierTable
from bt_margin.venues.margin import Held, MarginRule
from bt_margin.venues.margin_fee_reserve import (
    EntryValueWithReserve,
    MarkValueWithReserve,
    thinned,
    uncovered,
)

LINEAR = Contract("X", multiplier=F(1))
COIN = Contract("X/USD:X", "inverse", F(1), "X")
ENTRY, MARK = EntryValueWithReserve(), MarkValueWithReserve()
LADDER = TierTable.of([(1_000, F(1, 200), 0), (5_000, F(1, 100), None), (None, F(1, 40), None)])

sides = st.sampled_from([1, -1])
contracts = st.sampled_from([LINEAR, COIN])
entries = st.integers(20, 5_000).map(F)
quantities = st.integers(1, 400).map(lambda n: F(n, 10))
leverages = st.integers(15, 500).map(lambda n: F(n, 10))
takers = st.integers(0, 100).map(lambda n: F(n, 100_000))
rates = st.integers(1, 50).map(lambda n: F(n, 10_000))
extras = st.integers(0, 100).map(lambda n: F(n, 1_000))


def position(
    contract: Contract, side: int, qty: F, entry: F, leverage: F, taker: F, table: TierTable
) -> Held:
    """An isolated position; ``qty`` in coins at entry, whatever the kind."""
    size = side * qty * (entry if contract.kind == "inverse" else 1)
    return Held(contract, size, entry, leverage, table, taker, isolated=True)


def solved(rule: MarginRule, held: Held, balance: F) -> F | None:
    table = rule.requirement(held._replace(balance=balance if held.isolated else F(0)))
    found = liquidation_price([Leg(held.contract, held.size, held.entry, table)], balance)
    assert found is None or isinstance(found, F | int)
    return found if found is None else F(found)


# -- what a position brings ------------------------------------------------------------------------


@given(contracts, sides, quantities, entries, leverages, takers, st.integers(50, 200))
def test_initial_margin_is_value_over_leverage_and_the_reserve(
    contract: Contract, side: int, qty: F, entry: F, leverage: F, taker: F, percent: int
) -> None:
    held = position(contract, side, qty, entry, leverage, taker, LADDER)
    price = entry * percent / 100
    fee = closing_fee(contract, held.size, entry, leverage, taker)
    at_entry = held.value(entry) / leverage + fee
    at_mark = held.value(price) / leverage + fee
    cross = held._replace(isolated=False)
    assert ENTRY.initial(held, price) == ENTRY.initial(cross, price) == at_entry
    assert MARK.initial(held, price) == at_entry
    assert MARK.initial(cross, price) == at_mark
    for rule in (ENTRY, MARK):
        assert rule.cap(held, price) == LADDER.cap(leverage)
        assert not rule.plain
        assert rule.reads_balance


# -- isolated, before 2025-09-02 -------------------------------------------------------------------


@given(sides, quantities, entries, leverages, takers, extras)
def test_linear_at_entry(side: int, qty: F, entry: F, leverage: F, taker: F, part: F) -> None:
    """LP = entry − side · ((IM − MM)/qty + extra/qty): 'Liquidation Price (USDT Contract)'."""
    held = position(LINEAR, side, qty, entry, leverage, taker, LADDER)
    value = qty * entry
    extra = value * part
    margin, need = value / leverage, LADDER.maintenance(value)
    assume(margin > need)
    price = entry - side * ((margin - need) / qty + extra / qty)
    assume(price > 0)
    assert solved(ENTRY, held, ENTRY.initial(held, entry) + extra) == price


@given(sides, quantities, entries, leverages, takers, extras)
def test_inverse_at_entry_by_the_bankruptcy_price(
    side: int, qty: F, entry: F, leverage: F, taker: F, part: F
) -> None:
    """size/LP = size/bust − side · MM, as the sample of an ETHUSD position with added margin says."""
    held = position(COIN, side, qty, entry, leverage, taker, LADDER)
    size, value = qty * entry, qty
    margin, need = ENTRY.initial(held, entry) + value * part, LADDER.maintenance(value)
    coins = size / entry + side * margin
    assume(coins > 0)
    bust = size * (1 + side * taker) / coins
    coins = size / bust - side * need
    assume(coins > 0 and value / leverage > need)
    assert solved(ENTRY, held, margin) == size / coins


# -- isolated, since 2025-09-02 --------------------------------------------------------------------


@given(sides, quantities, entries, leverages, takers, rates, extras)
def test_linear_at_mark(
    side: int, qty: F, entry: F, leverage: F, taker: F, mmr: F, part: F
) -> None:
    """LP = (entry·qty·(1 − side/lev) − side·extra/(1 − side·taker)) / (qty·(1 − side·mmr))."""
    assume(1 / leverage > mmr)
    held = position(LINEAR, side, qty, entry, leverage, taker, TierTable.flat(mmr))
    extra = qty * entry * part
    fee_adjusted = extra / (1 - side * taker)
    price = (entry * qty * (1 - side / leverage) - side * fee_adjusted) / (qty * (1 - side * mmr))
    assume(price > 0 and fee_adjusted < qty * entry * (1 - side / leverage))
    assert solved(MARK, held, MARK.initial(held, entry) + extra) == price


@given(sides, quantities, entries, leverages, takers, rates, extras)
def test_inverse_at_mark(
    side: int, qty: F, entry: F, leverage: F, taker: F, mmr: F, part: F
) -> None:
    """size·(1 ± mmr) / (size/entry ± size/entry/lev ± extra/(1 ± taker)): the page of 2026-05-27."""
    assume(1 / leverage > mmr)
    held = position(COIN, side, qty, entry, leverage, taker, TierTable.flat(mmr))
    size, value = qty * entry, qty
    extra = value * part
    coins = value + side * value / leverage + side * extra / (1 + side * taker)
    assume(coins > 0)
    found = solved(MARK, held, MARK.initial(held, entry) + extra)
    assert found == size * (1 + side * mmr) / coins


@given(sides, contracts, quantities, entries, leverages, takers)
def test_in_a_higher_tier_the_deduction_counts(
    side: int, contract: Contract, qty: F, entry: F, leverage: F, taker: F
) -> None:
    held = position(contract, side, qty, entry, leverage, taker, LADDER)
    balance = MARK.initial(held, entry)
    table = MARK.requirement(held._replace(balance=balance))
    assume(table.maintenance(held.value(entry)) < balance)
    found = solved(MARK, held, balance)
    assume(found is not None)
    assert found is not None
    tier = LADDER.at(held.value(found))
    fee = closing_fee(contract, held.size, entry, leverage, taker)
    need = held.value(found) * tier.mmr - tier.deduction + fee
    assert balance + contract.pnl(held.size, entry, found) == need


# -- cross -----------------------------------------------------------------------------------------


@given(sides, quantities, entries, leverages, takers, rates, st.integers(1, 95))
def test_cross_linear_prices_before_and_since(
    side: int, qty: F, entry: F, leverage: F, taker: F, mmr: F, percent: int
) -> None:
    """Two formulas with fee_to_close fixed at entry; the requirement moves with the mark only since."""
    held = position(LINEAR, side, qty, entry, leverage, taker, TierTable.flat(mmr))
    cross = held._replace(isolated=False)
    fee = qty * entry * (1 - side / leverage) * taker
    balance = qty * entry * F(percent, 100)
    assume(balance > qty * entry * mmr + fee)
    before = entry + side * (qty * entry * mmr + fee - balance) / qty
    since = (fee - balance + side * qty * entry) / (qty * (side - mmr))
    if before > 0:
        assert solved(ENTRY, cross, balance) == before
    if since > 0:
        assert solved(MARK, cross, balance) == since


@given(contracts, sides, quantities, entries, leverages, takers)
def test_in_cross_the_balance_has_no_part_in_the_reserve(
    contract: Contract, side: int, qty: F, entry: F, leverage: F, taker: F
) -> None:
    held = position(contract, side, qty, entry, leverage, taker, LADDER)._replace(isolated=False)
    fee = closing_fee(contract, held.size, entry, leverage, taker)
    for rule in (ENTRY, MARK):
        table = rule.requirement(held._replace(balance=F(77)))
        assert table.maintenance(held.value(entry)) == LADDER.maintenance(held.value(entry)) + fee


def test_at_entry_the_mark_does_not_move_the_requirement_and_at_mark_it_does() -> None:
    held = position(LINEAR, 1, F(1), F(20_000), F(50), F(0), TierTable.flat(F(1, 200)))
    assert {ENTRY.requirement(held).maintenance(n) for n in (1, 19_700, 10**9)} == {100}
    assert MARK.requirement(held).maintenance(19_000) == 95


def test_the_tier_at_entry_is_that_of_the_entry_value() -> None:
    held = position(LINEAR, -1, F(40), F(50), F(10), F(0), LADDER)
    assert ENTRY.requirement(held).maintenance(100) == LADDER.maintenance(2_000) == 15


@pytest.mark.parametrize("rule", [ENTRY, MARK])
@pytest.mark.parametrize(("contract", "side"), [(LINEAR, 1), (COIN, -1)])
def test_a_fully_paid_position_reserves_nothing(
    rule: MarginRule, contract: Contract, side: int
) -> None:
    held = position(contract, side, F(2), F(100), F(1), F(1, 1_000), LADDER)
    need = rule.requirement(held._replace(balance=held.value(F(100))))
    assert need.maintenance(held.value(F(100))) == LADDER.maintenance(held.value(F(100)))


# -- both sides held -------------------------------------------------------------------------------


@given(quantities, quantities, entries, leverages, takers, sides)
def test_the_covered_part_costs_only_the_two_reserves(
    qty: F, other: F, entry: F, leverage: F, taker: F, side: int
) -> None:
    held = position(LINEAR, side, qty, entry, leverage, taker, LADDER)._replace(isolated=False)
    paired = held._replace(opposite=-side * other)
    net = max(F(0), qty - other)
    fee = closing_fee(LINEAR, held.size, entry, leverage, taker)
    for price in (entry / 2, entry, entry * 3):
        need = MARK.requirement(paired).maintenance(qty * price)
        assert need == LADDER.maintenance(net * price) + fee
        assert ENTRY.requirement(paired).maintenance(qty * price) == (
            LADDER.maintenance(net * entry) + fee
        )


def test_isolated_sides_stand_alone() -> None:
    held = position(LINEAR, 1, F(4), F(100), F(10), F(0), LADDER)
    assert uncovered(held._replace(opposite=F(-4))) == 1
    assert uncovered(held._replace(isolated=False, opposite=F(-4))) == 0
    assert uncovered(held._replace(isolated=False, opposite=F(4))) == 1


@given(st.integers(1, 10), st.integers(1, 40_000))
def test_a_thinned_table_asks_of_the_whole_what_the_table_asks_of_the_share(
    tenths: int, notional: int
) -> None:
    share = F(tenths, 10)
    assert thinned(LADDER, share).maintenance(F(notional)) == LADDER.maintenance(notional * share)


def test_the_reserve_follows_margin_added_by_hand() -> None:
    held = position(COIN, 1, F(1), F(100), F(10), F(1, 1_000), LADDER)
    balance = F(3, 10)
    fee = closing_fee_of_balance(COIN, held.size, F(100), balance, F(1, 1_000))
    for rule in (ENTRY, MARK):
        need = rule.requirement(held._replace(balance=balance)).maintenance(F(1))
        assert need == LADDER.maintenance(F(1)) + fee
    assert direction(COIN) == -1
