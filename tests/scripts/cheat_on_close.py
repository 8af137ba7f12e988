"""Trades at the close that gave the signal, and at the close of the next bar."""

import backtrader as bt
from hourly import hours


class AtClose(bt.Strategy):
    def __init__(self):
        self.macd = bt.ind.MACDHisto(period_me1=6, period_me2=13, period_signal=5)

    def next(self):
        histo = self.macd.histo[0]
        before = self.macd.histo[-1]
        if histo > 0 > before:
            if self.position:
                self.close()
            self.buy(size=7)
        elif histo < 0 < before:
            if self.position:
                self.close()
            self.sell(size=7, exectype=bt.Order.Close)


cerebro = bt.Cerebro()
cerebro.broker.set_coc(True)
cerebro.broker.setcash(3_000)
cerebro.broker.setcommission(commission=0.0005)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=121, freq="D")))
cerebro.addstrategy(AtClose)
cerebro.addanalyzer(
    bt.analyzers.SharpeRatio, timeframe=bt.TimeFrame.Days, annualize=True, factor=365
)
cerebro.addanalyzer(bt.analyzers.AnnualReturn)
best = cerebro.run()[0]
for each in best.analyzers:
    each.print()
