"""The account: what may be asked of it and done to it.

How it writes is in :mod:`engine.book`, what it can be asked in :mod:`engine.reading`; verdicts (preview,
order check, liquidation choice) are pure functions elsewhere, and the account carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from bt_margin.core import funding as funding_rule
from bt_margin.engine import settings
from bt_margin.engine.book import Book, Fill
from bt_margin.engine.events import Event
from bt_margin.engine.ledger import Ledger
from bt_margin.engine.liquidation import Hooks, liquidate
from bt_margin.engine.margin_calls import check_margin_calls
from bt_margin.engine.orders import Reservations
from bt_margin.engine.plan import FeeRule, Refusal
from bt_margin.engine.pool import MarginMode, Pool, Position
from bt_margin.engine.preview import reduces, trim
from bt_margin.errors import CashError, InputError, UnknownSymbol
from bt_margin.venues import venue as make_venue
from bt_margin.venues.spec import Venue


def _free(size: float, price: float) -> float:
    """No fee."""
    return 0.0


class Account(Book):
    """A margin account under one venue's rules.

    venue : name or Venue; ``"generic"`` needs its numbers, so build it with ``btm.venue("generic", ...)``
    cash : wallet at the start, in ``currency`` (the venue's own unless the contracts settle elsewhere)
    margin_mode, leverage : defaults for every symbol; ``symbols`` overrides them per symbol
    margin_calls : ratios (maintenance over equity) that raise a margin-call event
    debug : check the money identity after every event

    >>> from bt_margin.venues import venue
    >>> flat = venue("generic", maintenance_rate=0.005, taker_fee=0.0, maker_fee=0.0,
    ...              liquidation_fee=0.0, funding_interval="8h", residual="trader")
    >>> account = Account(flat, cash=10_000, margin_mode="isolated", leverage=10)
    >>> _ = account.mark("BTC/USDT:USDT", 50_000.0)
    >>> _ = account.fill("BTC/USDT:USDT", 1.0, 50_000.0)
    >>> round(account.liquidation_price("BTC/USDT:USDT"), 2), account.bankruptcy_price("BTC/USDT:USDT")
    (45226.13, 45000.0)
    """

    def __init__(
        self,
        venue: str | Venue,
        cash: float = 10_000.0,
        margin_mode: MarginMode = "cross",
        leverage: float = 1.0,
        *,
        symbols: Mapping[str, Mapping[str, Any]] | None = None,
        currency: str | None = None,
        as_of: Any = None,
        auto_top_up: bool = False,
        margin_calls: tuple[float, ...] = (0.8,),
        liquidation_slippage: float = 0.0,
        time: int = 0,
        debug: bool = False,
    ) -> None:
        chosen = make_venue(venue, as_of=as_of) if isinstance(venue, str) else venue
        self.venue = chosen.with_symbols(symbols) if symbols else chosen
        self.currency = currency or self.venue.currency
        self._symbols = {self.venue.resolve(k): dict(v) for k, v in (symbols or {}).items()}
        self._defaults = (settings.valid_mode(margin_mode), settings.valid_leverage(leverage))
        self.auto_top_up = auto_top_up
        self.margin_calls = settings.valid_thresholds(margin_calls)
        self.lowest_call = self.margin_calls[0] if self.margin_calls else float("inf")
        self.liquidation_slippage = settings.valid_slippage(liquidation_slippage)
        self.calls_anywhere = False
        self.debug = debug
        self.time = time
        self.next_rules: float = float("inf")
        self.book: dict[str, Position] = {}
        self.pools: dict[str, Pool] = {}
        self.events: list[Event] = []
        self.ledger = Ledger()
        self.orders = Reservations()
        self.dead = False
        self.cross = self._pool(f"cross:{self.currency}", "cross")
        self.deposit(settings.valid_cash(cash))

    def position(self, symbol: str) -> Position:
        """The record of a symbol, open or flat; made on first use from the venue's facts."""
        found = self.book.get(symbol)
        return found if found is not None else self._enter(symbol)

    # -- orders ---------------------------------------------------------------------------------

    def check_order(
        self,
        ref: int,
        symbol: str,
        size: float,
        price: float,
        *,
        reduce_only: bool = False,
        fee: FeeRule | None = None,
        at_market: bool = False,
    ) -> Refusal | None:
        """Judge a new order and, when accepted, reserve its margin until :meth:`release`.

        Orders that can only reduce the position reserve nothing and always pass; ``at_market`` what they
        free is counted for the orders after them.
        """
        settings.valid_size(symbol, size)
        settings.valid_price(symbol, price)
        p = self.position(symbol)
        entry = self.orders.price_in(self, p, size, price)
        refusal = self._judge(p, entry, price, reduce_only, fee)
        if refusal is None:
            only_reduces = reduce_only or reduces(p.size, size)
            if at_market and only_reduces:
                entry = entry._replace(ahead=True)
            self.orders.add(p, ref, entry, reserving=not only_reduces)
            return None
        self.record(
            "rejected", p, size=size, price=price, order=ref,
            reason=refusal.reason, found=refusal.found, allowed=refusal.allowed,
        )  # fmt: skip
        return refusal

    def release(self, ref: int) -> None:
        """The order is gone (filled, cancelled, expired): its reservation ends."""
        self.orders.remove(ref)

    def fill(
        self,
        symbol: str,
        size: float,
        price: float,
        *,
        fee: FeeRule | None = None,
        liquidity: str = "taker",
        order: int | None = None,
        reduce_only: bool = False,
        info: Mapping[str, Any] | None = None,
    ) -> Fill:
        """Book a fill of signed ``size`` at ``price``.

        The closing part always happens; an opening part the account cannot carry is refused (its reason is
        in ``Fill.refusal`` and in a ``rejected`` event). ``reduce_only`` trims the fill to the position.
        """
        settings.valid_size(symbol, size)
        settings.valid_price(symbol, price)
        p = self.position(symbol)
        if reduce_only:
            size = trim(p.size, size)
        if not size:
            return Fill(0.0, 0.0, 0.0, 0.0, 0.0, p.size, p.entry, None, None)
        if not p.mark:
            p.move(price)
        chosen = fee or self.venue_fee(p, liquidity)
        made = self.plan(symbol, size, price, chosen, order if order is not None else -1)
        refusal = self.dead_refusal() if self.dead and made.opened else made.refusal
        if refusal is not None:
            self.record(
                "rejected", p, size=made.opened, price=price, order=order,
                reason=refusal.reason, found=refusal.found, allowed=refusal.allowed,
            )  # fmt: skip
            if not made.closed:
                return Fill(0.0, 0.0, 0.0, 0.0, 0.0, p.size, p.entry, None, refusal)
            made = self.plan(symbol, made.closed, price, chosen, order if order is not None else -1)
        event = self.commit(
            p,
            made,
            price,
            "fill",
            "fee",
            order=order,
            info={"liquidity": liquidity, **(info or {})},
        )
        return Fill(
            made.opened, made.closed, made.realised, made.closing_fee, made.opening_fee,
            p.size, p.entry, event, refusal,
        )  # fmt: skip

    # -- money ----------------------------------------------------------------------------------

    def deposit(self, amount: float) -> Event:
        """Add money to the free wallet; a dead account lives again."""
        if not 0 <= amount < float("inf"):
            raise CashError(f"a deposit of {amount} is not possible; allowed: finite, 0 or more")
        self._post(self.cross, "deposit", amount, None, len(self.events))
        event = self.record("deposit", pool=self.cross, amount=amount)
        if self.dead and self.equity() > 0:
            self.dead = False
            self.record("revived", pool=self.cross, cause=event.id)
        return event

    def withdraw(self, amount: float) -> Event:
        """Take money out of the free wallet; more than may leave is refused (CashError).

        Unrealised profit is margin, but not money yet: it cannot be withdrawn or moved to another pool.
        """
        free = self.transferable()
        if not 0 <= amount <= free * (1 + 1e-12):
            self.record(
                "refused", pool=self.cross, amount=-amount, reason="withdrawal",
                found=amount, allowed=free,
            )  # fmt: skip
            raise CashError(f"a withdrawal of {amount:,.2f} exceeds {free:,.2f}, what is available")
        amount = min(amount, free)
        self._post(self.cross, "withdrawal", -amount, None, len(self.events))
        return self.record("withdrawal", pool=self.cross, amount=-amount)

    def fund(
        self, symbol: str, rate: float, mark: float | None = None, time: int | None = None
    ) -> Event | None:
        """Settle funding on the open position: longs pay when the rate is positive. None when flat.

        A pool that the payment brings into breach is liquidated at once.
        """
        event = self.book_funding(symbol, rate, mark, time)
        pool = self.position(symbol).pool
        if pool is not None and pool.breached():
            self.liquidate(pool)
        return event

    def book_funding(
        self, symbol: str, rate: float, mark: float | None = None, time: int | None = None
    ) -> Event | None:
        """Settle funding and leave the verdict to the bar that goes on (the stepper's way)."""
        p = self.position(symbol)
        if p.pool is None:
            return None
        settings.valid_number(f"funding rate of {symbol}", rate)
        price = p.mark if mark is None else settings.valid_price(symbol, mark)
        amount = funding_rule.payment(p.contract, p.size, price, rate)
        self._post(p.pool, "funding", amount, p.symbol, len(self.events))
        return self.record(
            "funding", p, size=p.size, mark=price, amount=amount, found=rate, time=time
        )

    def delist(self, symbol: str) -> Event | None:
        """The symbol's market is over: an open position is closed at its last mark, without a fee.

        Returns the closing fill, whose cause is the ``delisted`` event; None when nothing was open.
        """
        p = self.position(symbol)
        over = self.record("delisted", p, size=p.size, reason="the market was delisted")
        if not p.size:
            return None
        made = self.plan(symbol, -p.size, p.mark, _free, -1)
        return self.commit(
            p,
            made,
            p.mark,
            "fill",
            "fee",
            cause=over.id,
            reason="closed at the last mark, delisted",
        )

    def charge_interest(self, amount: float, symbol: str | None = None) -> Event:
        """Charge interest (a positive amount leaves the wallet; what a flat one lacks is a shortfall)."""
        settings.valid_number("interest", amount)
        p = self.position(symbol) if symbol else None
        pool = (p.pool if p else None) or self.cross
        self._post(pool, "interest", -amount, symbol, len(self.events))
        event = self.record("interest", p, pool=pool, amount=-amount)
        if not pool.positions:
            self._settle_empty(pool, event.id)
        return event

    def set_leverage(self, symbol: str, leverage: float) -> Event:
        """Change a symbol's leverage, within the venue's caps and rules (LeverageRefused otherwise)."""
        return settings.set_leverage(self, self.position(symbol), leverage)

    def set_margin_mode(self, symbol: str, margin_mode: MarginMode) -> Event:
        """Change a symbol's margin mode where the venue allows it (MarginModeRefused otherwise)."""
        return settings.set_margin_mode(self, self.position(symbol), margin_mode)

    def add_margin(self, symbol: str, amount: float) -> Event:
        """Move free margin into an isolated position (MarginRefused otherwise)."""
        return settings.add_margin(self, self.position(symbol), amount)

    def reduce_margin(self, symbol: str, amount: float) -> Event:
        """Move margin out of an isolated position, keeping its initial margin covered."""
        return settings.reduce_margin(self, self.position(symbol), amount)

    def margin_mode(self, symbol: str) -> MarginMode:
        """The symbol's margin mode."""
        return self.position(symbol).margin_mode

    def leverage(self, symbol: str) -> float:
        """The symbol's leverage."""
        return self.position(symbol).leverage

    # -- time and marks -------------------------------------------------------------------------

    def clock(self, time: int) -> None:
        """Advance to ``time``; dated tier tables that came into force meanwhile apply from now on."""
        if time < self.time:
            raise InputError(f"the clock cannot go back from {self.time} to {time}")
        self.time = time
        if time < self.next_rules:
            return
        for p in self.book.values():
            table = self.venue.schedule(p.symbol).at(time)
            if table is not p.table:
                p.table, before = table, p.leverage
                p.leverage = min(before, table.max_leverage(0.0))
                told = "the tier table in force changed"
                if p.leverage < before:
                    told += f"; leverage {before:g} is above its maximum and now {p.leverage:g}"
                self.record("rules", p, reason=told, found=before, allowed=table.max_leverage(0.0))
        self._plan_rules()

    def mark(self, symbol: str, price: float) -> list[Event]:
        """Move a mark; a pool this breaches is liquidated at once. Returns the new events."""
        settings.valid_price(symbol, price)
        before = len(self.events)
        p = self.position(symbol)
        p.move(price)
        if p.pool is not None and p.pool.breached():
            self.liquidate(p.pool)
        return self.events[before:]

    def liquidate(self, pool: Pool, hooks: Hooks | None = None, *, crossed: bool = False) -> None:
        """Liquidate a pool in breach by the venue's policy (see :mod:`engine.liquidation`).

        ``crossed``: the marks stand exactly at the crossing, where float noise may hide the breach.
        """
        liquidate(self, pool, hooks or Hooks(), crossed=crossed)

    def call_margins(self) -> None:
        """Raise or clear margin calls by the pools' ratios at the marks."""
        check_margin_calls(self)

    def _enter(self, symbol: str) -> Position:
        name = self.venue.resolve(symbol)
        if name in self.book:
            return self.book[name]
        contract = self.venue.contract(name)
        if contract.settle != self.currency:
            raise UnknownSymbol(
                f"{name} settles in {contract.settle}, this account holds {self.currency}; "
                f"give the account currency={contract.settle!r} and its cash in {contract.settle}"
            )
        own = self._symbols.get(name, {})
        mode = settings.valid_mode(own.get("margin_mode", self._defaults[0]))
        leverage = settings.valid_leverage(own.get("leverage", self._defaults[1]))
        table = self.venue.schedule(name).at(self.time)
        settings.check_cap(name, leverage, table, self.time)
        position = self.book[name] = Position(contract, leverage, mode, table)
        self._plan_rules()
        return position

    def _plan_rules(self) -> None:
        changes = [self.venue.schedule(s).next_change(self.time) for s in self.book]
        self.next_rules = min([c for c in changes if c is not None], default=float("inf"))
        top = max([p.table.tiers[-1].mmr for p in self.book.values()], default=0.0)
        self.calls_anywhere = self.lowest_call <= top

    def fork(self) -> Account:
        """A copy to try things on: same state, no history. Nothing done to it touches this account."""
        twin = copy(self)
        twin.debug = False
        twin.events, twin.ledger = [], Ledger()
        twin.ledger.totals = dict(self.ledger.totals)
        twin.orders = self.orders.copy()
        twin.book = {s: copy(p) for s, p in self.book.items()}
        twin.pools = {}
        for key, pool in self.pools.items():
            mirror = twin.pools[key] = copy(pool)
            mirror.positions = [twin.book[p.symbol] for p in pool.positions]
            for p in mirror.positions:
                p.pool = mirror
        twin.cross = twin.pools[self.cross.key]
        return twin
