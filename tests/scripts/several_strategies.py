"""Two strategies of one account and one market, their trades told apart."""

import itertools

import backtrader as bt
from hourly import hours


class Slow(bt.Strategy):
    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=12), bt.ind.SMA(period=40))
        self.won = 0.0

    def notify_trade(self, trade):
        self.won += trade.pnlcomm if trade.isclosed else 0.0

    def next(self):
        if self.cross > 0:
            self.buy(size=6)
        elif self.cross < 0:
            self.sell(size=6)


class Fast(bt.Strategy):
    params = (("every", 6),)

    def __init__(self):
        self.ids = itertools.cycle([0, 1, 2])
        self.open = {}

    def next(self):
        if len(self) % self.p.every == 0:
            number = next(self.ids)
            if self.open.pop(number, None):
                self.sell(size=2, tradeid=number)
            else:
                self.open[number] = self.buy(size=2, tradeid=number)


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(420, seed=221)), name="BTC")
cerebro.addstrategy(Slow)
cerebro.addstrategy(Fast)
cerebro.addsizer_byidx(1, bt.sizers.FixedSize, stake=2)
cerebro.broker.setcash(5_000)
cerebro.broker.setcommission(commission=0.0004)
slow, fast = cerebro.run(tradehistory=True)
print(round(slow.won, 2), sorted(fast.open), round(cerebro.broker.getvalue(), 2))
