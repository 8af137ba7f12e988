"""Orders that were made elsewhere, judged here."""

import backtrader as bt
from hourly import hours

ORDERS = (
    ("2024-01-02T03:00:00", 5, 100.0),
    ("2024-01-04T10:00:00", -5, 101.5),
    ("2024-01-06T00:00:00", -4, 102.0),
    ("2024-01-09T12:00:00", 4, 99.0),
)


class Watch(bt.Strategy):
    def notify_trade(self, trade):
        if trade.isclosed:
            print("closed", round(trade.pnl, 2))

    def next(self):
        pass


cerebro = bt.Cerebro()
cerebro.adddata(
    bt.feeds.PandasData(
        dataname=hours(300, seed=301), timeframe=bt.TimeFrame.Minutes, compression=60
    )
)
cerebro.add_order_history(iter(ORDERS), notify=True)
cerebro.addstrategy(Watch)
cerebro.broker.setcash(2_000)
cerebro.run()
print(round(cerebro.broker.getvalue(), 2))
