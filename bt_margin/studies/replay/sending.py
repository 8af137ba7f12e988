"""The orders of a tape, as sizes of the account at hand."""

from __future__ import annotations

import numpy as np

from bt_margin.studies.replay.account import move_mark
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ASKED,
    CLOSE,
    CLOSE_ALL,
    CLOSE_PART,
    FLOOR,
    INTENT,
    INVERSE,
    LOT_OVER,
    LOT_UNDER,
    MOST_ORDERS,
    MULTIPLIER,
    ORDERS,
    P_CLOSE,
    P_MARK_CLOSE,
    REDUCING,
    REF,
    REFERENCE,
    REQUESTED,
    SAME,
    SIZE,
    STATUS,
    SYMBOL,
    T_BAR,
    T_REDUCING,
    T_SHARE,
    T_SHARE_BAR,
    T_STEPS,
    T_SYMBOL,
    T_UNITS,
    T_VERB,
    TARGET_VALUE,
    TOO_MANY_ORDERS,
    TRADE,
    Floats,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.shares import OVER, PLUS, TIMES


@compiled
def round_lot(r: Rules, s: int, size: float) -> float:
    """A size on the lot, towards zero; the nearest whole number of lots when it is one up to float noise."""
    over, under = r.sym[s, LOT_OVER], r.sym[s, LOT_UNDER]
    if over == 0.0:
        return size
    lots = size / (over / under)
    whole = np.rint(lots)
    if abs(lots - whole) > 1e-9 + abs(lots) * 1e-12:
        whole = np.trunc(lots)
    return float(whole * over / under)


@compiled
def amount_asked(w: World, i: int, equity: Floats) -> float:
    """The number of an intent: what was done to the equity step by step, or units + share · equity."""
    share, number = w.tape[T_SHARE, i], w.tape[T_UNITS, i]
    if share == 0.0:
        return float(number)
    value = max(equity[int(w.tape[T_SHARE_BAR, i])], FLOOR)
    if w.tape[T_STEPS, i] == 0.0:
        return float(number + share * value)
    for k in range(T_STEPS, len(w.tape), 2):
        what, by = w.tape[k, i], w.tape[k + 1, i]
        if what == TIMES:
            value *= by
        elif what == OVER:
            value /= by
        elif what == PLUS:
            value += by
    return float(value)


@compiled
def size_asked(w: World, r: Rules, st: State, i: int, t: int, equity: Floats) -> float:
    """The signed size an intent of the tape asks for, 0 when it asks for nothing."""
    s, verb, held = (
        int(w.tape[T_SYMBOL, i]),
        w.tape[T_VERB, i],
        st.held[int(w.tape[T_SYMBOL, i]), SIZE],
    )
    number = amount_asked(w, i, equity)
    if verb == TRADE:
        return number
    if verb == CLOSE_PART:
        return -abs(number) if held > 0.0 else abs(number) if held < 0.0 else 0.0
    if verb == CLOSE_ALL or (number == 0.0 and held != 0.0):
        return float(-held)
    if verb != TARGET_VALUE:
        return float(number - held)
    price = w.prices[P_CLOSE, s, t]
    unit = r.sym[s, MULTIPLIER] / price if r.sym[s, INVERSE] else r.sym[s, MULTIPLIER] * price
    value = held * unit
    return float((number - value) / unit)


@compiled
def send(w: World, r: Rules, st: State, t: int, equity: Floats) -> None:
    """The orders the strategy sends at the close of a bar."""
    while st.counts[INTENT] < w.tape.shape[1] and int(w.tape[T_BAR, st.counts[INTENT]]) == t:
        i = st.counts[INTENT]
        st.counts[INTENT] = i + 1
        s, size = int(w.tape[T_SYMBOL, i]), size_asked(w, r, st, i, t, equity)
        if size == 0.0:
            continue
        if st.counts[ORDERS] >= MOST_ORDERS:
            st.counts[STATUS] = TOO_MANY_ORDERS
            return
        held, asked = st.held[s, SIZE], size
        if held == 0.0:
            move_mark(st, s, w.prices[P_MARK_CLOSE, s, t])
        if not (held != 0.0 and abs(size + held) <= SAME * abs(held)):
            size = round_lot(r, s, size)
        order = st.queue[st.counts[ORDERS]]
        order[:] = 0.0
        order[REF], order[SYMBOL], order[ASKED] = st.counts[REFERENCE], s, size
        order[CLOSE], order[REDUCING], order[REQUESTED] = (
            w.prices[P_CLOSE, s, t],
            w.tape[T_REDUCING, i],
            asked,
        )
        st.counts[REFERENCE] += 1
        st.counts[ORDERS] += 1
