"""The names and folders of Binance's public archive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bt_margin.errors import InputError, message
from bt_margin.market.shapes.piece import NotListed

_FILE = re.compile(r"(.+?)-(\d+(?:mo|[smhdw])|fundingRate)-(\d{4}-\d{2}(?:-\d{2})?)")
_KINDS = {
    "klines": "ohlcv",
    "markPriceKlines": "mark",
    "indexPriceKlines": "index",
    "fundingRate": "funding",
}
_FOLDERS = {kind: folder for folder, kind in _KINDS.items()}
_MARKETS = ("spot", "um", "cm")
_OWN_MARKET = {"binanceusdm": "um", "binancecoinm": "cm"}
_DATED = re.compile(r"(.+)_(\d{6})")
_UNIFIED = re.compile(r"([^/:]+)/([^/:]+?)(?::([^/:-]+)(?:-(\d{6}))?)?")
_QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USD1", "BIDR", "USD", "EUR", "GBP", "TRY", "BRL",
    "JPY", "AUD", "ARS", "MXN", "PLN", "RUB", "UAH", "ZAR", "BTC", "ETH", "BNB", "XRP", "DAI",
)  # fmt: skip
_MARGIN_QUOTES = ("USDT", "USDC", "BUSD", "USD1", "BTC", "USD")


@dataclass(frozen=True, slots=True)
class Named:
    """What name and folders of an archive file tell; None where they do not."""

    native: str
    kind: str | None
    timeframe: str | None
    market: str | None


def of_path(path: Path) -> Named | None:
    """What an archive file's path tells, or None when its name is not the archive's.

    >>> of_path(Path("futures/um/monthly/markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip"))
    Named(native='BTCUSDT', kind='mark', timeframe='1h', market='um')
    >>> of_path(Path("BTCUSD_PERP-fundingRate-2024-01.csv"))
    Named(native='BTCUSD_PERP', kind='funding', timeframe=None, market=None)
    """
    stem = path.name
    for suffix in (".zip", ".gz", ".csv"):
        stem = stem.removesuffix(suffix)
    match = _FILE.fullmatch(stem)
    if not match:
        return None
    native, what, _ = match.groups()
    folders = path.parent.parts
    if "premiumIndexKlines" in folders:
        todo = "leave this folder out"
        raise InputError(
            message("premium index is no kind of this house", where=str(path), todo=todo)
        )
    kind = next((_KINDS[name] for name in reversed(folders) if name in _KINDS), None)
    market = next((name for name in reversed(folders) if name in _MARKETS), None)
    if what == "fundingRate":
        return Named(native, "funding", None, market)
    return Named(native, kind, what.replace("mo", "M"), market)


def symbols(named: Named, exchange: str | None, markets: frozenset[str]) -> list[str]:
    """The unified symbols a file may hold, of the markets its content allows.

    exchange : a ccxt class that lists one market only decides where no folder does. Raises `InputError`
    when folder and exchange contradict each other.

    >>> spot = frozenset({"spot", "um", "cm"})
    >>> symbols(Named("BTCUSDT", None, "1h", None), None, spot)
    ['BTC/USDT', 'BTC/USDT:USDT']
    >>> symbols(Named("BTCUSDT", None, "1h", None), "binanceusdm", spot)
    ['BTC/USDT:USDT']
    """
    own = _OWN_MARKET.get(exchange or "")
    if own and named.market and own != named.market:
        todo = "name the exchange these files are of"
        raise NotListed(
            message(f"files of {named.market} are not of {exchange}", named.native, todo=todo)
        )
    only = named.market or own
    found = [
        _symbol(named.native, market)
        for market in _MARKETS
        if market in ({only} if only else markets)
    ]
    return [symbol for symbol in found if symbol]


def _symbol(native: str, market: str) -> str | None:
    """The unified symbol of an exchange's name in one market, or None.

    >>> _symbol("BTCUSD_PERP", "cm"), _symbol("BTCUSDT_240628", "um"), _symbol("ETHBTC", "spot")
    ('BTC/USD:BTC', 'BTC/USDT:USDT-240628', 'ETH/BTC')
    """
    perpetual = native.removesuffix("_PERP")
    dated = _DATED.fullmatch(perpetual)
    pair, tail = (dated.group(1), f"-{dated.group(2)}") if dated else (perpetual, "")
    if market == "cm":
        base = pair.removesuffix("USD")
        return f"{base}/USD:{base}{tail}" if base and base != pair else None
    if perpetual != native or (market == "spot" and dated):
        return None
    known = _QUOTES if market == "spot" else _MARGIN_QUOTES
    quote = next((q for q in known if pair.endswith(q) and pair != q), None)
    if quote is None:
        return None
    base = pair.removesuffix(quote)
    return f"{base}/{quote}" if market == "spot" else f"{base}/{quote}:{quote}{tail}"


def native(symbol: str) -> tuple[str, str]:
    """Market and exchange's name of a unified symbol; `InputError` for one the archive cannot name.

    >>> native("BTC/USDT:USDT"), native("BTC/USD:BTC"), native("BTC/USDT")
    (('um', 'BTCUSDT'), ('cm', 'BTCUSD_PERP'), ('spot', 'BTCUSDT'))
    """
    match = _UNIFIED.fullmatch(symbol)
    if match:
        base, quote, settle, date = match.groups()
        market = "spot" if settle is None else "um" if settle == quote else "cm"
        tail = f"_{date}" if date else "_PERP" if market == "cm" else ""
        name = f"{base}{quote}{tail}"
        if _symbol(name, market) == symbol:
            return market, name
    todo = "export it in another shape"
    raise InputError(message("the archive has no name for this symbol", symbol, todo=todo))


def path_of(market: str, name: str, kind: str, timeframe: str, month: str, suffix: str) -> Path:
    """Where the archive keeps one month of a symbol.

    >>> path_of("spot", "BTCUSDT", "ohlcv", "1h", "2024-01", ".csv").as_posix()
    'data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.csv'
    """
    place = Path("data", *(("spot",) if market == "spot" else ("futures", market)), "monthly")
    what = "fundingRate" if kind == "funding" else timeframe
    if kind == "index":
        name = name.removesuffix("_PERP")
    place = place / _FOLDERS[kind] / name
    place = place if kind == "funding" else place / timeframe
    return place / f"{name}-{what}-{month}{suffix}"
