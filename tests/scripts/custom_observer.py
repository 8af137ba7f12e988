"""Observers of our own: how much is held, and when an order was refused or filled."""

import backtrader as bt
from hourly import hours


class Held(bt.Observer):
    alias = ("Exposure",)
    lines = ("held", "share")
    plotinfo = {"plot": True, "subplot": True}

    def next(self):
        owner = self._owner
        value = owner.broker.getvalue()
        self.lines.held[0] = owner.position.size
        self.lines.share[0] = owner.position.size * owner.data.close[0] / value


class Orders(bt.observer.Observer):
    lines = ("made", "filled")
    plotlines = {"made": {"marker": "*"}, "filled": {"marker": "o"}}

    def next(self):
        for order in self._owner._orderspending:
            if order.data is not self.data:
                continue
            if order.status == bt.Order.Accepted:
                self.lines.made[0] = order.created.price or self.data.close[0]
            elif order.status == bt.Order.Completed:
                self.lines.filled[0] = order.executed.price


class InAndOut(bt.Strategy):
    def next(self):
        if len(self) % 20 == 5:
            self.buy(size=10)
        elif len(self) % 20 == 15 and self.position:
            self.close()

    def stop(self):
        held = self.observers.held.lines
        print(max(held.held.get(size=len(self))), round(max(held.share.get(size=len(self))), 4))


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(300, seed=161)))
cerebro.addstrategy(InAndOut)
cerebro.addobserver(Held)
cerebro.addobservermulti(Orders)
cerebro.addobserver(bt.observers.DrawDown)
cerebro.broker.setcash(2_000)
cerebro.run(runonce=False)
