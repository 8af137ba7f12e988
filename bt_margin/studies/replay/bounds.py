"""Which pools could breach within a bar of the kernel (:mod:`bt_margin.engine.bound`)."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.studies.replay.account import (
    asked_of,
    exposure,
    gain,
    initial_of,
    kind_of,
    maintenance_bound,
    needed,
    notional,
    required,
    requirement,
    taker_rate,
    worth,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ACTIVE,
    ALIVE,
    ASKED,
    AT_CLOSE,
    AT_MARK,
    AT_MARKET,
    CAPS,
    CASH,
    CLOSE,
    CUTS,
    ENTRY,
    FIXED,
    HIGH,
    INVERSE,
    ISOLATED,
    LEVERAGE,
    LOW,
    M_OPENED,
    MULTIPLIER,
    N_COUNT,
    N_EQUITY,
    N_FEE,
    N_HIGH,
    N_LOW,
    N_NEED,
    N_SIZE,
    N_WALK,
    NOTED,
    OPEN,
    ORDERS,
    P_HIGH,
    P_LOW,
    P_MARK_HIGH,
    P_MARK_LOW,
    POSTED,
    RATES,
    S_EARLY,
    S_MARK,
    S_RATE,
    SHARE,
    SIZE,
    SYMBOL,
    TABLE,
    TYPE,
    Cell,
    Floats,
    Ints,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.reserving import unreserved
from bt_margin.studies.replay.resting import reaches


class Pending(NamedTuple):
    """What the orders of each symbol could do within the bar: sizes, prices, fees, their number.

    ``walk`` whether it is walked, ``orders`` how many in all, ``inside`` whether one may fill after the open.
    """

    size: Floats
    high: Floats
    low: Floats
    fee: Floats
    walk: Floats
    many: Floats
    orders: int
    inside: bool


@compiled
def first_inner(w: World, s: int, t: int) -> int:
    """The first settlement inside a symbol's bar (or the first of a later one)."""
    stamp = w.places[1, s, t]
    while stamp < w.places[1, s, t + 1] and w.stamps[S_EARLY, stamp]:
        stamp += 1
    return int(stamp)


@compiled
def pending(w: World, r: Rules, c: Cell, st: State, t: int) -> Pending:
    """What the orders of each symbol could do within this bar."""
    n = st.numbers
    sizes, highs, lows, fees, walk = n[N_SIZE], n[N_HIGH], n[N_LOW], n[N_FEE], n[N_WALK]
    counts = n[N_COUNT]
    sizes[:] = fees[:] = walk[:] = counts[:] = 0.0
    count, inside = 0, False
    for q in range(st.counts[ORDERS]):
        order = st.queue[q]
        s, kind = int(order[SYMBOL]), order[TYPE]
        reached = reaches(w, order, t) if w.places[0, s, t] and order[ACTIVE] <= t else 0
        if not reached:
            continue
        count += 1
        counts[s] += 1.0
        inside = inside or kind != AT_MARKET
        size, high, low = abs(order[ASKED]), w.prices[P_HIGH, s, t], w.prices[P_LOW, s, t]
        if kind in (AT_MARKET, AT_CLOSE):  # which may fill at an old price
            high, low = max(high, order[CLOSE]), min(low, order[CLOSE])
            if order[NOTED] != 0.0:
                high, low = max(high, order[NOTED]), min(low, order[NOTED])
        share, fixed = c.slip[SHARE], c.slip[FIXED]
        if reached == 2:
            walk[s] = 1.0
        elif share != 0.0 or fixed != 0.0:
            high, low = high * (1.0 + share) + fixed, low * (1.0 - share) - fixed
        fee = abs(
            notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], high) * taker_rate(r, st, s)
        )
        if sizes[s] == 0.0:
            highs[s], lows[s] = high, low
        highs[s], lows[s] = max(high, highs[s]), min(low, lows[s])
        sizes[s] += size
        fees[s] += fee
    return Pending(sizes, highs, lows, fees, walk, counts, count, inside)


@compiled
def bound_of(r: Rules, st: State, s: int, low: float, high: float) -> float:
    """What equity at notional ``low`` must exceed so that no notional up to ``high`` is in breach."""
    caps, rates, cuts = r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS]
    stepped, (first, last, more, amount) = (
        r.tables[1, int(st.held[s, TABLE])],
        required(r, st, s),
    )
    return maintenance_bound(caps, rates, cuts, first, last, stepped, low, high, more, amount)


@compiled
def worst(r: Rules, c: Cell, st: State, equity: Floats, need: Floats) -> None:
    """Equity and requirement of every pool with every mark at its worst for it at once."""
    equity[0] = st.money[CASH]
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        h, inverse, mult = st.held, r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
        pool = s + 1 if r.sym[s, ISOLATED] else 0
        if pool:
            equity[pool] = h[s, POSTED]
        corner = h[s, LOW] if h[s, SIZE] > 0.0 else h[s, HIGH]
        other = h[s, HIGH] if h[s, SIZE] > 0.0 else h[s, LOW]
        equity[pool] += gain(inverse, h[s, SIZE], mult, h[s, ENTRY], corner)
        low = exposure(inverse, h[s, SIZE], mult, corner)
        need[pool] += bound_of(r, st, s, low, exposure(inverse, h[s, SIZE], mult, other))


@compiled
def most_asked(
    r: Rules, st: State, s: int, more: float, low: float, high: float
) -> tuple[float, float]:
    """Largest requirement of any position up to ``more`` larger than this one, and its initial margin."""
    need, initial, held = 0.0, 0.0, st.held[s, SIZE]
    size, balance = abs(held) + more, st.held[s, POSTED] if st.held[s, ALIVE] else 0.0
    inverse, mult, leverage = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], st.held[s, LEVERAGE]
    for sign in (1.0, -1.0):
        for entry in (low, high, st.held[s, ENTRY] if held != 0.0 else high):
            asked = requirement(r, st, s, sign * size, entry, balance)
            for price in (low, high):
                need = max(need, needed(r, asked, notional(inverse, size, mult, price)))
                initial = max(initial, initial_of(r, st, s, sign * size, price, entry, leverage))
    return need, initial


@compiled
def reach(
    w: World, r: Rules, st: State, s: int, t: int, size: float, high: float, low: float
) -> tuple[float, float, float, float]:
    """Most orders of a size can lose in the bar, most they can demand, most and least they can post."""
    high = max(high, max(w.prices[P_HIGH, s, t], w.prices[P_MARK_HIGH, s, t]))
    low = min(low, min(w.prices[P_LOW, s, t], w.prices[P_MARK_LOW, s, t]))
    inverse, mult, leverage = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], st.held[s, LEVERAGE]
    drift = size * mult * (worth(inverse, high) - worth(inverse, low))
    one, other = notional(inverse, size, mult, high), notional(inverse, size, mult, low)
    if kind_of(r, st, s) != AT_MARK:
        need, posted = most_asked(r, st, s, size, low, high)
        return drift, need, posted, min(one, other) / leverage
    held = max(
        exposure(inverse, st.held[s, SIZE], mult, high),
        exposure(inverse, st.held[s, SIZE], mult, low),
    )
    need = asked_of(r, st, s, held + max(one, other))
    return drift, need, max(one, other) / leverage, min(one, other) / leverage


@compiled
def add_orders(
    w: World, r: Rules, c: Cell, st: State, t: int, orders: Pending, equity: Floats, need: Floats,
    risky: Ints,
) -> None:  # fmt: skip
    """Count what pending orders could add to the bounds; pools that a reversal leaves too thin are risky.

    So are those whose orders could want the same margin, where their order in time decides.
    """
    wanted = 0.0
    for s in range(len(st.held)):
        size = orders.size[s]
        if size == 0.0:
            continue
        drift, more, posted, least = reach(w, r, st, s, t, size, orders.high[s], orders.low[s])
        pool, held = s + 1 if r.sym[s, ISOLATED] else 0, abs(st.held[s, SIZE])
        if pool:
            if held > 0.0 and size > held:
                new = size - held
                lost, asks, most, own = reach(w, r, st, s, t, new, orders.high[s], orders.low[s])
                if kind_of(r, st, s) == AT_MARK:
                    asks = asked_of(r, st, s, most * st.held[s, LEVERAGE])
                if not own - lost - orders.fee[s] > asks:
                    risky[pool] = 1
            equity[0] -= posted + orders.fee[s]
            if not st.held[s, ALIVE]:
                equity[pool] = least
        equity[pool] -= drift + orders.fee[s]
        need[pool] += more
        wanted += posted + drift + orders.fee[s]
        apart = orders.many[s] > 1.0 and pool and kind_of(r, st, s) != AT_MARK
        if stamps_inside(w, s, t) or orders.walk[s] != 0.0 or apart:
            risky[pool] = 1
    if orders.orders > 1 and orders.inside and wanted > unreserved(r, c, st):
        for s in range(len(st.held)):
            if orders.size[s] != 0.0:
                risky[s + 1 if r.sym[s, ISOLATED] else 0] = 1


@compiled
def stamps_inside(w: World, s: int, t: int) -> bool:
    """Whether funding is settled inside a symbol's bar."""
    return bool(first_inner(w, s, t) < w.places[1, s, t + 1])


@compiled
def inner_cost(w: World, r: Rules, st: State, s: int, t: int) -> float:
    """Most the settlements inside the bar can take from a position."""
    inverse, mult, size = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], st.held[s, SIZE]
    value = max(
        exposure(inverse, size, mult, w.prices[P_MARK_HIGH, s, t]),
        exposure(inverse, size, mult, w.prices[P_MARK_LOW, s, t]),
    )
    cost = 0.0
    for stamp in range(first_inner(w, s, t), w.places[1, s, t + 1]):
        at, own = value, w.stamps[S_MARK, stamp]
        if own == own:
            at = max(value, exposure(inverse, size, mult, own))
        cost += abs(w.stamps[S_RATE, stamp]) * at
    return cost


@compiled
def risky_pools(w: World, r: Rules, c: Cell, st: State, t: int, reading: Ints, risky: Ints) -> bool:
    """Mark the pools that must be walked through this bar; whether there is one."""
    symbols, any_risky = len(st.held), False
    equity, need = st.numbers[N_EQUITY], st.numbers[N_NEED]
    equity[:] = 0.0
    need[:] = 0.0
    worst(r, c, st, equity, need)
    orders = pending(w, r, c, st, t)
    add_orders(w, r, c, st, t, orders, equity, need, risky)
    for s in range(symbols):
        if reading[s] and st.held[s, ALIVE] and stamps_inside(w, s, t):
            equity[s + 1 if r.sym[s, ISOLATED] else 0] -= inner_cost(w, r, st, s, t)
    for s in range(symbols):
        if st.held[s, ALIVE] or orders.size[s] != 0.0:
            pool = s + 1 if r.sym[s, ISOLATED] else 0
            if equity[pool] <= need[pool]:
                risky[pool] = 1
            any_risky = any_risky or risky[pool] != 0
    return any_risky
