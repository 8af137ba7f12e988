"""Where things lie in the store, and which names may stand for them.

    <store>/<exchange>/_markets.json
    <store>/<exchange>/<symbol>/tiers.json
    <store>/<exchange>/<symbol>/<kind>_<timeframe>/2024-01.1f2e3d4c.parquet, _manifest.json, ...

Names that begin with `_` or `.` are not data: readers of Parquet folders pass over them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from bt_margin.errors import InputError, message
from bt_margin.market.kinds import BAR_KINDS, Grid, Span
from bt_margin.market.names import file_stem

MANIFEST = "_manifest.json"
PAGES = "_pages.jsonl"
LOCK = "_lock"
MARKETS = "_markets.json"
TIERS = "tiers.json"
LATEST = 9_214_646_400_000  # 2262-01-01: the last year in which ns since 1970 fit into 64 bits

_EXCHANGE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PLAIN = re.compile(r"[A-Za-z0-9.:/-]+")
_DATASET = re.compile(r"([a-z]+)_([0-9]{1,9}[smhdw])")
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])")
_LONGEST_SYMBOL = 100
_HOUR = 3_600_000


def exchange_name(exchange: str) -> str:
    """The folder of an exchange: its ccxt name; `InputError` for what cannot be a folder.

    >>> exchange_name("binanceusdm")
    'binanceusdm'
    >>> exchange_name("../binance")
    Traceback (most recent call last):
    ...
    bt_margin.errors.InputError: not a name of an exchange: found '../binance', allowed ...
    """
    if not _EXCHANGE.fullmatch(exchange) or _RESERVED.fullmatch(exchange):
        allowed = "lower-case letters, digits, - and _, as in binanceusdm"
        raise InputError(message("not a name of an exchange", repr(exchange), allowed))
    return exchange


def symbol_name(symbol: str) -> str:
    """The folder of a symbol: its file stem, with a few digits of its hash where letters are lost.

    >>> symbol_name("BTC/USDT:USDT"), symbol_name("BTC_A/USDT:USDT")
    ('BTC_USDT_USDT', 'BTC_A_USDT_USDT-7528b8')
    >>> symbol_name("..")
    Traceback (most recent call last):
    ...
    bt_margin.errors.InputError: not a symbol: found '..', allowed a name such as BTC/USDT:USDT
    """
    stem = file_stem(symbol)
    bad = len(symbol) > _LONGEST_SYMBOL or not symbol.isprintable() or ".." in symbol
    if bad or not stem.strip("._-") or stem[0] == "." or stem[-1] == ".":
        raise InputError(message("not a symbol", repr(symbol), "a name such as BTC/USDT:USDT"))
    if _PLAIN.fullmatch(symbol) and not _RESERVED.fullmatch(stem.split(".")[0]):
        return stem
    plain = stem.replace(".", "_")
    return f"{plain}-{hashlib.sha256(symbol.encode()).hexdigest()[:6]}"


def dataset_name(kind: str, timeframe: str) -> str:
    """The folder of a kind: `ohlcv_1h`, `funding`; `InputError` for what is not kept as rows.

    >>> dataset_name("mark", "15m"), dataset_name("funding", "")
    ('mark_15m', 'funding')
    """
    if kind == "funding":
        if timeframe:
            raise InputError(message("funding has no timeframe", repr(timeframe), '""'))
        return kind
    if kind not in BAR_KINDS:
        todo = "tiers are dated snapshots: Store.tiers" if kind == "tiers" else None
        allowed = ", ".join((*BAR_KINDS, "funding"))
        raise InputError(message("not a kind kept as rows", repr(kind), allowed, todo=todo))
    Grid.of(timeframe)
    return f"{kind}_{timeframe}"


def read_dataset_name(name: str) -> tuple[str, str] | None:
    """Kind and timeframe of a folder's name; None for a folder that is none of ours.

    >>> read_dataset_name("mark_15m"), read_dataset_name("funding"), read_dataset_name("notes")
    (('mark', '15m'), ('funding', ''), None)
    """
    if name == "funding":
        return name, ""
    match = _DATASET.fullmatch(name)
    if not match or match[1] not in BAR_KINDS or match[2].startswith("0"):
        return None
    return match[1], match[2]


def unit_of(kind: str, timeframe: str) -> str:
    """How long a part is: "M", a month, for bars below an hour; "Y", a year, for all else.

    >>> unit_of("ohlcv", "1m"), unit_of("ohlcv", "1h"), unit_of("funding", "")
    ('M', 'Y', 'Y')
    """
    return "M" if kind != "funding" and Grid.of(timeframe).step < _HOUR else "Y"


def periods_of(times: npt.NDArray[np.int64], unit: str) -> npt.NDArray[np.str_]:
    """The period of each time, as parts are named: 2024-01 or 2024.

    >>> periods_of(np.array([0, 1_704_067_200_000]), "M").tolist()
    ['1970-01', '2024-01']
    """
    return times.astype("datetime64[ms]").astype(f"datetime64[{unit}]").astype(np.str_)


def period_span(period: str) -> Span:
    """The span of a part, by its name.

    >>> period_span("1970-02"), period_span("1970")
    ((2678400000, 5097600000), (0, 31536000000))
    """
    begin = np.datetime64(period)
    start, stop = (each.astype("datetime64[ms]").astype(np.int64) for each in (begin, begin + 1))
    return int(start), int(stop)


def cut(spans: Iterable[Span], unit: str) -> Iterator[tuple[str, Span]]:
    """The spans cut where parts begin and end, each piece with its part's name.

    >>> list(cut([(2_678_000_000, 2_678_500_000)], "M"))
    [('1970-01', (2678000000, 2678400000)), ('1970-02', (2678400000, 2678500000))]
    """
    for start, stop in spans:
        while start < stop:
            period = str(periods_of(np.array([start]), unit)[0])
            end = min(stop, period_span(period)[1])
            yield period, (start, end)
            start = end
