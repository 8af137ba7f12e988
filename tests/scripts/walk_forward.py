"""Chooses on one part of the data what is run on the next: several Cerebros, several runs."""

import backtrader as bt
from hourly import hours

HISTORY = []


class Average(bt.Strategy):
    params = (("period", 10), ("size", 10))

    def __init__(self):
        self.sma = bt.ind.SMA(period=self.p.period)

    def next(self):
        HISTORY.append(self.data.close[0])
        if self.data.close[0] > self.sma[0] and self.position.size <= 0:
            self.order_target_size(target=self.p.size)
        elif self.data.close[0] < self.sma[0] and self.position.size >= 0:
            self.order_target_size(target=-self.p.size)


def assemble(frame):
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame), name="BTC")
    cerebro.broker.setcash(3_000)
    cerebro.broker.setcommission(commission=0.0004)
    return cerebro


frame = hours(360, seed=291)
train, test = frame.iloc[:180], frame.iloc[160:]
ends = {}
for period in (8, 16):
    cerebro = assemble(train)
    cerebro.addstrategy(Average, period=period)
    cerebro.run()
    ends[period] = cerebro.broker.getvalue()
best = max(ends, key=ends.get)
cerebro = assemble(test)
cerebro.addstrategy(Average, period=best)
strategy = cerebro.run()[0]
print("best", best, "then", round(strategy.broker.getvalue(), 2), len(HISTORY))
