"""Orders on their way in: rounded, judged by the account, accepted or refused with a named reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtrader import Order

from bt_margin.plugin.instrument import utc_text
from bt_margin.plugin.plain import unbox
from bt_margin.plugin.quick import clone, pin

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object

SAME = 1e-12
"""A fill whose size differs from the open size by less than this part closes it exactly."""

INF = float("inf")
ALIVE = (Order.Created, Order.Submitted, Order.Accepted, Order.Partial)


class Admission(Base):
    """The part of :class:`MarginBroker` that takes orders in and says which may wait for their fill."""

    account: Account

    def submit(self, order: Any, check: bool = True) -> Any:
        """Round to the contract's steps, note the mark of the decision, and pass on."""
        pin(order)
        if self._legs or order.parent is not None or "position_side" in order.info:
            self._take_side(order)
        quote = self.quote_of(order)
        quote.sound()
        if order.data is not quote.data and order.data._compensate is None:
            order.data = quote.data  # a resampled or replayed clone: its market's own feed trades
        if quote.opened() and not self.p.coc:
            order.created.pclose = quote.close_known()
        if order.created.pclose != order.created.pclose:
            order.addinfo(coc=False)  # there is no close to cheat on
        mark = quote.mark_now()
        if not quote.position.size and mark > 0.0:
            quote.position.move(mark)
        unbox(order)
        self._quantise(order, quote)
        return super().submit(order, check=check)

    def _quantise(self, order: Any, quote: Instrument) -> None:
        contract = quote.position.contract
        if contract.lot is None or not abs(order.size) < INF:
            return
        held = quote.position.size
        closes = held and abs(order.size + held) <= SAME * abs(held)
        size = order.size if closes else contract.round_size(order.size)
        if size != order.size:
            order.addinfo(requested=order.size)
            order.size = order.created.size = order.executed.remsize = size

    def admit(self, order: Any) -> bool:
        """Whether the account accepts the order; reserves its margin. The reason is on ``order.info``."""
        sided = bool(self._legs) or "position_side" in order.info
        misplaced = self._misplaced(order) if sided else None
        quote = self.quote_of(order)
        reduce_only = bool(order.info.get("reduce_only"))
        price = self._price_of(order, quote)
        reason = misplaced or self._unusable(order, quote, price, reduce_only)
        if reason is None:
            child = order.parent is not None
            refusal = self.account.check_order(
                order.ref, quote.symbol, order.executed.remsize, price,
                reduce_only=reduce_only or child, fee=self._fee(order, "taker"),
                at_market=order.exectype == Order.Market and not child,
            )  # fmt: skip
            if refusal is None:
                return True
            order.addinfo(reason=refusal.reason, found=refusal.found, allowed=refusal.allowed)
            return False
        order.addinfo(reason=reason[0], found=reason[1], allowed=reason[2])
        self.account.record(
            "rejected", quote.position, size=order.executed.remsize, price=price, order=order.ref,
            reason=reason[0], found=reason[1], allowed=reason[2],
        )  # fmt: skip
        return False

    def _price_of(self, order: Any, quote: Instrument) -> float:
        """The price an order is margined at: its limit or trigger, else the last known price.

        A stop at or below 0, where a script has put one that it never wants to meet, is no price.
        """
        last = order.created.pclose
        if not last > 0.0:  # decided on a bar without prices
            last = quote.position.mark or order.data.open[0]
        if order.exectype in (Order.Market, Order.Close):
            coo = self.p.coo and order.exectype == Order.Market
            return float(order.data.open[0] if coo else last)
        price = order.created.pricelimit or order.created.price
        return float(last if not price or price < 0.0 or price == INF else price)

    def _unusable(
        self, order: Any, quote: Instrument, price: float, reduce_only: bool
    ) -> tuple[str, float, float] | None:
        """What no venue takes: no number for a size or price, less than a lot, less than the minimum."""
        contract, size = quote.position.contract, abs(order.executed.remsize)
        for what, number in (("size", size), ("price", price)):
            if not abs(number) < INF:
                return what, number, 0.0
        if self.account.dead:
            return None  # which is said before anything about the order's size
        if self._time >= quote.ends_at:
            return f"delisted {utc_text(quote.ends_at)}", self._time, quote.ends_at
        if contract.lot and not size:
            return "lot", abs(order.info.get("requested") or 0.0), contract.lot
        reduces = reduce_only or quote.position.size * order.executed.remsize < 0
        if contract.min_notional and not reduces and order.parent is None:
            notional = contract.notional(size, price)
            if notional < contract.min_notional:
                return "min_notional", notional, contract.min_notional
        return None

    def transmit(self, order: Any, check: bool = True) -> Any:
        """Pass an order on; with no check at submission, what nobody can fill is judged all the same."""
        checked = (check and self.p.checksubmit) or order.exectype == Order.Historical
        market = self.instrument(order.data)
        over = self._time >= market.ends_at
        sided = market.symbol in self._legs or "position_side" in order.info
        if checked or (abs(order.size) < INF and not over and not sided):
            return super().transmit(order, check=check)
        order.submit()
        self.submitted.append(order)
        self.orders.append(order)
        self.notify(order)
        return order

    def _ococheck(self, order: Any) -> None:
        """The end of one order of a group is that of the others, those included that wait to be judged.

        When one is refused, the stock broker goes on to judge the others; they stay a group.
        """
        leader = self._ocos.get(order.ref)
        group = self._ocol.get(leader, ())
        super()._ococheck(order)
        rest = [other for other in self.submitted if other.ref in group and other is not order]
        if order.status == Order.Margin and rest:
            self._ocol[leader] = [other.ref for other in rest]
            return
        for other in rest:
            self.submitted.remove(other)
            other.cancel()
            self.notify(other)

    def submit_accept(self, order: Any) -> None:
        """Accept an order; one that was not checked still reserves its margin."""
        super().submit_accept(order)
        if order.exectype != Order.Historical and order.ref not in self.account.orders.symbol_of:
            quote = self.quote_of(order)
            price = self._price_of(order, quote)
            size = order.executed.remsize
            entry = self.account.orders.price_in(self.account, quote.position, size, price)
            self.account.orders.add(quote.position, order.ref, entry, reserving=False)

    def _reserve_rest(self, order: Any, quote: Instrument) -> None:
        """A partly filled order holds margin for its rest only."""
        orders, p = self.account.orders, quote.position
        held = orders.by_symbol.get(p.symbol, {}).get(order.ref)
        if held is not None and held.size:
            share = order.executed.remsize / held.size
            rest = held._replace(
                size=order.executed.remsize, notional=held.notional * share, loss=held.loss * share
            )
            orders.add(p, order.ref, rest, reserving=held.reserving)

    def group_of(self, order: Any) -> int | None:
        """Orders with the same number cancel each other: OCO groups and the children of a bracket."""
        leader = self._ocos.get(order.ref)
        if leader is not None and len(self._ocol.get(leader, ())) > 1:
            return int(leader)
        parent = getattr(order.parent, "ref", None)
        return -int(parent) if parent is not None else None

    def notify(self, order: Any) -> None:
        """Queue a notification; an order that is over holds no margin any longer."""
        if order.status not in ALIVE:
            self.account.release(order.ref)
        self.notifs.append(clone(order))
