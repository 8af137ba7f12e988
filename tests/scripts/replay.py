"""Hours replayed as days: decisions while the day is still forming."""

import backtrader as bt
from hourly import hours


class Forming(bt.Strategy):
    def __init__(self):
        self.sma = bt.ind.SMA(self.data, period=4)
        self.days = 0

    def next(self):
        if not self.position and self.data.close[0] > self.sma[0]:
            self.buy(size=4)
        elif self.position and self.data.close[0] < self.sma[0] * 0.99:
            self.close()

    def stop(self):
        print(len(self), len(self.data), round(self.broker.getvalue(), 2))


cerebro = bt.Cerebro()
data = bt.feeds.PandasData(
    dataname=hours(480, seed=141), timeframe=bt.TimeFrame.Minutes, compression=60
)
cerebro.replaydata(data, timeframe=bt.TimeFrame.Days, compression=1)
cerebro.addstrategy(Forming)
cerebro.broker.setcash(2_000)
cerebro.broker.setcommission(commission=0.0003)
cerebro.run()
