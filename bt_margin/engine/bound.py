"""The bound of the fast lane: which pools could breach within a bar, whatever its path and its fills.

Every mark stands at its worst for the pool at once, every order that can fill has filled at its worst,
funding inside the bar is paid. A pool whose equity still exceeds its requirement cannot breach. The bound
is generous on purpose: a pool it names is walked, not liquidated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bt_margin.engine.account import Account
from bt_margin.engine.pool import Position
from bt_margin.engine.quote import Quote

ROOM = 1.01
"""How far :func:`harmless` stays away from every requirement: one per cent of it."""


class Pending(NamedTuple):
    """What the orders of one symbol could do within this bar.

    ``size`` sum of the unsigned sizes that can fill; ``high`` and ``low`` bound the prices they can fill
    at; ``fee`` the most they can cost; ``walk`` demands the walk (a stop on the mark that may trigger);
    ``orders`` how many there are, ``inside`` whether one of them may fill after the open.
    """

    quote: Quote
    size: float
    high: float
    low: float
    fee: float
    walk: bool = False
    orders: int = 1
    inside: bool = False


def risky_pools(account: Account, pending: Sequence[Pending], read: Sequence[Quote]) -> set[str]:
    """Keys of the pools that must be walked through this bar; empty on almost every bar."""
    shared = account.venue.shared is not None  # what a fill adds to it no bound here knows: walk
    if len(pending) == 1 and not shared and _is_plain(account, pending[0], read):
        return _breaching_alone(account, pending[0])
    return _risky(account, pending, read)


def _risky(account: Account, pending: Sequence[Pending], read: Sequence[Quote]) -> set[str]:
    """The definition, which :func:`_breaching_alone` shortens for the most frequent case."""
    asked = {p.quote.position.symbol: p for p in pending if p.size}
    walked = [p for p in pending if p.walk or _stamped(p) or _unlike(p)]
    named = {account.pool_key(p.quote.position) for p in walked}
    if account.venue.shared is not None or _rivals(account, list(asked.values())):
        named |= {account.pool_key(p.quote.position) for p in asked.values()}
    return named | _breaching(account, asked, read)


def harmless(account: Account, reach: Mapping[str, tuple[float, float]]) -> bool:
    """Whether nothing can happen to the positions while the marks stay within ``reach``, orders aside.

    reach : lowest and highest mark to come per symbol; a symbol that is not in it keeps its mark

    Every pool must exceed its requirement and stay below the lowest margin call with each of its marks at
    the end of its range that is worst for the equity and, at the same time, at the one that asks for the most
    margin. ``ROOM`` keeps clear of the rounding in published tables, so that each bar's own look
    (:meth:`Pool.worst`) would have said the same.
    """
    if account.priced():
        return False  # coins whose prices have no range here
    for pool in account.pools.values():
        if not pool.positions:
            continue
        equity, need = pool.balance, pool.shared
        for p in pool.positions:
            low, high = reach.get(p.symbol, (p.mark, p.mark))
            low, high = min(low, p.mark), max(high, p.mark)
            equity += min(p.gain(p.entry, low), p.gain(p.entry, high))
            asked = [p.table.maintenance(p.notional_at(mark)) for mark in (low, high)]
            need += max(0.0, *asked) * ROOM
        if pool.called or equity <= need or need >= account.lowest_call * equity:
            return False
    return True


def _is_plain(account: Account, entry: Pending, read: Sequence[Quote]) -> bool:
    """One order for the one pool there is, and no settlement."""
    for quote in read:
        if quote.next_stamp < quote.end:
            return False
    one = entry.orders == 1 and entry.size > 0.0 and not entry.walk
    mode = entry.quote.position.margin_mode
    return one and mode == "cross" and len(account.pools) == 1 and entry.quote in read


def _breaching_alone(account: Account, entry: Pending) -> set[str]:
    equity, need = account.cross.worst()
    drift, more, _ = _reach(entry)
    return set() if equity - (drift + entry.fee) > need + more else {account.cross.key}


def _unlike(entry: Pending) -> bool:
    """Orders of which some may fill and some not, where what is asked is not in step with the size."""
    p = entry.quote.position
    return entry.orders > 1 and not p.plain and p.margin_mode == "isolated"


def _stamped(entry: Pending) -> bool:
    """Orders beside a funding stamp inside the bar: which comes first decides what is paid."""
    return bool(entry.size) and entry.quote.next_stamp < entry.quote.end


def _rivals(account: Account, asked: Sequence[Pending]) -> bool:
    """Whether several orders could want the same margin, so that their order in time decides."""
    if sum(p.orders for p in asked) < 2 or not any(p.inside for p in asked):
        return False
    wanted: dict[str, float] = {}
    for entry in asked:
        drift, _, posted = _reach(entry)
        home = account.home(entry.quote.position).currency
        wanted[home] = wanted.get(home, 0.0) + posted + drift + entry.fee
    return any(sum_ > account.unreserved(account.wallets[unit]) for unit, sum_ in wanted.items())


def _breaching(account: Account, asked: Mapping[str, Pending], read: Sequence[Quote]) -> set[str]:
    """Pools whose equity at the bound does not exceed their requirement."""
    bounds = {k: list(pool.worst()) for k, pool in account.pools.items()}
    turned = set()
    for entry in asked.values():
        p, key = entry.quote.position, account.pool_key(entry.quote.position)
        drift, need, posted = _reach(entry)
        if p.margin_mode == "isolated":
            if not _turned_is_safe(entry):
                turned.add(key)  # a reversal leaves its winnings in the wallet, not in the new pool
            bounds[account.home(p).key][0] -= posted + entry.fee
            bounds.setdefault(key, [posted_least(entry), 0.0])
        bounds[key][0] -= drift + entry.fee
        bounds[key][1] += need
    for quote in read:
        pool = quote.position.pool
        if pool is not None and quote.next_stamp < quote.end:
            bounds[pool.key][0] -= _inner_cost(quote)
    exposed = {k for k, pool in account.pools.items() if pool.positions}
    exposed |= {account.pool_key(e.quote.position) for e in asked.values()}
    return turned | {k for k in exposed if bounds[k][0] <= bounds[k][1]}


def _reach(entry: Pending) -> tuple[float, float, float]:
    """Most a symbol's orders can lose in the bar, most they can demand, most they can post."""
    quote, p = entry.quote, entry.quote.position
    high = max(entry.high, quote.high, quote.mark_high)
    low = min(entry.low, quote.low, quote.mark_low)
    contract = p.contract
    drift = contract.pnl(entry.size, low, high)
    notional = max(contract.notional(entry.size, high), contract.notional(entry.size, low))
    if not p.plain:
        return drift, *_most_asked(p, entry.size, low, high)
    held = max(p.notional_at(high), p.notional_at(low))
    return drift, p.table.maintenance(held + notional), notional / p.leverage


def _most_asked(p: Position, more: float, low: float, high: float) -> tuple[float, float]:
    """Largest requirement of any position up to ``more`` larger than this one, and its initial margin."""
    need = initial = 0.0
    size = abs(p.size) + more
    entries = [low, high, p.entry] if p.size else [low, high]
    for sign in (1.0, -1.0):
        for entry in entries:
            table = p.rule.requirement(p.held(sign * size, entry))
            for price in (low, high):
                need = max(need, table.maintenance(p.contract.notional(size, price)))
                initial = max(initial, p.initial_of(sign * size, price, entry))
    return need + _uncovered(p, low, high), initial


def _uncovered(p: Position, low: float, high: float) -> float:
    """What the symbol's other side would be asked for more without this one to cover it."""
    other = p.other
    if other is None or not other.size or other.plain:
        return 0.0
    alone = other.rule.requirement(other.held()._replace(opposite=0.0))
    at = [other.notional_at(price) for price in (low, high)]
    return max(0.0, *[alone.maintenance(n) - other.table.maintenance(n) for n in at])


def _turned_is_safe(entry: Pending) -> bool:
    """Whether the new side of a reversed isolated position can live on nothing but its own margin."""
    held = abs(entry.quote.position.size)
    if not held or entry.size <= held:
        return True
    new = entry._replace(size=entry.size - held)
    drift, _, most = _reach(new)
    p = entry.quote.position
    need = p.table.maintenance(most * p.leverage) if p.plain else _reach(new)[1]
    return posted_least(new) - drift - entry.fee > need


def posted_least(entry: Pending) -> float:
    """Least margin an isolated position opened by these orders would hold."""
    quote, p = entry.quote, entry.quote.position
    high = max(entry.high, quote.high, quote.mark_high)
    low = min(entry.low, quote.low, quote.mark_low)
    contract = p.contract
    least = min(contract.notional(entry.size, high), contract.notional(entry.size, low))
    return least / p.leverage


def _inner_cost(quote: Quote) -> float:
    """Most the funding stamps inside the bar can take from the position."""
    p = quote.position
    notional = max(p.notional_at(quote.mark_high), p.notional_at(quote.mark_low))
    cost, index = 0.0, quote.cursor
    while index < len(quote.stamps) and quote.stamps[index].time < quote.end:
        stamp = quote.stamps[index]
        at = max(notional, p.notional_at(stamp.mark)) if stamp.mark else notional
        cost += abs(stamp.rate) * at
        index += 1
    return cost
