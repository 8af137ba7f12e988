"""Buys when the clock says so: a timer of the strategy, one of the Cerebro."""

import datetime

import backtrader as bt
from hourly import hours


class Savings(bt.Strategy):
    params = (("size", 3),)

    def __init__(self):
        self.add_timer(when=datetime.time(9, 0), weekdays=[1, 3, 5], weekcarry=True, kind="save")
        self.calls = 0

    def notify_timer(self, timer, when, *args, **kwargs):
        self.calls += 1
        if kwargs.get("kind") == "save":
            self.buy(size=self.p.size)
        elif self.position.size > 12:
            self.close()

    def stop(self):
        print(self.calls, "calls,", self.position.size, "held")


cerebro = bt.Cerebro()
frame = hours(480, seed=101, begin="2024-02-05")
cerebro.adddata(bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60))
cerebro.addstrategy(Savings)
cerebro.add_timer(
    when=datetime.time(15, 0), monthdays=[10, 20], monthcarry=True, strats=True, kind="sell"
)
cerebro.broker.setcash(5_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
