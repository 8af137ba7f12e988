"""Liquidation policies in the kernel: what of a pool in breach is closed next, and how.

:mod:`bt_margin.venues.policies`, ``backstop``, ``partial_sale``, ``tier_ladder`` and ``tier_cuts``; the one
that sells in blocks is in :mod:`~bt_margin.studies.replay.blocks`. What is chosen stands in scratch rows:
symbols (``M_CLOSE``), fractions (``N_PART``), fee rates (``N_RATE``, not a number: the venue's) and takeovers
(``M_TAKEN``).
"""

from __future__ import annotations

from bt_margin.core.flat import BELOW
from bt_margin.studies.replay.account import (
    asked_of,
    enough,
    exposure,
    gain,
    gain_of,
    in_pool,
    notional,
    pool_count,
    pool_equity,
    pool_need,
    required,
    taker_rate,
    tier_at,
    tier_of_count,
    value_of,
)
from bt_margin.studies.replay.compile import compiled
from bt_margin.studies.replay.layout import (
    BACKSTOP,
    BAR,
    CAPS,
    CUT,
    CUT_BAR,
    CUTS,
    ENTRY,
    FEE_ROW,
    FULL_CLOSE,
    INVERSE,
    JUST_ENOUGH,
    KIND,
    LADDER,
    LIQUIDATION_SLIP,
    LOT_OVER,
    LOT_UNDER,
    M_CLOSE,
    M_CLOSED,
    M_OPENED,
    M_TAKEN,
    MARK,
    MEASURE,
    MULTIPLIER,
    N_PART,
    N_RATE,
    NOTHING,
    OPEN,
    PARTIAL,
    POLICY_ROW,
    PORTION,
    RANK,
    RATES,
    SIZE,
    SLICES,
    SMALLEST,
    STEP_DOWN,
    TABLE,
    TAKEOVER,
    TARGET,
    Cell,
    Rules,
    State,
    World,
)

NOISE = 1e-6


@compiled
def listed(st: State, at: int, s: int, part: float, rate: float, takeover: int) -> int:
    """Write a closing down; how many there are now."""
    st.marks[M_CLOSE, at], st.marks[M_TAKEN, at] = s, takeover
    st.numbers[N_PART, at], st.numbers[N_RATE, at] = part, rate
    return at + 1


@compiled
def listed_all(r: Rules, st: State, pool: int, takeover: int) -> int:
    """Every position of a pool, whole, in the order they were opened."""
    count = 0
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if in_pool(r, s, pool):
            count = listed(st, count, s, 1.0, NOTHING, takeover)
    return count


@compiled
def slipped(c: Cell, st: State, s: int) -> float:
    """The mark, worse by the slippage for the side that closes."""
    lost, mark = c.slip[LIQUIDATION_SLIP], st.held[s, MARK]
    return float(mark * (1.0 - lost) if st.held[s, SIZE] > 0.0 else mark * (1.0 + lost))


@compiled
def cost_of(r: Rules, c: Cell, st: State, s: int) -> float:
    """What selling a unit of notional takes out of the pool: slippage, and the fee on the sale."""
    price, inverse, mult = slipped(c, st, s), r.sym[s, INVERSE], r.sym[s, MULTIPLIER]
    fee = exposure(inverse, st.held[s, SIZE], mult, price)
    fee *= r.fees[2, st.counts[FEE_ROW], s]
    lost = gain(inverse, st.held[s, SIZE], mult, st.held[s, MARK], price)
    return float((fee - lost) / value_of(r, st, s))


@compiled
def next_loser(r: Rules, c: Cell, st: State, pool: int, after: int) -> int:
    """The position with the largest unrealised loss after another in that order; −1 when there is none."""
    best = -1
    for k in range(st.counts[OPEN]):
        s = st.marks[M_OPENED, k]
        if not in_pool(r, s, pool) or (after >= 0 and not worse(r, st, after, s)):
            continue
        if best < 0 or worse(r, st, s, best):
            best = s
    return best


@compiled
def worse(r: Rules, st: State, one: int, other: int) -> bool:
    """Whether one position loses more than another; of equal losers the first by name."""
    a, b = gain_of(r, st, one), gain_of(r, st, other)
    return a < b or (a == b and r.sym[one, RANK] < r.sym[other, RANK])


@compiled
def tier_floor(r: Rules, st: State, s: int, value: float) -> float:
    """Where the tier of a notional begins."""
    first, last, _, _ = required(r, st, s)
    place = tier_at(r.tiers[CAPS], first, last, value)
    return r.tiers[CAPS, place - 1] if place > first else 0.0


@compiled
def choose(w: World, r: Rules, c: Cell, st: State, pool: int) -> int:
    """The next closings of a pool in breach, by the policy in force (those in blocks elsewhere)."""
    policy = r.policy[:, st.counts[POLICY_ROW]]
    kind, takeover = int(policy[KIND]), int(policy[TAKEOVER])
    if kind == FULL_CLOSE:
        return listed_all(r, st, pool, takeover)
    if kind == JUST_ENOUGH:
        return just_enough(r, c, st, pool)
    equity, worst = pool_equity(r, c, st, pool), next_loser(r, c, st, pool, -1)
    part, rate = 1.0, NOTHING
    if kind == BACKSTOP:
        if equity < policy[PORTION] * pool_need(r, c, st, pool):
            return listed_all(r, st, pool, 1)
        part = first_part(w, r, st, worst)
    elif kind == PARTIAL:
        part = restoring(r, c, st, pool, worst)
    elif kind == LADDER:
        worst = next_exposed(r, c, st, pool, worst)
        part, rate = laddered(r, c, st, pool, worst), taker_rate(r, st, worst)
    elif kind == CUT:
        part = cut_down(r, st, pool, worst, equity)
    elif equity > 0.0:
        part = sliced(r, st, worst)
    if part >= 1.0 and pool_count(r, st, pool) == 1:
        return listed(st, 0, worst, 1.0, rate if takeover else NOTHING, takeover)
    return listed(st, 0, worst, part, NOTHING, 0)


@compiled
def sliced(r: Rules, st: State, s: int) -> float:
    """What goes next of a position: down one tier, or an equal slice; 1 where that is all of it."""
    policy = r.policy[:, st.counts[POLICY_ROW]]
    value = notional(r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK])
    if policy[KIND] == STEP_DOWN:
        floor = tier_floor(r, st, s, value)
        return float(1.0 - floor * BELOW / value if floor > 0.0 else 1.0)
    if policy[KIND] == SLICES:
        left = 1.0 / policy[TARGET] - st.marks[M_CLOSED, s]
        rest = quote_value(r, st, s) * (1.0 - 1.0 / left) if left > 1.0 else 0.0
        return float(1.0 / left if rest > policy[SMALLEST] else 1.0)
    return 1.0


@compiled
def first_part(w: World, r: Rules, st: State, s: int) -> float:
    """A share of a large position at first, unless another was cut a moment ago; then all of it."""
    policy, cut = r.policy[:, st.counts[POLICY_ROW]], st.counts[CUT_BAR]
    warm = cut > 0 and w.start[st.counts[BAR]] - w.start[cut - 1] < policy[MEASURE]
    if warm or not quote_value(r, st, s) > policy[SMALLEST]:
        return 1.0
    for k in range(len(st.held)):
        if st.marks[M_CLOSED, k] > 0:
            return 1.0
    return float(policy[TARGET])


@compiled
def restoring(r: Rules, c: Cell, st: State, pool: int, s: int) -> float:
    """The smallest part of a position that restores the target, and no less than 1 − target of it."""
    policy, part = r.policy[:, st.counts[POLICY_ROW]], 0.0
    equity, need, target = pool_equity(r, c, st, pool), pool_need(r, c, st, pool), policy[TARGET]
    if need > target * equity:
        value = notional(
            r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK]
        )
        others, asked = need - asked_of(r, st, s, value), required(r, st, s)
        part = enough(
            r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS], asked.first, asked.last, (equity, others),
            value, cost_of(r, c, st, s), target, asked.more, asked.amount,
        )  # fmt: skip
        if part < 0.0:
            return 1.0
    part = max(part, 1.0 - target)
    return 1.0 if quote_value(r, st, s) * (1.0 - part) < policy[SMALLEST] else part


@compiled
def next_exposed(r: Rules, c: Cell, st: State, pool: int, worst: int) -> int:
    """The largest loser of which there is a lot or more; of none, the largest loser."""
    s = worst
    while s >= 0:
        lot = r.sym[s, LOT_OVER] / r.sym[s, LOT_UNDER]
        if max(NOISE, lot * (1.0 - NOISE) / abs(st.held[s, SIZE])) < 1.0:
            return s
        s = next_loser(r, c, st, pool, s)
    return worst


@compiled
def laddered(r: Rules, c: Cell, st: State, pool: int, s: int) -> float:
    """What lies above the next lower tier of a position, while the pool could pay for closing all."""
    costs, h = 0.0, st.held
    for k in range(st.counts[OPEN]):
        o = st.marks[M_OPENED, k]
        if in_pool(r, o, pool):
            value = notional(r.sym[o, INVERSE], h[o, SIZE], r.sym[o, MULTIPLIER], h[o, MARK])
            costs += value * cost_of(r, c, st, o)
    if not pool_equity(r, c, st, pool) > costs:
        return 1.0
    at = h[s, ENTRY] if r.policy[TARGET, st.counts[POLICY_ROW]] else h[s, MARK]
    value = notional(r.sym[s, INVERSE], h[s, SIZE], r.sym[s, MULTIPLIER], at)
    k = int(h[s, TABLE])
    first = r.tables[0, k]
    place = tier_at(r.tiers[CAPS], first, r.tables[0, k + 1], value * (1.0 - NOISE))
    return float(1.0 - r.tiers[CAPS, place - 1] / value if place > first else 1.0)


@compiled
def cut_down(r: Rules, st: State, pool: int, s: int, equity: float) -> float:
    """Down so many tiers of contracts, while the pool has more than the lowest tier would ask of all."""
    k, lowest = int(st.held[s, TABLE]), 0.0
    first, size = r.tables[0, k], abs(st.held[s, SIZE])
    place = tier_of_count(r.tiers[CAPS], first, r.tables[0, k + 1], size)
    place -= int(r.policy[TARGET, st.counts[POLICY_ROW]])
    if place < first:
        return 1.0
    for at in range(st.counts[OPEN]):
        o = st.marks[M_OPENED, at]
        if in_pool(r, o, pool):
            rate = r.tiers[RATES, r.tables[0, int(st.held[o, TABLE])]] + taker_rate(r, st, o)
            mult, mark = r.sym[o, MULTIPLIER], st.held[o, MARK]
            lowest += notional(r.sym[o, INVERSE], st.held[o, SIZE], mult, mark) * rate
    return float(1.0 - r.tiers[CAPS, place] / size if equity > lowest else 1.0)


@compiled
def quote_value(r: Rules, st: State, s: int) -> float:
    """Unsigned value of a position in quote currency."""
    if r.sym[s, INVERSE]:
        return float(abs(st.held[s, SIZE]) * r.sym[s, MULTIPLIER])
    return notional(0.0, st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK])


@compiled
def just_enough(r: Rules, c: Cell, st: State, pool: int) -> int:
    """The first step of the shortest sequence of sales that restores the target, or everything."""
    policy = r.policy[:, st.counts[POLICY_ROW]]
    target, count = policy[TARGET], pool_count(r, st, pool)
    equity, need = pool_equity(r, c, st, pool), pool_need(r, c, st, pool)
    first, s = -1, -1
    for place in range(1, count + 1):
        s = next_loser(r, c, st, pool, s)
        value = notional(
            r.sym[s, INVERSE], st.held[s, SIZE], r.sym[s, MULTIPLIER], st.held[s, MARK]
        )
        own, cost = asked_of(r, st, s, value), cost_of(r, c, st, s)
        if tier_floor(r, st, s, value) > 0.0:
            asked = required(r, st, s)
            x = enough(
                r.tiers[CAPS], r.tiers[RATES], r.tiers[CUTS], asked.first, asked.last,
                (equity, need - own), value, cost, target, asked.more, asked.amount,
            )  # fmt: skip
            if x >= 0.0:
                if first < 0:
                    return listed(st, 0, s, x, NOTHING, 0)
                return listed(st, 0, first, 1.0, NOTHING, 0)
        if first < 0:
            first = s
        equity -= value * cost
        need -= own
        if place < count and equity > 0.0 and need <= target * equity:
            return listed(st, 0, first, 1.0, NOTHING, 0)
    return listed_all(r, st, pool, int(policy[TAKEOVER]))
