"""What a strategy can ask of and do to its account, in ccxt's words.

Every call takes a feed or a symbol. A refused action raises a :class:`~bt_margin.errors.Refused` and
leaves an event of kind ``refused``.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from bt_margin.engine.events import Event
from bt_margin.engine.pool import MarginMode, Position
from bt_margin.engine.preview import Preview

if TYPE_CHECKING:
    from bt_margin.engine.account import Account

    Base: Any = object
else:
    Base = object


class Actions(Base):
    """The part of :class:`MarginBroker` that strategies talk to."""

    account: Account

    def _symbol(self, data: Any) -> str:
        if self._running and not self._ready:
            self._prepare()
        if not isinstance(data, str):
            return str(self.name_of(data))
        return str(self.account.position(self.symbol_named(data)).symbol)

    def set_leverage(self, leverage: float, data: Any) -> Event:
        """Set the leverage of a symbol; LeverageRefused where the venue says no.

        Before a run it is a setting of every run to come, like ``symbols=``.
        """
        symbol = self._symbol(data)
        event = self.account.set_leverage(symbol, leverage)
        self._margins.pop(symbol, None)
        self._forget_schemes()
        self._keep(symbol, leverage=leverage)
        return self._and_refresh(event)

    def set_margin_mode(self, margin_mode: MarginMode, data: Any) -> Event:
        """Set ``"cross"`` or ``"isolated"`` for a symbol; MarginModeRefused where the venue says no.

        Before a run it is a setting of every run to come, like ``symbols=``.
        """
        symbol = self._symbol(data)
        event = self.account.set_margin_mode(symbol, margin_mode)
        self._keep(symbol, margin_mode=margin_mode)
        return self._and_refresh(event)

    def _keep(self, symbol: str, **setting: Any) -> None:
        if not self._running:
            own = dict(self.p.symbols or {})
            own[symbol] = {**own.get(symbol, {}), **setting}
            self.p.symbols = own

    def add_margin(self, data: Any, amount: float) -> Event:
        """Move free margin into an isolated position; MarginRefused where it cannot be."""
        return self._and_refresh(self.account.add_margin(self._symbol(data), amount))

    def reduce_margin(self, data: Any, amount: float) -> Event:
        """Move margin out of an isolated position; MarginRefused where it cannot be."""
        return self._and_refresh(self.account.reduce_margin(self._symbol(data), amount))

    def _and_refresh(self, event: Event) -> Event:
        self.cash = max(0.0, self.account.available())
        return event

    def preview(self, order: Any, size: float | None = None, price: float | None = None) -> Preview:
        """What an order would do: post-trade liquidation price, margin ratio, affordable size.

        ``order`` is an order, or a feed or symbol with a signed ``size`` (and a price, else the mark).
        """
        if hasattr(order, "executed"):
            quote = self.instrument(order.data)
            reduce_only = bool(order.info.get("reduce_only"))
            at = price or self._price_of(order, quote)
            self._mark_if_flat(quote.position, quote)
            return self.account.preview(
                quote.symbol, order.executed.remsize, at, reduce_only=reduce_only
            )
        symbol = self._symbol(order)
        quote = self._of_symbol(symbol)
        self._mark_if_flat(quote.position, quote)
        return self.account.preview(symbol, float(size or 0.0), price)

    @staticmethod
    def _mark_if_flat(position: Position, quote: Any) -> None:
        mark = quote.mark_now()
        if not position.size and mark > 0.0:
            position.move(mark)

    def fetch_positions(self, symbols: Any = None) -> list[dict[str, Any]]:
        """Open positions in ccxt's unified position structure.

        ``collateral`` is the equity of the pool behind the position, ``positionMargin`` what was posted to
        an isolated one; sizes are unsigned with ``side``; a price that does not exist is None.

        ``symbols`` (feeds or symbols) asks for some only; flat ones among them come with 0 contracts.
        """
        if self._running and not self._ready:
            self._prepare()
        if symbols is None:
            return [self._position_dict(p) for p in self.account.positions.values()]
        asked = [self.account.position(self._symbol(s)) for s in symbols]
        for quote in self._instruments:
            self._mark_if_flat(quote.position, quote)
        return [self._position_dict(p) for p in asked]

    def fetch_balance(self) -> dict[str, Any]:
        """Balance in ccxt's structure: ``free``, ``used``, ``total`` by currency, and one dict each.

        ``total`` is the equity (ccxt's margin balance), ``free`` what is available for new positions and
        ``used`` the rest: margin of positions and of open orders.
        """
        total, free = self.account.equity(), max(0.0, self.account.available())
        currency = self.account.currency
        one = {"free": free, "used": max(0.0, total - free), "total": total}
        return {
            currency: one,
            "free": {currency: one["free"]},
            "used": {currency: one["used"]},
            "total": {currency: one["total"]},
            "timestamp": self.account.time,
            "datetime": _iso(self.account.time),
            "info": self.account.snapshot(),
        }

    def _position_dict(self, p: Position) -> dict[str, Any]:
        isolated = p.margin_mode == "isolated"
        risk = self.account.risk(p.symbol) if p.pool is not None else None
        posted = p.pool.balance if isolated and p.pool is not None else None
        pool = p.pool or self.account.cross
        return {
            "id": None,
            "symbol": p.symbol,
            "timestamp": self.account.time,
            "datetime": _iso(self.account.time),
            "side": p.side,
            "contracts": abs(p.size),
            "contractSize": p.multiplier,
            "entryPrice": p.entry if p.size else None,
            "markPrice": p.mark or None,
            "lastPrice": None,
            "notional": p.notional(),
            "leverage": p.leverage,
            "collateral": pool.equity(),
            "positionMargin": posted,
            **_margins(p),
            "marginRatio": risk.ratio if risk is not None else None,
            "realizedPnl": None,
            "liquidationPrice": self.account.liquidation_price(p.symbol),
            "marginMode": p.margin_mode,
            "hedged": False,
            "lastUpdateTimestamp": self.account.time,
            "stopLossPrice": None,
            "takeProfitPrice": None,
            "info": {
                "isolatedWallet": posted,
                "bankruptcyPrice": self.account.bankruptcy_price(p.symbol),
            },
        }


def _margins(p: Position) -> dict[str, float | None]:
    """Requirements and profit of a position, in amounts and in shares."""
    notional, initial, maintenance = p.notional(), p.initial(), p.maintenance()
    return {
        "initialMargin": initial,
        "initialMarginPercentage": initial / notional if notional else None,
        "maintenanceMargin": maintenance,
        "maintenanceMarginPercentage": maintenance / notional if notional else None,
        "unrealizedPnl": p.unrealised(),
        "percentage": 100.0 * p.unrealised() / initial if initial else None,
    }


def _iso(time: int) -> str:
    stamp = datetime.fromtimestamp(time / 1000, timezone.utc)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time % 1000:03d}Z"
