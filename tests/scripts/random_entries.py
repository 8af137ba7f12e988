"""Tosses a coin: the same coin in every run, seeded or not."""

import random

import backtrader as bt
import numpy as np
from hourly import hours

random.seed(7)


class Coin(bt.Strategy):
    tosses = []

    def next(self):
        self.tosses.append(random.random())
        if self.tosses[-1] < 0.1:
            size = int(np.random.randint(1, 6))
            (self.buy if random.random() < 0.5 else self.sell)(size=size)
        elif self.position and self.tosses[-1] > 0.93:
            self.close()


np.random.seed(3)
cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(300, seed=311)))
cerebro.addstrategy(Coin)
cerebro.broker.setcash(4_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
print(len(Coin.tosses), round(random.random(), 6), round(cerebro.broker.getvalue(), 2))
