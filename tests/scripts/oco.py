"""Three limit orders of which one may fill, then a time exit."""

import backtrader as bt
from hourly import hours


class OneOfThree(bt.Strategy):
    params = (("limits", (0.004, 0.01, 0.02)), ("hold", 10))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=15))
        self.refs = []
        self.holding = 0

    def notify_order(self, order):
        if order.status == order.Completed:
            self.holding = 0
        if not order.alive() and order.ref in self.refs:
            self.refs.remove(order.ref)

    def next(self):
        if self.refs:
            return
        if self.position:
            self.holding += 1
            if self.holding >= self.p.hold:
                self.close()
        elif self.cross > 0:
            close = self.data.close[0]
            first = self.buy(exectype=bt.Order.Limit, price=close * (1 - self.p.limits[0]), size=9)
            others = [
                self.buy(exectype=bt.Order.Limit, price=close * (1 - part), size=9, oco=first)
                for part in self.p.limits[1:]
            ]
            self.refs = [first.ref, *(other.ref for other in others)]


cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=71)))
cerebro.addstrategy(OneOfThree)
cerebro.broker.setcash(3_000)
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
