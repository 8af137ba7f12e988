"""Two markets, the z-score of their ratio, one bought and the other sold."""

import backtrader as bt
from hourly import hours


class ZScore(bt.Indicator):
    lines = ("z",)
    params = (("period", 30),)

    def __init__(self):
        ratio = self.data0.close / self.data1.close
        mean = bt.ind.SMA(ratio, period=self.p.period)
        spread = bt.ind.StdDev(ratio, period=self.p.period)
        self.lines.z = (ratio - mean) / spread


class Pairs(bt.Strategy):
    params = (("period", 30), ("enter", 1.6), ("leave", 0.3), ("value", 2000.0))

    def __init__(self):
        self.z = ZScore(self.data0, self.data1, period=self.p.period)
        self.side = 0

    def next(self):
        z = self.z[0]
        if self.side and abs(z) < self.p.leave:
            self.close(self.data0)
            self.close(self.data1)
            self.side = 0
        elif not self.side and abs(z) > self.p.enter:
            self.side = -1 if z > 0 else 1
            for data, sign in ((self.data0, self.side), (self.data1, -self.side)):
                size = int(self.p.value / data.close[0])
                self.buy(data=data, size=size) if sign > 0 else self.sell(data=data, size=size)


def run():
    cerebro = bt.Cerebro()
    one, two = hours(400, seed=11), hours(400, seed=12, start=60.0)
    for frame in (one, two):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Pairs)
    cerebro.broker.setcash(6000)
    cerebro.broker.setcommission(commission=0.0003)
    cerebro.run()
    print("pairs", round(cerebro.broker.getvalue(), 2))


if __name__ == "__main__":
    run()
