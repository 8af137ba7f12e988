"""Resting orders as the walk sees them, and the moment a straight leg triggers one.

Orders match against the last price; a stop may be triggered by the mark instead, as venues offer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

OrderKind = Literal["market", "limit", "stop", "stop_limit", "close"]


class Resting(NamedTuple):
    """One order waiting in the bar.

    ``size`` signed and still to fill; ``price`` the limit or the trigger (0 for market and close);
    ``limit`` of a stop-limit; ``on_mark`` whether the mark triggers it; ``group`` orders that cancel each
    other share one; ``reduce_only`` trims it to the position.
    """

    ref: int
    symbol: str
    size: float
    kind: OrderKind
    price: float = 0.0
    limit: float = 0.0
    on_mark: bool = False
    group: int | None = None
    reduce_only: bool = False


class Leg(NamedTuple):
    """A straight piece of one symbol's bar: path time, last price and mark at both ends."""

    start: float
    end: float
    last_start: float
    last_end: float
    mark_start: float
    mark_end: float

    def at(self, u: float) -> tuple[float, float]:
        """Last price and mark at path time ``u`` within the leg; exact at both ends."""
        if u <= self.start or self.end <= self.start:
            return self.last_start, self.mark_start
        if u >= self.end:
            return self.last_end, self.mark_end
        s = (u - self.start) / (self.end - self.start)
        return (
            self.last_start + (self.last_end - self.last_start) * s,
            self.mark_start + (self.mark_end - self.mark_start) * s,
        )

    def piece(self, start: float, end: float) -> Leg:
        """The part of the leg between two path times."""
        (a, c), (b, d) = self.at(start), self.at(end)
        return Leg(start, end, a, b, c, d)


def trigger(order: Resting, leg: Leg) -> float | None:
    """Path time at which the leg triggers the order, or None. ``close`` orders wait for the end.

    >>> buy = Resting(1, "X", 1.0, "limit", 95.0)
    >>> trigger(buy, Leg(0.0, 1.0, 100.0, 90.0, 100.0, 90.0))
    0.5
    >>> trigger(buy, Leg(0.0, 1.0, 100.0, 96.0, 100.0, 96.0)) is None
    True
    """
    if order.kind == "close":
        return None
    if order.kind == "market":
        return leg.start
    start, end = (leg.mark_start, leg.mark_end) if order.on_mark else (leg.last_start, leg.last_end)
    falling = (order.size > 0) == (order.kind == "limit")
    reached = start <= order.price if falling else start >= order.price
    if reached:
        return leg.start
    reaches = end <= order.price if falling else end >= order.price
    if not reaches:
        return None
    return leg.start + (leg.end - leg.start) * (order.price - start) / (end - start)
