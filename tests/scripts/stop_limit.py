"""Entries by stop-limit and by trailing stop-limit, good for hours, for the bar, or until a date."""

import datetime

import backtrader as bt
from hourly import hours


class StopLimits(bt.Strategy):
    def __init__(self):
        self.told = []

    def notify_order(self, order):
        if order.status in (order.Completed, order.Expired, order.Canceled):
            self.told.append(order.getstatusname())

    def next(self):
        close = self.data.close[0]
        if self.position:
            if len(self) % 9 == 0:
                self.close()
            return
        if len(self) % 7 == 0:
            self.buy(
                exectype=bt.Order.StopLimit, price=close * 1.004, plimit=close * 1.006, size=6,
                valid=datetime.timedelta(hours=6),
            )  # fmt: skip
        elif len(self) % 11 == 0:
            self.sell(
                exectype=bt.Order.StopTrailLimit, price=close, plimit=close * 0.999, size=6,
                trailpercent=0.004, valid=self.data.datetime.datetime(0) + datetime.timedelta(hours=9),
            )  # fmt: skip

    def stop(self):
        print({name: self.told.count(name) for name in sorted(set(self.told))})


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(500, seed=91)))
cerebro.addstrategy(StopLimits)
cerebro.broker.setcash(6_000)
cerebro.broker.setcommission(commission=0.0005)
cerebro.run()
