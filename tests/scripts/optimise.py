"""Twelve sets of parameters, ranked by what they left."""

import backtrader as bt
from hourly import hours


class Averages(bt.Strategy):
    params = (("fast", 5), ("slow", 20), ("stake", 20))

    def __init__(self):
        if self.p.fast >= self.p.slow:
            raise bt.errors.StrategySkipError
        self.cross = bt.ind.CrossOver(
            bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        )

    def next(self):
        if self.cross > 0:
            self.order_target_size(target=self.p.stake)
        elif self.cross < 0:
            self.order_target_size(target=-self.p.stake)


def told(strategies):
    for each in strategies:
        print("done", each.p.fast, each.p.slow)


if __name__ == "__main__":
    cerebro = bt.Cerebro(stdstats=False, optreturn=True)
    cerebro.adddata(bt.feeds.PandasData(dataname=hours(260, seed=191)), name="BTC")
    cerebro.optstrategy(Averages, fast=range(4, 12, 3), slow=[7, 20])
    cerebro.optcallback(told)
    cerebro.addanalyzer(bt.analyzers.Returns, _name="returns", timeframe=bt.TimeFrame.NoTimeFrame)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.broker.setcash(5_000)
    cerebro.broker.setcommission(commission=0.0004)
    runs = cerebro.run(maxcpus=1)
    table = [
        (run.analyzers.returns.get_analysis()["rtot"], run.p.fast, run.p.slow)
        for runs_of_set in runs
        for run in runs_of_set
    ]
    for total, fast, slow in sorted(table, reverse=True):
        print(fast, slow, round(total, 6))
