"""Four-hour bars made of hours decide the side, hours the moment."""

import backtrader as bt
from hourly import hours


class TwoClocks(bt.Strategy):
    params = (("slow", 8), ("fast", 6))

    def __init__(self):
        self.trend = bt.ind.SMA(self.data1.close, period=self.p.slow)
        self.pull = bt.ind.RSI(self.data0.close, period=self.p.fast, safediv=True)

    def next(self):
        up = self.data1.close[0] > self.trend[0]
        if not self.position:
            if up and self.pull[0] < 40:
                self.buy(data=self.data0, size=5)
            elif not up and self.pull[0] > 60:
                self.sell(data=self.data0, size=5)
        elif (self.position.size > 0) != up:
            self.close(data=self.data0)


def main():
    cerebro = bt.Cerebro()
    minutes = {"timeframe": bt.TimeFrame.Minutes}
    data = bt.feeds.PandasData(dataname=hours(480, seed=131), compression=60, **minutes)
    cerebro.adddata(data, name="ETH/USDT:USDT")
    cerebro.resampledata(data, compression=240, **minutes)
    cerebro.addstrategy(TwoClocks)
    cerebro.broker.setcash(3_500)
    cerebro.broker.setcommission(commission=0.0004)
    cerebro.run()
    print(round(cerebro.broker.getvalue(), 2))


if __name__ == "__main__":
    main()
