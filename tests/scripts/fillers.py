"""Orders larger than the bar's volume allows, filled piece by piece."""

import backtrader as bt
from hourly import hours


class Large(bt.Strategy):
    def __init__(self):
        self.pieces = 0

    def notify_order(self, order):
        if order.status == order.Partial:
            self.pieces += 1
        if order.status in (order.Partial, order.Completed):
            assert abs(order.executed.remsize) <= abs(order.size)

    def next(self):
        if len(self) % 40 == 10:
            self.buy(size=120, exectype=bt.Order.Limit, price=self.data.close[0] * 1.02)
        elif len(self) % 40 == 30 and self.position:
            self.close()

    def stop(self):
        print(self.pieces, "pieces", self.position.size)


cerebro = bt.Cerebro()
cerebro.broker = bt.brokers.BackBroker(filler=bt.broker.fillers.FixedBarPerc(perc=5.0))
cerebro.broker.setcash(40_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.broker.set_slippage_fixed(0.02)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(300, seed=271)), name="BTC")
cerebro.addstrategy(Large)
cerebro.run()
