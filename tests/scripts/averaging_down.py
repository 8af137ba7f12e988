"""Doubles on the way down and sells all at a small profit: what people call martingale."""

import backtrader as bt
from hourly import hours


class Doubling(bt.Strategy):
    params = (("first", 2), ("fall", 0.02), ("profit", 0.01), ("most", 5))

    def __init__(self):
        self.steps = 0

    def notify_order(self, order):
        if order.status in (order.Margin, order.Rejected):
            print("no money for step", self.steps)
            self.steps -= 1

    def next(self):
        price = self.data.close[0]
        if not self.position:
            self.steps = 1
            self.buy(size=self.p.first)
            return
        mean = self.position.price
        if price >= mean * (1 + self.p.profit):
            self.close()
        elif price <= mean * (1 - self.p.fall) and self.steps < self.p.most:
            self.buy(size=self.p.first * 2**self.steps)
            self.steps += 1


if __name__ == "__main__":
    cerebro = bt.Cerebro()
    cerebro.adddata(
        bt.feeds.PandasData(dataname=hours(420, seed=41, volatility=0.012)), name="SOLUSDT"
    )
    cerebro.addstrategy(Doubling)
    cerebro.broker.setcash(15_000)
    cerebro.broker.setcommission(commission=0.0002)
    cerebro.run()
    print("left:", round(cerebro.broker.getcash() + 0.0, 2) if not cerebro.broker.positions else "")
    print("worth:", round(cerebro.broker.getvalue(), 2))
