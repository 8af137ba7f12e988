"""Size by risk: a share of the account divided by the distance of the stop."""

import backtrader as bt
from hourly import hours


class RiskSizer(bt.Sizer):
    params = (("risk", 0.01), ("atrs", 2.0))

    def _getsizing(self, comminfo, cash, data, isbuy):
        position = self.broker.getposition(data)
        if position.size:
            return abs(position.size)
        away = self.strategy.atr[0] * self.p.atrs
        return int(self.broker.getvalue() * self.p.risk / away)


class Trend(bt.Strategy):
    def __init__(self):
        self.atr = bt.ind.ATR(period=10)
        self.cross = bt.ind.CrossOver(bt.ind.EMA(period=9), bt.ind.EMA(period=30))

    def next(self):
        if self.cross > 0 and self.position.size <= 0:
            if self.position:
                self.close()
            else:
                self.buy()
        elif self.cross < 0 and self.position.size >= 0:
            if self.position:
                self.close()
            else:
                self.sell()


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(460, seed=151)), name="BTC")
cerebro.addstrategy(Trend)
cerebro.addsizer(RiskSizer, risk=0.02)
cerebro.broker.setcash(9_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
