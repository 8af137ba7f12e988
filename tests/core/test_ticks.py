"""Prices rounded up to the tick."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.ticks import round_down_to_tick, round_early, round_up_to_tick

PUBLISHED = [
    (1544.150633, 0.05, 1544.2),  # Bybit API reference, manual-add-margin: bustPrice
    (1550.755648, 0.05, 1550.8),  # the same: liqPrice
    (5739.083528, 0.5, 5739.5),  # Bybit legacy help centre, 2020
]


@pytest.mark.parametrize(("price", "tick", "shown"), PUBLISHED)
def test_published_prices(price: float, tick: float, shown: float) -> None:
    assert round_up_to_tick(Contract("X", tick=tick), price) == shown


@given(st.integers(1, 10**9), st.sampled_from([0.0001, 0.01, 0.05, 0.1, 0.5, 1.0, 25.0]))
def test_a_price_on_the_tick_stays_and_noise_does_not_lift_it(count: int, tick: float) -> None:
    pair = Contract("X", tick=tick)
    price = pair.round_price(count * tick)
    assert round_up_to_tick(pair, price) == price
    assert round_up_to_tick(pair, price * (1 + 1e-15)) == price
    assert round_down_to_tick(pair, price) == price
    assert round_down_to_tick(pair, price * (1 - 1e-15)) == price


@given(st.integers(1, 10**6), st.integers(1, 99))
def test_everything_between_two_ticks_goes_to_the_upper_one(count: int, percent: int) -> None:
    pair = Contract("X", tick=Fraction(1, 10))
    price = (count + Fraction(percent, 100)) / 10
    assert round_up_to_tick(pair, price) == round_early(pair, 2, price) == Fraction(count + 1, 10)
    assert round_down_to_tick(pair, price) == round_early(pair, -2, price) == Fraction(count, 10)


def test_without_a_tick_nothing_is_rounded() -> None:
    for rounded in (round_up_to_tick, round_down_to_tick):
        assert rounded(Contract("X"), 1544.150633) == 1544.150633
