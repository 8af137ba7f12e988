"""What observers, analyzers and sizers ask a broker, be it a margin broker or any other.

A broker without an account answers with None, an empty list, or the feed's own name, so that the
pieces that plug into a script can stay in it whatever broker runs it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from bt_margin.engine.account import Account
from bt_margin.engine.events import Event

EPOCH: Final = dt.datetime(1970, 1, 1)


def account_of(broker: Any) -> Account | None:
    """The broker's margin account, None when it has none.

    >>> account_of(object()) is None
    True
    """
    account = getattr(broker, "account", None)
    return account if isinstance(account, Account) else None


def events_of(broker: Any) -> Sequence[Event]:
    """The account's events so far; empty without an account."""
    account = account_of(broker)
    return account.events if account is not None else ()


def told(account: Account, event: Event, amount: float | None) -> float:
    """An amount of an event in the account's currency: coins at the price of the event; None is 0.

    Events and entries are in the settlement currency of their pool.
    """
    unit = currency_of(account, event.pool, event.symbol)
    if not amount or unit == account.currency:
        return amount or 0.0
    p = account.book.get(event.symbol or "")
    price = event.price or event.mark if p is not None and p.inverse else None
    return amount * (price or account.rate(unit))


def currency_of(account: Account, pool: str | None, symbol: str | None = None) -> str:
    """The currency of a pool's money, from its key or from a symbol in it.

    >>> from bt_margin.venues import venue
    >>> currency_of(Account(venue("binancecoinm"), {"BTC": 1.0}, currency="USD"), "cross:BTC")
    'BTC'
    """
    kind, _, name = str(pool).partition(":")
    if kind in ("cross", "collateral"):
        return name
    p = account.book.get(symbol or name)
    return p.contract.settle if p is not None else account.currency


def symbol_of(broker: Any, data: Any) -> str:
    """The symbol a feed trades; without a margin broker the feed's name, a clone's through its source.

    >>> from types import SimpleNamespace as Feed
    >>> symbol_of(object(), Feed(_name="", data=Feed(_name="BTC")))
    'BTC'
    """
    instrument = getattr(broker, "instrument", None)
    if instrument is not None:
        return str(instrument(data).symbol)
    source = data
    while not source._name and getattr(source, "data", source) is not source:
        source = source.data
    return str(source._name)


def utc(time: int) -> dt.datetime:
    """Epoch milliseconds as a naive UTC datetime, the way backtrader's own analyzers give times.

    >>> utc(86_400_000)
    datetime.datetime(1970, 1, 2, 0, 0)
    """
    return EPOCH + dt.timedelta(milliseconds=time)
