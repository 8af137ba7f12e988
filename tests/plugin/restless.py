"""A strategy that never rests, and the random story it lives through: any rules, any market, any order.

A :class:`Story` is drawn from one seed: venue, liquidation policy, margin mode, markets with gaps and
wicks, marks, funding, slippage, fillers, loop. :func:`live` tells it.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
import pandas as pd
from plugin.test_mirror import Mirrored
from plugin.twin import BTC, ETH, LOOPS, Told, flat_venue, walk

import bt_margin as btm
from bt_margin.venues.policies import Fraction, FullClose, JustEnough, LargestLossFirst

LINEAR = (BTC, ETH, "SOL/USDT:USDT")
COIN = ("BTC/USD:BTC", "BTC/EUR:BTC")
BARS, LEVERAGE = 200, 20.0
#: what every coin contract is worth in quote currency, and its first price over that of a linear one
CONTRACT, PRICE = 100.0, 200.0
POLICIES = (
    FullClose("sale", "trader"),
    FullClose("takeover", "fund"),
    JustEnough(settle="takeover", residual="fund"),
    JustEnough(settle="sale", residual="trader"),
    Fraction(0.3, "sale", "trader"),
    LargestLossFirst("sale", "trader"),
)


class Story:
    """Everything one seed decides before the first bar."""

    def __init__(self, seed: int, coin: bool = False) -> None:
        draw = random.Random(seed)
        self.seed, self.coin = seed, coin
        names = COIN if coin else LINEAR
        self.names = names[: draw.randrange(1, len(names) + 1)]
        self.cash = 1.0 if coin else 2_000.0
        self.loop = draw.choice(list(LOOPS))
        self.frames = {name: self.market(draw, i) for i, name in enumerate(self.names)}
        self.settings = self.drawn_settings(draw)
        self.settings["delisted"] = self.ended(random.Random(seed * 31 + 5))
        self.slips, self.fills_parts, self.cheats, self.scheme, self.company = (
            draw.random() < chance for chance in (0.4, 0.2, 0.2, 0.5, 0.3)
        )

    def market(self, draw: random.Random, number: int) -> pd.DataFrame:
        """A walk with jumps and long wicks; some feeds lack bars or begin later."""
        frame = rough(walk(BARS, self.seed * 7 + number), draw)
        if self.coin:
            frame[["open", "high", "low", "close"]] *= PRICE
        if self.loop != "exactbars 1":  # bounded buffers: only feeds in step keep their bars
            if draw.random() < 0.3:
                frame = frame.drop(frame.index[[5, 50, 51, 90]])
            if draw.random() < 0.2:
                frame = frame.iloc[20:]
        return frame

    def ended(self, draw: random.Random) -> dict[str, int] | None:
        """Some last markets are delisted while the others go on."""
        if len(self.names) < 2 or self.loop == "exactbars 1" or draw.random() < 0.5:
            return None
        name = self.names[-1]
        self.frames[name] = frame = self.frames[name].iloc[: draw.randrange(30, BARS - 30)]
        return {name: frame.index[-1].value // 1_000_000 + 3_600_000}

    def drawn_settings(self, draw: random.Random) -> dict[str, Any]:
        """The broker's keywords."""
        policy, fee = draw.choice(POLICIES), draw.choice([0.0, 0.005])
        rules: Any = "binance"
        if self.coin or draw.random() < 0.7:
            rules = flat_venue(
                maintenance_rate=0.01, taker_fee=0.0005, liquidation_fee=fee,
                policy=policy, residual=policy.residual,
            )  # fmt: skip
        marked = draw.random() < 0.5
        return {
            "venue": rules,
            "symbols": {n: {"multiplier": CONTRACT} for n in self.names} if self.coin else None,
            "margin_mode": draw.choice(["cross", "isolated"]),
            "leverage": LEVERAGE,
            "cash": self.cash,
            "intrabar": draw.choice(["adverse", "favourable", "nearest"]),
            "auto_top_up": draw.random() < 0.3,
            "liquidation_slippage": draw.choice([0.0, 0.002]),
            "funding": {name: rates(draw) for name in self.names},
            "mark": {n: marks(f, draw) for n, f in self.frames.items()} if marked else None,
            "debug": True,
        }

    def broker(self) -> Any:
        """The broker as the story wants it."""
        broker = btm.MarginBroker(**self.settings)
        if self.slips:
            broker.set_slippage_perc(0.001)
        if self.fills_parts:
            broker.set_filler(bt.broker.fillers.FixedSize(size=600 if self.coin else 50))
        if self.cheats:
            broker.set_coc(True)
        if self.scheme:
            broker.setcommission(commission=0.0007)
        return broker


def rough(frame: pd.DataFrame, draw: random.Random) -> pd.DataFrame:
    """The walk with gaps between bars, and now and then a wick far out of its body."""
    frame, columns = frame.copy(), ["open", "high", "low", "close"]
    for row in draw.sample(range(20, len(frame)), 5):
        frame.loc[frame.index[row:], columns] *= 1 + draw.choice([-1, 1]) * draw.uniform(0.02, 0.12)
    for row in draw.sample(range(20, len(frame)), 4):
        side, reach = draw.choice([("low", -1), ("high", 1)])
        frame.loc[frame.index[row], side] *= 1 + reach * draw.uniform(0.02, 0.08)
    return frame


def rates(draw: random.Random) -> pd.Series[float]:
    """A funding rate every eight hours, of either sign."""
    stamps = pd.date_range("2024-01-01", periods=BARS // 8 + 1, freq="8h", tz="UTC")
    return pd.Series([draw.gauss(0.0, 0.001) for _ in stamps], stamps)


def marks(frame: pd.DataFrame, draw: random.Random) -> pd.DataFrame:
    """Mark bars: the last prices with a premium of up to two per mille."""
    premium = np.array([1 + draw.uniform(-0.002, 0.002) for _ in frame.index])
    columns = {name: frame[name] * premium for name in ("open", "high", "low", "close")}
    return pd.DataFrame(columns).tz_localize("UTC")


# -- what the strategy does -------------------------------------------------------------------------


class Aim(NamedTuple):
    """Where an action points: a feed, its close, a side, a size up to all that can be carried."""

    data: Any
    close: float
    sign: int
    size: float
    send: Callable[..., Any]


def aim(s: Any) -> Aim:
    """Any feed, any side, any size."""
    data = s.datas[s.draw.randrange(len(s.datas))]
    close = data.close[0]
    price = CONTRACT / close if s.p.story.coin else close
    room = s.broker.getcash() * 0.95 * LEVERAGE / price
    size = max(0.05, room * s.draw.uniform(0.05, 1.0))
    sign = s.draw.choice([1, -1])
    return Aim(data, close, sign, size, s.buy if sign > 0 else s.sell)


def market(s: Any, a: Aim) -> None:
    a.send(a.data, size=a.size, tradeid=s.draw.randrange(2))


def at_close(s: Any, a: Aim) -> None:
    a.send(a.data, size=a.size, exectype=bt.Order.Close)


def limit(s: Any, a: Aim) -> None:
    price = a.close * (1 - a.sign * 0.004)
    a.send(
        a.data, size=a.size, exectype=bt.Order.Limit, price=price, valid=dt.timedelta(hours=9)
    )  # fmt: skip


def stop(s: Any, a: Aim) -> None:
    a.send(a.data, size=a.size, exectype=bt.Order.Stop, price=a.close * (1 + a.sign * 0.006))


def stop_on_mark(s: Any, a: Aim) -> None:
    price = a.close * (1 + a.sign * 0.005)
    a.send(a.data, size=a.size, exectype=bt.Order.Stop, price=price, trigger="mark")


def stop_limit(s: Any, a: Aim) -> None:
    price, bound = a.close * (1 + a.sign * 0.005), a.close * (1 + a.sign * 0.007)
    a.send(a.data, size=a.size, exectype=bt.Order.StopLimit, price=price, plimit=bound)


def stop_trail(s: Any, a: Aim) -> None:
    a.send(a.data, size=a.size, exectype=bt.Order.StopTrail, trailpercent=0.01)


def bracket(s: Any, a: Aim) -> None:
    send, c = s.buy_bracket if a.sign > 0 else s.sell_bracket, a.close
    send(
        data=a.data, size=a.size, price=c * (1 - a.sign * 0.003),
        limitprice=c * (1 + a.sign * 0.01), stopprice=c * (1 - a.sign * 0.015),
    )  # fmt: skip


def oco(s: Any, a: Aim) -> None:
    low, high = a.close * (1 - a.sign * 0.01), a.close * (1 + a.sign * 0.01)
    one = a.send(a.data, size=a.size, exectype=bt.Order.Limit, price=low)
    a.send(a.data, size=a.size, exectype=bt.Order.Stop, price=high, oco=one)


def reduce_only(s: Any, a: Aim) -> None:
    kind, price = s.draw.choice([bt.Order.Market, bt.Order.Limit]), a.close * (1 - a.sign * 0.002)
    a.send(a.data, size=a.size, exectype=kind, price=price, reduce_only=True)


def cancel_all(s: Any, a: Aim) -> None:
    for order in s.broker.get_orders_open():
        s.cancel(order)


def close(s: Any, a: Aim) -> None:
    s.close(a.data)


def target(s: Any, a: Aim) -> None:
    s.order_target_percent(a.data, target=s.draw.uniform(-8, 8))


def leverage(s: Any, a: Aim) -> None:
    s.broker.set_leverage(s.draw.choice([5, 10, 20]), a.data)


def margin_mode(s: Any, a: Aim) -> None:
    s.broker.set_margin_mode(s.draw.choice(["cross", "isolated"]), a.data)


def add_margin(s: Any, a: Aim) -> None:
    s.broker.add_margin(a.data, (0.01 + s.draw.random()) * s.broker.getcash() + 1e-6)


def reduce_margin(s: Any, a: Aim) -> None:
    s.broker.reduce_margin(a.data, 0.005 * s.p.story.cash)


def cash(s: Any, a: Aim) -> None:
    s.broker.add_cash(s.draw.uniform(-0.15, 0.15) * s.p.story.cash)


ORDERS = (
    market, at_close, limit, stop, stop_on_mark, stop_limit, stop_trail, bracket, oco, reduce_only,
    cancel_all, close, target,
)  # fmt: skip
SETTINGS = (leverage, margin_mode, add_margin, reduce_margin, cash)


def anything(s: Any) -> None:
    """An order mostly, a change of settings now and then; fresh cash, sooner or later, when it is over."""
    if s.broker.account.dead and s.draw.random() < 0.5:
        s.broker.add_cash(s.p.story.cash)
        return
    acts = SETTINGS if s.draw.random() < 0.1 else ORDERS
    with suppress(btm.errors.Refused):  # an event says so
        s.draw.choice(acts)(s, aim(s))


# -- the run ----------------------------------------------------------------------------------------

Watch = Callable[[Any], None]


class Restless(Mirrored):
    """Shows itself to ``watch`` on every bar, before it acts."""

    params: Any = (("story", None), ("watch", None))

    def next(self) -> None:
        if self.p.watch is not None:
            self.p.watch(self)
        if self.p.story.coin:  # the mirror knows the value of linear contracts only
            Told.next(self)
        else:
            super().next()


class Companion(Told):
    """A second strategy on the same account."""

    params: Any = (("story", None),)


@dataclass
class Life:
    """A story that was told: the broker and what its strategies were told."""

    story: Story
    broker: Any
    strategies: list[Any]

    def retold(self) -> list[str]:
        """The events as text; orders are counted from the first (backtrader counts per process)."""
        first = min((e.order for e in self.broker.events if e.order is not None), default=0)
        return [
            repr(e if e.order is None else replace(e, order=e.order - first))
            for e in self.broker.events
        ]


def live(story: Story, watch: Watch | None = None) -> Life:
    """Tell a story."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker = story.broker()
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    for name, frame in story.frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, **hours), name=name)
    loop: Any = LOOPS[story.loop]
    common: dict[str, Any] = {"act": anything, "story": story}
    cerebro.addstrategy(Restless, seed=story.seed, chance=0.6, watch=watch, **common)
    if story.company:
        cerebro.addstrategy(Companion, seed=story.seed + 1, chance=0.3, **common)
    return Life(story, broker, cerebro.run(**loop))
