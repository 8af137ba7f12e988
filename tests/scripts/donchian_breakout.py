"""Stop orders at the edges of a channel, an indicator of our own, a stop at a multiple of the ATR."""

import backtrader as bt
from hourly import hours


class Channel(bt.Indicator):
    lines = ("high", "low")
    params = (("period", 20),)
    plotinfo = {"subplot": False}

    def __init__(self):
        self.lines.high = bt.ind.Highest(self.data.high, period=self.p.period)
        self.lines.low = bt.ind.Lowest(self.data.low, period=self.p.period)


class Breakout(bt.Strategy):
    params = (("period", 20), ("atr", 14), ("wide", 2.0))

    def __init__(self):
        self.channel = Channel(period=self.p.period)
        self.atr = bt.ind.ATR(period=self.p.atr)
        self.entries = []
        self.protect = None

    def notify_order(self, order):
        if order.status != order.Completed:
            return
        if order in self.entries:
            for other in self.entries:
                if other.ref != order.ref:
                    self.cancel(other)
            self.entries = []
            away = self.p.wide * self.atr[0]
            if order.isbuy():
                self.protect = self.sell(
                    exectype=bt.Order.Stop, price=order.executed.price - away, size=order.size
                )
            else:
                self.protect = self.buy(
                    exectype=bt.Order.Stop, price=order.executed.price + away, size=-order.size
                )
        elif self.protect is not None and order.ref == self.protect.ref:
            self.protect = None

    def next(self):
        if self.position:
            held = self.position.size
            turned = self.data.close[0] < (self.channel.high[0] + self.channel.low[0]) / 2
            if self.protect is not None and (held > 0) == turned:
                self.cancel(self.protect)
                self.protect = None
                self.close()
            return
        for order in self.entries:
            self.cancel(order)
        up, down = self.channel.high[0], self.channel.low[0]
        self.entries = [
            self.buy(exectype=bt.Order.Stop, price=up, size=8),
            self.sell(exectype=bt.Order.Stop, price=down, size=8),
        ]


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(450, seed=4)))
cerebro.addstrategy(Breakout)
cerebro.broker.setcash(8_000)
cerebro.broker.setcommission(commission=0.0006)
result = cerebro.run()
print(len(result), round(cerebro.broker.getvalue(), 2))
