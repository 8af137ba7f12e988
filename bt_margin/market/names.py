"""What file names say: symbol, venue, kind and timeframe of market data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".parquet", ".csv")
META_SUFFIX = ".meta.json"

_SETTLED_IN_QUOTE = ("USDT", "USDC")
_NATIVE = re.compile(r"([A-Z0-9]+?)[-_]?(USDT|USDC|USD)")
_TRIPLE = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)_([A-Z0-9]+)")
_TAIL = re.compile(r"(?:[_-].*)?")
_SPLIT = re.compile(r"([A-Za-z0-9.]+)_([A-Z0-9-]+)_(ohlcv|mark|funding)_([0-9]*[A-Za-z]+)")
_TIMEFRAME = re.compile(r"(?:^|[_-])(\d+[smhdwM])(?=$|[_-])")


@dataclass(frozen=True, slots=True)
class SplitName:
    """The parts of `<venue>_<SYMBOL>_<kind>_<timeframe>`."""

    venue: str
    symbol: str
    kind: str
    timeframe: str


def unified_symbol(name: str) -> str:
    """The unified name of a perpetual; a name of another pattern comes back unchanged.

    USDT and USDC perpetuals settle in their quote, USD ones (inverse) in their base.

    >>> unified_symbol("BTCUSDT"), unified_symbol("ETHUSD"), unified_symbol("SOL_USDC_USDC")
    ('BTC/USDT:USDT', 'ETH/USD:ETH', 'SOL/USDC:USDC')
    >>> unified_symbol("DOGE/USDT:USDT"), unified_symbol("gold")
    ('DOGE/USDT:USDT', 'gold')
    """
    triple = _TRIPLE.fullmatch(name)
    if triple:
        base, quote, settle = triple.groups()
        return f"{base}/{quote}:{settle}"
    native = _NATIVE.fullmatch(name)
    if not native:
        return name
    base, quote = native.groups()
    return f"{base}/{quote}:{quote if quote in _SETTLED_IN_QUOTE else base}"


def file_stem(symbol: str) -> str:
    """The start of a symbol's canonical file name.

    >>> file_stem("BTC/USDT:USDT"), file_stem("BTC/USDT:USDT-251226")
    ('BTC_USDT_USDT', 'BTC_USDT_USDT-251226')
    """
    return re.sub(r"[^A-Za-z0-9.-]", "_", symbol)


def symbol_of(path: Path) -> str | None:
    """The symbol a canonical or plain file name stands for, or None.

    >>> symbol_of(Path("BTC_USDT_USDT_1h.parquet")), symbol_of(Path("ETHUSDT.csv"))
    ('BTC/USDT:USDT', 'ETH/USDT:USDT')
    >>> symbol_of(Path("manifest.csv")) is None
    True
    """
    stem = path.stem
    for pattern in (_TRIPLE, _NATIVE):
        match = re.fullmatch(f"({pattern.pattern}){_TAIL.pattern}", stem)
        if match:
            return unified_symbol(match.group(1))
    return None


def split_name(path: Path) -> SplitName | None:
    """The parts of a split file's name, or None.

    >>> split_name(Path("binance_BTCUSDT_mark_1h.parquet"))
    SplitName(venue='binance', symbol='BTC/USDT:USDT', kind='mark', timeframe='1h')
    """
    match = _SPLIT.fullmatch(path.stem)
    if not match:
        return None
    venue, name, kind, timeframe = match.groups()
    return SplitName(venue, unified_symbol(name), kind, timeframe)


def timeframe_of(path: Path) -> str:
    """The timeframe in a canonical file name, or "".

    >>> timeframe_of(Path("BTC_USDT_USDT_15m.csv")), timeframe_of(Path("BTC_USDT_USDT.csv"))
    ('15m', '')
    """
    match = _TIMEFRAME.search(path.stem)
    return match.group(1) if match else ""
