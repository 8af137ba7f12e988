"""Funding carry: be paid for holding. Short the coin with the highest funding, long the lowest.

Every `every` bars the funding of the last `lookback` bars is averaged for each feed. If the gap of
the highest and the lowest is worth it, the first is sold and the second bought in equal notional:
longs pay shorts, so the pair collects the gap at each settlement, while the two coins' common moves
cancel. Feeds without a `funding_rate` line take no part; with fewer than two left it stays flat.

What to look at. The income is small and steady, the risk is the difference of two coins, and the
temptation is leverage. Compare the rows "funding" and "price result" of the summary: on the sample
the ratio of the two coins moves the equity several times as much as the carry, this time in our
favour. Under *cross* both legs share the pool and nothing is ever liquidated. Under *isolated* the
coin with the highest funding may be the one that rises fastest, so that the very trend that made it
attractive takes the short leg, and fundings paid also eat the posted margin; the long leg of a
falling coin fares no better. At leverage 10 isolated ends a little ahead all the same: some of
those cuts came before worse (the report says which ones spared it something). At 20 there are three
times as many, and it ends far behind. Was the lead at 10 skill?
"""

from __future__ import annotations

import math
from collections import deque

import backtrader as bt


class Carry(bt.Strategy):
    """Short the highest funding, long the lowest, as long as the gap pays.

    lookback : bars of funding that are averaged; every : bars between two decisions
    gap : smallest difference of the averaged rates to open [fraction per settlement]; a pair is
        kept until the difference is below half of it
    exposure : notional of each leg over equity
    """

    params = (("lookback", 72), ("every", 24), ("gap", 0.0005), ("exposure", 1.0))

    def __init__(self) -> None:
        self.rates = {}
        for data in self.datas:
            if getattr(data, "funding_rate", None) is not None:
                self.rates[data] = deque(maxlen=self.p.lookback)
        self.legs = None  # (the feed held short, the feed held long)
        self.orders: list[bt.Order] = []
        self.bars = 0

    def next(self) -> None:
        for data, rates in self.rates.items():
            rates.append(data.funding_rate[0])
        self.bars += 1
        if any(order.alive() for order in self.orders):
            return
        if self.legs and not all(self.getposition(leg).size for leg in self.legs):
            self.move_to(None)  # one leg is gone: the other is no hedge any more
        elif self.bars > self.p.lookback and self.bars % self.p.every == 0:
            self.decide()

    def decide(self) -> None:
        """Open, keep, change or leave the pair."""
        means = {data: mean(rates) for data, rates in self.rates.items()}
        known = [data for data in means if means[data] is not None]
        if len(known) < 2:
            return
        high, low = max(known, key=means.get), min(known, key=means.get)
        if self.legs and all(means[leg] is not None for leg in self.legs):
            short, long = self.legs
            if means[short] - means[long] >= self.p.gap / 2:
                return
        self.move_to((high, low) if means[high] - means[low] >= self.p.gap else None)

    def move_to(self, legs: tuple[bt.DataBase, bt.DataBase] | None) -> None:
        """Close what is not in `legs`, open what is new there."""
        self.orders = []
        for data in self.rates:
            now = self.getposition(data).size
            side = 0 if legs is None else -1 if data is legs[0] else 1 if data is legs[1] else 0
            if side * now <= 0:
                order = self.hold(data, side * self.p.exposure)
                self.orders += [order] if order is not None else []
        self.legs = legs

    def hold(self, data: bt.DataBase, exposure: float) -> bt.Order | None:
        """Bring the notional in `data` to `exposure` (negative: short) times the equity."""
        contract = data.close[0] * self.broker.getcommissioninfo(data).p.mult
        return self.order_target_size(data, exposure * self.broker.getvalue() / contract)


def mean(rates: deque[float]) -> float | None:
    """Average of the rates that are there (NaN: no settlement in that bar), None without any."""
    there = [rate for rate in rates if not math.isnan(rate)]
    return sum(there) / len(there) if there else None
