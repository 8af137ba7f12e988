"""Aave v3 and the engine: a whole account after a closing and before a fill, and what cannot be lent.

Without interest unless a story is about it (``utilisation=0``), without swap costs unless it says so.
"""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import live, near
from venues.aave_book import BTC, ETH, MODES, aave, mixed, sales

import bt_margin as btm


def test_a_short_bought_back_whole_leaves_the_other_with_its_own_requirement() -> None:
    """After the ETH is bought back only (1 − 0.8) of the cash that remains is asked."""
    account = mixed(-5.0, -1.0, 20_000.0)
    account.fill(ETH, 5.0, 2_000.0)
    assert account.cross.maintenance() == near(0.2 * (20_000 + 20_000))
    assert account.liquidation_price(BTC) == near(0.8 * 40_000)
    account = mixed(-5.0, 1.0, 20_000.0)
    account.fill(ETH, 5.0, 2_000.0)
    assert account.cross.maintenance() == near(0.22 * 20_000)
    assert account.liquidation_price(BTC) is None


def test_what_nobody_lends_is_not_sold_short() -> None:
    account = btm.Account(aave(), cash=1_000.0, leverage=2.0, debug=True)
    account.mark("AAVE/USDC", 100.0)
    assert account.fill("AAVE/USDC", -1.0, 100.0).refusal is not None
    assert account.fill("AAVE/USDC", 1.0, 100.0).refusal is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["market", "limit"])
def test_a_short_opened_in_a_bar_is_liquidated_in_it(mode: Any, kind: str) -> None:
    """3 times short from 2,000 the price of a health factor of one is 2,133: the bar goes to 2,150."""
    from bt_margin.engine.resting import Resting

    account = btm.Account(aave(), cash=10_000.0, margin_mode=mode, leverage=3.0, debug=True)
    account.mark(ETH, 2_000.0)
    order = (
        Resting(1, ETH, -15.0, kind, 2_000.0) if kind == "limit" else Resting(1, ETH, -15.0, kind)
    )
    live(account, {ETH: (2_000.0, 2_150.0, 2_000.0, 2_100.0)}, [order])
    (sale,) = sales(account)
    assert sale[1] == near(0.8 * 40_000 / 15)
