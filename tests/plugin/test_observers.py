"""Observers show the account's numbers of each bar, in both loops, and nothing without one."""

from __future__ import annotations

import math
from typing import Any

import pytest
from plugin.desk import BTC, ETH, ActingBroker, account_with, bars_of, run_with

from bt_margin.engine.account import Account
from bt_margin.plugin.observers import Available, FundingPaid, LiquidationPrice, MarginRatio

LOOPS = {"runonce": {}, "next": {"runonce": False}, "no preload": {"preload": False}}
CLOSES = [100.0, 100.0, 110.0, 95.0, 100.0]
FRAMES = {BTC: bars_of(CLOSES), ETH: bars_of([10.0] * 3, start="2024-01-02")}


def buy(account: Account) -> None:
    account.fill(BTC, 500.0, 100.0)


def settle(account: Account) -> None:
    account.fund(BTC, 0.001)


def earn(account: Account) -> None:
    account.fund(BTC, -0.0004)
    account.fill(BTC, -500.0, 95.0)


ACTS = {2: buy, 3: settle, 4: earn}


def line_of(observer: Any, *lines: Any, broker: Any = None, **run: Any) -> list[float]:
    """The values of the observer's line over the run."""
    strategy = run_with(broker, FRAMES, lambda cerebro: cerebro.addobserver(observer), **run)
    line = strategy.observers[0].lines[0]
    return list(line.get(size=len(line)))


@pytest.mark.parametrize("loop", LOOPS)
class TestUnderAMarginBroker:
    def test_the_margin_ratio_is_that_of_the_nearest_pool(self, loop: str) -> None:
        seen = line_of(MarginRatio, broker=ActingBroker(account_with(), ACTS), **LOOPS[loop])
        bought = 500 * 100 * 0.005 / (10_000 - 25)
        settled = 500 * 110 * 0.005 / (10_000 - 25 - 55 + 5_000)
        assert seen == pytest.approx([0.0, bought, settled, 0.0, 0.0])

    def test_isolated_pools_are_judged_each_by_itself(self, loop: str) -> None:
        account = account_with(margin_mode="isolated")
        seen = line_of(MarginRatio, broker=ActingBroker(account, {2: buy}), **LOOPS[loop])
        assert seen[1:4] == pytest.approx([0.05, 275 / 10_000, 237.5 / 2_500])

    def test_the_liquidation_price_of_the_feed(self, loop: str) -> None:
        seen = line_of(LiquidationPrice, broker=ActingBroker(account_with(), ACTS), **LOOPS[loop])
        price = (50_000 - 9_975) / (500 * 0.995)
        after = (50_000 - 9_975 + 55) / (500 * 0.995)
        assert seen[1:3] == pytest.approx([price, after])
        assert [math.isnan(value) for value in seen] == [True, False, False, True, True]

    def test_available_is_the_brokers_cash(self, loop: str) -> None:
        seen = line_of(Available, broker=ActingBroker(account_with(), ACTS), **LOOPS[loop])
        bought, settled = 9_975 - 5_000, 9_975 - 55 + 5_000 - 5_500
        end = 9_975 - 55 + 19 - 2_500 - 500 * 95 * 0.0005
        assert seen == pytest.approx([10_000, bought, settled, end, end])

    def test_funding_paid_adds_up_and_received_funding_lowers_it(self, loop: str) -> None:
        seen = line_of(FundingPaid, broker=ActingBroker(account_with(), ACTS), **LOOPS[loop])
        assert seen == pytest.approx([0.0, 0.0, 55.0, 36.0, 36.0])

    def test_one_liquidation_price_per_feed(self, loop: str) -> None:
        def both(account: Account) -> None:
            account.fill(BTC, 500.0, 100.0)
            account.fill(ETH, -100.0, 10.0)

        strategy = run_with(
            ActingBroker(account_with(), {3: both}),
            FRAMES,
            lambda cerebro: cerebro.addobservermulti(LiquidationPrice),
            **LOOPS[loop],
        )
        btc, eth = strategy.stats.liquidationprice
        assert btc.lines.price[0] < 100.0
        assert eth.lines.price[0] > 10.0


@pytest.mark.parametrize("loop", LOOPS)
def test_under_the_stock_broker_nothing_is_drawn_and_nothing_fails(loop: str) -> None:
    for observer in (MarginRatio, LiquidationPrice, FundingPaid):
        assert all(math.isnan(value) for value in line_of(observer, **LOOPS[loop]))
    assert line_of(Available, **LOOPS[loop]) == [10_000.0] * 5


def test_bounded_buffers_are_fine() -> None:
    def add(cerebro: Any) -> None:
        for observer in (MarginRatio, LiquidationPrice, Available, FundingPaid):
            cerebro.addobserver(observer)

    frames = {BTC: FRAMES[BTC]}
    strategy = run_with(ActingBroker(account_with(), ACTS), frames, add, exactbars=1)
    assert strategy.observers[3].lines.paid[0] == pytest.approx(36.0)
