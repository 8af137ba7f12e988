"""Orders of the kernel: what they reserve, who may send them, what a fill would do.

The same rules as :mod:`bt_margin.engine.orders` and :mod:`bt_margin.engine.plan`, for venues whose margin
grows with the notional.
"""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core.position import Change
from bt_margin.studies.replay.account import (
    cap_of,
    changed,
    equity_of,
    gain_of,
    notional,
    pool_equity,
    scale_of,
    taker_rate,
    value_of,
    worth,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    AHEAD,
    ALIVE,
    ASKED,
    CASH,
    DEAD,
    DUST,
    ENTRY,
    FEE_IN_CHECK,
    FEE_ROW,
    INVERSE,
    IS_DEAD,
    ISOLATED,
    LEVERAGE,
    LOSS,
    M_OPENED,
    MARK,
    MULTIPLIER,
    NO_MARGIN,
    NO_REASON,
    NOTIONAL,
    OPEN,
    OPEN_LOSS,
    ORDERS,
    OVER_CAP,
    POSTED,
    PREMIUM_ROW,
    REF,
    RESERVING,
    SIZE,
    SYMBOL,
    Cell,
    Rules,
    State,
)


class Extra(NamedTuple):
    """An order as what it reserves: signed size, notional at its price, open loss."""

    size: float
    notional: float
    loss: float


class Verdict(NamedTuple):
    """Why not, and the two numbers that decided it; the reason 0 is a yes."""

    reason: int
    found: float
    allowed: float


class Made(NamedTuple):
    """What a fill would do, the money it moves, and whether it may."""

    change: Change
    closing_fee: float
    opening_fee: float
    posted: float
    released: float
    verdict: Verdict


@compiled
def unreserved(r: Rules, c: Cell, st: State) -> float:
    """Cross equity less initial margin."""
    free = st.money[CASH]
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not r.sym[s, ISOLATED]:
            free += gain_of(r, st, s) - value_of(r, st, s) / st.held[s, LEVERAGE]
    return float(free)


@compiled
def reserved_by(
    r: Rules, c: Cell, st: State, s: int, without: float, extra: Extra, size: float
) -> float:
    """Margin a symbol's open orders and one more reserve beside a position of ``size``."""
    bids, asks, loss, count = 0.0, 0.0, 0.0, 0
    for k in range(st.counts[ORDERS]):
        q = st.queue[k]
        if q[SYMBOL] == s and q[RESERVING] and q[REF] != without:
            count += 1
            loss += q[LOSS]
            if q[ASKED] > 0.0:
                bids += q[NOTIONAL]
            else:
                asks += q[NOTIONAL]
    if extra.size != 0.0:
        count += 1
        loss += extra.loss
        if extra.size > 0.0:
            bids += extra.notional
        else:
            asks += extra.notional
    if count == 0:
        return 0.0
    leverage = st.held[s, LEVERAGE]
    held = 0.0
    if size != 0.0:
        held = notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], st.held[s, MARK])
    same, against = (bids, asks) if size > 0.0 else (asks, bids)
    if r.sym[s, ISOLATED]:
        kept = held / leverage
        if st.held[s, ALIVE] and size == st.held[s, SIZE]:
            kept = pool_equity(r, c, st, s + 1)
        need = max(same / leverage, (against - held) / leverage - max(0.0, kept))
    else:
        need = (max(held + same, against - held) - held) / leverage
    return float(max(0.0, need) + loss)


@compiled
def total_reserved(r: Rules, c: Cell, st: State, without: int) -> float:
    """Margin reserved by all open orders, those of one symbol left out (−1: none)."""
    total = 0.0
    for s in range(len(st.held)):
        if s != without:
            total += reserved_by(r, c, st, s, -1.0, Extra(0.0, 0.0, 0.0), st.held[s, SIZE])
    return total


@compiled
def freed(r: Rules, c: Cell, st: State) -> float:
    """Margin that orders ahead give back: initial margin of what they close, isolated its money."""
    found = 0.0
    for s in range(len(st.held)):
        closing, size = 0.0, st.held[s, SIZE]
        for k in range(st.counts[ORDERS]):
            q = st.queue[k]
            if q[SYMBOL] == s and q[AHEAD] and q[ASKED] * size < 0.0:
                closing += abs(q[ASKED])
        if closing > 0.0:
            if r.sym[s, ISOLATED] and st.held[s, ALIVE]:
                held = pool_equity(r, c, st, s + 1)
            else:
                held = value_of(r, st, s) / st.held[s, LEVERAGE]
            found += max(0.0, held) * min(1.0, closing / abs(size))
    return found


@compiled
def plan_at(
    r: Rules, c: Cell, st: State, s: int, size: float, price: float, ref: float, resting: int,
    scale: float,
) -> Made:  # fmt: skip
    """What filling signed ``size`` at ``price`` would do, float dust measured against ``scale``.

    ``resting``: 0 a taker's fill, 1 an order that still has to wait, 2 a maker's fill
    """
    h, inverse, mult = st.held, r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    change = changed(inverse, mult, h[s, SIZE], h[s, ENTRY], size, price)
    rate = r.fees[0 if resting == 2 else 1, st.counts[FEE_ROW], s]
    closing = notional(inverse, change.closed, mult, price) * rate
    opening = notional(inverse, change.opened, mult, price) * rate
    available = unreserved(r, c, st)
    if r.sym[s, ISOLATED]:
        available = min(available, max(0.0, st.money[CASH]))
    allowed = available - total_reserved(r, c, st, s)
    allowed -= reserved_by(r, c, st, s, ref, Extra(0.0, 0.0, 0.0), change.size)
    posted, released, leverage = 0.0, 0.0, h[s, LEVERAGE]
    mark = h[s, MARK] if h[s, MARK] != 0.0 else price
    if r.sym[s, ISOLATED]:
        balance = h[s, POSTED] if h[s, ALIVE] else 0.0
        if change.opened != 0.0:
            posted = notional(inverse, change.opened, mult, price) / leverage
        if change.closed != 0.0:
            share = 1.0
            if change.size != 0.0 and change.opened == 0.0:
                share = abs(change.closed) / abs(h[s, SIZE])
            released = max(0.0, balance * share + change.realised - closing)
        test = allowed + released - posted - opening
        scale = min(scale, posted + opening)
    else:
        fees = closing + opening
        marked = size * mult * (worth(inverse, mark) - worth(inverse, price))
        if resting == 1:
            marked = min(0.0, marked)
        initial = notional(inverse, change.size, mult, mark) / leverage
        test = allowed + (marked - fees - initial + value_of(r, st, s) / leverage)
        if not r.flags[FEE_IN_CHECK]:
            test += fees
    verdict = judged_opening(r, st, s, change, mark, test, allowed, scale)
    return Made(change, closing, opening, posted, released, verdict)


@compiled
def judged_opening(
    r: Rules, st: State, s: int, change: Change, mark: float, test: float, allowed: float,
    scale: float,
) -> Verdict:  # fmt: skip
    """Whether the opening part may be: within the venue's cap, and paid for."""
    if change.opened == 0.0:
        return Verdict(NO_REASON, 0.0, 0.0)
    most = cap_of(r, st, s)
    value = notional(r.sym[s, INVERSE], change.size, r.sym[s, MULTIPLIER], mark)
    if value > most:
        return Verdict(OVER_CAP, value, most)
    if test < -DUST * scale:
        return Verdict(NO_MARGIN, allowed - test, allowed)
    return Verdict(NO_REASON, 0.0, 0.0)


@compiled
def plan(
    r: Rules, c: Cell, st: State, s: int, size: float, price: float, ref: float, resting: int
) -> Made:
    """What filling signed ``size`` at ``price`` would do; the size of the account is asked only in doubt."""
    made = plan_at(r, c, st, s, size, price, ref, resting, 0.0)
    if made.verdict.reason != NO_MARGIN:
        return made
    return plan_at(r, c, st, s, size, price, ref, resting, scale_of(r, c, st))


@compiled
def priced(r: Rules, st: State, s: int, size: float, price: float) -> Extra:
    """An order at the price the venue assumes for it, with its open loss where the venue asks."""
    mark = st.held[s, MARK] if st.held[s, MARK] != 0.0 else price
    inverse, mult, loss, assumed = r.sym[s, INVERSE], r.sym[s, MULTIPLIER], 0.0, price
    if r.flags[OPEN_LOSS]:
        loss = max(0.0, -(size * mult * (worth(inverse, mark) - worth(inverse, price))))
    premium = r.premium[1, st.counts[PREMIUM_ROW]]
    if premium != 0.0 and not size > 0.0:
        assumed = max(mark * (1.0 + premium), mark, price)
    return Extra(size, notional(inverse, size, mult, assumed), loss)


@compiled
def over_cap(r: Rules, st: State, s: int, one: Extra) -> Verdict:
    """Whether position and orders of one side would exceed the venue's cap at the leverage."""
    side, size = 0.0, st.held[s, SIZE]
    for k in range(st.counts[ORDERS]):
        q = st.queue[k]
        if q[SYMBOL] == s and q[RESERVING] and q[ASKED] * one.size > 0.0:
            side += q[NOTIONAL]
    value = value_of(r, st, s) if size != 0.0 else 0.0
    held = value if size * one.size > 0.0 else -value
    total = max(0.0, held + side + one.notional)
    allowed = cap_of(r, st, s)
    return Verdict(OVER_CAP if total > allowed else NO_REASON, total, allowed)


@compiled
def judge(r: Rules, c: Cell, st: State, s: int, one: Extra, price: float, reducing: int) -> Verdict:
    """What the account says to a new order."""
    size, held = one.size, st.held[s, SIZE]
    if st.counts[DEAD]:
        return Verdict(IS_DEAD, equity_of(r, c, st), 0.0)
    if (held * size < 0.0 and abs(size) <= abs(held)) or reducing:
        return Verdict(NO_REASON, 0.0, 0.0)
    capped = over_cap(r, st, s, one)
    if capped.reason != NO_REASON:
        return capped
    if held * size < 0.0:
        return plan(r, c, st, s, size, price, -1.0, 1).verdict
    nothing = Extra(0.0, 0.0, 0.0)
    free = unreserved(r, c, st) - total_reserved(r, c, st, -1)
    needed = reserved_by(r, c, st, s, -1.0, one, held) - reserved_by(
        r, c, st, s, -1.0, nothing, held
    )
    if r.flags[FEE_IN_CHECK] or r.sym[s, ISOLATED]:
        needed += notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], price) * taker_rate(
            r, st, s
        )
    if r.sym[s, ISOLATED]:
        free = min(free, max(0.0, st.money[CASH]))
    free += freed(r, c, st)
    if needed > free and needed > free + DUST * scale_of(r, c, st):
        return Verdict(NO_MARGIN, needed, free)
    return Verdict(NO_REASON, needed, free)
