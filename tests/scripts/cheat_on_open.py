"""Decides on the open of the bar that is about to be, in next_open."""

import backtrader as bt
from hourly import hours


class Gaps(bt.Strategy):
    params = (("gap", 0.001), ("value", 1500.0))

    def __init__(self):
        self.cheating = self.cerebro.p.cheat_on_open

    def next_open(self):
        if not self.cheating or len(self) < 2:
            return
        gap = self.data.open[0] / self.data.close[-1] - 1
        size = int(self.p.value / self.data.open[0])
        if self.position:
            self.close()
        elif gap > self.p.gap:
            self.sell(size=size)
        elif gap < -self.p.gap:
            self.buy(size=size)

    def notify_order(self, order):
        if order.status == order.Completed:
            print(f"{order.executed.price:.4f}")


cerebro = bt.Cerebro(cheat_on_open=True)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=111)), name="XRP")
cerebro.addstrategy(Gaps)
cerebro.broker.setcash(4_000)
cerebro.broker.setcommission(commission=0.0001)
cerebro.run()
print(round(cerebro.broker.getvalue(), 3))
