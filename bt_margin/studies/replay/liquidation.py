"""Liquidation in the kernel: what a policy chooses is sold or taken over, until the pool is healthy."""

from __future__ import annotations

import math
from typing import NamedTuple

from bt_margin.core.position import Change
from bt_margin.studies.replay.account import (
    asked_of,
    changed,
    in_pool,
    note,
    notional,
    pool_count,
    pool_equity,
    pool_need,
    value_of,
    worth,
)
from bt_margin.studies.replay.blocks import next_block
from bt_margin.studies.replay.booking import balance_of, commit
from bt_margin.studies.replay.choosing import choose, slipped
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ALIVE,
    ASKED,
    BAR,
    BLOCKWISE,
    BORNE,
    BREACH,
    CANCELED,
    CUT_BAR,
    E_ALLOWED,
    E_FOUND,
    E_ORDER,
    E_SIZE,
    ENTRY,
    FEE_ROW,
    HIDDEN,
    INVERSE,
    ISOLATED,
    KIND,
    LOT_OVER,
    LOT_UNDER,
    M_CLOSE,
    M_CLOSED,
    M_OPENED,
    M_ORDER,
    M_TAKEN,
    MARK,
    MULTIPLIER,
    N_PART,
    N_PRICES,
    N_RATE,
    NOTHING,
    OPEN,
    ORDERS,
    POLICY_ROW,
    REF,
    SEIZED,
    SIZE,
    SLIPPED,
    STRICT,
    SYMBOL,
    TO_FUND,
    WALKING,
    WITHDRAWN,
    Cell,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.resting import drop, end

MOST_ROUNDS = 10_000


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
def rounded(r: Rules, st: State, s: int, fraction: float) -> float:
    """Signed part of a position: at least the fraction, on the lot step, never more than the whole."""
    size = st.held[s, SIZE]
    part = abs(size) * fraction
    if r.sym[s, LOT_OVER] != 0.0 and fraction < 1.0:
        lot = r.sym[s, LOT_OVER] / r.sym[s, LOT_UNDER]
        part = max(1, math.ceil(part / lot - 1e-9)) * lot
    if fraction >= 1.0 or part >= abs(size):
        return float(size)
    return float(part if size > 0.0 else -part)


@compiled
def moved(r: Rules, st: State, s: int, loss: float, fee: float) -> float:
    """The price at which a position has lost ``loss`` more than at its mark, the closing fee included.

    Where the fee alone exceeds the loss, or no price takes that much, that is the mark.
    """
    inverse, units, mark = (
        r.sym[s, INVERSE],
        st.held[s, SIZE] * r.sym[s, MULTIPLIER],
        st.held[s, MARK],
    )
    if fee != 0.0 and fee * value_of(r, st, s) >= loss:
        return float(mark)
    sign = -1.0 if inverse else 1.0
    at = (worth(inverse, mark) * units - loss) / (units - abs(units) * fee * sign)
    if not at * sign > 0.0:
        return float(mark)
    return float(-1.0 / at if inverse else at)


@compiled
def takeover_prices(r: Rules, c: Cell, st: State, pool: int, count: int) -> None:
    """Bankruptcy prices of what is taken over together, or the marks when the pool is already beyond."""
    equity, total, prices = pool_equity(r, c, st, pool), 0.0, st.numbers[N_PRICES]
    for k in range(count):
        if st.marks[M_TAKEN, k]:
            s = st.marks[M_CLOSE, k]
            total += asked_of(r, st, s, value_of(r, st, s))
    by_need = total > 0.0
    if not by_need:
        for k in range(count):
            if st.marks[M_TAKEN, k]:
                total += value_of(r, st, st.marks[M_CLOSE, k])
    for k in range(count):
        s = st.marks[M_CLOSE, k]
        if st.marks[M_TAKEN, k]:
            value, rate = value_of(r, st, s), st.numbers[N_RATE, k]
            weight = asked_of(r, st, s, value) if by_need else value
            prices[s] = st.held[s, MARK]
            if equity > 0.0:
                fee = rate if rate == rate else 0.0
                prices[s] = moved(r, st, s, equity * weight / total, fee)


@compiled
def fee_of_sale(
    r: Rules, c: Cell, st: State, pool: int, s: int, change: Change, price: float, rate: float
) -> float:
    """The fee of a sale, of which no more is taken than the pool holds; or all it holds, for the fund."""
    size, inverse, mult = change.closed, r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    if rate != rate:
        rate = r.fees[2, st.counts[FEE_ROW], s]
    fee = notional(inverse, size, mult, price) * rate
    left = pool_equity(r, c, st, pool)
    left += -size * mult * (worth(inverse, price) - worth(inverse, st.held[s, MARK]))
    last = change.size == 0.0 and pool_count(r, st, pool) == 1
    if last:
        left = balance_of(st, pool) + change.realised
    keeps = last and r.policy[TO_FUND, st.counts[POLICY_ROW]] != 0.0
    return float(max(0.0, left if keeps else min(fee, left)))


@compiled
def close_one(w: World, r: Rules, c: Cell, st: State, pool: int, k: int, breach: Breach) -> None:
    """Close a part of a position: at its takeover price, or by a sale that pays the fee."""
    s, rate = st.marks[M_CLOSE, k], st.numbers[N_RATE, k]
    size = -rounded(r, st, s, st.numbers[N_PART, k])
    inverse, mult, mark = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], st.held[s, MARK]
    price = st.numbers[N_PRICES, s] if st.marks[M_TAKEN, k] else slipped(c, st, s)
    change = changed(inverse, mult, st.held[s, SIZE], st.held[s, ENTRY], size, price)
    realised = change.realised
    if st.marks[M_TAKEN, k]:
        beyond = size * mult * (worth(inverse, mark) - worth(inverse, price))
        st.money[SEIZED if beyond < 0.0 else BORNE] += beyond
        fee = 0.0
        if rate == rate:
            most = max(0.0, pool_equity(r, c, st, pool))
            fee = min(notional(inverse, size, mult, price) * rate, most)
        left = balance_of(st, pool) + realised - fee
        if change.size == 0.0 and pool_count(r, st, pool) == 1:
            if fee == 0.0 and abs(left) <= 1e-9 * abs(realised):
                realised = -balance_of(st, pool)  # the bankruptcy price leaves exactly nothing
            elif left > -1e-9 * abs(realised):
                fee += left  # nor does a takeover at the mark
    else:
        fee = fee_of_sale(r, c, st, pool, s, change, price, rate)
        st.money[SLIPPED] += size * mult * (worth(inverse, mark) - worth(inverse, price))
    if change.size != 0.0:
        st.counts[CUT_BAR] = st.counts[BAR] + 1
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
    none_yet = True
    for _ in range(MOST_ROUNDS):
        if not breached(r, c, st, pool) and not (crossed and none_yet and pool_count(r, st, pool)):
            return
        none_yet = False
        if r.policy[KIND, st.counts[POLICY_ROW]] == BLOCKWISE:
            count = next_block(r, c, st, pool)
        else:
            count = choose(w, r, c, st, pool)
        takeover_prices(r, c, st, pool, count)
        for k in range(count):
            st.marks[M_CLOSED, st.marks[M_CLOSE, k]] += 1
            close_one(w, r, c, st, pool, k, breach)


@compiled
def judge_pools(w: World, r: Rules, c: Cell, st: State) -> None:
    """Liquidate the pools that are in breach at their marks, the cross one first."""
    if breached(r, c, st, 0):
        liquidate(w, r, c, st, 0, 0)
    order, total = st.marks[M_ORDER], st.counts[OPEN]
    for k in range(total):
        order[k] = st.marks[M_OPENED, k]
    for k in range(total):
        s = order[k]
        if r.sym[s, ISOLATED] and st.held[s, ALIVE] and breached(r, c, st, s + 1):
            liquidate(w, r, c, st, s + 1, 0)
