"""Money of wallets in coin, told in the currency of the run.

Events and ledger entries are in the coin of their pool. What a study adds up must be in one currency: an
amount counts at the price the coin had at the close of its bar. What coins gain or lose in value while
they lie in a wallet is then part of the result of prices. Runs with one wallet are left as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.plugin.asking import currency_of

Floats = NDArray[np.float64]

#: Kinds of events whose ``found`` and ``allowed`` are money, and of refused orders the reasons.
_MONEY = ("breach", "liquidation")
_REASONS = ("margin", "leverage_cap", "min_notional", "dead")


def worth(run: Any, thing: Any) -> float:
    """What a unit of an event's or entry's money was worth at the close of its bar, in the run's currency."""
    rates = getattr(run.broker, "rates", None)
    if not rates:
        return 1.0
    return rate_at(run, currency_of(run.broker.account, thing.pool, thing.symbol), thing.time)


def rate_at(run: Any, unit: str, time: int | None = None) -> float:
    """The price of a wallet's currency at the close of the bar of a moment; None: of the last bar."""
    rates = getattr(run.broker, "rates", None)
    column = rates.get(unit) if rates else None
    if not column:
        return 1.0
    if time is None:
        return float(column[-1])
    times = np.asarray(run.broker.equity_curve[0], dtype=np.int64)
    place = int(np.searchsorted(times, time, side="right")) - 1
    return float(column[max(0, place)])


def row_rates(run: Any) -> Floats:
    """The price of each row's settlement currency in the record of open positions: shape (n_rows,)."""
    held, rates = run.held, getattr(run.broker, "rates", None)
    found = np.ones(len(held.bar))
    if not rates:
        return found
    times = np.asarray(run.broker.equity_curve[0], dtype=np.int64)
    places = np.maximum(np.searchsorted(times, held.times[held.bar], side="right") - 1, 0)
    for symbol in held.symbols:
        rows = held.rows_of(symbol)
        column = rates.get(held.contracts[symbol].settle)
        if column is not None and len(rows):
            found[rows] = np.asarray(column, dtype=float)[places[rows]]
    return found


def told(run: Any, event: Any) -> Any:
    """An event with its money in the run's currency; itself where that is what it is in."""
    rate = worth(run, event)
    if rate == 1.0:
        return event
    money = ["amount", "fee", "realised", "balance"]
    if event.kind in _MONEY or (event.kind == "rejected" and event.reason in _REASONS):
        money += ["found", "allowed"]
    values = {name: getattr(event, name) for name in money}
    return replace(event, **{n: v * rate for n, v in values.items() if v is not None})
