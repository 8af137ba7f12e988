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
    caps: Numbers, rates: Numbers, deductions: Numbers, first: int, last: int, value: float
) -> float:
    """Maintenance margin of a notional, value · rate − deduction of its tier   [settle].

    >>> maintenance([50.0, 100.0], [0.01, 0.02], [0.0, 0.5], 0, 2, 100.0)
    1.5
    """
    place = first
    while place < last - 1 and value > caps[place]:
        place += 1
    return value * rates[place] - deductions[place]


def maintenance_bound(
    caps: Numbers,
    rates: Numbers,
    deductions: Numbers,
    first: int,
    last: int,
    stepped: int,
    low: float,
    high: float,
) -> float:
    """What equity at notional ``low`` must exceed so that no notional up to ``high`` is in breach.

    See :meth:`TierTable.maintenance_bound <bt_margin.core.tiers.TierTable.maintenance_bound>`.

    >>> maintenance_bound([50.0, 100.0], [0.01, 0.5], [0.0, 0.0], 0, 2, 1, 40.0, 60.0)
    15.0
    """
    place = first
    while place < last - 1 and low > caps[place]:
        place += 1
    bound = low * rates[place] - deductions[place]
    if stepped:
        for above in range(first + 1, last):
            floor = caps[above - 1]
            if low <= floor < high:
                bound = max(bound, low - floor * (1.0 - rates[above]) - deductions[above])
    return bound


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
        room = target * (equity - value * cost) + deductions[place] - other
        slope = rates[place] - target * cost
        kept = room / slope if slope > 0.0 else (high if room >= slope * high else -1.0)
        kept = min(kept, high)
        if edge < kept < value:
            return 1.0 - kept / value
        high = edge
    return -1.0
