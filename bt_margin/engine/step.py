"""The bar contract: everything that happens inside one bar, in this order.

A bar covers ``[t, t + timeframe)``; a funding stamp belongs to exactly one bar and is charged once.

1. **Due at the open.** Funding stamped at or before t, at the last known mark (unless the stamp brings its
   own), on the positions held before any fill of this bar.
2. **The gap.** Marks move to the open; a pool in breach there is liquidated at the open, before any order.
3. **Fast lane.** A pool that cannot breach even with every mark at its worst for it at once, counting what
   pending orders could add (:mod:`engine.bound`), has its orders matched exactly as the framework does.
4. **Walk.** The symbols of any other pool walk the bar's legs together (:mod:`engine.walk`), along the path
   the ``intrabar`` policy names (:mod:`engine.scout`) or along finer bars where ``detail`` has them.
5. **Close.** Marks move to the close; margin calls.

The bound of the fast lane includes the open, so the gap is looked at only when the bound fails: the
result is the same. Triggers use the mark, orders match against last. A symbol without a bar keeps its mark.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, get_args

from bt_margin.engine.account import Account
from bt_margin.engine.bound import Pending, risky_pools
from bt_margin.engine.liquidation import Hooks
from bt_margin.engine.margin_calls import check_margin_calls
from bt_margin.engine.quote import Detail, Quote
from bt_margin.engine.resting import Leg, Resting
from bt_margin.engine.scout import Intrabar, choose_roads
from bt_margin.engine.walk import Walk, settle, settle_inside
from bt_margin.errors import UnknownMode


class Matcher(Protocol):
    """What a framework offers so that its orders can live through a bar."""

    @property
    def hooks(self) -> Hooks:
        """Cancel a pool's orders; learn of liquidations."""

    def waiting(self) -> bool:
        """Whether any order could do anything in this bar."""

    def pending(self) -> Sequence[Pending]:
        """Per symbol, what its orders could do within this bar."""

    def match(self, symbols: Collection[str] | None) -> None:
        """Match the orders of these symbols (None: all) against the bar, the framework's own way."""

    def resting(self) -> Sequence[Resting]:
        """The orders that can still fill in this bar (walk)."""

    def execute(self, order: Resting, leg: Leg) -> None:
        """The order is triggered at the start of ``leg`` (walk)."""

    def finish(self, symbols: Collection[str]) -> None:
        """The walk of these symbols is over: what the framework does to orders that did not fill."""


class NoOrders:
    """A matcher without orders: positions only live through their bars."""

    hooks = Hooks()

    def waiting(self) -> bool:
        """Never."""
        return False

    def pending(self) -> Sequence[Pending]:
        """Nothing."""
        return ()

    def match(self, symbols: Collection[str] | None) -> None:
        """Nothing to match."""

    def resting(self) -> Sequence[Resting]:
        """Nothing rests."""
        return ()

    def execute(self, order: Resting, leg: Leg) -> None:
        """Never called."""

    def finish(self, symbols: Collection[str]) -> None:
        """Nothing to finish."""


class Stepper:
    """Leads an account through bars.

    intrabar : which extreme comes first in a dangerous bar (``adverse``, ``favourable``, ``nearest``)
    detail : finer bars per symbol for dangerous bars

    ``walked`` counts the bars that had to be walked, ``guessed`` lists those (symbol, start, end) among
    them whose inner path is a guess because there are no finer bars.
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
        self.guessed: list[tuple[str, int, int]] = []
        self._calling = False

    def step(self, time: int, fresh: Sequence[Quote], matcher: Matcher) -> None:
        """Live through one bar of the quotes in ``fresh``; other symbols keep their marks."""
        account = self.account
        account.time = time
        if account.venue.carry is not None:
            account.accrue(time)
        if time >= account.next_rules:
            account.clock(time)
        for quote in fresh:
            while quote.next_stamp <= quote.start:
                settle(self.account, quote, None)
        waiting = matcher.waiting()
        if not waiting and not account.exposed() and not account.priced():
            self._skip_stamps(fresh)
            return
        read = fresh if waiting else [q for q in fresh if q.position.size or q.position.backs]
        for quote in read:
            quote.read()
            p = quote.position
            p.mark, p.low, p.high = quote.mark_open, quote.mark_low, quote.mark_high
        risky = self._risky(matcher.pending() if waiting else (), read)
        if not risky:
            matcher.match(None)
            self._inner_stamps(read)
        else:
            self._part(read, matcher, risky)
        for quote in read:
            quote.position.move(quote.mark_close)
        self._skip_stamps(fresh)
        if account.vault:
            account.pay_debts()
        if self._calling:
            check_margin_calls(account)

    def _risky(self, pending: Sequence[Pending], read: Sequence[Quote]) -> set[str]:
        """Pools that must be walked; without orders and stamps straight from their worst corners."""
        account = self.account
        self._calling = bool(pending) or account.calls_anywhere
        if pending or any(q.next_stamp < q.end for q in read):
            self._calling = True
            return risky_pools(account, pending, read)
        risky: set[str] = set()
        for key, pool in account.pools.items():
            if pool.positions:
                equity, need = pool.worst()
                if equity <= need:
                    risky.add(key)
                if need >= account.lowest_call * equity or pool.called:
                    self._calling = True  # unless calls are anywhere, no corner has a higher ratio
        return risky

    def _part(self, read: Sequence[Quote], matcher: Matcher, risky: set[str]) -> None:
        """Walk the pools in danger; the others live through the bar as if those were not there."""
        self._calling = True
        account = self.account
        walked: list[Quote] = []
        calm: list[Quote] = []
        for quote in read:
            priced = account.vault and quote.position.backs and account.cross.key in risky
            in_danger = priced or account.pool_key(quote.position) in risky
            (walked if in_danger else calm).append(quote)
        self._gap(walked, matcher)
        if calm:
            matcher.match({q.position.symbol for q in calm})
            self._inner_stamps(calm)
        self._walk(walked, matcher)

    def _gap(self, walked: Sequence[Quote], matcher: Matcher) -> None:
        for quote in walked:
            quote.position.move(quote.mark_open)
        for pool in list(self.account.pools.values()):
            if pool.breached():
                self.account.liquidate(pool, matcher.hooks)

    def _has_detail(self, quote: Quote) -> bool:
        finer = self.detail.get(quote.position.symbol)
        return finer is not None and bool(finer.between(quote.start, quote.end))

    def _walk(self, walked: Sequence[Quote], matcher: Matcher) -> None:
        self.walked += 1
        self.guessed += [
            (q.position.symbol, q.start, q.end) for q in walked if not self._has_detail(q)
        ]
        symbols = {q.position.symbol for q in walked}
        resting = [o for o in matcher.resting() if o.symbol in symbols]
        roads = choose_roads(self.account, walked, resting, self.intrabar, self.detail)
        Walk(self.account, roads, matcher).run()
        matcher.finish(symbols)

    # -- funding --------------------------------------------------------------------------------

    def _inner_stamps(self, read: Sequence[Quote]) -> None:
        for quote in read:
            while quote.next_stamp < quote.end:
                settle_inside(self.account, quote)

    @staticmethod
    def _skip_stamps(fresh: Sequence[Quote]) -> None:
        for quote in fresh:
            while quote.next_stamp < quote.end:
                quote.take_stamp()
