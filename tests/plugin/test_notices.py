"""Being told directly: who listens, when, and what is left of it on the Cerebro."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from plugin.stage import BTC, Actor, Listener, act, bars, broker_of

FALLS = bars([100, 100, (100, 100, 90.55, 90.55), (90.5, 90.5, 80, 82), 82])
BUY = {1: lambda s: s.buy(size=100)}


def test_nobody_listens_nothing_is_added() -> None:
    run = act(broker_of(), FALLS, BUY)
    assert [type(a) for a in run.analyzers] == []


def test_the_cerebro_is_left_as_it_was() -> None:
    run = act(broker_of(), FALLS, BUY, strategy=Listener)
    assert run.cerebro.analyzers == []
    assert list(run.analyzers.getitems()) == []
    assert not hasattr(run.analyzers, "notices")


def test_a_run_that_breaks_leaves_one_at_most() -> None:
    """stop is never called then; the next run starts from one notice again."""

    class Breaks(Listener):
        def next(self) -> None:
            raise ZeroDivisionError

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker_of()
    cerebro.adddata(bt.feeds.PandasData(dataname=FALLS), name=BTC)
    cerebro.addstrategy(Breaks)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            cerebro.run()
    assert len(cerebro.analyzers) <= 1


def test_orders_and_trades_are_told_before_the_event() -> None:
    order: list[str] = []

    class Hears(Listener):
        def notify_order(self, told: Any) -> None:
            order.append(f"order {told.getstatusname()}")

        def notify_trade(self, told: Any) -> None:
            order.append(f"trade {'closed' if told.isclosed else 'open'}")

        def notify_liquidation(self, event: Any) -> None:
            order.append("liquidation")

        def next(self) -> None:
            super().next()
            order.append(f"next {len(self)}")

    act(broker_of(), FALLS, BUY, strategy=Hears)
    since = order.index("next 3") + 1
    assert order[since : order.index("next 4") + 1] == [
        "order Submitted", "order Accepted", "order Completed", "trade closed", "liquidation",
        "next 4",
    ]  # fmt: skip


@pytest.mark.parametrize("run", [{}, {"runonce": False}, {"quicknotify": True}])
def test_a_second_run_is_told_again(run: dict[str, Any]) -> None:
    broker = broker_of()
    for _ in range(2):
        told = act(broker, FALLS, BUY, strategy=Listener, run=run).told
        assert [kind for _, kind, _ in told] == ["margin_call", "liquidation"]


def test_before_an_indicator_is_warm_one_is_told_as_well() -> None:
    class Slow(Listener):
        def __init__(self) -> None:
            super().__init__()
            bt.ind.SMA(self.data, period=5)

    run = act(broker_of(), FALLS, BUY, strategy=Slow)
    assert [bar for bar, _, _ in run.told] == [3, 4]


def test_a_strategy_may_act_on_what_it_is_told() -> None:
    class Rescues(Actor):
        def notify_margin_call(self, event: Any) -> None:
            self.close()

    frame = bars([100, 100, (100, 100, 90.55, 90.55), (90.55, 90.55, 80, 82), 82])
    run = act(broker_of(), frame, BUY, strategy=Rescues)
    assert [status for _, status, _ in run.ends()] == ["Completed", "Completed"]
    assert run.orders[-1][1].executed.price == 90.55
    assert [e.kind for e in run.broker.events if e.kind == "liquidation"] == []
