"""The account: what may be asked of it and done to it.

How it writes is in :mod:`engine.book`, what it can be asked in :mod:`engine.reading`; verdicts (preview,
order check, liquidation choice) are pure functions elsewhere, and the account carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from bt_margin.core.tiers import TierTable
from bt_margin.engine import settings
from bt_margin.engine.book import Fill
from bt_margin.engine.cashier import Cashier
from bt_margin.engine.events import Event
from bt_margin.engine.ledger import Ledger
from bt_margin.engine.liquidation import Hooks, liquidate
from bt_margin.engine.margin_calls import check_margin_calls
from bt_margin.engine.orders import Reservations
from bt_margin.engine.plan import FeeRule, Refusal
from bt_margin.engine.pool import MarginMode, Pool, Position
from bt_margin.engine.preview import reduces, trim
from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.venues import venue as make_venue
from bt_margin.venues.spec import Venue


class Account(Cashier):
    """A margin account under one venue's rules.

    venue : name or Venue; ``"generic"`` needs its numbers, so build it with ``btm.venue("generic", ...)``
    cash : wallet at the start, in ``currency`` (the venue's own unless the contracts settle elsewhere), or
        wallets by currency, ``{"BTC": 0.5, "ETH": 10}``: each backs the contracts that settle in it
    currency : what the account is valued in; coins of other wallets count at their last mark
    collateral : coins pledged to the cross pool, ``{"BTC": 0.2}``, where the venue takes them; the mark of a
        symbol of that coin is their price, or what :meth:`price` says
    margin_mode, leverage : defaults for every symbol; ``symbols`` overrides them per symbol
    margin_calls : ratios (maintenance over equity) that raise a margin-call event; None: the venue's
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
        cash: float | Mapping[str, float] = 10_000.0,
        margin_mode: MarginMode = "cross",
        leverage: float = 1.0,
        *,
        symbols: Mapping[str, Mapping[str, Any]] | None = None,
        currency: str | None = None,
        as_of: Any = None,
        auto_top_up: bool = False,
        margin_calls: tuple[float, ...] | None = None,
        liquidation_slippage: float = 0.0,
        time: int = 0,
        debug: bool = False,
        collateral: Mapping[str, float] | None = None,
    ) -> None:
        chosen = make_venue(venue, as_of=as_of) if isinstance(venue, str) else venue
        self.venue = chosen.with_symbols(symbols) if symbols else chosen
        wallets = settings.valid_wallets(cash, currency or self.venue.currency)
        self.currency = next(iter(wallets))
        self._symbols = {self.venue.resolve(k): dict(v) for k, v in (symbols or {}).items()}
        self._defaults = (
            settings.mode_of(self.venue, margin_mode), settings.valid_leverage(leverage)
        )  # fmt: skip
        self.auto_top_up = auto_top_up
        calls = self.venue.margin_calls if margin_calls is None else margin_calls
        self.margin_calls = settings.valid_thresholds(calls)
        self.lowest_call = self.margin_calls[0] if self.margin_calls else float("inf")
        self.liquidation_slippage = settings.valid_slippage(liquidation_slippage)
        self.calls_anywhere = False
        self.debug = debug
        self.time = self.carried = time
        self.next_rules: float = float("inf")
        self.revisions = 0  # how often what is asked of open positions changed without an event
        self.book: dict[str, Position] = {}
        self.pools: dict[str, Pool] = {}
        self.events: list[Event] = []
        self.ledger = Ledger()
        self.orders = Reservations()
        self.asked: dict[int, dict[str, TierTable]] = {}
        self.dead = False
        rules = [rule for _, rule in self.venue.margin]
        self.watching = self.venue.shared is not None or any(r.reads_balance for r in rules)
        self.rates = {self.currency: 1.0}
        self.sources: dict[str, Position] = {}
        strict = self.venue.strict
        self.wallets = {u: Pool(f"cross:{u}", "cross", u, None, strict) for u in wallets}
        self.pools |= {pool.key: pool for pool in self.wallets.values()}
        self.cross = self.wallets[self.currency]
        self.vault: dict[str, Pool] = {}
        for unit, amount in wallets.items():
            if amount:
                self.deposit(amount, unit)
        for coin, amount in settings.valid_collateral(collateral).items():
            self.pledge(coin, amount)

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
        reduce_only = reduce_only or p.against(size)
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
        if reduce_only or p.against(size):
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
        cost = self.opening_cost(p, made.opened, price) if made.opened else 0.0
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
            p.size, p.entry, event, refusal, cost,
        )  # fmt: skip

    # -- settings -------------------------------------------------------------------------------

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

    def account_mode(self) -> MarginMode:
        """The mode of symbols without one of their own."""
        return self._defaults[0]

    def set_default_mode(self, mode: MarginMode) -> None:
        """The mode of symbols that are still to come."""
        self._defaults = (mode, self._defaults[1])

    def leverage(self, symbol: str) -> float:
        """The symbol's leverage."""
        return self.position(symbol).leverage

    # -- time and marks -------------------------------------------------------------------------

    def clock(self, time: int) -> None:
        """Advance to ``time``; dated tier tables that came into force meanwhile apply from now on."""
        if time < self.time:
            raise InputError(f"the clock cannot go back from {self.time} to {time}")
        self.time = time
        self.accrue(time)
        if time < self.next_rules:
            return
        for p in self.book.values():
            self._new_rule(p)
            self._new_table(p)
            self._new_fees(p)
            self.rejudge(p)
        for pledge in self.cross.pledges:
            pledge.ratio = self.venue.collateral_ratio(pledge.coin, time) or 0.0
        self._plan_rules()

    def _new_rule(self, p: Position) -> None:
        rule = self.venue.margin_at(self.time)
        if rule is not p.rule:
            p.rule, p.plain = rule, rule.plain
            p.table = p.limits
            self.record("rules", p, reason="the margin rule in force changed")

    def _new_table(self, p: Position) -> None:
        table = self.venue.schedule(p.market).at(self.time)
        if table is p.limits or table == p.limits:
            return
        p.limits = p.table = table
        before, most = p.leverage, table.max_leverage(0.0)
        p.leverage = min(before, most)
        told = "the tier table in force changed"
        if p.leverage < before:
            told += f"; leverage {before:g} is above its maximum and now {p.leverage:g}"
        self.record("rules", p, reason=told, found=before, allowed=most)

    def _new_fees(self, p: Position) -> None:
        taker = self.venue.fees_at(p.market, self.time).taker
        if self.venue.shared is not None or (p.size and taker != p.taker):
            self.revisions += 1
        p.taker = taker

    def mark(self, symbol: str, price: float) -> list[Event]:
        """Move a mark; a pool this breaches is liquidated at once. Returns the new events."""
        settings.valid_price(symbol, price)
        before = len(self.events)
        p = self.position(symbol)
        sides = (p,) if p.other is None else (p, p.other)
        for one in sides:
            one.move(price)
        for one in sides:
            if one.pool is not None and one.pool.breached():
                self.liquidate(one.pool)
        if self.vault and self.cross.breached():  # the mark may be the price of a pledged coin
            self.liquidate(self.cross)
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
        market, leg = settings.leg_of(symbol)
        name = self.venue.resolve(market)
        key = name if leg is None else f"{name} {leg}"
        if key in self.book:
            return self.book[key]
        settings.check_leg(self, name, leg)
        contract = self.venue.contract(name)
        if contract.settle not in self.wallets:
            raise UnknownSymbol(
                f"{name} settles in {contract.settle}, this account holds "
                f"{', '.join(self.wallets)}; "
                f"give the account currency={contract.settle!r} and its cash in {contract.settle}"
            )
        own = self._symbols.get(name, {})
        mode = settings.own_mode(self, name, own.get("margin_mode", self._defaults[0]))
        leverage = settings.valid_leverage(own.get("leverage", self._defaults[1]))
        table = self.venue.schedule(name).at(self.time)
        settings.check_step(self.venue, name, leverage)
        settings.check_cap(name, leverage, table, self.time)
        rule = self.venue.margin_at(self.time)
        position = self.book[key] = Position(contract, leverage, mode, table, rule, leg, name)
        position.taker = self.venue.fees_at(name, self.time).taker
        self._pair(position)
        self._know_price(name.partition("/")[0], position)
        self._plan_rules()
        return position

    def _know_price(self, coin: str, p: Position) -> None:
        """The first symbol of a coin tells what the coin is worth."""
        if coin in self.sources:
            return
        self.sources[coin] = p
        p.backs = coin in self.wallets and len(self.wallets) > 1
        for pledge in self.cross.pledges:
            if pledge.coin == coin and coin not in self.rates:
                self._source_of(pledge, p)

    def _pair(self, p: Position) -> None:
        """Let the two sides of a symbol know each other."""
        sides = {"long": "short", "short": "long"}
        label = p.symbol.removesuffix(f" {p.leg}")
        other = self.book.get(f"{label} {sides[p.leg]}") if p.leg else None
        if other is not None:
            p.other, other.other = other, p
            if not p.mark:
                p.move(other.mark)

    def _plan_rules(self) -> None:
        changes = [self.venue.schedule(p.market).next_change(self.time) for p in self.book.values()]
        dates = [*changes, self.venue.next_change(self.time), self.venue.next_fees(self.time)]
        self.next_rules = min([c for c in dates if c is not None], default=float("inf"))
        plain = all(p.plain for p in self.book.values()) and self.venue.shared is None
        top = max([p.limits.tiers[-1].mmr for p in self.book.values()], default=0.0)
        jumps = any(p.limits.stepped for p in self.book.values())
        # else the worst corner of a bar has its highest ratio: no gain asks for more than it brings
        self.calls_anywhere = not plain or jumps or self.lowest_call <= top

    def fork(self) -> Account:
        """A copy to try things on: same state, no history. Nothing done to it touches this account."""
        twin = copy(self)
        twin.debug = False
        twin.events, twin.ledger, twin.asked = [], Ledger(), {}
        twin.ledger.totals = dict(self.ledger.totals)
        twin.orders = self.orders.copy()
        twin.book = {s: copy(p) for s, p in self.book.items()}
        twin.pools = {}
        for key, pool in self.pools.items():
            mirror = twin.pools[key] = copy(pool)
            mirror.positions = [twin.book[p.symbol] for p in pool.positions]
            for p in mirror.positions:
                p.pool = mirror
        for p in twin.book.values():
            p.other = twin.book[p.other.symbol] if p.other is not None else None
        twin.sources = {coin: twin.book[p.symbol] for coin, p in self.sources.items()}
        twin.wallets = {unit: twin.pools[pool.key] for unit, pool in self.wallets.items()}
        twin.cross = twin.wallets[self.currency]
        twin.vault = {coin: copy(vault) for coin, vault in self.vault.items()}
        twin.cross.pledges = [copy(pledge) for pledge in self.cross.pledges]
        for pledge in twin.cross.pledges:
            pledge.vault = twin.vault[pledge.coin]
            pledge.source = twin.book[pledge.source.symbol] if pledge.source is not None else None
        return twin
