"""Liquidation in the kernel: the policies of :mod:`bt_margin.venues.policies`, sale and takeover."""

from __future__ import annotations

import math
from typing import NamedTuple

from bt_margin.core.position import Change
from bt_margin.studies.replay.account import (
    asked_of,
    changed,
    enough,
    exposure,
    gain,
    gain_of,
    note,
    notional,
    pool_count,
    pool_equity,
    pool_need,
    tier_at,
    value_of,
    worth,
)
from bt_margin.studies.replay.booking import balance_of, commit
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ASKED,
    BAR,
    BORNE,
    BREACH,
    CANCELED,
    CAPS,
    CUTS,
    E_ALLOWED,
    E_FOUND,
    E_ORDER,
    E_SIZE,
    ENTRY,
    FEE_ROW,
    FULL_CLOSE,
    HIDDEN,
    INVERSE,
    ISOLATED,
    JUST_ENOUGH,
    KIND,
    LIQUIDATION_SLIP,
    LOT_OVER,
    LOT_UNDER,
    M_CLOSE,
    M_CLOSED,
    M_OPENED,
    MARK,
    MULTIPLIER,
    N_PRICES,
    NOTHING,
    OPEN,
    ORDERS,
    RANK,
    RATES,
    REF,
    SEIZED,
    SIZE,
    SLICES,
    SLIPPED,
    SMALLEST,
    STEP_DOWN,
    STRICT,
    SYMBOL,
    TABLE,
    TAKEOVER,
    TARGET,
    TO_FUND,
    WALKING,
    WITHDRAWN,
    Cell,
    Floats,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.resting import drop, end

MOST_ROUNDS = 10_000


class Chosen(NamedTuple):
    """The next closing: a symbol (−1: all of the pool, whole), the fraction, and whether it is a takeover."""

    symbol: int
    fraction: float
    takeover: int


class Breach(NamedTuple):
    """Equity and requirement of a pool when its liquidation began."""

    equity: float
    need: float


@compiled
def breached(r: Rules, c: Cell, st: State, pool: int) -> bool:
    """Whether a pool has positions and its equity no longer carries the maintenance margin."""
    if pool_count(r, st, pool) == 0:
        return False
    equity, need = pool_equity(r, c, st, pool), pool_need(r, c, st, pool)
    return equity < need if r.flags[STRICT] else equity <= need


@compiled
def in_pool(r: Rules, s: int, pool: int) -> bool:
    """Whether a symbol trades in a pool."""
    return pool == (s + 1 if r.sym[s, ISOLATED] else 0)


@compiled
def slipped(c: Cell, st: State, s: int) -> float:
    """The mark, worse by the slippage for the side that closes."""
    lost, mark = c.slip[LIQUIDATION_SLIP], st.held[s, MARK]
    return float(mark * (1.0 - lost) if st.held[s, SIZE] > 0.0 else mark * (1.0 + lost))


@compiled
def cost_of(r: Rules, c: Cell, st: State, s: int) -> float:
    """What selling a unit of notional takes out of the pool: slippage, and the fee on the sale."""
    price, inverse, mult = slipped(c, st, s), r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    fee = exposure(inverse, st.held[s, SIZE], mult, price)
    fee *= r.fees[2, st.counts[FEE_ROW], s]
    lost = gain(inverse, st.held[s, SIZE], mult, st.held[s, MARK], price)
    return float((fee - lost) / value_of(r, st, s))


@compiled
def next_loser(r: Rules, c: Cell, st: State, pool: int, after: int) -> int:
    """The position with the largest unrealised loss after another in that order; −1 when there is none."""
    best = -1
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not in_pool(r, s, pool) or (after >= 0 and not worse(r, st, after, s)):
            continue
        if best < 0 or worse(r, st, s, best):
            best = s
    return best


@compiled
def worse(r: Rules, st: State, one: int, other: int) -> bool:
    """Whether one position loses more than another; of equal losers the first by name."""
    a, b = gain_of(r, st, one), gain_of(r, st, other)
    return a < b or (a == b and r.sym[one, RANK] < r.sym[other, RANK])


@compiled
def tier_floor(r: Rules, st: State, s: int, value: float) -> float:
    """Where the tier of a notional begins."""
    k = int(st.held[s, TABLE])
    first = r.tables[0, k]
    place = tier_at(r.tiers[CAPS], first, r.tables[0, k + 1], value)
    return r.tiers[CAPS, place - 1] if place > first else 0.0


@compiled
def choose(r: Rules, c: Cell, st: State, pool: int) -> Chosen:
    """The next closing of a pool in breach, by the venue's policy."""
    kind, takeover = int(r.policy[KIND]), int(r.policy[TAKEOVER])
    whole = Chosen(-1, 1.0, takeover)
    if kind == FULL_CLOSE:
        return whole
    if kind == JUST_ENOUGH:
        return just_enough(r, c, st, pool)
    worst = next_loser(r, c, st, pool, -1)
    if kind == STEP_DOWN:
        value = notional(
            r.sym[worst, INVERSE],
            st.held[worst, SIZE],
            r.sym[worst, MULTIPLIER],
            st.held[worst, MARK],
        )
        floor = tier_floor(r, st, worst, value)
        if floor > 0.0 and pool_equity(r, c, st, pool) > 0.0:
            return Chosen(worst, 1.0 - floor / value, 0)
    elif kind == SLICES:
        left = 1.0 / r.policy[TARGET] - st.marks[M_CLOSED, worst]
        rest = quote_value(r, st, worst) * (1.0 - 1.0 / left) if left > 1.0 else 0.0
        if rest > r.policy[SMALLEST] and pool_equity(r, c, st, pool) > 0.0:
            return Chosen(worst, 1.0 / left, 0)
    if pool_count(r, st, pool) == 1:
        return whole
    return Chosen(worst, 1.0, 0)


@compiled
def quote_value(r: Rules, st: State, s: int) -> float:
    """Unsigned value of a position in quote currency."""
    if r.sym[s, INVERSE]:
        return float(abs(st.held[s, SIZE]) * r.sym[s, MULTIPLIER])
    return notional(0.0, st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK])


@compiled
def just_enough(r: Rules, c: Cell, st: State, pool: int) -> Chosen:
    """The first step of the shortest sequence of sales that restores the target, or everything."""
    target, count = r.policy[TARGET], pool_count(r, st, pool)
    equity, need = pool_equity(r, c, st, pool), pool_need(r, c, st, pool)
    first, s = -1, -1
    for place in range(1, count + 1):
        s = next_loser(r, c, st, pool, s)
        value = notional(
            r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK]
        )
        own, cost = asked_of(r, st, s, value), cost_of(r, c, st, s)
        if tier_floor(r, st, s, value) > 0.0:
            k = int(st.held[s, TABLE])
            x = enough(
                r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS], r.tables[0, k], r.tables[0, k + 1],
                (equity, need - own), value, cost, target,
            )  # fmt: skip
            if x >= 0.0:
                return Chosen(s, x, 0) if first < 0 else Chosen(first, 1.0, 0)
        if first < 0:
            first = s
        equity -= value * cost
        need -= own
        if place < count and equity > 0.0 and need <= target * equity:
            return Chosen(first, 1.0, 0)
    return Chosen(-1, 1.0, int(r.policy[TAKEOVER]))


@compiled
def rounded(r: Rules, st: State, s: int, fraction: float) -> float:
    """Signed part of a position: at least the fraction, on the lot step, never more than the whole."""
    size = st.held[s, SIZE]
    part = abs(size) * fraction
    if r.sym[s, LOT_OVER] != 0.0 and fraction < 1.0:
        lot = r.sym[s, LOT_OVER] / r.sym[s, LOT_UNDER]
        part = math.ceil(part / lot - 1e-9) * lot
    if fraction >= 1.0 or part >= abs(size):
        return float(size)
    return float(part if size > 0.0 else -part)


@compiled
def moved(r: Rules, st: State, s: int, loss: float) -> float:
    """The price at which a position has lost ``loss`` more than at its mark."""
    inverse, units = r.sym[s, INVERSE], st.held[s, SIZE] * r.sym[s, MULTIPLIER]
    at = (worth(inverse, st.held[s, MARK]) * units - loss) / units
    return float(-1.0 / at if inverse else at)


@compiled
def takeover_prices(r: Rules, c: Cell, st: State, pool: int, prices: Floats) -> None:
    """Bankruptcy prices of the positions of a pool, or their marks when it is already beyond."""
    equity, total = pool_equity(r, c, st, pool), 0.0
    for k in range(st.counts[OPEN]):
        if in_pool(r, st.marks[M_OPENED, k], pool):
            total += asked_of(r, st, st.marks[M_OPENED, k], value_of(r, st, st.marks[M_OPENED, k]))
    by_need = total > 0.0
    if not by_need:
        for k in range(st.counts[OPEN]):
            if in_pool(r, st.marks[M_OPENED, k], pool):
                total += value_of(r, st, st.marks[M_OPENED, k])
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if in_pool(r, s, pool):
            value = value_of(r, st, s)
            weight = asked_of(r, st, s, value) if by_need else value
            prices[s] = (
                st.held[s, MARK] if equity <= 0.0 else moved(r, st, s, equity * weight / total)
            )


@compiled
def close_one(
    w: World, r: Rules, c: Cell, st: State, pool: int, chosen: Chosen, price: float, breach: Breach
) -> None:
    """Close a part of a position: at its takeover price, or by a sale that pays the fee."""
    s = chosen.symbol
    size, inverse, mult = (
        -rounded(r, st, s, chosen.fraction),
        r.sym[s, INVERSE],
        r.sym[s, MULTIPLIER],
    )
    mark, entry = st.held[s, MARK], st.held[s, ENTRY]
    change = changed(inverse, mult, st.held[s, SIZE], entry, size, price)
    last = change.size == 0.0 and pool_count(r, st, pool) == 1
    realised, fee = change.realised, 0.0
    if chosen.takeover:
        beyond = size * mult * (worth(inverse, mark) - worth(inverse, price))
        st.money[SEIZED if beyond < 0.0 else BORNE] += beyond
        if last and abs(balance_of(st, pool) + realised) <= 1e-9 * abs(realised):
            realised = -balance_of(st, pool)
    else:
        rate = r.fees[2, st.counts[FEE_ROW], s]
        fee = notional(inverse, size, mult, price) * rate
        left = pool_equity(r, c, st, pool)
        left += -size * mult * (worth(inverse, price) - worth(inverse, mark))
        if last:
            left = balance_of(st, pool) + realised
        keeps = last and r.policy[TO_FUND] != 0.0
        fee = max(0.0, left if keeps else min(fee, left))
        st.money[SLIPPED] += size * mult * (worth(inverse, mark) - worth(inverse, price))
    change = Change(change.size, change.entry, 0.0, change.closed, realised)
    row = commit(w, r, c, st, s, change, (fee, 0.0), (0.0, 0.0), price, NOTHING, 1)
    if row >= 0:
        st.events[row, E_FOUND], st.events[row, E_ALLOWED] = breach.need, breach.equity


@compiled
def cancel_orders(w: World, r: Rules, c: Cell, st: State, pool: int) -> None:
    """Cancel every open order of a pool; those that end with one of them go unmentioned."""
    q = 0
    while q < st.counts[ORDERS]:
        order = st.queue[q]
        s = int(order[SYMBOL])
        if not in_pool(r, s, pool) or order[HIDDEN]:
            q += 1
            continue
        if st.counts[WALKING]:  # a trial of a walk, which knows only its own orders
            drop(st, q)
            continue
        at = s + 1 if r.sym[s, ISOLATED] else 0
        row = note(w, r, c, st, CANCELED, s, at if st.held[s, SIZE] != 0.0 else -1)
        if row >= 0:
            st.events[row, E_SIZE], st.events[row, E_ORDER] = order[ASKED], order[REF]
        end(st, q, WITHDRAWN, st.counts[BAR])
        q = 0


@compiled
def liquidate(w: World, r: Rules, c: Cell, st: State, pool: int, crossed: int) -> None:
    """Bring a pool in breach back to health or to nothing."""
    breach = Breach(pool_equity(r, c, st, pool), pool_need(r, c, st, pool))
    row = note(w, r, c, st, BREACH, -1, pool)
    if row >= 0:
        st.events[row, E_FOUND], st.events[row, E_ALLOWED] = breach.need, breach.equity
    cancel_orders(w, r, c, st, pool)
    st.marks[M_CLOSED, :] = 0
    prices, none_yet = st.numbers[N_PRICES], True
    for _ in range(MOST_ROUNDS):
        if not breached(r, c, st, pool) and not (crossed and none_yet and pool_count(r, st, pool)):
            return
        none_yet = False
        chosen = choose(r, c, st, pool)
        if chosen.symbol >= 0:
            st.marks[M_CLOSED, chosen.symbol] += 1
            close_one(w, r, c, st, pool, chosen, slipped(c, st, chosen.symbol), breach)
            continue
        if chosen.takeover:
            takeover_prices(r, c, st, pool, prices)
        close_all(w, r, c, st, pool, chosen.takeover, prices, breach)


@compiled
def close_all(
    w: World, r: Rules, c: Cell, st: State, pool: int, takeover: int, prices: Floats, breach: Breach
) -> None:
    """Close every position of a pool, in the order they were opened."""
    symbols, total = st.marks[M_CLOSE], st.counts[OPEN]
    for k in range(total):
        symbols[k] = st.marks[M_OPENED, k]
    for k in range(total):
        s = symbols[k]
        if in_pool(r, s, pool):
            st.marks[M_CLOSED, s] += 1
            price = prices[s] if takeover else slipped(c, st, s)
            close_one(w, r, c, st, pool, Chosen(s, 1.0, takeover), price, breach)
