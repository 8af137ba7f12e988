"""Two markets of which one begins later; trades before all indicators are ready."""

import backtrader as bt
from hourly import hours


class Early(bt.Strategy):
    def __init__(self):
        self.averages = [bt.ind.SMA(data, period=25) for data in self.datas]
        self.early = self.first = 0

    def prenext(self):
        self.early += 1
        self.trade([data for data in self.datas if len(data) > 25])

    def nextstart(self):
        self.first = len(self)
        self.next()

    def next(self):
        self.trade(self.datas)

    def trade(self, datas):
        for data in datas:
            average = self.averages[self.datas.index(data) if data is self.datas[0] else 1]
            held = self.getposition(data).size
            if data.close[0] > average[0] and not held:
                self.buy(data=data, size=4)
            elif data.close[0] < average[0] and held:
                self.close(data=data)

    def stop(self):
        print(self.early, self.first, round(self.broker.getvalue(), 2))


cerebro = bt.Cerebro()
long, short = hours(400, seed=251), hours(400, seed=252, start=40).iloc[150:]
cerebro.adddata(bt.feeds.PandasData(dataname=long), name="BTC")
cerebro.adddata(bt.feeds.PandasData(dataname=short), name="ETH")
cerebro.addstrategy(Early)
cerebro.broker.setcash(3_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
