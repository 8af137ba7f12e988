"""The walk of the kernel: straight legs, crossings, and which extreme comes first.

The same rules as :mod:`bt_margin.engine.walk`, :mod:`bt_margin.engine.scout` and
:func:`bt_margin.core.path.first_breach`.
"""

from __future__ import annotations

from bt_margin.studies.replay.account import equity_of, gain, in_pool, move_mark
from bt_margin.studies.replay.admission import fill
from bt_margin.studies.replay.booking import copy_state
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.crossings import Road, first_crossing, move_to
from bt_margin.studies.replay.layout import (
    ADVERSE,
    ASKED,
    ASKED_PRICE,
    AT_LIMIT,
    FAMILY,
    FILLED,
    GROUP,
    HIDDEN,
    IDLE,
    IMPOSSIBLE,
    INVERSE,
    ISOLATED,
    LIMIT,
    LIQUIDATIONS,
    M_GROUP,
    M_TRIAL,
    MARK,
    MARKED,
    MULTIPLIER,
    N_GROUPS,
    NEAREST,
    NEVER,
    ORDERS,
    P_CLOSE,
    P_HIGH,
    P_LOW,
    P_MARK_CLOSE,
    P_MARK_HIGH,
    P_MARK_LOW,
    P_MARK_OPEN,
    P_OPEN,
    PRICE,
    QUEUE_COLUMNS,
    REDUCING,
    REF,
    SAME,
    SIZE,
    STATUS,
    SYMBOL,
    TAG,
    TRIGGERED,
    TYPE,
    UNPAID,
    WALKING,
    Cell,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.liquidation import judge_pools, liquidate
from bt_margin.studies.replay.resting import (
    NOT_YET,
    TO_CLOSE,
    TO_LIMIT,
    TO_TRIGGER,
    TURN,
    drop,
    end,
    fared,
    matched_price,
    stance,
    walked_price,
)
from bt_margin.studies.replay.settling import path_time, settle_inside


@compiled
def trimmed(held: float, size: float) -> float:
    """A reduce-only size: against the position and never more than it."""
    if held * size >= 0.0:
        return 0.0
    return size if abs(size) <= abs(held) else -held


@compiled
def execute(
    w: World, r: Rules, c: Cell, st: State, q: int, t: int, walking: int, at: float, at_open: bool
) -> None:  # fmt: skip
    """Try an order on its bar; what is done with it leaves the queue.

    ``walking``: 0 in the fast lane, where a fill moves the mark along; 1 in a walk that has triggered it at
    the price ``at``; 2 in a trial of one, which fills there and knows no slippage.
    """
    order = st.queue[q]
    s, size, ref, tag = int(order[SYMBOL]), order[ASKED], order[REF], order[TAG]
    held, first = st.held[s, SIZE], w.prices[P_OPEN, s, t]
    if walking and stance(w, order, t) == TO_TRIGGER:
        order[TRIGGERED] = 1.0
        if walking == 2:
            to_end(st, q)
        return
    price, asked = at, at
    if walking == 0:
        price, asked = matched_price(w, c, order, t)
    elif walking == 1:
        price, asked = walked_price(w, c, order, t, at, at_open)
    if price != price:
        return
    if order[REDUCING]:
        size = trimmed(held, size)
    whole = abs(order[ASKED] - size) <= SAME * abs(order[ASKED])
    if walking < 2 and held != 0.0 and abs(size + held) <= SAME * max(abs(held), abs(size)):
        size = -held
    how = FILLED if whole else IDLE
    if not price > 0.0:
        st.counts[STATUS] = IMPOSSIBLE
    elif size != 0.0:
        if walking == 0 and price != first and w.prices[P_MARK_HIGH, s, t] > 0.0:
            low, high = w.prices[P_MARK_LOW, s, t], w.prices[P_MARK_HIGH, s, t]
            st.held[s, MARK] = min(max(price, low), high)
        st.money[ASKED_PRICE] = asked
        makes = walking < 2 and order[TYPE] == AT_LIMIT and price == order[PRICE]
        if not fill(w, r, c, st, s, size, price, ref, 2 if makes else 0):
            how = UNPAID
    if walking == 2:
        end_rivals(st, q)
    else:
        fared(w, c, st, tag, how, t)
        end(st, q, how, t)


@compiled
def to_end(st: State, q: int) -> None:
    """Put an order behind all others, as a trial does that keeps a copy of it."""
    count = st.counts[ORDERS]
    for column in range(QUEUE_COLUMNS):
        kept = st.queue[q, column]
        for k in range(q, count - 1):
            st.queue[k, column] = st.queue[k + 1, column]
        st.queue[count - 1, column] = kept


@compiled
def end_rivals(st: State, q: int) -> None:
    """Take an order out of a trial, and those it cancels."""
    group, family = st.queue[q, GROUP], st.queue[q, FAMILY]
    for k in range(st.counts[ORDERS] - 1, -1, -1):
        same = st.queue[k, GROUP] == group or st.queue[k, FAMILY] == family
        if same and not st.queue[k, HIDDEN]:
            drop(st, k)


@compiled
def last_at(w: World, road: Road, s: int, t: int, leg: int, u: float, marked: float) -> float:
    """The last price (or the mark) of a walked symbol at a path time on a leg."""
    if marked:
        a, b = road.nodes[leg, s], road.nodes[leg + 1, s]
    else:
        low_first = road.nodes[4, s] != 0.0
        a, b = w.prices[P_OPEN, s, t], w.prices[P_LOW if low_first else P_HIGH, s, t]
        if leg == 1:
            a, b = b, w.prices[P_HIGH if low_first else P_LOW, s, t]
        elif leg == 2:
            a, b = w.prices[P_HIGH if low_first else P_LOW, s, t], w.prices[P_CLOSE, s, t]
    start, end = leg_times(leg)
    if u <= start:
        return float(a)
    if u >= end:
        return float(b)
    return float(a + (b - a) * ((u - start) / (end - start)))


@compiled
def leg_times(leg: int) -> tuple[float, float]:
    """Path times at which a leg begins and ends."""
    if leg == 0:
        return 0.0, 1.0 / 3.0
    return (1.0 / 3.0, 2.0 * (1.0 / 3.0)) if leg == 1 else (2.0 * (1.0 / 3.0), 1.0)


@compiled
def next_order(
    w: World, st: State, road: Road, t: int, leg: int, now: float
) -> tuple[int, float, float]:
    """The order that is triggered first on the rest of a leg, when, and at which price; −1 when none is."""
    found, best, at, finish = -1, NEVER, 0.0, leg_times(leg)[1]
    for q in range(st.counts[ORDERS]):
        order = st.queue[q]
        s, kind = int(order[SYMBOL]), stance(w, order, t)
        if kind in (NOT_YET, TO_CLOSE) or not road.walked[s]:
            continue
        u, last = now, last_at(w, road, s, t, leg, now, 0.0)
        if kind != TURN:
            price = order[LIMIT] if kind == TO_LIMIT and order[TYPE] != AT_LIMIT else order[PRICE]
            marked = order[MARKED] if kind != TO_LIMIT else 0.0
            a = last_at(w, road, s, t, leg, now, marked)
            b = last_at(w, road, s, t, leg, finish, marked)
            falling = (order[ASKED] > 0.0) == (kind == TO_LIMIT)
            if not (a <= price if falling else a >= price):
                if not (b <= price if falling else b >= price):
                    continue
                u = now + (finish - now) * (price - a) / (b - a)
                if u > now:
                    last = price if not marked else last_at(w, road, s, t, leg, u, 0.0)
        if u < best:
            found, best, at = q, u, last
    return found, best, at


@compiled
def turn(r: Rules, c: Cell, road: Road, s: int) -> int:
    """A symbol's place among the roads: pool by pool, as they were laid, else as the feeds come."""
    if c.path == NEAREST or r.sym[s, ISOLATED]:
        return s
    for k in range(s):
        if road.walked[k] and not r.sym[k, ISOLATED]:
            return k
    return s


@compiled
def next_stamp(
    w: World, r: Rules, c: Cell, road: Road, t: int, now: float, end: float
) -> tuple[int, float]:
    """The symbol whose funding is settled next on the stretch ahead and when; −1 when none is."""
    symbol, best = -1, end
    for s in range(len(w.step)):
        stamp = road.stamp[s]
        if not road.walked[s] or stamp >= w.places[1, s, t + 1]:
            continue
        u = max(now, path_time(w, s, stamp, t))
        if u < best or (
            u == best and (symbol < 0 or turn(r, c, road, s) < turn(r, c, road, symbol))
        ):
            symbol, best = s, u
    return symbol, best


@compiled
def stretch(
    w: World, r: Rules, c: Cell, st: State, road: Road, leg: int, t: int, walking: int
) -> None:
    """One leg: everything on it happens when the price gets there."""
    start, end = leg_times(leg)
    now = start
    move_to(w, st, road, leg, start, end, start)
    while True:
        symbol, u = next_stamp(w, r, c, road, t, now, end)
        pool, crossed = first_crossing(r, c, st, road, leg, now, end)
        if pool >= 0 and (crossed < u or (symbol < 0 and crossed <= end)):
            symbol, u = -1, crossed
        else:
            pool = -1
        q, reached, price = next_order(w, st, road, t, leg, now)
        if q >= 0 and (reached < u or (symbol < 0 and pool < 0)):
            now = reached
            move_to(w, st, road, leg, start, end, now)
            execute(w, r, c, st, q, t, walking, price, now == 0.0)
            continue
        if symbol < 0 and pool < 0:
            return
        now = u
        move_to(w, st, road, leg, start, end, u)
        if pool >= 0:
            liquidate(w, r, c, st, pool, 1)
        else:
            settle_inside(w, r, c, st, symbol, road.stamp[symbol], t)
            road.stamp[symbol] += 1


@compiled
def walk(w: World, r: Rules, c: Cell, st: State, road: Road, t: int, walking: int) -> None:
    """Walk the whole bar; orders for the close come last."""
    for leg in range(3):
        stretch(w, r, c, st, road, leg, t, walking)
    move_to(w, st, road, 2, 2.0 * (1.0 / 3.0), 1.0, 1.0)
    q, closing = 0, False
    while q < st.counts[ORDERS]:
        s, count = int(st.queue[q, SYMBOL]), st.counts[ORDERS]
        if road.walked[s] and stance(w, st.queue[q], t) == TO_CLOSE:
            execute(w, r, c, st, q, t, walking, w.prices[P_CLOSE, s, t], False)
            closing = True
        q = q + 1 if st.counts[ORDERS] == count else 0
    if closing:
        judge_pools(w, r, c, st)


@compiled
def lay(w: World, road: Road, s: int, t: int, low_first: bool) -> None:
    """Lay the path of one symbol's bar."""
    road.nodes[0, s], road.nodes[3, s] = w.prices[P_MARK_OPEN, s, t], w.prices[P_MARK_CLOSE, s, t]
    road.nodes[1, s] = w.prices[P_MARK_LOW, s, t] if low_first else w.prices[P_MARK_HIGH, s, t]
    road.nodes[2, s] = w.prices[P_MARK_HIGH, s, t] if low_first else w.prices[P_MARK_LOW, s, t]
    road.nodes[4, s] = 1.0 if low_first else 0.0


@compiled
def net_long(w: World, r: Rules, st: State, road: Road, t: int) -> bool:
    """Whether all lows together hurt the walked symbols more than all highs together."""
    loss, won = 0.0, 0.0
    for s in range(len(st.held)):
        if road.walked[s]:
            size, mult, first = st.held[s, SIZE], r.sym[s, MULTIPLIER], w.prices[P_MARK_OPEN, s, t]
            loss += gain(r.sym[s, INVERSE], size, mult, first, w.prices[P_MARK_LOW, s, t])
            won += gain(r.sym[s, INVERSE], size, mult, first, w.prices[P_MARK_HIGH, s, t])
    return loss <= won


@compiled
def score(
    w: World, r: Rules, c: Cell, st: State, twin: State, road: Road, t: int
) -> tuple[int, float]:
    """How a path ends on a copy of the account: liquidations (below zero), then equity at the close."""
    copy_state(st, twin)
    for k in range(st.counts[ORDERS]):
        for column in range(QUEUE_COLUMNS):
            twin.queue[k, column] = st.queue[k, column]
        shown = road.walked[int(st.queue[k, SYMBOL])] and stance(w, st.queue[k], t) != NOT_YET
        twin.queue[k, HIDDEN] = 0.0 if shown else 1.0
    twin.counts[WALKING] = 1
    copy = Road(road.walked, road.nodes, st.marks[M_TRIAL])
    for s in range(len(st.held)):
        copy.stamp[s] = road.stamp[s]
    walk(w, r, c, twin, copy, t, 2)
    for s in range(len(st.held)):
        if road.walked[s]:
            move_mark(twin, s, w.prices[P_MARK_CLOSE, s, t])
    return -twin.counts[LIQUIDATIONS], equity_of(r, c, twin)


@compiled
def choose_path(w: World, r: Rules, c: Cell, st: State, twin: State, group: Road, t: int) -> bool:
    """Whether the lows of a pool's symbols come first, under the adverse or the favourable policy."""
    harmful = net_long(w, r, st, group, t)
    adverse = c.path == ADVERSE
    first = harmful if adverse else not harmful
    lay_all(w, group, t, first)
    lost, equity = score(w, r, c, st, twin, group, t)
    lay_all(w, group, t, not first)
    other_lost, other = score(w, r, c, st, twin, group, t)
    if other_lost == lost:
        if abs(other - equity) <= 1e-9 * max(1.0, abs(equity)):
            return first
        better = other < equity if adverse else other > equity
    else:
        better = other_lost < lost if adverse else other_lost > lost
    return not first if better else first


@compiled
def lay_all(w: World, group: Road, t: int, low_first: bool) -> None:
    """Lay the same path for every symbol of a group."""
    for s in range(len(w.step)):
        if group.walked[s]:
            lay(w, group, s, t, low_first)


@compiled
def choose_roads(w: World, r: Rules, c: Cell, st: State, twin: State, road: Road, t: int) -> None:
    """Lay the road of every walked symbol under the named policy, decided pool by pool."""
    symbols = len(st.held)
    if c.path == NEAREST:
        for s in range(symbols):
            if road.walked[s]:
                at = w.prices[P_MARK_OPEN, s, t]
                lay(
                    w,
                    road,
                    s,
                    t,
                    at - w.prices[P_MARK_LOW, s, t] <= w.prices[P_MARK_HIGH, s, t] - at,
                )
        return
    for pool in range(symbols + 1):
        group = Road(st.marks[M_GROUP], st.numbers[N_GROUPS : N_GROUPS + 5], road.stamp)
        group.walked[:] = 0
        count = 0
        for s in range(symbols):
            if road.walked[s] and in_pool(r, s, pool):
                group.walked[s] = 1
                count += 1
        if count:
            low_first = choose_path(w, r, c, st, twin, group, t)
            for s in range(symbols):
                if group.walked[s]:
                    lay(w, road, s, t, low_first)
