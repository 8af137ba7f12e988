"""Our own files as pieces, and back: canonical (all kinds in one frame) and split (one kind a file)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bt_margin.errors import InputError, message
from bt_margin.market.files import save_market
from bt_margin.market.frames import FUNDING, LAST, MARK, validate_frame
from bt_margin.market.kinds import BAR_COLUMNS
from bt_margin.market.names import split_name, timeframe_of, unified_symbol
from bt_margin.market.shapes.arrow import check_parquet
from bt_margin.market.shapes.ccxt_rows import agreed_symbol
from bt_margin.market.shapes.piece import (
    Asked,
    Piece,
    Times,
    Values,
    bars,
    dates_ms,
    fault,
    funding,
    timeframe_from,
    to_ms,
)
from bt_margin.market.shapes.raw import MOST_BYTES, no_room
from bt_margin.market.split import place_funding, tells_all
from bt_margin.market.storage import read_meta, read_table, whole

_SPLIT_RATES = (FUNDING, "fundingrate", "rate")


def read_canonical(path: Path, asked: Asked) -> list[Piece]:
    """Last prices, marks and settlements of one canonical file; bars without a mark are left out."""
    where = str(path)
    table = _bounded(path)
    try:
        frame = validate_frame(table, where)
    except pd.errors.OutOfBoundsDatetime as error:
        raise fault("a time cannot be read", error, where=where) from error
    symbol = _symbol(path, asked)
    times = to_ms(frame.index)
    timeframe = timeframe_from(times, asked.timeframe, timeframe_of(path) or None, where)
    last = [frame[name].to_numpy(dtype=np.float64) for name in BAR_COLUMNS]
    shape = path.suffix.lstrip(".")
    pieces = [_bars(symbol, "ohlcv", timeframe, times, last, where, shape)]
    if MARK[0] in frame.columns:
        known = frame[MARK[0]].notna().to_numpy()
        marks = [frame[name].to_numpy(dtype=np.float64)[known] for name in MARK]
        if known.any():
            marks.append(np.zeros(int(known.sum())))
            pieces.append(_bars(symbol, "mark", timeframe, times[known], marks, where, shape))
    rates = _rates(frame)
    if len(rates):
        values = rates.to_numpy(dtype=np.float64)
        table, notes = funding(to_ms(rates.index), values, None, where)
        pieces.append(Piece(symbol, "funding", "", table, shape, notes))
    wanted = [piece for piece in pieces if asked.kind in (None, piece.kind)]
    if not wanted:
        raise fault(f"no {asked.kind} in the file", ", ".join(p.kind for p in pieces), where=where)
    return wanted


def read_split(path: Path, asked: Asked) -> list[Piece]:
    """One kind of one symbol, as `<venue>_BTCUSDT_mark_1h.parquet` says."""
    where = str(path)
    named = split_name(path)
    if named is None:
        allowed = "<venue>_BTCUSDT_ohlcv_1h.parquet"
        raise fault("not the name of a split file", path.name, allowed, where)
    for what, told, said in (
        ("symbol", named.symbol, asked.symbol),
        ("kind", named.kind, asked.kind),
    ):
        if said is not None and said != told:
            todo = f"leave --{what} out, or correct it"
            found = f"{told} and {said}"
            raise InputError(message(f"file and --{what} disagree", found, None, where, todo))
    table = _bounded(path)
    table.columns = pd.Index([str(name).lower() for name in table.columns])
    times = _times(table, where)
    if named.kind == "funding":
        rate = next((name for name in _SPLIT_RATES if name in table.columns), None)
        if rate is None:
            raise fault("no column of rates", ", ".join(table.columns), FUNDING, where)
        marks = _numbers(table, "mark", where) if "mark" in table.columns else None
        frame, notes = funding(times, _numbers(table, rate, where), marks, where)
        return [Piece(named.symbol, "funding", "", frame, "split", notes)]
    missing = [name for name in LAST if name not in table.columns]
    if missing:
        raise fault(f"no column {missing[0]}", ", ".join(table.columns), ", ".join(LAST), where)
    columns = [_numbers(table, name, where) for name in LAST]
    volume = "volume" in table.columns
    columns.append(_numbers(table, "volume", where) if volume else np.zeros(len(times)))
    timeframe = timeframe_from(times, asked.timeframe, named.timeframe, where)
    return [_bars(named.symbol, named.kind, timeframe, times, columns, where, "split")]


def write_split(piece: Piece, folder: Path, venue: str, suffix: str = ".parquet") -> list[Path]:
    """One split file, Parquet or CSV; `InputError` for what the names of split files cannot say."""
    native = piece.symbol.partition(":")[0].replace("/", "")
    if unified_symbol(native) != piece.symbol:
        todo = "export it in another shape"
        raise InputError(no_room("split", "this symbol in its file names", piece.symbol, todo))
    if piece.kind == "index":
        raise InputError(no_room("split", "index prices", piece.symbol, "leave them out"))
    step = piece.timeframe or "var"
    path = folder / f"{venue}_{native}_{piece.kind}_{step}{suffix}"
    if suffix == ".csv":
        return [whole(path, lambda file: piece.frame.to_csv(file))]
    stamps = pa.array(piece.frame.index.to_numpy(), pa.timestamp("ns", tz="UTC"))
    columns = {str(name): pa.array(piece.frame[name]) for name in piece.frame.columns}
    table = pa.table({"timestamp": stamps, **columns})
    return [whole(path, lambda file: pq.write_table(table, file, compression="zstd"))]


def canonical(pieces: Sequence[Piece]) -> pd.DataFrame:
    """The canonical frame of one symbol's pieces: marks and funding on the bars of the last price.

    Marks without such a bar are left out; settlements no bar can hold go into `attrs["funding"]`.
    """
    found = {piece.kind: piece for piece in pieces}
    if "ohlcv" not in found:
        todo = "add ohlcv to --kinds"
        names = ", ".join(found)
        raise InputError(
            message("a canonical file needs the last prices", names, "ohlcv", todo=todo)
        )
    last = found["ohlcv"].frame
    parts: list[pd.DataFrame | pd.Series] = [last]
    attrs: dict[Hashable | None, object] = {}
    if "mark" in found:
        marks = found["mark"].frame[list(LAST)].set_axis(list(MARK), axis=1)
        parts.append(marks.reindex(last.index))
    if "funding" in found:
        settled = found["funding"].frame[FUNDING]
        rates = settled.set_axis(pd.DatetimeIndex(settled.index).floor("min"))
        column, attrs["funding_unplaced"] = place_funding(last.index, rates)
        parts.append(column)
        if not tells_all(column, rates):
            attrs["funding"] = rates
    frame = pd.concat(parts, axis=1)
    frame.attrs = attrs
    return frame


def write_canonical(pieces: Sequence[Piece], folder: Path, suffix: str = ".parquet") -> list[Path]:
    """One canonical file of one symbol's pieces; suffix `.parquet` or `.csv`."""
    frame = canonical(pieces)
    kind: Literal["csv", "parquet"] = "csv" if suffix == ".csv" else "parquet"
    return list(save_market({pieces[0].symbol: frame}, folder, kind=kind).values())


def _bars(
    symbol: str,
    kind: str,
    timeframe: str,
    times: Times,
    columns: list[Values],
    where: str,
    shape: str,
) -> Piece:
    frame, notes = bars(times, columns, where, kind, timeframe)
    return Piece(symbol, kind, timeframe, frame, shape, notes)


def _rates(frame: pd.DataFrame) -> pd.Series:
    """The settlements: as saved beside the frame, else those in its column."""
    beside = frame.attrs.get("funding")
    if isinstance(beside, pd.Series):
        return beside
    if FUNDING not in frame.columns:
        return pd.Series(dtype=np.float64)
    return frame[FUNDING].dropna()


def _bounded(path: Path) -> pd.DataFrame:
    """A table of ours, refused before it is read when it is too big."""
    if path.suffix == ".parquet":
        check_parquet(path, plain=True)
    elif path.is_file() and path.stat().st_size > MOST_BYTES:
        found = f"{path.stat().st_size:,} bytes"
        raise fault("file is too big", found, f"{MOST_BYTES:,} bytes", str(path))
    table = read_table(path)
    if table.empty:
        raise fault("no rows", where=str(path))
    return table


def _times(table: pd.DataFrame, where: str) -> Times:
    if "timestamp" not in table.columns:
        raise fault("no column timestamp", ", ".join(table.columns), where=where)
    return dates_ms(table["timestamp"], where)


def _numbers(table: pd.DataFrame, name: str, where: str) -> Values:
    try:
        return table[name].to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise fault(f"{name} is not a number", error, where=where) from error


def _symbol(path: Path, asked: Asked) -> str:
    """The symbol saved in the file, else the name's where it tells without doubt, else the one asked."""
    saved = read_meta(path).get("symbol")
    inside = saved if isinstance(saved, str) and saved else None
    return agreed_symbol(path, asked, inside)
