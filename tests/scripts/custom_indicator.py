"""An indicator that remembers, bar by bar: a line above or below the price that flips."""

import backtrader as bt
from hourly import hours


class Flip(bt.Indicator):
    lines = ("line", "side")
    params = (("period", 10), ("factor", 2.0))
    plotinfo = {"subplot": False}

    def __init__(self):
        self.atr = bt.ind.ATR(self.data, period=self.p.period)
        self.addminperiod(self.p.period + 1)

    def nextstart(self):
        self.lines.side[0] = 1
        self.lines.line[0] = self.data.low[0] - self.p.factor * self.atr[0]

    def next(self):
        side, line = self.lines.side[-1], self.lines.line[-1]
        away = self.p.factor * self.atr[0]
        close = self.data.close[0]
        if side > 0:
            line = max(line, close - away)
            side = 1 if close > line else -1
            line = line if side > 0 else close + away
        else:
            line = min(line, close + away)
            side = -1 if close < line else 1
            line = line if side < 0 else close - away
        self.lines.side[0], self.lines.line[0] = side, line


class Follow(bt.Strategy):
    def __init__(self):
        self.flip = Flip()

    def next(self):
        side = self.flip.side[0]
        if self.position.size * side <= 0:
            self.order_target_size(target=int(9 * side))


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(420, seed=181)), name="BTC")
cerebro.addstrategy(Follow)
cerebro.broker.setcash(6_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
