"""The account of the kernel: what it is worth, and how money moves (:mod:`bt_margin.engine.book`)."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core import flat
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ALIVE,
    AT_MARK,
    BAR,
    BY_CONTRACTS,
    BY_LEVEL,
    BY_SIZE,
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
    ENTRY_RESERVED,
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
    MARK_RESERVED,
    MOST,
    MULTIPLIER,
    NOTHING,
    OPEN,
    OPENINGS,
    POSTED,
    R_ALONE,
    R_BASE,
    R_BASELINE,
    R_GROWTH,
    R_KIND,
    R_MOST,
    R_STEP,
    R_WHOLE,
    RATES,
    RECORDING,
    RULE,
    SCALED,
    SIZE,
    STATUS,
    TABLE,
    TAKER,
    TOO_MANY_EVENTS,
    Cell,
    Rules,
    State,
    World,
)

INFINITE = float("inf")

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
tier_of_count = compiled(flat.tier_of_count)
opening_share = compiled(flat.opening_share)
stepped_fraction = compiled(flat.stepped_fraction)
closing_fee = compiled(flat.closing_fee)
closing_fee_of_balance = compiled(flat.closing_fee_of_balance)


class Asked(NamedTuple):
    """A maintenance requirement: tiers from one row to before another, a rate and an amount on top."""

    first: int
    last: int
    more: float
    amount: float


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
def in_pool(r: Rules, s: int, pool: int) -> bool:
    """Whether a symbol trades in a pool."""
    return pool == (s + 1 if r.sym[s, ISOLATED] else 0)


@compiled
def kind_of(r: Rules, st: State, s: int) -> int:
    """The kind of margin rule in force for a symbol."""
    return int(r.margin[R_KIND, int(st.held[s, RULE]), s])


@compiled
def reserve_of(
    r: Rules, st: State, s: int, size: float, entry: float, balance: float, own: bool
) -> float:
    """Fee of closing at the bankruptcy price: of what an isolated position holds, or its initial margin."""
    inverse, mult, taker = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], st.held[s, TAKER]
    if own and r.sym[s, ISOLATED]:
        return float(closing_fee_of_balance(inverse, size, mult, entry, balance, taker))
    return float(closing_fee(inverse, size, mult, entry, st.held[s, LEVERAGE], taker))


@compiled
def requirement(r: Rules, st: State, s: int, size: float, entry: float, balance: float) -> Asked:
    """What the margin rule in force makes of the table in force for such a position."""
    k, kind = int(st.held[s, TABLE]), kind_of(r, st, s)
    first, last, nothing = r.tables[0, k], r.tables[0, k + 1], r.tiers.shape[1] - 1
    inverse, mult = r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    if size == 0.0 or kind in (AT_MARK, SCALED, BY_SIZE):
        return Asked(first, last, 0.0, 0.0)
    if kind == BY_CONTRACTS:
        at = tier_of_count(r.tiers[CAPS], first, last, abs(size))
        return Asked(nothing, nothing + 1, float(r.tiers[RATES, at] + st.held[s, TAKER]), 0.0)
    if kind == ENTRY_RESERVED:
        kept = reserve_of(r, st, s, size, entry, balance, inverse != 0.0)
        value = notional(inverse, size, mult, entry)
        own = maintenance(r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS], first, last, value)
        return Asked(nothing, nothing + 1, 0.0, own + kept)
    if kind == MARK_RESERVED:
        return Asked(first, last, 0.0, reserve_of(r, st, s, size, entry, balance, True))
    if inverse == 0.0:
        return Asked(first, last, 0.0, 0.0)
    face = abs(size) * mult
    at = tier_at(r.tiers[CAPS], first, last, face)
    rate, cut = r.tiers[RATES, at], r.tiers[CUTS, at]
    if cut != 0.0 and r.margin[R_WHOLE, int(st.held[s, RULE]), s] == 0.0:
        rate -= cut / face
    return Asked(nothing, nothing + 1, float(rate), 0.0)


@compiled
def required(r: Rules, st: State, s: int) -> Asked:
    """What is asked of a symbol's position as it is."""
    h = st.held
    return requirement(r, st, s, h[s, SIZE], h[s, ENTRY], h[s, POSTED] if h[s, ALIVE] else 0.0)


@compiled
def needed(r: Rules, asked: Asked, value: float) -> float:
    """Maintenance margin of a notional under a requirement."""
    caps, rates, cuts = r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS]
    first, last, more, amount = asked
    return maintenance(caps, rates, cuts, first, last, value, more, amount)


@compiled
def asked_of(r: Rules, st: State, s: int, value: float) -> float:
    """Maintenance margin of a notional of a symbol's position."""
    return needed(r, required(r, st, s), value)


@compiled
def by_level(r: Rules, st: State, s: int, size: float, value: float, leverage: float) -> float:
    """Initial margin by the levels, and by the leverage where that is chosen and asks for more."""
    k, row = int(st.held[s, TABLE]), int(st.held[s, RULE])
    first, last, inverse = r.tables[0, k], r.tables[0, k + 1], r.sym[s, INVERSE]
    counted = abs(size) * r.sym[s, MULTIPLIER] if inverse else value
    if r.margin[R_WHOLE, row, s]:
        share = value * r.tiers[OPENINGS, tier_at(r.tiers[CAPS], first, last, counted)]
    else:
        share = opening_share(r.tiers[CAPS], r.tiers[OPENINGS], first, last, counted)
        if inverse and counted != 0.0:
            share = value * (share / counted)
    return float(share if r.margin[R_ALONE, row, s] else max(share, value / leverage))


@compiled
def initial_of(
    r: Rules, st: State, s: int, size: float, price: float, entry: float, leverage: float
) -> float:
    """Initial margin of a position of that size in a symbol at a price."""
    kind, row, inverse = kind_of(r, st, s), int(st.held[s, RULE]), r.sym[s, INVERSE]
    value = notional(inverse, size, r.sym[s, MULTIPLIER], price)
    if kind == AT_MARK:
        return value / leverage
    if size == 0.0:
        return 0.0
    if kind == BY_LEVEL:
        return by_level(r, st, s, size, value, leverage)
    if kind == SCALED:
        least = r.tiers[OPENINGS, r.tables[0, int(st.held[s, TABLE])]]
        return float(value * max(least, 1.0 / leverage))
    if kind == BY_SIZE:
        n, rate = r.margin[:, row, s], 1.0 / leverage
        if n[R_STEP] > 0.0:
            steps = (n[R_BASE], n[R_GROWTH], n[R_BASELINE], n[R_STEP])
            rate = max(rate, stepped_fraction(size, steps[0], steps[1], steps[2], steps[3]))
        return value * rate
    if r.sym[s, ISOLATED] or kind == ENTRY_RESERVED:
        value = notional(inverse, size, r.sym[s, MULTIPLIER], entry)
    if kind == BY_CONTRACTS:
        return value / leverage
    taker = st.held[s, TAKER]
    fee = closing_fee(inverse, size, r.sym[s, MULTIPLIER], entry, leverage, taker)
    return float(value / leverage + fee)


@compiled
def initial_now(r: Rules, st: State, s: int) -> float:
    """Initial margin of a symbol's position at its mark."""
    h = st.held
    if kind_of(r, st, s) == AT_MARK:
        return value_of(r, st, s) / float(h[s, LEVERAGE])
    return initial_of(r, st, s, h[s, SIZE], h[s, MARK], h[s, ENTRY], h[s, LEVERAGE])


@compiled
def cap_of(r: Rules, st: State, s: int, price: float) -> float:
    """The largest notional the venue allows at the symbol's leverage, at a price."""
    k, kind = int(st.held[s, TABLE]), kind_of(r, st, s)
    most = r.margin[R_MOST, int(st.held[s, RULE]), s]
    if most < INFINITE:
        most = notional(r.sym[s, INVERSE], most, r.sym[s, MULTIPLIER], price)
    if kind == BY_LEVEL:
        return float(most)
    first, last = r.tables[0, k], r.tables[0, k + 1]
    allowed = largest_notional(r.tiers[CAPS], r.tiers[MOST], first, last, st.held[s, LEVERAGE])
    if kind == BY_CONTRACTS:
        return notional(r.sym[s, INVERSE], allowed, r.sym[s, MULTIPLIER], price)
    return float(min(allowed, most))


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
