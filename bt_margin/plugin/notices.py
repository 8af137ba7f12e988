"""Telling strategies directly: ``notify_liquidation(event)`` and ``notify_margin_call(event)``.

A small analyzer, present only when some strategy defines one of the two, tells its strategy of the bar's
events after the order and trade notices and before ``next``, in both of backtrader's loops. It is gone when
the run is over, as is every analyzer that calls itself a ``helper``.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

METHODS = {"liquidation": "notify_liquidation", "margin_call": "notify_margin_call"}


class Notices(bt.Analyzer):
    """Tells its strategy of each event it listens to, once."""

    helper = True

    def start(self) -> None:
        """A run begins: nothing has been told yet."""
        self._told = 0
        named = {kind: getattr(self.strategy, name, None) for kind, name in METHODS.items()}
        self._listeners = {kind: listener for kind, listener in named.items() if listener}

    def notify_fund(self, cash: float, value: float, fundvalue: float, shares: float) -> None:
        """Called once a bar, after orders and trades."""
        events = self.strategy.broker.events
        while self._told < len(events):
            event = events[self._told]
            self._told += 1
            listener = self._listeners.get(event.kind)
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
    """Take the analyzer out again: the Cerebro is left as it was, and so are the strategies."""
    cerebro = getattr(broker, "cerebro", None)
    if cerebro is not None:
        cerebro.analyzers[:] = [entry for entry in cerebro.analyzers if entry[0] is not Notices]
        for strategy in getattr(cerebro, "runningstrats", ()):
            _without_helpers(strategy.analyzers)


def _without_helpers(analyzers: Any) -> None:
    """Take out analyzers of ours; writers and scripts then find those the script has added."""
    named = list(analyzers.getitems())
    own = [(name, each) for name, each in named if not getattr(each, "helper", False)]
    analyzers._names[:] = [name for name, _ in own]
    analyzers._items[:] = [each for _, each in own]
    for name, each in named:
        if getattr(each, "helper", False):
            delattr(analyzers, name)


def _listens(cerebro: Any) -> bool:
    """Whether a strategy listens; in an optimisation that shows too late, so everyone is told."""
    return cerebro._dooptimize or any(
        hasattr(entry[0], name)
        for group in cerebro.strats
        for entry in group
        for name in METHODS.values()
    )
