"""Buys what is oversold and sells what is overbought, with a stop; arguments, and an exit code."""

import argparse
import pathlib
import sys

import backtrader as bt

HERE = pathlib.Path(__file__).parent


class RsiReversion(bt.Strategy):
    params = {"period": 14, "low": 35, "high": 65, "stop": 0.03, "stake": 20}

    def __init__(self):
        self.rsi = bt.ind.RSI(period=self.p.period, safediv=True)
        self.entry = None

    def notify_order(self, order):
        if order.status == order.Completed:
            self.entry = order.executed.price if self.position else None

    def next(self):
        if not self.position:
            if self.rsi < self.p.low:
                self.buy(size=self.p.stake)
            elif self.rsi > self.p.high:
                self.sell(size=self.p.stake)
        elif self.position.size > 0:
            lost = self.entry and self.data.close[0] < self.entry * (1 - self.p.stop)
            if self.rsi > 50 or lost:
                self.close()
        else:
            lost = self.entry and self.data.close[0] > self.entry * (1 + self.p.stop)
            if self.rsi < 50 or lost:
                self.close()


def parse(args=None):
    parser = argparse.ArgumentParser(description="RSI")
    parser.add_argument("--data", default=str(HERE / "prices.csv"))
    parser.add_argument("--cash", type=float, default=20000)
    parser.add_argument("--period", type=int, default=14)
    parser.add_argument("--plot", action="store_true")
    return parser.parse_args(args)


def main():
    args = parse()
    cerebro = bt.Cerebro(stdstats=False)
    feed = bt.feeds.GenericCSVData(
        dataname=args.data, timeframe=bt.TimeFrame.Minutes, compression=60, openinterest=-1
    )
    cerebro.adddata(feed, name="BTC")
    cerebro.addstrategy(RsiReversion, period=args.period)
    cerebro.broker.set_cash(args.cash)
    cerebro.broker.setcommission(0.0005)
    strategy = cerebro.run()[0]
    print("end", round(strategy.broker.getvalue(), 2))
    if args.plot:
        cerebro.plot()
    return 0


if __name__ == "__main__":
    sys.exit(main())
