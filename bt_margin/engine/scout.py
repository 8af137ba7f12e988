"""Which extreme comes first: try both joint paths on a copy of the account and compare.

Symbols of one pool visit their lows first together, or their highs first together. ``adverse`` takes the
path that is worse for the pool (more liquidations, then less equity at the close), ``favourable`` the
better one, ``nearest`` lets each symbol's own candle decide. A scout fills orders at their trigger prices
with the venue's fees; it chooses a path and books nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Literal

from bt_margin.core.path import low_is_nearer
from bt_margin.engine.account import Account
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.pool import Pool
from bt_margin.engine.quote import Detail, Quote, legs_of
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.walk import Road, Walk, road

Intrabar = Literal["adverse", "favourable", "nearest"]


class Scout:
    """Keeps copies of the orders and fills them on a copy of the account."""

    def __init__(self, account: Account, orders: Sequence[Resting]) -> None:
        self.account = account
        self.orders = list(orders)
        self.hooks = Hooks(cancel=self._cancel)

    def resting(self) -> Sequence[Resting]:
        """The copies that are still open."""
        return tuple(self.orders)

    def execute(self, order: Resting, leg: Leg) -> None:
        """Fill at the price reached, drop the order and those it cancels."""
        if order.kind == "stop_limit":
            self.orders = [o for o in self.orders if o.ref != order.ref]
            self.orders.append(order._replace(kind="limit", price=order.limit, on_mark=False))
            return
        size = order.size
        self.account.fill(
            order.symbol, size, leg.last_start, order=order.ref, reduce_only=order.reduce_only
        )
        self._drop([o for o in self.orders if o.ref == order.ref or _rivals(o, order)])

    def _key(self, order: Resting) -> str:
        return self.account.pool_key(self.account.position(order.symbol))

    def _cancel(self, pool: Pool, cause: int) -> None:
        self._drop([o for o in self.orders if self._key(o) == pool.key])

    def _drop(self, gone: Sequence[Resting]) -> None:
        """These orders are gone, and so is what they reserved."""
        for order in gone:
            self.orders.remove(order)
            self.account.release(order.ref)


def _rivals(one: Resting, other: Resting) -> bool:
    """Whether the two cancel each other."""
    return one.group is not None and one.group == other.group


def choose_roads(
    account: Account,
    quotes: Sequence[Quote],
    orders: Sequence[Resting],
    intrabar: Intrabar,
    detail: Mapping[str, Detail],
) -> list[Road]:
    """The road of every quote under the named policy, decided pool by pool."""
    if intrabar == "nearest":
        return [
            _road(q, low_is_nearer(q.mark_open, q.mark_high, q.mark_low), detail) for q in quotes
        ]
    groups: dict[str, list[Quote]] = {}
    for q in quotes:
        # the price of a pledged coin moves with the pool that the coin backs
        backs = account.vault and q.position.backs
        key = account.cross.key if backs else account.pool_key(q.position)
        groups.setdefault(key, []).append(q)
    chosen: list[Road] = []
    for group in groups.values():
        harmful = _net_long(group)
        tries = (harmful, not harmful) if intrabar == "adverse" else (not harmful, harmful)
        roads = [[_road(q, low_first, detail) for q in group] for low_first in tries]
        scores = [_score(account, r, orders) for r in roads]
        chosen += roads[1] if _beats(scores[1], scores[0], intrabar) else roads[0]
    return chosen


def _beats(second: tuple[int, float], first: tuple[int, float], intrabar: Intrabar) -> bool:
    """Whether the second path is what the policy looks for; float noise in the equity is a tie."""
    if second[0] == first[0] and abs(second[1] - first[1]) <= 1e-9 * max(1.0, abs(first[1])):
        return False
    return second < first if intrabar == "adverse" else second > first


def _road(quote: Quote, low_first: bool, detail: Mapping[str, Detail]) -> Road:
    return road(quote, legs_of(quote, low_first, detail.get(quote.position.symbol)))


def _net_long(group: Sequence[Quote]) -> bool:
    """Whether all lows together hurt the group more than all highs together."""
    loss = sum(q.position.gain(q.mark_open, q.mark_low) for q in group)
    gain = sum(q.position.gain(q.mark_open, q.mark_high) for q in group)
    return loss <= gain


def _score(account: Account, roads: Sequence[Road], orders: Sequence[Resting]) -> tuple[int, float]:
    twin = account.fork()
    roads = [r._replace(quote=copy(r.quote)) for r in roads]  # its stamps are used up, ours are not
    symbols = {r.quote.position.symbol for r in roads}
    scout = Scout(twin, [o for o in orders if o.symbol in symbols])
    Walk(twin, roads, scout).run()
    for r in roads:
        twin.position(r.quote.position.symbol).move(r.quote.mark_close)
    lost = sum(1 for e in twin.events if e.kind == "liquidation")
    return -lost, twin.equity()
