"""Resting orders: the moment a straight leg triggers one, on both sides and at the edges."""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import SIDES, near
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.engine.resting import Leg, Resting, trigger


def leg(a: float, b: float, mark: tuple[float, float] | None = None) -> Leg:
    """A leg of the last price from path time 0.2 to 0.6."""
    return Leg(0.2, 0.6, a, b, *(mark or (a, b)))


def order(size: float, kind: Any, price: float = 0.0, **more: Any) -> Resting:
    return Resting(1, "X", size, kind, price, **more)


@pytest.mark.parametrize("side", SIDES)
def test_market_orders_go_at_once_and_close_orders_wait(side: int) -> None:
    assert trigger(order(side, "market"), leg(100, 90)) == 0.2
    assert trigger(order(side, "close"), leg(100, 90)) is None


#: kind, side, price, leg → path time
FALLING = [("limit", 1), ("stop", -1), ("stop_limit", -1)]
RISING = [("limit", -1), ("stop", 1), ("stop_limit", 1)]


@pytest.mark.parametrize(("kind", "side"), FALLING)
@pytest.mark.parametrize(
    ("price", "ends", "at"),
    [
        (95, (100, 90), 0.4),
        (90, (100, 90), 0.6),
        (89.9, (100, 90), None),
        (100, (100, 90), 0.2),
        (101, (100, 90), 0.2),
        (95, (90, 100), 0.2),
        (85, (90, 100), None),
        (90, (90, 100), 0.2),
        (100, (100, 100), 0.2),
        (99, (100, 100), None),
    ],
)
def test_bids_and_sell_stops_are_triggered_from_above(
    kind: str, side: int, price: float, ends: tuple[float, float], at: float | None
) -> None:
    found = trigger(order(side, kind, price), leg(*ends))
    assert found == (None if at is None else near(at))


@pytest.mark.parametrize(("kind", "side"), RISING)
@pytest.mark.parametrize(
    ("price", "ends", "at"),
    [
        (95, (90, 100), 0.4),
        (100, (90, 100), 0.6),
        (100.1, (90, 100), None),
        (90, (90, 100), 0.2),
        (89, (90, 100), 0.2),
        (95, (100, 90), 0.2),
        (105, (100, 90), None),
        (100, (100, 100), 0.2),
        (101, (100, 100), None),
    ],
)
def test_asks_and_buy_stops_are_triggered_from_below(
    kind: str, side: int, price: float, ends: tuple[float, float], at: float | None
) -> None:
    found = trigger(order(side, kind, price), leg(*ends))
    assert found == (None if at is None else near(at))


def test_a_stop_on_the_mark_does_not_look_at_the_last_price() -> None:
    both = leg(100, 80, mark=(100, 96))
    assert trigger(order(-1, "stop", 95), both) == near(0.3)
    assert trigger(order(-1, "stop", 95, on_mark=True), both) is None
    assert trigger(order(-1, "stop", 98, on_mark=True), both) == near(0.4)
    assert trigger(order(1, "stop", 98, on_mark=True), leg(90, 91, mark=(97, 99))) == near(0.4)


@given(
    a=st.floats(50, 150),
    b=st.floats(50, 150),
    price=st.floats(50, 150),
    side=st.sampled_from(SIDES),
    kind=st.sampled_from(["limit", "stop", "stop_limit"]),
)
def test_at_the_moment_it_is_triggered_the_price_is_there(
    a: float, b: float, price: float, side: int, kind: str
) -> None:
    """Either the leg begins beyond the price, or the price on the leg at that moment is the order's."""
    found = trigger(order(side, kind, price), leg(a, b))
    falling = (side > 0) == (kind == "limit")
    sign = -1 if falling else 1
    if found is None:
        assert max(sign * a, sign * b) < sign * price
    elif found > 0.2:
        assert leg(a, b).at(found)[0] == near(price, rel=1e-7)
    else:
        assert sign * a >= sign * price or near(price) == a


def test_a_leg_is_exact_at_both_ends_and_straight_between() -> None:
    one = Leg(0.1, 0.3, 100.0, 107.0, 50.0, 49.0)
    assert one.at(0.1) == one.at(0.0) == (100.0, 50.0)
    assert one.at(0.3) == one.at(0.9) == (107.0, 49.0)
    assert one.at(0.2) == near((103.5, 49.5))


def test_a_leg_without_length_stands_at_its_start() -> None:
    assert Leg(0.5, 0.5, 1.0, 2.0, 3.0, 4.0).at(0.7) == (1.0, 3.0)


def test_a_piece_of_a_leg_lies_on_it() -> None:
    one = Leg(0.0, 1.0, 100.0, 110.0, 50.0, 40.0)
    assert one.piece(0.25, 0.75) == Leg(0.25, 0.75, 102.5, 107.5, 47.5, 42.5)
    assert one.piece(0.0, 1.0) == one
