"""Lets a writer say everything, and reads prices from an open stream."""

import io

import backtrader as bt
from hourly import hours

stream = io.StringIO(hours(200, seed=261).to_csv(index_label="datetime"))
feed = bt.feeds.GenericCSVData(
    dataname=stream,
    name="BTC",
    dtformat="%Y-%m-%d %H:%M:%S",
    timeframe=bt.TimeFrame.Minutes,
    compression=60,
    openinterest=-1,
)


class Holder(bt.Strategy):
    def next(self):
        if len(self) == 3:
            self.buy(size=8)
        elif len(self) == 150:
            self.close()


cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(feed)
cerebro.addstrategy(Holder)
cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.Days)
cerebro.addanalyzer(bt.analyzers.VWR)
cerebro.addwriter(bt.WriterFile, csv=True, rounding=4)
cerebro.broker.setcash(1_500)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
