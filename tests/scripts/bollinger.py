"""Sells above the upper band, buys below the lower one, out at the middle; data made on the spot."""

import datetime
import math

import backtrader as bt
import pandas as pd


def waves(bars=400):
    rows = []
    for i in range(bars):
        close = 100 + 8 * math.sin(i / 9) + 4 * math.sin(i / 3.1) + i / 100
        before = rows[-1]["close"] if rows else close
        rows.append(
            {
                "open": before,
                "high": max(before, close) + 0.4,
                "low": min(before, close) - 0.4,
                "close": close,
                "volume": 100 + i % 17,
            }
        )
    return pd.DataFrame(rows, index=pd.date_range("2023-06-01", periods=bars, freq="h"))


class Bands(bt.Strategy):
    params = (("period", 20), ("dev", 1.5), ("size", 15))

    def __init__(self):
        self.bands = bt.ind.BollingerBands(period=self.p.period, devfactor=self.p.dev)
        self.above = bt.ind.CrossUp(self.data.close, self.bands.top)
        self.below = bt.ind.CrossDown(self.data.close, self.bands.bot)

    def next(self):
        size = self.position.size
        if size == 0:
            if self.above[0]:
                self.sell(size=self.p.size)
            elif self.below[0]:
                self.buy(size=self.p.size)
        elif (size > 0 and self.data.close > self.bands.mid) or (
            size < 0 and self.data.close < self.bands.mid
        ):
            self.close()

    def stop(self):
        print(datetime.date(2023, 6, 1), self.p.period, round(self.broker.getvalue(), 2))


if __name__ == "__main__":
    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=waves(), name="ETH"))
    cerebro.addstrategy(Bands)
    cerebro.broker.setcash(5_000)
    cerebro.broker.setcommission(commission=0.0004)
    cerebro.broker.set_slippage_perc(0.0005)
    cerebro.run(runonce=False)
