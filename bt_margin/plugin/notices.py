"""Telling strategies directly: ``notify_liquidation(event)`` and ``notify_margin_call(event)``.

A small analyzer, present only when some strategy defines one of the two, empties the broker's outbox after
the bar's order and trade notices and before the strategy's ``next``, in both of backtrader's loops.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

METHODS = {"liquidation": "notify_liquidation", "margin_call": "notify_margin_call"}


class Notices(bt.Analyzer):
    """Hands the outbox to the strategies that listen."""

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        """Called once a bar, after orders and trades."""
        broker = self.strategy.broker
        running = broker.cerebro.runningstrats
        if running and running[0] is not self.strategy:
            return
        while broker.outbox:
            event = broker.outbox.popleft()
            method = METHODS.get(event.kind)
            if method is None:
                continue
            for strategy in running:
                listener = getattr(strategy, method, None)
                if listener is not None:
                    listener(event)


def install(broker: Any) -> None:
    """Add the analyzer to the run if a strategy listens."""
    cerebro = getattr(broker, "cerebro", None)
    if cerebro is None or not _listens(cerebro):
        return
    if not any(entry[0] is Notices for entry in cerebro.analyzers):
        cerebro.analyzers.append((Notices, (), {}))


def uninstall(broker: Any) -> None:
    """Take the analyzer out again: the Cerebro is left as it was."""
    cerebro = getattr(broker, "cerebro", None)
    if cerebro is not None:
        cerebro.analyzers[:] = [entry for entry in cerebro.analyzers if entry[0] is not Notices]


def _listens(cerebro: Any) -> bool:
    return any(
        hasattr(entry[0], name)
        for group in cerebro.strats
        for entry in group
        for name in METHODS.values()
    )
