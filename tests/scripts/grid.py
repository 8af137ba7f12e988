"""A ladder of limit orders: each buy that fills is sold one rung higher, each such sale is bought again."""

import backtrader as bt
from hourly import hours


class Grid(bt.Strategy):
    params = (("rungs", 6), ("gap", 0.01), ("size", 3))

    def __init__(self):
        self.rungs = {}

    def place(self, price, buys):
        send = self.buy if buys else self.sell
        order = send(exectype=bt.Order.Limit, price=price, size=self.p.size)
        self.rungs[order.ref] = (price, buys)

    def notify_order(self, order):
        if order.ref not in self.rungs:
            return
        if order.status == order.Completed:
            price, bought = self.rungs.pop(order.ref)
            if bought:
                self.place(price * (1 + self.p.gap), False)
            else:
                self.place(price / (1 + self.p.gap), True)
        elif order.status in (order.Canceled, order.Margin, order.Rejected, order.Expired):
            del self.rungs[order.ref]

    def nextstart(self):
        middle = self.data.close[0]
        for rung in range(1, self.p.rungs + 1):
            self.place(middle * (1 - self.p.gap * rung), True)

    def next(self):
        pass

    def stop(self):
        print(len(self.rungs), "orders open,", self.position.size, "held")


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(350, seed=52)))
cerebro.addstrategy(Grid)
cerebro.broker.setcash(9_000)
cerebro.broker.setcommission(commission=0.0002)
cerebro.run(exactbars=1)
