"""Everything an account can be asked. Reading never mutates money; the writer is :mod:`engine.account`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from bt_margin.core.liquidation import Leg, bankruptcy_price, liquidation_price
from bt_margin.core.risk import Risk
from bt_margin.engine.events import Event
from bt_margin.engine.ledger import Ledger
from bt_margin.engine.orders import Reservations, Reserved
from bt_margin.engine.plan import FeeRule, Plan, Refusal, plan
from bt_margin.engine.pool import Pool, Position
from bt_margin.engine.preview import Preview, preview_of, reduces
from bt_margin.venues.spec import Venue


class AccountView(ABC):
    """The reading half of :class:`~bt_margin.engine.account.Account`."""

    venue: Venue
    currency: str
    time: int
    book: dict[str, Position]
    pools: dict[str, Pool]
    cross: Pool
    events: list[Event]
    ledger: Ledger
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
        return f"isolated:{p.symbol}" if p.margin_mode == "isolated" else self.cross.key

    def exposed(self) -> bool:
        """Whether any position is open."""
        if self.cross.positions:
            return True
        return len(self.pools) > 1  # an isolated pool lives only as long as its position

    def equity(self) -> float:
        """All wallets plus unrealised profit at the marks."""
        total = 0.0
        for pool in self.pools.values():
            total += pool.balance
            for p in pool.positions:
                total += p.gain(p.entry, p.mark)
        return total

    def solvent_equity(self) -> float:
        """Equity with no isolated pool below zero: what is beyond its margin is the insurance fund's."""
        pools = self.pools.values()
        isolated = sum([max(0.0, pool.equity()) for pool in pools if pool is not self.cross])
        return self.cross.equity() + isolated

    def figures(self) -> tuple[float, float]:
        """:meth:`equity` and :meth:`available` in one pass, to the last bit."""
        total, free = 0.0, self.cross.balance
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
                    units = abs(p.size) * p.multiplier
                    notional = units / mark if p.inverse else units * mark
                    free += gain - notional / p.leverage
        return total, free - self.orders.total(self.book) if self.orders.reserved else free

    def wallet(self) -> float:
        """Sum of the balances, free and posted, without unrealised profit."""
        return sum([pool.balance for pool in self.pools.values()])

    def scale(self) -> float:
        """The size of the account, against which float dust is measured."""
        return max(abs(self.equity()), self.ledger.totals["deposit"])

    def transferable(self) -> float:
        """What may leave the cross pool now: available, and never unrealised profit."""
        return min(self.available(), max(0.0, self.cross.balance))

    def unreserved(self) -> float:
        """Cross equity less initial margin, whatever orders reserve."""
        free = self.cross.balance
        for p in self.cross.positions:
            free += p.gain(p.entry, p.mark) - p.notional_at(p.mark) / p.leverage
        return free

    def available(self) -> float:
        """Margin free for new positions: cross equity − initial margin − what open orders reserve."""
        free = self.unreserved()
        return free - self.orders.total(self.book) if self.orders.reserved else free

    def initial(self) -> float:
        """Initial margin of all positions."""
        return sum([pool.initial() for pool in self.pools.values()])

    def maintenance(self) -> float:
        """Maintenance margin of all positions."""
        return sum([pool.maintenance() for pool in self.pools.values()])

    def risk(self, key: str | None = None) -> Risk:
        """Risk of a pool (by key or by a symbol it backs), or of the whole account."""
        if key is None:
            return Risk(self.equity(), self.initial(), self.maintenance())
        pool = self.pools.get(key) or self.position(key).pool or self.cross
        return pool.risk()

    def liquidation_price(self, symbol: str) -> float | None:
        """Mark at which this symbol alone brings its pool to liquidation; None if flat or never."""
        p = self.position(symbol)
        if p.pool is None:
            return None
        others = [o for o in p.pool.positions if o is not p]
        return liquidation_price(
            [Leg(p.contract, p.size, p.entry, p.table)],
            p.pool.balance,
            other_maintenance=sum(o.maintenance() for o in others),
            other_unrealised=sum(o.unrealised() for o in others),
            mark=p.mark,
        )

    def bankruptcy_price(self, symbol: str) -> float | None:
        """Mark at which the pool's equity is zero, other marks standing still; None if flat or never."""
        p = self.position(symbol)
        if p.pool is None:
            return None
        others = sum(o.unrealised() for o in p.pool.positions if o is not p)
        leg = Leg(p.contract, p.size, p.entry, p.table)
        return bankruptcy_price([leg], p.pool.balance, other_unrealised=others)

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
        if made.refusal is None or made.refusal.reason != "margin":
            return made
        return self._plan(symbol, size, price, fee, order, resting, self.scale())

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
        available, isolated = self.unreserved(), 0.0
        if p.margin_mode == "isolated":
            available = min(available, max(0.0, self.cross.balance))
            isolated = p.pool.balance if p.pool is not None else 0.0
        return plan(
            p,
            size,
            price,
            fee=fee or self.venue_fee(p, "taker"),
            available=available - self.orders.total(self.book, without=p.symbol),
            locked=lambda held: self.orders.margin(p, without=order, size=held),
            isolated_balance=isolated,
            fee_in_check=self.venue.orders.fee_in_check,
            resting=resting,
            scale=scale,
        )

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
        return self._judge(p, one, price, reduce_only, fee)

    def _judge(
        self, p: Position, one: Reserved, price: float, reduce_only: bool, fee: FeeRule | None
    ) -> Refusal | None:
        size = one.size
        if self.dead:
            return self.dead_refusal()
        if reduces(p.size, size) or reduce_only:
            return None
        capped = self.orders.over_cap(p, one)
        if capped is not None:
            return capped
        if p.size * size < 0:  # a reversal: what its closing part frees counts
            return self.plan(p.symbol, size, price, fee, resting=True).refusal
        return self.orders.judge(self, p, one, price, fee or self.venue_fee(p, "taker"))

    def venue_fee(self, position: Position, liquidity: str) -> FeeRule:
        """How the venue charges a fill of this symbol now, as ``"maker"`` or ``"taker"``."""
        fees = self.venue.fees_at(position.symbol, self.time)
        rate = fees.maker if liquidity == "maker" else fees.taker
        contract = position.contract
        return lambda size, price: contract.notional(size, price) * rate

    def dead_refusal(self) -> Refusal:
        """The verdict on every order of a dead account."""
        return Refusal("dead", self.equity(), 0.0)
