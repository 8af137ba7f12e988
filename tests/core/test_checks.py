"""Numbers are checked where a value is built, and exact fractions are numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from bt_margin.core.checks import above_zero, finite, is_finite, not_negative
from bt_margin.errors import InputError

INF = float("inf")


@pytest.mark.parametrize("value", [0, -1, 2.5, Fraction(1, 3)])
def test_numbers_of_every_kind_are_finite(value: float) -> None:
    assert is_finite(value)


@pytest.mark.parametrize("value", [float("nan"), INF, -INF, None, "1", True, Decimal(1), [1]])
def test_what_is_not_a_finite_number_is_refused(value: float) -> None:
    assert not is_finite(value)
    with pytest.raises(InputError, match="rate is not a number"):
        finite("rate", value)


def test_the_message_names_the_place() -> None:
    with pytest.raises(InputError, match=r"fee is negative: found -1, allowed 0 or more \(BTC\)"):
        not_negative("fee", -1, "BTC")
    with pytest.raises(InputError, match="price is not above zero"):
        above_zero("price", 0)
