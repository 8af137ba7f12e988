"""What resting orders reserve: the initial margin of the larger resulting side, symbol by symbol.

Bids and asks of a symbol are added up separately; with the signed notional ``n`` of the position::

    reserved = ( max(|n|, n + bids, −n + asks) − |n| ) / leverage  +  open losses

so an order that only reduces a position reserves nothing, and the margin of a position covers its own
reversal. An open loss is the immediate loss of an order priced beyond the mark (venues that ask for it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bt_margin.core.margin import assumed_price, open_loss
from bt_margin.engine.plan import DUST, FeeRule, Plan, Refusal
from bt_margin.engine.pool import Position

if TYPE_CHECKING:
    from bt_margin.engine.reading import AccountView


class Reserved(NamedTuple):
    """One open order: signed size, unsigned notional at its price, open loss, whether it reserves."""

    size: float
    notional: float
    loss: float
    reserving: bool

    def reversing(self, made: Plan) -> Reserved:
        """The order as one that reverses an isolated position: what it posts beyond what it frees."""
        return self._replace(
            notional=0.0, loss=max(0.0, made.posted + made.opening_fee - made.released)
        )


class Reservations:
    """The open orders an account knows, by symbol and reference."""

    __slots__ = ("by_symbol", "reserved", "symbol_of")

    def __init__(self) -> None:
        self.by_symbol: dict[str, dict[int, Reserved]] = {}
        self.symbol_of: dict[int, str] = {}
        self.reserved = 0

    def add(self, p: Position, ref: int, entry: Reserved, *, reserving: bool) -> None:
        """Note an accepted order."""
        self.remove(ref)
        self.by_symbol.setdefault(p.symbol, {})[ref] = entry._replace(reserving=reserving)
        self.symbol_of[ref] = p.symbol
        self.reserved += reserving

    def remove(self, ref: int) -> None:
        """Forget an order; unknown references are fine."""
        symbol = self.symbol_of.pop(ref, None)
        if symbol is not None:
            self.reserved -= self.by_symbol[symbol].pop(ref).reserving

    def copy(self) -> Reservations:
        """An independent copy."""
        twin = Reservations()
        twin.by_symbol = {s: dict(orders) for s, orders in self.by_symbol.items()}
        twin.symbol_of = dict(self.symbol_of)
        twin.reserved = self.reserved
        return twin

    def open(self, symbol: str) -> int:
        """How many open orders the symbol has."""
        return len(self.by_symbol.get(symbol, ()))

    def margin(self, p: Position, without: int = -1, extra: Reserved | None = None) -> float:
        """Margin reserved by the symbol's orders, leaving one out or adding one."""
        bids = asks = loss = 0.0
        entries = [o for ref, o in self.by_symbol.get(p.symbol, {}).items() if ref != without]
        for o in entries if extra is None else [*entries, extra]:
            if o.reserving:
                loss += o.loss
                if o.size > 0:
                    bids += o.notional
                else:
                    asks += o.notional
        held = p.notional()
        signed = held if p.size > 0 else -held
        return (max(held, signed + bids, asks - signed) - held) / p.leverage + loss

    def total(self, book: dict[str, Position]) -> float:
        """Margin reserved by all open orders."""
        return sum([self.margin(book[s]) for s, orders in self.by_symbol.items() if orders])

    def own(self, p: Position, ref: int) -> float:
        """What the order ``ref`` itself reserves: freed for it at the moment it fills."""
        if ref not in self.symbol_of:
            return 0.0
        return self.margin(p) - self.margin(p, without=ref)

    def judge(
        self, account: AccountView, p: Position, size: float, price: float, fee: FeeRule
    ) -> Refusal | None:
        """Whether the account can carry one more order: leverage cap first, then margin."""
        new = self.price_in(account, p, size, price)
        side = sum(
            o.notional
            for o in self.by_symbol.get(p.symbol, {}).values()
            if o.reserving and o.size * size > 0
        )
        held = p.notional() if p.size * size > 0 else -p.notional()
        notional = max(0.0, held + side + new.notional)
        allowed = p.table.cap(p.leverage)
        if notional > allowed:
            return Refusal("leverage_cap", notional, allowed)
        free = account.available()
        needed = self.margin(p, extra=new) - self.margin(p)
        if fee_counts(account, p):
            needed += fee(abs(size), price)
        scale = max(1.0, abs(account.equity()))
        return Refusal("margin", needed, free) if needed > free + DUST * scale else None

    def price_in(self, account: AccountView, p: Position, size: float, price: float) -> Reserved:
        """The order at the price the venue assumes for it, with its open loss where the venue asks."""
        asks, mark = account.venue.orders.open_loss, p.mark or price
        loss = open_loss(p.contract, size, price, mark) if asks else 0.0
        notional = p.contract.notional(size, assumed(account, p, size, price))
        return Reserved(size, notional, loss, True)


def assumed(account: AccountView, p: Position, size: float, price: float) -> float:
    """The price of an order's initial margin: its own, or the venue's for sells since its date."""
    premium, mark = account.venue.orders.sell_premium_at(account.time), p.mark or price
    return assumed_price(size, price, mark, mark, premium) if premium else price


def fee_counts(account: AccountView, p: Position) -> bool:
    """Whether the fee is part of the order check: where the venue says so, and always for isolated."""
    return account.venue.orders.fee_in_check or p.margin_mode == "isolated"
