"""Open, add, reduce, close, flip: size, entry and realised profit of every fill."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from core.exact import contracts, prices, quantities, sizes
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import Change, Contract, change

LINEAR = Contract("X")
held = st.one_of(st.just(Fraction(0)), sizes)


@pytest.mark.parametrize(
    ("size", "entry", "fill", "price", "expected"),
    [
        (0, 0, -2, 100, Change(-2, 100, -2, 0, 0)),
        (2, 100, 2, 110, Change(4, 105, 2, 0, 0)),
        (-1, 90, -3, 110, Change(-4, 105, -3, 0, 0)),
        (4, 100, -1, 110, Change(3, 100, 0, -1, 10)),
        (-4, 100, 1, 110, Change(-3, 100, 0, 1, -10)),
        (4, 100, -4, 110, Change(0, 0, 0, -4, 40)),
        (4, 100, -6, 110, Change(-2, 110, -2, -4, 40)),
        (-4, 100, 6, 110, Change(2, 110, 2, 4, -40)),
        (4, 100, 0, 110, Change(4, 100, 0, 0, 0)),
        (0, 0, 0, 110, Change(0, 0, 0, 0, 0)),
    ],
)
def test_every_kind_of_fill(
    size: float, entry: float, fill: float, price: float, expected: Change
) -> None:
    assert change(LINEAR, size, entry, fill, price) == expected


@given(contracts(), held, prices, sizes, prices)
def test_opened_and_closed_make_up_the_fill(
    contract: Contract, size: Fraction, entry: Fraction, fill: Fraction, price: Fraction
) -> None:
    made = change(contract, size, entry, fill, price)
    assert made.opened + made.closed == fill
    assert made.size == size + fill
    assert made.opened * fill >= 0
    assert made.closed * fill >= 0
    assert abs(made.closed) <= abs(size)


@given(contracts(), held, prices, sizes, prices, prices)
def test_a_fill_creates_no_profit_out_of_nothing(
    contract: Contract,
    size: Fraction,
    entry: Fraction,
    fill: Fraction,
    price: Fraction,
    mark: Fraction,
) -> None:
    """trap 34, trap 35: realised plus unrealised after equals before plus the fill's own profit."""
    before = contract.pnl(size, entry, mark) if size else 0
    made = change(contract, size, entry, fill, price)
    after = contract.pnl(made.size, made.entry, mark) if made.size else 0
    assert made.realised + after == before + contract.pnl(fill, price, mark)


@given(contracts(), held, prices, sizes, prices, st.fractions(0, 1, max_denominator=12))
def test_splitting_a_fill_at_one_price_changes_nothing(
    contract: Contract,
    size: Fraction,
    entry: Fraction,
    fill: Fraction,
    price: Fraction,
    part: Fraction,
) -> None:
    """trap 36: size, entry and realised do not depend on the number of fills."""
    whole = change(contract, size, entry, fill, price)
    one = change(contract, size, entry, fill * part, price)
    two = change(contract, one.size, one.entry, fill - fill * part, price)
    assert (two.size, two.entry) == (whole.size, whole.entry)
    assert one.realised + two.realised == whole.realised
    assert one.opened + two.opened == whole.opened


@given(contracts(), held, prices, sizes, prices)
def test_long_and_short_mirror(
    contract: Contract, size: Fraction, entry: Fraction, fill: Fraction, price: Fraction
) -> None:
    one = change(contract, size, entry, fill, price)
    two = change(contract, -size, entry, -fill, price)
    assert two == Change(-one.size, one.entry, -one.opened, -one.closed, -one.realised)


@given(quantities, prices, quantities, prices)
def test_inverse_entries_average_harmonically(
    size: Fraction, entry: Fraction, added: Fraction, price: Fraction
) -> None:
    contract = Contract("X", kind="inverse", multiplier=100)
    made = change(contract, size, entry, added, price)
    assert made.entry == (size + added) / (size / entry + added / price)


def test_a_position_sold_off_in_parts_ends_at_exactly_zero() -> None:
    """trap 39: float noise never leaves a position that nobody holds."""
    dice = random.Random(39)
    for _ in range(300):
        parts = [round(dice.uniform(0.001, 3), 3) for _ in range(dice.randint(1, 12))]
        size = entry = 0.0
        for part in parts:
            size, entry, *_ = change(LINEAR, size, entry, part, 100.1)
        dice.shuffle(parts)
        for part in parts:
            size, entry, *_ = change(LINEAR, size, entry, -part, 99.7)
        assert (size, entry) == (0, 0)
    assert change(LINEAR, 0.3, 100, -(0.1 + 0.2), 100) == (0, 0, 0, -(0.1 + 0.2), 0)


def test_adding_at_the_entry_price_keeps_the_entry_to_the_bit() -> None:
    coin = Contract("X", kind="inverse", multiplier=100)
    for contract in (LINEAR, coin):
        assert change(contract, 0.1, 0.07, 0.2, 0.07).entry == 0.07
