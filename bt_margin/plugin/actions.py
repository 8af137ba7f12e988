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
from bt_margin.engine.settings import leg_of
from bt_margin.errors import Refused
from bt_margin.plugin.sides import valid_side

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
        """Set the leverage of a symbol, of both its sides; LeverageRefused where the venue says no.

        Before a run it is a setting of every run to come, like ``symbols=``.
        """
        symbol = self._symbol(data)
        event = self._on_each_side(symbol, "set_leverage", leverage)
        for name in self.sides_of(symbol):
            self._margins.pop(name, None)
        self._forget_schemes()
        self._keep(symbol, leverage=leverage)
        return self._and_refresh(event)

    def set_margin_mode(self, margin_mode: MarginMode, data: Any) -> Event:
        """Set ``"cross"`` or ``"isolated"`` for a symbol; MarginModeRefused where the venue says no.

        Before a run it is a setting of every run to come, like ``symbols=``.
        """
        symbol = self._symbol(data)
        event = self._on_each_side(symbol, "set_margin_mode", margin_mode)
        self._keep(symbol, margin_mode=margin_mode)
        return self._and_refresh(event)

    def _keep(self, symbol: str, **setting: Any) -> None:
        if not self._running:
            own = dict(self.p.symbols or {})
            own[symbol] = {**own.get(symbol, {}), **setting}
            self.p.symbols = own

    def _on_each_side(self, symbol: str, what: str, setting: Any) -> Event:
        """Change a setting of a symbol and of its sides in hedge mode: of all of them, or of none."""
        names = self.sides_of(symbol)
        if len(names) > 1:
            trial = self.account.fork()
            try:
                for name in names:
                    getattr(trial, what)(name, setting)
            except Refused as refused:
                if refused.event is None:  # nothing the venue has: no matter of this account
                    raise
                raise type(refused)(
                    str(refused), event=self._told_of(refused, name), code=refused.code,
                    found=refused.found, allowed=refused.allowed,
                ) from None  # fmt: skip
        events: list[Event] = [getattr(self.account, what)(name, setting) for name in names]
        return next((e for e in events if e.symbol in self.account.positions), events[0])

    def _told_of(self, refused: Refused, name: str) -> Event:
        """The event of a refusal that was found on a trial."""
        event, account = refused.event, self.account
        return account.record(
            event.kind, account.position(name), reason=event.reason, found=event.found,
            allowed=event.allowed, info=event.info,
        )  # fmt: skip

    def add_margin(self, data: Any, amount: float, position_side: str | None = None) -> Event:
        """Move free margin into an isolated position; MarginRefused where it cannot be.

        ``position_side`` names the side in hedge mode; with one side open that one is meant.
        """
        symbol = self.side_of(self._symbol(data), position_side)
        return self._and_refresh(self.account.add_margin(symbol, amount))

    def reduce_margin(self, data: Any, amount: float, position_side: str | None = None) -> Event:
        """Move margin out of an isolated position; MarginRefused where it cannot be."""
        symbol = self.side_of(self._symbol(data), position_side)
        return self._and_refresh(self.account.reduce_margin(symbol, amount))

    def _and_refresh(self, event: Event) -> Event:
        self.cash = max(0.0, self.account.figures()[1])
        return event

    def preview(
        self,
        order: Any,
        size: float | None = None,
        price: float | None = None,
        position_side: str | None = None,
    ) -> Preview:
        """What an order would do: post-trade liquidation price, margin ratio, affordable size.

        ``order`` is an order, or a feed or symbol with a signed ``size`` (and a price, else the mark; in
        hedge mode with the side it is for).
        """
        if hasattr(order, "executed"):
            quote = self.quote_of(order)
            reduce_only = bool(order.info.get("reduce_only"))
            at = price or self._price_of(order, quote)
            self._mark_if_flat(quote.position, quote)
            return self.account.preview(
                quote.symbol, order.executed.remsize, at, reduce_only=reduce_only
            )
        quote, signed = self._of_symbol(self._symbol(order)), float(size or 0.0)
        self._mark_if_flat(quote.position, quote)
        if position_side is None:
            return self.account.preview(quote.symbol, signed, price)
        side, against = valid_side(position_side), (signed > 0.0) != (position_side == "long")
        p = self.account.position(f"{quote.symbol} {side}")
        if not p.size and quote.position.mark:
            p.move(quote.position.mark)
        return self.account.preview(p.symbol, signed, price, reduce_only=against)

    @staticmethod
    def _mark_if_flat(position: Position, quote: Any) -> None:
        mark = quote.mark_now()
        if not position.size and mark > 0.0:
            position.move(mark)

    def fetch_positions(self, symbols: Any = None) -> list[dict[str, Any]]:
        """Open positions in ccxt's unified position structure.

        ``collateral`` is the equity of the pool behind the position, ``positionMargin`` what was posted to
        an isolated one; sizes are unsigned with ``side``; a price that does not exist is None. In hedge mode
        each side is a position of its own, with ``hedged`` True.

        ``symbols`` (feeds or symbols) asks for some only; flat ones among them come with 0 contracts.
        """
        if self._running and not self._ready:
            self._prepare()
        if symbols is None:
            return [self._position_dict(p) for p in self.account.positions.values()]
        for quote in self._instruments:
            self._mark_if_flat(quote.position, quote)
        asked = [p for s in symbols for p in self._asked_for(self._symbol(s))]
        return [self._position_dict(p) for p in asked]

    def _asked_for(self, symbol: str) -> list[Position]:
        """The positions of a symbol: both sides while one of them is open, else its own."""
        net, *sides = [self.account.position(name) for name in self.sides_of(symbol)]
        return sides if any(p.size for p in sides) else [net]

    def fetch_balance(self) -> dict[str, Any]:
        """Balance in ccxt's structure: ``free``, ``used``, ``total`` by currency, and one dict each.

        ``total`` is the equity (ccxt's margin balance), ``free`` what is available for new positions and
        ``used`` the rest: margin of positions and of open orders. Each wallet is told in its own currency.
        """
        account, shown = self.account, {}
        for unit, home in account.wallets.items():
            if len(account.wallets) > 1 and unit not in self._funded():
                continue
            pools = [pool for pool in account.pools.values() if pool.currency == unit]
            several = len(account.wallets) > 1 or account.vault
            backing = home.backing() - home.balance  # pledged coins have entries of their own
            total = sum(pool.equity() for pool in pools) - backing if several else account.equity()
            free = max(0.0, account.available(home))
            shown[unit] = {"free": free, "used": max(0.0, total - free), "total": total}
        for unit, vault in account.vault.items():
            free = account.lendable(vault)
            shown[unit] = {"free": free, "used": vault.balance - free, "total": vault.balance}
        parts = {
            part: {u: one[part] for u, one in shown.items()} for part in ("free", "used", "total")
        }
        return {
            **shown,
            **parts,
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
            "symbol": leg_of(p.symbol)[0],
            "timestamp": self.account.time,
            "datetime": _iso(self.account.time),
            "side": p.side or p.leg,
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
            "hedged": p.leg is not None,
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
