"""Every exception the package raises on purpose, and two helpers to word them.

The tree tells who has to act:

* :class:`InputError` (also a ``ValueError``): the caller made a mistake;
* :class:`Refused`: the venue says no to an action, and a strategy may catch it and go on;
* :class:`DownloadError`: an exchange did not give the data; fetch it later or elsewhere;
* :class:`InvariantError`: one of our own promises broke, please report it.

What the market does to an account (a rejected order, a liquidation) is an event, not an exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = [
    "BtMarginError",
    "CashError",
    "DataError",
    "DownloadError",
    "ExchangeRefused",
    "ExchangeUnreachable",
    "InputError",
    "InvariantError",
    "LeverageError",
    "LeverageRefused",
    "MarginModeRefused",
    "MarginRefused",
    "MissingData",
    "Refused",
    "StoreDamaged",
    "StrategyNotFound",
    "UnknownExchange",
    "UnknownMode",
    "UnknownSymbol",
    "UnknownVenue",
    "message",
    "near",
]


class BtMarginError(Exception):
    """Root of everything this package raises on purpose."""


class InputError(BtMarginError, ValueError):
    """The caller gave something that cannot be meant: a bad number, an unknown option."""


class DataError(InputError):
    """A frame or feed is broken: NaN, negative, high below low, unsorted, duplicate, naive time."""


class UnknownSymbol(InputError):
    """The venue has no contract or no tier table of this name."""


class UnknownVenue(InputError):
    """No venue of this name is registered."""


class UnknownMode(InputError):
    """The margin mode is neither cross nor isolated, or a policy name is not known."""


class LeverageError(InputError):
    """The leverage is not a number above zero, or more than the venue ever allows."""


class MissingData(InputError):
    """Funding or mark prices were demanded by the caller and are not there."""


class StoreDamaged(DataError):
    """A file of the store is not what its manifest says: missing, cut, or changed by others."""


class UnknownExchange(InputError):
    """No ccxt class of this name."""


class CashError(InputError):
    """The cash to start with, to deposit or to withdraw is not a usable amount."""


class StrategyNotFound(InputError):
    """No strategy class of this name is in the given file or module."""


class Refused(BtMarginError):
    """The venue refuses an action; nothing was changed.

    event : the engine's event that records the refusal, or None outside a run
    code : the venue's own error code, or "" when it has none
    found, allowed : the two things that decided it

    >>> error = Refused("no", code="-4048", found="open position", allowed="no position")
    >>> error.code, error.found, error.allowed, error.event
    ('-4048', 'open position', 'no position', None)
    """

    def __init__(
        self,
        text: str,
        *,
        event: Any = None,
        code: str = "",
        found: Any = None,
        allowed: Any = None,
    ) -> None:
        super().__init__(text)
        self.event = event
        self.code = code
        self.found = found
        self.allowed = allowed


class LeverageRefused(Refused):
    """The venue does not allow this leverage now, with this position or balance."""


class MarginModeRefused(Refused):
    """The venue does not allow switching between cross and isolated now."""


class MarginRefused(Refused):
    """The venue does not allow adding or taking out this much isolated margin."""


class DownloadError(BtMarginError):
    """Market data could not be fetched; what was fetched before is kept.

    exchange, symbol, kind : which data; "" where it was not about one symbol or kind
    span : the half-open stretch asked for, UTC epoch milliseconds, or None

    >>> error = DownloadError("no answer", exchange="bybit", symbol="BTC/USDT:USDT", kind="mark")
    >>> error.exchange, error.kind, error.span
    ('bybit', 'mark', None)
    """

    def __init__(
        self,
        text: str,
        *,
        exchange: str = "",
        symbol: str = "",
        kind: str = "",
        span: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(text)
        self.exchange = exchange
        self.symbol = symbol
        self.kind = kind
        self.span = span


class ExchangeRefused(DownloadError):
    """The exchange will not answer, however often it is asked: geo-block, key needed, no such symbol."""


class ExchangeUnreachable(DownloadError):
    """The exchange did not answer properly within the patience given; asking later may help."""


class InvariantError(BtMarginError):
    """A promise of ours broke, for example the money identity; never the caller's fault."""


def message(
    what: str,
    found: object = None,
    allowed: object = None,
    where: str | None = None,
    todo: str | None = None,
) -> str:
    """One sentence that names what is wrong, what was found and allowed, where, and what to do.

    Parts that are None are left out.

    >>> message("leverage is too high", 150, "at most 100", "XYZ at 40,000 USDT", "lower it")
    'leverage is too high: found 150, allowed at most 100 (XYZ at 40,000 USDT); lower it'
    >>> message("price is not a number", float("nan"))
    'price is not a number: found nan'
    >>> message("no position")
    'no position'
    """
    facts = []
    if found is not None:
        facts.append(f"found {found}")
    if allowed is not None:
        facts.append(f"allowed {allowed}")
    text = f"{what}: {', '.join(facts)}" if facts else what
    if where is not None:
        text = f"{text} ({where})"
    if todo is None:
        return text
    return f"{text} {todo}" if text.endswith("?") else f"{text}; {todo}"


def near(name: str, names: Iterable[str]) -> str:
    """A hint with up to three known names close to ``name``; "" when nothing is close.

    Upper and lower case count as the same.

    >>> near("binanse", ["binance", "bybit", "generic"])
    'did you mean binance?'
    >>> near("btc", ["BTC/USDT:USDT", "BTC", "ETH"])
    'did you mean BTC?'
    >>> near("zzz", ["binance"])
    ''
    """
    known: dict[str, str] = {}
    for each in names:
        known.setdefault(each.lower(), each)
    close = [known[key] for key in get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)]
    return f"did you mean {' or '.join(close)}?" if close else ""
