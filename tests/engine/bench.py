"""What the engine's tests share: the same account in linear and in inverse contracts, and an order book.

A unit is the size whose notional at the first mark is a tenth of the cash, in either kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from stories.world import START, A, B, C, generic
from stories.world import account as plain_account

import bt_margin as btm
from bt_margin.engine.account import Account
from bt_margin.engine.bound import Pending
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.step import Stepper

HOUR = 3_600_000
COIN, OTHER_COIN = "BTC/USD:BTC", "BTC/EUR:BTC"
KINDS = ["linear", "inverse"]
MODES: list[Any] = ["cross", "isolated"]
SIDES = [1, -1]

Candle = tuple[float, float, float, float]


def near(value: Any, rel: float = 1e-9, abs: float = 1e-9) -> Any:
    """Equal but for float noise; numbers, tuples and lists."""
    return pytest.approx(value, rel=rel, abs=abs)


@dataclass
class Desk:
    """An account with one symbol marked: 1,000 USDT at 100, or 1 BTC at 50,000."""

    account: Account
    symbol: str
    price: float
    unit: float

    @property
    def p(self) -> Any:
        """The position's record."""
        return self.account.position(self.symbol)

    def fill(self, units: float, at: float = 1.0, **keywords: Any) -> Any:
        """Fill units at a multiple of the first mark."""
        return self.account.fill(self.symbol, units * self.unit, self.price * at, **keywords)

    def mark(self, at: float) -> list[Any]:
        """Move the mark to a multiple of the first one."""
        return self.account.mark(self.symbol, self.price * at)

    def kinds(self, *wanted: str) -> list[Any]:
        """Events of these kinds."""
        return [e for e in self.account.events if e.kind in wanted]

    @property
    def posted(self) -> float:
        """Balance of the pool behind the symbol."""
        return float(self.p.pool.balance)


OWN = {"auto_top_up", "margin_calls", "liquidation_slippage", "time"}


def desk(
    kind: str = "linear",
    mode: Any = "cross",
    leverage: float = 10.0,
    cash: float = 1.0,
    **keys: Any,
) -> Desk:
    """An account of ``cash`` times 1,000 USDT or 1 BTC on the neutral venue, debug on."""
    own = {k: keys.pop(k) for k in list(keys) if k in OWN}
    facts = keys.pop("facts", {})
    coin = kind == "inverse"
    symbol, price = (COIN, 50_000.0) if coin else (A, 100.0)
    venue = generic(**({"currency": "BTC"} if coin else {}), **keys)
    account = Account(
        venue,
        cash=cash * (1.0 if coin else 1_000.0),
        margin_mode=mode,
        leverage=leverage,
        symbols={symbol: ({"multiplier": 100.0} if coin else {}) | facts},
        debug=True,
        **own,
    )
    account.mark(symbol, price)
    return Desk(account, symbol, price, 50.0 if coin else 1.0)


STEEP = [(1_000, 0.02, 0), (None, 0.05, 30)]


def steep(kind: str) -> list[tuple[float | None, float, float]]:
    k = 1.0 if kind == "linear" else 0.001
    return [(1_000 * k, 0.02, 0), (None, 0.05, 30 * k)]


def fall(d: Desk, side: int, ratio: float = 1.0) -> None:
    """Move the mark to where maintenance over equity is this, without telling the account."""
    good, bad = d.price, d.price * (0.3 if side > 0 else 3.0)
    for _ in range(200):
        middle = (good + bad) / 2
        d.p.move(middle)
        pool = d.p.pool
        if pool.equity() * ratio > pool.maintenance():
            good = middle
        else:
            bad = middle
    d.p.move(bad)


def three(policy: Any, **keys: Any) -> Any:
    """Cross 1,000 at 10x: 30 A, 30 B short, 30 C."""
    a = plain_account(policy=policy, **keys)
    for s, size in ((A, 30), (B, -30), (C, 30)):
        a.mark(s, 100)
        a.fill(s, size, 100)
    return a


def binance(day: str, cash: float = 100_000.0, **keys: Any) -> Account:
    """An account on Binance USD-M at a date, BTC marked at 50,000."""
    import pandas as pd

    account = btm.Account(
        "binance", cash, time=pd.Timestamp(day, tz="UTC").value // 10**6, debug=True, **keys
    )
    account.mark("BTC/USDT:USDT", 50_000.0)
    return account


class Orders:
    """A plain order book: keeps resting orders and fills them when the stepper says so."""

    def __init__(self, account: Account, quotes: Sequence[Quote], orders: Iterable[Resting] = ()):
        self.account = account
        self.quotes = {q.position.symbol: q for q in quotes}
        self.orders = list(orders)
        self.hooks = Hooks(cancel=self.cancel, closed=lambda event: self.told.append(event))
        self.told: list[Any] = []
        self.log: list[tuple[int, float]] = []
        self.finished = 0

    def waiting(self) -> bool:
        return bool(self.orders)

    def pending(self) -> list[Pending]:
        """Every order may fill anywhere in the bar."""
        found = []
        for symbol, q in self.quotes.items():
            mine = [o for o in self.orders if o.symbol == symbol]
            if mine:
                size = sum(abs(o.size) for o in mine)
                rate = self.account.venue.fees_at(q.position.market, 0).taker
                most = max(q.position.contract.notional(size, x) for x in (q.high, q.low))
                walk = any(o.on_mark for o in mine)
                found.append(Pending(q, size, q.high, q.low, most * rate, walk))
        return found

    def match(self, symbols: Any) -> None:
        """In the order they came, at the open or at their own price."""
        mine = [o for o in self.orders if symbols is None or o.symbol in symbols]
        for o in [o for o in mine if o.kind != "close"]:
            q = self.quotes[o.symbol]
            falling = (o.size > 0) == (o.kind == "limit")
            if o.kind == "market" or (q.open <= o.price if falling else q.open >= o.price):
                self.fill(o, q.open)
            elif q.low <= o.price if falling else q.high >= o.price:
                self.fill(o, o.price)
        for o in [o for o in mine if o.kind == "close"]:
            self.fill(o, self.quotes[o.symbol].close)

    def resting(self) -> list[Resting]:
        return list(self.orders)

    def execute(self, order: Resting, leg: Leg) -> None:
        if order.kind == "stop_limit":
            self.orders.remove(order)
            self.orders.append(order._replace(kind="limit", price=order.limit, on_mark=False))
        else:
            self.fill(order, leg.last_start)

    def fill(self, order: Resting, price: float) -> None:
        self.orders = [
            o
            for o in self.orders
            if o is not order and (order.group is None or o.group != order.group)
        ]
        self.log.append((order.ref, price))
        self.account.fill(
            order.symbol, order.size, price, order=order.ref, reduce_only=order.reduce_only
        )

    def finish(self, symbols: Any) -> None:
        self.finished += 1

    def cancel(self, pool: Any, cause: int) -> None:
        self.orders = [o for o in self.orders if pool.symbol not in (None, o.symbol)]


def live(
    account: Account,
    candles: dict[str, Candle],
    orders: Iterable[Resting] = (),
    *,
    marks: dict[str, Candle] | None = None,
    stamps: dict[str, Sequence[Any]] | None = None,
    detail: Any = None,
    intrabar: Any = "adverse",
    hours: int = 1,
) -> tuple[Stepper, Orders]:
    """One bar from ``START`` on: the stepper and the orders after it."""
    quotes = [Quote(account.position(s), (stamps or {}).get(s, ())) for s in candles]
    for q in quotes:
        s = q.position.symbol
        q.set(START, START + hours * HOUR, candles[s], (marks or {}).get(s))
    book = Orders(account, quotes, orders)
    stepper = Stepper(account, intrabar, detail)
    stepper.step(START, quotes, book)
    account.audit()
    return stepper, book
