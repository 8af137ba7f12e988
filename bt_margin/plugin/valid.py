"""The settings of a broker, judged where they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bt_margin.engine.settings import mode_of, valid_cash, valid_wallets
from bt_margin.errors import InputError, UnknownMode, message

TIMESTAMPS: Final = ("open", "close")
SERIES: Final = ("funding", "mark")
DELISTING: Final = ("settle", "hold")


def check_settings(p: Any) -> None:
    """Refuse settings that cannot be meant; the engine judges modes, leverages and rates itself.

    :raises InputError: no venue, an option of the wrong kind, an unknown name.
    """
    if p.venue is None:
        raise InputError(
            'venue is missing; name one, for example MarginBroker(venue="binance", leverage=10)'
        )
    if p.as_of is not None and not isinstance(p.venue, str):
        raise InputError(
            f"as_of={p.as_of!r} comes too late for a venue that is made already; "
            'pin it where it is made: btm.venue("binance", as_of=...)'
        )
    if p.timestamps not in TIMESTAMPS:
        raise UnknownMode(f"timestamps {p.timestamps!r} is not known; allowed: open, close")
    if p.delisting not in DELISTING:
        raise UnknownMode(f"delisting {p.delisting!r} is not known; allowed: settle, hold")
    valid_opening(p.cash)
    _check_mapping("names", p.names, str, 'names={"my feed": "BTC/USDT:USDT"}')
    example = 'symbols={"BTC/USDT:USDT": dict(margin_mode="isolated", leverage=20)}'
    _check_mapping("symbols", p.symbols, Mapping, example)
    calls = () if p.margin_calls is None else p.margin_calls
    if isinstance(calls, str) or not isinstance(calls, Iterable):
        raise InputError(
            message("margin_calls", repr(p.margin_calls), "a tuple of ratios", None, "say (0.8,)")
        )
    for what in demanded(p.require):
        if what not in SERIES:
            raise InputError(f"require={what!r} is not known; allowed: 'funding', 'mark'")


def valid_opening(cash: Any) -> None:
    """Refuse what is no cash: an amount above 0, or amounts by currency."""
    if isinstance(cash, Mapping):
        valid_wallets(cash, "")
    else:
        valid_cash(cash)


def check_modes(venue: Any, symbols: Any) -> None:
    """Refuse margin modes the venue does not have, where they are given and not at the first order."""
    for own in (symbols or {}).values():
        if "margin_mode" in own:
            mode_of(venue, own["margin_mode"])


def demanded(require: Any) -> tuple[str, ...]:
    """What ``require`` names, one name alone or several.

    >>> demanded("mark"), demanded(("funding", "mark")), demanded(None)
    (('mark',), ('funding', 'mark'), ())
    """
    if isinstance(require, str):
        return (require,)
    if require is None or isinstance(require, Iterable):
        return tuple(require or ())
    raise InputError(f"require={require!r} is not known; allowed: 'funding', 'mark'")


def _check_mapping(name: str, given: Any, kind: type, example: str) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping):
        found = type(given).__name__
        raise InputError(message(f"{name}=", found, "a mapping", None, f"as in {example}"))
    for key, value in given.items():
        if not (isinstance(key, str) and isinstance(value, kind)):
            found = f"{key!r}: {value!r}"
            raise InputError(message(f"{name}=", found, f"{example}", None, "write it like this"))
