"""The orders of a tape, as sizes of the account at hand."""

from __future__ import annotations

import numpy as np

from bt_margin.studies.replay.account import move_mark
from bt_margin.studies.replay.acting import act, pay
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ACTIVE,
    ADD_CASH,
    ASKED,
    BAR,
    CANCEL,
    CLOSE,
    CLOSE_ALL,
    CLOSE_PART,
    DONE,
    EXPIRES,
    FAMILY,
    FLOOR,
    GROUP,
    INTENT,
    INVERSE,
    LATER,
    LIMIT,
    LOT_OVER,
    LOT_UNDER,
    MARKED,
    MOST_ORDERS,
    MULTIPLIER,
    OFFSET,
    ORDERS,
    P_CLOSE,
    P_MARK_CLOSE,
    PARTED,
    PRICE,
    REDUCING,
    REF,
    REFERENCE,
    REQUESTED,
    SAME,
    SESSION,
    SIZE,
    STATUS,
    STOP_TRAIL,
    SYMBOL,
    T_BAR,
    T_EXPIRES,
    T_FAMILY,
    T_GROUP,
    T_LIMIT,
    T_MARKED,
    T_PRICE,
    T_REDUCING,
    T_SESSION,
    T_SHARE,
    T_SHARE_BAR,
    T_STEPS,
    T_SYMBOL,
    T_TRAIL,
    T_TRAIL_SHARE,
    T_TYPE,
    T_UNITS,
    T_VERB,
    TAG,
    TARGET_VALUE,
    TOO_MANY_ORDERS,
    TRADE,
    TRAIL,
    TRAIL_LIMIT,
    TRAIL_SHARE,
    TYPE,
    WITHDRAWN,
    Cell,
    Floats,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.resting import end, follow
from bt_margin.studies.replay.shares import OVER, PLUS, TIMES

INFINITE = float("inf")


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
def queue_up(w: World, r: Rules, st: State, i: int, t: int, size: float) -> None:
    """Put an order of the tape at the end of the queue; it is judged with the next bar."""
    tape, s, asked = w.tape, int(w.tape[T_SYMBOL, i]), size
    held = st.held[s, SIZE]
    if held == 0.0:
        move_mark(st, s, w.prices[P_MARK_CLOSE, s, t])
    if not (held != 0.0 and abs(size + held) <= SAME * abs(held)):
        size = round_lot(r, s, size)
    if size == 0.0 and i + 1 < tape.shape[1] and tape[T_FAMILY, i + 1] == i:
        st.counts[STATUS] = PARTED  # how large its children are depends on how they were asked for
    order = st.queue[st.counts[ORDERS]]
    order[:] = 0.0
    order[REF], order[SYMBOL], order[ASKED] = st.counts[REFERENCE], s, size
    order[CLOSE], order[REQUESTED] = w.prices[P_CLOSE, s, t], asked
    order[REDUCING], order[TAG] = tape[T_REDUCING, i], i
    order[TYPE], order[PRICE], order[LIMIT] = tape[T_TYPE, i], tape[T_PRICE, i], tape[T_LIMIT, i]
    order[EXPIRES], order[SESSION] = tape[T_EXPIRES, i], tape[T_SESSION, i]
    order[GROUP], order[FAMILY], order[MARKED] = (
        tape[T_GROUP, i],
        tape[T_FAMILY, i],
        tape[T_MARKED, i],
    )
    if order[FAMILY] != i:
        order[ACTIVE] = LATER
    if order[TYPE] == STOP_TRAIL or order[TYPE] == TRAIL_LIMIT:
        order[TRAIL], order[TRAIL_SHARE] = tape[T_TRAIL, i], tape[T_TRAIL_SHARE, i]
        first, order[OFFSET] = order[PRICE], order[PRICE] - order[LIMIT]
        order[PRICE] = INFINITE if asked > 0.0 else -INFINITE
        follow(order, first, asked > 0.0)
    st.counts[REFERENCE] += 1
    st.counts[ORDERS] += 1


@compiled
def send(w: World, r: Rules, c: Cell, st: State, t: int, equity: Floats) -> None:
    """What the strategy asks for at the close of a bar."""
    st.counts[BAR] = t
    while st.counts[INTENT] < w.tape.shape[1] and int(w.tape[T_BAR, st.counts[INTENT]]) == t:
        i = st.counts[INTENT]
        st.counts[INTENT] = i + 1
        s, verb = int(w.tape[T_SYMBOL, i]), int(w.tape[T_VERB, i])
        if verb == CANCEL:
            for q in range(st.counts[ORDERS]):
                if st.queue[q, TAG] == w.tape[T_UNITS, i]:
                    end(st, q, WITHDRAWN, t)
                    break
        elif verb > CANCEL:
            if verb != ADD_CASH:
                act(w, r, c, st, s, verb, amount_asked(w, i, equity))
        else:
            size = size_asked(w, r, st, i, t, equity)
            if size != 0.0 and st.counts[ORDERS] >= MOST_ORDERS:
                st.counts[STATUS] = TOO_MANY_ORDERS
            elif size != 0.0:
                queue_up(w, r, st, i, t, size)
        if st.counts[STATUS] != DONE:
            return


@compiled
def move_cash(w: World, r: Rules, c: Cell, st: State, t: int, equity: Floats) -> None:
    """Cash that was asked for at the close of the bar before comes or goes, one after the other."""
    first = st.counts[INTENT]
    while first > 0 and int(w.tape[T_BAR, first - 1]) == t - 1:
        first -= 1
    for i in range(first, st.counts[INTENT]):
        if int(w.tape[T_VERB, i]) == ADD_CASH:
            pay(w, r, c, st, t, amount_asked(w, i, equity))
