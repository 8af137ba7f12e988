"""In on a rise, out by a stop that follows: by a share of the price, then by an amount."""

import backtrader as bt
from hourly import hours


class Trailing(bt.Strategy):
    params = (("period", 20), ("percent", 0.02), ("amount", 1.5), ("stake", 11))

    def __init__(self):
        self.sma = bt.ind.SMA(period=self.p.period)
        self.exit = None
        self.turn = 0

    def notify_order(self, order):
        if self.exit is not None and order.ref == self.exit.ref and not order.alive():
            self.exit = None

    def next(self):
        if not self.position and self.exit is None:
            if self.data.close > self.sma:
                self.buy(size=self.p.stake)
                self.turn += 1
        elif self.position and self.exit is None:
            follow = (
                {"trailpercent": self.p.percent}
                if self.turn % 2
                else {"trailamount": self.p.amount}
            )
            self.exit = self.sell(size=self.p.stake, exectype=bt.Order.StopTrail, **follow)


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=81)), name="BTC")
cerebro.addstrategy(Trailing)
cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
cerebro.broker.setcash(2_500)
cerebro.broker.setcommission(commission=0.0004)
done = cerebro.run()[0]
print(done.analyzers.trades.get_analysis().total.closed, round(cerebro.broker.getvalue(), 2))
