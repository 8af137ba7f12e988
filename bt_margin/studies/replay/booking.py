"""How money moves in the kernel (:mod:`bt_margin.engine.book`)."""

from __future__ import annotations

from bt_margin.core.position import Change
from bt_margin.studies.replay.account import note, notional, pool_count, pool_equity, pool_of, worth
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ALIVE,
    ASKED_PRICE,
    BAR,
    CALLED,
    CASH,
    COUNT_COLUMNS,
    COVERED,
    DEAD,
    DEAL,
    DEAL_COVERED,
    DEAL_FEES,
    DEAL_FORCED,
    DEAL_FUNDING,
    DEAL_PRICE,
    DEATH,
    DEPOSITED,
    DIED,
    DUST,
    E_AMOUNT,
    E_BALANCE,
    E_EQUITY,
    E_FEE,
    E_ORDER,
    E_PRICE,
    E_REALISED,
    E_SIZE,
    ENTRY,
    FEES,
    FILL,
    FIRST_LOSS,
    HELD_COLUMNS,
    INSURED,
    INVERSE,
    ISOLATED,
    LIQUIDATED,
    LIQUIDATION,
    LIQUIDATION_FEES,
    LIQUIDATIONS,
    LOSSES,
    LOST,
    M_CLOSED,
    M_OPENED,
    MARK,
    MONEY_COLUMNS,
    MULTIPLIER,
    OPEN,
    POSTED,
    REALISED,
    RECORDING,
    SHORTFALL,
    SIZE,
    SLIPPED,
    SURPRISE,
    TRADED,
    TRADES,
    WINS,
    WON,
    Cell,
    Rules,
    State,
    World,
)


@compiled
def surprise(st: State) -> None:
    """Something happened that a strategy which looks at its account would have noticed."""
    if st.counts[SURPRISE] < 0:
        st.counts[SURPRISE] = st.counts[BAR]


@compiled
def leave(st: State, s: int) -> None:
    """A symbol's position is over: take it out of the order of positions."""
    count, place = st.counts[OPEN], 0
    while place < count and st.marks[M_OPENED, place] != s:
        place += 1
    for k in range(place, count - 1):
        st.marks[M_OPENED, k] = st.marks[M_OPENED, k + 1]
    st.counts[OPEN] = count - 1
    st.held[s, ALIVE] = 0.0


@compiled
def enter(st: State, s: int) -> None:
    """A symbol's position begins, after those there are."""
    st.marks[M_OPENED, st.counts[OPEN]] = s
    st.counts[OPEN] += 1
    st.held[s, ALIVE] = 1.0


@compiled
def fee_kind(st: State, forced: int, amount: float) -> None:
    """Count what was charged: a trading fee, or that of a liquidation."""
    st.money[LIQUIDATION_FEES if forced else FEES] += amount


@compiled
def close_part(r: Rules, st: State, s: int, change: Change, fee: float, released: float) -> None:
    """The closing side of a fill: result and fee to the pool, and what it gives back to the wallet."""
    h, m = st.held, st.money
    if not r.sym[s, ISOLATED]:
        m[CASH] += change.realised
        m[CASH] -= fee
        if change.opened != 0.0 or change.size == 0.0:
            leave(st, s)
        return
    h[s, POSTED] += change.realised
    h[s, POSTED] -= fee
    if change.opened != 0.0 or change.size == 0.0:
        if change.size == 0.0:
            leave(st, s)
        if h[s, POSTED] > 0.0:
            m[CASH] += h[s, POSTED]
            h[s, POSTED] = 0.0
    elif released != 0.0:
        h[s, POSTED] -= released
        m[CASH] += released


@compiled
def open_part(r: Rules, st: State, s: int, fee: float, posted: float) -> None:
    """The opening side of a fill: margin to an isolated pool, the fee out of the wallet."""
    h, m = st.held, st.money
    if not h[s, ALIVE]:
        enter(st, s)
        if r.sym[s, ISOLATED]:
            h[s, POSTED] = 0.0
            h[s, CALLED] = 0.0
    if r.sym[s, ISOLATED]:
        missing = max(0.0, posted + fee - m[CASH])
        amount = max(0.0, posted - missing)
        m[CASH] -= amount
        h[s, POSTED] += amount
    m[CASH] -= fee


@compiled
def cover(st: State, pool: int) -> float:
    """Lift a balance below zero to zero from the insurance fund; how much that took."""
    balance = st.money[CASH] if pool == 0 else st.held[pool - 1, POSTED]
    owed = max(0.0, -balance)
    if owed != 0.0:
        if pool == 0:
            st.money[CASH] += owed
        else:
            st.held[pool - 1, POSTED] += owed
        st.money[INSURED] += owed
        st.money[COVERED] += owed
    return float(owed)


@compiled
def tell_shortfall(w: World, r: Rules, c: Cell, st: State, pool: int, amount: float) -> None:
    """Write down what the fund has borne."""
    row = note(w, r, c, st, SHORTFALL, -1, pool)
    if row >= 0:
        st.events[row, E_AMOUNT] = amount
    surprise(st)


@compiled
def settle_empty(w: World, r: Rules, c: Cell, st: State, pool: int) -> None:
    """A pool without positions owes nothing; an account with nothing left is dead."""
    owed = cover(st, pool)
    if owed != 0.0:
        tell_shortfall(w, r, c, st, pool, owed)
    if st.counts[DEAD] or st.counts[OPEN] > 0:
        return
    if pool_equity(r, c, st, 0) <= st.money[DEPOSITED] * 1e-12:
        st.counts[DEAD] = 1
        st.counts[DIED] = st.counts[BAR]
        note(w, r, c, st, DEATH, -1, pool)
        surprise(st)


@compiled
def end_trade(st: State, s: int) -> None:
    """A trade is over: what it did to the equity, everything together, counts as won or lost."""
    h = st.held
    paid = h[s, DEAL_FEES] + h[s, DEAL_FORCED] + h[s, DEAL_FUNDING]
    net = h[s, DEAL_PRICE] + paid + h[s, DEAL_COVERED]
    st.counts[TRADES] += 1
    if net > 0.0:
        st.counts[WINS] += 1
        st.money[WON] += net
    elif net < 0.0:
        st.counts[LOSSES] += 1
        st.money[LOST] -= net


@compiled
def keep_trade(st: State, s: int, change: Change, fees: tuple[float, float], forced: int) -> None:
    """What a fill or a forced closing is to its trade (:mod:`bt_margin.studies.trades`).

    The size of a trade is added up from the fills, as a reader of events does it.
    """
    h, size = st.held, change.opened + change.closed
    if size == 0.0:
        return
    before, after = h[s, DEAL], h[s, DEAL] + size
    over = (forced != 0 and change.size == 0.0) or abs(after) <= DUST * max(abs(before), abs(size))
    if before == 0.0 or (before > 0.0) == (size > 0.0):
        if before == 0.0:
            h[s, DEAL_PRICE : DEAL_COVERED + 1] = 0.0
        h[s, DEAL] = after
        h[s, DEAL_FEES] -= fees[1]
        h[s, DEAL_FORCED if forced else DEAL_FEES] -= fees[0]
        return
    flips = before * after < 0.0 and not over
    own, rest = fees[0] + fees[1], 0.0
    if flips and fees[0] != 0.0 and fees[1] != 0.0:
        own, rest = fees
    elif flips and abs(before) < abs(after):
        own, rest = 0.0, own
    h[s, DEAL] = 0.0 if flips or over else after
    h[s, DEAL_PRICE] += change.realised
    h[s, DEAL_COVERED] += st.money[COVERED]
    h[s, DEAL_FORCED if forced else DEAL_FEES] -= own
    if flips or over:
        end_trade(st, s)
    if flips:
        h[s, DEAL_PRICE : DEAL_COVERED + 1] = 0.0
        h[s, DEAL], h[s, DEAL_FEES] = after, -rest


@compiled
def balance_of(st: State, pool: int) -> float:
    """What a pool holds."""
    return float(st.money[CASH] if pool == 0 else st.held[pool - 1, POSTED])


@compiled
def commit(
    w: World,
    r: Rules,
    c: Cell,
    st: State,
    s: int,
    change: Change,
    fees: tuple[float, float],
    flows: tuple[float, float],
    price: float,
    order: float,
    forced: int,
) -> int:
    """Book a fill (or a forced closing); ``fees`` closing and opening, ``flows`` posted and released.

    Returns the row of its event, −1 when none is kept.
    """
    before, owed, h = pool_of(r, st, s), 0.0, st.held
    st.money[COVERED] = 0.0
    if change.closed != 0.0 and before >= 0:
        st.money[REALISED] += change.realised
        fee_kind(st, forced, fees[0])
        close_part(r, st, s, change, fees[0], flows[1])
        if change.opened != 0.0 and before > 0:
            owed = cover(st, before)
    if change.opened != 0.0:
        fee_kind(st, forced, fees[1])
        open_part(r, st, s, fees[1], flows[0])
    h[s, SIZE], h[s, ENTRY] = change.size, change.entry
    size = change.opened + change.closed
    st.money[TRADED] += notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], price)
    if forced:
        if st.counts[LIQUIDATIONS] == 0:
            st.counts[FIRST_LOSS] = st.counts[BAR]
        st.counts[LIQUIDATIONS] += 1
        st.money[LIQUIDATED] += notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], h[s, MARK])
        surprise(st)
    else:
        lost = worth(r.sym[s, INVERSE], st.money[ASKED_PRICE]) - worth(r.sym[s, INVERSE], price)
        st.money[SLIPPED] += size * r.sym[s, MULTIPLIER] * lost
    after = pool_of(r, st, s)
    row = note(w, r, c, st, LIQUIDATION if forced else FILL, s, after if after >= 0 else before)
    if row >= 0:
        e = st.events[row]
        e[E_SIZE], e[E_PRICE], e[E_ORDER] = size, price, order
        e[E_REALISED], e[E_FEE] = change.realised, fees[0] + fees[1]
    if before >= 0 and pool_count(r, st, before) == 0:
        short = balance_of(st, before)
        if row >= 0 and short < 0.0:
            st.events[row, E_BALANCE] = 0.0
            st.events[row, E_EQUITY] += -short if before == 0 else 0.0
        settle_empty(w, r, c, st, before)
    elif owed != 0.0:
        tell_shortfall(w, r, c, st, before, owed)
    keep_trade(st, s, change, fees, forced)
    return row


@compiled
def copy_state(source: State, target: State) -> None:
    """Make one state like another, events left out and counted from nothing."""
    for s in range(len(source.held)):
        target.marks[M_OPENED, s], target.marks[M_CLOSED, s] = (
            source.marks[M_OPENED, s],
            source.marks[M_CLOSED, s],
        )
        for column in range(HELD_COLUMNS):
            target.held[s, column] = source.held[s, column]
    for column in range(MONEY_COLUMNS):
        target.money[column] = source.money[column]
    for column in range(COUNT_COLUMNS):
        target.counts[column] = source.counts[column]
    target.counts[RECORDING] = 0
    target.counts[LIQUIDATIONS] = 0
