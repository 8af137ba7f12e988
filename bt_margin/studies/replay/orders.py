"""Orders of the kernel: what they reserve, who may send them, what a fill would do.

The same rules as :mod:`bt_margin.engine.orders`, :mod:`bt_margin.engine.plan` and, for what a fill would
leave behind, :mod:`bt_margin.engine.preview`.
"""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core.position import Change
from bt_margin.studies.replay.account import (
    INFINITE,
    cap_of,
    changed,
    equity_of,
    initial_now,
    initial_of,
    kind_of,
    needed,
    notional,
    requirement,
    scale_of,
    taker_rate,
    value_of,
    worth,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ALIVE,
    ASKED,
    AT_MARK,
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
    MARK,
    MULTIPLIER,
    NO_MARGIN,
    NO_REASON,
    NOTIONAL,
    OPEN_LOSS,
    ORDERS,
    OVER_CAP,
    POSTED,
    PREMIUM_ROW,
    RESERVING,
    SIZE,
    SYMBOL,
    Cell,
    Rules,
    State,
)
from bt_margin.studies.replay.reserving import (
    Extra,
    freed,
    reserved_by,
    total_reserved,
    unreserved,
)


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
    posted, released = 0.0, 0.0
    mark = h[s, MARK] if h[s, MARK] != 0.0 else price
    if r.sym[s, ISOLATED]:
        balance = h[s, POSTED] if h[s, ALIVE] else 0.0
        if change.opened != 0.0:
            posted = posted_for(r, st, s, change, price)
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
        initial = initial_of(r, st, s, change.size, mark, change.entry, h[s, LEVERAGE])
        test = allowed + (marked - fees - initial + initial_now(r, st, s))
        if not r.flags[FEE_IN_CHECK]:
            test += fees
    verdict = judged_opening(r, st, s, change, mark, test, allowed, scale)
    return Made(change, closing, opening, posted, released, verdict)


@compiled
def posted_for(r: Rules, st: State, s: int, change: Change, price: float) -> float:
    """The initial margin the opened part brings to an isolated position, at the price of the fill."""
    leverage = st.held[s, LEVERAGE]
    if kind_of(r, st, s) == AT_MARK:
        value = notional(r.sym[s, INVERSE], change.opened, r.sym[s, MULTIPLIER], price)
        return float(value / leverage)
    whole = initial_of(r, st, s, change.size, price, price, leverage)
    return whole - initial_of(r, st, s, change.size - change.opened, price, price, leverage)


@compiled
def judged_opening(
    r: Rules, st: State, s: int, change: Change, mark: float, test: float, allowed: float,
    scale: float,
) -> Verdict:  # fmt: skip
    """Whether the opening part may be: within the venue's cap, and paid for."""
    if change.opened == 0.0:
        return Verdict(NO_REASON, 0.0, 0.0)
    most = cap_of(r, st, s, mark)
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
    if made.verdict.reason == NO_MARGIN:
        return plan_at(r, c, st, s, size, price, ref, resting, scale_of(r, c, st))
    if made.verdict.reason == NO_REASON and kind_of(r, st, s) != AT_MARK and r.sym[s, ISOLATED]:
        return looked_at(r, st, s, made, price)
    return made


@compiled
def looked_at(r: Rules, st: State, s: int, made: Made, price: float) -> Made:
    """The plan for an isolated position, once what it would leave behind has been looked at.

    Adding may leave it short of the venue's least initial margin; a closing of a part gives nothing back
    where the rest would be in breach.
    """
    change = made.change
    adds = change.opened != 0.0 and change.closed == 0.0 and st.held[s, SIZE] != 0.0
    cuts = change.opened == 0.0 and change.size != 0.0 and made.released != 0.0
    if not adds and not cuts:
        return made
    balance = st.held[s, POSTED] if st.held[s, ALIVE] else 0.0
    balance = balance + made.posted + change.realised - made.closing_fee - made.released
    inverse, mult = r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    mark = st.held[s, MARK] if st.held[s, MARK] != 0.0 else price
    equity = balance + change.size * mult * (worth(inverse, mark) - worth(inverse, change.entry))
    asked = requirement(r, st, s, change.size, change.entry, balance)
    need, verdict, released = (
        needed(r, asked, notional(inverse, change.size, mult, mark)),
        made.verdict,
        made.released,
    )
    if adds:
        need = max(need, initial_of(r, st, s, change.size, mark, change.entry, INFINITE))
        if equity < need * (1.0 - DUST):
            verdict = Verdict(NO_MARGIN, need, equity)
    elif not equity >= need * (1.0 + DUST):
        released = 0.0
    return Made(change, made.closing_fee, made.opening_fee, made.posted, released, verdict)


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
def share_of_cap(r: Rules, st: State, s: int, size: float, value: float) -> float:
    """Notional of an order over the cap at the price it is margined at."""
    unit = value / abs(size)
    price = r.sym[s, MULTIPLIER] / unit if r.sym[s, INVERSE] else unit / r.sym[s, MULTIPLIER]
    most = cap_of(r, st, s, price)
    return value / most if most > 0.0 else INFINITE


@compiled
def over_cap(r: Rules, st: State, s: int, one: Extra, price: float) -> Verdict:
    """Whether position and orders of one side would exceed the venue's cap at the leverage.

    A cap may count contracts: then each order takes the part of it that it would take at its own price.
    """
    size, mark = st.held[s, SIZE], st.held[s, MARK] if st.held[s, MARK] != 0.0 else price
    allowed, plain = cap_of(r, st, s, mark), kind_of(r, st, s) == AT_MARK
    apart = not plain and 0.0 < allowed < INFINITE
    side = allowed * share_of_cap(r, st, s, one.size, one.notional) if apart else one.notional
    for k in range(st.counts[ORDERS]):
        q = st.queue[k]
        if q[SYMBOL] == s and q[RESERVING] and q[ASKED] * one.size > 0.0:
            value = q[NOTIONAL]
            side += allowed * share_of_cap(r, st, s, q[ASKED], value) if apart else value
    value = value_of(r, st, s) if size != 0.0 else 0.0
    held = value if size * one.size > 0.0 else -value
    total = max(0.0, held + side)
    over = total > allowed and (plain or total > allowed * (1.0 + 1e-12))
    return Verdict(OVER_CAP if over else NO_REASON, total, allowed)


@compiled
def judge(r: Rules, c: Cell, st: State, s: int, one: Extra, price: float, reducing: int) -> Verdict:
    """What the account says to a new order."""
    size, held = one.size, st.held[s, SIZE]
    if st.counts[DEAD]:
        return Verdict(IS_DEAD, equity_of(r, c, st), 0.0)
    if (held * size < 0.0 and abs(size) <= abs(held)) or reducing:
        return Verdict(NO_REASON, 0.0, 0.0)
    capped = over_cap(r, st, s, one, price)
    if capped.reason != NO_REASON:
        return capped
    if held * size < 0.0:
        return plan(r, c, st, s, size, price, -1.0, 1).verdict
    nothing = Extra(0.0, 0.0, 0.0)
    free = unreserved(r, c, st) - total_reserved(r, c, st, -1)
    asked = reserved_by(r, c, st, s, -1.0, one, held) - reserved_by(
        r, c, st, s, -1.0, nothing, held
    )
    if r.flags[FEE_IN_CHECK] or r.sym[s, ISOLATED]:
        asked += notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], price) * taker_rate(
            r, st, s
        )
    if r.sym[s, ISOLATED]:
        free = min(free, max(0.0, st.money[CASH]))
    free += freed(r, c, st)
    if asked > free and asked > free + DUST * scale_of(r, c, st):
        return Verdict(NO_MARGIN, asked, free)
    if held != 0.0 and kind_of(r, st, s) != AT_MARK and r.sym[s, ISOLATED]:
        made = plan(r, c, st, s, size, price, -1.0, 1)
        clear = Verdict(NO_REASON, 0.0, 0.0)
        again = Made(
            made.change, made.closing_fee, made.opening_fee, made.posted, made.released, clear
        )
        return looked_at(r, st, s, again, price).verdict
    return Verdict(NO_REASON, asked, free)
