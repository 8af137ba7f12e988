"""A stage for the broker: a strategy that follows a plan bar by bar, on bars made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import backtrader as bt
import pandas as pd

import bt_margin as btm

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
Bar = float | tuple[float, float, float, float]
Plan = Mapping[int, Callable[[Any], Any]]


def venue(**numbers: Any) -> Any:
    """The teaching venue: 0.5 % maintenance, no fees, what is left goes to the trader."""
    return btm.venue(
        "generic",
        **{
            "maintenance_rate": 0.005,
            "taker_fee": 0.0,
            "maker_fee": 0.0,
            "liquidation_fee": 0.0,
            "funding_interval": "8h",
            "residual": "trader",
            **numbers,
        },
    )


def broker_of(**settings: Any) -> Any:
    return btm.MarginBroker(
        **{"venue": venue(), "leverage": 10, "cash": 1_000.0, "debug": True, **settings}
    )


def bars(
    prices: Sequence[Bar], start: str = "2024-01-01", freq: str = "h", tz: str | None = "UTC"
) -> pd.DataFrame:
    """Bars of open, high, low, close; a single number stands still."""
    rows = [p if isinstance(p, tuple) else (p, p, p, p) for p in prices]
    index = pd.date_range(start, periods=len(rows), freq=freq, tz=tz)
    frame = pd.DataFrame(rows, index=index, columns=["open", "high", "low", "close"], dtype=float)
    return frame.assign(volume=1_000.0)


class Actor(bt.Strategy):
    """Does in bar n (1 is the first) what the plan says, and writes down what it sees."""

    params = (("plan", None), ("every", None))

    def __init__(self) -> None:
        self.orders: list[tuple[int, Any]] = []
        self.trades: list[tuple[int, Any]] = []
        self.sizes: list[float] = []
        self.values: list[float] = []
        self.told: list[tuple[int, str, Any]] = []
        self.sent: dict[str, Any] = {}

    def notify_order(self, order: Any) -> None:
        self.orders.append((len(self), order))

    def notify_trade(self, trade: Any) -> None:
        self.trades.append((len(self), trade))

    def next(self) -> None:
        self.sizes.append(self.position.size)
        self.values.append(self.broker.getvalue())
        if self.p.every is not None:
            self.p.every(self)
        act = (self.p.plan or {}).get(len(self))
        if act is not None:
            act(self)

    prenext = next

    def ends(self) -> list[tuple[int, str, float]]:
        """Bar, status and size of every order that is over."""
        alive = (bt.Order.Submitted, bt.Order.Accepted, bt.Order.Partial)
        return [
            (bar, o.getstatusname(), round(o.executed.size, 9))
            for bar, o in self.orders
            if o.status not in alive
        ]


class Listener(Actor):
    """Also wants to be told directly."""

    def notify_liquidation(self, event: Any) -> None:
        self.told.append((len(self), "liquidation", event))
        self.sizes.append(self.position.size)

    def notify_margin_call(self, event: Any) -> None:
        self.told.append((len(self), "margin_call", event))


def act(
    broker: Any,
    frames: Any,
    plan: Plan | None = None,
    *,
    strategy: Any = Actor,
    feed: Any = bt.feeds.PandasData,
    feed_options: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    add: Callable[[Any], Any] | None = None,
    every: Callable[[Any], Any] | None = None,
) -> Any:
    """The strategy after its run."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker
    given = frames if isinstance(frames, Mapping) else {BTC: frames}
    options = feed_options
    if options is None and feed is bt.feeds.PandasData:
        options = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    for name, frame in given.items():
        cerebro.adddata(feed(dataname=frame, **(options or {})), name=name)
    cerebro.addstrategy(strategy, plan=plan, every=every)
    if add is not None:
        add(cerebro)
    return cerebro.run(**(run or {}))[0]


def kinds(strategy: Any, *wanted: str) -> list[Any]:
    """Events of these kinds."""
    return [e for e in strategy.broker.events if e.kind in wanted]
