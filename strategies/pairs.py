"""Market-neutral pair: two coins that move together, one bought and one sold in equal notional.

When the price ratio of the two feeds strays `enter` standard deviations from its average, the dear
coin is sold and the cheap one bought; when it has come back to `leave`, both are closed. If one leg
disappears (liquidated or refused), the other is a naked bet and is closed at the next bar.

What to look at. The market's direction hardly matters to the sum: in a rally the short leg loses
what the long leg earns. Under *cross* both legs stand in one pool, profit of one is margin for the
other, and the pair rests on the small risk of the ratio. Under *isolated* the losing leg cannot see
the winner's profit: a move of about 1/leverage in EITHER direction cuts it off, books its margin as
lost, and leaves the winner unhedged. Look for liquidations in plain trends, without any crash: was
the pair as a whole losing at that moment? Then lower the leverage. Cross does not change at all;
isolated loses fewer legs, and at 2.5 none, so that the two curves are the same. (At 2 the two legs
need all the margin there is, and the second one is refused now and then.) The difference is the
leverage, not the idea.
"""

from __future__ import annotations

import backtrader as bt


class Pairs(bt.Strategy):
    """Buy the cheap and sell the dear one of two feeds, until their ratio is back to normal.

    window : bars that define normal; enter, leave : distance from it [standard deviations]
    exposure : notional of each leg over equity
    one, other : names of the feeds; where they are not there, the first two feeds
    """

    params = (
        ("window", 480),
        ("enter", 1.5),
        ("leave", 0.0),
        ("exposure", 1.0),
        ("one", "BTC/USDT:USDT"),
        ("other", "ETH/USDT:USDT"),
    )

    def __init__(self) -> None:
        if len(self.datas) < 2:
            raise ValueError(f"a pair needs two feeds, found {len(self.datas)}")
        named = {data._name: data for data in self.datas}
        both = self.p.one in named and self.p.other in named
        self.one = named[self.p.one] if both else self.datas[0]
        self.other = named[self.p.other] if both else self.datas[1]
        self.ratio = self.other.close / self.one.close
        self.normal = bt.ind.SMA(self.ratio, period=self.p.window)
        self.usual = bt.ind.StandardDeviation(self.ratio, period=self.p.window)
        self.orders: list[bt.Order] = []
        self.side = 0  # +1: long `other`, short `one`; -1: the reverse; 0: out
        self.rest = False  # after a broken pair: wait until the ratio has been normal once

    def next(self) -> None:
        if self.usual[0] <= 0 or any(order.alive() for order in self.orders):
            return
        stray = (self.ratio[0] - self.normal[0]) / self.usual[0]
        legs = (self.getposition(self.one).size, self.getposition(self.other).size)
        if self.side and not all(legs):
            self.rest = True
            self.pair(0)
        elif self.side and stray * self.side >= -self.p.leave:
            self.pair(0)
        elif not self.side and self.rest:
            self.rest = abs(stray) > max(self.p.leave, 0.5)
        elif not self.side and abs(stray) >= self.p.enter:
            self.pair(-1 if stray > 0 else 1)

    def pair(self, side: int) -> None:
        """Go to this side in both legs, in equal notional."""
        self.side = side
        asked = (
            self.hold(self.one, -side * self.p.exposure),
            self.hold(self.other, side * self.p.exposure),
        )
        self.orders = [order for order in asked if order is not None]

    def hold(self, data: bt.DataBase, exposure: float) -> bt.Order | None:
        """Bring the notional in `data` to `exposure` (negative: short) times the equity."""
        contract = data.close[0] * self.broker.getcommissioninfo(data).p.mult
        return self.order_target_size(data, exposure * self.broker.getvalue() / contract)
