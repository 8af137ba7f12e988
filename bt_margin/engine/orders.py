"""What resting orders reserve: the initial margin of the larger resulting side, symbol by symbol.

Bids and asks of a symbol are added up separately; with the signed notional ``n`` of the position::

    reserved = ( max(|n|, n + bids, −n + asks) − |n| ) / leverage  +  open losses

so an order that only reduces a position reserves nothing, and the margin of a position covers its own
reversal (an isolated one with what its pool gives back). An open loss is the immediate loss of an order
priced beyond the mark (venues that ask for it). A market order that reduces a position is filled before
any order sent after it: what it will free counts for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bt_margin.core.margin import assumed_price, open_loss
from bt_margin.engine.plan import DUST, FeeRule, Refusal
from bt_margin.engine.pool import Position

if TYPE_CHECKING:
    from bt_margin.engine.reading import AccountView


class Reserved(NamedTuple):
    """One open order: signed size, unsigned notional at its price, open loss, whether it reserves.

    ``ahead``: it reduces a position at the market, before any later order is filled.
    """

    size: float
    notional: float
    loss: float
    reserving: bool
    ahead: bool = False


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
        if entry.reserving != reserving:
            entry = entry._replace(reserving=reserving)
        self.by_symbol.setdefault(p.symbol, {})[ref] = entry
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

    def margin(
        self,
        p: Position,
        without: int = -1,
        extra: Reserved | None = None,
        size: float | None = None,
    ) -> float:
        """Margin reserved by the symbol's orders, leaving one out or adding one, or at another size."""
        if not self.reserved and extra is None:
            return 0.0
        entries = [
            o
            for ref, o in self.by_symbol.get(p.symbol, {}).items()
            if o.reserving and ref != without
        ]
        if extra is not None:
            entries.append(extra)
        if not entries:
            return 0.0
        bids = sum([o.notional for o in entries if o.size > 0])
        asks = sum([o.notional for o in entries if o.size < 0])
        size = p.size if size is None else size
        held = p.contract.notional(size, p.mark) if size else 0.0
        same, against = (bids, asks) if size > 0 else (asks, bids)
        if not p.plain:
            need = _asked(p, size, held, same, against)
        elif p.margin_mode == "isolated":
            kept = held / p.leverage if p.pool is None or size != p.size else p.pool.equity()
            need = max(same / p.leverage, (against - held) / p.leverage - max(0.0, kept))
        else:
            need = (max(held + same, against - held) - held) / p.leverage
        return max(0.0, need) + sum([o.loss for o in entries])

    def total(
        self, book: dict[str, Position], without: str | None = None, settle: str | None = None
    ) -> float:
        """Margin reserved by all open orders, or by those of all symbols but one, or of one currency."""
        found = [
            self.margin(book[s])
            for s, o in self.by_symbol.items()
            if o and s != without and (settle is None or book[s].contract.settle == settle)
        ]
        return sum(found)

    def freed(self, book: dict[str, Position], settle: str | None = None) -> float:
        """Margin that the orders ahead give back: initial margin of what they close, isolated its money."""
        found = 0.0
        for symbol, orders in self.by_symbol.items() if self.symbol_of else ():
            p = book[symbol]
            if settle is not None and p.contract.settle != settle:
                continue
            closing = sum([abs(o.size) for o in orders.values() if o.ahead and o.size * p.size < 0])
            if closing:
                isolated = p.margin_mode == "isolated" and p.pool is not None
                held = p.pool.equity() if isolated and p.pool else p.initial()
                found += max(0.0, held) * min(1.0, closing / abs(p.size))
        return found

    def over_cap(self, p: Position, one: Reserved, price: float) -> Refusal | None:
        """Whether position and orders of one side would exceed the venue's cap at the leverage.

        A cap may count contracts, so that its value moves with the price: each order takes the part of it
        that it would take at its own price.
        """
        size = one.size
        found = self.by_symbol.get(p.symbol, {}).values() if self.reserved else ()
        orders = [one, *[o for o in found if o.reserving and o.size * size > 0]]
        allowed = p.cap(p.mark or price, p.size + size)
        if p.plain or not 0.0 < allowed < float("inf"):
            side = sum([o.notional for o in orders])
        else:
            side = sum([allowed * _part_of_cap(p, o, p.size + size) for o in orders])
        held = p.notional() if p.size * size > 0 else -p.notional()
        notional = max(0.0, held + side)
        over = notional > allowed and (p.plain or notional > allowed * (1.0 + 1e-12))
        return Refusal("leverage_cap", notional, allowed) if over else None

    def judge(
        self, account: AccountView, p: Position, one: Reserved, price: float, fee: FeeRule
    ) -> Refusal | None:
        """Whether the account can carry one more order that opens or adds."""
        home = account.home(p)
        free = account.available(home)
        needed = self.margin(p, extra=one) - self.margin(p)
        if fee_counts(account, p):
            needed += fee(abs(one.size), price)
        if account.venue.carry is not None:
            needed += account.opening_cost(p, one.size, price)
        if p.margin_mode == "isolated":
            free = min(free, account.transferable(home))
        free += self.freed(account.book, account.only(home))
        lacks = needed > free and needed > free + DUST * account.scale(home)
        return Refusal("margin", needed, free) if lacks else None

    def price_in(self, account: AccountView, p: Position, size: float, price: float) -> Reserved:
        """The order at the price the venue assumes for it, with its open loss where the venue asks."""
        asks, mark = account.venue.orders.open_loss, p.mark or price
        loss = open_loss(p.contract, size, price, mark) if asks else 0.0
        notional = p.contract.notional(size, assumed(account, p, size, price))
        return Reserved(size, notional, loss, True)


def _asked(p: Position, size: float, held: float, same: float, against: float) -> float:
    """The same where the venue's rule does not ask in step with the notional, nor the same of both sides."""
    mark = p.mark or p.entry
    if not mark > 0.0:
        return 0.0
    unit, side = p.contract.notional(1.0, mark), 1.0 if size > 0 else -1.0

    def initial(notional: float, sign: float) -> float:
        return p.initial_of(sign * notional / unit, mark) if notional > 0.0 else 0.0

    now, more, turned = (
        initial(held, side), initial(held + same, side), initial(against - held, -side)
    )  # fmt: skip
    if p.margin_mode == "isolated":
        kept = now if p.pool is None or size != p.size else p.pool.equity()
        return max(more - now, turned - max(0.0, kept))
    return max(more, turned) - now


def _part_of_cap(p: Position, one: Reserved, size: float) -> float:
    """Notional of an order over the cap at the price it is margined at."""
    unit = one.notional / abs(one.size)
    price = p.multiplier / unit if p.inverse else unit / p.multiplier
    most = p.cap(price, size)
    return one.notional / most if most > 0.0 else float("inf")


def assumed(account: AccountView, p: Position, size: float, price: float) -> float:
    """The price of an order's initial margin: its own, or the venue's for sells since its date."""
    premium, mark = account.venue.orders.sell_premium_at(account.time), p.mark or price
    return assumed_price(size, price, mark, mark, premium) if premium else price


def fee_counts(account: AccountView, p: Position) -> bool:
    """Whether the fee is part of the order check: where the venue says so, and always for isolated."""
    return account.venue.orders.fee_in_check or p.margin_mode == "isolated"
