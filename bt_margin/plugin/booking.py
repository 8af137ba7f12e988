"""The broker's books: filling orders on the account, mirroring positions and trades."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from backtrader import Order

from bt_margin.engine.preview import trim
from bt_margin.errors import UnknownSymbol
from bt_margin.plugin.admission import SAME
from bt_margin.plugin.plain import as_asked

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.engine.book import Fill
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object


class Booking(Base):
    """The part of :class:`MarginBroker` that turns fills into money and positions."""

    account: Account

    def _booking_reset(self) -> None:
        self._lots: dict[tuple[int, int, int, str], tuple[Any, Any, int, float, Any]] = {}
        self._absorbed = 0
        self._asked: float | None = None

    # -- fills ----------------------------------------------------------------------------------

    def fee_of(self, order: Any, size: float, price: float) -> float:
        """What filling ``size`` at ``price`` would cost as a taker."""
        rule = self._fee(order, "taker")
        if rule is not None:
            return float(rule(size, price))
        p = self.quote_of(order).position
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
        quote = self.quote_of(order) if other is None else self.instrument(other)
        quote.sound()
        size = self._fill_size(order, price, ago, quote)
        if not size:
            if order.info.get("reduce_only"):
                self._end(order, order.cancel)
            return
        before = self.held(quote).price
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
        """An order ends without all of it being filled, and with it those it is tied to."""
        how()
        self.notify(order)
        self._ococheck(order)
        self._bracketize(order, cancel=True)

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
        held = self.held(quote)
        rate = self.told_rate(quote, price)
        closing_fee = (fill.closing_fee + self._funding_share(quote, fill)) * rate
        self.d_credit[self.credit_key(quote)] += fill.opening_cost  # interest of what was opened
        order.execute(
            dtcoc or data.datetime[ago], opened + closed, price,
            closed, self._paid(comminfo, -closed, before or price), closing_fee,
            opened, self._paid(comminfo, opened, price), fill.opening_fee * rate,
            comminfo.margin, fill.realised * rate, held.size, held.price,
        )  # fmt: skip
        if order.status == Order.Partial and abs(order.executed.remsize) <= SAME * abs(order.size):
            order.executed.remsize = 0.0
            order.completed()
        if order.status == Order.Partial:
            self._reserve_rest(order, quote)
        order.addcomminfo(comminfo.told)
        self._note_lot(order, quote, opened + closed)
        self.notify(order)
        self._ococheck(order)

    def _paid(self, comminfo: Any, size: float, price: float) -> float:
        """The value of a part of a fill as orders and trades tell it."""
        value = float(comminfo.told.getvaluesize(size, price))
        return value if self.p.shortcash else abs(value)

    def _mirror(self, quote: Instrument, size: float, price: float) -> None:
        """backtrader's position becomes the account's; whole sizes stay whole numbers."""
        held, own = self.held(quote), quote.position
        whole = isinstance(held.size, int) and isinstance(size, int)
        held.update(size, price, quote.data.datetime.datetime())
        held.size, held.price = (int(own.size) if whole else own.size), own.entry
        if not held.size:
            held.size, held.price = 0, 0.0
        self._net(quote)

    def _funding_share(self, quote: Instrument, fill: Any) -> float:
        """Funding paid on the closed part, so that a trade's ``pnlcomm`` contains it (``int2pnl``)."""
        if not (fill.closed and self.p.int2pnl):
            return 0.0
        self._absorb_funding()
        key = self.credit_key(quote)
        credit = self.d_credit[key]
        left = quote.position.size if not fill.opened else 0.0
        share = abs(fill.closed) / (abs(fill.closed) + abs(left))
        self.d_credit[key] = credit * (1.0 - share) if share < 1.0 else 0.0
        return float(credit * share)

    def _absorb_funding(self) -> None:
        """Note what each feed's position has paid (positive) since the last look."""
        events = self.account.events
        for event in events[self._absorbed :]:
            if event.kind in ("funding", "interest") and event.symbol is not None:
                key = self.credit_key(self._of_symbol(event.symbol))
                self.d_credit[key] -= event.amount or 0.0
        self._absorbed = len(events)

    def _charge_interest(self) -> None:
        """Interest of schemes that ask for it, from their last charge to this bar."""
        for quote in self._instruments:
            held = self.held(quote)
            if not quote.position.size or not quote.fresh:
                continue
            now = quote.data.datetime.datetime()
            cost = self.getcommissioninfo(quote.data).get_credit_interest(quote.data, held, now)
            if cost != cost:
                continue  # computed from a bar without prices: charged with the next one's
            held.datetime = now
            if cost:
                self.account.charge_interest(float(cost), quote.symbol)

    def _note_lot(self, order: Any, quote: Instrument, size: float) -> None:
        """Remember whose size it is: positions are net, trades belong to a strategy and a tradeid."""
        owner, other = order.owner, order.data._compensate
        data = order.data if other is None else other
        key = (id(owner), id(data), order.tradeid, quote.symbol)
        old = self._lots.get(key)
        total = size + (old[3] if old is not None else 0)
        if abs(total) <= SAME * abs(size):
            self._lots.pop(key, None)
        else:
            self._lots[key] = (owner, data, order.tradeid, total, quote)

    def _of_symbol(self, symbol: str | None) -> Instrument:
        found: Instrument
        for found in self._instruments:
            if found.symbol == symbol:
                return found
        known = ", ".join(i.symbol for i in self._instruments)
        raise UnknownSymbol(f"no feed of this run trades {symbol!r}; the feeds trade {known}")
