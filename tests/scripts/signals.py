"""No strategy class at all: signals, added to the Cerebro."""

import backtrader as bt
from hourly import hours


class Above(bt.Indicator):
    lines = ("signal",)
    params = (("period", 18),)

    def __init__(self):
        self.lines.signal = self.data - bt.ind.SMA(period=self.p.period)


class Exit(bt.Indicator):
    lines = ("signal",)

    def __init__(self):
        self.lines.signal = 70 - bt.ind.RSI(period=8, safediv=True)


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(380, seed=201)), name="BTC")
cerebro.add_signal(bt.SIGNAL_LONGSHORT, Above)
cerebro.add_signal(bt.SIGNAL_LONGEXIT, Exit)
cerebro.addsizer(bt.sizers.SizerFix, stake=9)
cerebro.broker.setcash(4_500)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
