"""What one contract is, and what a price is worth in its settlement currency.

Linear and inverse contracts differ in one thing only, the *worth* of a price: the money that one
unit of contract size is worth in the settlement currency, up to a constant.

    linear    worth(p) = p          (size counts base units, money is the quote currency)
    inverse   worth(p) = −1 / p     (size counts quote units, money is the base currency)

With it, every formula of this package is written once:

    pnl      = size · multiplier · (worth(exit) − worth(entry))
    notional = |size| · multiplier · |worth(price)|
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal

from bt_margin.core.checks import above_zero, not_negative
from bt_margin.errors import InputError, message, near

__all__ = ["Contract", "Kind"]

Kind = Literal["linear", "inverse"]


@dataclass(frozen=True, slots=True)
class Contract:
    """The unchanging facts of one contract.

    symbol : ccxt's unified symbol or any name
    kind : "linear" (settled in quote) or "inverse" (settled in base)
    multiplier : base units per contract (linear) or quote units per contract (inverse)
    settle : currency of profit, margin and fees
    tick : smallest price step, None when prices are not rounded
    lot : smallest step of the size, None when sizes are not rounded
    min_notional : smallest order value, in the money the venue states it in; None when none

    >>> Contract("BTC/USDT:USDT").pnl(size=2, entry=30_000, exit=31_000)
    2000.0
    >>> coin = Contract("BTC/USD:BTC", kind="inverse", multiplier=100, settle="BTC")
    >>> coin.pnl(size=100, entry=20_000, exit=40_000)
    0.25
    """

    symbol: str
    kind: Kind = "linear"
    multiplier: float = 1.0
    settle: str = "USDT"
    tick: float | None = None
    lot: float | None = None
    min_notional: float | None = None

    def __post_init__(self) -> None:
        where = self.symbol or "contract"
        if self.kind not in ("linear", "inverse"):
            raise InputError(message("unknown contract kind", self.kind, "linear, inverse", where))
        above_zero("multiplier", self.multiplier, where)
        if self.tick is not None:
            above_zero("tick", self.tick, where)
        if self.lot is not None:
            above_zero("lot", self.lot, where)
        if self.min_notional is not None:
            not_negative("min_notional", self.min_notional, where)

    def worth(self, price: float) -> float:
        """Settlement value of a price: p for linear, −1/p for inverse; rises with the price.

        >>> Contract("X").worth(4), Contract("X", kind="inverse").worth(4)
        (4, -0.25)
        """
        return price if self.kind == "linear" else -1 / price

    def price(self, worth: float) -> float:
        """The price that has this worth, the inverse function of :meth:`worth`.

        An inverse contract has no price of worth 0 or more: InputError.

        >>> Contract("X").price(4), Contract("X", kind="inverse").price(-0.25)
        (4, 4.0)
        """
        if self.kind == "linear":
            return worth
        if worth >= 0:
            text = message("no price has this worth", worth, "below 0 (inverse)", self.symbol)
            raise InputError(text)
        return -1 / worth

    def notional(self, size: float, price: float) -> float:
        """Value of a position, N = |size| · multiplier · |worth(price)|   [settle], never negative.

        >>> Contract("X", multiplier=0.5).notional(size=-4, price=100)
        200.0
        >>> Contract("X", kind="inverse", multiplier=100).notional(size=100, price=25_000)
        0.4
        """
        return abs(size) * self.multiplier * abs(self.worth(price))

    def pnl(self, size: float, entry: float, exit: float) -> float:
        """Profit of a position between two prices   [settle], + is a gain.

        pnl = size · multiplier · (worth(exit) − worth(entry)), size signed. Both legs use the same
        multiplier, so 0.1 contracts of multiplier 10 earn what 1 contract of multiplier 1 earns.

        >>> Contract("X").pnl(size=-3, entry=100, exit=90)
        30.0
        """
        return size * self.multiplier * (self.worth(exit) - self.worth(entry))

    def round_price(self, price: float) -> float:
        """The price on the tick nearest to it; unchanged without a tick.

        >>> Contract("X", tick=0.1).round_price(9.26), Contract("X").round_price(9.26)
        (9.3, 9.26)
        """
        if self.tick is None:
            return price
        return _multiple(round(price / self.tick), self.tick)

    def round_size(self, size: float) -> float:
        """The size on the lot, towards zero; unchanged without a lot.

        A size that is a whole number of lots up to float noise keeps that number of lots.

        >>> pair = Contract("X", lot=0.1)
        >>> pair.round_size(0.3), pair.round_size(-0.39), pair.round_size(0.09)
        (0.3, -0.3, 0.0)
        """
        if self.lot is None:
            return size
        lots = size / self.lot
        whole = round(lots)
        if abs(lots - whole) > 1e-9 + abs(lots) * 1e-12:
            whole = int(lots)
        return _multiple(whole, self.lot)

    @classmethod
    def parse(cls, symbol: str, **overrides: Any) -> Contract:
        """The contract a ccxt unified symbol names; keywords overrule what the name says.

        ``BASE/QUOTE:SETTLE`` is linear when it settles in the quote and inverse when it settles
        in the base; a third currency is a quanto contract and refused. ``BASE/QUOTE`` is linear
        and settles in the quote. Any other name is linear and settles in ``settle=``, or USD.

        >>> Contract.parse("BTC/USDT:USDT").settle, Contract.parse("BTC/USD:BTC").kind
        ('USDT', 'inverse')
        >>> Contract.parse("BTC", settle="USDC", multiplier=0.01)  # doctest: +ELLIPSIS
        Contract(symbol='BTC', kind='linear', multiplier=0.01, settle='USDC', ...)
        """
        allowed = [field.name for field in fields(cls) if field.name != "symbol"]
        for name in overrides:
            if name not in allowed:
                todo = near(name, allowed) or None
                text = message("unknown contract option", name, ", ".join(allowed), symbol, todo)
                raise InputError(text)
        return cls(symbol, **(_facts_in_name(symbol) | overrides))


def _facts_in_name(symbol: str) -> dict[str, Any]:
    """Kind and settlement currency as far as the name states them."""
    base, slash, rest = symbol.partition("/")
    if not slash:
        return {"settle": "USD"}
    quote, colon, tail = rest.partition(":")
    settle = tail.partition("-")[0] if colon else quote
    if not base or not quote or not settle:
        todo = "write BASE/QUOTE:SETTLE, for example BTC/USDT:USDT"
        raise InputError(message("incomplete symbol", symbol, todo=todo))
    if settle == quote:
        return {"settle": settle}
    if settle == base:
        return {"settle": settle, "kind": "inverse"}
    found, allowed = f"settled in {settle}", f"{quote} or {base}"
    raise InputError(message("quanto contracts are not supported", found, allowed, symbol))


def _multiple(count: int, step: Any) -> float:
    """count · step, without binary noise for float steps (3 · 0.1 is 0.3)."""
    if isinstance(step, float):
        return float(Decimal(str(float(step))) * count)
    exact: float = count * step
    return exact
