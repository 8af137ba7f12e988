"""Initial margin by open interest, requirement without it; dated tables of both."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.open_interest import initial_ppm
from bt_margin.core.tiers import Tier, TierTable
from bt_margin.errors import InputError
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_scaled import (
    Market,
    ScaledInitial,
    ScaledTable,
    open_interest,
    scaled_schedule,
)
from bt_margin.venues.spec import ALWAYS

PAIR = Contract("X", multiplier=1)
SOL = Market(100, 50_000, 600_000, 40e6, 100e6, "a forum")
INF = float("inf")
rates: Any = st.fractions(F(1, 100), 1, max_denominator=100)


@given(rates, rates, st.integers(-50, 50).filter(bool), st.integers(1, 100), st.integers(1, 50))
def test_the_larger_of_fraction_and_leverage_is_asked_for(
    rate: Any, required: Any, size: int, price: int, leverage: int
) -> None:
    table = ScaledTable((Tier(0, INF, min(required, F(99, 100))),), initial_rate=rate)
    held = Held(PAIR, size, price, F(leverage), table, 0, False)
    assert ScaledInitial().initial(held, price) == abs(size) * price * max(rate, F(1, leverage))
    assert ScaledInitial().requirement(held) is table


def test_a_table_of_the_users_own_leaves_notional_over_leverage() -> None:
    held = Held(PAIR, 2.0, 100.0, 10.0, TierTable.flat(0.01, 20), 0.0, False)
    assert ScaledInitial().initial(held, 100.0) == 20
    assert ScaledInitial().cap(held, 100.0) == INF
    assert ScaledInitial().cap(held._replace(leverage=21.0), 100.0) == 0


@given(st.floats(0, 2e8))
def test_open_interest_moves_the_initial_fraction_and_nothing_else(known: float) -> None:
    table = SOL.table(known)
    assert table.maintenance(1_000_000) == 30_000
    assert table.max_leverage(0) == 20
    assert table.initial_rate * 1e6 == pytest.approx(
        initial_ppm(50_000, int(known * 1e6), int(40e12), int(100e12))
    )


def test_a_schedule_changes_with_the_fractions_and_with_the_open_interest() -> None:
    later = SOL._replace(since=200, initial=100_000, source="a vote")
    known = ((50, 70e6), (150, 70e6), (160, 200e6), (250, 70e6))
    schedule = scaled_schedule([SOL, later], known)
    rows = [(t, table.mmr, r) for t, table, r in rows_of(schedule)]
    assert rows == [
        (100, 0.03, 0.525),
        (160, 0.03, 1.0),
        (200, 0.06, 1.0),
        (250, 0.06, 0.55),
    ]
    assert schedule.source(180) == "a forum"
    assert schedule.source(260) == "a vote"


def rows_of(schedule: Any) -> list[tuple[int, Tier, float]]:
    return [(since, table.tiers[0], table.initial_rate) for since, table in schedule.tables]


def test_before_the_first_known_open_interest_nothing_is_scaled() -> None:
    schedule = scaled_schedule([SOL], ((500, 100e6),))
    assert [r for _, _, r in rows_of(schedule)] == [0.05, 1.0]
    assert schedule.next_change(100) == 500


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (7, ((ALWAYS, 7.0),)),
        ([(1, 2), (2, 3.5)], ((1, 2.0), (2, 3.5))),
        ({1: 2, 5: 0}, ((1, 2.0), (5, 0.0))),
        ([], ()),
    ],
)
def test_open_interest_is_a_number_or_pairs(value: object, found: object) -> None:
    assert open_interest(value, "open_interest") == found


@pytest.mark.parametrize(
    "value",
    [None, "7", b"7", -1, float("nan"), True, [1, 2], [(1, 2, 3)], [(1, -2)], ["ab"],
     [(2, 1), (2, 1)], [(2, 1), (1, 1)], [(float("nan"), 1)]],
)  # fmt: skip
def test_what_is_no_open_interest_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(InputError, match="of SOL"):
        open_interest(value, "open interest of SOL")
