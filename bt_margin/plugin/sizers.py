"""Sizers: how much to trade when the account is levered and can be liquidated.

    cerebro.addsizer(btm.sizers.TargetLeverage, exposure=2.0)

All three size at the close of the bar, never send more than the account can carry, and return
sizes on the contract's lot step. An order against an open position closes it exactly; with
``reverse=True`` it goes on to open the other side. They also work under a broker without a margin
account, with the leverage of its commission scheme and no liquidation to keep away from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import backtrader as bt

from bt_margin.engine.account import Account
from bt_margin.errors import InputError, message
from bt_margin.plugin.asking import account_of, symbol_of
from bt_margin.plugin.commission import from_scheme

__all__ = ["LiquidationDistance", "MarginFraction", "TargetLeverage"]

HALVINGS: Final = 50
SURE: Final = 1.0 - 1e-12  # a distance met but for the last bits is met


@dataclass(frozen=True, slots=True)
class Desk:
    """What a sizer knows about one order: all sizes in contracts, ``held`` with the order's sign.

    ``unit`` is the notional of one contract at ``price``, ``fee`` the commission on it,
    ``available`` the margin free once an opposite position is closed, ``most`` the largest
    affordable order.
    """

    account: Account | None
    symbol: str
    side: float
    price: float
    held: float
    unit: float
    fee: float
    leverage: float
    equity: float
    available: float
    most: float

    @property
    def closing(self) -> float:
        """Contracts that the order closes before it opens any."""
        return max(0.0, -self.held)

    def affordable(self, margin: float) -> float:
        """Contracts that can be opened with this much margin, their commission included."""
        return max(0.0, margin) / (self.unit / self.leverage + self.fee)


class _MarginSizer(bt.Sizer):
    """The frame of the three: closes what stands against the order, caps and rounds the rest."""

    params: Any = (("reverse", False),)
    limits: tuple[str, float] = ("", math.inf)

    def __init__(self) -> None:
        name, most = self.limits
        value = getattr(self.p, name)
        if not isinstance(value, (int, float)) or not 0.0 < value <= most:
            allowed = "a number above 0" + ("" if most == math.inf else f" and at most {most:g}")
            raise InputError(message(name, value, allowed, type(self).__name__))

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        side = 1.0 if isbuy else -1.0
        held = float(self.broker.getposition(data).size) * side
        if held < 0.0 and not self.p.reverse:
            return -held
        desk = self._desk(comminfo, cash, data, side, held)
        size = max(0.0, min(self.size(desk), desk.most))
        if desk.account is None or size == desk.closing:
            return size
        return abs(desk.account.position(desk.symbol).contract.round_size(size))

    def size(self, desk: Desk) -> float:
        """The unsigned order, closing part included, before it is capped and rounded."""
        return desk.closing

    def _desk(self, comminfo: Any, cash: float, data: Any, side: float, held: float) -> Desk:
        broker, account = self.broker, account_of(self.broker)
        price, info, symbol = float(data.close[0]), from_scheme(comminfo), symbol_of(broker, data)
        unit, fee = abs(info.getvaluesize(1.0, price)), float(info.getcommission(1.0, price))
        equity, closing = float(broker.getvalue()), max(0.0, -held)
        if account is None:
            stated = getattr(info, "leverage_at", None)
            leverage = (stated(price) if stated else info.get_leverage()) or 1.0
            free = cash + closing * (unit - 2.0 * fee)
            most = closing + max(0.0, free) / (unit / leverage + fee)
            return Desk(None, symbol, side, price, held, unit, fee, leverage, equity, free, most)
        now = broker.preview(
            data, side, price
        )  # the broker also brings a flat symbol's mark up to date
        most = abs(now.affordable_size)
        p = account.position(symbol)
        if len(account.wallets) > 1:  # only the wallet the symbol settles in pays for it
            cash = max(0.0, account.available(account.home(p))) * account.rate(p.contract.settle)
        free = cash
        if closing:
            freed = account.preview(symbol, side * closing, price).available
            free = freed * account.rate(p.contract.settle)
        leverage = account.leverage(symbol)
        return Desk(account, symbol, side, price, held, unit, fee, leverage, equity, free, most)


class MarginFraction(_MarginSizer):
    """Post a fraction of the available margin, commission included, at the symbol's leverage.

    size = fraction · available / (notional of one / leverage + commission of one)

    ``fraction`` 0.2 of 10,000 available at 10x buys a notional of just under 20,000.
    """

    params: Any = (("fraction", 0.1),)
    limits = ("fraction", 1.0)

    def size(self, desk: Desk) -> float:
        """See the class."""
        return desk.closing + desk.affordable(self.p.fraction * desk.available)


class TargetLeverage(_MarginSizer):
    """Bring the position's notional to ``exposure`` times the equity left after the commission.

    order = (exposure · equity − held) / (1 + exposure · commission rate), all as notional; nothing
    is sent when the position is there already. ``exposure`` above the symbol's leverage ends at
    what the account can carry.
    """

    params: Any = (("exposure", 1.0),)
    limits = ("exposure", math.inf)

    def size(self, desk: Desk) -> float:
        """See the class."""
        x = float(self.p.exposure)
        wanted = x * desk.equity / desk.unit - desk.held
        return wanted / (1.0 + x * desk.fee / desk.unit)


class LiquidationDistance(_MarginSizer):
    """The largest order whose liquidation price stays at least ``distance`` away from the price.

    ``distance`` is a share of the price (0.2 is 20 %). The liquidation price is the one
    ``account.preview`` states for the position after the order, other marks standing still. It
    comes nearer as the position grows, so the size is found by halving, always on the safe side. 0
    when even the smallest order would be too near: in isolated mode the leverage alone may decide
    that. ``fraction`` (1.0) limits the order to a part of what is affordable.
    """

    params: Any = (("distance", 0.2), ("fraction", 1.0))
    limits = ("distance", math.inf)

    def size(self, desk: Desk) -> float:
        """See the class."""
        safe = desk.closing
        near = safe + (desk.most - safe) * float(self.p.fraction)
        if self._keeps_away(desk, near):
            return near
        for _ in range(HALVINGS):
            middle = (safe + near) / 2.0
            if self._keeps_away(desk, middle):
                safe = middle
            else:
                near = middle
        return safe

    def _keeps_away(self, desk: Desk, size: float) -> bool:
        if desk.account is None or not size:
            return True
        price = desk.account.preview(desk.symbol, desk.side * size, desk.price).liquidation_price
        return (
            price is None or (desk.price - price) * desk.side >= self.p.distance * desk.price * SURE
        )
