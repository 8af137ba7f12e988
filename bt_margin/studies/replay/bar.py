"""One bar of the kernel, in the order of :mod:`bt_margin.engine.step`, and the orders sent at its end."""

from __future__ import annotations

from bt_margin.studies.replay.account import (
    asked_of,
    call_bits,
    gain_of,
    in_pool,
    move_mark,
    note,
    pool_count,
    value_of,
)
from bt_margin.studies.replay.admission import admit
from bt_margin.studies.replay.booking import balance_of
from bt_margin.studies.replay.bounds import first_inner, risky_pools
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.crossings import Road
from bt_margin.studies.replay.layout import (
    ACCEPTED,
    ACTIVE,
    ALIVE,
    AT_CLOSE,
    AT_MARKET,
    BAR,
    C_BAR,
    C_SYMBOL,
    C_VALUE,
    C_WHAT,
    CALLED,
    CALLS,
    CHANGE,
    CLEARED,
    CROSS_CALLED,
    E_ALLOWED,
    E_FOUND,
    EXPIRED,
    EXPIRES,
    FEE_ROW,
    HIGH,
    ISOLATED,
    LEVERAGE,
    LOW,
    M_CALM,
    M_OPENED,
    M_READING,
    M_RISKY,
    M_STAMP,
    M_WALKED,
    MARGIN_CALL,
    MARK,
    MOST,
    N_ROADS,
    NEW_FEES,
    NEW_RULE,
    NOTED,
    OPEN,
    ORDERS,
    P_CLOSE,
    P_MARK_CLOSE,
    P_MARK_HIGH,
    P_MARK_LOW,
    P_MARK_OPEN,
    POLICY_ROW,
    PREMIUM_ROW,
    RULE,
    RULES,
    S_EARLY,
    SETTLED,
    SINCE,
    SIZE,
    SYMBOL,
    TABLE,
    TAG,
    TAKER,
    TRIED,
    TRIGGERED,
    TYPE,
    UNFIT,
    Cell,
    Ints,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.liquidation import judge_pools
from bt_margin.studies.replay.resting import end, fared, trail
from bt_margin.studies.replay.settling import settle, settle_inside
from bt_margin.studies.replay.walk import choose_roads, execute, walk

RELEASE = 0.9
INFINITE = float("inf")


@compiled
def prevailing(bars: Ints, t: int) -> int:
    """The last row whose bar has come; the first before."""
    row = 0
    while row + 1 < len(bars) and bars[row + 1] <= t:
        row += 1
    return row


@compiled
def check_submitted(w: World, r: Rules, c: Cell, st: State) -> None:
    """Judge what was submitted since the last bar at the last known marks."""
    q = 0
    while q < st.counts[ORDERS]:
        if st.queue[q, ACCEPTED] or admit(w, r, c, st, q):
            st.queue[q, ACCEPTED] = 1.0
            q += 1
        else:
            end(st, q, UNFIT, st.counts[BAR])
            q = 0


@compiled
def change_tables(w: World, r: Rules, c: Cell, st: State, t: int) -> None:
    """Margin rules and tier tables that have come into force, the leverage they still allow, and fees."""
    while st.counts[CHANGE] < r.changes.shape[1] and r.changes[C_BAR, st.counts[CHANGE]] <= t:
        at = st.counts[CHANGE]
        st.counts[CHANGE] = at + 1
        s, what, k = r.changes[C_SYMBOL, at], r.changes[C_WHAT, at], r.changes[C_VALUE, at]
        if what == NEW_FEES:
            st.held[s, TAKER] = r.fees[1, k, s]
            continue
        pool = (s + 1 if r.sym[s, ISOLATED] else 0) if st.held[s, ALIVE] else -1
        if what == NEW_RULE:
            st.held[s, RULE] = k
            note(w, r, c, st, RULES, s, pool)
            continue
        st.held[s, TABLE] = k
        before, most = st.held[s, LEVERAGE], r.tiers[MOST, r.tables[0, k]]
        st.held[s, LEVERAGE] = min(before, most)
        row = note(w, r, c, st, RULES, s, pool)
        if row >= 0:
            st.events[row, E_FOUND], st.events[row, E_ALLOWED] = before, most


@compiled
def due_early(w: World, r: Rules, c: Cell, st: State, t: int) -> None:
    """Funding due at the open, at the last known mark, on the positions held before any fill of this bar."""
    if st.counts[SETTLED] == t + 1:
        return
    st.counts[SETTLED] = t + 1
    for s in range(len(st.held)):
        stamp = w.places[1, s, t]
        while stamp < w.places[1, s, t + 1] and w.stamps[S_EARLY, stamp]:
            settle(w, r, c, st, s, stamp, st.held[s, MARK])
            stamp += 1


@compiled
def settle_inner(w: World, r: Rules, c: Cell, st: State, reading: Ints, t: int) -> None:
    """The settlements inside the bar of symbols that are not walked."""
    for s in range(len(st.held)):
        if reading[s]:
            for stamp in range(first_inner(w, s, t), w.places[1, s, t + 1]):
                settle_inside(w, r, c, st, s, stamp, t)


@compiled
def match(w: World, r: Rules, c: Cell, st: State, t: int, reading: Ints) -> None:
    """Go once through the orders of these symbols, as they were sent: too late, filled, or waiting on."""
    q = 0
    while q < st.counts[ORDERS]:
        order, count = st.queue[q], st.counts[ORDERS]
        s = int(order[SYMBOL])
        if reading[s] and order[TRIED] != t + 1:
            order[TRIED] = t + 1
            if order[TYPE] != AT_MARKET and t >= order[EXPIRES]:
                expire(w, c, st, q, t)
            elif order[ACTIVE] <= t and w.places[0, s, t]:
                execute(w, r, c, st, q, t, 0, 0.0, False)
        q = q + 1 if st.counts[ORDERS] == count else 0


@compiled
def expire(w: World, c: Cell, st: State, q: int, t: int) -> None:
    """The time of an order is over."""
    fared(w, c, st, st.queue[q, TAG], EXPIRED, t)
    end(st, q, EXPIRED, t)


@compiled
def expire_all(w: World, c: Cell, st: State, t: int) -> None:
    """Before a walk: drop the orders whose time is over."""
    q = 0
    while q < st.counts[ORDERS]:
        if st.queue[q, TYPE] != AT_MARKET and t >= st.queue[q, EXPIRES]:
            expire(w, c, st, q, t)
            q = 0
        else:
            q += 1


@compiled
def finish(w: World, st: State, road: Road, t: int) -> None:
    """What becomes of orders that a walk did not fill: trailing stops follow, the close is noted."""
    for q in range(st.counts[ORDERS]):
        order = st.queue[q]
        if road.walked[int(order[SYMBOL])] and order[ACTIVE] <= t:
            if order[TRIGGERED] == 0.0:
                trail(w, order, t)
            if order[TYPE] == AT_CLOSE:
                order[NOTED] = w.prices[P_CLOSE, int(order[SYMBOL]), t]


@compiled
def part(
    w: World, r: Rules, c: Cell, st: State, twin: State, t: int, reading: Ints, risky: Ints
) -> None:
    """Walk the pools in danger; the others live through the bar as if those were not there."""
    symbols = len(st.held)
    walked, calm, stamp = st.marks[M_WALKED], st.marks[M_CALM], st.marks[M_STAMP]
    for s in range(symbols):
        walked[s] = calm[s] = reading[s]
        if risky[s + 1 if r.sym[s, ISOLATED] else 0]:
            calm[s] = 0
        else:
            walked[s] = 0
        if walked[s]:
            move_mark(st, s, w.prices[P_MARK_OPEN, s, t])
            stamp[s] = first_inner(w, s, t)
    judge_pools(w, r, c, st)
    match(w, r, c, st, t, calm)
    settle_inner(w, r, c, st, calm, t)
    expire_all(w, c, st, t)
    road = Road(walked, st.numbers[N_ROADS : N_ROADS + 5], stamp)
    choose_roads(w, r, c, st, twin, road, t)
    walk(w, r, c, st, road, t, 1)
    finish(w, st, road, t)


@compiled
def call_margins(w: World, r: Rules, c: Cell, st: State) -> None:
    """Raise and clear margin calls of every pool by its ratio at the marks."""
    judge_call(w, r, c, st, 0)
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if r.sym[s, ISOLATED]:
            judge_call(w, r, c, st, s + 1)


@compiled
def judge_call(w: World, r: Rules, c: Cell, st: State, pool: int) -> None:
    """Raise and clear the margin calls of one pool."""
    bits, before = call_bits(st, pool), call_bits(st, pool)
    if pool_count(r, st, pool) == 0:
        bits = 0.0
    elif len(c.calls):
        equity, need = balance_of(st, pool), 0.0
        for k in range(st.counts[OPEN]):
            s = st.marks[M_OPENED, k]
            if in_pool(r, s, pool):
                equity += gain_of(r, st, s)
                need += asked_of(r, st, s, value_of(r, st, s))
        if not (need >= c.calls[0] * equity or bits != 0.0):
            return
        ratio = need / equity if equity > 0.0 else INFINITE
        for k in range(len(c.calls)):
            unit, threshold = 2.0**k, c.calls[k]
            called = int(bits / unit) % 2 == 1
            kind, limit = -1, threshold
            if ratio >= threshold and not called:
                kind, bits = MARGIN_CALL, bits + unit
                st.counts[CALLS] += 1
            elif called and ratio < RELEASE * threshold:
                kind, bits, limit = CLEARED, bits - unit, RELEASE * threshold
            if kind >= 0:
                row = note(w, r, c, st, kind, -1, pool)
                if row >= 0:
                    st.events[row, E_FOUND], st.events[row, E_ALLOWED] = ratio, limit
    if bits != before:
        if pool == 0:
            st.money[CROSS_CALLED] = bits
        else:
            st.held[pool - 1, CALLED] = bits


@compiled
def step(w: World, r: Rules, c: Cell, st: State, twin: State, t: int) -> None:
    """Live through one bar."""
    symbols = len(st.held)
    st.counts[BAR] = t
    st.counts[FEE_ROW] = prevailing(r.fee_bars, t)
    st.counts[PREMIUM_ROW] = prevailing(r.premium[0], t)
    st.counts[POLICY_ROW] = prevailing(r.policy[SINCE], t)
    check_submitted(w, r, c, st)
    change_tables(w, r, c, st, t)
    due_early(w, r, c, st, t)
    waiting = st.counts[ORDERS] > 0
    if not waiting and st.counts[OPEN] == 0:
        return
    reading, risky = st.marks[M_READING], st.marks[M_RISKY]
    reading[:] = 0
    risky[:] = 0
    for s in range(symbols):
        if w.places[0, s, t] and (waiting or st.held[s, SIZE] != 0.0):
            reading[s] = 1
            st.held[s, MARK] = w.prices[P_MARK_OPEN, s, t]
            st.held[s, LOW], st.held[s, HIGH] = (
                w.prices[P_MARK_LOW, s, t],
                w.prices[P_MARK_HIGH, s, t],
            )
    if risky_pools(w, r, c, st, t, reading, risky):
        part(w, r, c, st, twin, t, reading, risky)
    else:
        st.marks[M_WALKED, :] = 1  # all of them: also what is too late on a market without a bar
        match(w, r, c, st, t, st.marks[M_WALKED])
        settle_inner(w, r, c, st, reading, t)
    for s in range(symbols):
        if reading[s]:
            move_mark(st, s, w.prices[P_MARK_CLOSE, s, t])
    call_margins(w, r, c, st)
