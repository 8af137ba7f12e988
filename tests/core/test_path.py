"""The path of a bar and the first breach on a leg, against a scan that tries every point."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from core.exact import amounts, contracts, fractions, prices, sizes, tables
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import (
    Contract,
    Leg,
    Moving,
    TierTable,
    first_breach,
    liquidation_price,
    low_is_nearer,
    nodes,
)

PAIR = Contract("X", multiplier=1)
STEPS = 60


def moving(kinds: tuple[str, ...], stepped: bool = False) -> st.SearchStrategy[Moving]:
    return st.builds(Moving, contracts(kinds), sizes, prices, tables(stepped), prices, prices)


linear_legs = st.lists(moving(("linear",)), min_size=1, max_size=3)
stepped_legs = st.lists(moving(("linear",), stepped=True), min_size=1, max_size=3)


def health(balance: Any, legs: list[Moving], s: Any) -> Any:
    """The readable definition: equity minus maintenance of the pool at s."""
    total = balance
    for leg in legs:
        price = leg.start + (leg.end - leg.start) * s
        total += leg.contract.pnl(leg.size, leg.entry, price)
        total -= leg.table.maintenance(leg.contract.notional(leg.size, price))
    return total


def scan(balance: Any, legs: list[Moving], until: Any = 1) -> bool:
    """True when some point of a fine grid before ``until`` is in breach."""
    return any(health(balance, legs, until * Fraction(n, STEPS)) <= 0 for n in range(STEPS))


@given(linear_legs, amounts)
def test_the_first_breach_is_exact_and_the_first(legs: list[Moving], balance: Fraction) -> None:
    found = first_breach(balance, legs)
    if found is None:
        assert not scan(balance, legs)
        assert health(balance, legs, Fraction(1)) > 0
    else:
        assert 0 <= found <= 1
        assert not scan(balance, legs, found) or found == 0
        at = health(balance, legs, found)
        assert at == 0 if found > 0 else at <= 0


@given(stepped_legs, amounts)
def test_a_jump_into_breach_is_found_at_its_edge(legs: list[Moving], balance: Fraction) -> None:
    found = first_breach(balance, legs)
    if found is None:
        assert not scan(balance, legs)
    elif found > 0:
        assert not scan(balance, legs, found)
        just_after = found + Fraction(1, 10**9)
        assert health(balance, legs, found) == 0 or health(balance, legs, just_after) <= 0


@given(moving(("inverse",)), moving(("inverse",)), amounts)
def test_inverse_legs_of_one_symbol_are_exact_too(
    one: Moving, two: Moving, balance: Fraction
) -> None:
    for legs in ([one], [one, two._replace(start=one.start, end=one.end)]):
        found = first_breach(balance, legs)
        if found is None:
            assert not scan(balance, legs)
        elif found > 0:
            assert not scan(balance, legs, found)
            assert health(balance, legs, found) == 0


floats = st.lists(moving(("inverse", "linear")), min_size=2, max_size=3).map(
    lambda legs: [
        leg._replace(size=float(leg.size), start=float(leg.start), end=float(leg.end))
        for leg in legs
    ]
)


@given(floats, st.floats(-2_000, 5_000))
def test_several_inverse_symbols_agree_with_the_scan(legs: list[Moving], balance: float) -> None:
    found = first_breach(balance, legs)
    if found is None:
        assert not scan(balance, legs)
    elif found > 0:
        assert not scan(balance, legs, found * (1 - 1e-6))
        slack = 1e-6 * (1 + sum(abs(health(0.0, [leg], found)) for leg in legs) + abs(balance))
        assert health(balance, legs, found) <= slack


@given(moving(("linear", "inverse")), amounts)
def test_the_price_at_the_breach_is_the_liquidation_price(leg: Moving, balance: Fraction) -> None:
    """trap 11: the intrabar crossing and the displayed price are one number."""
    found = first_breach(balance, [leg])
    static = Leg(leg.contract, leg.size, leg.entry, leg.table)
    displayed = liquidation_price([static], balance, mark=leg.start)
    if found is None:
        assert displayed is None or not leg.start <= displayed <= leg.end
        assert displayed is None or not leg.start >= displayed >= leg.end
    elif found > 0:
        assert leg.start + (leg.end - leg.start) * found == displayed


@given(linear_legs, amounts, fractions(0, 500), amounts)
def test_fixed_positions_are_balance(
    legs: list[Moving], balance: Fraction, demand: Fraction, gain: Fraction
) -> None:
    assert first_breach(balance, legs, demand, gain) == first_breach(balance + gain - demand, legs)


@given(linear_legs, amounts)
def test_a_leg_that_stands_still_counts_as_fixed(legs: list[Moving], balance: Fraction) -> None:
    still = legs[0]._replace(end=legs[0].start)
    rest = health(Fraction(0), [still], Fraction(0))
    assert first_breach(balance, [still, *legs[1:]]) == first_breach(balance + rest, legs[1:])


@given(linear_legs, amounts)
def test_long_and_short_mirror_without_maintenance(legs: list[Moving], balance: Fraction) -> None:
    free = [leg._replace(table=TierTable.flat(0)) for leg in legs]
    top = 1_000
    mirrored = [
        leg._replace(
            size=-leg.size, entry=top - leg.entry, start=top - leg.start, end=top - leg.end
        )
        for leg in free
    ]
    assert first_breach(balance, free) == first_breach(balance, mirrored)


def test_other_legs_move_too() -> None:
    """trap 3: B's loss liquidates the pool where the sum crosses, with A standing still."""
    flat = TierTable.flat(Fraction(1, 100))
    a = Moving(PAIR, 1, 100, flat, 100, 100)
    b = Moving(Contract("B", multiplier=1), 1, 100, flat, 100, 60)
    assert first_breach(31, [a]) is None
    found = first_breach(31, [a, b])
    assert found is not None
    assert 100 - 40 * found == Fraction(70, Fraction(99, 100))


def test_a_perfect_hedge_survives_the_joint_path() -> None:
    """trap 18: every symbol at its own worst is no verdict; together the legs gain and lose."""
    flat = TierTable.flat(Fraction(1, 200))
    a = Moving(PAIR, 10, 60_000, flat, 60_000, 59_000)
    b = Moving(Contract("B", multiplier=1), -10, 60_000, flat, 60_000, 59_000)
    assert first_breach(20_000, [a, b]) is None
    assert first_breach(11_000, [a]) is not None


def test_equal_to_maintenance_is_a_breach_also_at_the_last_point() -> None:
    leg = Moving(PAIR, 1, 100, TierTable.flat(0), 100, 90)
    assert first_breach(10, [leg]) == 1
    assert first_breach(Fraction(10) + Fraction(1, 10**9), [leg]) is None
    assert first_breach(0, [leg]) == 0


def test_a_dip_and_back_of_two_inverse_symbols_inside_one_leg_is_found() -> None:
    """One short loses early, the other gains late: in breach only in the middle of the leg.

    Health is 0.4 + 1/(1 + 9s) + 1/(10 − 9s) − 1.1, zero where (1 + 9s)(10 − 9s) = 11 / 0.7.
    """
    x, y = (Contract(name, kind="inverse", multiplier=1) for name in "XY")
    flat = TierTable.flat(0.0)
    legs = [Moving(x, -1.0, 1.0, flat, 1.0, 10.0), Moving(y, -1.0, 10.0, flat, 10.0, 1.0)]
    assert health(0.4, legs, 0.0) == health(0.4, legs, 1.0) == 0.4
    found = first_breach(0.4, legs)
    assert found == pytest.approx((9 - (121 - 4 * 11 / 0.7) ** 0.5) / 18, abs=1e-8)
    assert first_breach(0.75, legs) is None


def test_the_path_visits_the_extremes_in_the_order_asked_for() -> None:
    assert nodes(10, 12, 9, 11, low_first=True) == (10, 9, 12, 11)
    assert nodes(10, 12, 9, 11, low_first=False) == (10, 12, 9, 11)


@pytest.mark.parametrize(
    ("open", "high", "low", "expected"), [(10, 13, 9, True), (10, 11, 8, False), (10, 11, 9, True)]
)
def test_a_tie_goes_to_the_low(open: float, high: float, low: float, expected: bool) -> None:
    assert low_is_nearer(open, high, low) is expected


@pytest.mark.parametrize("balance", [20, Fraction(89, 2), 45])
def test_a_jump_into_breach_counts_although_the_gain_makes_up_for_it_later(
    balance: Fraction,
) -> None:
    """A rising long crosses a stepped edge into breach and would be healthy again at the end."""
    table = TierTable.of([(Fraction(110), 0, 0), (None, Fraction(1, 2), 0)], stepped=True)
    leg = Moving(PAIR, 1, 100, table, Fraction(100), Fraction(200))
    assert first_breach(balance, [leg]) == Fraction(1, 10)
    assert health(balance, [leg], Fraction(1)) > 0


def test_a_jump_into_breach_counts_beside_another_inverse_symbol_too() -> None:
    """A short of 1 coin at 100 is of 1.25 at 80, where a half of it is asked at once."""
    table = TierTable.of([(1.25, 0, 0), (None, 0.5, 0)], stepped=True)
    coins = [Contract(name, "inverse", 1.0, "X") for name in ("X", "Y")]
    legs = [
        Moving(coins[0], -100, 100.0, table, 100.0, 50.0),
        Moving(coins[1], -1, 100.0, TierTable.flat(0), 100.0, 60.0),
    ]
    assert first_breach(0.3, legs) == pytest.approx(0.4, abs=1e-9)
    assert first_breach(0.4, legs) is None


def test_what_lies_behind_the_start_is_no_breach() -> None:
    """A rising long that was in breach below 92, whose tier changes at 90: it goes from 95 to 105."""
    table = TierTable.of([(90, 0, 0), (None, Fraction(1, 10), None)])
    leg = Moving(PAIR, 1, 100, table, Fraction(95), Fraction(105))
    balance = Fraction(8) + Fraction(2, 10)
    assert health(balance, [leg], Fraction(-3, 10)) == 0
    assert first_breach(balance, [leg]) is None


def test_a_start_exactly_on_an_edge_is_judged_in_the_lower_tier() -> None:
    table = TierTable.of([(100, Fraction(1, 10), 0), (None, Fraction(1, 2), 0)], stepped=True)
    falling = Moving(PAIR, 1, 100, table, Fraction(100), Fraction(99))
    assert first_breach(20, [falling]) is None
    assert first_breach(10, [falling]) == 0
