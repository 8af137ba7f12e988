"""The two strongest of four markets, weighed anew every day."""

import backtrader as bt
from hourly import hours


class Fractional(bt.CommissionInfo):
    """Sizes need not be whole."""

    def getsize(self, price, cash):
        return self.p.leverage * (cash / price)


class Rotation(bt.Strategy):
    params = (("period", 24), ("top", 2), ("every", 24))

    def __init__(self):
        self.momentum = {
            data: bt.ind.RateOfChange(data.close, period=self.p.period) for data in self.datas
        }

    def next(self):
        if len(self) % self.p.every:
            return
        ranked = sorted(self.datas, key=lambda data: self.momentum[data][0], reverse=True)
        chosen = [d for d in ranked[: self.p.top] if self.momentum[d][0] > 0]
        for data in ranked:
            if data not in chosen_list(chosen) and self.getposition(data).size:
                self.order_target_percent(data, target=0.0)
        for data in chosen:
            self.order_target_percent(data, target=0.9 / self.p.top)


def chosen_list(datas):
    return Feeds(datas)


class Feeds(list):
    """Feeds compare their prices with ==, so membership goes by identity."""

    def __contains__(self, data):
        return any(data is each for each in self)


cerebro = bt.Cerebro()
for number, name in enumerate(["BTC", "ETH", "SOL", "XRP"]):
    cerebro.adddata(
        bt.feeds.PandasData(dataname=hours(360, seed=20 + number, start=50.0 + 30 * number)),
        name=name,
    )
cerebro.addstrategy(Rotation)
cerebro.broker.setcash(25_000)
cerebro.broker.addcommissioninfo(Fractional(commission=0.0005))
cerebro.addanalyzer(bt.analyzers.DrawDown, _name="dd")
first = cerebro.run()[0]
print(round(first.analyzers.dd.get_analysis().max.drawdown, 3), round(cerebro.broker.getvalue(), 2))
