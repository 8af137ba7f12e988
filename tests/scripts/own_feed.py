"""A feed of our own that reads a CSV line by line, through a generator, from an open file."""

import csv
import datetime
import pathlib

import backtrader as bt
from backtrader import date2num


class Rows(bt.feed.DataBase):
    params = (("timeframe", bt.TimeFrame.Minutes), ("compression", 60))

    def start(self):
        super().start()
        self.file = open(self.p.dataname, newline="")  # noqa: SIM115 # closed by stop
        self.rows = self.read()

    def stop(self):
        self.file.close()

    def read(self):
        yield from csv.DictReader(self.file)

    def _load(self):
        row = next(self.rows, None)
        if row is None:
            return False
        moment = datetime.datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S")
        self.lines.datetime[0] = date2num(moment)
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self.lines, name)[0] = float(row[name])
        self.lines.openinterest[0] = 0.0
        return True


class Momentum(bt.Strategy):
    def __init__(self):
        self.mom = bt.ind.Momentum(period=15)

    def next(self):
        want = 10 if self.mom[0] > 0 else -10
        if self.position.size != want:
            self.order_target_size(target=want)


if __name__ == "__main__":
    cerebro = bt.Cerebro()
    cerebro.adddata(Rows(dataname=str(pathlib.Path(__file__).with_name("prices.csv"))), name="BTC")
    cerebro.addstrategy(Momentum)
    cerebro.broker.setcash(5_000)
    cerebro.broker.setcommission(commission=0.0004)
    cerebro.run()
    print(round(cerebro.broker.getvalue(), 2))
