"""The bar contract: everything that happens inside one bar, in this order.

A bar covers ``[t, t + timeframe)``; a funding stamp belongs to exactly one bar and is charged once.

1. **Due at the open.** Funding stamped at or before t, at the last known mark (unless the stamp brings its
   own), on the positions held before any fill of this bar.
2. **The gap.** Marks move to the open; a pool in breach there is liquidated at the open, before any order.
3. **Fast lane.** If no pool can breach even with every mark at its worst for that pool at once, counting
   what pending orders could add, orders are matched exactly as the framework does.
4. **Walk.** Otherwise all symbols walk the bar's legs together (:mod:`engine.walk`), along the path the
   ``intrabar`` policy names (:mod:`engine.scout`) or along finer bars where ``detail`` has them.
5. **Close.** Marks move to the close; margin calls.

The bound of the fast lane includes the open, so the gap is looked at only when the bound fails: the
result is the same. Triggers use the mark, orders match against last. A symbol without a bar keeps its mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, get_args

from bt_margin.engine.account import Account
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.margin_calls import check_margin_calls
from bt_margin.engine.quote import Detail, Quote
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.scout import Intrabar, choose_roads
from bt_margin.engine.walk import Walk
from bt_margin.errors import UnknownMode


class Pending(NamedTuple):
    """What the orders of one symbol could do within this bar.

    ``size`` sum of the unsigned sizes that can fill; ``high`` and ``low`` bound the prices they can fill
    at; ``fee`` the most they can cost; ``walk`` demands the walk (a stop on the mark that may trigger).
    """

    quote: Quote
    size: float
    high: float
    low: float
    fee: float
    walk: bool = False


class Matcher(Protocol):
    """What a framework offers so that its orders can live through a bar."""

    @property
    def hooks(self) -> Hooks:
        """Cancel a pool's orders; learn of liquidations."""

    def waiting(self) -> bool:
        """Whether any order could do anything in this bar."""

    def pending(self) -> Sequence[Pending]:
        """Per symbol, what its orders could do within this bar."""

    def match(self) -> None:
        """Match all orders against the bar, the framework's own way."""

    def resting(self) -> Sequence[Resting]:
        """The orders that can still fill in this bar (walk)."""

    def execute(self, order: Resting, leg: Leg) -> None:
        """The order is triggered at the start of ``leg`` (walk)."""

    def finish(self) -> None:
        """The walk is over: what the framework does to orders that did not fill."""


class NoOrders:
    """A matcher without orders: positions only live through their bars."""

    hooks = Hooks()

    def waiting(self) -> bool:
        """Never."""
        return False

    def pending(self) -> Sequence[Pending]:
        """Nothing."""
        return ()

    def match(self) -> None:
        """Nothing to match."""

    def resting(self) -> Sequence[Resting]:
        """Nothing rests."""
        return ()

    def execute(self, order: Resting, leg: Leg) -> None:
        """Never called."""

    def finish(self) -> None:
        """Nothing to finish."""


class Stepper:
    """Leads an account through bars.

    intrabar : which extreme comes first in a dangerous bar (``adverse``, ``favourable``, ``nearest``)
    detail : finer bars per symbol for dangerous bars

    ``walked`` counts the bars that had to be walked.
    """

    def __init__(
        self,
        account: Account,
        intrabar: Intrabar = "adverse",
        detail: Mapping[str, Detail] | None = None,
    ) -> None:
        if intrabar not in get_args(Intrabar):
            raise UnknownMode(
                f"intrabar {intrabar!r} is not known; allowed: adverse, favourable, nearest"
            )
        self.account = account
        self.intrabar: Intrabar = intrabar
        self.detail = dict(detail or {})
        self.walked = 0
        self._calling = False

    def step(self, time: int, fresh: Sequence[Quote], matcher: Matcher) -> None:
        """Live through one bar of the quotes in ``fresh``; other symbols keep their marks."""
        account = self.account
        account.time = time
        if time >= account.next_rules:
            account.clock(time)
        for quote in fresh:
            while quote.next_stamp <= quote.start:
                self._settle(quote, None)
        waiting = matcher.waiting()
        if not waiting and not account.exposed():
            self._skip_stamps(fresh)
            return
        read = fresh if waiting else [q for q in fresh if q.position.size]
        for quote in read:
            quote.read()
            p = quote.position
            p.mark, p.low, p.high = quote.mark_open, quote.mark_low, quote.mark_high
        pending = matcher.pending() if waiting else ()
        self._calling = bool(pending)
        if self._safe(pending, read):
            matcher.match()
            self._inner_stamps(read)
        else:
            self._calling = True
            self._walk(read, matcher)
        for quote in read:
            quote.position.move(quote.mark_close)
        self._skip_stamps(fresh)
        if self._calling:
            check_margin_calls(account)

    def _walk(self, read: Sequence[Quote], matcher: Matcher) -> None:
        account = self.account
        self.walked += 1
        for quote in read:
            quote.position.move(quote.mark_open)
        for pool in list(account.pools.values()):
            if pool.breached():
                account.liquidate(pool, matcher.hooks)
        roads = choose_roads(account, read, matcher.resting(), self.intrabar, self.detail)
        Walk(account, roads, matcher).run(self._settle_inside)
        matcher.finish()

    # -- funding --------------------------------------------------------------------------------

    def _settle(self, quote: Quote, mark: float | None) -> None:
        stamp = quote.take_stamp()
        if quote.position.size:
            price = stamp.mark if stamp.mark is not None else mark
            self.account.book_funding(quote.position.symbol, stamp.rate, price, time=stamp.time)

    def _settle_inside(self, quote: Quote) -> None:
        """A stamp inside the bar, at the mark on the straight line from open to close."""
        self._settle(quote, quote.mark_at(quote.path_time(quote.next_stamp)))

    def _inner_stamps(self, read: Sequence[Quote]) -> None:
        for quote in read:
            while quote.next_stamp < quote.end:
                self._settle_inside(quote)

    @staticmethod
    def _skip_stamps(fresh: Sequence[Quote]) -> None:
        for quote in fresh:
            while quote.next_stamp < quote.end:
                quote.take_stamp()

    # -- the bound ------------------------------------------------------------------------------

    def _safe(self, pending: Sequence[Pending], read: Sequence[Quote]) -> bool:
        """Whether no pool can breach in this bar, whatever the path and whichever orders fill."""
        account = self.account
        if not pending:
            for quote in read:
                if quote.next_stamp < quote.end:
                    self._calling = True
                    return self._safe_with({}, read)
            for pool in account.pools.values():
                if pool.positions:
                    equity, need = pool.worst()
                    if equity <= need:
                        return False
                    if need >= account.lowest_call * equity or pool.called:
                        self._calling = True  # else the ratio at the close is lower still
            return True
        if any(p.walk or (p.quote.next_stamp < p.quote.end and p.size) for p in pending):
            return False
        return self._safe_with({p.quote.position.symbol: p for p in pending if p.size}, read)

    def _safe_with(self, pending: Mapping[str, Pending], read: Sequence[Quote]) -> bool:
        account = self.account
        bounds = {k: list(pool.worst()) for k, pool in account.pools.items()}
        cross = bounds[account.cross.key]
        for entry in pending.values():
            p = entry.quote.position
            if p.margin_mode == "isolated" and not _turned_is_safe(entry):
                return False  # a reversal leaves its winnings in the wallet, not in the new pool
            drift, need, posted = _reach(entry)
            if p.margin_mode == "isolated":
                cross[0] -= posted + entry.fee
                own = bounds.setdefault(f"isolated:{p.symbol}", [posted_least(entry), 0.0])
            else:
                own = cross
            own[0] -= drift + entry.fee
            own[1] += need
        for quote in read:
            p = quote.position
            if p.pool is not None and quote.next_stamp < quote.end:
                bounds[p.pool.key][0] -= _inner_cost(quote)
        exposed = {k for k, pool in account.pools.items() if pool.positions}
        exposed |= {
            f"isolated:{s}" if e.quote.position.margin_mode == "isolated" else account.cross.key
            for s, e in pending.items()
        }
        return all(bounds[k][0] > bounds[k][1] for k in exposed)


def _reach(entry: Pending) -> tuple[float, float, float]:
    """Most a symbol's orders can lose in the bar, most they can demand, most they can post."""
    quote, p = entry.quote, entry.quote.position
    high = max(entry.high, quote.high, quote.mark_high)
    low = min(entry.low, quote.low, quote.mark_low)
    contract = p.contract
    drift = contract.pnl(entry.size, low, high)
    notional = max(contract.notional(entry.size, high), contract.notional(entry.size, low))
    held = max(p.notional_at(high), p.notional_at(low))
    return drift, p.table.maintenance(held + notional), notional / p.leverage


def _turned_is_safe(entry: Pending) -> bool:
    """Whether the new side of a reversed isolated position can live on nothing but its own margin."""
    held = abs(entry.quote.position.size)
    if not held or entry.size <= held:
        return True
    new = entry._replace(size=entry.size - held)
    drift, _, most = _reach(new)
    p = entry.quote.position
    return posted_least(new) - drift - entry.fee > p.table.maintenance(most * p.leverage)


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
