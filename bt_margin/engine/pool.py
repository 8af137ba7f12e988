"""Positions and the pools that back them. Margin mode is a partition: a pool is a balance plus positions.

Cross: one pool per settlement currency. Isolated: one pool per position. The same functions judge both.
Reading never mutates; only :class:`~bt_margin.engine.account.Account` writes.
"""

from __future__ import annotations

from typing import Literal

from bt_margin.core.contract import Contract
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import TierTable

MarginMode = Literal["cross", "isolated"]


class Position:
    """One symbol's record: settings that last, and the position while it is open.

    ``size`` signed contracts, ``entry`` average entry price, ``mark`` the last mark; ``low`` and ``high``
    bound the mark over the current bar (both equal ``mark`` outside of one).
    """

    __slots__ = (
        "contract",
        "entry",
        "high",
        "inverse",
        "leverage",
        "low",
        "margin_mode",
        "mark",
        "multiplier",
        "pool",
        "size",
        "symbol",
        "table",
    )

    def __init__(
        self, contract: Contract, leverage: float, margin_mode: MarginMode, table: TierTable
    ) -> None:
        self.symbol = contract.symbol
        self.contract = contract
        self.inverse = contract.kind == "inverse"
        self.multiplier = contract.multiplier
        self.leverage = leverage
        self.margin_mode: MarginMode = margin_mode
        self.table = table
        self.size = 0.0
        self.entry = 0.0
        self.mark = 0.0
        self.low = 0.0
        self.high = 0.0
        self.pool: Pool | None = None

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
        """Initial margin at the mark: notional / leverage."""
        return self.notional() / self.leverage

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

    ``called`` holds the margin-call thresholds this pool stands above (for the hysteresis).
    """

    __slots__ = ("balance", "called", "currency", "key", "margin_mode", "positions", "symbol")

    def __init__(
        self, key: str, margin_mode: MarginMode, currency: str, symbol: str | None = None
    ) -> None:
        self.key = key
        self.margin_mode: MarginMode = margin_mode
        self.currency = currency
        self.symbol = symbol
        self.balance = 0.0
        self.positions: list[Position] = []
        self.called: tuple[float, ...] = ()

    def unrealised(self) -> float:
        """Unrealised profit of the positions at their marks."""
        return sum([p.unrealised() for p in self.positions])

    def equity(self) -> float:
        """Balance plus unrealised profit."""
        return self.balance + self.unrealised()

    def initial(self) -> float:
        """Initial margin of the positions."""
        return sum([p.initial() for p in self.positions])

    def maintenance(self) -> float:
        """Maintenance margin of the positions."""
        return sum([p.maintenance() for p in self.positions])

    def risk(self) -> Risk:
        """Equity, initial and maintenance margin of the pool: the sum over its positions plus its balance."""
        return Risk(self.equity(), self.initial(), self.maintenance())

    def ratio(self) -> float:
        """Maintenance over equity (the margin ratio; 1 is liquidation); 0 without positions."""
        return self.risk().ratio if self.positions else 0.0

    def breached(self) -> bool:
        """Whether the pool has positions and its equity no longer exceeds the maintenance margin."""
        return bool(self.positions) and self.equity() <= self.maintenance()

    def worst(self) -> tuple[float, float]:
        """Equity and maintenance with every mark at its worst for this pool at once (a bound)."""
        equity, need = self.balance, 0.0
        for p in self.positions:
            corner = p.low if p.size > 0 else p.high
            other = p.high if p.size > 0 else p.low
            equity += p.gain(p.entry, corner)
            need += p.table.maintenance_bound(p.notional_at(corner), p.notional_at(other))
        return equity, need

    def __repr__(self) -> str:
        return f"Pool({self.key!r}, balance={self.balance:g}, positions={len(self.positions)})"
