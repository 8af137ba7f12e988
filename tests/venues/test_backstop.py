"""The market first, in one part or two, and a backstop for what is too far gone."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.backstop import MarketThenBackstop
from bt_margin.venues.policies import Breach, Closing, Exposed

POLICY = MarketThenBackstop(100_000, 0.2, 2 / 3)
FLAT = TierTable.flat(0.03)


def exposed(symbol: str, notional: float, loss: float = 0.0, side: int = 1) -> Exposed:
    return Exposed(symbol, Contract(symbol), side * notional / 100, 100.0, loss, FLAT)


def breach(equity: float, *positions: Exposed, closed: Any = None) -> Breach:
    need = sum(p.table.maintenance(p.notional) for p in positions)
    return Breach(equity, need, positions, {p.symbol: 0.0 for p in positions}, closed or {})


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("notional", "fraction"), [(100_000, 1.0), (100_001, 0.2), (5_000_000, 0.2), (10, 1.0)]
)
def test_only_a_position_above_the_threshold_goes_in_two_steps(
    side: int, notional: float, fraction: float
) -> None:
    one = exposed("A", notional, side=side)
    assert POLICY.choose(breach(0.03 * notional, one)) == (Closing("A", fraction, "sale"),)


def test_the_second_time_everything_goes() -> None:
    one = exposed("A", 400_000)
    state = breach(11_000, one, closed={"A": 1})
    assert POLICY.choose(state) == (Closing("A", 1.0, "sale"),)


def test_the_largest_loss_goes_first_and_ties_go_by_name() -> None:
    state = breach(7_000, exposed("A", 200_000, 5), exposed("B", 50_000, 9))
    assert POLICY.choose(state) == (Closing("B", 1.0, "sale"),)
    state = breach(7_000, exposed("B", 90_000, 5), exposed("A", 50_000, 5))
    assert POLICY.choose(state) == (Closing("A", 1.0, "sale"),)


def test_after_one_position_was_sold_in_part_the_next_goes_whole() -> None:
    state = breach(11_500, exposed("A", 200_000, 5), exposed("B", 200_000, 9), closed={"A": 1})
    assert POLICY.choose(state) == (Closing("B", 1.0, "sale"),)


@pytest.mark.parametrize(("equity", "settle"), [(2_000, "sale"), (1_999.99, "takeover")])
def test_below_two_thirds_of_the_requirement_the_backstop_takes_everything(
    equity: float, settle: str
) -> None:
    state = breach(equity, exposed("A", 60_000, 1), exposed("B", 40_000, 2))
    found = POLICY.choose(state)
    assert {c.settle for c in found} == {settle}
    assert [c.symbol for c in found] == (["B"] if settle == "sale" else ["A", "B"])
    assert {c.fraction for c in found} == {1.0}


@pytest.mark.parametrize("numbers", [(-1, 0.2, 0.5), (1, 0, 0.5), (1, 1.1, 0.5), (1, 0.2, 1.1)])
def test_numbers_that_cannot_be_are_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="backstop"):
        MarketThenBackstop(*numbers)
