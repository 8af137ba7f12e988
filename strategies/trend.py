"""Moving-average trend on several coins: the account is a portfolio, the margin mode decides who pays.

Long a coin while its fast average is above the slow one, short while it is below; each change of
side is sized at `exposure` times the equity of that moment. A position the venue took away is not
bought back before the averages cross again.

What to look at. Every coin is bet on by itself, and most hourly moves are shared. Under *cross* the
winners' profits carry the loser through a spike: a position may swing far below its own margin as
long as the whole account can stand it, and is still there when the price comes back. Under
*isolated* each coin has only the margin posted for it, about 1/leverage of its notional: a spike of
that size ends the position at the worst moment, but that margin is also all it can lose. On the
sample cross is never liquidated in two years; isolated loses dozens of positions, nearly all of
them in ordinary weeks and one in the crash hour. Look at what they would have been worth a day
later. Then set `exposure` to 1.5: now the cross account is gone a year before the crash, in the
losing stretch it outlives at 0.5, with all four coins closed at once. Isolated is still there at
the end, with next to nothing: it cannot lose more than it posts, but it posted nearly all.
"""

from __future__ import annotations

import backtrader as bt


class Trend(bt.Strategy):
    """Always on the side of the moving averages, in every feed.

    fast, slow : lengths of the averages [bars]
    exposure : notional of each coin over equity
    shorts : False to stay flat instead of short
    """

    params = (("fast", 72), ("slow", 480), ("exposure", 0.5), ("shorts", True))

    def __init__(self) -> None:
        if self.p.fast >= self.p.slow:
            raise ValueError(f"fast ({self.p.fast}) must be shorter than slow ({self.p.slow})")
        self.gap = {
            data: bt.ind.SMA(data.close, period=self.p.fast)
            - bt.ind.SMA(data.close, period=self.p.slow)
            for data in self.datas
        }
        self.side = dict.fromkeys(self.datas, 0)

    def next(self) -> None:
        for data in self.datas:
            side = 1 if self.gap[data][0] > 0 else -1 if self.p.shorts else 0
            if side != self.side[data]:
                self.side[data] = side
                self.hold(data, side * self.p.exposure)

    def hold(self, data: bt.DataBase, exposure: float) -> None:
        """Bring the notional in `data` to `exposure` (negative: short) times the equity."""
        contract = data.close[0] * self.broker.getcommissioninfo(data).p.mult
        self.order_target_size(data, exposure * self.broker.getvalue() / contract)
