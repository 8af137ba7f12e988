"""``MarginBroker`` set to be the stock broker's twin, and how it is put in its place.

Leverage 1, no maintenance margin, no funding, no fees but the script's own, no lots and no minimum.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import backtrader.cerebro

import bt_margin as btm

VENUE = btm.venue(
    "generic", maintenance_rate=0.0, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.0,
    funding_interval="8h", residual="trader",
)  # fmt: skip


class Mirror(btm.MarginBroker):
    """A margin account that has nothing to add to what the stock broker does."""

    params: Any = (("venue", VENUE), ("leverage", 1.0))


class StockWords(Mirror):
    """The same account, which answers in the stock broker's words where ours mean something else.

    On a margin account ``getcash()`` is what new positions may take, ``getsize`` neither cuts to whole
    units nor counts leverage, ``getvalue([data])`` is a signed notional, and a refused order carries the
    reason in ``order.info``. This twin gives stock's
    answers, computed from our books: what still differs under it is no matter of words.
    """

    def get_cash(self) -> float:
        """Stock's cash: the equity less what positions are worth without leverage."""
        equity = self.account.equity() if self.account.exposed() else self.account.cross.balance
        return float(equity - sum(map(self._unlevered, self.positions)))

    getcash = get_cash

    def _unlevered(self, data: Any) -> float:
        position, scheme = self.positions[data], self._raw_scheme(data)
        if not position.size:
            return 0.0
        value = float(scheme.getvaluesize(position.size, data.close[0]))
        if value <= 0.0:
            return value
        gain = float(scheme.profitandloss(position.size, position.price, data.close[0]))
        return (value - gain) / float(scheme.get_leverage()) + gain

    def getcommissioninfo(self, data: Any) -> Any:
        """The account's view of the scheme, with the scheme's own ``getsize``."""
        info = super().getcommissioninfo(data)
        info.getsize = self._raw_scheme(data).getsize
        return info

    def notify(self, order: Any) -> None:
        """A refused order does not say why."""
        for name in ("reason", "found", "allowed"):
            order.info.pop(name, None)
        super().notify(order)

    def _value_of(self, data: Any) -> float:
        position = self.getposition(data)
        return float(self._raw_scheme(data).getvaluesize(position.size, data.close[0]))


def broker_class(name: str) -> Any:
    """A broker class by ``module:Class`` or ``file.py:Class``.

    >>> broker_class("harness.mirror:Mirror").__name__
    'Mirror'
    """
    module, _, attribute = name.rpartition(":")
    if module.endswith(".py"):
        sys.path.insert(0, str(Path(module).resolve().parent))
        found = importlib.import_module(Path(module).stem)
        del sys.path[0]
    else:
        found = importlib.import_module(module)
    return getattr(found, attribute)


def put(broker: Any) -> None:
    """Whoever asks backtrader for its broker gets this one."""
    backtrader.cerebro.BackBroker = broker
    bt.brokers.BackBroker = bt.brokers.BrokerBack = broker
