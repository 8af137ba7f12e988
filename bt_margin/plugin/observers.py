"""Observers: the margin account drawn bar by bar, beside backtrader's own cash and value.

    cerebro.addobserver(btm.observers.MarginRatio)
    cerebro.addobservermulti(btm.observers.LiquidationPrice)      # one per feed, over its prices

Under a broker without a margin account there is nothing to draw: the lines are NaN (``Available``
shows the cash), and nothing fails.
"""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt

from bt_margin.engine.settings import leg_of
from bt_margin.plugin.asking import account_of, events_of, symbol_of, told

__all__ = ["Available", "FundingPaid", "LiquidationPrice", "MarginRatio"]

NAN: Final = float("nan")


class MarginRatio(bt.Observer):
    """Maintenance margin over equity of the pool nearest to liquidation, at the close; 1 is liquidation.

    0 while nothing is open.
    """

    _stclock = True
    lines: Any = ("ratio",)
    plotinfo: Any = {"plot": True, "subplot": True, "plothlines": [1.0], "plotname": "Margin ratio"}

    def next(self) -> None:
        """Write down this bar."""
        account = account_of(self._owner.broker)
        ratio = NAN
        if account is not None:
            ratio = max([pool.ratio() for pool in account.pools.values()], default=0.0)
        self.lines.ratio[0] = ratio


class LiquidationPrice(bt.Observer):
    """The mark price at which a feed's position would be liquidated, other marks standing still.

    One per feed with ``addobservermulti``; ``addobserver`` draws the first feed's. NaN while flat
    and for a position that this symbol alone cannot bring down. Of a symbol held on both sides the larger
    one's.
    """

    lines: Any = ("price",)
    plotinfo: Any = {"plot": True, "subplot": False, "plotname": "Liquidation price"}
    plotlines: Any = {"price": {"_name": "liquidation", "ls": "--", "color": "red"}}

    def next(self) -> None:
        """Write down this bar."""
        broker = self._owner.broker
        account = account_of(broker)
        price = None
        if account is not None and account.exposed():
            symbol = symbol_of(broker, self.data)
            held = [p for p in account.positions.values() if leg_of(p.symbol)[0] == symbol]
            if held:
                larger = max(held, key=lambda p: abs(p.size))
                price = account.liquidation_price(larger.symbol)
        self.lines.price[0] = NAN if price is None else price


class Available(bt.Observer):
    """What is available for new initial margin (the broker's ``getcash()``)."""

    _stclock = True
    lines: Any = ("available",)
    plotinfo: Any = {"plot": True, "subplot": True, "plotname": "Available margin"}

    def next(self) -> None:
        """Write down this bar."""
        self.lines.available[0] = self._owner.broker.getcash()


class FundingPaid(bt.Observer):
    """Funding paid since the start, less what was received: positive is a cost."""

    _stclock = True
    lines: Any = ("paid",)
    plotinfo: Any = {"plot": True, "subplot": True, "plotname": "Funding paid"}

    def start(self) -> None:
        """Begin at nothing."""
        self._seen = 0
        self._paid = 0.0

    def next(self) -> None:
        """Add the settlements of this bar."""
        broker = self._owner.broker
        events, account = events_of(broker), account_of(broker)
        if account is None:
            self.lines.paid[0] = NAN
            return
        for place in range(self._seen, len(events)):
            if events[place].kind == "funding":
                self._paid -= told(account, events[place], events[place].amount)
        self._seen = len(events)
        self.lines.paid[0] = self._paid
