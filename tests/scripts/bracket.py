"""Bracket orders whose entry is good for a few hours, legs counted by status."""

import collections
import datetime

import backtrader as bt
from hourly import hours

COUNT = collections.Counter()


class Bracketed(bt.Strategy):
    params = (("fast", 5), ("slow", 15), ("limit", 0.005), ("away", 0.015), ("days", 0.25))

    def __init__(self):
        self.cross = bt.ind.CrossOver(
            bt.ind.EMA(period=self.p.fast), bt.ind.EMA(period=self.p.slow)
        )
        self.orefs = []

    def notify_order(self, order):
        COUNT[order.getstatusname()] += 1
        if not order.alive() and order.ref in self.orefs:
            self.orefs.remove(order.ref)

    def next(self):
        if self.orefs or self.position:
            return
        close = self.data.close[0]
        enter = close * (1 - self.p.limit)
        valid = datetime.timedelta(self.p.days)
        if self.cross > 0:
            legs = self.buy_bracket(
                price=enter, valid=valid, size=12,
                stopprice=enter * (1 - self.p.away), limitprice=enter * (1 + self.p.away),
            )  # fmt: skip
            self.orefs = [o.ref for o in legs]
        elif self.cross < 0:
            enter = close * (1 + self.p.limit)
            one = self.sell(
                exectype=bt.Order.Limit, price=enter, size=12, transmit=False, valid=valid
            )
            two = self.buy(
                exectype=bt.Order.Stop,
                price=enter * (1 + self.p.away),
                size=12,
                parent=one,
                transmit=False,
            )
            three = self.buy(
                exectype=bt.Order.Limit,
                price=enter * (1 - self.p.away),
                size=12,
                parent=one,
                transmit=True,
            )
            self.orefs = [one.ref, two.ref, three.ref]


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(480, seed=61)), name="BTC/USDT")
cerebro.addstrategy(Bracketed)
cerebro.broker.setcash(4_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
print(sorted(COUNT.items()))
