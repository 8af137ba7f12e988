"""The broker's books: admitting orders, filling them on the account, mirroring positions and trades."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from backtrader import Order

from bt_margin.engine.preview import trim
from bt_margin.errors import UnknownSymbol
from bt_margin.plugin.instrument import priced, utc_text
from bt_margin.plugin.plain import as_asked, unbox
from bt_margin.plugin.quick import clone, pin

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.engine.book import Fill
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object

SAME = 1e-12
"""A fill whose size differs from the open size by less than this part closes it exactly."""

INF = float("inf")
ALIVE = (Order.Created, Order.Submitted, Order.Accepted, Order.Partial)


class Booking(Base):
    """The part of :class:`MarginBroker` that turns fills into money and positions."""

    account: Account

    def _booking_reset(self) -> None:
        self._lots: dict[tuple[int, int, int], tuple[Any, Any, int, float]] = {}
        self._absorbed = 0
        self._asked: float | None = None

    # -- orders in ------------------------------------------------------------------------------

    def submit(self, order: Any, check: bool = True) -> Any:
        """Round to the contract's steps, note the mark of the decision, and pass on."""
        pin(order)
        quote = self.instrument(order.data)
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
        quote = self.instrument(order.data)
        reduce_only = bool(order.info.get("reduce_only"))
        price = self._price_of(order, quote)
        reason = self._unusable(order, quote, price, reduce_only)
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
        over = self._time >= self.instrument(order.data).ends_at
        if checked or (abs(order.size) < INF and not over):
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
            quote = self.instrument(order.data)
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

    def getposition(self, data: Any) -> Any:
        """backtrader's position of a feed; clones of a market share the one there is."""
        return self.positions[self.instrument(data).data if priced(data) else data]

    def notify(self, order: Any) -> None:
        """Queue a notification; an order that is over holds no margin any longer."""
        if order.status not in ALIVE:
            self.account.release(order.ref)
        self.notifs.append(clone(order))

    # -- fills ----------------------------------------------------------------------------------

    def fee_of(self, order: Any, size: float, price: float) -> float:
        """What filling ``size`` at ``price`` would cost as a taker."""
        rule = self._fee(order, "taker")
        if rule is not None:
            return float(rule(size, price))
        p = self.instrument(order.data).position
        rate = self.account.venue.fees_at(p.market, self._time).taker
        return float(p.contract.notional(size, price) * rate)

    def _fee(self, order: Any, liquidity: str) -> Any:
        info = self.fee_rule(order.data)
        return None if info is None else partial(info.fee, liquidity=liquidity)

    def _execute(
        self,
        order: Any,
        ago: int | None = None,
        price: float | None = None,
        cash: float | None = None,
        position: Any = None,
        dtcoc: Any = None,
    ) -> None:
        """Fill an order at a price: the account books, backtrader's position and order follow."""
        asked, self._asked = self._asked, None
        if ago is None or price is None:
            return
        other, price = order.data._compensate, float(price)  # bounded buffers hold numpy's floats
        quote = self.instrument(order.data if other is None else other)
        quote.sound()
        size = self._fill_size(order, price, ago, quote)
        if not size:
            if order.info.get("reduce_only"):
                self._end(order, order.cancel)
            return
        before = self.positions[quote.data].price
        now = quote.position.mark
        if dtcoc is None:
            self._mark_of_fill(quote, price)
        else:  # done at the close before, and margined there
            quote.position.mark = price
        fill = self._fill(order, quote, size, price, asked)
        if dtcoc is not None:
            quote.position.mark = now or price
        if fill.opened or fill.closed:
            self._book(order, ago, price, dtcoc, quote, fill, before)
        if fill.refusal is not None:
            order.addinfo(
                reason=fill.refusal.reason, found=fill.refusal.found, allowed=fill.refusal.allowed
            )
            self._end(order, order.margin)
            self._bracketize(order, cancel=True)
        elif order.info.get("reduce_only") and order.alive() and not quote.position.size:
            self._end(order, order.cancel)

    def _fill(
        self, order: Any, quote: Instrument, size: float, price: float, asked: float | None
    ) -> Fill:
        """The account's side of a fill; ``asked`` is the price before slippage."""
        resting = order.exectype == Order.Limit and price == order.created.price
        liquidity = "maker" if resting else "taker"
        if self._margins:
            self._follow_margin(quote, price)
        return self.account.fill(
            quote.symbol, size, price, fee=self._fee(order, liquidity), liquidity=liquidity,
            order=order.ref, info={} if asked is None or asked == price else {"asked": asked},
        )  # fmt: skip

    def _mark_of_fill(self, quote: Instrument, price: float) -> None:
        """Where the mark stands at a fill inside the bar when nobody walks: as near as its range allows."""
        if not self._matching.walking and price != quote.open and quote.mark_high > 0.0:
            quote.position.mark = min(max(price, quote.mark_low), quote.mark_high)

    def _slip_up(self, pmax: float, price: float, doslip: bool = True, lim: bool = False) -> Any:
        self._asked = price
        return super()._slip_up(pmax, price, doslip, lim)

    def _slip_down(self, pmin: float, price: float, doslip: bool = True, lim: bool = False) -> Any:
        self._asked = price
        return super()._slip_down(pmin, price, doslip, lim)

    def _fill_size(self, order: Any, price: float, ago: int, quote: Instrument) -> float:
        size = order.executed.remsize
        if self.p.filler is not None:
            size = self.p.filler(order, price, ago)
            size = 0.0 if size != size else size if order.isbuy() else -size  # NaN: no prices
        held = quote.position.size
        if order.info.get("reduce_only"):
            size = trim(held, size)
        if held and abs(size + held) <= SAME * max(abs(held), abs(size)):
            size = -held
        return float(size)

    def _end(self, order: Any, how: Any) -> None:
        how()
        self.notify(order)
        self._ococheck(order)

    def _book(
        self,
        order: Any,
        ago: int,
        price: float,
        dtcoc: Any,
        quote: Instrument,
        fill: Any,
        before: float,
    ) -> None:
        """backtrader's side of a fill: position, order, notification."""
        data, comminfo = quote.data, self.getcommissioninfo(order.data)
        opened, closed = as_asked(fill.opened, order), as_asked(fill.closed, order)
        self._raw_scheme(order.data).confirmexec(opened + closed, price)
        self._mirror(quote, opened + closed, price)
        held = self.positions[data]
        closing_fee = fill.closing_fee + self._funding_share(quote, fill)
        order.execute(
            dtcoc or data.datetime[ago], opened + closed, price,
            closed, self._paid(comminfo, -closed, before or price), closing_fee,
            opened, self._paid(comminfo, opened, price), fill.opening_fee,
            comminfo.margin, fill.realised, held.size, held.price,
        )  # fmt: skip
        if order.status == Order.Partial and abs(order.executed.remsize) <= SAME * abs(order.size):
            order.executed.remsize = 0.0
            order.completed()
        if order.status == Order.Partial:
            self._reserve_rest(order, quote)
        order.addcomminfo(comminfo.told)
        self._note_lot(order, opened + closed)
        self.notify(order)
        self._ococheck(order)

    def _paid(self, comminfo: Any, size: float, price: float) -> float:
        """The value of a part of a fill as orders and trades tell it."""
        value = float(comminfo.told.getvaluesize(size, price))
        return value if self.p.shortcash else abs(value)

    def _mirror(self, quote: Instrument, size: float, price: float) -> None:
        """backtrader's position becomes the account's; whole sizes stay whole numbers."""
        held, own = self.positions[quote.data], quote.position
        whole = isinstance(held.size, int) and isinstance(size, int)
        held.update(size, price, quote.data.datetime.datetime())
        held.size, held.price = (int(own.size) if whole else own.size), own.entry
        if not held.size:
            held.size, held.price = 0, 0.0

    def _funding_share(self, quote: Instrument, fill: Any) -> float:
        """Funding paid on the closed part, so that a trade's ``pnlcomm`` contains it (``int2pnl``)."""
        if not (fill.closed and self.p.int2pnl):
            return 0.0
        self._absorb_funding()
        credit = self.d_credit[quote.data]
        left = quote.position.size if not fill.opened else 0.0
        share = abs(fill.closed) / (abs(fill.closed) + abs(left))
        self.d_credit[quote.data] = credit * (1.0 - share) if share < 1.0 else 0.0
        return float(credit * share)

    def _absorb_funding(self) -> None:
        """Note what each feed's position has paid (positive) since the last look."""
        events = self.account.events
        for event in events[self._absorbed :]:
            if event.kind in ("funding", "interest") and event.symbol is not None:
                self.d_credit[self._of_symbol(event.symbol).data] -= event.amount or 0.0
        self._absorbed = len(events)

    def _charge_interest(self) -> None:
        """Interest of schemes that ask for it, from their last charge to this bar."""
        for quote in self._instruments:
            held = self.positions[quote.data]
            if not held.size or not quote.fresh:
                continue
            now = quote.data.datetime.datetime()
            cost = self.getcommissioninfo(quote.data).get_credit_interest(quote.data, held, now)
            if cost != cost:
                continue  # computed from a bar without prices: charged with the next one's
            held.datetime = now
            if cost:
                self.account.charge_interest(float(cost), quote.symbol)

    def _note_lot(self, order: Any, size: float) -> None:
        """Remember whose size it is: positions are net, trades belong to a strategy and a tradeid."""
        owner, other = order.owner, order.data._compensate
        data = order.data if other is None else other
        key = (id(owner), id(data), order.tradeid)
        old = self._lots.get(key)
        total = size + (old[3] if old is not None else 0)
        if abs(total) <= SAME * abs(size):
            self._lots.pop(key, None)
        else:
            self._lots[key] = (owner, data, order.tradeid, total)

    def _of_symbol(self, symbol: str | None) -> Instrument:
        found: Instrument
        for found in self._instruments:
            if found.symbol == symbol:
                return found
        known = ", ".join(i.symbol for i in self._instruments)
        raise UnknownSymbol(f"no feed of this run trades {symbol!r}; the feeds trade {known}")
