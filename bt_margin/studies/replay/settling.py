"""Funding in the kernel."""

from __future__ import annotations

from bt_margin.studies.replay.account import note, pool_equity, pool_need, worth
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ALIVE,
    CAPPED,
    CASH,
    DEAL_FUNDING,
    E_AMOUNT,
    E_FOUND,
    E_MARK,
    E_SIZE,
    E_TIME,
    FROM_WALLET,
    FUNDED,
    FUNDING,
    INVERSE,
    ISOLATED,
    MULTIPLIER,
    P_MARK_CLOSE,
    P_MARK_OPEN,
    PAID,
    POSTED,
    RECEIVED,
    S_MARK,
    S_RATE,
    S_TIME,
    SIZE,
    Cell,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.reserving import total_reserved, unreserved


@compiled
def settle(w: World, r: Rules, c: Cell, st: State, s: int, stamp: int, price: float) -> None:
    """Pay or receive one funding settlement, at its own mark or at ``price``."""
    h = st.held
    if not h[s, ALIVE] or not r.flags[FUNDED]:
        return
    own, rate = w.stamps[S_MARK, stamp], w.stamps[S_RATE, stamp]
    mark = own if own == own else price
    amount = -h[s, SIZE] * r.sym[s, MULTIPLIER] * abs(worth(r.sym[s, INVERSE], mark)) * rate
    pool = s + 1 if r.sym[s, ISOLATED] else 0
    if r.flags[CAPPED] and amount < 0.0:
        room = pool_equity(r, c, st, pool) - pool_need(r, c, st, pool) * (1.0 + 1e-9)
        amount = max(amount, -max(0.0, room))
    if pool > 0:
        share = 0.0
        if r.flags[FROM_WALLET]:
            free = unreserved(r, c, st) - total_reserved(r, c, st, -1)
            share = max(amount, -max(0.0, min(free, max(0.0, st.money[CASH]))))
            st.money[CASH] += share
        h[s, POSTED] += amount - share
    else:
        st.money[CASH] += amount
    st.money[RECEIVED if amount > 0.0 else PAID] += amount
    h[s, DEAL_FUNDING] += amount
    row = note(w, r, c, st, FUNDING, s, pool)
    if row >= 0:
        e = st.events[row]
        e[E_TIME], e[E_SIZE], e[E_MARK] = w.stamps[S_TIME, stamp], h[s, SIZE], mark
        e[E_AMOUNT], e[E_FOUND] = amount, rate


@compiled
def path_time(w: World, s: int, stamp: int, t: int) -> float:
    """Where in the bar a settlement lies, 0 at the open to 1 at the end."""
    return float((w.stamps[S_TIME, stamp] - w.start[t]) / w.step[s])


@compiled
def settle_inside(w: World, r: Rules, c: Cell, st: State, s: int, stamp: int, t: int) -> None:
    """A settlement inside the bar, at the mark on the straight line from open to close."""
    u = path_time(w, s, stamp, t)
    price = (
        w.prices[P_MARK_OPEN, s, t]
        + (w.prices[P_MARK_CLOSE, s, t] - w.prices[P_MARK_OPEN, s, t]) * u
    )
    settle(w, r, c, st, s, stamp, price)
