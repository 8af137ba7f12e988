"""backtrader's orders seen through the engine's eyes: what they could do in a bar, and how they walk.

In the fast lane the stock broker's own loop runs. In a walk each order is triggered where the path gets
there and then filled by the stock broker's own price functions, so slippage and limits mean the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from backtrader import Order

from bt_margin.engine.bound import Pending
from bt_margin.engine.events import Event
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.pool import Pool
from bt_margin.engine.resting import Leg, OrderKind, Resting

if TYPE_CHECKING:
    from bt_margin.plugin.broker import MarginBroker
    from bt_margin.plugin.instrument import Instrument

INF = float("inf")
_STOPS = (Order.Stop, Order.StopTrail)
_STOP_LIMITS = (Order.StopLimit, Order.StopTrailLimit)


class Matching:
    """The engine's matcher over a broker's pending orders."""

    def __init__(self, broker: MarginBroker) -> None:
        self.broker = broker
        self.hooks = Hooks(cancel=self.cancel, closed=self.closed)
        self.walking = False

    def waiting(self) -> bool:
        """Whether any order is pending; a new bar begins, and nobody walks yet."""
        self.walking = False
        return bool(self.broker.pending)

    def pending(self) -> Sequence[Pending]:
        """Per symbol, what its orders could do within this bar."""
        found: dict[str, Pending] = {}
        for order in self.broker.pending:
            if not order.active():
                continue
            quote = self.broker.quote_of(order)
            if not quote.fresh:
                continue
            reach = self._reach(order, quote)
            if reach is None:
                continue
            size, high, low, walk = reach
            walk = walk or self.broker.posts_by_price(quote) or self._in_parts(quote)
            fee = abs(self.broker.fee_of(order, size, high))
            old, count = found.get(quote.symbol), 1
            inside = order.exectype not in (Order.Market, Order.Historical)
            if old is not None:
                size, high, low = size + old.size, max(high, old.high), min(low, old.low)
                fee, walk = fee + old.fee, walk or old.walk
                count, inside = 1 + old.orders, inside or old.inside
            found[quote.symbol] = Pending(quote, size, high, low, fee, walk, count, inside)
        return tuple(found.values())

    def _in_parts(self, quote: Instrument) -> bool:
        """Whether a filler may open less than the order asks for, where a part is not a small whole.

        A requirement with a fixed amount in it does not shrink with the part.
        """
        p = quote.position
        return self.broker.p.filler is not None and not p.plain and p.margin_mode == "isolated"

    def _reach(self, order: Any, quote: Instrument) -> tuple[float, float, float, bool] | None:
        """Unsigned size, highest and lowest fill price, walk wanted; None if it cannot fill now."""
        kind, price, buys = order.exectype, order.created.price, order.isbuy()
        high, low = quote.high, quote.low
        size = abs(order.executed.remsize)
        if on_mark(order) and not order.triggered:
            reached = quote.mark_high >= price if buys else quote.mark_low <= price
            return (size, high, low, True) if reached else None
        if kind == Order.Limit or (kind in _STOP_LIMITS and order.triggered):
            limit = price if kind == Order.Limit else order.created.pricelimit
            reached = low <= limit if buys else high >= limit
        elif kind in _STOPS or kind in _STOP_LIMITS:
            reached = high >= price if buys else low <= price
        else:
            reached = True
            past = (
                (price,) if kind == Order.Historical else (order.created.pclose, order.pannotated)
            )
            for paid in past:  # cheating orders and those for the close fill at an old price
                if paid is not None:
                    high, low = max(high, paid), min(low, paid)
        fixed, share = self.broker.p.slip_fixed, self.broker.p.slip_perc
        if fixed or share:  # slippage may leave the bar; that of a sell limit does so unasked
            high, low = high * (1.0 + share) + fixed, low * (1.0 - share) - fixed
        return (size, high, low, False) if reached else None

    def match(self, symbols: Collection[str] | None) -> None:
        """The stock broker's loop over the queue."""
        if self.broker.pending:
            self.broker.match_pending(symbols)

    def resting(self) -> Sequence[Resting]:
        """The pending orders as descriptions for the walk."""
        if not self.walking:
            self.walking = True
            self.broker.expire_pending()
        described = []
        for order in self.broker.pending:
            quote = self.broker.quote_of(order)
            if order.active() and quote.fresh:
                one = self._describe(order, quote)
                if one is not None:
                    described.append(one)
        return described

    def _describe(self, order: Any, quote: Instrument) -> Resting | None:
        kind, price, limit = self._kind(order, quote)
        if kind is None:
            return None
        group = self.broker.group_of(order)
        size = order.executed.remsize
        reduce_only = bool(order.info.get("reduce_only"))
        marked = on_mark(order) and kind in ("stop", "stop_limit")
        return Resting(
            order.ref,
            quote.symbol,
            size,
            kind,
            price or 0.0,
            limit or 0.0,
            marked,
            group,
            reduce_only,
        )

    def _kind(self, order: Any, quote: Instrument) -> tuple[OrderKind | None, float, float]:
        exectype, created = order.exectype, order.created
        if exectype == Order.Market:
            params = self.broker.p
            cheats = params.coo or (params.coc and order.info.get("coc", True))
            ready = cheats or quote.data.datetime[0] > created.dt
            return ("market" if ready else None), 0.0, 0.0
        if exectype == Order.Historical:
            return "market", 0.0, 0.0
        if exectype == Order.Close:
            return self._close_kind(order, quote), 0.0, 0.0
        if exectype == Order.Limit:
            return "limit", created.price, 0.0
        if exectype in _STOPS:
            return "stop", created.price, 0.0
        if order.triggered:
            return "limit", created.pricelimit, 0.0
        return "stop_limit", created.price, created.pricelimit

    @staticmethod
    def _close_kind(order: Any, quote: Instrument) -> OrderKind | None:
        now = quote.data.datetime[0]
        if now <= order.created.dt or now < order.dteos:
            return None
        return "market" if order.pannotated and now > order.dteos else "close"

    def execute(self, resting: Resting, leg: Leg) -> None:
        """Fill the order where the path has triggered it, at the stock broker's price."""
        broker = self.broker
        order = broker.take_pending(resting.ref)
        if order is None:
            return
        self._try(order, resting, leg)
        broker.after_try(order)

    def _try(self, order: Any, resting: Resting, leg: Leg) -> None:
        broker, price = self.broker, leg.last_start
        quote = broker.quote_of(order)
        if resting.kind == "market":
            self._market(order, quote)
        elif resting.kind == "close":
            broker._try_exec_close(order, quote.close)
        elif resting.kind == "limit":
            broker._try_exec_limit(order, price, quote.high, quote.low, resting.price)
        elif resting.kind == "stop_limit":
            order.triggered = True
        elif resting.on_mark:
            broker.fill_at(order, price, quote)
        else:
            self._stop(order, quote, leg)

    def _market(self, order: Any, quote: Instrument) -> None:
        if order.exectype == Order.Historical:
            self.broker._try_exec_historical(order)
        elif order.exectype == Order.Close:
            self.broker._try_exec_close(order, quote.close)
        else:
            self.broker._try_exec_market(order, quote.open, quote.high, quote.low)

    def _stop(self, order: Any, quote: Instrument, leg: Leg) -> None:
        """A stop reached on the way fills at its trigger; one jumped over fills where the price is."""
        trigger, price = order.created.price, leg.last_start
        gapped = leg.start == 0.0 or price != trigger
        opening = price if gapped else (-INF if order.isbuy() else INF)
        self.broker._try_exec_stop(order, opening, quote.high, quote.low, trigger, quote.close)

    def finish(self, symbols: Collection[str]) -> None:
        """What the stock broker does to orders that did not fill: trail stops, note the close."""
        for order in self.broker.pending:
            quote = self.broker.quote_of(order)
            if not (order.active() and quote.fresh and quote.symbol in symbols):
                continue
            if not order.triggered:
                self.trail(order)
            if order.exectype == Order.Close:
                order.pannotated = quote.close

    def trail(self, order: Any) -> None:
        """Let a trailing stop follow the close of what triggers it."""
        if order.exectype in (Order.StopTrail, Order.StopTrailLimit):
            quote = self.broker.quote_of(order)
            order.trailadjust(quote.mark_close if on_mark(order) else quote.close)

    def cancel(self, pool: Pool, cause: int) -> None:
        """The venue cancels the orders of a pool it is about to liquidate."""
        self.broker.cancel_pool(pool, cause)

    def closed(self, event: Event) -> None:
        """The venue has closed a position, or a part of it."""
        self.broker.book_liquidation(event)


def on_mark(order: Any) -> bool:
    """Whether a stop is triggered by the mark: ``trigger="mark"`` at the order."""
    return bool(order.info.get("trigger") == "mark") and order.exectype not in (
        Order.Market,
        Order.Limit,
        Order.Close,
        Order.Historical,
    )
