"""Initial margin by size, requirement without it, and the largest position."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierTable
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_by_size import SizeSteps, SteppedInitial

STEPS = SizeSteps(F(1, 20), F(1, 100), F(9), F(3, 2), F(170))
RULE = SteppedInitial({"X": STEPS})


def held(size: float, leverage: float = 20, symbol: str = "X") -> Held:
    table = TierTable.flat(F(3, 100), 20)
    return Held(Contract(symbol, multiplier=1), F(size), F(100), F(leverage), table, 0.0, False)


@pytest.mark.parametrize(
    ("size", "leverage", "rate"),
    [(9, 20, F(5, 100)), (-9, 10, F(1, 10)), (10, 20, F(6, 100)), (-12, 20, F(7, 100)),
     (30, 10, F(19, 100)), (30, 5, F(1, 5))],
)  # fmt: skip
def test_the_larger_of_steps_and_leverage_is_asked_for(
    size: float, leverage: float, rate: F
) -> None:
    assert RULE.initial(held(size, leverage), F(50)) == abs(size) * 50 * rate


def test_the_requirement_is_the_table_whatever_the_size() -> None:
    for size in (1, 100):
        assert RULE.requirement(held(size)).maintenance(F(1_000)) == 30


def test_no_position_is_larger_than_the_largest() -> None:
    assert RULE.cap(held(1), F(100)) == 17_000
    assert RULE.cap(held(1, leverage=21), F(100)) == 0


def test_a_symbol_without_steps_brings_notional_over_leverage() -> None:
    other = held(30, 10, "Y")
    assert RULE.initial(other, F(100)) == 300
    assert RULE.cap(other, F(100)) == float("inf")
