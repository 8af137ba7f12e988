"""Everything an account can be asked. Reading never mutates money; the writer is :mod:`engine.account`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from bt_margin.core.liquidation import Leg, bankruptcy_price, liquidation_price
from bt_margin.core.position import Change
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import TierTable
from bt_margin.engine.events import Event
from bt_margin.engine.ledger import Ledger
from bt_margin.engine.orders import Reservations, Reserved
from bt_margin.engine.plan import FeeRule, Plan, Refusal, plan
from bt_margin.engine.pool import Pool, Position
from bt_margin.engine.preview import Preview, falls_short, kept_back, preview_of, reduces
from bt_margin.venues.names import DOLLARS, quote_of
from bt_margin.venues.spec import Venue


class AccountView(ABC):
    """The reading half of :class:`~bt_margin.engine.account.Account`."""

    venue: Venue
    currency: str
    time: int
    book: dict[str, Position]
    pools: dict[str, Pool]
    cross: Pool
    wallets: dict[str, Pool]
    rates: dict[str, float]
    sources: dict[str, Position]
    events: list[Event]
    ledger: Ledger
    asked: dict[int, dict[str, TierTable]]
    """By the id of each breach, what was asked of the pool's positions then."""
    orders: Reservations
    dead: bool

    @property
    def positions(self) -> dict[str, Position]:
        """Open positions by symbol."""
        return {p.symbol: p for pool in self.pools.values() for p in pool.positions}

    @abstractmethod
    def position(self, symbol: str) -> Position:
        """The record of a symbol, open or flat."""

    def pool_key(self, p: Position) -> str:
        """The key of the pool a position belongs to, or would when opened."""
        return f"isolated:{p.symbol}" if p.margin_mode == "isolated" else self.home(p).key

    def exposed(self) -> bool:
        """Whether any position is open."""
        if self.cross.positions or len(self.pools) > len(self.wallets):
            return True  # an isolated pool lives only as long as its position
        return len(self.wallets) > 1 and any(pool.positions for pool in self.wallets.values())

    def priced(self) -> bool:
        """Whether marks move the account's value while it is flat: pledged coins, wallets in other coins."""
        return bool(self.cross.pledges) or len(self.wallets) > 1

    def equity(self) -> float:
        """All wallets plus unrealised profit at the marks, in the account's currency."""
        if len(self.wallets) > 1:
            return sum([pool.equity() * self.rate(pool.currency) for pool in self.pools.values()])
        total = sum([pledge.worth() for pledge in self.cross.pledges])
        for pool in self.pools.values():
            total += pool.balance
            for p in pool.positions:
                total += p.gain(p.entry, p.mark)
        return total

    def solvent_equity(self) -> float:
        """Equity with no isolated pool below zero: what is beyond its margin is the insurance fund's."""
        pools = self.pools.values()
        if len(self.wallets) > 1:
            kept = [(p.equity() if p.symbol is None else max(0.0, p.equity()), p) for p in pools]
            return sum([equity * self.rate(pool.currency) for equity, pool in kept])
        isolated = sum([max(0.0, pool.equity()) for pool in pools if pool is not self.cross])
        lent = sum([pledge.worth() - pledge.margin() for pledge in self.cross.pledges])
        return self.cross.equity() + lent + isolated

    def rate(self, currency: str) -> float:
        """Price of a wallet's currency in the account's; 0 before the coin's first mark.

        It is the last mark of the first symbol of that coin, or what :meth:`Account.price` said. An account
        that is itself valued in a coin divides by that coin's own mark.
        """
        known = self.rates.get(currency)
        if known is not None:
            return known
        source, own = self.sources.get(currency), self.sources.get(self.currency)
        if source is None:
            return 0.0
        quote = quote_of(source.market)
        if quote in ("", self.currency) or DOLLARS.issuperset((quote, self.currency)):
            return source.mark
        same = own is not None and own.mark and quote_of(own.market) == quote
        return source.mark / own.mark if own is not None and same else 0.0

    def figures(self) -> tuple[float, float]:
        """:meth:`equity` and :meth:`available` in one pass, to the last bit."""
        if len(self.wallets) > 1:
            homes = self.wallets.items()
            return self.equity(), sum([self.available(p) * self.rate(unit) for unit, p in homes])
        total, free = 0.0, self.cross.balance
        for pledge in self.cross.pledges:
            total += pledge.worth()
            free += pledge.margin()
        for pool in self.pools.values():
            total += pool.balance
            is_cross = pool is self.cross
            for p in pool.positions:
                mark, units = p.mark, p.size * p.multiplier  # written out: it is asked on every bar
                gain = (
                    units * (1.0 / p.entry - 1.0 / mark) if p.inverse else units * (mark - p.entry)
                )
                total += gain
                if is_cross:
                    if not p.plain:
                        free += gain - p.initial()
                        continue
                    units = abs(p.size) * p.multiplier
                    notional = units / mark if p.inverse else units * mark
                    free += gain - notional / p.leverage
        return total, free - self.orders.total(self.book) if self.orders.reserved else free

    def wallet(self) -> float:
        """Sum of the balances, free and posted, without unrealised profit and pledged coins."""
        if len(self.wallets) > 1:
            return sum([pool.balance * self.rate(pool.currency) for pool in self.pools.values()])
        return sum([pool.balance for pool in self.pools.values()])

    def home(self, p: Position) -> Pool:
        """The cross pool of a position's settlement currency: what it is margined from."""
        return self.wallets.get(p.contract.settle, self.cross)

    def only(self, home: Pool) -> str | None:
        """The currency whose orders count beside a cross pool; None when there is no other."""
        return home.currency if len(self.wallets) > 1 else None

    def scale(self, home: Pool | None = None) -> float:
        """The size of the account, against which float dust is measured."""
        if home is not None and len(self.wallets) > 1:
            return max(abs(home.equity()), abs(home.balance))
        return max(abs(self.equity()), self.ledger.totals["deposit"])

    def transferable(self, home: Pool | None = None) -> float:
        """What may leave a cross pool now: available, and never unrealised profit."""
        pool = home or self.cross
        return min(self.available(pool), max(0.0, pool.balance))

    def unreserved(self, home: Pool | None = None) -> float:
        """Cross equity less initial margin, whatever orders reserve."""
        pool = home or self.cross
        free = pool.backing()
        for p in pool.positions:
            free += p.gain(p.entry, p.mark) - p.initial()
        return free

    def available(self, home: Pool | None = None) -> float:
        """Margin free for new positions: cross equity − initial margin − what open orders reserve."""
        pool = home or self.cross
        free = self.unreserved(pool)
        if not self.orders.reserved:
            return free
        return free - self.orders.total(self.book, settle=self.only(pool))

    def opening_cost(self, p: Position, size: float, price: float) -> float:
        """What opening costs beside the trading fee, under the venue's carry."""
        carry = self.venue.carry
        if carry is None:
            return 0.0
        return carry.on_opening(p.seen()._replace(size=size, entry=price, opened=self.time))

    def initial(self) -> float:
        """Initial margin of all positions."""
        if len(self.wallets) > 1:
            return sum([pool.initial() * self.rate(pool.currency) for pool in self.pools.values()])
        return sum([pool.initial() for pool in self.pools.values()])

    def maintenance(self) -> float:
        """Maintenance margin of all positions."""
        if len(self.wallets) > 1:
            pools = self.pools.values()
            return sum([pool.maintenance() * self.rate(pool.currency) for pool in pools])
        return sum([pool.maintenance() for pool in self.pools.values()])

    def risk(self, key: str | None = None) -> Risk:
        """Risk of a pool (by key or by a symbol it backs), or of the whole account."""
        if key is None:
            return Risk(self.equity(), self.initial(), self.maintenance())
        pool = self.pools.get(key) or self.position(key).pool or self.cross
        return pool.risk()

    def liquidation_price(self, symbol: str) -> float | None:
        """Mark at which this symbol alone brings its pool to liquidation; None if flat or never.

        The two sides of a symbol held both ways share one price where they share their margin.
        """
        p = self.position(symbol)
        if p.pool is None:
            return None
        same, others = _apart(p, p.pool)
        return liquidation_price(
            [*(Leg(o.contract, o.size, o.entry, o.table) for o in same), *p.pool.legs_beside(p)],
            p.pool.backing(),
            other_maintenance=sum(o.maintenance() for o in others) + p.pool.shared,
            other_unrealised=sum(o.unrealised() for o in others),
            mark=p.mark,
        )

    def bankruptcy_price(self, symbol: str) -> float | None:
        """Mark at which the pool's equity is zero, other marks standing still; None if flat or never.

        Where the venue's bankruptcy price leaves room for the taker fee, that fee is paid out of the equity.
        """
        p = self.position(symbol)
        if p.pool is None:
            return None
        same, others = _apart(p, p.pool)
        return bankruptcy_price(
            [*(Leg(o.contract, o.size, o.entry, o.table) for o in same), *p.pool.legs_beside(p)],
            p.pool.backing(),
            other_unrealised=sum(o.unrealised() for o in others),
            fee_rate=p.taker if self.venue.bankruptcy_fee else 0.0,
        )

    def snapshot(self) -> dict[str, Any]:
        """Numbers of the account now, as plain types."""
        risk = self.risk()
        return {
            "time": self.time,
            "equity": risk.equity,
            "wallet": self.wallet(),
            "available": self.available(),
            "initial": risk.initial,
            "maintenance": risk.maintenance,
            "dead": self.dead,
            "pools": {k: p.risk() for k, p in self.pools.items()},
            "positions": {s: (p.size, p.entry, p.mark) for s, p in self.positions.items()},
        }

    # -- verdicts -------------------------------------------------------------------------------

    def preview(
        self, symbol: str, size: float, price: float | None = None, *, reduce_only: bool = False
    ) -> Preview:
        """What filling signed ``size`` at ``price`` (default: the mark) would do; nothing is written."""
        return preview_of(self, symbol, size, price, reduce_only)

    def plan(
        self,
        symbol: str,
        size: float,
        price: float,
        fee: FeeRule | None = None,
        order: int = -1,
        *,
        resting: bool = False,
    ) -> Plan:
        """The pure plan of a fill now, under this account's numbers (see :mod:`engine.plan`)."""
        made = self._plan(symbol, size, price, fee, order, resting, 0.0)
        if made.refusal is None:
            p = self.position(symbol)
            short = falls_short(self, p, made, price)
            return (
                kept_back(self, p, made, price) if short is None else made._replace(refusal=short)
            )
        if made.refusal.reason != "margin":
            return made
        scale = self.scale(self.home(self.position(symbol)))
        return self._plan(symbol, size, price, fee, order, resting, scale)

    def _plan(
        self,
        symbol: str,
        size: float,
        price: float,
        fee: FeeRule | None,
        order: int,
        resting: bool,
        scale: float,
    ) -> Plan:
        """The plan with a given scale of float dust; only where money lacks does it play a part."""
        p = self.position(symbol)
        home = self.home(p)
        available, isolated = self.unreserved(home), 0.0
        if p.margin_mode == "isolated":
            available = min(available, max(0.0, home.balance))
            isolated = p.pool.balance if p.pool is not None else 0.0
        return plan(
            p,
            size,
            price,
            fee=fee or self.venue_fee(p, "taker"),
            available=available
            - self.orders.total(self.book, without=p.symbol, settle=self.only(home)),
            locked=lambda held: self.orders.margin(p, without=order, size=held),
            isolated_balance=isolated,
            fee_in_check=self.venue.orders.fee_in_check,
            resting=resting,
            scale=scale,
            fee_on_entry=self.venue.fee_on_entry,
            opening_cost=None if self.venue.carry is None else self._opening(p, price),
        )

    def _opening(self, p: Position, price: float) -> Callable[[Change], float]:
        return lambda change: self.opening_cost(p, change.opened, price)

    def verdict(
        self,
        symbol: str,
        size: float,
        price: float,
        *,
        reduce_only: bool = False,
        fee: FeeRule | None = None,
    ) -> Refusal | None:
        """What :meth:`check_order` would say; nothing is written."""
        p = self.position(symbol)
        one = self.orders.price_in(self, p, size, price)
        return self._judge(p, one, price, reduce_only or p.against(size), fee)

    def _judge(
        self, p: Position, one: Reserved, price: float, reduce_only: bool, fee: FeeRule | None
    ) -> Refusal | None:
        size = one.size
        if self.dead:
            return self.dead_refusal()
        if reduces(p.size, size) or reduce_only:
            return None
        capped = self.orders.over_cap(p, one, price)
        if capped is not None:
            return capped
        if p.size * size < 0:  # a reversal: what its closing part frees counts
            return self.plan(p.symbol, size, price, fee, resting=True).refusal
        refused = self.orders.judge(self, p, one, price, fee or self.venue_fee(p, "taker"))
        if refused is not None or p.plain or not p.size:
            return refused
        return falls_short(self, p, self.plan(p.symbol, size, price, fee, resting=True), price)

    def venue_fee(self, position: Position, liquidity: str) -> FeeRule:
        """How the venue charges a fill of this symbol now, as ``"maker"`` or ``"taker"``."""
        fees = self.venue.fees_at(position.market, self.time)
        rate = fees.maker if liquidity == "maker" else fees.taker
        contract = position.contract
        return lambda size, price: contract.notional(size, price) * rate

    def dead_refusal(self) -> Refusal:
        """The verdict on every order of a dead account."""
        return Refusal("dead", self.equity(), 0.0)


def _apart(p: Position, pool: Pool) -> tuple[list[Position], list[Position]]:
    """The positions of a pool that move with this one's mark, and the others."""
    same = [o for o in pool.positions if o.market == p.market]
    return same, [o for o in pool.positions if o.market != p.market]
