"""Orders on their way in and out, in the kernel: judged, refused, filled."""

from __future__ import annotations

from bt_margin.studies.replay.account import equity_of, note, notional, pool_of
from bt_margin.studies.replay.booking import commit, surprise
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    AHEAD,
    ASKED,
    AT_CLOSE,
    AT_MARKET,
    CLOSE,
    DEAD,
    DEAD_REJECTIONS,
    E_ALLOWED,
    E_FOUND,
    E_ORDER,
    E_PRICE,
    E_REASON,
    E_SIZE,
    FAMILY,
    INVERSE,
    IS_DEAD,
    LEAST,
    LIMIT,
    LOSS,
    LOT_OVER,
    LOT_UNDER,
    MULTIPLIER,
    NO_LOT,
    NO_REASON,
    NOTIONAL,
    PRICE,
    REDUCING,
    REF,
    REJECTED,
    REJECTIONS,
    REQUESTED,
    RESERVING,
    SIZE,
    SYMBOL,
    TAG,
    TOO_SMALL,
    TYPE,
    Cell,
    Rules,
    State,
    World,
)
from bt_margin.studies.replay.orders import Verdict, judge, plan, priced


@compiled
def tell_rejection(
    w: World, r: Rules, c: Cell, st: State, s: int, size: float, price: float, ref: float,
    verdict: Verdict,
) -> None:  # fmt: skip
    """Write down that an order, or its opening part, was refused."""
    st.counts[REJECTIONS] += 1
    if st.counts[DEAD]:
        st.counts[DEAD_REJECTIONS] += 1
    surprise(st)
    row = note(w, r, c, st, REJECTED, s, pool_of(r, st, s))
    if row >= 0:
        e = st.events[row]
        e[E_SIZE], e[E_PRICE], e[E_ORDER], e[E_REASON] = size, price, ref, verdict.reason
        e[E_FOUND], e[E_ALLOWED] = verdict.found, verdict.allowed


@compiled
def unusable(r: Rules, st: State, s: int, q: int, price: float) -> Verdict:
    """What no venue takes: less than a lot, less than the smallest order."""
    order = st.queue[q]
    size, held = order[ASKED], st.held[s, SIZE]
    if st.counts[DEAD]:
        return Verdict(NO_REASON, 0.0, 0.0)
    if r.sym[s, LOT_OVER] != 0.0 and size == 0.0:
        return Verdict(NO_LOT, abs(order[REQUESTED]), r.sym[s, LOT_OVER] / r.sym[s, LOT_UNDER])
    free = order[REDUCING] or held * size < 0.0 or order[FAMILY] != order[TAG]
    if r.sym[s, LEAST] != 0.0 and not free:
        value = notional(r.sym[s, INVERSE], abs(size), r.sym[s, MULTIPLIER], price)
        if value < r.sym[s, LEAST]:
            return Verdict(TOO_SMALL, value, r.sym[s, LEAST])
    return Verdict(NO_REASON, 0.0, 0.0)


@compiled
def admit(w: World, r: Rules, c: Cell, st: State, q: int) -> bool:
    """Judge a submitted order; accepted it reserves its margin, refused it is an event."""
    order = st.queue[q]
    s, size, price, kind = int(order[SYMBOL]), order[ASKED], order[CLOSE], order[TYPE]
    child = order[FAMILY] != order[TAG]
    if kind not in (AT_MARKET, AT_CLOSE):
        named = order[LIMIT] if order[LIMIT] != 0.0 else order[PRICE]
        price = named if named > 0.0 else price
    verdict = unusable(r, st, s, q, price)
    one = priced(r, st, s, size, price)
    if verdict.reason == NO_REASON:
        verdict = judge(r, c, st, s, one, price, int(order[REDUCING] or child))
    if verdict.reason != NO_REASON:
        tell_rejection(w, r, c, st, s, size, price, order[REF], verdict)
        return False
    held = st.held[s, SIZE]
    reduces = order[REDUCING] or child or (held * size < 0.0 and abs(size) <= abs(held))
    order[NOTIONAL], order[LOSS] = one.notional, one.loss
    order[RESERVING] = 0.0 if reduces else 1.0
    order[AHEAD] = 1.0 if reduces and kind == AT_MARKET and not child else 0.0
    return True


@compiled
def fill(
    w: World, r: Rules, c: Cell, st: State, s: int, size: float, price: float, ref: float, maker: int
) -> bool:  # fmt: skip
    """Book a fill; an opening part the account cannot carry is refused, the closing part always happens.

    ``maker``: 2 for a fill that pays the maker's fee, else 0. Whether nothing was refused.
    """
    made = plan(r, c, st, s, size, price, ref, maker)
    verdict = made.verdict
    if st.counts[DEAD] and made.change.opened != 0.0:
        verdict = Verdict(IS_DEAD, equity_of(r, c, st), 0.0)
    if verdict.reason != NO_REASON:
        tell_rejection(w, r, c, st, s, made.change.opened, price, ref, verdict)
        if made.change.closed == 0.0:
            return False
        made = plan(r, c, st, s, made.change.closed, price, ref, maker)
    fees = (made.closing_fee, made.opening_fee)
    commit(w, r, c, st, s, made.change, fees, (made.posted, made.released), price, ref, 0)
    return bool(verdict.reason == NO_REASON)
