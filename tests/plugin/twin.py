"""One script on two brokers: the stock one and ours, and everything the script was told."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

import bt_margin as btm

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
LOOPS = {
    "runonce": {},
    "next": {"runonce": False},
    "no preload": {"preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
}


def flat_venue(**numbers: Any) -> Any:
    """The teaching venue without maintenance and without fees of its own."""
    return btm.venue(
        "generic",
        **{
            "maintenance_rate": 0.0,
            "taker_fee": 0.0,
            "maker_fee": 0.0,
            "liquidation_fee": 0.0,
            "funding_interval": "8h",
            "residual": "trader",
            **numbers,
        },
    )


def walk(bars: int = 400, seed: int = 1, freq: str = "h", volume: float = 1000.0) -> pd.DataFrame:
    """A random walk of bars, naive index as most scripts have it."""
    draw = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, bars)))
    start = np.concatenate([[100.0], close[:-1] * (1 + draw.normal(0.0, 0.002, bars - 1))])
    high = np.maximum(start, close) * (1 + abs(draw.normal(0.0, 0.004, bars)))
    low = np.minimum(start, close) * (1 - abs(draw.normal(0.0, 0.004, bars)))
    index = pd.date_range("2024-01-01", periods=bars, freq=freq)
    return pd.DataFrame(
        {"open": start, "high": high, "low": low, "close": close, "volume": volume}, index=index
    )


class Told(bt.Strategy):
    """Writes down whatever it is told: orders, trades, value, positions, bar by bar."""

    params = (("seed", 0), ("act", None), ("chance", 0.2), ("digits", 6))

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.draw = random.Random(self.p.seed)
        self.mine: list[Any] = []

    def number(self, value: float | None) -> float:
        return round(value or 0.0, self.p.digits)

    def notify_order(self, order: Any) -> None:
        done = order.executed
        self.told.append(
            (
                len(self), "order", order.ref - self.first(order), order.getstatusname(),
                self.number(done.price), self.number(done.size), self.number(done.remsize),
                self.number(done.comm), self.number(done.pnl), done.dt and round(done.dt, 9),
            )
        )  # fmt: skip

    def first(self, order: Any) -> int:
        """Orders are counted per process; a script only knows their order."""
        self.base = getattr(self, "base", order.ref)
        return int(self.base)

    def notify_trade(self, trade: Any) -> None:
        self.told.append(
            (
                len(self), "trade", trade.tradeid, trade.status, self.number(trade.size),
                self.number(trade.price), self.number(trade.pnl), self.number(trade.pnlcomm),
                self.number(trade.commission), trade.barlen,
            )
        )  # fmt: skip

    def next_open(self) -> None:
        if self.broker.p.coo and self.draw.random() < self.p.chance:
            self.buy(size=1.0) if self.draw.random() < 0.5 else self.sell(size=1.0)

    def next(self) -> None:
        self.told.append(
            (
                len(self), "bar", self.number(self.broker.getvalue()),
                [(self.number(p.size), self.number(p.price)) for p in self.positions_of()],
                self.number(self.broker.get_fundvalue()),
            )
        )  # fmt: skip
        if self.draw.random() < self.p.chance and self.p.act is not None:
            self.p.act(self)

    def positions_of(self) -> list[Any]:
        return [self.getposition(data) for data in self.datas]


Act = Callable[[Any], Any]


def side(s: Any) -> tuple[Callable[..., Any], int, float, Any, float]:
    """A side, its sign, a size on eighths, a feed and its close."""
    data = s.datas[s.draw.randrange(len(s.datas))]
    buys = s.draw.random() < 0.5
    size = s.draw.randrange(1, 24) / 8
    return (s.buy if buys else s.sell), (1 if buys else -1), size, data, data.close[0]


def market(s: Any) -> None:
    send, _, size, data, _ = side(s)
    send(data, size=size)


def close_price(s: Any) -> None:
    send, _, size, data, _ = side(s)
    send(data, size=size, exectype=bt.Order.Close)


def limit(s: Any) -> None:
    send, d, size, data, c = side(s)
    send(data, size=size, exectype=bt.Order.Limit, price=c * (1 - d * 0.005))


def stop(s: Any) -> None:
    send, d, size, data, c = side(s)
    send(data, size=size, exectype=bt.Order.Stop, price=c * (1 + d * 0.005))


def stop_limit(s: Any) -> None:
    send, d, size, data, c = side(s)
    wide = s.draw.choice([0.002, 0.005, 0.007])
    send(
        data, size=size, exectype=bt.Order.StopLimit,
        price=c * (1 + d * 0.005), plimit=c * (1 + d * wide),
    )  # fmt: skip


def stop_trail(s: Any) -> None:
    send, _, size, data, _ = side(s)
    send(data, size=size, exectype=bt.Order.StopTrail, trailpercent=0.01)


def stop_trail_limit(s: Any) -> None:
    send, d, size, data, c = side(s)
    send(
        data, size=size, exectype=bt.Order.StopTrailLimit, price=c,
        plimit=c * (1 + d * 0.004), trailamount=1.0,
    )  # fmt: skip


def bracket(s: Any) -> None:
    _, d, size, data, c = side(s)
    send = s.buy_bracket if d > 0 else s.sell_bracket
    send(
        data=data, size=size, price=c * (1 - d * 0.003),
        limitprice=c * (1 + d * 0.01), stopprice=c * (1 - d * 0.015),
    )  # fmt: skip


def oco(s: Any) -> None:
    send, d, size, data, c = side(s)
    one = send(data, size=size, exectype=bt.Order.Limit, price=c * (1 - d * 0.01))
    two = send(data, size=size, exectype=bt.Order.Stop, price=c * (1 + d * 0.01), oco=one)
    send(data, size=size, exectype=bt.Order.Limit, price=c * (1 - d * 0.02), oco=two)


def valid(s: Any) -> None:
    send, d, size, data, c = side(s)
    send(
        data, size=size, exectype=bt.Order.Limit, price=c * (1 - d * 0.02),
        valid=s.draw.choice([dt.timedelta(hours=5), 0, s.data.datetime.datetime(0)]),
    )  # fmt: skip


def cancels(s: Any) -> None:
    send, d, size, data, c = side(s)
    s.mine.append(send(data, size=size, exectype=bt.Order.Limit, price=c * (1 - d * 0.02)))
    if len(s.mine) > 2:
        s.cancel(s.mine.pop(0))


def closing(s: Any) -> None:
    send, _, size, data, _ = side(s)
    if s.getposition(data).size:
        s.close(data)
    else:
        send(data, size=size)


def target(s: Any) -> None:
    _, d, size, data, _ = side(s)
    s.order_target_size(data, target=d * int(size))


def tradeids(s: Any) -> None:
    send, _, size, data, _ = side(s)
    send(data, size=size, tradeid=s.draw.randrange(3))


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        market, close_price, limit, stop, stop_limit, stop_trail, stop_trail_limit, bracket, oco,
        valid, cancels, closing, target, tradeids,
    )
}  # fmt: skip


def everything(s: Any) -> None:
    """Any of them."""
    s.draw.choice(list(ACTS.values()))(s)


def stock(cash: float = 100_000.0) -> Any:
    broker = bt.brokers.BackBroker()
    broker.setcash(cash)
    return broker


def ours(cash: float = 100_000.0, **settings: Any) -> Any:
    return btm.MarginBroker(**{"venue": flat_venue(), "cash": cash, "debug": True, **settings})


def tell(
    broker: Any,
    frames: dict[str, pd.DataFrame],
    act: Act | None = None,
    *,
    seed: int = 0,
    chance: float = 0.2,
    add: Callable[[Any], Any] | None = None,
    strategies: int = 1,
    run: dict[str, Any] | None = None,
    feed: Callable[[Any, str, pd.DataFrame], Any] | None = None,
    digits: int = 6,
) -> list[Any]:
    """Everything the strategies of a run were told, and the final value."""
    options = dict(run or {})
    cheat = options.pop("cheat_on_open", False)
    cerebro = bt.Cerebro(cheat_on_open=cheat)
    cerebro.broker = broker
    broker.setcommission(commission=0.001)
    for name, frame in frames.items():
        if feed is not None:
            feed(cerebro, name, frame)
        else:
            hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
            cerebro.adddata(bt.feeds.PandasData(dataname=frame, **hours), name=name)
    if add is not None:
        add(cerebro)
    for number in range(strategies):
        cerebro.addstrategy(Told, seed=seed + 7 * number, act=act, chance=chance, digits=digits)
    results = cerebro.run(**options)
    return [[s.told for s in results], round(broker.getvalue(), digits)]


def differences(one: list[Any], two: list[Any]) -> list[Any]:
    """The first lines in which two stories differ, with what came before: empty when equal."""
    for a, b in zip(one[0], two[0], strict=True):
        for place, (x, y) in enumerate(zip(a, b, strict=False)):
            if x != y:
                return [*a[max(0, place - 3) : place], x, y]
        if len(a) != len(b):
            return [len(a), len(b)]
    return [] if one[1] == two[1] else [one[1], two[1]]
