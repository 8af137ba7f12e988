"""Targets by size, by value and by share of the account, through zero and back."""

import backtrader as bt
from hourly import hours


class AnyAmount(bt.CommInfoBase):
    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True))

    def getsize(self, price, cash):
        return self.p.leverage * cash / price


class Targets(bt.Strategy):
    def __init__(self):
        self.months = 0

    def next(self):
        step = len(self)
        if step % 10:
            return
        kind = (step // 10) % 6
        if kind == 0:
            self.order_target_size(target=15)
        elif kind == 1:
            self.order_target_value(target=900.0)
        elif kind == 2:
            self.order_target_percent(target=0.75)
        elif kind == 3:
            self.order_target_percent(target=0.2)
        elif kind == 4:
            self.order_target_size(target=-10)
        else:
            self.order_target_percent(target=0.0)


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(400, seed=231)), name="BTC")
cerebro.addstrategy(Targets)
cerebro.broker.setcash(3_000)
cerebro.broker.addcommissioninfo(AnyAmount(commission=0.0004), name="BTC")
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
