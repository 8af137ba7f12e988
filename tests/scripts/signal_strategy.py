"""A strategy of the signal kind, from its own class."""

import backtrader as bt
from hourly import hours


class Crossing(bt.SignalStrategy):
    params = (("short", 7), ("long", 21))

    def __init__(self):
        one, two = bt.ind.SMA(period=self.p.short), bt.ind.SMA(period=self.p.long)
        self.signal_add(bt.SIGNAL_LONG, bt.ind.CrossOver(one, two))


cerebro = bt.Cerebro()
cerebro.addstrategy(Crossing)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(380, seed=211)))
cerebro.addsizer(bt.sizers.FixedSize, stake=12)
cerebro.run()
print(cerebro.broker.getvalue())
