"""``MarginBroker``: backtrader's broker on a margin account.

It stays the stock broker in everything scripts rely on (order types, brackets, OCO, slippage, fillers,
histories) and overrides what money and time touch: each bar goes through the engine's bar contract
(:mod:`bt_margin.engine.step`), each fill is booked by the engine's account, and backtrader's positions
mirror the account's.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import backtrader as bt

from bt_margin.engine.account import Account
from bt_margin.engine.events import Event
from bt_margin.engine.step import Stepper
from bt_margin.errors import CashError, InputError, near
from bt_margin.plugin.actions import Actions
from bt_margin.plugin.admission import Admission
from bt_margin.plugin.booking import Booking
from bt_margin.plugin.calm import Calm
from bt_margin.plugin.fidelity import fidelity_of
from bt_margin.plugin.forced import Forced
from bt_margin.plugin.market import Market, symbol_at
from bt_margin.plugin.matching import Matching
from bt_margin.plugin.notices import install, uninstall
from bt_margin.plugin.queue import Queue
from bt_margin.plugin.series import by_symbol, detail_of
from bt_margin.plugin.sides import Sides
from bt_margin.plugin.valid import check_modes, check_settings, valid_opening
from bt_margin.plugin.wallets import Wallets, opening_number
from bt_margin.venues import venue

FLOOR = 1e-6
"""What backtrader is shown instead of an equity of zero: stock analyzers divide by it."""

NOTHING = 1e-100
"""A value of a fund's share that buys nothing: each ruin and rescue divides it by thousands of millions."""


class MarginBroker(
    Actions, Sides, Wallets, Admission, Booking, Forced, Market, Queue, bt.brokers.BackBroker
):
    """The broker of a derivatives account, in place of backtrader's own.

        cerebro.broker = btm.MarginBroker(venue="binance", margin_mode="cross", leverage=10)

    venue : name or venue object (``btm.venue("generic", ...)`` states its own numbers)
    margin_mode, leverage, cash : defaults for every symbol, and the wallet at the start, or wallets by
        currency (``{"BTC": 0.5, "ETH": 10}``) for contracts that settle in coin
    collateral : coins that back the cross wallet where the venue takes them, ``{"BTC": 0.2}``; a feed of the
        coin is its price
    currency : what value and cash are told in (:mod:`bt_margin.plugin.wallets`); None: the wallet's, with
        several wallets what their contracts are quoted in
    symbols : overrides per symbol, ``{"DOGE/USDT:USDT": dict(margin_mode="isolated", leverage=20)}``
    names : feed name → symbol, for feeds that are named otherwise
    funding, mark : series per symbol for plain feeds (see :mod:`bt_margin.plugin.series`)
    require : ``("funding", "mark")`` or one of them: a feed without it is an error
    intrabar : ``"adverse"``, ``"favourable"``, ``"nearest"``: which extreme of a dangerous bar is first
    detail : finer bars per symbol that replace that guess
    timestamps : ``"open"`` (bars carry their open time, as ccxt's) or ``"close"``
    liquidation_slippage : fraction by which liquidation sales fill worse than the mark
    auto_top_up : fill up isolated positions from free margin before they are liquidated
    as_of : pin the venue's dated tables to one date
    margin_calls : margin ratios that raise a margin call; None: the venue's
    delisted : time per symbol at which its market ends (a frame's ``attrs["delisted"]`` says it as well)
    delisting : ``"settle"`` closes what is open then at the last mark, ``"hold"`` keeps it at that mark
    debug : check the money identity after every ledger entry

    The stock broker's parameters (slippage, ``coc``, ``coo``, ``checksubmit``, ``filler`` ...) keep their
    meaning. After a run ``events``, ``account``, ``fidelity`` and ``equity_curve`` hold the record.
    """

    _fundshares: float
    params: Any = (
        ("cash", 10_000.0),
        ("venue", None),
        ("margin_mode", "cross"),
        ("leverage", 1.0),
        ("symbols", None),
        ("collateral", None),
        ("currency", None),
        ("names", None),
        ("funding", None),
        ("mark", None),
        ("require", ()),
        ("intrabar", "adverse"),
        ("detail", None),
        ("timestamps", "open"),
        ("liquidation_slippage", 0.0),
        ("auto_top_up", False),
        ("as_of", None),
        ("margin_calls", None),
        ("delisted", None),
        ("delisting", "settle"),
        ("debug", False),
    )

    def __init__(self, **unknown: Any) -> None:
        for name in unknown:
            known = list(self.params._getkeys())
            hint = near(name, known) or f"known are {', '.join(known)}"
            raise InputError(f"MarginBroker has no parameter {name!r}; {hint}")
        super().__init__()

    # -- life -----------------------------------------------------------------------------------

    def init(self) -> None:
        """All state, from the parameters: called at construction and again at every start."""
        check_settings(self.p)
        given = self.p.cash
        self.p.cash = opening_number(given)  # what the stock broker begins with
        super().init()
        self.startingcash = self.cash = self.p.cash
        self.p.cash = given
        self.account = self._new_account({}, self._opened(()), 0)
        self._wallets_reset()
        check_modes(self.account.venue, self.p.symbols)
        self.equity_curve: tuple[array[int], array[float]] = (array("q"), array("d"))
        self._market_reset()
        self._sides_reset()
        self._booking_reset()
        self._forced_reset()
        self._queue_reset()
        self._matching = Matching(self)
        finer = by_symbol(self.p.detail, "detail").items()
        self._detail = {self.symbol_named(s): detail_of(frame, s) for s, frame in finer}
        self._stepper = Stepper(self.account, self.p.intrabar, self._detail)
        self._calm = Calm(self)
        self._running = False

    def _new_account(
        self, extra: dict[str, dict[str, Any]], currency: str | None, time: int
    ) -> Account:
        p = self.p
        rules = venue(p.venue, as_of=p.as_of) if isinstance(p.venue, str) else p.venue
        symbols = {s: dict(own) for s, own in extra.items()}
        for name, own in (p.symbols or {}).items():
            symbol = symbol_at(rules, p.names, name) or name
            symbols[symbol] = {**symbols.get(symbol, {}), **own}
        return Account(
            rules, p.cash, p.margin_mode, p.leverage, symbols=symbols, currency=currency,
            auto_top_up=p.auto_top_up, margin_calls=None if p.margin_calls is None else tuple(p.margin_calls),
            liquidation_slippage=p.liquidation_slippage, time=time, debug=p.debug,
            collateral=p.collateral,
        )  # fmt: skip

    def start(self) -> None:
        """A run begins."""
        super().start()
        self._running = True
        install(self)

    def stop(self) -> None:
        """A run is over."""
        super().stop()
        self._calm.leave()
        self._unhelp()
        for quote in self._instruments:
            self._mark_if_flat(quote.position, quote)
        self._running = False
        uninstall(self)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("_matching", "_stepper", "_calm"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._matching = Matching(self)
        self._stepper = Stepper(self.account, self.p.intrabar, self._detail)
        self._calm = Calm(self)

    def adopt(self, other: Any, said: Iterable[str] = ()) -> None:
        """Take over what a script set on another broker: schemes, slippage, fillers, cheats.

        Settings that were ``said`` to this one stay.
        """
        kept = frozenset(said)
        for name in ("slip_perc", "slip_fixed", "slip_open", "slip_match", "slip_limit", "slip_out",
                     "coc", "coo", "filler", "checksubmit", "eosbar", "int2pnl", "shortcash",
                     "fundmode", "fundstartval"):  # fmt: skip
            if hasattr(other.p, name) and name not in kept:
                setattr(self.p, name, getattr(other.p, name))
        self.comminfo.update(other.comminfo)
        self._userhist = list(getattr(other, "_userhist", ()))
        self._forget_schemes()

    # -- one bar --------------------------------------------------------------------------------

    def next(self) -> None:
        """One pass of the broker: the strategy sees its outcome before its own ``next``."""
        if self._calm.through():
            return
        if not self._ready:
            self._prepare()
            self._calm.prove()
        while self._toactivate:
            self._toactivate.popleft().activate()
        fresh = [i for i in self._instruments if i.advance()]
        if fresh:
            self.account.time = self._time = max(self._time, *[i.start for i in fresh])
        if self._ends and self._ends[0][0] <= self._time:
            self._end_markets()
        if self._cash_addition:
            self._move_cash()
        if self.submitted:
            self.check_submitted()
        if self._interest_due:
            self._charge_interest()
        if self._userhist:
            self._process_order_history()
        if fresh:
            usable = [i for i in self._instruments if i.fresh and i.usable()]
            self._stepper.step(self._time, usable, self._matching)
        self._close_books()

    def may_be_calm(self) -> bool:
        """Whether bars may be foreseen: feeds loaded in advance, and nothing to be done on each bar."""
        carried = self.account.venue.carry is not None
        carried = carried or bool(self.account.vault)
        each_bar = (
            carried or self._converts or self._interest_due or self._margins or self._userhist
        )
        return not each_bar and getattr(self.cerebro, "_dopreload", False)

    def _close_books(self) -> None:
        """Value, cash and fund figures of this bar, and what strategies must be told."""
        account = self.account
        if self._margins:
            self._follow_margins()
        if self._converts:
            self._begin_late()
        equity, free = account.figures()
        self.cash = free if free > 0.0 else 0.0
        self._value = self._valuelever = equity if equity > FLOOR else FLOOR
        if self._fundshares > 0.0:  # else all of it has been paid out, at the last price of a share
            self._fundval = self._value / self._fundshares
        times, values = self.equity_curve
        again = bool(times) and times[-1] == self._time
        if again:
            values[-1] = equity
        else:
            times.append(self._time)
            values.append(equity)
        if self._converts:
            self._note_rates(again)

    def _move_cash(self) -> None:
        while self._cash_addition:
            unit, given, amount = self._addition(*self._cash_addition.popleft())
            if given >= 0:
                self.account.deposit(given, unit)
            else:
                try:
                    self.account.withdraw(-given, unit)
                except CashError:
                    continue  # the refused withdrawal is an event; nothing was moved
            if (
                self._fundval <= NOTHING
            ):  # ruined time and again: a new fund begins, with what is left
                self._fundval = self.p.fundstartval
                self._fundshares = self._value / self._fundval
            self._fundshares += amount / self._fundval

    def check_submitted(self) -> None:
        """Judge what was submitted since the last bar at the last known marks."""
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            if self.admit(order):
                self.submit_accept(order)
                continue
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)

    # -- numbers --------------------------------------------------------------------------------

    def get_notification(self) -> Any:
        """The next notice, None when there is none; asked once a bar at least."""
        return self.notifs.popleft() if self.notifs else None

    def get_cash(self) -> float:
        """Margin available for new positions, never below 0 (alias ``getcash``)."""
        if not self._valued:
            self._value_early()
        return float(self.cash)

    getcash = get_cash

    def set_cash(self, cash: float) -> None:
        """Before a run: the wallet to start with. During a run: deposit or withdraw the difference."""
        valid_opening(cash)
        if self._running and (self.equity_curve[0] or len(self.account.events) > 1):
            self.add_cash(cash - self.account.wallet())
            return
        running, self.p.cash = self._running, cash
        self.init()
        self._running = running

    setcash = set_cash

    def get_value(self, datas: Any = None, mkt: bool = False, lever: bool = False) -> float:
        """Equity of the account; with ``datas`` the signed notional of their positions at the close."""
        if datas is None:
            if mkt:
                return self._gross()
            if not self._valued:
                self._value_early()
            return float(self._value)
        return float(sum(self._value_of(data) for data in datas))

    getvalue = get_value

    def get_leverage(self) -> float:
        """Gross notional of all positions over equity."""
        return self._gross() / max(self._value, FLOOR)

    def _gross(self) -> float:
        """Notional of all positions, in the account's currency."""
        account = self.account
        return sum(
            p.notional() * account.rate(p.contract.settle) for p in account.positions.values()
        )

    def _value_of(self, data: Any) -> float:
        position = self.getposition(data)
        if not position.size:
            return 0.0
        close = data.close[0] if len(data) else 0.0
        price = close if close > 0.0 else self.instrument(data).position.mark
        return float(self.getcommissioninfo(data).getvaluesize(position.size, price))

    @property
    def events(self) -> list[Event]:
        """Everything that happened, in order."""
        return self.account.events

    @property
    def fidelity(self) -> dict[str, Any]:
        """How true the run's inputs were: shares of bars with marks, funding, tiers in force."""
        self._calm.settle()
        return fidelity_of(self)
