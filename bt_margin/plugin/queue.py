"""The broker's queue of orders: matched, dropped, cancelled; the stock broker's rules on our bars."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from backtrader import BuyOrder, Order, SellOrder

from bt_margin.engine.pool import Pool
from bt_margin.plugin.matching import on_mark
from bt_margin.plugin.quick import Maker

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object


class Queue(Base):
    """The part of :class:`MarginBroker` that leads orders through a bar."""

    account: Account

    def _queue_reset(self) -> None:
        self._maker = Maker()

    def buy(
        self, owner: Any, data: Any, size: Any, price: Any = None, plimit: Any = None,
        exectype: Any = None, valid: Any = None, tradeid: int = 0, oco: Any = None,
        trailamount: Any = None, trailpercent: Any = None, parent: Any = None,
        transmit: bool = True, histnotify: bool = False, _checksubmit: bool = True, **info: Any,
    ) -> Any:  # fmt: skip
        """backtrader's own call; ``info`` is noted on the order (``reduce_only``, ``position_side`` ...)."""
        order = self._maker.order(
            BuyOrder, data, owner=owner, size=size, price=price, pricelimit=plimit,
            exectype=exectype, valid=valid, tradeid=tradeid, trailamount=trailamount,
            trailpercent=trailpercent, parent=parent, transmit=transmit, histnotify=histnotify,
        )  # fmt: skip
        return self._send(order, oco, _checksubmit, info)

    def sell(
        self, owner: Any, data: Any, size: Any, price: Any = None, plimit: Any = None,
        exectype: Any = None, valid: Any = None, tradeid: int = 0, oco: Any = None,
        trailamount: Any = None, trailpercent: Any = None, parent: Any = None,
        transmit: bool = True, histnotify: bool = False, _checksubmit: bool = True, **info: Any,
    ) -> Any:  # fmt: skip
        """backtrader's own call; ``info`` is noted on the order (``reduce_only``, ``position_side`` ...)."""
        order = self._maker.order(
            SellOrder, data, owner=owner, size=size, price=price, pricelimit=plimit,
            exectype=exectype, valid=valid, tradeid=tradeid, trailamount=trailamount,
            trailpercent=trailpercent, parent=parent, transmit=transmit, histnotify=histnotify,
        )  # fmt: skip
        return self._send(order, oco, _checksubmit, info)

    def _send(self, order: Any, oco: Any, check: bool, info: dict[str, Any]) -> Any:
        order.addinfo(**info)
        self._ocoize(order, oco)
        return self.submit(order, check=check)

    def match_pending(self, symbols: Collection[str] | None = None) -> None:
        """The stock broker's loop over the queue, once: the orders of these symbols, or all."""
        self.pending.append(None)
        while True:
            order = self.pending.popleft()
            if order is None:
                break
            quote = self.quote_of(order)
            if symbols is not None and quote.symbol not in symbols:
                self.pending.append(order)
            elif order.expire():
                self._drop(order)
            elif not order.active() or not quote.fresh:
                self.pending.append(order)
            else:
                self._try_exec(order)
                if order.alive():
                    self.pending.append(order)
                elif order.status == Order.Completed:
                    self._bracketize(order)

    def expire_pending(self) -> None:
        """Drop the orders whose time is over (walk)."""
        for order in list(self.pending):
            if order in self.pending and order.alive() and order.expire():
                self.pending.remove(order)
                self._drop(order)

    def _drop(self, order: Any) -> None:
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

    def take_pending(self, ref: int) -> Any:
        """Take an order out of the queue while it is tried, keeping its place (walk).

        The stock broker's OCO check cancels every order of a group it finds in the queue.
        """
        for place, order in enumerate(self.pending):
            if order.ref == ref:
                self.pending[place] = None
                return order
        return None

    def after_try(self, order: Any) -> None:
        """What the loop does with an order after trying it (walk)."""
        place = self.pending.index(None)
        if order.alive():
            self.pending[place] = order
            return
        del self.pending[place]
        if order.status == Order.Completed:
            self._bracketize(order)

    def _try_exec(self, order: Any) -> None:
        """Try an order on its market's bar by the stock broker's rules for its kind.

        The stock broker itself looks at the feed's tick prices, which on the last bar of a resampled feed
        are those of the bar before.
        """
        quote, created, kind = self.quote_of(order), order.created, order.exectype
        bar = (quote.open, quote.high, quote.low)
        if on_mark(order) and not order.triggered:
            self._matching.trail(order)  # not reached: a bar that reaches it is walked
        elif kind == Order.Market:
            self._try_exec_market(order, *bar)
        elif kind == Order.Close:
            self._try_exec_close(order, quote.close)
        elif kind == Order.Limit:
            self._try_exec_limit(order, *bar, created.price)
        elif kind in (Order.Stop, Order.StopTrail):
            self._try_exec_stop(order, *bar, created.price, quote.close)
        elif kind == Order.Historical:
            self._try_exec_historical(order)
        elif order.triggered:
            self._try_exec_limit(order, *bar, created.pricelimit)
        else:
            self._try_exec_stoplimit(order, *bar, quote.close, created.price, created.pricelimit)

    def fill_at(self, order: Any, price: float, quote: Instrument) -> None:
        """Fill at a given last price, with the stock broker's slippage."""
        slip, bound = (self._slip_up, quote.high) if order.isbuy() else (self._slip_down, quote.low)
        self._execute(order, ago=0, price=slip(bound, price))

    def cancel_pool(self, pool: Pool, cause: int) -> None:
        """Cancel every open order of a pool; each is an event with its cause."""
        for order in [*self.submitted, *self.pending]:
            quote = self.quote_of(order)
            if order.alive() and self.account.pool_key(quote.position) == pool.key:
                self.account.record(
                    "canceled", quote.position, size=order.executed.remsize, order=order.ref,
                    cause=cause, reason="canceled by the venue before a liquidation",
                )  # fmt: skip
                self.cancel(order)

    def cancel(self, order: Any, bracket: bool = False) -> bool:
        """Cancel an order, submitted or accepted; False when it is neither."""
        # children submitted with a parent nobody can pay are left there, to be rejected
        unpaid = bracket and getattr(order.parent, "status", None) == Order.Margin
        for queue in [self.pending] if unpaid else [self.pending, self.submitted]:
            if order in queue:
                queue.remove(order)
                break
        else:
            return False
        order.cancel()
        self.notify(order)
        self._ococheck(order)
        if not bracket:
            self._bracketize(order, cancel=True)
        return True
