"""Hours in which nobody can reach the venue: orders and cancellations of a strategy are refused.

The venue itself goes on: resting orders fill, funding is charged, positions are liquidated. What is refused
is what a script sends: an order comes back ``Rejected`` with ``order.info.reason == "outage"`` and leaves a
``rejected`` event, a cancellation does nothing. Margin and leverage can still be changed.

It is an analyzer, so that it fits every strategy and every Cerebro without touching either: at the start of
the run it stands between the strategies and their broker, and it is gone with the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt

from bt_margin.plugin.instrument import to_ms

REASON = "outage"


class Outages(bt.Analyzer):
    """Refuse what strategies send within ``spans`` (pairs of UTC ms, the end not included).

    An order decided at the close of a bar is sent when the next bar opens, ``step`` ms after that bar's
    open: that moment is the one that counts.
    """

    helper = True
    params: Any = (("spans", ()), ("step", 0))

    def start(self) -> None:
        """Stand between the strategies and the broker; once for all strategies of the run."""
        broker = self.strategy.broker
        if self.strategy.cerebro.runningstrats[0] is not self.strategy:
            return
        self.refused = 0
        submit = broker.submit

        def guarded(order: Any, check: bool = True) -> Any:
            return self._refuse(broker, order) if self.down() else submit(order, check=check)

        broker.submit = guarded
        for strategy in self.strategy.cerebro.runningstrats:
            strategy.cancel = self._cancelling(strategy)

    def stop(self) -> None:
        """Take the guards away."""
        broker = self.strategy.broker
        if self.strategy.cerebro.runningstrats[0] is not self.strategy:
            return
        vars(broker).pop("submit", None)
        for strategy in self.strategy.cerebro.runningstrats:
            vars(strategy).pop("cancel", None)

    def down(self) -> bool:
        """Whether what is sent now does not arrive."""
        open_ = max(float(data.datetime[0]) for data in self.strategy.datas if len(data))
        now = to_ms(open_) + self.p.step
        return any(begin <= now < end for begin, end in self.p.spans)

    def _refuse(self, broker: Any, order: Any) -> Any:
        """The order, rejected; the account knows why."""
        self.refused += 1
        quote = broker.quote_of(order)
        order.addinfo(reason=REASON)
        order.submit(broker)
        broker.orders.append(order)
        broker.account.record(
            "rejected", quote.position, size=order.size, price=order.created.price,
            order=order.ref, reason=REASON,
        )  # fmt: skip
        order.reject(broker)
        broker.notify(order)
        return order

    def _cancelling(self, strategy: Any) -> Any:
        cancel = strategy.cancel

        def guarded(order: Any) -> None:
            if not self.down():
                cancel(order)

        return guarded


def cut_off(cerebro: Any, spans: Sequence[tuple[int, int]], step: int) -> None:
    """Let an assembled Cerebro run with these outages."""
    if spans:
        cerebro.addanalyzer(Outages, spans=tuple(spans), step=step)
