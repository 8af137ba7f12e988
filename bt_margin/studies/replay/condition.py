"""How an account stands at the closes: margin in use, leverage, and how near its pools come to liquidation.

What :mod:`bt_margin.studies.held` says of a record bar by bar, added up while the kernel goes along. Only the
ratio of a pool costs much; where the marks of a block of bars cannot bring one up to the highest there was,
nor to where a pool counts as at risk, it is not worked out.
"""

from __future__ import annotations

from bt_margin.studies.replay.account import (
    asked_of,
    exposure,
    gain,
    initial_of,
    kind_of,
    required,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    AT_MARK,
    BLOCK,
    CAPS,
    CASH,
    CUTS,
    ENTRY,
    HELD_BARS,
    INVERSE,
    ISOLATED,
    LEVERAGE,
    LEVERAGE_SUM,
    M_OPENED,
    MARGIN_SUM,
    MOST_LEVERAGE,
    MULTIPLIER,
    N_NEED,
    N_SIZE,
    OPEN,
    P_MARK_CLOSE,
    POSTED,
    RATES,
    RISKY_BARS,
    SIZE,
    WORST_RATIO,
    Floats,
    Rules,
    State,
    World,
)

INFINITE = float("inf")
AT_RISK = 0.8
"""Margin ratio from which a pool counts as at risk (:data:`bt_margin.studies.summary.AT_RISK`)."""
SURE = 1.0 - 1e-9
"""A little less than one: a bound within rounding of a ratio is no bound."""


@compiled
def weigh(w: World, r: Rules, st: State, t: int, end: int, equity: Floats) -> None:
    """Add up how the account stands at the closes of these bars, which its positions lived through unchanged.

    equity : of every bar, those from ``t`` to before ``end`` being known
    """
    if st.counts[OPEN] == 0:
        return
    if st.counts[OPEN] == 1:
        weigh_one(w, r, st, t, end, equity)
    else:
        weigh_many(w, r, st, t, end, equity)
    while t < end:
        block = t // BLOCK
        stop = min(end, (block + 1) * BLOCK)
        if stop - t < 2 or not surely_below(w, r, st, block, min(AT_RISK, st.money[WORST_RATIO])):
            for at in range(t, stop):
                ratio = ratio_at(w, r, st, at)
                st.money[WORST_RATIO] = max(st.money[WORST_RATIO], ratio)
                st.counts[RISKY_BARS] += ratio >= AT_RISK
        t = stop


@compiled
def ruled_margin(w: World, r: Rules, st: State, s: int, t: int, end: int) -> float:
    """Initial margins of a position at these closes, added up, where a rule says what they are."""
    h, total = st.held[s], 0.0
    for at in range(t, end):
        close = w.prices[P_MARK_CLOSE, s, at]
        total += initial_of(r, st, s, h[SIZE], close, h[ENTRY], h[LEVERAGE])
    return total


@compiled
def weigh_one(w: World, r: Rules, st: State, t: int, end: int, equity: Floats) -> None:
    """Margin and leverage of a single position."""
    s, h, m = st.marks[M_OPENED, 0], st.held, st.money
    units, inverse = abs(h[s, SIZE]) * r.sym[s, MULTIPLIER], r.sym[s, INVERSE]
    closes, own = w.prices[P_MARK_CLOSE, s, t:end], equity[t:end]
    values, shares, most, levered = 0.0, 0.0, m[MOST_LEVERAGE], 0
    for k in range(len(closes)):
        value = units / closes[k] if inverse else units * closes[k]
        values += value
        if own[k] > 0.0:
            share = value / own[k]
            shares += share
            most = max(most, share)
            levered += 1
    if kind_of(r, st, s) == AT_MARK:
        m[MARGIN_SUM] += values / h[s, LEVERAGE]
    else:
        m[MARGIN_SUM] += ruled_margin(w, r, st, s, t, end)
    m[LEVERAGE_SUM] += shares
    m[MOST_LEVERAGE] = most
    st.counts[HELD_BARS] += levered


@compiled
def weigh_many(w: World, r: Rules, st: State, t: int, end: int, equity: Floats) -> None:
    """Margin and leverage of several positions."""
    m, margins, shares = st.money, 0.0, 0.0
    most, levered, count = m[MOST_LEVERAGE], 0, st.counts[OPEN]
    units, parts = st.numbers[N_SIZE], st.numbers[N_NEED]
    for k in range(count):
        s = st.marks[M_OPENED, k]
        units[k] = abs(st.held[s, SIZE]) * r.sym[s, MULTIPLIER]
        parts[k] = 1.0 / st.held[s, LEVERAGE]
        if kind_of(r, st, s) != AT_MARK:
            margins, parts[k] = margins + ruled_margin(w, r, st, s, t, end), 0.0
    for at in range(t, end):
        values = 0.0
        for k in range(count):
            s = st.marks[M_OPENED, k]
            close = w.prices[P_MARK_CLOSE, s, at]
            value = units[k] / close if r.sym[s, INVERSE] else units[k] * close
            values += value
            margins += value * parts[k]
        if equity[at] > 0.0:
            share = values / equity[at]
            shares += share
            most = max(most, share)
            levered += 1
    m[MARGIN_SUM] += margins
    m[LEVERAGE_SUM] += shares
    m[MOST_LEVERAGE] = most
    st.counts[HELD_BARS] += levered


@compiled
def ratio_at(w: World, r: Rules, st: State, t: int) -> float:
    """The largest margin ratio of any pool at the close of a bar, infinite where nothing is left."""
    worst, shared, need = 0.0, st.money[CASH], 0.0
    for k in range(st.counts[OPEN] + 1):
        own, asked = shared, need
        if k < st.counts[OPEN]:
            s = st.marks[M_OPENED, k]
            size, mult, close = st.held[s, SIZE], r.sym[s, MULTIPLIER], w.prices[P_MARK_CLOSE, s, t]
            own = gain(r.sym[s, INVERSE], size, mult, st.held[s, ENTRY], close)
            asked = asked_of(r, st, s, exposure(r.sym[s, INVERSE], size, mult, close))
            if not r.sym[s, ISOLATED]:
                shared, need = shared + own, need + asked
                continue
            own += st.held[s, POSTED]
        if asked > worst * own and asked > 0.0:
            worst = max(worst, asked / own) if own > 0.0 else INFINITE
    return worst


@compiled
def surely_below(w: World, r: Rules, st: State, block: int, limit: float) -> bool:
    """Whether no pool can reach a margin ratio within a block of bars, every mark at its worst for it."""
    shared, need = st.money[CASH], 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        h, inverse, mult = st.held, r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
        low, high = w.blocks[0, s, block], w.blocks[1, s, block]
        if not low > 0.0:
            return False
        own = gain(inverse, h[s, SIZE], mult, h[s, ENTRY], low if h[s, SIZE] > 0.0 else high)
        value = exposure(inverse, h[s, SIZE], mult, low if inverse else high)
        asked, (first, last, more, amount) = 0.0, required(r, st, s)
        for place in range(first, last):
            top = min(value, r.tiers[CAPS, place]) if place < last - 1 else value
            rate, cut = r.tiers[RATES, place] + more, r.tiers[CUTS, place] - amount
            asked = max(asked, top * rate - cut)
            if top == value:
                break
        if not r.sym[s, ISOLATED]:
            shared, need = shared + own, need + asked
        elif not asked < limit * SURE * (own + h[s, POSTED]):
            return False
    return bool(need == 0.0 or need < limit * SURE * shared)
