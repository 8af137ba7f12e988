"""Rows as ccxt returns them, saved as CSV or JSON.

    fetch_ohlcv                     [[1704067200000, open, high, low, close, volume], ...]
    fetch_funding_rate_history      [{"symbol": ..., "timestamp": ..., "fundingRate": ...}, ...]

In CSV the first line may be a header: `timestamp` (or `datetime`, `date`), open, high, low, close, volume;
for funding `timestamp` and `fundingRate`. Times are epoch numbers, or dates with a zone. The volume of
marks and indices may be empty (None): several exchanges give none. The rows do not say whose they are:
symbol, kind and timeframe come from the file's name or are asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bt_margin.errors import InputError, message
from bt_margin.market.kinds import BAR_COLUMNS
from bt_margin.market.names import file_stem, timeframe_of
from bt_margin.market.shapes.piece import (
    Asked,
    Piece,
    Times,
    Values,
    bars,
    fault,
    funding,
    timeframe_from,
    to_ms,
    untold,
)
from bt_margin.market.shapes.raw import (
    content,
    csv_columns,
    first_line,
    is_number,
    json_rows,
    number_column,
    whole_numbers,
    write_bytes,
)

TIME_NAMES = ("timestamp", "datetime", "date", "time")
RATE_NAMES = ("fundingrate", "funding_rate")
_PERPETUALS_ONLY = ("binanceusdm", "binancecoinm", "krakenfutures", "dydx")
_UNDERSCORED = re.compile(r"([A-Z0-9.]+)_([A-Z0-9]+)(?:_([A-Z0-9]+)(-\d{6})?)?(?=[-_.]|$)")
_NATIVE = re.compile(r"([A-Z0-9]+?)(USDT|USDC|USD)(?=[-_.]|$)")
_QUOTES = (
    "USDT",
    "USDC",
    "USD",
    "BUSD",
    "FDUSD",
    "EUR",
    "GBP",
    "JPY",
    "BTC",
    "ETH",
    "BNB",
    "DAI",
    "TRY",
)


def header_of(cells: Sequence[str]) -> list[str] | None:
    """The names in a first line, in lower case; None when it is a row of numbers or dates."""
    lower = [cell.lower() for cell in cells]
    return (
        lower if any(re.fullmatch(r"[a-z_ ]+", cell) for cell in lower if cell != "nan") else None
    )


def fits_csv(cells: Sequence[str]) -> bool:
    """Whether a first line is that of bars or settlements as ccxt has them."""
    header = header_of(cells)
    if header is None:
        return len(cells) == 6 and is_number(cells[0])
    has_time = any(name in header for name in TIME_NAMES)
    return has_time and (set(BAR_COLUMNS) <= set(header) or any(n in header for n in RATE_NAMES))


def read(path: Path, asked: Asked) -> list[Piece]:
    """The rows of one CSV or JSON file (`.json`, `.json.gz`; CSV may be packed as `.zip` or `.gz`)."""
    if ".json" in path.suffixes:
        return [_read_json(path, asked)]
    where = str(path)
    data = content(path)
    cells = first_line(data)
    if not cells:
        raise fault("no rows", where=where)
    header = header_of(cells)
    if header is None and len(cells) != 6:
        allowed = "6: time, open, high, low, close, volume"
        raise fault("not rows of bars", f"{len(cells)} columns", allowed, where)
    names = header or ["timestamp", *BAR_COLUMNS]
    time = next((name for name in TIME_NAMES if name in names), None)
    if time is None:
        raise fault("no column of times", ", ".join(names), ", ".join(TIME_NAMES), where)
    rate = next((name for name in RATE_NAMES if name in names), None)
    if rate is not None and "open" not in names:
        rows = csv_columns(data, names, True, (time, rate), where)
        return [_settlements(path, asked, rows[time], rows[rate], None, None)]
    missing = [name for name in BAR_COLUMNS if name not in names]
    if missing:
        raise fault(f"no column {missing[0]}", ", ".join(names), ", ".join(BAR_COLUMNS), where)
    rows = csv_columns(data, names, header is not None, (time, *BAR_COLUMNS), where)
    return [_candles(path, asked, rows[time], [rows[name] for name in BAR_COLUMNS])]


def write(piece: Piece, folder: Path, suffix: str = ".csv") -> list[Path]:
    """One file: bars as CSV with a header or (suffix `.json`) as JSON rows; funding always as JSON."""
    times = to_ms(piece.frame.index).tolist()
    stem = f"{file_stem(piece.symbol)}-{piece.kind}"
    if piece.kind == "funding":
        text = json.dumps(_dicts(piece, times), indent=1)
        return [write_bytes(folder / f"{stem}.json", text.encode())]
    values = piece.frame[list(BAR_COLUMNS)].to_numpy(dtype=np.float64).tolist()
    rows = [[time, *row] for time, row in zip(times, values, strict=True)]
    path = folder / f"{stem}-{piece.timeframe}{suffix}"
    if ".json" in suffix:
        clean = [[None if v != v else v for v in row] for row in rows]
        return [write_bytes(path, json.dumps(clean, separators=(",", ":")).encode())]
    lines = [",".join(("timestamp", *BAR_COLUMNS))]
    lines += [",".join("" if v != v else repr(v) for v in row) for row in rows]
    return [write_bytes(path, ("\n".join(lines) + "\n").encode())]


def rows_of_json(path: Path, *, empty_volume: bool) -> tuple[Times, list[Values]]:
    """Times and five columns of a JSON list of rows; `DataError` naming the row."""
    where = str(path)
    rows = json_rows(path)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) < 6:
            found = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            allowed = "[time, open, high, low, close, volume]"
            raise fault("not a row of bars", found, allowed, f"{where}, row {number + 1}")
    times = whole_numbers([row[0] for row in rows], where)
    columns = [
        number_column([row[place] for row in rows], name, where, empty=empty_volume and place == 5)
        for place, name in enumerate(BAR_COLUMNS, 1)
    ]
    return times, columns


def symbol_in(path: Path, exchange: str | None) -> str | None:
    """The symbol a file's name tells without doubt, or None.

    `BTCUSDT` alone may be spot or a perpetual; it tells only at exchanges that list no spot.

    >>> symbol_in(Path("BTC_USDT_USDT-ohlcv-1h.csv"), None), symbol_in(Path("BTC_USDT-1h.csv"), None)
    ('BTC/USDT:USDT', 'BTC/USDT')
    >>> symbol_in(Path("BTCUSDT_1h.csv"), "binance"), symbol_in(Path("BTCUSDT.csv"), "binanceusdm")
    (None, 'BTC/USDT:USDT')
    """
    match = _UNDERSCORED.match(path.name)
    if match:
        base, quote, settle, date = match.groups()
        if settle and settle in (base, quote, *_QUOTES):
            return f"{base}/{quote}:{settle}{date or ''}"
        if settle is None and quote in _QUOTES:
            return f"{base}/{quote}"
    native = _NATIVE.match(path.name)
    if native and exchange in _PERPETUALS_ONLY:
        base, quote = native.groups()
        return f"{base}/{quote}:{base if quote == 'USD' and exchange == 'binancecoinm' else quote}"
    return None


def _read_json(path: Path, asked: Asked) -> Piece:
    rows = json_rows(path)
    if not isinstance(rows[0], Mapping):
        times, columns = rows_of_json(path, empty_volume=True)
        return _candles(path, asked, times, columns)
    where = str(path)
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or not {"timestamp", "fundingRate"} <= row.keys():
            allowed = "an object with timestamp and fundingRate"
            raise fault(
                "not a settlement", type(row).__name__, allowed, f"{where}, row {number + 1}"
            )
    names = list(dict.fromkeys(str(row["symbol"]) for row in rows if row.get("symbol")))
    if len(names) > 1:
        raise fault("several symbols in one file", ", ".join(names[:5]), "one", where)
    times = whole_numbers([row["timestamp"] for row in rows], where)
    rates = number_column([row["fundingRate"] for row in rows], "fundingRate", where)
    marks = number_column([_mark(row) for row in rows], "markPrice", where, empty=True)
    return _settlements(path, asked, times, rates, marks, names[0] if names else None)


def _mark(row: Mapping[str, Any]) -> Any:
    """The mark of a settlement, where the exchange's own answer holds one."""
    info = row.get("info")
    found = info.get("markPrice") if isinstance(info, Mapping) else None
    return None if found in (None, "") else found


def _candles(path: Path, asked: Asked, times: Times, columns: list[Values]) -> Piece:
    where = str(path)
    if len(times) == 0:
        raise fault("no rows", where=where)
    kind = asked.kind or _kind_in(path) or ("ohlcv" if (columns[4] > 0.0).any() else None)
    if kind is None:
        raise untold("no volume in any row; kind", where, "kind", "ohlcv, mark, index")
    if kind == "funding":
        raise InputError(
            message("the file holds bars, not funding", where=where, todo="correct --kind")
        )
    timeframe = timeframe_from(times, asked.timeframe, timeframe_of(path) or None, where)
    frame, notes = bars(times, columns, where, kind, timeframe)
    return Piece(agreed_symbol(path, asked, None), kind, timeframe, frame, "ccxt", notes)


def _settlements(
    path: Path, asked: Asked, times: Times, rates: Values, marks: Values | None, symbol: str | None
) -> Piece:
    where = str(path)
    if asked.kind not in (None, "funding"):
        todo = "correct --kind"
        raise InputError(
            message(f"the file holds funding, not {asked.kind}", where=where, todo=todo)
        )
    frame, notes = funding(times, rates, marks, where)
    return Piece(agreed_symbol(path, asked, symbol), "funding", "", frame, "ccxt", notes)


def agreed_symbol(path: Path, asked: Asked, inside: str | None) -> str:
    """The symbol asked for, inside the file, or told by its name. :raises InputError: they disagree."""
    if inside and asked.symbol and inside != asked.symbol:
        found, todo = f"{inside} and {asked.symbol}", "leave --symbol out, or correct it"
        raise InputError(message("file and --symbol disagree", found, None, str(path), todo))
    symbol = asked.symbol or inside or symbol_in(path, asked.exchange)
    if symbol is None:
        raise untold("symbol", str(path), "symbol", "BTC/USDT:USDT, BTC/USDT and the like")
    return symbol


def _kind_in(path: Path) -> str | None:
    """A kind that stands in the file's name as a word of its own."""
    words = re.split(r"[^a-z]+", path.name.lower())
    return next((kind for kind in ("mark", "index", "ohlcv") if kind in words), None)


def _dicts(piece: Piece, times: list[int]) -> list[dict[str, Any]]:
    """Settlements as ccxt gives them; a mark goes where Binance puts it, into `info.markPrice`."""
    rates = piece.frame["funding_rate"].tolist()
    marks = piece.frame["mark"].tolist()
    stamps = np.array(times, dtype="datetime64[ms]").astype(str).tolist()
    return [
        {
            "info": {} if mark != mark else {"markPrice": repr(mark)},
            "symbol": piece.symbol,
            "fundingRate": rate,
            "timestamp": time,
            "datetime": f"{stamp}Z",
        }
        for time, stamp, rate, mark in zip(times, stamps, rates, marks, strict=True)
    ]
