"""freqtrade's data files: feather (lz4), Parquet, JSON; one per pair, timeframe and kind of candle.

    futures/BTC_USDT_USDT-1h-futures.feather      last price; spot: BTC_USDT-1h.feather
    futures/BTC_USDT_USDT-1h-mark.feather         mark; -index the index
    futures/BTC_USDT_USDT-8h-funding_rate.feather settlements (8h or 1h in the name); the rate is in `open`

Columns `date, open, high, low, close, volume`; in JSON rows of `[ms, open, high, low, close, volume]`.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.kinds import BAR_COLUMNS
from bt_margin.market.names import file_stem
from bt_margin.market.shapes.arrow import check_parquet, read_feather, read_parquet_columns
from bt_margin.market.shapes.ccxt_rows import rows_of_json
from bt_margin.market.shapes.piece import (
    MINUTE,
    Asked,
    Piece,
    Times,
    Values,
    bars,
    dates_ms,
    epoch_ms,
    fault,
    funding,
    timeframe_from,
    to_ms,
    untold,
)
from bt_margin.market.shapes.raw import no_room
from bt_margin.market.storage import whole

COLUMNS = ("date", *BAR_COLUMNS)
SUFFIXES = (".feather", ".parquet", ".json.gz", ".json")
_NAME = re.compile(
    r"(.+)-(\d+(?:Mo|[smhdw]))(?:-(futures|mark|index|premiumIndex|funding_rate|spot))?"
)
_SETTLE = re.compile(r"[^-]+(?:-\d{6})?")  # of a dated contract with its date
_KINDS = {"futures": "ohlcv", "mark": "mark", "index": "index", "funding_rate": "funding"}
_CANDLES = {kind: candle for candle, kind in _KINDS.items()}
_EIGHT_HOURS = 480


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name tells."""

    symbol: str
    kind: str
    timeframe: str


def of_path(path: Path) -> Named | None:
    """What a file's name tells, or None when it is not one of freqtrade's.

    >>> of_path(Path("BTC_USDT_USDT-8h-funding_rate.feather"))
    Named(symbol='BTC/USDT:USDT', kind='funding', timeframe='8h')
    >>> of_path(Path("BTC_USDT-1h.json")).symbol, of_path(Path("trades.json"))
    ('BTC/USDT', None)
    """
    suffix = next((s for s in SUFFIXES if path.name.endswith(s)), None)
    match = _NAME.fullmatch(path.name.removesuffix(suffix or ""))
    if suffix is None or match is None:
        return None
    pair, timeframe, candle = match.groups()
    parts = pair.split("_")
    if len(parts) not in (2, 3) or not _SETTLE.fullmatch(parts[-1]) or not all(parts):
        return None
    if candle == "premiumIndex":
        todo = "leave this file out"
        raise InputError(
            message("premium index is no kind of this house", where=str(path), todo=todo)
        )
    symbol = f"{parts[0]}/{parts[1]}" + (f":{parts[2]}" if len(parts) == 3 else "")
    kind = _KINDS.get(candle or "", "ohlcv")
    return Named(symbol, kind, timeframe.replace("Mo", "M"))


def fits(path: Path) -> bool:
    """Whether a file is one of freqtrade's by name (and, for Parquet, by its columns)."""
    if path.name.endswith(".parquet"):
        return of_path(path) is not None and set(COLUMNS) <= set(check_parquet(path))
    return path.name.endswith(".feather") or of_path(path) is not None


def read(path: Path, asked: Asked) -> list[Piece]:
    """The rows of one file."""
    where = str(path)
    named = of_path(path)
    symbol = _agreed("symbol", named.symbol if named else None, asked.symbol, where)
    kind = _agreed("kind", named.kind if named else None, asked.kind, where)
    times, columns = _table(path)
    if kind == "funding":
        frame, notes = funding(times, columns[0], None, where)
        return [Piece(symbol, kind, "", frame, "freqtrade", notes)]
    told = named.timeframe if named else None
    timeframe = timeframe_from(times, asked.timeframe, told, where)
    frame, notes = bars(times, columns, where, kind, timeframe)
    return [Piece(symbol, kind, timeframe, frame, "freqtrade", notes)]


def write(piece: Piece, folder: Path, suffix: str = ".feather") -> list[Path]:
    """One file in freqtrade's layout (perpetuals in `futures/`); suffix `.feather`, `.json`, `.json.gz`."""
    perpetual = ":" in piece.symbol
    if not perpetual and piece.kind != "ohlcv":
        raise InputError(no_room("freqtrade", f"{piece.kind} of a spot market", piece.symbol))
    times = to_ms(piece.frame.index)
    candle, timeframe = _CANDLES[piece.kind], piece.timeframe or _hours(times)
    name = f"{file_stem(piece.symbol)}-{timeframe}{f'-{candle}' if perpetual else ''}{suffix}"
    path = (folder / "futures" if perpetual else folder) / name
    if (named := of_path(path)) is None or named.symbol != piece.symbol:
        todo = "export it in another shape"
        raise InputError(no_room("freqtrade", "this symbol in its file names", piece.symbol, todo))
    columns = _columns(piece)
    if suffix == ".feather":
        return [whole(path, lambda file: _write_feather(file, times, columns))]
    rows = zip(times.tolist(), *(column.tolist() for column in columns), strict=True)
    data = json.dumps([list(row) for row in rows], separators=(",", ":")).encode()
    packed = gzip.compress(data, mtime=0) if suffix == ".json.gz" else data
    return [whole(path, lambda file: file.write_bytes(packed))]


def lost(piece: Piece) -> str | None:
    """What of a piece these files cannot hold, as a sentence."""
    if piece.kind == "funding" and piece.frame["mark"].notna().any():
        return no_room("freqtrade", "the marks of settlements; they are left out", piece.symbol)
    if piece.kind != "funding" and piece.frame["volume"].isna().any():
        return no_room("freqtrade", "an unknown volume; it is written as 0", piece.symbol)
    return None


def _agreed(what: str, told: str | None, asked: str | None, where: str) -> str:
    if told and asked and told != asked:
        todo = f"leave --{what} out, or correct it"
        found = f"{told} and {asked}"
        raise InputError(message(f"file and --{what} disagree", found, None, where, todo))
    if told or asked:
        return told or asked or ""
    raise untold(what, where, what)


def _table(path: Path) -> tuple[Times, list[Values]]:
    """Times and the five columns of numbers."""
    where = str(path)
    if ".json" in path.suffixes:
        return rows_of_json(path, empty_volume=False)
    packed = path.suffix == ".parquet"
    frame = read_parquet_columns(path, COLUMNS) if packed else read_feather(path)
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        found = ", ".join(str(name) for name in frame.columns)
        raise fault(f"no column {missing[0]}", found, ", ".join(COLUMNS), where)
    if frame.empty:
        raise fault("no rows", where=where)
    dates = frame["date"]
    if pd.api.types.is_numeric_dtype(dates.dtype):
        times = epoch_ms(dates.to_numpy(), where)
    else:
        times = dates_ms(dates, where)
    return times, [frame[name].to_numpy(dtype=np.float64) for name in BAR_COLUMNS]


def _columns(piece: Piece) -> list[Values]:
    if piece.kind != "funding":
        rows = [piece.frame[name].to_numpy(dtype=np.float64) for name in BAR_COLUMNS]
        return [*rows[:4], np.where(np.isnan(rows[4]), 0.0, rows[4])]
    rates = piece.frame["funding_rate"].to_numpy(dtype=np.float64)
    return [rates, *(np.zeros(len(rates)) for _ in range(4))]


def _write_feather(file: Path, times: Times, columns: list[Values]) -> None:
    import pyarrow as pa
    from pyarrow import feather

    arrays: dict[str, Any] = {"date": pa.array(times, pa.timestamp("ms", tz="UTC"))}
    arrays.update(zip(BAR_COLUMNS, columns, strict=True))
    feather.write_feather(pa.table(arrays), str(file), compression="lz4")


def _hours(times: Times) -> str:
    """The timeframe in a funding file's name: 8h when every settlement fits, else 1h."""
    return "8h" if ((times // MINUTE) % _EIGHT_HOURS == 0).all() else "1h"
