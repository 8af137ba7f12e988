"""Money that arrives at one moment of a run: what would have happened had there been more margin."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from bt_margin.errors import Refused


class ExtraMargin(bt.Analyzer):
    """At the close of the bar that opened at ``at`` (UTC ms) deposit ``amount`` and put it behind positions.

    ``symbols`` whose isolated positions get it, in equal parts; none: it stays in the wallet, which backs
    what is cross. ``log`` gets True when it was done, False when there was no position to give it to.
    It acts after the strategies have decided at that close, so before the next bar opens.
    """

    helper = True
    params: Any = (("at", 0), ("amount", 0.0), ("symbols", ()), ("log", None))

    def next(self) -> None:
        """One bar is over."""
        strategy, broker = self.strategy, self.strategy.broker
        if strategy.cerebro.runningstrats[0] is not strategy:
            return
        if broker.equity_curve[0][-1] != self.p.at or self.p.log:
            return
        broker._and_refresh(broker.account.deposit(self.p.amount))
        done = True
        for symbol in self.p.symbols:
            try:
                broker._and_refresh(
                    broker.account.add_margin(symbol, self.p.amount / len(self.p.symbols))
                )
            except Refused:
                done = False
        self.p.log.append(done)
