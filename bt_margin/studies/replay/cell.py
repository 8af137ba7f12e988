"""One cell from its first bar to its last: stretches of calm bars, and single bars between them."""

from __future__ import annotations

from bt_margin.studies.replay.account import equity_of
from bt_margin.studies.replay.acting import pays_at
from bt_margin.studies.replay.bar import due_early, step
from bt_margin.studies.replay.compile import compiled, entry
from bt_margin.studies.replay.condition import weigh
from bt_margin.studies.replay.handles import handle
from bt_margin.studies.replay.layout import (
    ADD_CASH,
    BAR,
    C_BAR,
    CANCEL,
    CASH,
    CHANGE,
    DEPOSITED,
    DONE,
    FIRST_TABLE,
    FUNDED,
    INTENT,
    ISOLATED,
    KEEP_EVENTS,
    KEEP_ROW,
    LEVERAGE,
    M_OPENED,
    OPEN,
    ORDERS,
    RECORDING,
    S_EARLY,
    SETTLED,
    START_ISOLATED,
    START_LEVERAGE,
    STATUS,
    STEPS,
    SURPRISE,
    SURPRISED,
    T_BAR,
    T_VERB,
    TABLE,
    TAKER,
    WEIGHING,
    Cell,
    Floats,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.resting import missed, set_rests
from bt_margin.studies.replay.scan import calm, first_reached, leave_marks, next_due, set_guards
from bt_margin.studies.replay.sending import move_cash, send


@compiled
def begin(r: Rules, c: Cell, st: State, recording: int) -> None:
    """An account as it is before its first bar."""
    st.held[:] = 0.0
    st.money[:] = 0.0
    st.counts[:] = 0
    st.money[CASH] = st.money[DEPOSITED] = c.cash
    st.counts[RECORDING] = recording & KEEP_EVENTS
    st.counts[WEIGHING] = recording & KEEP_ROW
    st.counts[SURPRISE] = -1
    for s in range(len(st.held)):
        st.held[s, LEVERAGE] = r.sym[s, START_LEVERAGE]
        st.held[s, TABLE] = r.sym[s, FIRST_TABLE]
        r.sym[s, ISOLATED] = r.sym[s, START_ISOLATED]
        st.held[s, TAKER] = r.fees[1, 0, s]


@compiled
def only_early(w: World, st: State, t: int) -> bool:
    """Whether all settlements of open positions in a bar are due at its open."""
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        for stamp in range(w.places[1, s, t], w.places[1, s, t + 1]):
            if not w.stamps[S_EARLY, stamp]:
                return False
    return True


@compiled
def until(w: World, r: Rules, st: State, t: int) -> int:
    """Before which bar nothing is sent and no table changes; a bar that ends in an action stands alone."""
    end, bars, i = len(w.start), w.tape.shape[1], st.counts[INTENT]
    if i < bars:
        at = int(w.tape[T_BAR, i])
        end = min(end, at + 1)
        while i < bars and int(w.tape[T_BAR, i]) == at:
            if CANCEL < w.tape[T_VERB, i] < ADD_CASH:
                end = min(end, at)
            i += 1
    if st.counts[CHANGE] < r.changes.shape[1]:
        end = min(end, r.changes[C_BAR, st.counts[CHANGE]])
    return end


@compiled
def quiet(w: World, r: Rules, c: Cell, st: State, t: int, equity: Floats) -> int:
    """As far from ``t`` as nothing can happen; settlements at the open of a bar are paid on the way."""
    end = until(w, r, st, t)
    if st.counts[ORDERS] > 0:
        end = min(end, int(set_rests(w, st, t)))
    if end <= t or pays_at(w, st, t):
        return t
    if st.counts[OPEN] == 0:
        end = first_reached(w, st, t, end)
        equity[t:end] = st.money[CASH]
        leave_marks(w, st, t, end)
        return end
    while t < end:
        due = next_due(w, st, t, end) if r.flags[FUNDED] else end
        if due == t:
            if st.counts[SETTLED] != t + 1:
                if not only_early(w, st, t):
                    return t
                st.counts[BAR] = t
                due_early(w, r, c, st, t)
            due = next_due(w, st, t + 1, end)
        if not set_guards(r, c, st):
            return t
        reached = calm(w, r, c, st, t, due, equity)
        if st.counts[WEIGHING]:
            weigh(w, r, st, t, reached, equity)
        if reached == t:
            return t
        t = reached
    return t


@compiled
def asks_at(w: World, st: State, t: int) -> bool:
    """Whether the tape asks for something at the close of a bar."""
    return st.counts[INTENT] < w.tape.shape[1] and int(w.tape[T_BAR, st.counts[INTENT]]) == t


@compiled
def live(
    w: World, r: Rules, c: Cell, st: State, twin: State, equity: Floats, recording: int
) -> int:  # fmt: skip
    """The whole history of one account; equity at the close of every bar. Returns its status.

    recording : what else is kept, ``KEEP_EVENTS`` and ``KEEP_ROW`` added up
    """
    begin(r, c, st, recording)
    t, bars = 0, len(w.start)
    while t < bars and st.counts[STATUS] == DONE:
        before, t = t, quiet(w, r, c, st, t, equity)
        if t > before and asks_at(w, st, t - 1):
            equity[t - 1] = equity_of(r, c, st)  # to the last bit, because sizes are made of it
            send(w, r, c, st, t - 1, equity)
        missed(w, c, st, t - 1)
        if c.obedient and st.counts[SURPRISE] >= 0:
            st.counts[STATUS] = SURPRISED
        if t >= bars or st.counts[STATUS] != DONE:
            break
        move_cash(w, r, c, st, t, equity)
        step(w, r, c, st, twin, t)
        st.counts[STEPS] += 1
        equity[t] = equity_of(r, c, st)
        missed(w, c, st, t)
        if not (c.obedient and st.counts[SURPRISE] >= 0):
            send(w, r, c, st, t, equity)
        if st.counts[WEIGHING]:  # with the margin and the modes the strategy leaves behind
            weigh(w, r, st, t, t + 1, equity)
        t += 1
        if c.obedient and st.counts[SURPRISE] >= 0:
            st.counts[STATUS] = SURPRISED
    return int(st.counts[STATUS])


@entry
def play(
    w: World, r: Rules, c: Cell, st: State, twin: State, equity: Floats, recording: int
) -> int:
    """:func:`live`, called from Python."""
    return live(handle(w), handle(r), handle(c), handle(st), handle(twin), equity, recording)
