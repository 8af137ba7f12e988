"""Fees are a rate on notional; a rebate is a negative maker rate."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.core import Fees, fee
from bt_margin.errors import InputError


def test_fees_are_paid_and_rebates_received() -> None:
    fees = Fees(maker=-0.0001, taker=0.0005, liquidation=0.0)
    assert fee(10_000, fees.taker) == 5
    assert fee(10_000, fees.maker) == -1


@pytest.mark.parametrize(
    "rates",
    [(float("nan"), 0, 0), (0, float("inf"), 0), (0, 0, -0.01), ("0.1%", 0, 0), (0, None, 0)],
)
def test_rates_that_cannot_be_meant_are_refused(rates: tuple[Any, Any, Any]) -> None:
    with pytest.raises(InputError):
        Fees(*rates)
