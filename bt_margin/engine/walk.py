"""The walk through a dangerous bar: on each leg everything happens when the price gets there.

All symbols of a pool move together along straight legs. The walk looks for the next event on the stretch
ahead (a funding stamp, the liquidation crossing of a pool, the trigger of an order), goes there, applies
it and looks again. At one and the same moment funding comes first, then the liquidation, then orders:
a stop placed exactly at the liquidation price does not save the position.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from bt_margin.core.path import Moving, first_breach
from bt_margin.engine.account import Account
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.pool import Pool
from bt_margin.engine.quote import Quote
from bt_margin.engine.resting import Leg, Resting, trigger


class Taker(Protocol):
    """Who keeps the orders during a walk: the framework, or a scout's copy."""

    @property
    def hooks(self) -> Hooks:
        """Cancel a pool's orders; learn of liquidations."""

    def resting(self) -> Sequence[Resting]:
        """The orders that can still fill in this bar."""

    def execute(self, order: Resting, leg: Leg) -> None:
        """The order is triggered at the start of ``leg``; its rest lies ahead."""


class Road(NamedTuple):
    """One symbol's bar as legs, with the quote it came from."""

    quote: Quote
    legs: list[Leg]
    starts: list[float]

    def leg(self, start: float, end: float) -> Leg:
        """The straight piece between two neighbouring path times."""
        index = max(0, bisect_right(self.starts, start) - 1)
        return self.legs[index].piece(start, end)


def road(quote: Quote, legs: list[Leg]) -> Road:
    """A road; legs without length are left out (their end is the next leg's start)."""
    kept = [leg for leg in legs if leg.end > leg.start]
    return Road(quote, kept, [leg.start for leg in kept])


def settle(account: Account, quote: Quote, mark: float | None) -> None:
    """Use up the quote's next funding stamp, at its own mark or the one given (None: the last known)."""
    stamp = quote.take_stamp()
    p = account.position(quote.position.symbol)
    if p.size:
        price = stamp.mark if stamp.mark is not None else mark
        account.book_funding(p.symbol, stamp.rate, price, time=stamp.time)


def settle_inside(account: Account, quote: Quote) -> None:
    """A stamp inside the bar, at the mark on the straight line from open to close."""
    settle(account, quote, quote.mark_at(quote.path_time(quote.next_stamp)))


class Walk:
    """One walk over the roads of some symbols, on a real account or on a scout's copy."""

    def __init__(self, account: Account, roads: Sequence[Road], taker: Taker) -> None:
        self.account = account
        self.roads = {account.position(r.quote.position.symbol).symbol: r for r in roads}
        self.taker = taker
        self.tried: set[tuple[int, str]] = set()
        self.now = 0.0

    def run(self) -> None:
        """Walk the whole bar."""
        grid = sorted(
            {t for r in self.roads.values() for leg in r.legs for t in (leg.start, leg.end)}
        )
        for start, end in pairwise(grid):
            self._stretch(start, end)
        self._move(1.0, {s: r.legs[-1] for s, r in self.roads.items()})
        closing = [o for o in self.taker.resting() if o.kind == "close" and o.symbol in self.roads]
        for order in closing:
            self._execute(order, self.roads[order.symbol].legs[-1].piece(1.0, 1.0))
        for pool in list(self.account.pools.values()) if closing else ():
            if pool.breached():  # what was opened at the close stands at a worse mark
                self.account.liquidate(pool, self.taker.hooks)

    def _stretch(self, start: float, end: float) -> None:
        legs = {s: r.leg(start, end) for s, r in self.roads.items()}
        self.now = start
        self._move(start, legs)
        while True:
            u, act = self._next(legs, end)
            if act is None:
                return
            self.now = u
            self._move(u, legs)
            act()

    def _next(self, legs: dict[str, Leg], end: float) -> tuple[float, Callable[[], object] | None]:
        """The next event on the stretch and what carries it out; None when there is none."""
        best, act = end, None
        for symbol, r in self.roads.items():
            quote = r.quote
            if quote.next_stamp >= quote.end:
                continue
            u = max(self.now, quote.path_time(quote.next_stamp))
            if u < best or (u == best and act is None):
                best, act = u, self._stamp_of(symbol)
        for pool in list(self.account.pools.values()):
            u_breach = self._breach(pool, legs, end)
            if u_breach is not None and (u_breach < best or act is None):
                best, act = u_breach, self._liquidation_of(pool)
        for order in self.taker.resting():
            if order.symbol not in legs or (order.ref, order.kind) in self.tried:
                continue
            ahead = legs[order.symbol].piece(self.now, end)
            u_order = trigger(order, ahead)
            if u_order is not None and (u_order < best or act is None):
                best, act = u_order, self._order_of(order, legs, u_order, end)
        return best, act

    def _stamp_of(self, symbol: str) -> Callable[[], object]:
        return lambda: settle_inside(self.account, self.roads[symbol].quote)

    def _liquidation_of(self, pool: Pool) -> Callable[[], object]:
        return lambda: self.account.liquidate(pool, self.taker.hooks, crossed=True)

    def _order_of(
        self, order: Resting, legs: dict[str, Leg], u: float, end: float
    ) -> Callable[[], object]:
        ahead = legs[order.symbol].piece(u, end)
        if order.kind in ("limit", "stop", "stop_limit") and not order.on_mark and u > self.now:
            ahead = ahead._replace(last_start=order.price)
        return lambda: self._execute(order, ahead)

    def _execute(self, order: Resting, ahead: Leg) -> None:
        self.tried.add((order.ref, order.kind))
        self.taker.execute(order, ahead)

    def _breach(self, pool: Pool, legs: dict[str, Leg], end: float) -> float | None:
        """Path time of the pool's crossing between now and ``end``; a flat pool has none."""
        if not pool.positions:
            return None
        moving: list[Moving] = []
        maintenance, unrealised = pool.shared, 0.0
        for p in pool.positions:
            leg = legs.get(p.symbol)
            to = p.mark if leg is None else leg.at(end)[1]
            if to == p.mark:
                maintenance += p.maintenance()
                unrealised += p.unrealised()
            else:
                moving.append(Moving(p.contract, p.size, p.entry, p.table, p.mark, to))
        for pledge in pool.pledges:
            unrealised += pledge.margin()
            leg = legs.get(pledge.source.symbol) if pledge.source is not None else None
            to = pledge.now() if leg is None else leg.at(end)[1]
            if to != pledge.now():
                moving.append(pledge.moving(to))
        if not moving:
            return self.now if pool.breached() else None
        # where only less than the requirement is a breach, touching it is none
        touched = 1e-12 * abs(pool.maintenance()) if pool.strict else 0.0
        s = first_breach(pool.balance + touched, moving, maintenance, unrealised)
        return None if s is None else self.now + (end - self.now) * s

    def _move(self, u: float, legs: dict[str, Leg]) -> None:
        for symbol, leg in legs.items():
            self.account.position(symbol).move(leg.at(u)[1])
