"""Liquidation block by block in the kernel (:mod:`bt_margin.venues.blocks`)."""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core import flat
from bt_margin.studies.replay.account import (
    asked_of,
    in_pool,
    notional,
    pool_equity,
    pool_need,
)
from bt_margin.studies.replay.choosing import cost_of, listed
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    FEE_ROW,
    INVERSE,
    LOT_OVER,
    LOT_UNDER,
    M_CLOSED,
    M_OPENED,
    MARK,
    MEASURE,
    MULTIPLIER,
    N_RATE,
    OPEN,
    POLICY_ROW,
    PORTION,
    RANK,
    SIZE,
    SMALLEST,
    TARGET,
    Cell,
    Rules,
    State,
)
from bt_margin.studies.replay.sending import round_lot

share_of_equity = compiled(flat.share_of_equity)
insurance_delta = compiled(flat.insurance_delta)


class Sold(NamedTuple):
    """Unsigned quote of a closing, what slipped, how far it is above the bankruptcy quote, fee, freed."""

    quote: float
    slipped: float
    owed: float
    fee: float
    freed: float


@compiled
def mark_value(r: Rules, st: State, s: int, size: float) -> float:
    """Unsigned notional of so much of a symbol at its mark."""
    return notional(r.sym[s, INVERSE], size, r.sym[s, MULTIPLIER], st.held[s, MARK])


@compiled
def sold(r: Rules, c: Cell, st: State, s: int, size: float, equity: float, need: float) -> Sold:
    """What closing ``size`` of a position does while the account holds ``equity``."""
    mark, inverse, mult = st.held[s, MARK], r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    value, whole = mark_value(r, st, s, size), mark_value(r, st, s, st.held[s, SIZE])
    freed = asked_of(r, st, s, whole) - asked_of(r, st, s, whole - value)
    share = share_of_equity(equity, need, freed) if need > 0.0 else equity
    rate, side = r.fees[2, st.counts[FEE_ROW], s], 1.0 if st.held[s, SIZE] > 0.0 else -1.0
    slippage = max(0.0, (cost_of(r, c, st, s) - rate) / (1.0 - side * rate))
    quote = notional(inverse, size, mult, mark * (1.0 - slippage * side))
    signed, bankrupt = (quote, value - share) if size > 0.0 else (-quote, -value - share)
    fee = max(0.0, insurance_delta(signed, bankrupt, abs(signed) * rate))
    return Sold(quote, abs(value - quote), signed - bankrupt, fee, freed)


@compiled
def helpless(r: Rules, c: Cell, st: State, pool: int, equity: float, need: float) -> bool:
    """Whether no block can help: nothing left, too many blocks, or the fees take every share whole."""
    all_taken, spent = True, 0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if in_pool(r, s, pool):
            spent = max(spent, int(st.marks[M_CLOSED, s]))
            one = sold(r, c, st, s, st.held[s, SIZE], equity, need)
            all_taken = all_taken and one.fee >= one.owed
    return all_taken or equity <= 0.0 or spent >= r.policy[TARGET, st.counts[POLICY_ROW]]


@compiled
def everything(r: Rules, c: Cell, st: State, pool: int, equity: float, need: float) -> int:
    """All positions, whole, each at its fee."""
    count, last, began, taken = 0, -1, equity, False
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if in_pool(r, s, pool):
            one = sold(r, c, st, s, st.held[s, SIZE], equity, need)
            count, last = listed(st, count, s, 1.0, one.fee / one.quote, 0), s
            equity -= one.fee + one.slipped
            need -= one.freed
            taken = one.fee >= one.owed
    if taken and equity <= abs(began) * 1e-9:
        st.numbers[N_RATE, count - 1] = r.fees[2, st.counts[FEE_ROW], last]
    return count


@compiled
def next_largest(r: Rules, st: State, pool: int, after: int) -> int:
    """The position of the largest notional after another in that order; −1 when there is none."""
    best, most = -1, 0.0
    bound = mark_value(r, st, after, st.held[after, SIZE]) if after >= 0 else 0.0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not in_pool(r, s, pool):
            continue
        value = mark_value(r, st, s, st.held[s, SIZE])
        later = value < bound or (value == bound and r.sym[s, RANK] > r.sym[after, RANK])
        if after >= 0 and not later:
            continue
        if best < 0 or value > most or (value == most and r.sym[s, RANK] < r.sym[best, RANK]):
            best, most = s, value
    return best


@compiled
def taken_of(r: Rules, st: State, s: int, left: float) -> float:
    """The signed size that one order takes of a position while the block has so much left."""
    policy, size = r.policy[:, st.counts[POLICY_ROW]], st.held[s, SIZE]
    value = mark_value(r, st, s, size)
    most = min(max(min(policy[SMALLEST], value), policy[PORTION] * value), left)
    step = r.sym[s, LOT_OVER] / r.sym[s, LOT_UNDER]
    if value <= most or abs(size) <= step:
        return float(size)
    part = min(max(round_lot(r, s, abs(size) * most / value), step), abs(size))
    return float(part if size > 0.0 else -part)


@compiled
def next_block(r: Rules, c: Cell, st: State, pool: int) -> int:
    """The closings of the next block, largest notional first, or of everything when no block can help."""
    equity, need = pool_equity(r, c, st, pool), pool_need(r, c, st, pool)
    if helpless(r, c, st, pool, equity, need):
        return everything(r, c, st, pool, equity, need)
    count, left = 0, r.policy[MEASURE, st.counts[POLICY_ROW]]
    s = next_largest(r, st, pool, -1)
    while s >= 0 and left > 0.0 and (count == 0 or (need > 0.0 and equity < need)):
        size = taken_of(r, st, s, left)
        one = sold(r, c, st, s, size, equity, need)
        count = listed(st, count, s, min(1.0, size / st.held[s, SIZE]), one.fee / one.quote, 0)
        left -= mark_value(r, st, s, size)
        equity -= one.fee + one.slipped
        need -= one.freed
        s = next_largest(r, st, pool, s)
    return count
