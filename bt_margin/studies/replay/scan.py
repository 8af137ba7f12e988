"""Stretches of bars in which nothing can happen, gone through at the speed of memory.

Between orders, settlements and changes of tables a position does not change. While every mark stays between
its two *guards*, no pool can meet its requirement or a margin call: each position of a pool is given a share
of what the pool has to lose. Lowest and highest marks of :data:`~.layout.BLOCK` bars are known, so the
search for the first bar beyond a guard looks at a block at a time, and the equity of a stretch is one
multiplication and one addition per bar and position.
"""

from __future__ import annotations

from bt_margin.studies.replay.account import (
    call_bits,
    exposure,
    move_mark,
    pool_equity,
    pool_need,
    required,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    BLOCK,
    CAPS,
    CASH,
    ENTRY,
    INVERSE,
    ISOLATED,
    M_OPENED,
    MARK,
    MULTIPLIER,
    N_GUARD_HIGH,
    N_GUARD_LOW,
    N_RESTS,
    OPEN,
    ORDERS,
    P_HIGH,
    P_LOW,
    P_MARK_CLOSE,
    P_MARK_HIGH,
    P_MARK_LOW,
    POSTED,
    RATES,
    S_BAR,
    SIZE,
    TABLE,
    Cell,
    Floats,
    Rules,
    State,
    World,
)

INFINITE = float("inf")
KEEP = 0.97
"""The part of what a pool has to lose that guards give away: the rest covers rounding in published tables."""


@compiled
def guard(r: Rules, st: State, s: int, room: float, ratio: float) -> None:
    """The marks between which a position costs its pool less than ``room``   [settle].

    ratio : how much of a unit of requirement counts: 1, or more where a margin call comes earlier
    """
    size, mark, k = st.held[s, SIZE], st.held[s, MARK], int(st.held[s, TABLE])
    first, last, more, _ = required(r, st, s)
    units, top = abs(size) * r.sym[s, MULTIPLIER], r.tiers[RATES, last - 1] + more
    cost = 1.0 if (size > 0.0) != (r.sym[s, INVERSE] != 0) else 1.0 + top * ratio
    low, high = 0.0, INFINITE
    if r.sym[s, INVERSE]:  # in worth, u = 1 / price: a long loses as u rises
        at, step = 1.0 / mark, room / (units * (1.0 + top * ratio))
        if size > 0.0:
            low = 1.0 / (at + step)
        elif at > step:
            high = 1.0 / (at - step)
    elif size > 0.0:
        low = mark - room / (units * cost)
    else:
        high = mark + room / (units * cost)
    if r.tables[1, k] or top * ratio >= 1.0:  # where more notional may ask for more than it brings
        value = exposure(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], mark)
        for row in range(first, last - 1):
            if value <= r.tiers[CAPS, row]:
                edge = r.tiers[CAPS, row] / units
                if r.sym[s, INVERSE]:
                    low = max(low, 1.0 / edge)
                else:
                    high = min(high, edge)
                break
        if top * ratio >= 1.0:
            low, high = mark, mark
    st.numbers[N_GUARD_LOW, s], st.numbers[N_GUARD_HIGH, s] = low, high


@compiled
def set_guards(r: Rules, c: Cell, st: State) -> bool:
    """Guards of all open positions from their marks now; False when a pool has nothing to give away."""
    ratio = 1.0 / c.calls[0] if len(c.calls) else 1.0
    shared, room = 0.0, 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not r.sym[s, ISOLATED]:
            shared += exposure(
                r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK]
            )
    if shared > 0.0:
        room = (pool_equity(r, c, st, 0) - pool_need(r, c, st, 0) * ratio) * KEEP
        if room <= 0.0 or call_bits(st, 0) != 0.0:
            return False
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if r.sym[s, ISOLATED]:
            own = (pool_equity(r, c, st, s + 1) - pool_need(r, c, st, s + 1) * ratio) * KEEP
            if own <= 0.0 or call_bits(st, s + 1) != 0.0:
                return False
        else:
            value = exposure(
                r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK]
            )
            own = room * (value / shared)
        guard(r, st, s, own, ratio)
    return True


@compiled
def first_beyond(w: World, s: int, t: int, end: int, low: float, high: float, last: int) -> int:
    """The first bar from ``t`` to before ``end`` whose mark leaves the guards (or ``end``).

    last : 1 looks at the last price instead
    """
    lows, highs = (P_LOW, P_HIGH) if last else (P_MARK_LOW, P_MARK_HIGH)
    while t < end:
        block = t // BLOCK
        if w.blocks[2 * last, s, block] > low and w.blocks[2 * last + 1, s, block] < high:
            t = (block + 1) * BLOCK
            continue
        stop = min(end, (block + 1) * BLOCK)
        while t < stop:
            if w.prices[lows, s, t] <= low or w.prices[highs, s, t] >= high:
                return t
            t += 1
    return end


@compiled
def first_reached(w: World, st: State, t: int, end: int) -> int:
    """The first bar from ``t`` to before ``end`` in which a waiting order could fill (or ``end``)."""
    if st.counts[ORDERS] == 0:
        return end
    n = st.numbers
    for s in range(len(st.held)):
        if n[N_RESTS, s] != -INFINITE or n[N_RESTS + 1, s] != INFINITE:
            end = first_beyond(w, s, t, end, n[N_RESTS, s], n[N_RESTS + 1, s], 1)
        if n[N_RESTS + 2, s] != -INFINITE or n[N_RESTS + 3, s] != INFINITE:
            end = first_beyond(w, s, t, end, n[N_RESTS + 2, s], n[N_RESTS + 3, s], 0)
    return end


@compiled
def leave_marks(w: World, st: State, t: int, end: int) -> None:
    """While orders wait every market is read: the marks of flat symbols stand at their last bar's close."""
    if st.counts[ORDERS] == 0:
        return
    for s in range(len(st.held)):
        last = end - 1
        while last >= t and not w.places[0, s, last]:
            last -= 1
        if last >= t:
            move_mark(st, s, w.prices[P_MARK_CLOSE, s, last])


@compiled
def add_gains(w: World, r: Rules, st: State, s: int, t: int, end: int, equity: Floats) -> None:
    """Add what a position is worth beyond its cost at the closes of these bars."""
    units, entry = st.held[s, SIZE] * r.sym[s, MULTIPLIER], st.held[s, ENTRY]
    closes, out = w.prices[P_MARK_CLOSE, s, t:end], equity[t:end]
    if r.sym[s, INVERSE]:
        for k in range(len(out)):
            out[k] += units * (1.0 / entry - 1.0 / closes[k])
    else:
        for k in range(len(out)):
            out[k] += units * (closes[k] - entry)


@compiled
def calm(w: World, r: Rules, c: Cell, st: State, t: int, end: int, equity: Floats) -> int:
    """Go through calm bars from ``t`` on, at most to before ``end``; the first bar that was not calm.

    ``guards`` hold for the positions as they are. Marks end at the last close, equity is written bar by bar.
    """
    stop, base = first_reached(w, st, t, end), st.money[CASH]
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        stop = first_beyond(
            w, s, t, stop, st.numbers[N_GUARD_LOW, s], st.numbers[N_GUARD_HIGH, s], 0
        )
        if r.sym[s, ISOLATED]:
            base += st.held[s, POSTED]
    if stop <= t:
        return t
    equity[t:stop] = base
    leave_marks(w, st, t, stop)
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        add_gains(w, r, st, s, t, stop, equity)
        move_mark(st, s, w.prices[P_MARK_CLOSE, s, stop - 1])
    return stop


@compiled
def next_due(w: World, st: State, t: int, end: int) -> int:
    """The first bar from ``t`` on in which an open position has a settlement, or ``end``."""
    for k in range(st.counts[OPEN]):
        stamp = w.places[1, st.marks[M_OPENED, k], t]
        if stamp < w.places[1, st.marks[M_OPENED, k], len(w.start)]:
            end = min(end, int(w.stamps[S_BAR, stamp]))
    return end
