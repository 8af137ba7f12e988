"""What the stories and traps share: a small venue, accounts, frames and a scripted strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from replay.retelling import retold

import bt_margin as btm

HOUR = 3_600_000
#: 2024-01-01 00:00 UTC, a funding hour
START = 1_704_067_200_000
A, B, C = "AAA/USDT:USDT", "BBB/USDT:USDT", "CCC/USDT:USDT"
#: continuous at both edges: 10,000·0.5 % = 10,000·1 % − 50; 50,000·1 % − 50 = 50,000·2.5 % − 800
LADDER = [(10_000, 0.005, 0.0), (50_000, 0.01, 50.0), (None, 0.025, 800.0)]

Candle = tuple[float, float, float, float]


def generic(**changes: Any) -> Any:
    """The neutral venue without fees and with 0.5 % maintenance, but for ``changes``."""
    numbers: dict[str, Any] = {
        "maintenance_rate": 0.005,
        "taker_fee": 0.0,
        "maker_fee": 0.0,
        "liquidation_fee": 0.0,
        "funding_interval": "8h",
        "residual": "trader",
    }
    if "tiers" in changes:
        del numbers["maintenance_rate"]
    if "policy" in changes:
        del numbers["residual"]
    return btm.venue("generic", **(numbers | changes))


def account(mode: str = "cross", leverage: float = 10, cash: float = 1_000, **changes: Any) -> Any:
    """An account on the neutral venue with its money identity checked after every event.

    ``changes`` that the venue knows go to the venue, the others to the account.
    """
    own = {"symbols", "as_of", "auto_top_up", "margin_calls", "liquidation_slippage"}
    venue = changes.pop("venue", None) or generic(
        **{name: value for name, value in changes.items() if name not in own}
    )
    rest = {name: value for name, value in changes.items() if name in own}
    return btm.Account(
        venue=venue, cash=cash, margin_mode=mode, leverage=leverage, debug=True, **rest
    )


def kinds(events: Iterable[Any], *wanted: str) -> list[Any]:
    """The events of the wanted kinds, in order."""
    return [event for event in events if event.kind in wanted]


def frame(
    candles: Sequence[Candle | None],
    start: int = START,
    step: int = HOUR,
    **columns: Sequence[float],
) -> pd.DataFrame:
    """Candles stamped with their open time; ``None`` leaves the bar out."""
    index = pd.to_datetime([start + i * step for i in range(len(candles))], unit="ms", utc=True)
    whole = pd.DataFrame(
        [(float("nan"),) * 4 if candle is None else candle for candle in candles],
        columns=["open", "high", "low", "close"],
        index=index,
        dtype=float,
    ).assign(volume=1_000.0, **columns)
    return whole[[candle is not None for candle in candles]]


def flat(price: float) -> Candle:
    return (price, price, price, price)


@dataclass
class Told:
    """What the strategy saw at one of its ``next`` calls."""

    bar: int
    time: int
    size: float
    cash: float
    value: float


class Scripted(bt.Strategy):  # type: ignore[misc]
    """Does at bar ``i`` what ``script[i]`` says, and writes down everything it is told."""

    params = (("script", {}),)

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.orders: list[tuple[int, Any, str]] = []
        self.liquidations: list[Any] = []
        self.calls: list[Any] = []
        self.trades: list[Any] = []

    def notify_order(self, order: Any) -> None:
        self.orders.append((len(self.told), order, order.getstatusname()))

    def notify_trade(self, trade: Any) -> None:
        self.trades.append(trade)

    def notify_liquidation(self, event: Any) -> None:
        self.liquidations.append(event)

    def notify_margin_call(self, event: Any) -> None:
        self.calls.append(event)

    def next(self) -> None:
        broker, bar = self.broker, len(self.told)
        time = round((self.datetime[0] - 719_163) * 86_400_000)
        size = self.getposition(self.data).size
        self.told.append(Told(bar, time, size, broker.getcash(), broker.getvalue()))
        self.p.script.get(bar, lambda strategy: None)(self)


@dataclass
class Played:
    """A finished run; ``retold``: why the replay kernel did not tell it as well, "" when it did."""

    broker: Any
    strategy: Scripted
    symbols: tuple[str, ...]
    retold: str

    @property
    def events(self) -> list[Any]:
        return list(self.broker.events)

    def kinds(self, *wanted: str) -> list[Any]:
        return kinds(self.broker.events, *wanted)

    @property
    def liquidations(self) -> list[tuple[int, str, float]]:
        """(bar number counted in hours from the start, symbol, price) of every liquidation."""
        return [
            ((event.time - START) // HOUR, event.symbol, event.price)
            for event in self.kinds("liquidation")
        ]

    @property
    def funding(self) -> float:
        return sum(entry.amount for entry in self.broker.account.ledger if entry.kind == "funding")

    def size(self, symbol: str = A) -> float:
        held = self.broker.account.positions.get(symbol)
        return 0.0 if held is None else held.size


def play(
    frames: Mapping[str, pd.DataFrame] | pd.DataFrame,
    script: Mapping[int, Callable[[Any], Any]] | None = None,
    mode: str = "cross",
    leverage: float = 10,
    cash: float = 1_000,
    runonce: bool = True,
    strategy: type[bt.Strategy] = Scripted,
    **changes: Any,
) -> Played:
    """Run a scripted strategy over frames on the neutral venue (or ``venue=``).

    A script of :func:`buy`, :func:`sell` and :func:`lines` alone is told by the replay kernel as well, which
    must tell the same.
    """
    frames = {A: frames} if isinstance(frames, pd.DataFrame) else frames
    numbers = {"maintenance_rate", "tiers", "taker_fee", "maker_fee", "liquidation_fee"}
    numbers |= {"funding_interval", "residual", "policy", "max_leverage"}
    venue = changes.pop("venue", None) or generic(
        **{name: changes.pop(name) for name in list(changes) if name in numbers}
    )
    script = dict(script or {})
    own = {"venue": venue, "margin_mode": mode, "leverage": leverage, "cash": cash, **changes}

    def run(broker: Any) -> Any:
        cerebro = bt.Cerebro(stdstats=False, runonce=runonce)
        cerebro.broker = broker
        for name, data in frames.items():
            cerebro.adddata(btm.PerpData(dataname=data, name=name))
        cerebro.addstrategy(strategy, script=script)
        return cerebro.run()[0]

    broker = btm.MarginBroker(**own)
    ran, why = run(broker), "a script of its own"
    if strategy is Scripted and all(getattr(line, "plain", False) for line in script.values()):
        why = retold(run, own, broker)
    return Played(broker, ran, tuple(frames), why)


def buy(size: float, symbol: str = A, **keywords: Any) -> Callable[[Any], Any]:
    """A script line: buy (sell when ``size`` is negative); ``limit=``, ``stop=`` set the kind."""
    kind, price = bt.Order.Market, None
    if "limit" in keywords:
        kind, price = bt.Order.Limit, keywords.pop("limit")
    elif "stop" in keywords:
        kind, price = bt.Order.Stop, keywords.pop("stop")

    def line(strategy: Any) -> Any:
        act = strategy.buy if size > 0 else strategy.sell
        data = strategy.getdatabyname(symbol)
        return act(data=data, size=abs(size), exectype=kind, price=price, **keywords)

    return plainly(line)


def plainly(line: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A script line that only asks the broker for something: it can be told twice."""
    line.plain = True  # type: ignore[attr-defined]
    return line


def sell(size: float, symbol: str = A, **keywords: Any) -> Callable[[Any], Any]:
    return buy(-size, symbol, **keywords)


def lines(*several: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several script lines in one bar."""

    def together(strategy: Any) -> None:
        for one in several:
            one(strategy)

    return plainly(together) if all(getattr(one, "plain", False) for one in several) else together


def near(value: float, rel: float = 1e-9, abs: float = 1e-9) -> Any:
    return pytest.approx(value, rel=rel, abs=abs)
