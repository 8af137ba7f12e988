"""Moving averages that cross, everything at module level."""

import os

import backtrader as bt


class SmaCross(bt.Strategy):
    params = (("fast", 8), ("slow", 24))

    def __init__(self):
        fast = bt.indicators.SimpleMovingAverage(self.data.close, period=self.p.fast)
        slow = bt.indicators.SimpleMovingAverage(self.data.close, period=self.p.slow)
        self.signal = bt.indicators.CrossOver(fast, slow)
        self.order = None

    def log(self, text):
        print(f"{self.data.datetime.datetime(0).isoformat()} {text}")

    def notify_order(self, order):
        if order.status in [order.Submitted, order.Accepted]:
            return
        if order.status == order.Completed:
            side = "BUY" if order.isbuy() else "SELL"
            self.log(f"{side} at {order.executed.price:.2f}, commission {order.executed.comm:.2f}")
        elif order.status in [order.Canceled, order.Margin, order.Rejected]:
            self.log("order canceled, rejected or without margin")
        self.order = None

    def notify_trade(self, trade):
        if trade.isclosed:
            self.log(f"PROFIT gross {trade.pnl:.2f}, net {trade.pnlcomm:.2f}")

    def next(self):
        if self.order:
            return
        if not self.position:
            if self.signal > 0:
                self.order = self.buy()
        elif self.signal < 0:
            self.order = self.sell()


cerebro = bt.Cerebro()
cerebro.addstrategy(SmaCross)
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prices.csv")
data = bt.feeds.GenericCSVData(
    dataname=path,
    dtformat="%Y-%m-%d %H:%M:%S",
    timeframe=bt.TimeFrame.Minutes,
    compression=60,
    openinterest=-1,
)
cerebro.adddata(data)
cerebro.broker.setcash(10000.0)
cerebro.broker.setcommission(commission=0.001)
cerebro.addsizer(bt.sizers.FixedSize, stake=10)

print(f"Starting value: {cerebro.broker.getvalue():.2f}")
cerebro.run()
print(f"Final value: {cerebro.broker.getvalue():.2f}")
cerebro.plot()
