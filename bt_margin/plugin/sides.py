"""Hedge mode: both sides of a symbol at once, through one feed.

    self.buy(data, size=2, position_side="long")
    self.sell(data, size=1, position_side="short")       # beside the long, not against it
    self.sell(data, size=5, position_side="long")        # reduces the long: 2 at most, never a short

Each side is a position of its own on the account and an instrument of its own over the same feed, made when
the first order with a side arrives. ``getposition(data)`` is the net of both; trades of the two sides do not
meet, because orders of the short side get a ``tradeid`` of their own unless they bring one.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final

from backtrader import Position

from bt_margin.engine.settings import leg_of
from bt_margin.errors import InputError, message
from bt_margin.plugin.admission import SAME
from bt_margin.plugin.instrument import priced

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object

SIDES: Final = ("long", "short")
SHORT_TRADEID: Final = -1
"""The ``tradeid`` of orders of the short side that bring none (backtrader's own is 0)."""

HELPED: Final = ("close", "order_target_size", "order_target_value", "order_target_percent")
"""What a strategy computes from its position, and must compute from that of one side."""


class Sides(Base):
    """The part of :class:`MarginBroker` that knows the two sides of a symbol."""

    account: Account

    def _sides_reset(self) -> None:
        self._legs: dict[str, dict[str, Instrument]] = {}
        self._halves: dict[str, Any] = {}
        self._looked_at: str | None = None
        self._helped: list[Any] = []

    # -- orders ---------------------------------------------------------------------------------

    def quote_of(self, order: Any) -> Instrument:
        """The instrument an order trades: its market, or in hedge mode one side of it."""
        market: Instrument = self._of_data.get(id(order.data)) or self.instrument(order.data)
        if not self._legs:
            return market
        legs = self._legs.get(market.symbol)
        return market if legs is None else legs.get(order.info.get("position_side"), market)

    def _take_side(self, order: Any) -> None:
        """Note which side an order is for; one against its side can only reduce it."""
        market = self.instrument(order.data)
        side = order.info.get("position_side")
        if side is None and (order.parent is not None or self._legs):
            side = self._side_meant(order, market)
        if side is None:
            return
        valid_side(side)
        order.addinfo(position_side=side)
        if order.isbuy() != (side == "long"):
            order.addinfo(reduce_only=True)
        if side == "short" and order.tradeid == 0:
            order.tradeid = order.p.tradeid = SHORT_TRADEID
        if self.account.venue.hedge and not market.position.size:
            self._make_legs(market)
            self._help(order.owner)

    def _side_meant(self, order: Any, market: Instrument) -> str | None:
        """The side of an order that names none: its parent's, or the only open one that it is against."""
        parent = getattr(order.parent, "info", None)
        if parent is not None and parent.get("position_side") is not None:
            return str(parent.get("position_side"))
        held = {s: leg.position.size for s, leg in self._legs.get(market.symbol, {}).items()}
        held = {side: size for side, size in held.items() if size}
        side, size = next(iter(held.items()), ("", 0.0))
        return side if len(held) == 1 and order.size * size < 0 else None

    def _misplaced(self, order: Any) -> tuple[str, float, float] | None:
        """Why no order of this kind is taken now: a symbol is held one way, or on sides, not both."""
        side, market = order.info.get("position_side"), self.instrument(order.data)
        asked = self.account.orders.open
        if side is None:
            legs = self._legs.get(market.symbol, {}).values()
            busy = sum(1 for leg in legs if leg.position.size or asked(leg.symbol))
            return ("position_side", float(busy), 0.0) if busy else None
        if not self.account.venue.hedge:
            return "no_hedge_mode", 2.0, 1.0
        busy = abs(market.position.size) or asked(market.symbol)
        if busy:
            return "one_way_position", float(busy), 0.0
        self._make_legs(market)
        return None

    # -- instruments ----------------------------------------------------------------------------

    def _make_legs(self, market: Instrument) -> None:
        """An instrument for each side of a market, as far as the market's own has come."""
        if market.symbol in self._legs:
            return
        self._calm.leave()
        for side in SIDES:
            position = self.account.position(f"{market.symbol} {side}")
            position.leverage = market.position.leverage
            position.margin_mode = market.position.margin_mode
            if market.position.mark:
                position.move(market.position.mark)
            leg = copy(market)
            leg.position, leg.symbol = position, position.symbol
            leg.marked = leg.unmarked = 0
            self._legs.setdefault(market.symbol, {})[side] = leg
            self._halves[leg.symbol] = Position()
            self._instruments.append(leg)
            self._await_end(leg)
            if market.symbol in self._margins:
                self._margins[leg.symbol] = (leg, self._margins[market.symbol][1])
            if market.symbol in self._stepper.detail:
                self._stepper.detail[leg.symbol] = self._stepper.detail[market.symbol]

    def sides_of(self, symbol: str) -> list[str]:
        """The account's names of a symbol's positions: its own, and in hedge mode those of its sides."""
        return [symbol, *[leg.symbol for leg in self._legs.get(symbol, {}).values()]]

    def side_of(self, symbol: str, position_side: str | None) -> str:
        """The account's name of the position meant: the side named, else the only one open."""
        if position_side is not None:
            name = f"{symbol} {valid_side(position_side)}"
            return name if symbol in self._legs else str(self.account.position(name).symbol)
        held = [s for s in self.sides_of(symbol)[1:] if self.account.position(s).size]
        return held[0] if len(held) == 1 else symbol

    # -- positions ------------------------------------------------------------------------------

    def getposition(self, data: Any, position_side: str | None = None) -> Any:
        """backtrader's position of a feed; clones of a market share the one there is.

        In hedge mode the net of both sides, at the price of the larger one; ``position_side`` asks for one.
        """
        if not priced(data):
            return self.positions[data]
        market, side = self.instrument(data), position_side or self._looked_at
        if side is None:
            return self.positions[market.data]
        legs = self._legs.get(market.symbol)
        return Position() if legs is None else self._halves[legs[valid_side(side)].symbol]

    def held(self, quote: Instrument) -> Any:
        """backtrader's position of an instrument; each side of a market has one of its own."""
        if quote.position.leg is None:
            return self.positions[quote.data]
        return self._halves[quote.symbol]

    def _net(self, quote: Instrument) -> None:
        """After a change of one side: the position of the feed is the net of both."""
        if quote.position.leg is None:
            return
        halves = [self._halves[name] for name in self.sides_of(leg_of(quote.symbol)[0])[1:]]
        net, larger = self.positions[quote.data], max(halves, key=lambda half: abs(half.size))
        size = sum(half.size for half in halves)
        net.size = 0 if abs(size) <= SAME * abs(larger.size) else size
        net.price = larger.price if net.size else 0.0
        net.datetime = self.held(quote).datetime

    def credit_key(self, quote: Instrument) -> Any:
        """Under what an instrument's funding waits for the trade that closes (``d_credit``)."""
        return quote.data if quote.position.leg is None else quote.symbol

    # -- strategies -----------------------------------------------------------------------------

    def _help(self, owner: Any) -> None:
        """Let ``close`` and ``order_target_…`` of the strategies look at the side they are asked about."""
        running = list(getattr(getattr(self, "cerebro", None), "runningstrats", ()))
        for strategy in [s for s in [owner, *running] if s is not None]:
            if not any(known is strategy for known in self._helped):
                self._helped.append(strategy)
                for name in HELPED:
                    if callable(getattr(strategy, name, None)):
                        setattr(strategy, name, Sided(strategy, name))

    def _unhelp(self) -> None:
        """The run is over: strategies are as they were."""
        for strategy in self._helped:
            for name in HELPED:
                vars(strategy).pop(name, None)
        self._helped = []

    def close_sides(self, strategy: Any, data: Any, **info: Any) -> Any:
        """Close every open side of a feed's symbol; the order for the larger one. None: no side is open."""
        orders = []
        for side in SIDES:
            size = self.getposition(data, side).size
            if size:
                send = strategy.sell if size > 0 else strategy.buy
                orders.append(
                    (abs(size), send(data=data, size=abs(size), position_side=side, **info))
                )
        return max(orders, key=lambda pair: pair[0])[1] if orders else None


class Sided:
    """A strategy's method that looks at the position first, on the side it is asked about.

    backtrader computes what ``close`` and ``order_target_size`` have to trade from the feed's position, which
    is the net of both sides; with ``position_side`` given, that side's own is looked at. ``close`` without
    one, on a symbol of which sides are open, closes them all.
    """

    def __init__(self, strategy: Any, name: str) -> None:
        self.strategy, self.name = strategy, name
        self.plain = getattr(strategy, name)

    def __call__(self, data: Any = None, *args: Any, **info: Any) -> Any:
        """The method itself, in the meaning of the class."""
        strategy, broker = self.strategy, self.strategy.broker
        side = info.get("position_side")
        if side is not None:
            valid_side(side)
        elif self.name == "close" and not args and info.get("size") is None:
            feed = strategy.getdatabyname(data) if isinstance(data, str) else data
            info.pop("size", None)
            feed = strategy.data if feed is None else feed
            if any(broker.getposition(feed, each).size for each in SIDES):
                return broker.close_sides(strategy, feed, **info)
        before, broker._looked_at = broker._looked_at, side or broker._looked_at
        try:
            return self.plain(data, *args, **info)
        finally:
            broker._looked_at = before


def valid_side(side: Any) -> str:
    """``"long"`` or ``"short"``; InputError otherwise.

    >>> valid_side("long")
    'long'
    """
    if side not in SIDES:
        raise InputError(message("position_side", repr(side), "'long' or 'short'"))
    return str(side)
