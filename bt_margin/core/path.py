"""The path of a bar: four prices joined by straight legs, and the first breach on a leg.

On one leg every price moves straight from its start to its end, all at the same pace s from 0 to 1.
With linear contracts the health of a pool (equity minus maintenance) is then straight in s between
the tier edges, and the first breach has an exact solution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg, edges_in_worth, leg_line
from bt_margin.core.tiers import Tier, TierTable

__all__ = ["Moving", "Nodes", "first_breach", "low_is_nearer", "nodes"]

FINEST = 1e-9
"""Inverse positions of several symbols: a dip into breach shorter than this part of a leg may be
missed."""


class Moving(NamedTuple):
    """A position whose price moves straight from ``start`` to ``end`` on this leg."""

    contract: Contract
    size: float
    entry: float
    table: TierTable
    start: float
    end: float


class Nodes(NamedTuple):
    """The four prices of a bar in the order they are visited."""

    first: float
    second: float
    third: float
    last: float


def nodes(open: float, high: float, low: float, close: float, low_first: bool) -> Nodes:
    """The four prices of a bar in the order of a path: open, one extreme, the other, close.

    >>> tuple(nodes(10, 12, 9, 11, low_first=True))
    (10, 9, 12, 11)
    """
    return Nodes(open, low, high, close) if low_first else Nodes(open, high, low, close)


def low_is_nearer(open: float, high: float, low: float) -> bool:
    """True when the low is at most as far from the open as the high is.

    >>> low_is_nearer(10, 12, 9), low_is_nearer(10, 11, 9), low_is_nearer(10, 11, 8)
    (True, True, False)
    """
    return open - low <= high - open


def first_breach(
    balance: float,
    moving: Sequence[Moving],
    fixed_maintenance: float = 0,
    fixed_unrealised: float = 0,
) -> float | None:
    """The first s in [0, 1] at which equity <= maintenance, None when the leg is survived.

    Prices stand at start + (end − start) · s, all together:

        balance + fixed_unrealised + Σ pnl(s) <= fixed_maintenance + Σ maintenance(s)

    fixed_maintenance, fixed_unrealised : of positions of the pool whose price does not move
    0 means that the pool is in breach before anything moves. A pool without positions (no moving
    ones and no fixed maintenance) is the caller's to leave out.

    Exact for linear contracts and for inverse ones of one symbol. Several inverse symbols are
    solved by bounding and halving to 1e-9 of the leg. In floats the equity at the answer may miss
    the maintenance by rounding; the answer is the verdict. Where a stepped table jumps into breach
    the answer is the edge itself.

    >>> long = Moving(Contract("X"), 1, 100, TierTable.flat(0.0), start=100, end=80)
    >>> first_breach(10, [long])
    0.5
    >>> first_breach(30, [long]) is None
    True
    """
    rest = balance + fixed_unrealised - fixed_maintenance
    moving = [each for each in moving if each.size != 0]
    if _health_at(moving, rest, 0) <= 0:
        return 0
    held = [each for each in moving if each.start != each.end]
    rest += sum(_own_health(each, each.start) for each in moving if each.start == each.end)
    solve = _solver(held)
    for lo, hi in pairwise(_stops(held)):
        found = solve(held, rest, lo, hi)
        if found is not None:
            return found
    return None


Solver = Callable[[Sequence[Moving], float, float, float], float | None]


def _solver(moving: Sequence[Moving]) -> Solver:
    """The exact solution where there is one, else bounding and halving."""
    if all(each.contract.kind == "linear" for each in moving):
        return _straight
    first = moving[0]
    same = all(
        (each.contract.kind, each.start, each.end) == ("inverse", first.start, first.end)
        for each in moving
    )
    return _straight_in_worth if same else _halving


def _stops(moving: Sequence[Moving]) -> list[float]:
    """0, 1 and between them every s at which a position changes its tier."""
    stops: set[float] = set()
    for each in moving:
        for edge in edges_in_worth(_leg(each)):
            price = edge if each.contract.kind == "linear" else 1 / edge
            s = (price - each.start) / (each.end - each.start)
            if 0 < s < 1:
                stops.add(s)
    return [0, *sorted(stops), 1]


def _straight(moving: Sequence[Moving], rest: float, lo: float, hi: float) -> float | None:
    """Linear contracts between two stops: health is a + b·s, solved exactly."""
    a, b = rest, 0 * rest
    for each in moving:
        constant, slope = leg_line(_leg(each), _tier(each, lo, hi))
        a += constant + slope * each.start
        b += slope * (each.end - each.start)
    if a + b * lo <= 0:
        return lo
    if a + b * hi <= 0:
        return _between(-a / b, lo, hi)
    return None


def _straight_in_worth(moving: Sequence[Moving], rest: float, lo: float, hi: float) -> float | None:
    """Inverse contracts of one price between two stops: health is a + b/price, solved exactly."""
    a, b = rest, 0 * rest
    for each in moving:
        constant, slope = leg_line(_leg(each), _tier(each, lo, hi))
        a += constant
        b += slope
    first = moving[0]
    if a + b / _price(first, lo) <= 0:
        return lo
    if a + b / _price(first, hi) <= 0:
        return _between((-b / a - first.start) / (first.end - first.start), lo, hi)
    return None


def _halving(moving: Sequence[Moving], rest: float, lo: float, hi: float) -> float | None:
    """Any mixture between two stops.

    Between stops each position's own health only rises or only falls, so the sum of the smaller
    ends bounds health from below. A stretch whose bound is above zero holds no breach; any other
    is halved, the earlier half first.
    """
    tiers = [_tier(each, lo, hi) for each in moving]

    def each_at(s: float) -> list[float]:
        return [
            constant + slope * abs(each.contract.worth(_price(each, s)))
            for each, tier in zip(moving, tiers, strict=True)
            for constant, slope in (leg_line(_leg(each), tier),)
        ]

    if rest + sum(each_at(lo)) <= 0:
        return lo
    waiting = [(lo, hi, each_at(lo), each_at(hi))]
    while waiting:
        left, right, at_left, at_right = waiting.pop()
        if rest + sum(map(min, at_left, at_right)) > 0:
            continue
        if right - left <= FINEST:
            if rest + sum(at_right) <= 0:
                return right
            continue
        middle = (left + right) / 2
        at_middle = each_at(middle)
        waiting.append((middle, right, at_middle, at_right))
        waiting.append((left, middle, at_left, at_middle))
    return None


def _health_at(moving: Sequence[Moving], rest: float, s: float) -> float:
    return rest + sum(_own_health(each, _price(each, s)) for each in moving)


def _own_health(each: Moving, price: float) -> float:
    """Unrealised profit minus maintenance of one position at a price."""
    contract = each.contract
    needed = each.table.maintenance(contract.notional(each.size, price))
    return contract.pnl(each.size, each.entry, price) - needed


def _price(each: Moving, s: float) -> float:
    return each.start + (each.end - each.start) * s


def _leg(each: Moving) -> Leg:
    return Leg(each.contract, each.size, each.entry, each.table)


def _tier(each: Moving, lo: float, hi: float) -> Tier:
    """The one tier a position stays in between two stops."""
    return each.table.at(each.contract.notional(each.size, _price(each, (lo + hi) / 2)))


def _between(value: float, lo: float, hi: float) -> float:
    return min(max(value, lo), hi)
