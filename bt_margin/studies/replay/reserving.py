"""What the margin of positions and open orders takes of an account (:mod:`bt_margin.engine.orders`)."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.studies.replay.account import (
    gain_of,
    initial_now,
    initial_of,
    kind_of,
    notional,
    pool_equity,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    AHEAD,
    ALIVE,
    ASKED,
    AT_MARK,
    CASH,
    ENTRY,
    INVERSE,
    ISOLATED,
    LEVERAGE,
    LOSS,
    M_OPENED,
    MARK,
    MULTIPLIER,
    NOTIONAL,
    OPEN,
    ORDERS,
    REF,
    RESERVING,
    SIZE,
    SYMBOL,
    Cell,
    Rules,
    State,
)


class Extra(NamedTuple):
    """An order as what it reserves: signed size, notional at its price, open loss."""

    size: float
    notional: float
    loss: float


@compiled
def unreserved(r: Rules, c: Cell, st: State) -> float:
    """Cross equity less initial margin."""
    free = st.money[CASH]
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not r.sym[s, ISOLATED]:
            free += gain_of(r, st, s) - initial_now(r, st, s)
    return float(free)


@compiled
def reserved_by(
    r: Rules, c: Cell, st: State, s: int, without: float, extra: Extra, size: float
) -> float:
    """Margin a symbol's open orders and one more reserve beside a position of ``size``."""
    bids, asks, loss, count = 0.0, 0.0, 0.0, 0
    for k in range(st.counts[ORDERS]):
        q = st.queue[k]
        if q[SYMBOL] == s and q[RESERVING] and q[REF] != without:
            count += 1
            loss += q[LOSS]
            if q[ASKED] > 0.0:
                bids += q[NOTIONAL]
            else:
                asks += q[NOTIONAL]
    if extra.size != 0.0:
        count += 1
        loss += extra.loss
        if extra.size > 0.0:
            bids += extra.notional
        else:
            asks += extra.notional
    if count == 0:
        return 0.0
    leverage = st.held[s, LEVERAGE]
    held = 0.0
    if size != 0.0:
        held = notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], st.held[s, MARK])
    same, against = (bids, asks) if size > 0.0 else (asks, bids)
    if kind_of(r, st, s) != AT_MARK:
        need = asked_by_orders(r, c, st, s, size, (held, same, against))
    elif r.sym[s, ISOLATED]:
        kept = held / leverage
        if st.held[s, ALIVE] and size == st.held[s, SIZE]:
            kept = pool_equity(r, c, st, s + 1)
        need = max(same / leverage, (against - held) / leverage - max(0.0, kept))
    else:
        need = (max(held + same, against - held) - held) / leverage
    return float(max(0.0, need) + loss)


@compiled
def initial_side(r: Rules, st: State, s: int, value: float, sign: float, mark: float) -> float:
    """Initial margin of a notional on one side of a symbol at its mark."""
    if not value > 0.0:
        return 0.0
    unit = notional(r.sym[s, INVERSE], 1.0, r.sym[s, MULTIPLIER], mark)
    return initial_of(r, st, s, sign * value / unit, mark, mark, st.held[s, LEVERAGE])


@compiled
def asked_by_orders(
    r: Rules, c: Cell, st: State, s: int, size: float, values: tuple[float, float, float]
) -> float:
    """What orders ask for where the rule does not ask in step with the notional, nor the same of both sides.

    values : notional of the position, of the orders on its side, of those against it
    """
    mark = st.held[s, MARK] if st.held[s, MARK] != 0.0 else st.held[s, ENTRY]
    if not mark > 0.0:
        return 0.0
    held, same, against = values
    side = 1.0 if size > 0.0 else -1.0
    now = initial_side(r, st, s, held, side, mark)
    more = initial_side(r, st, s, held + same, side, mark)
    turned = initial_side(r, st, s, against - held, -side, mark)
    if r.sym[s, ISOLATED]:
        kept = now
        if st.held[s, ALIVE] and size == st.held[s, SIZE]:
            kept = pool_equity(r, c, st, s + 1)
        return max(more - now, turned - max(0.0, kept))
    return max(more, turned) - now


@compiled
def total_reserved(r: Rules, c: Cell, st: State, without: int) -> float:
    """Margin reserved by all open orders, those of one symbol left out (−1: none)."""
    total = 0.0
    for s in range(len(st.held)):
        if s != without:
            total += reserved_by(r, c, st, s, -1.0, Extra(0.0, 0.0, 0.0), st.held[s, SIZE])
    return total


@compiled
def freed(r: Rules, c: Cell, st: State) -> float:
    """Margin that orders ahead give back: initial margin of what they close, isolated its money."""
    found = 0.0
    for s in range(len(st.held)):
        closing, size = 0.0, st.held[s, SIZE]
        for k in range(st.counts[ORDERS]):
            q = st.queue[k]
            if q[SYMBOL] == s and q[AHEAD] and q[ASKED] * size < 0.0:
                closing += abs(q[ASKED])
        if closing > 0.0:
            if r.sym[s, ISOLATED] and st.held[s, ALIVE]:
                held = pool_equity(r, c, st, s + 1)
            else:
                held = initial_now(r, st, s)
            found += max(0.0, held) * min(1.0, closing / abs(size))
    return found
