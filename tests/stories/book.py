"""A small order book for the engine without a framework: market, limit and stop orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naive import Order
from stories.world import HOUR, START, Candle

from bt_margin.engine.bound import Pending
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.step import Stepper


class Book:
    """Keeps orders, offers them to the stepper and fills them on the account."""

    def __init__(self, account: Any, intrabar: str, names: Sequence[str]) -> None:
        self.account = account
        self.stepper = Stepper(account, intrabar)  # type: ignore[arg-type]
        self.quotes = {name: Quote(account.position(name)) for name in names}
        self.orders: dict[int, Resting] = {}
        self.hooks = Hooks(cancel=self.cancel)
        self.count = 0
        self.now: Mapping[str, Candle] = {}

    def bar(
        self, number: int, candles: Mapping[str, Candle], orders: Sequence[Order], funding: Any = ()
    ) -> None:
        """Accept the orders at the last marks, then live through the bar."""
        time = START + number * HOUR
        for order in orders:
            price = order.price or self.now[order.symbol][3]
            self.count += 1
            if self.account.check_order(self.count, order.symbol, order.size, price) is None:
                self.orders[self.count] = Resting(
                    self.count, order.symbol, order.size, order.kind, order.price
                )
        self.account.clock(time)
        self.now = candles
        for name, rate in funding:
            position = self.account.positions.get(name)
            if position is not None:
                self.account.book_funding(name, rate, time=time)
        for name, candle in candles.items():
            self.quotes[name].set(time, time + HOUR, candle)
        self.stepper.step(time, [self.quotes[name] for name in candles], self)

    def waiting(self) -> bool:
        return bool(self.orders)

    def pending(self) -> list[Pending]:
        """Generous: everything may fill anywhere in the bar."""
        found = []
        for name, (_, high, low, _) in self.now.items():
            sizes = [abs(order.size) for order in self.orders.values() if order.symbol == name]
            if sizes:
                fee = sum(sizes) * high * self.account.venue.fees_at(name, 0).taker
                found.append(Pending(self.quotes[name], sum(sizes), high, low, fee))
        return found

    def match(self, symbols: Any) -> None:
        """In the order they came, each at its own price or better at the open."""
        for order in list(self.orders.values()):
            if order.symbol not in self.now or (
                symbols is not None and order.symbol not in symbols
            ):
                continue
            start, high, low, _ = self.now[order.symbol]
            falling = (order.kind == "limit") == (order.size > 0)
            if order.kind == "market" or (
                start <= order.price if falling else start >= order.price
            ):
                self.fill(order, start)
            elif low <= order.price if falling else high >= order.price:
                self.fill(order, order.price)

    def resting(self) -> list[Resting]:
        return [order for order in self.orders.values() if order.symbol in self.now]

    def execute(self, order: Resting, leg: Leg) -> None:
        self.fill(order, leg.last_start)

    def finish(self, symbols: Any) -> None:
        """Orders stay until they fill or are cancelled."""

    def fill(self, order: Resting, price: float) -> None:
        del self.orders[order.ref]
        self.account.fill(order.symbol, order.size, price, order=order.ref)
        self.account.release(order.ref)

    def cancel(self, pool: Any, _: int) -> None:
        """Cross: all orders; isolated: those of the symbol."""
        for ref, order in list(self.orders.items()):
            if pool.symbol is None or pool.symbol == order.symbol:
                del self.orders[ref]
                self.account.release(ref)
