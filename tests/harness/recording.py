"""What a script's runs did, written down in full: orders, trades, money, positions, bar by bar."""

from __future__ import annotations

from typing import Any

import backtrader as bt

ORDER = (
    "bar", "ref", "side", "size", "type", "status", "price", "limit price", "executed size",
    "executed price", "rest", "executed value", "commission", "profit", "time", "position size",
    "position price",
)  # fmt: skip
TRADE = (
    "bar", "ref", "tradeid", "status", "size", "price", "value", "commission", "profit",
    "net profit", "bars held",
)  # fmt: skip
BAR = ("bar", "value", "fund value", "fund shares", "cash", "positions")
"""The fields of an order notice, a trade notice and a bar, in the order they are written in."""

RUNS: list[dict[str, Any]] = []
"""The record of this process: one entry per strategy that ran."""


class Recorder(bt.Analyzer):
    """Writes down all that its strategy is told."""

    def start(self) -> None:
        """A run begins."""
        self.record: dict[str, Any] = {
            "strategy": type(self.strategy).__name__, "orders": [], "trades": [], "bars": [],
        }  # fmt: skip
        RUNS.append(self.record)

    def notify_order(self, order: Any) -> None:
        """One more status of an order."""
        created, done = order.created, order.executed
        self.record["orders"].append(
            (
                len(self.strategy), order.ref, order.ordtypename(), order.size,
                order.getordername(), order.getstatusname(), created.price, created.pricelimit,
                done.size, done.price, done.remsize, done.value, done.comm, done.pnl, done.dt,
                done.psize, done.pprice,
            )
        )  # fmt: skip

    def notify_trade(self, trade: Any) -> None:
        """One more status of a trade."""
        self.record["trades"].append(
            (
                len(self.strategy), trade.ref, trade.tradeid, trade.status_names[trade.status],
                trade.size, trade.price, trade.value, trade.commission, trade.pnl, trade.pnlcomm,
                trade.barlen,
            )
        )  # fmt: skip

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        """Once a bar: the money, and the positions there are (none is made by looking)."""
        broker = self.strategy.broker
        places = {id(data): place for place, data in enumerate(self.strategy.cerebro.datas)}
        held = sorted(
            (places.get(id(data), -1), position.size, position.price)
            for data, position in broker.positions.items()
            if position.size
        )
        self.record["bars"].append((len(self.strategy), value, fundvalue, shares, cash, held))


def install() -> None:
    """Let every run of every Cerebro be recorded, in this one process, and let nothing be drawn."""
    run = bt.Cerebro.run

    def recorded(cerebro: Any, **settings: Any) -> Any:
        if not any(entry[0] is Recorder for entry in cerebro.analyzers):
            cerebro.addanalyzer(Recorder)
        return run(cerebro, **{**settings, "maxcpus": 1})

    bt.Cerebro.run = recorded
    bt.Cerebro.plot = lambda cerebro, *args, **settings: []
