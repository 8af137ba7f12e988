"""The kernel against the full engine: every event and the equity of every bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bt_margin.engine.events import Event
from bt_margin.studies.replay.layout import (
    E_ALLOWED,
    E_AMOUNT,
    E_BALANCE,
    E_EQUITY,
    E_FEE,
    E_FOUND,
    E_KIND,
    E_MARK,
    E_ORDER,
    E_POOL,
    E_PRICE,
    E_REALISED,
    E_REASON,
    E_SIZE,
    E_SYMBOL,
    E_TIME,
    EVENTS,
    KINDS,
    REASONS,
    Floats,
    State,
)
from bt_margin.studies.replay.market import Market

NEAR = 1e-9
#: Numbers of an event that are compared, with their columns.
NUMBERS = {
    "size": E_SIZE, "price": E_PRICE, "mark": E_MARK, "amount": E_AMOUNT, "fee": E_FEE,
    "realised": E_REALISED, "balance": E_BALANCE, "equity": E_EQUITY, "found": E_FOUND,
    "allowed": E_ALLOWED,
}  # fmt: skip


class Told(NamedTuple):
    """An event as both tell it; ``order`` counts the orders of the run that events speak of."""

    time: int
    kind: str
    symbol: str | None
    pool: str | None
    order: int | None
    reason: str
    numbers: dict[str, float | None]


def told_by_kernel(state: State, symbols: Sequence[str], currency: str) -> list[Told]:
    """The kernel's events."""
    found = []
    for row in state.events[: state.counts[EVENTS]]:
        s, pool = int(row[E_SYMBOL]), int(row[E_POOL])
        where = (
            None
            if pool < 0
            else f"cross:{currency}"
            if pool == 0
            else f"isolated:{symbols[pool - 1]}"
        )
        order = None if np.isnan(row[E_ORDER]) else int(row[E_ORDER])
        reason = "" if np.isnan(row[E_REASON]) else REASONS[int(row[E_REASON])]
        numbers = {
            name: None if np.isnan(row[column]) else float(row[column])
            for name, column in NUMBERS.items()
        }
        symbol = None if s < 0 else symbols[s]
        kind = KINDS[int(row[E_KIND])]
        found.append(Told(int(row[E_TIME]), kind, symbol, where, order, reason, numbers))
    return _numbered(found)


def told_by_engine(events: Sequence[Event]) -> list[Told]:
    """The engine's events; the deposit at the start is left out."""
    found = []
    for place, event in enumerate(events):
        if event.kind == "deposit" and place == 0:
            continue
        numbers = {name: getattr(event, name) for name in NUMBERS}
        reason = event.reason if event.kind == "rejected" else ""
        pool = event.pool
        found.append(Told(event.time, event.kind, event.symbol, pool, event.order, reason, numbers))
    return _numbered(found)


def _numbered(told: list[Told]) -> list[Told]:
    """Orders counted from 0, in the order in which they were sent."""
    refs = sorted({one.order for one in told if one.order is not None})
    place = {ref: k for k, ref in enumerate(refs)}
    return [one._replace(order=None if one.order is None else place[one.order]) for one in told]


def first_difference(kernel: Sequence[Told], engine: Sequence[Told]) -> str:
    """The first event in which the two differ, in words; "" when they do not."""
    for k, (one, other) in enumerate(zip(kernel, engine, strict=False)):
        if one[:6] != other[:6]:
            return f"event {k}: kernel {one}, engine {other}"
        for name, number in one.numbers.items():
            if not _near(number, other.numbers[name]):
                two = f"{number!r} in the kernel, {other.numbers[name]!r} in the engine"
                return f"event {k} ({one.kind}): {name} {two}\n  {one}\n  {other}"
    if len(kernel) != len(engine):
        longer = kernel if len(kernel) > len(engine) else engine
        which = "the kernel" if longer is kernel else "the engine"
        return f"{which} alone has {longer[min(len(kernel), len(engine))]}"
    return ""


def differs(
    state: State, equity: Floats, market: Market, broker: Any, last: int | None = None
) -> str:
    """The first event, or the equity, in which the kernel and a full run differ; "" when they do not.

    last : the bar up to which the kernel knows the run, in the middle of which it may stop; None: all of it
    """
    own = told_by_kernel(state, market.symbols, broker.account.currency)
    theirs = told_by_engine(broker.account.events)
    curve = np.array(broker.equity_curve[1])
    if last is not None:
        until = int(market.times[last])
        own = _numbered([one for one in own if one.time <= until])
        theirs = _numbered([one for one in theirs if one.time <= until][: len(own)])
        equity, curve = equity[: last + 1], curve[: last + 1]
    found = first_difference(own, theirs)
    gap = curve_difference(equity, curve)
    return found or (f"the equity differs by {gap:g}" if gap > NEAR else "")


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    return abs(one - other) <= NEAR * max(1.0, abs(one), abs(other))


def curve_difference(kernel: Floats, engine: Floats) -> float:
    """The largest difference of two equity curves, relative to the larger of 1 and the engine's."""
    if len(kernel) != len(engine):
        return float("inf")
    if not len(kernel):
        return 0.0
    return float(np.max(np.abs(kernel - engine) / np.maximum(1.0, np.abs(engine))))
