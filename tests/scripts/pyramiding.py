"""Adds to what wins, one stop under all of it."""

import backtrader as bt
from hourly import hours


class Pyramid(bt.Strategy):
    params = (("entry", 30), ("units", 4), ("step", 1.0), ("stop", 2.5), ("size", 4))

    def __init__(self):
        self.high = bt.ind.Highest(self.data.high(-1), period=self.p.entry)
        self.atr = bt.ind.AverageTrueRange(period=14)
        self.units = 0
        self.last = None
        self.exit = None

    def notify_order(self, order):
        if order.status != order.Completed:
            return
        if order.isbuy():
            self.last = order.executed.price
            self.units += 1
            if self.exit:
                self.cancel(self.exit)
            price = self.last - self.p.stop * self.atr[0]
            self.exit = self.sell(size=self.position.size, exectype=bt.Order.Stop, price=price)
        else:
            self.units, self.last, self.exit = 0, None, None

    def notify_trade(self, trade):
        if trade.isclosed:
            print("closed", trade.barlen, round(trade.pnl, 2))

    def next(self):
        if self.units == 0:
            if self.data.close[0] > self.high[0]:
                self.buy(size=self.p.size)
        elif (
            self.units < self.p.units and self.data.close[0] > self.last + self.p.step * self.atr[0]
        ):
            self.buy(size=self.p.size)


cerebro = bt.Cerebro()
cerebro.broker = bt.brokers.BackBroker(cash=7000.0, slip_perc=0.0002, slip_open=True)
cerebro.broker.setcommission(commission=0.0005)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(500, seed=31)), name="btc")
cerebro.addstrategy(Pyramid)
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
