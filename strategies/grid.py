"""Martingale grid: buy every dip bigger than the last, sell all of it at a small profit.

In every feed a ladder of buy limits waits below the last purchase, each `factor` times as large as
the one before, and one sell limit waits `profit` above the average entry. It wins almost every day
and loses everything on the one that matters. This is a warning, not a suggestion.

What to look at. Contagion. The ladders fill together when the market falls, so the account is
largest exactly when it is weakest. Under *cross* all ladders stand in one pool: it sits through
falls that would end a single one, until one fall is too deep, and then every coin is liquidated in
the same hour, also those that were doing well. Under *isolated* each ladder dies alone, with the
margin posted for it, and the rest keep trading; but smaller falls kill ladders as well, one after
the other. Look at the pools in the liquidation events (which coins were closed for which), and at
how good the cross curve looked two months before its last day. Then vary `exposure`: at 0.5 cross
lives through all of it and ends well ahead of isolated, at 0.6 and above it loses everything. The
line between the two is exactly what nobody knows beforehand.
"""

from __future__ import annotations

import backtrader as bt


class Ladder:
    """What the strategy remembers about one feed."""

    def __init__(self) -> None:
        self.budget = 0.0  # notional of a full ladder, fixed when it starts
        self.paid = 0.0  # price of the last purchase
        self.rung = 0  # rungs bought so far
        self.size = 0.0  # position after the last look
        self.orders: list[bt.Order] = []
        self.refused = 0  # first rungs refused in a row
        self.wait = 0  # bars before a new ladder may start


class Grid(bt.Strategy):
    """A martingale ladder in every feed.

    exposure : notional of a full ladder over equity, per coin
    rungs : purchases in a full ladder; factor : size of each against the one before
    step : distance of two rungs; profit : distance of the sell limit from the average entry
    pause : bars to wait after a lost ladder or a refused first rung
    """

    params = (
        ("exposure", 0.8),
        ("rungs", 5),
        ("factor", 1.6),
        ("step", 0.04),
        ("profit", 0.03),
        ("pause", 48),
    )

    def __init__(self) -> None:
        self.ladders = {data: Ladder() for data in self.datas}
        self.shares = [self.p.factor**rung for rung in range(self.p.rungs)]

    def next(self) -> None:
        for data, ladder in self.ladders.items():
            size = self.getposition(data).size
            if abs(size) < 1e-9 * abs(ladder.size):
                size = 0.0  # what is left of floating-point sums
            if size != ladder.size:
                self.moved(data, ladder, size)
            elif not size:
                self.begin(data, ladder)

    def begin(self, data: bt.DataBase, ladder: Ladder) -> None:
        """Buy the first rung at the market, unless it is being bought or we are waiting."""
        if ladder.wait > 0:
            ladder.wait -= 1
        elif any(order.alive() for order in ladder.orders):
            return
        elif ladder.orders:  # the first rung was refused: ask more and more seldom
            ladder.refused += 1
            self.forget(ladder, wait=self.p.pause * 2**ladder.refused)
        else:
            ladder.budget = self.p.exposure * self.broker.getvalue()
            self.buy_rung(data, ladder, price=None)

    def moved(self, data: bt.DataBase, ladder: Ladder, size: float) -> None:
        """The position changed: bought a rung, sold all, or lost it."""
        bought, ladder.size = size > ladder.size, size
        ladder.refused = 0
        if size <= 0:
            sold = any(o.issell() and o.status == bt.Order.Completed for o in ladder.orders)
            self.forget(ladder, wait=0 if sold else self.p.pause)
            if size < 0:
                self.close(data)
            return
        for order in ladder.orders:
            if order.alive():
                self.cancel(order)
            elif order.isbuy() and order.executed.size:
                ladder.paid = order.executed.price
        ladder.orders = []
        ladder.rung += 1 if bought else 0
        target = self.getposition(data).price * (1 + self.p.profit)
        ladder.orders.append(
            self.sell(data, size=size, price=target, exectype=bt.Order.Limit, reduce_only=True)
        )
        if ladder.rung < self.p.rungs:
            self.buy_rung(data, ladder, price=ladder.paid * (1 - self.p.step))

    def buy_rung(self, data: bt.DataBase, ladder: Ladder, price: float | None) -> None:
        """Order the next rung, at the market or with a limit."""
        share = self.shares[ladder.rung] / sum(self.shares)
        contract = (price or data.close[0]) * self.broker.getcommissioninfo(data).p.mult
        kind = bt.Order.Market if price is None else bt.Order.Limit
        size = ladder.budget * share / contract
        ladder.orders.append(self.buy(data, size=size, price=price, exectype=kind))

    def forget(self, ladder: Ladder, wait: int) -> None:
        """Forget the ladder and withdraw what still rests in the market."""
        for order in ladder.orders:
            if order.alive():
                self.cancel(order)
        ladder.orders, ladder.rung, ladder.size, ladder.wait = [], 0, 0.0, wait
