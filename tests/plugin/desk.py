"""A broker with a real account and no matching: tests tell it what happens on which bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from bt_margin.engine.account import Account
from bt_margin.venues import venue

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
Acts = Mapping[int, Callable[[Account], Any]]


def account_with(cash: float = 10_000.0, **settings: Any) -> Account:
    """An account of the teaching venue: 0.5 % maintenance, 0.05 % taker fee."""
    flat = venue(
        "generic",
        maintenance_rate=0.005,
        taker_fee=0.0005,
        maker_fee=0.0002,
        liquidation_fee=0.0,
        funding_interval="8h",
        residual="trader",
    )
    return Account(flat, cash=cash, **{"leverage": 10.0, "debug": True, **settings})


def bars_of(closes: list[float], start: str = "2024-01-01") -> pd.DataFrame:
    """Daily bars of nothing but closes."""
    index = pd.date_range(start, periods=len(closes), freq="D", tz="UTC")
    values = np.repeat(np.array(closes, dtype=float)[:, None], 4, axis=1)
    return pd.DataFrame(values, index=index, columns=["open", "high", "low", "close"])


class ActingBroker(bt.brokers.BackBroker):
    """Marks the account at each close, then does what was planned for the bar."""

    def __init__(self, account: Account, acts: Acts) -> None:
        super().__init__()
        self.account, self.acts, self.bar = account, acts, 0

    @property
    def events(self) -> Any:
        return self.account.events

    def instrument(self, data: Any) -> Any:
        return SimpleNamespace(symbol=data._name)

    def next(self) -> None:
        super().next()
        self.bar += 1
        datas = [data for data in self.cerebro.datas if len(data)]
        day = max(data.datetime[0] for data in datas)
        self.account.clock(round((day - 719_163) * 86_400_000))
        for data in datas:
            self.account.mark(data._name, data.close[0])
        self.acts.get(self.bar, lambda _: None)(self.account)

    def getcash(self) -> float:
        return self.account.available()

    def getvalue(self, datas: Any = None) -> float:
        return self.account.equity()

    get_cash, get_value = getcash, getvalue


class Idle(bt.Strategy):
    """Does nothing."""


def run_with(
    broker: Any,
    frames: Mapping[str, pd.DataFrame],
    add: Callable[[Any], Any],
    **run: Any,
) -> Any:
    """The strategy of a run on ``frames``, after ``add(cerebro)`` has plugged in what is tested."""
    cerebro = bt.Cerebro(stdstats=False, **run)
    if broker is not None:
        cerebro.broker = broker
    for symbol, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, name=symbol))
    cerebro.addstrategy(Idle)
    add(cerebro)
    return cerebro.run()[0]
