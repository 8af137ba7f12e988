"""The account of the kernel: what it is worth, and how money moves (:mod:`bt_margin.engine.book`)."""

from __future__ import annotations

from bt_margin.core import flat
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ALIVE,
    BAR,
    CALLED,
    CAPS,
    CASH,
    CROSS_CALLED,
    CUTS,
    DEPOSITED,
    E_BALANCE,
    E_EQUITY,
    E_KIND,
    E_MARK,
    E_POOL,
    E_SYMBOL,
    E_TIME,
    ENTRY,
    EVENT_COLUMNS,
    EVENTS,
    FEE_ROW,
    HIGH,
    INVERSE,
    ISOLATED,
    LEVERAGE,
    LOW,
    M_OPENED,
    MARK,
    MOST,
    MULTIPLIER,
    NOTHING,
    OPEN,
    POSTED,
    RATES,
    RECORDING,
    SIZE,
    STATUS,
    TABLE,
    TOO_MANY_EVENTS,
    Cell,
    Rules,
    State,
    World,
)

worth = compiled(flat.worth)
notional = compiled(flat.notional)
exposure = compiled(flat.exposure)
gain = compiled(flat.gain)
tier_at = compiled(flat.tier_at)
maintenance = compiled(flat.maintenance)
maintenance_bound = compiled(flat.maintenance_bound)
largest_notional = compiled(flat.largest_notional)
changed = compiled(flat.changed)
enough = compiled(flat.enough)


@compiled
def gain_of(r: Rules, st: State, s: int) -> float:
    """Unrealised profit of a symbol's position at its mark."""
    h = st.held
    return gain(r.sym[s, INVERSE], h[s, SIZE], r.sym[s, MULTIPLIER], h[s, ENTRY], h[s, MARK])


@compiled
def value_of(r: Rules, st: State, s: int) -> float:
    """Unsigned notional of a symbol's position at its mark."""
    return exposure(r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK])


@compiled
def asked_of(r: Rules, st: State, s: int, value: float) -> float:
    """Maintenance margin of a notional of a symbol, by the table in force."""
    k = int(st.held[s, TABLE])
    first, last = r.tables[0, k], r.tables[0, k + 1]
    return maintenance(r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS], first, last, value)


@compiled
def cap_of(r: Rules, st: State, s: int) -> float:
    """The largest notional the venue allows at the symbol's leverage."""
    k = int(st.held[s, TABLE])
    first, last = r.tables[0, k], r.tables[0, k + 1]
    return largest_notional(r.tiers[CAPS], r.tiers[MOST], first, last, st.held[s, LEVERAGE])


@compiled
def pool_equity(r: Rules, c: Cell, st: State, pool: int) -> float:
    """Balance and unrealised profit of a pool: 0 is the cross pool, 1 + s the isolated one of a symbol."""
    if pool > 0:
        return float(st.held[pool - 1, POSTED] + gain_of(r, st, pool - 1))
    total = 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not r.sym[s, ISOLATED]:
            total += gain_of(r, st, s)
    return float(st.money[CASH] + total)


@compiled
def pool_need(r: Rules, c: Cell, st: State, pool: int) -> float:
    """Maintenance margin of a pool."""
    if pool > 0:
        return asked_of(r, st, pool - 1, value_of(r, st, pool - 1))
    total = 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not r.sym[s, ISOLATED]:
            total += asked_of(r, st, s, value_of(r, st, s))
    return total


@compiled
def pool_count(r: Rules, st: State, pool: int) -> int:
    """How many positions a pool backs."""
    count = 0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if (pool == 0 and not r.sym[s, ISOLATED]) or pool == s + 1:
            count += 1
    return count


@compiled
def equity_of(r: Rules, c: Cell, st: State) -> float:
    """All balances and unrealised profit."""
    total = st.money[CASH]
    for isolated in range(2):
        for k in range(st.counts[OPEN]):
            s = st.marks[M_OPENED, k]
            if r.sym[s, ISOLATED] == isolated:
                if isolated:
                    total += st.held[s, POSTED]
                total += gain_of(r, st, s)
    return float(total)


@compiled
def solvent_of(r: Rules, c: Cell, st: State) -> float:
    """Equity with no isolated pool below zero."""
    apart = 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if r.sym[s, ISOLATED]:
            apart += max(0.0, pool_equity(r, c, st, s + 1))
    return pool_equity(r, c, st, 0) + apart


@compiled
def pool_of(r: Rules, st: State, s: int) -> int:
    """The pool that backs a symbol's position, −1 while it is flat."""
    if not st.held[s, ALIVE]:
        return -1
    return s + 1 if r.sym[s, ISOLATED] else 0


@compiled
def note(w: World, r: Rules, c: Cell, st: State, kind: int, s: int, pool: int) -> int:
    """Begin an event: its time, symbol, pool, mark, balance and equity; its row, −1 when none is kept."""
    row = st.counts[EVENTS]
    if not st.counts[RECORDING]:
        return -1
    if row >= len(st.events):
        st.counts[STATUS] = TOO_MANY_EVENTS
        return -1
    st.counts[EVENTS] = row + 1
    e = st.events[row]
    for k in range(EVENT_COLUMNS):
        e[k] = NOTHING
    e[E_TIME] = w.start[st.counts[BAR]]
    e[E_KIND], e[E_SYMBOL], e[E_POOL] = kind, s, pool
    if s >= 0 and st.held[s, MARK] != 0.0:
        e[E_MARK] = st.held[s, MARK]
    if pool >= 0:
        e[E_BALANCE] = st.money[CASH] if pool == 0 else st.held[pool - 1, POSTED]
    e[E_EQUITY] = solvent_of(r, c, st)
    return int(row)


@compiled
def move_mark(st: State, s: int, price: float) -> None:
    """The mark of a symbol is now ``price``."""
    st.held[s, MARK] = price
    st.held[s, LOW] = price
    st.held[s, HIGH] = price


@compiled
def taker_rate(r: Rules, st: State, s: int) -> float:
    """The taker fee in force."""
    return float(r.fees[1, st.counts[FEE_ROW], s])


@compiled
def scale_of(r: Rules, c: Cell, st: State) -> float:
    """The size of the account, against which float dust is measured."""
    return float(max(abs(equity_of(r, c, st)), st.money[DEPOSITED]))


@compiled
def call_bits(st: State, pool: int) -> float:
    """The margin-call thresholds a pool stands above, one bit each."""
    return float(st.money[CROSS_CALLED] if pool == 0 else st.held[pool - 1, CALLED])
