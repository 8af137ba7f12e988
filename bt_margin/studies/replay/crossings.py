"""Where the equity of a pool meets its requirement on a straight leg (:mod:`bt_margin.core.path`)."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.studies.replay.account import (
    asked_of,
    gain_of,
    in_pool,
    move_mark,
    notional,
    pool_count,
    pool_need,
    required,
    tier_at,
    value_of,
    worth,
)
from bt_margin.studies.replay.booking import balance_of
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    CAPS,
    CUTS,
    ENTRY,
    INVERSE,
    ISOLATED,
    M_MOVING,
    M_OPENED,
    MARK,
    MULTIPLIER,
    N_ENDS,
    NEVER,
    OPEN,
    RATES,
    SIZE,
    STRICT,
    Cell,
    Floats,
    Ints,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.liquidation import breached


class Road(NamedTuple):
    """The walked symbols of a bar: which, where each one's mark stands at the four nodes, its next stamp."""

    walked: Ints
    nodes: Floats
    stamp: Ints


@compiled
def own_health(r: Rules, st: State, s: int, price: float) -> float:
    """Unrealised profit minus maintenance of one position at a price."""
    inverse, mult, size = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], st.held[s, SIZE]
    needed = asked_of(r, st, s, notional(inverse, size, mult, price))
    return float(size * mult * (worth(inverse, price) - worth(inverse, st.held[s, ENTRY])) - needed)


@compiled
def next_stop(r: Rules, st: State, moving: Ints, ends: Floats, after: float) -> float:
    """The first path time after another at which a moving position changes its tier, else 1."""
    best = 1.0
    for s in range(len(st.held)):
        if not moving[s]:
            continue
        unit, start = abs(st.held[s, SIZE]) * r.sym[s, MULTIPLIER], st.held[s, MARK]
        asked = required(r, st, s)
        for row in range(asked.first, asked.last - 1):
            edge = r.tiers[CAPS, row] / unit
            price = 1.0 / edge if r.sym[s, INVERSE] else edge
            at = (price - start) / (ends[s] - start)
            if after < at < best:
                best = at
    return best


@compiled
def solved(
    r: Rules, st: State, moving: Ints, ends: Floats, rest: float, lo: float, hi: float
) -> float:
    """The first path time from ``lo`` to ``hi``, between two stops, at which health is gone; else NEVER."""
    a, b, inverse, start, end = rest, 0.0, 0, 0.0, 0.0
    for at in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, at]
        if not moving[s]:
            continue
        start, end, inverse = st.held[s, MARK], ends[s], r.sym[s, INVERSE]
        middle = start + (end - start) * ((lo + hi) / 2.0)
        asked = required(r, st, s)
        value = notional(inverse, st.held[s, SIZE], r.sym[s, MULTIPLIER], middle)
        row = tier_at(r.tiers[CAPS], asked.first, asked.last, value)
        units = st.held[s, SIZE] * r.sym[s, MULTIPLIER]
        constant = -units * worth(inverse, st.held[s, ENTRY]) + (r.tiers[CUTS, row] - asked.amount)
        slope = (-units if inverse else units) - abs(units) * (r.tiers[RATES, row] + asked.more)
        if inverse:
            a += constant
            b += slope
        else:
            a += constant + slope * start
            b += slope * (end - start)
    if inverse:
        if a + b / (start + (end - start) * lo) <= 0.0:
            return lo
        if a + b / (start + (end - start) * hi) <= 0.0:
            return min(max((-b / a - start) / (end - start), lo), hi)
        return NEVER
    if a + b * lo <= 0.0:
        return lo
    if a + b * hi <= 0.0:
        return min(max(-a / b, lo), hi)
    return NEVER


@compiled
def crossing(
    r: Rules, c: Cell, st: State, pool: int, road: Road, leg: int, now: float, end: float
) -> float:
    """Path time from now to ``end`` at which a pool's equity meets its requirement; NEVER if it does not."""
    moving, ends = st.marks[M_MOVING], st.numbers[N_ENDS]
    moving[:] = 0
    need, unrealised, count = 0.0, 0.0, 0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not in_pool(r, s, pool):
            continue
        ends[s] = road.nodes[leg + 1, s] if road.walked[s] else st.held[s, MARK]
        if ends[s] == st.held[s, MARK]:
            need += asked_of(r, st, s, value_of(r, st, s))
            unrealised += gain_of(r, st, s)
        else:
            moving[s] = 1
            count += 1
    if count == 0:
        return now if breached(r, c, st, pool) else NEVER
    touched = 1e-12 * abs(pool_need(r, c, st, pool)) if r.flags[STRICT] else 0.0
    rest = balance_of(st, pool) + touched + unrealised - need
    health = 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if moving[s]:
            health += own_health(r, st, s, st.held[s, MARK])
    found = 0.0 if rest + health <= 0.0 else NEVER
    lo = 0.0
    while found == NEVER and lo < 1.0:
        hi = next_stop(r, st, moving, ends, lo)
        found = solved(r, st, moving, ends, rest, lo, hi)
        lo = hi
    return found if found == NEVER else now + (end - now) * found


@compiled
def move_to(w: World, st: State, road: Road, leg: int, start: float, end: float, u: float) -> None:
    """The marks of the walked symbols at a path time on a leg."""
    for s in range(len(st.held)):
        if not road.walked[s]:
            continue
        a, b = road.nodes[leg, s], road.nodes[leg + 1, s]
        if u <= start:
            move_mark(st, s, a)
        elif u >= end:
            move_mark(st, s, b)
        else:
            move_mark(st, s, a + (b - a) * ((u - start) / (end - start)))


@compiled
def first_crossing(
    r: Rules, c: Cell, st: State, road: Road, leg: int, now: float, end: float
) -> tuple[int, float]:
    """The pool that is first in breach on the stretch ahead and when; −1 and NEVER when none is."""
    pool, best = -1, NEVER
    if pool_count(r, st, 0):
        u = crossing(r, c, st, 0, road, leg, now, end)
        if u < best:
            pool, best = 0, u
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if r.sym[s, ISOLATED]:
            u = crossing(r, c, st, s + 1, road, leg, now, end)
            if u < best:
                pool, best = s + 1, u
    return pool, best
