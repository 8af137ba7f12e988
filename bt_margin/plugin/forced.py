"""Orders nobody sent: what the venue closes by itself, told to scripts as ordinary completed orders.

A liquidation carries ``order.info.liquidation``, the settlement of a delisted market ``order.info.delisted``.
Positions are net and trades are not, so each trade that the venue closes gets an order of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtrader import BuyOrder, Order, SellOrder

from bt_margin.engine.events import Event
from bt_margin.engine.quote import NEVER
from bt_margin.engine.walk import settle
from bt_margin.plugin.series import attribute_of, epoch_ms

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object


class Forced(Base):
    """The part of :class:`MarginBroker` that books liquidations and the end of markets."""

    account: Account

    def _forced_reset(self) -> None:
        self._ends: list[tuple[int, Instrument]] = []

    # -- delisted markets -----------------------------------------------------------------------

    def _end_of(self, data: Any, symbol: str) -> int:
        """When a feed's market ends: from ``delisted=``, else from its frame; NEVER if it goes on."""
        if self.p.delisting == "hold":
            return NEVER
        end = self._given(self.p.delisted, "delisted", data, symbol)
        end = attribute_of(data, "delisted") if end is None else end
        return NEVER if end is None else epoch_ms(end, f"delisted of {symbol}")

    def _await_end(self, quote: Instrument) -> None:
        if quote.ends_at < NEVER:
            self._ends.append((quote.ends_at, quote))
            self._ends.sort(key=lambda pair: pair[0])

    def _end_markets(self) -> None:
        """Settle every market whose end has come: its orders go, its position is closed at the last mark."""
        while self._ends and self._ends[0][0] <= self._time:
            end, quote = self._ends.pop(0)
            for order in [*self.submitted, *self.pending]:
                if self.quote_of(order) is quote and order.alive():
                    order.addinfo(reason="delisted")
                    self.cancel(order)
            while quote.next_stamp < end:  # due since its last bar
                settle(self.account, quote, None)
            quote.stamps, quote.next_stamp = (), NEVER
            event = self.account.delist(quote.symbol)
            if event is not None:
                self._book_forced(event, delisted=True)

    # -- booking --------------------------------------------------------------------------------

    def book_liquidation(self, event: Event) -> None:
        """A liquidation arrives as ordinary completed orders, one for each trade it closes.

        Where trades stand against one another, each bears the fee by its size.
        """
        self._book_forced(event, liquidation=True)

    def _book_forced(self, event: Event, **told: Any) -> None:
        quote = self._of_symbol(event.symbol)
        size = event.size or 0.0
        lots = [lot for lot in self._lots.values() if lot[4] is quote]
        total, gross = sum(lot[3] for lot in lots), sum(abs(lot[3]) for lot in lots)
        whole = not quote.position.size
        self._absorb_funding()
        key = self.credit_key(quote)
        funding = self.d_credit[key] if self.p.int2pnl else 0.0
        closed = 1.0 if whole else abs(size) / (abs(size) + abs(quote.position.size))
        self.d_credit[key] = 0.0 if whole else self.d_credit[key] * (1.0 - closed)
        rate = self.told_rate(quote, event.price or 0.0)
        fee = ((event.fee or 0.0) + funding * closed) * rate
        comminfo = self.getcommissioninfo(quote.data)
        held = self.held(quote)
        before = held.price
        self._mirror(quote, size, event.price or 0.0)
        if quote.position.leg is not None:
            told = {**told, "position_side": quote.position.leg}
        for owner, data, tradeid, lot, _ in lots:
            part = -lot if whole else size * lot / total
            share = part / size if size else 0.0
            order = self._forced_order(owner, data, tradeid, part, event, told)
            order.execute(
                quote.data.datetime[0], part, event.price,
                part, self._paid(comminfo, -part, before), fee * abs(lot) / gross,
                0.0, 0.0, 0.0, comminfo.margin, (event.realised or 0.0) * rate * share,
                held.size, held.price,
            )  # fmt: skip
            order.completed()
            order.addcomminfo(comminfo.told)
            self._note_lot(order, quote, part)
            self.notify(order)

    def _forced_order(
        self, owner: Any, data: Any, tradeid: int, size: float, event: Event, told: dict[str, Any]
    ) -> Any:
        kind = BuyOrder if size > 0 else SellOrder
        order = kind(
            owner=owner, data=data, size=abs(size), price=event.price, exectype=Order.Market,
            tradeid=tradeid,
        )  # fmt: skip
        order.addinfo(**told, event=event.id, mark=event.mark, reason=event.reason)
        self._ocoize(order, None)
        self.orders.append(order)
        order.submit(self)
        self.notify(order)
        order.accept(self)
        self.notify(order)
        return order
