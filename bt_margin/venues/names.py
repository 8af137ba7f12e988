"""Small conversions at a venue's door: symbols, dates and intervals as people write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timezone
from difflib import get_close_matches

from bt_margin.errors import InputError

_SUFFIXES = (".P", "_PERP", "-PERP", "-SWAP", "PERP")
#: Currencies that stand for a dollar.
DOLLARS = frozenset(("USD", "USDT", "USDC", "BUSD", "FDUSD", "DAI"))
_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def squeezed(name: str) -> str:
    """A symbol without its decoration: upper case, no separators, no settlement, no perpetual mark.

    >>> squeezed("btc-usdt"), squeezed("BTC/USDT:USDT"), squeezed("BTCUSD_PERP")
    ('BTCUSDT', 'BTCUSDT', 'BTCUSD')
    """
    text = name.strip().upper().split(":")[0]
    for suffix in _SUFFIXES:
        if text.endswith(suffix) and len(text) > len(suffix):
            text = text[: -len(suffix)]
            break
    return text.replace("/", "").replace("-", "").replace("_", "")


def canonical(name: str, symbols: Iterable[str]) -> str | None:
    """The one symbol that ``name`` is another spelling of, or None.

    >>> canonical("BTC-USDT", ["BTC/USDT:USDT", "BTC/USDC:USDC"])
    'BTC/USDT:USDT'
    >>> canonical("BTC", ["BTC/USDT:USDT", "BTC/USDC:USDC"]) is None
    True
    """
    head, colon, settle = name.strip().upper().partition(":")
    wanted = squeezed(head)
    found = [
        symbol
        for symbol in symbols
        if squeezed(symbol) == wanted and (not colon or symbol.endswith(f":{settle}"))
    ]
    return found[0] if len(found) == 1 else None


def equivalent(name: str, symbols: Iterable[str], currency: str) -> str | None:
    """The linear dollar contract among ``symbols`` on the same coin, the one in ``currency`` first.

    A name that is there, an inverse contract too, is its own equivalent.

    >>> equivalent("BTC/USDT:USDT", ["BTC/USD:BTC", "BTC/USDC:USDC"], "USDC")
    'BTC/USDC:USDC'
    >>> equivalent("BTC/USD:BTC", ["BTC/USD:BTC"], "BTC")
    'BTC/USD:BTC'
    """
    pool = list(symbols)
    if name in pool:
        return name
    base, quote, settle = _parts(name)
    if quote not in DOLLARS or settle not in DOLLARS:
        return None
    same = [s for s in pool if _parts(s)[0] == base and DOLLARS.issuperset(_parts(s)[1:])]
    same.sort(key=lambda s: (_parts(s)[2] != currency, _parts(s)[2] != settle, s))
    return same[0] if same else None


def _parts(symbol: str) -> tuple[str, str, str]:
    """Base, quote and settlement of a unified symbol; spot settles in its quote."""
    base, _, rest = symbol.partition("/")
    quote, colon, settle = rest.partition(":")
    return base, quote, settle if colon else quote


def quote_of(symbol: str) -> str:
    """What a unified symbol's prices are counted in, "" for a name that does not say.

    >>> quote_of("BTC/USD:BTC"), quote_of("ETH/BTC"), quote_of("X")
    ('USD', 'BTC', '')
    """
    return _parts(symbol)[1]


def nearest(name: str, symbols: Iterable[str], limit: int = 4) -> list[str]:
    """Symbols a mistyped name may have meant: the same base first, then similar spellings.

    >>> nearest("BTC", ["ETH/USDT:USDT", "BTC/USDT:USDT"])
    ['BTC/USDT:USDT']
    """
    wanted = squeezed(name)
    pool = list(symbols)
    base = wanted
    for quote in ("USDT", "USDC", "USD"):
        base = base.removesuffix(quote) if base != quote else base
    same = sorted(
        (s for s in pool if base and s.split("/")[0] == base), key=lambda s: ":USDT" not in s
    )
    by_key: dict[str, list[str]] = {}
    for symbol in pool:
        by_key.setdefault(squeezed(symbol), []).append(symbol)
    close = [s for key in get_close_matches(wanted, by_key, limit, 0.7) for s in by_key[key]]
    return list(dict.fromkeys([*same, *close]))[:limit]


def moment(value: str | int | date | None, what: str = "as_of") -> int | None:
    """A date as people write it, in UTC milliseconds; ``None`` stays ``None``.

    A plain date means its midnight in UTC. A date with a time of day must say its offset.

    >>> moment("2025-01-31")
    1738281600000
    >>> moment("2025-01-31T08:00:00Z")
    1738310400000
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        value = _parsed(value, what)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InputError(
                f"{what} {value.isoformat()!r} has a time of day but no time zone; "
                f"write it with its offset, for example {value.isoformat()}+00:00"
            )
        return round(value.timestamp() * 1000)
    if isinstance(value, date):
        day = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
        return round(day.timestamp() * 1000)
    raise InputError(f"{what} must be a date such as '2025-01-31', found {value!r}")


def _parsed(text: str, what: str) -> date:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InputError(
            f"{what} {text!r} is not a date; write it like '2025-01-31' or '2025-01-31T08:00:00Z'"
        ) from None


def interval(value: object, what: str = "funding_interval") -> int:
    """A length of time in milliseconds, from ``"8h"``, ``"30m"``, ``"1d"`` or milliseconds.

    >>> interval("8h"), interval(3_600_000)
    (28800000, 3600000)
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str):
        number, unit = value.strip()[:-1], value.strip()[-1:]
        if number.isdigit() and int(number) > 0 and unit in _UNITS:
            return int(number) * _UNITS[unit]
    raise InputError(
        f"{what} {value!r} is not an interval; write it like '8h', '1h' or '30m', "
        "or give whole milliseconds above zero"
    )
