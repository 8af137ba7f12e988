"""One call for scripts that build their broker themselves: a margin account in its place.

    cerebro.broker.setcash(50_000)                     # what the script has always had
    cerebro.broker.setcommission(commission=0.0004)
    btm.patch(cerebro, venue="binance", margin_mode="isolated", leverage=10)
    cerebro.run()

Sizers, strategies and feeds are the script's; only the account is another.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any

import backtrader as bt

from bt_margin.errors import InputError, message
from bt_margin.plugin.assemble import is_cerebro, own_cash
from bt_margin.plugin.broker import MarginBroker

#: What the stock broker shows of its state; a script may read it from the broker it held before the run.
_SHOWN = ("cash", "positions", "orders", "d_credit", "notifs", "_value", "_fundval", "_fundshares")


def patch(
    cerebro: Any,
    *,
    venue: Any = None,
    margin_mode: str | None = None,
    leverage: float | None = None,
    cash: float | None = None,
    **settings: Any,
) -> MarginBroker:
    """Put a :class:`MarginBroker` in the place of a Cerebro's broker, and return it.

    What the script has set on the former broker goes on to hold: cash (unless ``cash`` says otherwise),
    commission schemes by name, slippage, fillers, cheat-on-close and -open, ``checksubmit``, ``shortcash``,
    ``int2pnl``, ``eosbar``, fund mode, order histories; of a former MarginBroker also every margin setting
    that is not given here. Feeds, strategies, sizers, analyzers and observers are not touched. ``settings``
    are MarginBroker's other keywords. May be called before or after the script sets its broker up, any time
    before ``cerebro.run()``.

    :raises InputError: no Cerebro, a Cerebro that is running, no venue, an unknown keyword, or a former
        broker that cannot be meant: a live one, one with a fund history, one with methods of its own.

    >>> cerebro = bt.Cerebro()
    >>> cerebro.broker.setcash(50_000)
    >>> cerebro.broker.set_slippage_perc(0.001)
    >>> broker = patch(cerebro, venue="binance", margin_mode="isolated", leverage=10)
    >>> broker is cerebro.broker, broker.getcash(), broker.p.slip_perc, broker.p.leverage
    (True, 50000.0, 0.001, 10)
    """
    if not is_cerebro(cerebro):
        todo = "give the Cerebro itself: patch(cerebro, venue=...)"
        raise InputError(
            message("cerebro", type(cerebro).__name__, "a backtrader Cerebro", todo=todo)
        )
    check_takeover(cerebro)
    former = cerebro.broker
    said = {"venue": venue, "margin_mode": margin_mode, "leverage": leverage, "cash": cash}
    given = {word: value for word, value in said.items() if value is not None}
    broker = MarginBroker(
        **{**margin_settings(former), "cash": own_cash(cerebro), **given, **settings}
    )
    broker.adopt(former)
    cerebro.broker = broker
    return broker


def margin_settings(former: Any) -> dict[str, Any]:
    """Every keyword of a MarginBroker, as it was given; nothing of any other broker."""
    if not isinstance(former, MarginBroker):
        return {}
    return {word: getattr(former.p, word) for word in MarginBroker.params._getkeys()}


def check_takeover(cerebro: Any) -> None:
    """Refuse brokers whose meaning a margin account cannot take over.

    :raises InputError: the Cerebro is running, or its broker is a live one, has a fund history, or methods
        of its own.
    """
    former = cerebro.broker
    name = type(former).__name__
    if _running(cerebro):
        raise InputError(
            "the Cerebro is running: its strategies hold the broker they began with; "
            "patch it before cerebro.run()"
        )
    if not isinstance(former, bt.brokers.BackBroker):
        raise InputError(
            message(
                "broker",
                found=f"{name}, which is no backtesting broker",
                allowed="backtrader's BackBroker or a MarginBroker",
                todo="patch a Cerebro that trades on paper",
            )
        )
    own = _own_methods(former)
    if own:
        raise InputError(
            message(
                "broker",
                found=f"{name} with {', '.join(own)} of its own",
                allowed="backtrader's BackBroker as it is, or a MarginBroker",
                todo=f"derive {name} from bt_margin.MarginBroker, or leave the methods out",
            )
        )
    if getattr(former, "_fundhist", None) or getattr(cerebro, "_fhistory", None) is not None:
        raise InputError(
            "set_fund_history makes the value of the account a given series, and a margin account "
            "has a value of its own; leave the fund history out"
        )


def echo(former: Any, broker: Any) -> None:
    """Let a script that kept its former broker in a variable read the end of the run from it."""
    for name in _SHOWN:
        setattr(former, name, getattr(broker, name))
    former.startingcash = broker.startingcash


def _own_methods(former: Any) -> list[str]:
    """Methods a script has added to the stock broker, in a class of its own or on the object."""
    if isinstance(former, MarginBroker):
        return []
    own = [
        name
        for kind in type(former).__mro__
        if issubclass(kind, bt.brokers.BackBroker) and kind is not bt.brokers.BackBroker
        for name, value in vars(kind).items()
        if inspect.isfunction(value) or isinstance(value, property)
    ]
    replaced = [n for n in vars(former) if inspect.isfunction(getattr(type(former), n, None))]
    return sorted({*own, *replaced})


def _running(cerebro: Any) -> bool:
    """Whether the call comes from inside the Cerebro's own run."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if (
            frame.f_code is bt.Cerebro.runstrategies.__code__
            and frame.f_locals.get("self") is cerebro
        ):
            return True
        frame = frame.f_back
    return False
