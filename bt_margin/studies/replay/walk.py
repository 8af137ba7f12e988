"""The walk of the kernel: straight legs, crossings, and which extreme comes first.

The same rules as :mod:`bt_margin.engine.walk`, :mod:`bt_margin.engine.scout` and
:func:`bt_margin.core.path.first_breach`, for market orders, which fill at the open.
"""

from __future__ import annotations

from bt_margin.studies.replay.account import equity_of, gain, in_pool, move_mark
from bt_margin.studies.replay.booking import copy_state
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.crossings import Road, first_crossing, move_to
from bt_margin.studies.replay.layout import (
    ADVERSE,
    ASKED,
    ASKED_PRICE,
    AT_OPEN,
    FIXED,
    IMPOSSIBLE,
    INVERSE,
    ISOLATED,
    LIQUIDATIONS,
    M_GROUP,
    M_TRIAL,
    MARK,
    MULTIPLIER,
    N_GROUPS,
    NEAREST,
    ORDERS,
    OUTSIDE,
    P_HIGH,
    P_LOW,
    P_MARK_CLOSE,
    P_MARK_HIGH,
    P_MARK_LOW,
    P_MARK_OPEN,
    P_OPEN,
    QUEUE_COLUMNS,
    REDUCING,
    REF,
    SAME,
    SHARE,
    SIZE,
    STATUS,
    SYMBOL,
    Cell,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.liquidation import liquidate
from bt_margin.studies.replay.orders import drop, fill
from bt_margin.studies.replay.settling import path_time, settle_inside


@compiled
def fill_price(w: World, c: Cell, s: int, t: int, buys: bool) -> float:
    """What a market order pays: the open, worse by the slippage, held inside the bar."""
    price = w.prices[P_OPEN, s, t]
    if not c.slip[AT_OPEN] or (c.slip[SHARE] == 0.0 and c.slip[FIXED] == 0.0):
        return float(price)
    if buys:
        worse = price * (1.0 + c.slip[SHARE]) if c.slip[SHARE] else price + c.slip[FIXED]
        bound = w.prices[P_HIGH, s, t]
        return float(worse if worse <= bound or c.slip[OUTSIDE] else bound)
    worse = price * (1.0 - c.slip[SHARE]) if c.slip[SHARE] else price - c.slip[FIXED]
    bound = w.prices[P_LOW, s, t]
    return float(worse if worse >= bound or c.slip[OUTSIDE] else bound)


@compiled
def trimmed(held: float, size: float) -> float:
    """A reduce-only size: against the position and never more than it."""
    if held * size >= 0.0:
        return 0.0
    return size if abs(size) <= abs(held) else -held


@compiled
def execute(w: World, r: Rules, c: Cell, st: State, q: int, t: int, walking: int) -> None:
    """Fill a market order at the open of its bar and take it out of the queue.

    ``walking``: 0 in the fast lane, where slippage moves the mark along; 1 in a walk; 2 in a trial of one,
    which knows no slippage.
    """
    s, size, ref = int(st.queue[q, SYMBOL]), st.queue[q, ASKED], st.queue[q, REF]
    held, price = st.held[s, SIZE], w.prices[P_OPEN, s, t]
    if st.queue[q, REDUCING]:
        size = trimmed(held, size)
    if walking < 2:
        price = fill_price(w, c, s, t, size > 0.0)
        if held != 0.0 and abs(size + held) <= SAME * max(abs(held), abs(size)):
            size = -held
    if not price > 0.0:
        st.counts[STATUS] = IMPOSSIBLE
        size = 0.0
    if size != 0.0:
        if walking == 0 and price != w.prices[P_OPEN, s, t] and w.prices[P_MARK_HIGH, s, t] > 0.0:
            st.held[s, MARK] = min(
                max(price, w.prices[P_MARK_LOW, s, t]), w.prices[P_MARK_HIGH, s, t]
            )
        st.money[ASKED_PRICE] = w.prices[P_OPEN, s, t]
        fill(w, r, c, st, s, size, price, ref)
    for k in range(st.counts[ORDERS]):
        if st.queue[k, REF] == ref:
            drop(st, k)
            break


@compiled
def next_order(st: State, road: Road) -> int:
    """The first order of a walked symbol, −1 when there is none."""
    for q in range(st.counts[ORDERS]):
        if road.walked[int(st.queue[q, SYMBOL])]:
            return q
    return -1


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
    start, end = leg / 3.0 if leg < 2 else 2.0 * (1.0 / 3.0), 1.0
    if leg < 2:
        end = 1.0 / 3.0 if leg == 0 else 2.0 * (1.0 / 3.0)
    now = start
    move_to(w, st, road, leg, start, end, start)
    while True:
        symbol, u = next_stamp(w, r, c, road, t, now, end)
        pool, crossed = first_crossing(r, c, st, road, leg, now, end)
        if pool >= 0 and (crossed < u or (symbol < 0 and crossed <= end)):
            symbol, u = -1, crossed
        else:
            pool = -1
        q = next_order(st, road)
        if q >= 0 and (now < u or (symbol < 0 and pool < 0)):
            execute(w, r, c, st, q, t, walking)
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
    """Walk the whole bar."""
    for leg in range(3):
        stretch(w, r, c, st, road, leg, t, walking)
    move_to(w, st, road, 2, 2.0 * (1.0 / 3.0), 1.0, 1.0)


@compiled
def lay(w: World, road: Road, s: int, t: int, low_first: bool) -> None:
    """Lay the path of one symbol's bar."""
    road.nodes[0, s], road.nodes[3, s] = w.prices[P_MARK_OPEN, s, t], w.prices[P_MARK_CLOSE, s, t]
    road.nodes[1, s] = w.prices[P_MARK_LOW, s, t] if low_first else w.prices[P_MARK_HIGH, s, t]
    road.nodes[2, s] = w.prices[P_MARK_HIGH, s, t] if low_first else w.prices[P_MARK_LOW, s, t]


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
        group = Road(st.marks[M_GROUP], st.numbers[N_GROUPS : N_GROUPS + 4], road.stamp)
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
