"""Positions and the pools that back them. Margin mode is a partition: a pool is a balance plus positions.

Cross: one pool per settlement currency. Isolated: one pool per position. The same functions judge both.
Reading never mutates; only :class:`~bt_margin.engine.account.Account` writes.
"""

from __future__ import annotations

from typing import Literal

from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import TierTable
from bt_margin.engine.pledge import Pledge
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.margin import AtMark, Held, MarginRule

MarginMode = Literal["cross", "isolated"]


class Position:
    """One symbol's record: settings that last, and the position while it is open.

    ``size`` signed contracts, ``entry`` average entry price, ``mark`` the last mark; ``low`` and ``high``
    bound the mark over the current bar (both equal ``mark`` outside of one). ``limits`` is the venue's tier
    table in force, ``table`` the requirement the venue's ``rule`` makes of it for the position as it is
    (``plain``: the same object). ``opened`` and ``changed`` are when it was opened and last filled, ``cut``
    when the venue last sold a part of it. ``market`` is the venue's symbol, ``symbol`` what the account
    calls it. ``leg`` names the side of a symbol held both ways; ``symbol`` then ends in it, and ``other`` is
    the other side. ``backs``: its mark is the price of a coin pledged or in a wallet.
    """

    __slots__ = (
        "backs",
        "changed",
        "contract",
        "cut",
        "entry",
        "high",
        "inverse",
        "leg",
        "leverage",
        "limits",
        "low",
        "margin_mode",
        "mark",
        "market",
        "multiplier",
        "opened",
        "other",
        "plain",
        "pool",
        "rule",
        "size",
        "symbol",
        "table",
        "taker",
    )

    def __init__(
        self,
        contract: Contract,
        leverage: float,
        margin_mode: MarginMode,
        limits: TierTable,
        rule: MarginRule | None = None,
        leg: str | None = None,
        name: str | None = None,
    ) -> None:
        self.market = contract.symbol
        self.leg = leg
        label = name or contract.symbol
        self.symbol = label if leg is None else f"{label} {leg}"
        self.contract = contract
        self.inverse = contract.kind == "inverse"
        self.multiplier = contract.multiplier
        self.leverage = leverage
        self.margin_mode: MarginMode = margin_mode
        self.limits = self.table = limits
        self.rule: MarginRule = rule or AtMark()
        self.plain = self.rule.plain
        self.taker = 0.0
        self.size = 0.0
        self.entry = 0.0
        self.mark = 0.0
        self.low = 0.0
        self.high = 0.0
        self.opened = self.changed = 0
        self.backs = False
        self.cut: int | None = None
        self.pool: Pool | None = None
        self.other: Position | None = None

    def held(self, size: float | None = None, entry: float | None = None) -> Held:
        """The position as the margin rule sees it, or one of another size or entry in its place."""
        isolated, pool = self.margin_mode == "isolated", self.pool
        return Held(
            self.contract,
            self.size if size is None else size,
            self.entry if entry is None else entry,
            self.leverage,
            self.limits,
            self.taker,
            isolated,
            pool.balance if isolated and pool is not None else 0.0,
            self.other.size if self.other is not None else 0.0,
        )

    def against(self, size: float) -> bool:
        """Whether a fill of this size can only reduce: against one side of a symbol held both ways."""
        return self.leg is not None and (size < 0) == (self.leg == "long")

    def refresh(self) -> None:
        """Ask the rule again what the position must keep: it, its settings or the tables have changed."""
        if not self.plain:
            self.table = self.rule.requirement(self.held()) if self.size else self.limits

    def initial_of(self, size: float, price: float, entry: float | None = None) -> float:
        """Initial margin of a position of that size in this symbol at a price."""
        if self.plain:
            return self.contract.notional(size, price) / self.leverage
        at = price if entry is None else entry
        return self.rule.initial(self.held(size, at), price) if size else 0.0

    def cap(self, price: float, size: float | None = None) -> float:
        """The largest notional the venue allows at the leverage, at a price, for a position of that size."""
        if self.plain:
            return self.limits.cap(self.leverage)
        return self.rule.cap(self.held(size), price)

    def seen(self) -> Carried:
        """The position as a carry sees it."""
        return Carried(
            self.symbol, self.contract, self.size, self.entry, self.mark, self.opened, self.leverage,
            self.changed,
        )  # fmt: skip

    def move(self, price: float) -> None:
        """The mark is now ``price``."""
        self.mark = self.low = self.high = price

    def worth(self, price: float) -> float:
        """The contract's worth coordinate: price, or −1/price for an inverse contract."""
        return -1.0 / price if self.inverse else price

    def gain(self, start: float, end: float) -> float:
        """Profit of the open size between two prices."""
        if self.inverse:
            return self.size * self.multiplier * (1.0 / start - 1.0 / end)
        return self.size * self.multiplier * (end - start)

    def unrealised(self) -> float:
        """Unrealised profit at the mark; 0 when flat."""
        return self.gain(self.entry, self.mark) if self.size else 0.0

    def notional_at(self, price: float) -> float:
        """Unsigned notional at a price."""
        if self.inverse:
            return abs(self.size) * self.multiplier / price
        return abs(self.size) * self.multiplier * price

    def notional(self) -> float:
        """Unsigned notional at the mark; 0 when flat."""
        return self.notional_at(self.mark) if self.size else 0.0

    def initial(self) -> float:
        """Initial margin at the mark; 0 when flat."""
        if self.plain:
            return self.notional() / self.leverage
        return self.rule.initial(self.held(), self.mark) if self.size else 0.0

    def maintenance(self) -> float:
        """Maintenance margin at the mark, by the tier of the notional at the mark."""
        return self.table.maintenance(self.notional()) if self.size else 0.0

    @property
    def side(self) -> str | None:
        """``"long"``, ``"short"`` or None when flat."""
        return "long" if self.size > 0 else "short" if self.size < 0 else None

    def __repr__(self) -> str:
        return (
            f"Position({self.symbol!r}, size={self.size:g}, entry={self.entry:g}, mark={self.mark:g}, "
            f"{self.margin_mode}, leverage={self.leverage:g})"
        )


class Pool:
    """A balance and the open positions it backs.

    ``called`` holds the margin-call thresholds this pool stands above (for the hysteresis); ``pledges`` are
    coins that count beside the balance; ``shared`` is what the venue asks of the pool as a whole; ``strict``
    whether meeting the requirement exactly is no breach.
    """

    __slots__ = (
        "balance",
        "called",
        "currency",
        "key",
        "margin_mode",
        "pledges",
        "positions",
        "shared",
        "strict",
        "symbol",
    )

    def __init__(
        self,
        key: str,
        margin_mode: MarginMode,
        currency: str,
        symbol: str | None = None,
        strict: bool = False,
    ) -> None:
        self.strict = strict
        self.shared = 0.0
        self.key = key
        self.margin_mode: MarginMode = margin_mode
        self.currency = currency
        self.symbol = symbol
        self.balance = 0.0
        self.positions: list[Position] = []
        self.pledges: list[Pledge] = []
        self.called: tuple[float, ...] = ()

    def unrealised(self) -> float:
        """Unrealised profit of the positions at their marks."""
        return sum([p.unrealised() for p in self.positions])

    def equity(self) -> float:
        """Balance, what pledged coins count for, and unrealised profit."""
        return self.backing() + self.unrealised()

    def backing(self) -> float:
        """Balance and what pledged coins count for."""
        if not self.pledges:
            return self.balance
        return self.balance + sum([pledge.margin() for pledge in self.pledges])

    def initial(self) -> float:
        """Initial margin of the positions."""
        return sum([p.initial() for p in self.positions])

    def maintenance(self) -> float:
        """Maintenance margin of the positions, and what is asked of the pool as a whole."""
        return sum([p.maintenance() for p in self.positions]) + self.shared

    def risk(self) -> Risk:
        """Equity, initial and maintenance margin of the pool: the sum over its positions plus its balance."""
        return Risk(self.equity(), self.initial(), self.maintenance())

    def ratio(self) -> float:
        """Maintenance over equity (the margin ratio; 1 is liquidation); 0 without positions."""
        return self.risk().ratio if self.positions else 0.0

    def breached(self) -> bool:
        """Whether the pool has positions and its equity no longer carries the maintenance margin."""
        if not self.positions:
            return False
        equity, need = self.equity(), self.maintenance()
        return equity < need if self.strict else equity <= need

    def coins(self) -> bool:
        """Whether any coin is pledged that could be sold."""
        return any(pledge.vault.balance > 0 for pledge in self.pledges)

    def legs_beside(self, p: Position) -> list[Leg]:
        """Pledged coins whose price is this position's mark; their value now is in :meth:`backing`."""
        found = [pledge.leg(p) for pledge in self.pledges]
        return [leg for leg in found if leg is not None]

    def seen(self) -> PoolView:
        """The pool as a carry or a shared requirement sees it."""
        return PoolView(
            self.balance, tuple([p.seen() for p in self.positions]), self.symbol is not None
        )

    def worst(self) -> tuple[float, float]:
        """Equity and maintenance with every mark at its worst for this pool at once (a bound)."""
        equity, need = self.balance, self.shared
        for pledge in self.pledges:
            equity += pledge.least()
        for p in self.positions:
            corner = p.low if p.size > 0 else p.high
            other = p.high if p.size > 0 else p.low
            equity += p.gain(p.entry, corner)
            need += p.table.maintenance_bound(p.notional_at(corner), p.notional_at(other))
        return equity, need

    def __repr__(self) -> str:
        return f"Pool({self.key!r}, balance={self.balance:g}, positions={len(self.positions)})"
