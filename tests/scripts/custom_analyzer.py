"""An analyzer of our own beside the usual ones, results printed."""

import backtrader as bt
from hourly import hours


class Streaks(bt.Analyzer):
    """The longest row of winners and of losers."""

    def create_analysis(self):
        self.rets = bt.AutoOrderedDict()
        self.rets.won = self.rets.lost = 0
        self.row = 0

    def notify_trade(self, trade):
        if not trade.isclosed:
            return
        won = trade.pnlcomm > 0
        self.row = (
            self.row + 1
            if won and self.row > 0
            else self.row - 1
            if not won and self.row < 0
            else 1
            if won
            else -1
        )
        self.rets.won = max(self.rets.won, self.row)
        self.rets.lost = max(self.rets.lost, -self.row)

    def get_analysis(self):
        return self.rets


class Stochastics(bt.Strategy):
    def __init__(self):
        self.k = bt.ind.StochasticSlow(period=10, period_dfast=3, safediv=True)

    def next(self):
        if not self.position and self.k.percK[0] < 20:
            self.buy(size=10)
        elif self.position and self.k.percK[0] > 80:
            self.close()


cerebro = bt.Cerebro()
cerebro.adddata(bt.feeds.PandasData(dataname=hours(500, seed=171)), name="ETHUSDT")
cerebro.addstrategy(Stochastics)
cerebro.addanalyzer(Streaks, _name="streaks")
cerebro.addanalyzer(bt.analyzers.SQN, _name="sqn")
cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
cerebro.addanalyzer(bt.analyzers.Transactions, _name="fills")
cerebro.addanalyzer(bt.analyzers.PyFolio, _name="pyfolio")
cerebro.broker.setcash(2_500)
cerebro.broker.setcommission(commission=0.0004)
found = cerebro.run()[0].analyzers
print(dict(found.streaks.get_analysis()))
print(round(found.sqn.get_analysis()["sqn"], 6), found.trades.get_analysis().total.total)
print(round(found.drawdown.get_analysis()["max"]["drawdown"], 6), len(found.fills.get_analysis()))
returns, positions, transactions, leverage = found.pyfolio.get_pf_items()
print(len(returns), len(positions), len(transactions))
