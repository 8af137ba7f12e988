"""Says everything it is told, through logging."""

import io
import logging

import backtrader as bt
from hourly import hours

paper = io.StringIO()
logging.basicConfig(
    stream=paper, level=logging.INFO, format="%(levelname)s %(message)s", force=True
)
log = logging.getLogger("talkative")


class Talkative(bt.Strategy):
    def start(self):
        log.info("start %.2f", self.broker.getvalue())

    def notify_order(self, order):
        log.info("%s %s", order.ordtypename(), order.getstatusname())

    def notify_trade(self, trade):
        log.info("trade %s %.2f %.2f", trade.status_names[trade.status], trade.size, trade.pnlcomm)

    def notify_cashvalue(self, cash, value):
        self.worth = value

    def notify_fund(self, cash, value, fundvalue, shares):
        self.fund = fundvalue * shares

    def notify_data(self, data, status, *args, **kwargs):
        log.info("data %s", data._getstatusname(status))

    def notify_store(self, msg, *args, **kwargs):
        log.info("store %s", msg)

    def next(self):
        assert abs(self.worth - self.fund) < 1e-6
        if len(self) % 13 == 0:
            self.buy(size=5) if not self.position else self.close()
        if len(self) % 50 == 0:
            self.resting = self.buy(exectype=bt.Order.Limit, price=self.data.close[0] * 0.9, size=1)
        if len(self) % 50 == 4 and len(self) > 50:
            self.cancel(self.resting)

    def stop(self):
        log.info("stop %.2f", self.broker.getvalue())


cerebro = bt.Cerebro(quicknotify=True)
cerebro.adddata(bt.feeds.PandasData(dataname=hours(300, seed=241)), name="BTC")
cerebro.addstrategy(Talkative)
cerebro.broker.setcash(2_000)
cerebro.broker.setcommission(commission=0.0004)
cerebro.run()
lines = paper.getvalue().splitlines()
print(len(lines), lines[-1])
