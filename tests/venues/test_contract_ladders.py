"""Ladders of contracts, written as progressions."""

from __future__ import annotations

import pickle

import pytest

from bt_margin.venues.contract_ladders import (
    LadderSchedules,
    most_leverage,
    stepped_ladder,
    symbols_of,
)
from bt_margin.venues.names import moment

FILE = "okx.json"
RATES = [(0.004, 0.01), (0.005, 0.015)]


@pytest.mark.parametrize(
    ("rate", "most"),
    [
        (0.01, 100),
        (0.015, 66.66),
        (0.02, 50),
        (0.03, 33.33),
        (0.07, 14.28),
        (0.345, 2.89),
        (0.5, 2),
    ],
)
def test_the_most_leverage_is_cut_not_rounded(rate: float, most: float) -> None:
    assert most_leverage(rate) == most


def test_a_ladder_goes_on_until_the_initial_rate_is_a_half() -> None:
    table = stepped_ladder(RATES, [10, 20], 5)
    last = table.tiers[-1]
    assert (len(table.tiers), last.cap, last.mmr, last.max_leverage) == (99, 505, 0.49, 2)
    assert table.stepped


def test_caps_and_rates_go_on_each_from_their_own_last_row() -> None:
    table = stepped_ladder(RATES, [10, 20, 40], 30, tiers=5)
    assert [(t.floor, t.cap, t.mmr) for t in table.tiers] == [
        (0, 10, 0.004), (10, 20, 0.005), (20, 40, 0.01), (40, 70, 0.015), (70, 100, 0.02),
    ]  # fmt: skip
    short = stepped_ladder([*RATES, (0.02, 0.03)], [10], 30, tiers=4)
    assert [(t.cap, t.mmr) for t in short.tiers] == [
        (10, 0.004), (40, 0.005), (70, 0.02), (100, 0.025),
    ]  # fmt: skip


def test_a_stated_leverage_replaces_that_of_the_rate_and_is_not_carried_on() -> None:
    table = stepped_ladder([(0.03, 0.0666, 15)], [10], 10, tiers=2)
    assert [t.max_leverage for t in table.tiers] == [15, most_leverage(0.0716)]


def test_no_deduction_anywhere() -> None:
    for symbol in symbols_of(FILE):
        for _, table in LadderSchedules(FILE, [symbol])[symbol].tables:
            assert {tier.deduction for tier in table.tiers} == {0}


def test_only_the_chosen_symbols_are_there() -> None:
    two = LadderSchedules(FILE, ["ETH/USDT:USDT", "BTC/USDT:USDT"])
    assert list(two) == ["ETH/USDT:USDT", "BTC/USDT:USDT"]
    assert (len(two), "SOL/USDT:USDT" in two) == (2, False)
    with pytest.raises(KeyError):
        two["SOL/USDT:USDT"]


def test_schedules_travel_as_names() -> None:
    one = LadderSchedules(FILE, ["BTC/USDT:USDT"], moment("2026-05-28"))
    copy = pickle.loads(pickle.dumps(one))
    assert (copy, hash(copy)) == (one, hash(one))
    assert copy["BTC/USDT:USDT"] is one["BTC/USDT:USDT"]
    assert one != LadderSchedules(FILE, ["BTC/USDT:USDT"])
    assert "1 symbols" in repr(one)
