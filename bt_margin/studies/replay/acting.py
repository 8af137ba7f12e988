"""What a strategy does to its account, in the kernel: leverage, margin mode, margin, cash.

The rules of :mod:`bt_margin.engine.settings` and :mod:`bt_margin.engine.cashier`. What the account would
refuse raises in the strategy, whose answer no tape knows: the cell ends there.
"""

from __future__ import annotations

from bt_margin.studies.replay.account import (
    cap_of,
    exposure,
    gain_of,
    initial_now,
    initial_of,
    note,
    pool_count,
    pool_equity,
    pool_of,
    scale_of,
    value_of,
)
from bt_margin.studies.replay.booking import enter, leave, surprise
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ACCEPTED,
    ACTION_REFUSED,
    ADD_CASH,
    ADD_MARGIN,
    ALIVE,
    BAR,
    CALLED,
    CASH,
    CROSS_CALLED,
    CROSS_THERE,
    DEAD,
    DEPOSIT,
    DEPOSITED,
    DUST,
    E_ALLOWED,
    E_AMOUNT,
    E_FOUND,
    ENTRY,
    INTENT,
    INVERSE,
    ISOLATED,
    ISOLATED_THERE,
    KEPT,
    LEVERAGE,
    LEVERAGE_STEP,
    LEVERED,
    LOWERS,
    MARK,
    MIXED,
    MOST,
    MOVED,
    MULTIPLIER,
    ONE_MODE,
    ORDERS,
    PAY_IN,
    POSTED,
    REFUSED,
    REVIVED,
    SET_LEVERAGE,
    SET_MODE,
    SIZE,
    STATUS,
    SWITCHED,
    SYMBOL,
    T_BAR,
    T_VERB,
    TABLE,
    WITH_ORDERS,
    WITH_POSITION,
    WITHDRAWAL,
    Cell,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.reserving import total_reserved, unreserved


@compiled
def available(r: Rules, c: Cell, st: State) -> float:
    """Margin free for new positions."""
    return unreserved(r, c, st) - total_reserved(r, c, st, -1)


@compiled
def set_leverage(w: World, r: Rules, c: Cell, st: State, s: int, leverage: float) -> bool:
    """Change a symbol's leverage; False where the venue or the account says no."""
    h, k = st.held, int(st.held[s, TABLE])
    before, most, step = h[s, LEVERAGE], r.tiers[MOST, r.tables[0, k]], r.sym[s, LEVERAGE_STEP]
    steps = leverage / step if step != 0.0 else 0.0
    if not 0.0 < leverage <= most or abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        return False
    if h[s, ALIVE]:
        h[s, LEVERAGE] = leverage
        allowed = cap_of(r, st, s, h[s, MARK])
        h[s, LEVERAGE] = before
        if value_of(r, st, s) > allowed:
            return False
        if leverage < before and r.sym[s, ISOLATED] and not r.flags[LOWERS]:
            return False
    free = available(r, c, st)
    h[s, LEVERAGE] = leverage
    needed, posts = free - available(r, c, st), 0.0
    if h[s, ALIVE] and r.sym[s, ISOLATED] and leverage < before:
        posts = max(0.0, initial_now(r, st, s) - pool_equity(r, c, st, s + 1))
        free = min(available(r, c, st), max(0.0, st.money[CASH]))
    if needed + posts > max(0.0, free + DUST * scale_of(r, c, st)):
        h[s, LEVERAGE] = before
        return False
    if posts != 0.0:
        st.money[CASH] -= posts
        h[s, POSTED] += posts
    row = note(w, r, c, st, LEVERED, s, pool_of(r, st, s))
    if row >= 0:
        st.events[row, E_FOUND], st.events[row, E_ALLOWED] = leverage, most
    return True


@compiled
def set_mode(w: World, r: Rules, c: Cell, st: State, s: int, isolated: float) -> bool:
    """Change a symbol's margin mode, its position moving to the other pool; False where that is refused."""
    h, changes = st.held, isolated != r.sym[s, ISOLATED]
    if not r.flags[ISOLATED_THERE if isolated else CROSS_THERE]:
        return False
    if changes:
        waiting = False
        for q in range(st.counts[ORDERS]):
            waiting = waiting or (st.queue[q, SYMBOL] == s and st.queue[q, ACCEPTED] != 0.0)
        if (h[s, ALIVE] and not r.flags[WITH_POSITION]) or (waiting and not r.flags[WITH_ORDERS]):
            return False
        if r.flags[ONE_MODE] or (isolated and h[s, ALIVE] and pool_count(r, st, 0) == 1
                                 and st.money[CROSS_CALLED] != 0.0):  # fmt: skip
            st.counts[STATUS] = MIXED
            return True
    if changes and h[s, ALIVE] and isolated:
        size, entry, won = h[s, SIZE], h[s, ENTRY], gain_of(r, st, s)
        asked = initial_now(r, st, s)
        posted = max(initial_of(r, st, s, size, entry, entry, h[s, LEVERAGE]), asked - won)
        free = available(r, c, st) + asked - won
        if posted > min(free, max(0.0, st.money[CASH])) + DUST * scale_of(r, c, st):
            return False
        st.money[CASH] -= posted
        h[s, POSTED], h[s, CALLED] = posted, 0.0
    elif changes and h[s, ALIVE]:
        st.money[CASH] += h[s, POSTED]
        h[s, POSTED] = 0.0
    if changes and h[s, ALIVE]:
        leave(st, s)
        enter(st, s)
    r.sym[s, ISOLATED] = isolated
    note(w, r, c, st, SWITCHED, s, pool_of(r, st, s))
    return True


@compiled
def move_margin(w: World, r: Rules, c: Cell, st: State, s: int, amount: float) -> bool:
    """Move margin into an isolated position, or out of it (below 0); False where that is refused."""
    h, mult = st.held, r.sym[s, MULTIPLIER]
    if amount == 0.0 or not r.sym[s, ISOLATED] or not h[s, ALIVE]:
        return False
    if amount > 0.0:
        free = min(available(r, c, st), max(0.0, st.money[CASH]))
        if amount > free + DUST * scale_of(r, c, st):
            return False
        amount = min(amount, free)
    else:
        value = exposure(r.sym[s, INVERSE], h[s, SIZE], mult, h[s, MARK])
        kept = max(initial_now(r, st, s), r.sym[s, KEPT] * value)
        most = max(0.0, h[s, POSTED] + min(0.0, gain_of(r, st, s)) - kept)
        if -amount > most + DUST * h[s, POSTED]:
            return False
    st.money[CASH] -= amount
    h[s, POSTED] += amount
    row = note(w, r, c, st, MOVED, s, s + 1)
    if row >= 0:
        st.events[row, E_AMOUNT] = amount
    return True


@compiled
def act(w: World, r: Rules, c: Cell, st: State, s: int, verb: int, number: float) -> None:
    """Carry an action out, or end the cell."""
    if verb == SET_LEVERAGE:
        done = set_leverage(w, r, c, st, s, number)
    elif verb == SET_MODE:
        done = set_mode(w, r, c, st, s, number)
    elif verb == PAY_IN:
        done = number > 0.0
        pay(w, r, c, st, st.counts[BAR], number)
    else:
        done = number > 0.0 and move_margin(
            w, r, c, st, s, number if verb == ADD_MARGIN else -number
        )
    if not done:
        st.counts[STATUS] = ACTION_REFUSED


@compiled
def pays_at(w: World, st: State, t: int) -> bool:
    """Whether cash was asked for at the close of the bar before, which moves at the open of this one."""
    i = st.counts[INTENT] - 1
    while i >= 0 and int(w.tape[T_BAR, i]) == t - 1:
        if int(w.tape[T_VERB, i]) == ADD_CASH:
            return True
        i -= 1
    return False


@compiled
def pay(w: World, r: Rules, c: Cell, st: State, t: int, amount: float) -> None:
    """Deposit, or withdraw (below 0) what may leave; a dead account lives again."""
    st.counts[BAR] = t
    free = min(available(r, c, st), max(0.0, st.money[CASH]))
    if amount < 0.0 and not -amount <= free * (1.0 + 1e-12):
        surprise(st)
        row = note(w, r, c, st, REFUSED, -1, 0)
        if row >= 0:
            st.events[row, E_AMOUNT] = amount
            st.events[row, E_FOUND], st.events[row, E_ALLOWED] = -amount, free
        return
    if amount < 0.0:
        amount = -min(-amount, free)
    else:
        st.money[DEPOSITED] += amount
    st.money[CASH] += amount
    row = note(w, r, c, st, DEPOSIT if amount >= 0.0 else WITHDRAWAL, -1, 0)
    if row >= 0:
        st.events[row, E_AMOUNT] = amount
    if st.counts[DEAD] and amount >= 0.0 and st.money[CASH] > 0.0:
        st.counts[DEAD] = 0
        note(w, r, c, st, REVIVED, -1, 0)
