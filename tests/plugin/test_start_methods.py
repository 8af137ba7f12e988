"""optstrategy in processes that were forked, spawned or served: the results of one process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import backtrader as bt
import pytest
from plugin.stage import bars, venue

import bt_margin as btm

METHODS = multiprocessing.get_all_start_methods()
PRICES = [100.0 + (step * 7 % 23) - step / 9 for step in range(120)]


class Turning(bt.Strategy):
    params = (("every", 5),)

    def next(self) -> None:
        if len(self) % self.p.every == 1:
            side = 1 if len(self) // self.p.every % 2 else -1
            self.order_target_percent(target=2.5 * side)


class Ended(bt.Analyzer):
    """What is left, and how much was booked."""

    def stop(self) -> None:
        broker = self.strategy.broker
        booked = [(entry.kind, entry.amount) for entry in broker.account.ledger]
        self.found = (self.strategy.p.every, broker.getvalue(), booked)

    def get_analysis(self) -> Any:
        return self.found


@pytest.fixture(autouse=True)
def start_method() -> Iterator[None]:
    before = multiprocessing.get_start_method()
    yield
    multiprocessing.set_start_method(before, force=True)


def tried(processes: int, **settings: Any) -> list[Any]:
    cerebro = bt.Cerebro(maxcpus=processes, **settings)
    cerebro.adddata(btm.PerpData(dataname=bars(PRICES), name="BTC/USDT:USDT"))
    cerebro.broker = btm.MarginBroker(
        venue=venue(), cash=1_000.0, leverage=5, margin_mode="isolated"
    )
    cerebro.optstrategy(Turning, every=[3, 7, 20])
    cerebro.addanalyzer(Ended, _name="ended")
    return [run[0].analyzers.ended.get_analysis() for run in cerebro.run()]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("whole", [False, True], ids=["results", "whole strategies"])
def test_processes_give_what_one_gives(method: str, whole: bool) -> None:
    alone = tried(1)
    assert len({str(found) for found in alone}) == 3
    multiprocessing.set_start_method(method, force=True)
    assert tried(2, optreturn=not whole) == alone
