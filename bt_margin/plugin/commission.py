"""Commission info: what a size is worth and costs, and what a script's own scheme says about it.

backtrader asks a commission scheme for more than the commission: the value of a size, the size that
an amount buys, profit. On a margin account these mean

    value of a size      signed notional,  size · multiplier · price            (linear)
                                           size · multiplier / price            (inverse)
    size for an amount   amount / notional of one contract, never cut to whole units
    margin               notional of one contract / leverage
    commission           |notional| · rate

so that ``order_target_percent(target=2.0)`` is an exposure of twice the equity, for shorts as well
(``target=-2.0``), and targets up to the leverage are possible.

:class:`LinearPerp`, :class:`InversePerp` and :class:`SpotMargin` are given to
``broker.addcommissioninfo``; :func:`from_scheme` reads the schemes scripts always had.
"""

from __future__ import annotations

import math
from typing import Any, Final

import backtrader as bt

from bt_margin.core.contract import Contract
from bt_margin.core.interest import accrued
from bt_margin.errors import InputError, message
from bt_margin.plugin.instrument import previous

PERCENT: Final = bt.CommInfoBase.COMM_PERC
HOURS_PER_YEAR: Final = 8760.0


class MarginInfo(bt.CommInfoBase):
    """What the three classes share: everything follows from the notional of one contract.

    ``stocklike`` is set because there is no cash to adjust from bar to bar: the stock broker, too,
    then keeps right books for a linear contract at leverage 1.
    """

    params: Any = (
        ("commission", 0.0),
        ("maker", None),
        ("stocklike", True),
        ("commtype", PERCENT),
        ("percabs", True),
    )

    def __init__(self) -> None:
        super().__init__()
        self._check("mult", self.p.mult, above_zero=True)
        self._check("leverage", self.p.leverage, above_zero=True)
        self._check("commission", self.p.commission, above_zero=False)
        if self.p.maker is not None:
            self._check("maker", self.p.maker, above_zero=False)

    def _check(self, name: str, value: Any, *, above_zero: bool) -> None:
        number = isinstance(value, (int, float)) and math.isfinite(value)
        if not number or (above_zero and value <= 0):
            allowed = "a number above zero" if above_zero else "a number"
            raise InputError(message(name, value, allowed, type(self).__name__))

    @property
    def multiplier(self) -> float:
        """Contract size: base units (linear) or quote units (inverse) of one contract."""
        return float(self.p.mult)

    def unit(self, price: float) -> float:
        """Notional of one contract at a price, in the settlement currency."""
        return self.multiplier * price

    def getvaluesize(self, size: float, price: float) -> float:
        """Signed notional of a size."""
        return size * self.unit(price)

    def getvalue(self, position: Any, price: float) -> float:
        """Signed notional of a position."""
        return self.getvaluesize(position.size, price)

    def getsize(self, price: float, cash: float) -> float:
        """The size with a notional of ``cash``: leverage plays no part, nothing is cut off."""
        return cash / self.unit(price)

    @property
    def told(self) -> Any:
        """What orders and trades are given to value themselves by."""
        return self

    def get_margin(self, price: float) -> float:
        """Initial margin of one contract: its notional / leverage."""
        return self.unit(price) / float(self.p.leverage)

    def getoperationcost(self, size: float, price: float) -> float:
        """Initial margin that opening a size takes."""
        return abs(size) * self.get_margin(price)

    def fee(self, size: float, price: float, *, liquidity: str = "taker") -> float:
        """Commission of a fill as ``"taker"`` or ``"maker"``: |size| · notional of one · rate.

        A negative rate is a rebate. Without a maker rate both pay ``commission``.

        >>> LinearPerp(commission=0.0005, maker=0.0002).fee(-2, 100, liquidity="maker")
        0.04
        """
        if self._commtype != PERCENT:
            return abs(size) * float(self.p.commission)
        maker = liquidity == "maker" and self.p.maker is not None
        rate = float(self.p.maker if maker else self.p.commission)
        return abs(size) * self.unit(price) * rate

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return self.fee(size, price)

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        """Profit of a size between two prices."""
        return size * self.multiplier * (newprice - price)

    def cashadjust(self, size: float, price: float, newprice: float) -> float:
        """Nothing: profit is unrealised until a position is closed."""
        return 0.0


class LinearPerp(MarginInfo):
    """A perpetual settled in its quote currency, such as BTC/USDT:USDT.

    Parameters: ``commission`` (taker, a fraction of the notional), ``maker`` (the same for resting
    orders, None: as taker), ``mult`` (base units per contract), ``leverage``.

    Under the stock broker it keeps right books at leverage 1; margin is for :class:`MarginBroker`.

    >>> info = LinearPerp(commission=0.0005, mult=0.01, leverage=10)
    >>> info.getsize(price=60_000, cash=5_000), info.getvaluesize(-2, 60_000)
    (8.333333333333334, -1200.0)
    >>> info.get_margin(60_000), info.getcommission(-2, 60_000)
    (60.0, 0.6)
    """

    def __init__(self) -> None:
        super().__init__()
        _no_interest(self)


class InversePerp(MarginInfo):
    """A perpetual settled in its base currency, such as BTC/USD:BTC: money in coin.

    ``mult`` is the quote value of one contract (100 USD). Values, margin, fees and profit are in
    coin; a position gains size · mult · (1/entry − 1/exit). The stock broker cannot keep its
    books. backtrader's ``Trade`` averages entries arithmetically: for a coin position that was added
    to, ``trade.pnl`` is off; order results, positions and events are right.

    >>> info = InversePerp(commission=0.0005, mult=100, leverage=5)
    >>> info.getvaluesize(50, 20_000), info.getsize(20_000, cash=0.25), info.get_margin(20_000)
    (0.25, 50.0, 0.001)
    >>> info.profitandloss(50, 20_000, 40_000)
    0.125
    """

    def __init__(self) -> None:
        super().__init__()
        _no_interest(self)

    def unit(self, price: float) -> float:
        """Notional of one contract at a price, in coin."""
        return self.multiplier / price

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        """Profit in coin of a size between two prices."""
        return size * self.multiplier * (1.0 / price - 1.0 / newprice)


class SpotMargin(MarginInfo):
    """Spot bought or sold with borrowed money: interest instead of funding.

    ``interest`` is a fraction per year, charged by time (not by calendar day) on what is borrowed
    at the last known close: the whole notional of a short, the share 1 − 1/leverage of a long (none
    when ``interest_long`` is False). Venues that charge every started hour take up to one hour
    more per loan than this.
    """

    params: Any = (("interest_long", True),)

    def borrowed(self, size: float, price: float) -> float:
        """What a position owes, in quote currency.

        >>> info = SpotMargin(leverage=5)
        >>> info.borrowed(2, 100), info.borrowed(-2, 100)
        (160.0, 200.0)
        """
        value = abs(self.getvaluesize(size, price))
        return value if size < 0 else value * (1.0 - 1.0 / float(self.p.leverage))

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> float:
        """Interest from ``pos.datetime`` to ``dt``, a cost: positive."""
        if not pos.size or (pos.size > 0 and not self.p.interest_long):
            return 0.0
        hours = (dt - pos.datetime).total_seconds() / 3600.0
        before = previous(data.close)  # interest is due when a bar opens, before its close is known
        price = before if before is not None and before > 0.0 else data.open[0]
        owed = self.borrowed(pos.size, price)
        return accrued(owed, float(self.p.interest), max(0.0, hours), HOURS_PER_YEAR)


class SchemeInfo(LinearPerp):
    """A script's own scheme with the values of a margin account; made by :func:`from_scheme`.

    The commission is what the scheme says, by its own formula. Everything else a scheme may define
    (attributes, params, interest) is still reached through this object.
    """

    def adopt(self, scheme: Any, contract: Contract | None) -> None:
        """Take over a scheme for a contract; called once, by :func:`from_scheme`."""
        self.scheme = scheme
        self.p = self.params = scheme.p
        self._stocklike, self._commtype = scheme._stocklike, scheme._commtype
        given = float(scheme.p.mult)
        self._size = given if contract is None or given != 1.0 else contract.multiplier
        self._inverse = contract is not None and contract.kind == "inverse"
        # The plain percent formula knows price and size only; a contract size it never heard of
        # and an inverse price are put right, every other formula is left alone.
        percent = self._commtype == PERCENT and not _overrides(scheme, "_getcommission")
        self._on_notional = percent and (self._inverse or self._size != given)

    @property
    def multiplier(self) -> float:
        """Contract size: the scheme's ``mult``, or the venue's when the scheme leaves it at 1."""
        return self._size

    @property
    def silent(self) -> bool:
        """Whether this is backtrader's default scheme, which says nothing about anything."""
        plain = type(self.scheme) in (bt.CommInfoBase, bt.CommissionInfo)
        p = self.scheme.p
        said = p.commission or p.margin or p.automargin or p.interest
        return plain and not said and p.mult == 1.0 and p.leverage == 1.0

    def leverage_at(self, price: float) -> float | None:
        """The leverage the scheme states, None when it states none above 1.

        Its ``leverage``, or for a futures-like scheme the notional of one contract over the margin
        that ``margin``, ``automargin`` or its own ``get_margin`` demand for it.
        """
        leverage = float(self.scheme.get_leverage())
        if leverage <= 1.0 and not self._stocklike and _states_margin(self.scheme):
            margin = self.scheme.get_margin(price)
            leverage = self.unit(price) / margin if margin else 1.0
        return leverage if leverage > 1.0 else None

    def unit(self, price: float) -> float:
        """Notional of one contract at a price."""
        return self._size / price if self._inverse else self._size * price

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        """Profit of a size between two prices."""
        if self._inverse:
            return size * self._size * (1.0 / price - 1.0 / newprice)
        return size * self._size * (newprice - price)

    @property
    def told(self) -> Any:
        """The script's own scheme, as from the stock broker, where it knows what the contract is.

        ``order.executed.value`` and ``trade.value`` are then what the scheme says: for a futures-like one
        the margin.
        """
        return self if self._inverse or self._size != float(self.scheme.p.mult) else self.scheme

    def get_leverage(self) -> float:
        """The scheme's own answer."""
        return float(self.scheme.get_leverage())

    def get_margin(self, price: float) -> float:
        """Initial margin of one contract at the leverage the scheme states."""
        return self.unit(price) / (self.leverage_at(price) or 1.0)

    def fee(self, size: float, price: float, *, liquidity: str = "taker") -> float:
        """What the scheme charges; it does not tell makers from takers."""
        if self._on_notional:
            return abs(size) * self.unit(price) * float(self.p.commission)
        return float(self.scheme.getcommission(size, price))

    def confirmexec(self, size: float, price: float) -> float:
        """Tell the scheme that this was executed, and return its commission."""
        said = float(self.scheme.confirmexec(size, price))
        return self.fee(size, price) if self._on_notional else said

    def get_credit_interest(self, data: Any, pos: Any, dt: Any) -> float:
        """The scheme's own interest."""
        return float(self.scheme.get_credit_interest(data, pos, dt))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "scheme":  # not yet adopted, as while unpickling
            raise AttributeError(name)
        return getattr(self.scheme, name)


def from_scheme(comminfo: Any, contract: Contract | None = None) -> Any:
    """The margin account's view of any scheme a script has set.

    A :class:`LinearPerp`, :class:`InversePerp` or :class:`SpotMargin` is returned as it is. Any
    other scheme (``setcommission``, ``addcommissioninfo``, a subclass with its own
    ``_getcommission``) comes back as a :class:`SchemeInfo`: commission by the scheme's own
    formula, contract size from its ``mult``, leverage from its ``leverage``, ``margin`` or
    ``automargin``, values and sizes as this module defines them. ``contract`` adds what the venue
    knows (contract size, inverse).

    backtrader leaves ``mult`` out of the cash of a stocklike scheme; here a contract has one size.

    >>> info = from_scheme(bt.CommissionInfo(commission=0.001, leverage=5))
    >>> info.getcommission(2, 100), info.leverage_at(100), info.getsize(100, 50)
    (0.2, 5.0, 0.5)
    """
    if isinstance(comminfo, MarginInfo):
        return comminfo
    info = SchemeInfo()
    info.adopt(comminfo, contract)
    return info


def of_contract(contract: Contract, *, taker: float, maker: float, leverage: float) -> Any:
    """The commission info of a venue's contract.

    >>> type(of_contract(Contract("BTC/USDT:USDT"), taker=5e-4, maker=2e-4, leverage=3)).__name__
    'LinearPerp'
    """
    kind: Any = InversePerp if contract.kind == "inverse" else LinearPerp
    return kind(commission=taker, maker=maker, mult=contract.multiplier, leverage=leverage)


def _no_interest(info: MarginInfo) -> None:
    if info.p.interest:
        raise InputError(
            message(
                "interest",
                info.p.interest,
                "0: a perpetual pays funding",
                type(info).__name__,
                "use SpotMargin for borrowed money",
            )
        )


def _overrides(scheme: Any, method: str) -> bool:
    """Whether the scheme's class has its own version of a method of ``bt.CommInfoBase``."""
    return getattr(type(scheme), method) is not getattr(bt.CommInfoBase, method)


def _states_margin(scheme: Any) -> bool:
    """Whether a futures-like scheme says what one contract must post.

    backtrader writes a margin of 1.0 into futures-like schemes that state none.
    """
    if _overrides(scheme, "get_margin") or scheme.p.automargin:
        return True
    return bool(scheme.p.margin) and (scheme.p.commtype is None or scheme.p.margin != 1.0)
