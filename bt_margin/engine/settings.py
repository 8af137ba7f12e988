"""Settings of an account: what is valid, and the venue's rules for changing leverage, mode and margin.

A refused change is an event (kind ``refused``) and an exception that carries it, so a strategy can catch
it and a report can show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, cast

from bt_margin.core.tiers import TierTable
from bt_margin.engine.events import Event
from bt_margin.engine.plan import DUST
from bt_margin.engine.pool import MarginMode, Pool, Position
from bt_margin.errors import (
    CashError,
    DataError,
    InputError,
    LeverageError,
    LeverageRefused,
    MarginModeRefused,
    MarginRefused,
    Refused,
    UnknownMode,
)

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.venues.spec import Venue

MODES = ("cross", "isolated")


def valid_mode(mode: object) -> MarginMode:
    """``"cross"`` or ``"isolated"``; UnknownMode otherwise."""
    if mode not in MODES:
        raise UnknownMode(f"margin_mode {mode!r} is not known; allowed: 'cross', 'isolated'")
    return cast(MarginMode, mode)


def mode_of(venue: Venue, mode: object) -> MarginMode:
    """A margin mode the venue has; MarginModeRefused for one it has not."""
    chosen = valid_mode(mode)
    if chosen not in venue.modes:
        has = " and ".join(venue.modes)
        raise MarginModeRefused(
            f"{venue.title} has no {chosen} margin, only {has}; use margin_mode={venue.modes[0]!r}"
        )
    return chosen


def own_mode(account: Account, symbol: str, mode: object) -> MarginMode:
    """A symbol's margin mode; where one mode holds for the whole account, another is refused."""
    chosen = mode_of(account.venue, mode)
    if account.venue.switching.scope == "account":
        others = [p for p in account.book.values() if p.margin_mode != chosen]
        if others or chosen != account.account_mode():
            raise MarginModeRefused(
                f"{account.venue.title} has one margin mode for the whole account; {symbol} cannot "
                f"be {chosen} beside {account.account_mode()}"
            )
    return chosen


def leg_of(name: str) -> tuple[str, str | None]:
    """Symbol and side of a name in hedge mode, ``"BTC/USDT:USDT long"``; None for a plain symbol.

    >>> leg_of("BTC/USDT:USDT short"), leg_of("BTC/USDT:USDT")
    (('BTC/USDT:USDT', 'short'), ('BTC/USDT:USDT', None))
    """
    symbol, space, side = name.rpartition(" ")
    return (symbol, side) if space and side in ("long", "short") else (name, None)


def check_leg(account: Account, symbol: str, leg: str | None) -> None:
    """One side of a symbol needs a venue with hedge mode, and no net position beside it."""
    if leg is None:
        return
    if not account.venue.hedge:
        raise InputError(
            f"{account.venue.title} has no hedge mode; {symbol} is held on one side at a time"
        )
    net = account.book.get(symbol)
    if net is not None and net.size:
        raise InputError(f"{symbol} has a one-way position; close it before holding both sides")


def valid_wallets(cash: object, currency: str) -> dict[str, float]:
    """Wallets by currency, the account's own first; CashError for an amount that is none.

    >>> valid_wallets({"BTC": 0.5}, "USD"), valid_wallets(100, "USDT")
    ({'USD': 0.0, 'BTC': 0.5}, {'USDT': 100.0})
    """
    if not isinstance(cash, Mapping):
        return {currency: valid_cash(cash)}
    if not cash:
        raise CashError("no wallet given; allowed: currency -> amount above 0")
    named = {str(unit): valid_cash(amount) for unit, amount in cash.items()}
    return (
        named
        if currency in named and next(iter(named)) == currency
        else {currency: named.pop(currency, 0.0), **named}
    )


def valid_collateral(collateral: object) -> dict[str, float]:
    """Coins and amounts; CashError for an amount that is none."""
    if collateral is None:
        return {}
    if not isinstance(collateral, Mapping):
        raise CashError(f"collateral {collateral!r} is not coin -> amount")
    return {str(coin): valid_cash(amount) for coin, amount in collateral.items()}


def valid_leverage(leverage: object) -> float:
    """A finite leverage above 0; LeverageError otherwise."""
    if isinstance(leverage, bool) or not isinstance(leverage, (int, float)):
        raise LeverageError(f"leverage {leverage!r} is not a number; allowed: a number above 0")
    if not (leverage > 0 and math.isfinite(leverage)):
        raise LeverageError(
            f"leverage {leverage} is not possible; allowed: a finite number above 0"
        )
    return float(leverage)


def valid_cash(cash: object) -> float:
    """A finite amount above 0; CashError otherwise."""
    if isinstance(cash, bool) or not isinstance(cash, (int, float)):
        raise CashError(f"cash {cash!r} is not a number; allowed: an amount above 0")
    if not (cash > 0 and math.isfinite(cash)):
        raise CashError(f"cash {cash} is not possible; allowed: a finite amount above 0")
    return float(cash)


def valid_slippage(slippage: float) -> float:
    """A fraction in [0, 1); InputError otherwise."""
    if not 0 <= slippage < 1:
        raise InputError(f"liquidation_slippage {slippage} is not a fraction in [0, 1)")
    return float(slippage)


def valid_thresholds(ratios: tuple[float, ...]) -> tuple[float, ...]:
    """Margin-call thresholds, each in (0, 1], rising; InputError otherwise."""
    for ratio in ratios:
        if not 0 < ratio <= 1:
            raise InputError(f"margin call threshold {ratio} is not a fraction in (0, 1]")
    return tuple(sorted(ratios))


def valid_price(symbol: str, price: float) -> float:
    """A finite price above 0; DataError otherwise."""
    if not (price > 0 and math.isfinite(price)):
        raise DataError(f"price {price} of {symbol} is not possible; allowed: finite and above 0")
    return price


def valid_size(symbol: str, size: float) -> float:
    """A finite number of contracts; InputError otherwise."""
    if not math.isfinite(size):
        raise InputError(f"size {size} of {symbol} is not possible; allowed: a finite number")
    return size


def valid_number(what: str, number: float) -> float:
    """A finite number; InputError otherwise."""
    if not math.isfinite(number):
        raise InputError(f"{what} {number} is not possible; allowed: a finite number")
    return number


def check_step(venue: Venue, symbol: str, leverage: float) -> None:
    """LeverageError when the venue has no such leverage between two it has."""
    step = venue.leverage_step
    if step is None:
        return
    steps = leverage / step
    if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
        raise LeverageError(
            f"leverage {leverage:g} of {symbol} is not possible at {venue.title}; "
            f"allowed: multiples of {step:g}"
        )


def check_cap(symbol: str, leverage: float, table: TierTable, time: int) -> None:
    """LeverageError when not even the lowest tier allows the leverage."""
    most = table.max_leverage(0.0)
    if leverage > most:
        raise LeverageError(
            f"leverage {leverage:g} exceeds {most:g}, the most the venue allows for {symbol} "
            f"(tiers in force at {_date(time)}); lower the leverage"
        )


def set_leverage(account: Account, p: Position, leverage: float) -> Event:
    """See :meth:`Account.set_leverage`."""
    leverage = valid_leverage(leverage)
    check_step(account.venue, p.symbol, leverage)
    most, rules = p.limits.max_leverage(0.0), account.venue.switching
    if leverage > most:
        text = f"leverage {leverage:g} exceeds {most:g}, the most allowed for {p.symbol}"
        _refuse(account, p, LeverageRefused, "leverage_max", text, leverage, most)
    before, home = p.leverage, account.home(p)
    if p.size:
        p.leverage = leverage
        cap, notional = p.cap(p.mark), p.notional()
        p.leverage = before
        if notional > cap:
            text = f"the position of {notional:,.2f} exceeds {cap:,.2f}, the cap at {leverage:g}x"
            _refuse(account, p, LeverageRefused, "leverage_above_cap", text, notional, cap)
        lowers, isolated = leverage < p.leverage, p.margin_mode == "isolated"
        if lowers and isolated and not rules.lower_leverage_isolated:
            text = f"the leverage of an open isolated position ({p.symbol}) cannot be lowered"
            _refuse(
                account, p, LeverageRefused, "lower_leverage_isolated", text, leverage, p.leverage
            )
    free = account.available(home)
    p.leverage = leverage
    needed, posts = free - account.available(home), 0.0
    if p.pool is not None and p.margin_mode == "isolated" and leverage < before:
        posts = max(0.0, p.initial() - p.pool.equity())
        free = account.transferable(home)
    if needed + posts > max(0.0, free + DUST * account.scale(home)):
        p.leverage = before
        text = (
            f"lowering the leverage to {leverage:g} needs {needed + posts:,.2f} more initial margin"
        )
        _refuse(account, p, LeverageRefused, "leverage_balance", text, needed + posts, free)
    if posts and p.pool is not None:
        account.move_money(home, p.pool, posts, p.symbol, len(account.events))
    account.rejudge(p)
    info = {"before": before, "posted": posts} if posts else {"before": before}
    return account.record("leverage", p, found=leverage, allowed=most, info=info)


def set_margin_mode(account: Account, p: Position, mode: str) -> Event:
    """See :meth:`Account.set_margin_mode`."""
    chosen, rules = mode_of(account.venue, mode), account.venue.switching
    if rules.scope == "account" and chosen != p.margin_mode:
        return _switch_all(account, p, chosen)
    return _switch(account, p, chosen)


def _switch_all(account: Account, p: Position, chosen: MarginMode) -> Event:
    """One mode holds for the whole account: all symbols change, or none does."""
    book = [o for o in account.book.values() if o is not p]
    for o in (p, *book):
        _check_switch(account, o, chosen)
    if account.exposed():
        _rehearse(account, (*book, p), chosen)
    account.set_default_mode(chosen)
    for o in book:
        _switch(account, o, chosen)
    return _switch(account, p, chosen)


def _rehearse(account: Account, book: tuple[Position, ...], chosen: MarginMode) -> None:
    """Switch a copy, so that money that suffices for some positions and not for all changes none."""
    twin = account.fork()
    try:
        for o in book:
            _switch(twin, twin.book[o.symbol], chosen)
    except Refused as no:
        lacking = account.book[no.event.symbol]
        event = account.record(
            "refused",
            lacking,
            reason=str(no),
            found=no.found,
            allowed=no.allowed,
            info=no.event.info,
        )
        raise type(no)(
            str(no), event=event, code=no.code, found=no.found, allowed=no.allowed
        ) from None


def _check_switch(account: Account, p: Position, chosen: MarginMode) -> None:
    rules = account.venue.switching
    if chosen != p.margin_mode:
        if p.size and not rules.mode_with_position:
            text = f"the margin mode of {p.symbol} cannot change while a position is open"
            _refuse(account, p, MarginModeRefused, "mode_with_position", text, abs(p.size), 0.0)
        if account.orders.open(p.symbol) and not rules.mode_with_orders:
            text = f"the margin mode of {p.symbol} cannot change while orders are open"
            count = float(account.orders.open(p.symbol))
            _refuse(account, p, MarginModeRefused, "mode_with_orders", text, count, 0.0)


def _switch(account: Account, p: Position, chosen: MarginMode) -> Event:
    _check_switch(account, p, chosen)
    before = p.margin_mode
    if p.pool is not None and chosen != before:
        _repartition(account, p, chosen)
    p.margin_mode = chosen
    account.rejudge(p)
    return account.record("margin_mode", p, reason=chosen, info={"before": before})


def _repartition(account: Account, p: Position, chosen: MarginMode) -> None:
    """Move an open position into the pool of its new mode, with its initial margin or all it holds."""
    source, event_id = p.pool, len(account.events)
    assert source is not None
    home = account.home(p)
    if chosen == "cross":
        account.attach(p, chosen)
        account.move_money(source, home, source.balance, p.symbol, event_id)
        return
    posted = max(p.initial_of(p.size, p.entry), p.initial() - p.unrealised())
    free = account.available(home) + p.initial() - p.unrealised()
    free = min(free, max(0.0, home.balance))
    if posted > free + DUST * account.scale(home):
        text = f"isolating {p.symbol} needs {posted:,.2f}, available is {free:,.2f}"
        _refuse(account, p, MarginModeRefused, "mode_balance", text, posted, free)
    account.attach(p, chosen)
    account.move_money(home, p.pool or home, posted, p.symbol, event_id)


def add_margin(account: Account, p: Position, amount: float) -> Event:
    """See :meth:`Account.add_margin`."""
    pool = _isolated(account, p, amount)
    home = account.home(p)
    free = account.transferable(home)
    if amount > free + DUST * account.scale(home):
        text = f"adding {amount:,.2f} to {p.symbol} exceeds {free:,.2f}, what is available"
        _refuse(account, p, MarginRefused, "add_margin_balance", text, amount, free)
    amount = min(amount, free)
    account.move_money(home, pool, amount, p.symbol, len(account.events))
    return account.record("transfer", p, amount=amount, reason="margin added")


def reduce_margin(account: Account, p: Position, amount: float) -> Event:
    """See :meth:`Account.reduce_margin`."""
    pool = _isolated(account, p, amount)
    kept = max(p.initial(), account.venue.margin_kept * p.notional())
    most = max(0.0, pool.balance + min(0.0, p.unrealised()) - kept)
    if amount > most + DUST * pool.balance:
        text = f"removing {amount:,.2f} from {p.symbol} exceeds {most:,.2f}, what may leave"
        _refuse(account, p, MarginRefused, "reduce_margin_balance", text, amount, most)
    account.move_money(pool, account.home(p), amount, p.symbol, len(account.events))
    return account.record("transfer", p, amount=-amount, reason="margin removed")


def _isolated(account: Account, p: Position, amount: float) -> Pool:
    if not (amount > 0 and math.isfinite(amount)):
        raise InputError(f"amount {amount} is not possible; allowed: a finite amount above 0")
    if p.margin_mode != "isolated":
        text = f"{p.symbol} is in cross mode; only isolated positions hold margin of their own"
        _refuse(account, p, MarginRefused, "margin_cross", text, amount, 0.0)
    if p.pool is None:
        text = f"{p.symbol} has no open position"
        _refuse(account, p, MarginRefused, "margin_no_position", text, amount, 0.0)
    return p.pool


def _refuse(
    account: Account,
    p: Position,
    error: type[Refused],
    action: str,
    text: str,
    found: float,
    allowed: float,
) -> NoReturn:
    code = account.venue.switching.code(action)
    shown = f"{text} ({account.venue.title} {code})" if code else text
    event = account.record(
        "refused",
        p,
        reason=shown,
        found=found,
        allowed=allowed,
        info={"action": action, "code": code},
    )
    raise error(shown, event=event, code=code or action, found=found, allowed=allowed)


def _date(time: int) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(time / 1000, timezone.utc).strftime("%Y-%m-%d")
