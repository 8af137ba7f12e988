"""The formulas of positions and tiers as plain functions of numbers and flat arrays.

They say what :mod:`bt_margin.core.contract`, :mod:`~bt_margin.core.tiers`, :mod:`~bt_margin.core.health` and
:mod:`~bt_margin.core.path` say of values, in a form that a compiler of numbers understands: no function
calls another, and a tier table is three rows of numbers (caps, rates, deductions) from place ``first`` to
before place ``last``. Laws in the tests hold the two to the same bits.

``inverse`` is 0 for linear contracts and 1 for inverse ones (a number, as it stands in tables); ``size`` is
signed contracts.
"""

from __future__ import annotations

from collections.abc import Sequence

from bt_margin.core.position import DUST, Change

Numbers = Sequence[float]

#: What is cut to the cap of a tier ends below it, also where a float would end a hair above.
BELOW = 1.0 - 1e-12


def worth(inverse: float, price: float) -> float:
    """Settlement value of a price: p for linear contracts, −1/p for inverse ones.

    >>> worth(0, 4.0), worth(1, 4.0)
    (4.0, -0.25)
    """
    return -1.0 / price if inverse else price


def notional(inverse: float, size: float, multiplier: float, price: float) -> float:
    """Unsigned value of a position at a price, |size| · multiplier · |worth(price)|   [settle].

    >>> notional(0, -4.0, 0.5, 100.0), notional(1, 100.0, 100.0, 25_000.0)
    (200.0, 0.4)
    """
    if inverse:
        return abs(size) * multiplier * abs(-1.0 / price)
    return abs(size) * multiplier * abs(price)


def exposure(inverse: float, size: float, multiplier: float, price: float) -> float:
    """The same for a price that is above 0, with one operation less: to the last bit what positions ask.

    >>> exposure(0, -4.0, 0.5, 100.0), exposure(1, 100.0, 100.0, 25_000.0)
    (200.0, 0.4)
    """
    if inverse:
        return abs(size) * multiplier / price
    return abs(size) * multiplier * price


def gain(inverse: float, size: float, multiplier: float, start: float, end: float) -> float:
    """Profit of a position between two prices   [settle], + is a gain.

    >>> gain(0, -3.0, 1.0, 100.0, 90.0), gain(1, 100.0, 100.0, 20_000.0, 40_000.0)
    (30.0, 0.25)
    """
    if inverse:
        return size * multiplier * (1.0 / start - 1.0 / end)
    return size * multiplier * (end - start)


def tier_at(caps: Numbers, first: int, last: int, value: float) -> int:
    """The place of the tier a notional falls in; a cap belongs to the lower tier, the top tier goes on.

    >>> tier_at([50.0, 100.0], 0, 2, 50.0), tier_at([50.0, 100.0], 0, 2, 500.0)
    (0, 1)
    """
    place = first
    while place < last - 1 and value > caps[place]:
        place += 1
    return place


def maintenance(
    caps: Numbers,
    rates: Numbers,
    deductions: Numbers,
    first: int,
    last: int,
    value: float,
    more: float = 0.0,
    amount: float = 0.0,
) -> float:
    """Maintenance margin of a notional, value · (rate + more) − (deduction − amount)   [settle].

    rate and deduction those of its tier; ``more`` a rate and ``amount`` a sum on top of every requirement

    >>> maintenance([50.0, 100.0], [0.01, 0.02], [0.0, 0.5], 0, 2, 100.0)
    1.5
    """
    place = first
    while place < last - 1 and value > caps[place]:
        place += 1
    return value * (rates[place] + more) - (deductions[place] - amount)


def maintenance_bound(
    caps: Numbers,
    rates: Numbers,
    deductions: Numbers,
    first: int,
    last: int,
    stepped: int,
    low: float,
    high: float,
    more: float = 0.0,
    amount: float = 0.0,
) -> float:
    """What equity at notional ``low`` must exceed so that no notional up to ``high`` is in breach.

    See :meth:`TierTable.maintenance_bound <bt_margin.core.tiers.TierTable.maintenance_bound>`.

    >>> maintenance_bound([50.0, 100.0], [0.01, 0.5], [0.0, 0.0], 0, 2, 1, 40.0, 60.0)
    15.0
    """
    place = first
    while place < last - 1 and low > caps[place]:
        place += 1
    bound = low * (rates[place] + more) - (deductions[place] - amount)
    if stepped:
        for above in range(first + 1, last):
            floor, cut = caps[above - 1], deductions[above] - amount
            if low <= floor < high:
                bound = max(bound, low - floor * (1.0 - (rates[above] + more)) - cut)
    return bound


def tier_of_count(caps: Numbers, first: int, last: int, count: float) -> int:
    """The place of the tier of so many contracts; a count that noise lifts above a cap is on the cap.

    See :func:`bt_margin.venues.margin_by_contracts.tier_number`.

    >>> [tier_of_count([10.0, 50.0], 0, 2, count) for count in (10.0, 10.01, 51.0)]
    [0, 1, 1]
    """
    place = first
    while place < last - 1 and not count - caps[place] <= DUST * count:
        place += 1
    return place


def opening_share(caps: Numbers, openings: Numbers, first: int, last: int, value: float) -> float:
    """Initial margin of a value whose parts pay the initial rate of their tier   [as the value].

    openings : initial rate of each tier. See :func:`bt_margin.venues.margin_by_level.opening_share`.

    >>> opening_share([500_000.0, 1e9], [0.02, 0.04], 0, 2, 1_000_000.0)
    30000.0
    """
    share, floor = 0.0, 0.0
    for place in range(first, last):
        if value <= floor:
            break
        share = share + (min(value, caps[place]) - floor) * openings[place]
        floor = caps[place]
    return share


def largest_notional(
    caps: Numbers, leverages: Numbers, first: int, last: int, leverage: float
) -> float:
    """The largest notional allowed at a leverage; 0 when not even the lowest tier allows it.

    leverages : the most of each tier, infinite where it does not say

    >>> largest_notional([50.0, 100.0], [20.0, 10.0], 0, 2, 20.0)
    50.0
    """
    largest = 0.0
    for place in range(first, last):
        if leverage > leverages[place]:
            break
        largest = caps[place]
    return largest


def changed(
    inverse: float, multiplier: float, size: float, entry: float, fill: float, price: float
) -> Change:
    """The position after a fill of signed size ``fill``; see :func:`bt_margin.core.position.change`.

    >>> changed(0, 1.0, 2.0, 100.0, 2.0, 110.0).entry, changed(0, 1.0, 2.0, 100.0, -3.0, 110.0).realised
    (105.0, 20.0)
    """
    if size == 0.0:
        return Change(fill, price if fill else 0.0, fill, 0.0, 0.0)
    start, end = (-1.0 / entry, -1.0 / price) if inverse else (entry, price)
    after = size + fill
    if (size > 0.0) == (fill > 0.0) or fill == 0.0:
        if fill == 0.0 or price == entry:
            return Change(after, entry, fill, 0.0, 0.0)
        mean = (size * start + fill * end) / (size + fill)
        return Change(after, -1.0 / mean if inverse else mean, fill, 0.0, 0.0)
    if abs(after) <= DUST * max(abs(size), abs(fill)):
        return Change(0.0, 0.0, 0.0, fill, -fill * multiplier * (end - start))
    if (after > 0.0) == (size > 0.0):
        return Change(after, entry, 0.0, fill, -fill * multiplier * (end - start))
    return Change(after, price, after, -size, size * multiplier * (end - start))


def enough(
    caps: Numbers,
    rates: Numbers,
    deductions: Numbers,
    first: int,
    last: int,
    money: tuple[float, float],
    value: float,
    cost: float,
    target: float,
    more: float = 0.0,
    amount: float = 0.0,
) -> float:
    """Smallest fraction of a position to sell so that maintenance ≤ target · equity; −1 where none is.

    money : equity of the pool, and the maintenance of its other positions; ``cost`` the fraction of the
        sold notional that leaves the pool. See :func:`bt_margin.venues.policies.enough`.

    >>> round(enough([1e9], [0.02], [0.0], 0, 1, (2_000.0, 0.0), 100_000.0, 0.0, 0.8), 9)
    0.2
    """
    equity, other = money
    if equity <= 0.0:
        return -1.0
    high = value
    for below in range(last - 1, first - 1, -1):
        edge = caps[below - 1] if below > first else 0.0
        if not edge < value:
            continue
        place = first
        while place < last - 1 and high > caps[place]:
            place += 1
        room = target * (equity - value * cost) + (deductions[place] - amount) - other
        slope = (rates[place] + more) - target * cost
        kept = room / slope if slope > 0.0 else (high if room >= slope * high else -1.0)
        kept = min(kept, high)
        if edge < kept < value:
            return 1.0 - kept / value
        high = edge
    return -1.0


def stepped_fraction(
    size: float, base: float, increment: float, baseline: float, step: float
) -> float:
    """Initial fraction base + increment · started steps above the baseline, at most the whole notional.

    A step begun by no more than 1e-9 of it is noise. See :mod:`bt_margin.core.size_steps`.

    >>> stepped_fraction(10, 0.0625, 0.03125, baseline=9, step=1.5)
    0.09375
    """
    started, size = 0, abs(size)
    if size > baseline:
        steps = (size - baseline) / step
        started = int(steps)
        if not steps - started <= 1e-9:
            started += 1
    return min(1, base + increment * started)


def closing_fee(
    inverse: float, size: float, multiplier: float, entry: float, leverage: float, taker: float
) -> float:
    """Fee of closing at the bankruptcy price of a position that holds just its initial margin   [settle].

    See :func:`bt_margin.core.closing_fee.closing_fee`.

    >>> closing_fee(0, 1.0, 1.0, 50_000.0, 10.0, 0.00055)
    24.75
    """
    facing = -1 if (size > 0) == (inverse != 0) else 1
    share = 1 - facing / leverage
    value = abs(size) * multiplier * abs(-1 / entry if inverse else entry)
    return value * max(0, share) * taker


def closing_fee_of_balance(
    inverse: float, size: float, multiplier: float, entry: float, balance: float, taker: float
) -> float:
    """Fee of closing at the bankruptcy price of a position that holds ``balance``   [settle].

    See :func:`bt_margin.core.closing_fee.closing_fee_of_balance`.

    >>> round(closing_fee_of_balance(0, -2.0, 1.0, 100.0, 50.25, 0.001), 9)
    0.25
    """
    facing = -1 if (size > 0) == (inverse != 0) else 1
    value = abs(size) * multiplier * abs(-1 / entry if inverse else entry)
    return taker * max(0, value - facing * balance) / (1 - facing * taker)


def share_of_equity(equity: float, maintenance: float, freed: float) -> float:
    """The equity that stands behind a part of an account, E · ΔV / V.

    >>> share_of_equity(equity=499, maintenance=500, freed=250)
    249.5
    """
    return equity * freed / maintenance


def insurance_delta(quote: float, bankruptcy: float, most: float) -> float:
    """What the account pays into the insurance fund; below 0 the fund pays the account.

    d = quote − bankruptcy quote; above 0 no more than ``most``. It replaces the taker fee of the fill.

    >>> insurance_delta(5_610, 5_100, 28), insurance_delta(5_105, 5_100, 28)
    (28, 5)
    >>> insurance_delta(-4_949, -4_900, 9)
    -49
    """
    delta = quote - bankruptcy
    return min(delta, most) if delta > 0 else delta
