"""A scheme for each of two markets: a fee per contract with margin, and a percentage with a least fee."""

import backtrader as bt
from hourly import hours


class PerContract(bt.CommInfoBase):
    params = (("stocklike", False), ("commtype", bt.CommInfoBase.COMM_FIXED))


class AtLeast(bt.CommInfoBase):
    params = (("stocklike", True), ("least", 0.5))

    def _getcommission(self, size, price, pseudoexec):
        return max(self.p.least, abs(size) * price * self.p.commission)


class Both(bt.Strategy):
    def __init__(self):
        self.cross = [
            bt.ind.CrossOver(bt.ind.SMA(d, period=6), bt.ind.SMA(d, period=22)) for d in self.datas
        ]
        self.paid = 0.0

    def notify_order(self, order):
        if order.status == order.Completed:
            self.paid += order.executed.comm

    def next(self):
        for number, data in enumerate(self.datas):
            cross = self.cross[number]
            if cross[0] > 0:
                self.buy(data=data, size=6)
            elif cross[0] < 0 and self.getposition(data).size > 0:
                self.close(data=data)

    def stop(self):
        print(round(self.paid, 4), round(self.broker.getvalue(), 2))


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=281)), name="BTC")
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=282)), name="ETH")
cerebro.broker.setcash(8_000)
cerebro.broker.addcommissioninfo(PerContract(commission=0.3, margin=100.0), name="BTC")
cerebro.broker.addcommissioninfo(AtLeast(commission=0.001), name="ETH")
cerebro.addstrategy(Both)
cerebro.run()
