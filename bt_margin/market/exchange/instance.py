"""One instance of a ccxt class, made so that nothing it says can be mistaken.

Four of its functions are replaced on the instance (never on the class): `throttle` by the shared
pace, `fetch` to count requests, `on_rest_response` to keep status, headers and body, and
`parse_json` so that an answer of status 200 that is not whole JSON is an error. Without the last
one, an error page or a body cut on its way would come back as an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.errors import InputError, UnknownExchange, message, near
from bt_margin.market.exchange.quick import read_plainly
from bt_margin.market.exchange.retry import Pace
from bt_margin.market.exchange.verdicts import Reply

# Not asked for: options (one request per coin on Bybit), and lists that need a key (Binance).
_OURS: dict[str, dict[str, Any]] = {
    "binance": {"fetchMargins": False},
    "bybit": {"fetchMarkets": {"types": ["spot", "linear", "inverse"]}},
    "okx": {"fetchMarkets": {"types": ["spot", "future", "swap"]}},
}
# With an API key these classes load currencies over private endpoints, which candles do not need.
_PRIVATE_CURRENCIES = ("binance", "binanceusdm", "binancecoinm", "bybit", "okx")


class Spy:
    """What one instance heard last, and how often it asked.

    reply : the last answer, `Reply()` when the last request got none
    requests : requests sent so far
    """

    def __init__(self) -> None:
        self.reply = Reply()
        self.requests = 0


def library() -> Any:
    """The ccxt module; half a second and 150 MB the first time."""
    import ccxt  # type: ignore[import-untyped]  # ccxt ships no type information

    return ccxt


def make(name: str, options: Mapping[str, Any], pace: Pace, spy: Spy, heard: Heard) -> Any:
    """A ready instance of the ccxt class `name`.

    heard : called with the headers of every answer
    Raises `UnknownExchange` for a name that is no ccxt class, `InputError` for options ccxt cannot
    take.
    """
    ccxt = library()
    if name not in ccxt.exchanges:
        raise UnknownExchange(
            message(
                "unknown exchange",
                repr(name),
                f"one of ccxt's {len(ccxt.exchanges)} classes, such as binanceusdm, bybit or okx",
                todo=near(name, ccxt.exchanges) or None,
            )
        )
    _shaped(name, options)
    try:
        ours = {"options": _OURS.get(name, {})}
        exchange = getattr(ccxt, name)(ccxt.Exchange.deep_extend(ours, dict(options)))
    except (TypeError, ValueError, AttributeError, KeyError, ccxt.BaseError) as error:
        text = message(f"ccxt cannot take these options for {name}", type(error).__name__)
        raise InputError(f"{text}; check their names and shapes") from None
    if name in _PRIVATE_CURRENCIES:
        exchange.has["fetchCurrencies"] = False
    _listen(exchange, spy, heard)
    _believe_json_only(exchange, spy, ccxt.BadResponse)
    exchange.throttle = _throttle(exchange, pace)
    read_plainly(exchange)
    return exchange


def _shaped(name: str, options: Mapping[str, Any]) -> None:
    """Refuse a plain value where ccxt has a table: it would break something else later on."""
    if not options:
        return
    described = getattr(library(), name)().describe()
    for option, value in options.items():
        if isinstance(described.get(option), dict) and not isinstance(value, Mapping):
            raise InputError(
                message(
                    f"the exchange option {option!r} has the wrong shape",
                    f"a value of type {type(value).__name__}",
                    "a table of names and values",
                    f"options for {name}",
                )
            )


def strange(exchange: Any, options: Mapping[str, Any]) -> list[str]:
    """A sentence for each option that ccxt does not know by this name."""
    if not options:
        return []
    described = exchange.describe()
    known = set(dir(type(exchange))) | set(described)
    names = [*described, *described.get("requiredCredentials", {}), *_MORE]
    return [
        f"the exchange option {name!r} is none that ccxt knows; {near(name, names)}".rstrip("; ")
        for name in options
        if name not in known and name not in names
    ]


# Settings of ccxt that its classes do not list, for hints at a misspelt name.
_MORE = ("headers", "proxies", "httpProxy", "httpsProxy", "socksProxy", "proxyUrl", "userAgent")

Heard = Callable[[Mapping[str, str]], None]


def _listen(exchange: Any, spy: Spy, heard: Heard) -> None:
    """Count every request, and keep the answer."""
    fetch, respond = exchange.fetch, exchange.on_rest_response

    def counted(*args: Any, **named: Any) -> Any:
        spy.requests += 1
        spy.reply = Reply()
        return fetch(*args, **named)

    def kept(code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
        body = respond(code, reason, url, method, headers, *rest)
        spy.reply = Reply(int(code), headers, body if isinstance(body, str) else "")
        heard(headers)
        return body

    exchange.fetch = counted
    exchange.on_rest_response = kept


def _believe_json_only(exchange: Any, spy: Spy, bad: type[Exception]) -> None:
    """An answer of status 2xx that is not whole JSON is an error, not an empty answer."""
    parse = exchange.parse_json

    def parsed(text: Any) -> Any:
        found = parse(text)
        if found is None and 200 <= (spy.reply.status or 0) < 300:
            raise bad(f"{exchange.id} answered with {len(text or '')} characters, not whole JSON")
        return found

    exchange.parse_json = parsed


def _throttle(exchange: Any, pace: Pace) -> Callable[..., None]:
    """ccxt's limiter, with the pace in the place of the instance's own last request."""

    def throttle(cost: float | None = None) -> None:
        pace.admit(exchange.rateLimit * (1 if cost is None else cost) / 1_000)

    return throttle
