"""Orders that wait, in the kernel: what a bar does to them, what they pay, and how they end.

The rules of backtrader's own broker (``_try_exec_limit`` and its like), of :mod:`bt_margin.plugin.matching`
for walks, and of the groups and brackets whose orders end together.
"""

from __future__ import annotations

from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    ACCEPTED,
    ACTIVE,
    ASKED,
    AT_CLOSE,
    AT_LIMIT,
    AT_MARKET,
    AT_OPEN,
    EXPIRES,
    FAMILY,
    FARED,
    FILLED,
    FIXED,
    GROUP,
    HIDDEN,
    LATER,
    LIMIT,
    MARKED,
    N_RESTS,
    NOTED,
    NOTHING,
    OFFSET,
    ORDERS,
    OUTSIDE,
    P_CLOSE,
    P_HIGH,
    P_LOW,
    P_MARK_CLOSE,
    P_MARK_HIGH,
    P_MARK_LOW,
    P_OPEN,
    PRICE,
    QUEUE_COLUMNS,
    SESSION,
    SHARE,
    STOP_LIMIT,
    STOP_TRAIL,
    SURPRISE,
    SYMBOL,
    T_FATE,
    T_FATE_BAR,
    T_FATE_TAG,
    TAG,
    TRAIL,
    TRAIL_LIMIT,
    TRAIL_SHARE,
    TRIGGERED,
    TYPE,
    UNFIT,
    UNPAID,
    Cell,
    Floats,
    State,
    World,
)

INFINITE = float("inf")
#: What an order waits for in a walk: nothing yet, its turn, a limit, a stop, the stop of a limit, the close.
NOT_YET, TURN, TO_LIMIT, TO_STOP, TO_TRIGGER, TO_CLOSE = range(6)

# -- how orders end ----------------------------------------------------------------------------------


@compiled
def drop(st: State, q: int) -> None:
    """Take an order out of the queue."""
    last = st.counts[ORDERS] - 1
    for k in range(q, last):
        for column in range(QUEUE_COLUMNS):
            st.queue[k, column] = st.queue[k + 1, column]
    st.counts[ORDERS] = last


@compiled
def end_group(st: State, group: float, waiting: int) -> None:
    """The end of one order of a group is that of the others; ``waiting``: not of those not yet judged."""
    for k in range(st.counts[ORDERS] - 1, -1, -1):
        if st.queue[k, GROUP] == group and (st.queue[k, ACCEPTED] or not waiting):
            drop(st, k)


@compiled
def end(st: State, q: int, how: int, t: int) -> None:
    """Take an order out of the queue, with all that its end entails for its group and its bracket."""
    group, family, tag = st.queue[q, GROUP], st.queue[q, FAMILY], st.queue[q, TAG]
    drop(st, q)
    end_group(st, group, int(how == UNFIT))
    k = 0
    while k < st.counts[ORDERS]:
        if st.queue[k, FAMILY] != family:
            k += 1
        elif (
            how == FILLED and family == tag
        ):  # the parent: its children are there from the next bar on
            st.queue[k, ACTIVE] = t + 1
            k += 1
        else:
            group = st.queue[k, GROUP]
            drop(st, k)
            end_group(st, group, 0)
            k = 0


@compiled
def fared(w: World, c: Cell, st: State, tag: float, how: int, t: int) -> None:
    """An order has ended of itself: a surprise if it did not so when the tape was recorded.

    One that was not paid for is a surprise already.
    """
    k = st.counts[FARED]
    if how == UNPAID or not c.obedient or w.tape.shape[1] == 0 or w.tape[T_FATE_BAR, 0] < 0.0:
        return
    same = k < w.tape.shape[1] and w.tape[T_FATE_BAR, k] == t
    if same and w.tape[T_FATE_TAG, k] == tag and w.tape[T_FATE, k] == how:
        st.counts[FARED] = k + 1
    elif st.counts[SURPRISE] < 0:
        st.counts[SURPRISE] = t


@compiled
def missed(w: World, c: Cell, st: State, t: int) -> None:
    """A surprise if an order had ended up to this bar when the tape was recorded, and has not now."""
    k = st.counts[FARED]
    if not c.obedient or k >= w.tape.shape[1] or st.counts[SURPRISE] >= 0:
        return
    if 0.0 <= w.tape[T_FATE_BAR, k] <= t:
        st.counts[SURPRISE] = int(w.tape[T_FATE_BAR, k])


# -- what a bar does to them ---------------------------------------------------------------------------


@compiled
def stops_at(order: Floats) -> bool:
    """Whether an order still waits for its stop."""
    return bool(order[TYPE] > AT_LIMIT and order[TRIGGERED] == 0.0)


@compiled
def reaches(w: World, order: Floats, t: int) -> int:
    """Whether an order can fill in its symbol's bar: 0 no, 1 yes, 2 yes and the bar must be walked."""
    s, buys, price = int(order[SYMBOL]), order[ASKED] > 0.0, order[PRICE]
    if order[TYPE] == AT_MARKET or order[TYPE] == AT_CLOSE:
        return 1
    if stops_at(order):
        if order[MARKED]:
            met = (
                w.prices[P_MARK_HIGH, s, t] >= price
                if buys
                else w.prices[P_MARK_LOW, s, t] <= price
            )
            return 2 if met else 0
        return int(w.prices[P_HIGH, s, t] >= price if buys else w.prices[P_LOW, s, t] <= price)
    if order[TYPE] != AT_LIMIT:
        price = order[LIMIT]
    return int(w.prices[P_LOW, s, t] <= price if buys else w.prices[P_HIGH, s, t] >= price)


@compiled
def set_rests(w: World, st: State, t: int) -> float:
    """Prices at which orders need a closer look; the bar before which none expires, ``t`` if one must act."""
    n, end = st.numbers, LATER
    n[N_RESTS, :] = n[N_RESTS + 2, :] = -INFINITE
    n[N_RESTS + 1, :] = n[N_RESTS + 3, :] = INFINITE
    for q in range(st.counts[ORDERS]):
        order = st.queue[q]
        if not order[ACCEPTED]:
            return float(t)
        if order[TYPE] != AT_MARKET:
            end = min(end, order[EXPIRES])
        if order[ACTIVE] > t:
            if order[ACTIVE] != LATER:
                return float(t)
            continue
        stop = stops_at(order)
        trails = order[TYPE] == STOP_TRAIL or order[TYPE] == TRAIL_LIMIT
        if order[TYPE] == AT_MARKET or order[TYPE] == AT_CLOSE or (stop and trails):
            return float(t)
        price, s = (
            order[PRICE] if stop or order[TYPE] == AT_LIMIT else order[LIMIT],
            int(order[SYMBOL]),
        )
        row = N_RESTS + (2 if stop and order[MARKED] else 0)
        if (order[ASKED] > 0.0) == stop:
            n[row + 1, s] = min(n[row + 1, s], price)
        else:
            n[row, s] = max(n[row, s], price)
    return end


@compiled
def stance(w: World, order: Floats, t: int) -> int:
    """What an order waits for in a walk."""
    if order[HIDDEN] or order[ACTIVE] > t or not w.places[0, int(order[SYMBOL]), t]:
        return NOT_YET
    kind = int(order[TYPE])
    if kind == AT_MARKET:
        return TURN
    if kind == AT_CLOSE:
        if t < order[SESSION]:
            return NOT_YET
        return TURN if order[NOTED] != 0.0 else TO_CLOSE
    if kind == AT_LIMIT or order[TRIGGERED]:
        return TO_LIMIT
    return TO_TRIGGER if kind in (STOP_LIMIT, TRAIL_LIMIT) else TO_STOP


@compiled
def trail(w: World, order: Floats, t: int) -> None:
    """Let a trailing stop follow the close of what triggers it."""
    if order[TYPE] == STOP_TRAIL or order[TYPE] == TRAIL_LIMIT:
        row = P_MARK_CLOSE if order[MARKED] else P_CLOSE
        follow(order, w.prices[row, int(order[SYMBOL]), t], order[ASKED] > 0.0)


@compiled
def follow(order: Floats, price: float, buys: bool) -> None:
    """Move a trailing stop to its distance from a price, if that is nearer."""
    distance = order[TRAIL] if order[TRAIL] != 0.0 else price * order[TRAIL_SHARE]
    at = price + distance if buys else price - distance
    if at < order[PRICE] if buys else at > order[PRICE]:
        order[PRICE] = at
        if order[TYPE] == TRAIL_LIMIT:
            order[LIMIT] = at - order[OFFSET]


# -- what they pay ---------------------------------------------------------------------------------------


@compiled
def slid(c: Cell, buys: bool, bound: float, price: float, slips: float) -> float:
    """A price worse by the slippage, held inside the bound unless it may leave it."""
    if not slips or (c.slip[SHARE] == 0.0 and c.slip[FIXED] == 0.0):
        return float(price)
    if buys:
        worse = price * (1.0 + c.slip[SHARE]) if c.slip[SHARE] else price + c.slip[FIXED]
        return float(worse if worse <= bound or c.slip[OUTSIDE] else bound)
    worse = price * (1.0 - c.slip[SHARE]) if c.slip[SHARE] else price - c.slip[FIXED]
    return float(worse if worse >= bound or c.slip[OUTSIDE] else bound)


@compiled
def limit_price(
    w: World, c: Cell, order: Floats, t: int, limit: float, first: float
) -> tuple[float, float]:
    """What a limit order pays in a bar that begins at ``first``, and before slippage; NaN when it waits."""
    s, at_open = int(order[SYMBOL]), c.slip[AT_OPEN]
    if order[ASKED] > 0.0:
        if limit >= first:
            return slid(c, True, min(w.prices[P_HIGH, s, t], limit), first, at_open), first
        if limit >= w.prices[P_LOW, s, t]:
            return limit, limit
    else:
        if limit <= first:
            return slid(c, False, limit, first, at_open), first
        if limit <= w.prices[P_HIGH, s, t]:
            return limit, limit
    return NOTHING, NOTHING


@compiled
def stop_price(w: World, c: Cell, order: Floats, t: int, first: float) -> tuple[float, float]:
    """The same of a stop."""
    s, buys, price = int(order[SYMBOL]), order[ASKED] > 0.0, order[PRICE]
    bound = w.prices[P_HIGH if buys else P_LOW, s, t]
    if first >= price if buys else first <= price:
        return slid(c, buys, bound, first, c.slip[AT_OPEN]), first
    if bound >= price if buys else bound <= price:
        return slid(c, buys, bound, price, 1.0), price
    return NOTHING, NOTHING


@compiled
def stop_limit_price(w: World, c: Cell, order: Floats, t: int) -> tuple[float, float]:
    """The same of a stop that becomes a limit, in a bar of which only four prices are known."""
    s, buys, price, limit = int(order[SYMBOL]), order[ASKED] > 0.0, order[PRICE], order[LIMIT]
    first, close = w.prices[P_OPEN, s, t], w.prices[P_CLOSE, s, t]
    bound = w.prices[P_HIGH if buys else P_LOW, s, t]
    if first >= price if buys else first <= price:
        order[TRIGGERED] = 1.0
        return limit_price(w, c, order, t, limit, first)
    if bound >= price if buys else bound <= price:
        order[TRIGGERED] = 1.0
        if limit >= price if buys else limit <= price:
            return slid(c, buys, bound, price, 1.0), price
        if (first > close and limit >= close) if buys else (first <= close and limit <= close):
            return limit, limit
    return NOTHING, NOTHING


@compiled
def matched_price(w: World, c: Cell, order: Floats, t: int) -> tuple[float, float]:
    """What an order pays in a bar that nobody walks, and before slippage; NaN when it goes on waiting."""
    s, kind = int(order[SYMBOL]), int(order[TYPE])
    first, buys, found = w.prices[P_OPEN, s, t], order[ASKED] > 0.0, (NOTHING, NOTHING)
    if order[MARKED] and stops_at(order):
        trail(w, order, t)  # not reached: a bar that reaches it is walked
    elif kind == AT_MARKET:
        bound = w.prices[P_HIGH if buys else P_LOW, s, t]
        found = slid(c, buys, bound, first, c.slip[AT_OPEN]), first
    elif kind == AT_CLOSE:
        if t >= order[SESSION]:
            price = order[NOTED] if order[NOTED] != 0.0 else w.prices[P_CLOSE, s, t]
            found = price, price
        else:
            order[NOTED] = w.prices[P_CLOSE, s, t]
    elif kind == AT_LIMIT:
        found = limit_price(w, c, order, t, order[PRICE], first)
    elif not stops_at(order):
        found = limit_price(w, c, order, t, order[LIMIT], first)
    else:
        if kind in (STOP_LIMIT, TRAIL_LIMIT):
            found = stop_limit_price(w, c, order, t)
        else:
            found = stop_price(w, c, order, t, first)
        if found[0] != found[0]:
            trail(w, order, t)
    return found


@compiled
def walked_price(
    w: World, c: Cell, order: Floats, t: int, price: float, at_open: bool
) -> tuple[float, float]:
    """What an order pays that a walk has triggered at ``price``, and before slippage."""
    s, buys, kind = int(order[SYMBOL]), order[ASKED] > 0.0, stance(w, order, t)
    bound = w.prices[P_HIGH if buys else P_LOW, s, t]
    if kind == TURN and order[TYPE] == AT_MARKET:
        first = w.prices[P_OPEN, s, t]
        return slid(c, buys, bound, first, c.slip[AT_OPEN]), first
    if kind == TURN:
        return order[NOTED], order[NOTED]
    if kind == TO_CLOSE:
        return w.prices[P_CLOSE, s, t], w.prices[P_CLOSE, s, t]
    if kind == TO_LIMIT:
        limit = order[PRICE] if order[TYPE] == AT_LIMIT else order[LIMIT]
        return limit_price(w, c, order, t, limit, price)
    if order[MARKED]:
        return slid(c, buys, bound, price, 1.0), price
    if at_open or price != order[PRICE]:
        return stop_price(w, c, order, t, price)
    return slid(c, buys, bound, price, 1.0), price
