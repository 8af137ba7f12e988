"""Datasets for the check: out of files, frames and the store, as they are and not as they should be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bt_margin.errors import BtMarginError, DataError, InputError, message
from bt_margin.market import shapes
from bt_margin.market.check.findings import Finding
from bt_margin.market.check.order import intersect
from bt_margin.market.check.rows import PRICES, Floats, Rows, Times, distinct
from bt_margin.market.frames import FUNDING, MARK, TIME_COLUMNS, to_utc
from bt_margin.market.kinds import BAR_KINDS, columns_of
from bt_margin.market.names import META_SUFFIX, split_name, symbol_of, timeframe_of, unified_symbol
from bt_margin.market.storage import read_meta, read_table
from bt_margin.market.store import Dataset
from bt_margin.market.store.places import MANIFEST, TIERS

PathLike = str | os.PathLike[str]
RATE_COLUMNS = (FUNDING, "fundingrate", "rate")
_STEPS = ((604_800_000, "w"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"))


@dataclass(frozen=True, slots=True)
class Read:
    """What could be read, what not and why, and the files of folders that hold no market data."""

    rows: list[Rows] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    left_alone: list[Path] = field(default_factory=list)


def read_files(paths: Iterable[PathLike]) -> Read:
    """Every dataset of the files named, and of all market files below the folders named.

    A market file that cannot be read becomes a finding, and so does a file that was named and is
    none; in folders those are left alone, and so are the files of a store. A path that does not
    exist is a `DataError`.
    """
    out = Read()
    places = [Path(each) for each in paths]
    for path in places:
        if not path.exists():
            raise DataError(message("file not found", where=str(path)))
        inside = path.is_dir()
        for file in _below(path) if inside else [path]:
            label = file.relative_to(path).as_posix() if inside else file.name
            _read_file(file, label if len(places) == 1 else file.as_posix(), inside, out)
    return out


def read_frames(frames: Mapping[str, pd.DataFrame], exchange: str = "", data: str = "") -> Read:
    """The last price, the mark and the funding in canonical frames.

    data : how findings call them; by default each by its kind and timeframe
    """
    out = Read()
    for symbol, frame in frames.items():
        try:
            out.rows.extend(_canonical(_lower(frame), symbol, exchange, data))
        except BtMarginError as error:
            out.findings.append(_unreadable(exchange, symbol, data or "frame", str(error)))
    return out


def read_dataset(dataset: Dataset) -> Read:
    """One dataset of the store; files that are not what was written become findings."""
    name = dataset.kind if dataset.kind == "funding" else f"{dataset.kind}/{dataset.timeframe}"
    out = Read()
    for problem in dataset.verify():
        known = intersect(problem.span, dataset.covered) if problem.span else []
        first, last = (known[0][0], known[-1][1] - 1) if known else (0, 0)
        where = dataset.exchange, dataset.symbol, name
        out.findings.append(Finding("store", "error", *where, first, last, 1, problem.text))
    if out.findings:
        return out
    frame = dataset.read()
    out.rows.append(
        Rows(
            dataset.exchange, dataset.symbol, dataset.kind, dataset.timeframe, name,
            _ms(pd.DatetimeIndex(frame.index)),
            {column: frame[column].to_numpy(np.float64) for column in columns_of(dataset.kind)},
            place=str(dataset.folder.parents[2]),
            holes=tuple((gap.start, gap.stop) for gap in dataset.gaps),
            covered=tuple(dataset.covered),
            parts=bool(dataset.provenance.get("parts")),
            written=dataset.settled_at,
        )
    )  # fmt: skip
    return out


def _below(folder: Path) -> list[Path]:
    """Files below a folder that could be market data: not hidden ones, not those of a store."""
    hidden = ("_", ".")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(shapes.SUFFIXES)
        and not any(part.startswith(hidden) for part in path.relative_to(folder).parts)
        and path.is_file()
        and not path.name.endswith(META_SUFFIX)
        and path.name != TIERS
        and not (path.parent / MANIFEST).exists()
    )


def _read_file(file: Path, label: str, inside: bool, out: Read) -> None:
    parts = split_name(file)
    exchange = parts.venue if parts else ""
    symbol = parts.symbol if parts else symbol_of(file) or ""
    try:
        rows = list(_rows_of(file, label))
    except InputError as error:
        if inside and not symbol:
            out.left_alone.append(file)
            return
        out.findings.append(_unreadable(exchange, symbol or label, label, str(error)))
        return
    out.rows.extend(rows)


def _rows_of(file: Path, label: str) -> Iterator[Rows]:
    """The datasets in one file; `InputError` when it cannot be read as any."""
    shape = _shape(file)
    if shape in ("freqtrade", "binance"):
        yield from _foreign(file, label)
        return
    table = _lower(read_table(file)) if file.suffix in (".csv", ".parquet") else None
    if table is None or not _fits(table):
        yield from _foreign(file, label)
        return
    parts = split_name(file)
    written = int(file.stat().st_mtime * 1000)
    place = str(file.parent)
    if parts:
        kind, name = parts.kind, "" if parts.kind == "funding" else parts.timeframe
        values = _columns(table, kind, label)
        times = _times(table, label)
        yield Rows(
            parts.venue, parts.symbol, kind, name, label, times, values, place, written=written
        )
        return
    stored = read_meta(file).get("symbol")
    symbol = stored if isinstance(stored, str) else symbol_of(file) or file.stem
    named = timeframe_of(file)
    for rows in _canonical(table, symbol, "", label, named):
        yield _placed(rows, place, written)


def _shape(file: Path) -> str | None:
    if split_name(file):
        return "split"
    try:
        return shapes.sniff(file)
    except InputError:
        return None


def _foreign(file: Path, label: str) -> Iterator[Rows]:
    """Files of other shapes; their reader refuses broken rows, and its words become the finding."""
    for piece in shapes.read_foreign(file):
        columns = {name: piece.frame[name].to_numpy(np.float64) for name in columns_of(piece.kind)}
        times = _ms(pd.DatetimeIndex(piece.frame.index))
        yield Rows(
            "", piece.symbol, piece.kind, piece.timeframe, label, times, columns,
            place=str(file.parent), written=int(file.stat().st_mtime * 1000),
        )  # fmt: skip


def _placed(rows: Rows, place: str, written: int | None) -> Rows:
    return Rows(
        rows.exchange, rows.symbol, rows.kind, rows.timeframe, rows.data, rows.times,
        rows.columns, place=place, written=written,
    )  # fmt: skip


def _canonical(
    frame: pd.DataFrame, symbol: str, exchange: str, data: str, timeframe: str = ""
) -> Iterator[Rows]:
    """Last price, mark and funding out of one frame; marks and rates only where they are known."""
    times = _times(frame, data or symbol)
    named = timeframe or _step_name(times)
    symbol = unified_symbol(symbol)

    def label(kind: str) -> str:
        return data or (kind if kind == "funding" else f"{kind}/{named}")

    if all(name in frame.columns for name in PRICES):
        last = _columns(frame, "ohlcv", data or symbol)
        yield Rows(exchange, symbol, "ohlcv", named, label("ohlcv"), times, last)
    if all(name in frame.columns for name in MARK):
        marks = {n: _floats(frame, m, data or symbol) for n, m in zip(PRICES, MARK, strict=True)}
        known = np.any([~np.isnan(values) for values in marks.values()], axis=0)
        marks = {name: values[known] for name, values in marks.items()}
        yield Rows(exchange, symbol, "mark", named, label("mark"), times[known], marks)
    yield from _settlements(frame, times, (exchange, symbol, label("funding")))


def _settlements(frame: pd.DataFrame, times: Times, names: tuple[str, str, str]) -> Iterator[Rows]:
    exchange, symbol, data = names
    told = frame.attrs.get("funding")
    if isinstance(told, pd.Series):
        stamps = _ms(pd.DatetimeIndex(told.index))
        rates = told.to_numpy(np.float64)
    elif FUNDING in frame.columns:
        rates = _floats(frame, FUNDING, data)
        known = ~np.isnan(rates)
        stamps, rates = times[known], rates[known]
    else:
        return
    yield Rows(exchange, symbol, "funding", "", data, stamps, {FUNDING: rates})


def _columns(table: pd.DataFrame, kind: str, where: str) -> dict[str, Floats]:
    if kind not in BAR_KINDS:
        rates = [name for name in RATE_COLUMNS if name in table.columns]
        if not rates:
            found = ", ".join(str(name) for name in table.columns)
            raise DataError(message("no funding rates", found, FUNDING, where))
        return {FUNDING: _floats(table, rates[0], where)}
    missing = [name for name in PRICES if name not in table.columns]
    if missing:
        found = ", ".join(str(name) for name in table.columns)
        what = f"missing columns {', '.join(missing)}"
        raise DataError(message(what, found, ", ".join(PRICES), where))
    out = {name: _floats(table, name, where) for name in PRICES}
    if "volume" in table.columns:
        out["volume"] = _floats(table, "volume", where)
    elif kind == "ohlcv":
        out["volume"] = np.zeros(len(table))
    return out


def _floats(table: pd.DataFrame, name: str, where: str) -> Floats:
    try:
        return table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise DataError(message(f"{name} is not a number", error, where=where)) from error


def _lower(table: pd.DataFrame) -> pd.DataFrame:
    out = table.set_axis(pd.Index([str(name).strip().lower() for name in table.columns]), axis=1)
    return out.loc[:, ~out.columns.duplicated()]


def _fits(table: pd.DataFrame) -> bool:
    timed = isinstance(table.index, pd.DatetimeIndex) or any(n in table for n in TIME_COLUMNS)
    rated = any(name in table.columns for name in RATE_COLUMNS)
    return timed and (rated or all(name in table.columns for name in PRICES))


def _times(table: pd.DataFrame, where: str) -> Times:
    """The open times [ms]: the index, or the one column that holds them."""
    if isinstance(table.index, pd.DatetimeIndex):
        return _ms(to_utc(table.index, where))
    names = [name for name in TIME_COLUMNS if name in table.columns]
    if not names:
        raise DataError(message("no times", None, ", ".join(TIME_COLUMNS), where))
    return _ms(to_utc(table[names[0]], where))


def _ms(index: pd.DatetimeIndex) -> Times:
    return np.asarray(index.as_unit("ns").asi8 // 1_000_000, dtype=np.int64)


def _step_name(times: Times) -> str:
    """`1h`, `15m` ... from the most common distance; "" when there is none."""
    gaps = np.diff(distinct(times))
    if not len(gaps):
        return ""
    sizes, counts = np.unique(gaps, return_counts=True)
    step = int(sizes[np.argmax(counts)])
    size, unit = next(((s, u) for s, u in _STEPS if step % s == 0), (0, ""))
    return f"{step // size}{unit}" if unit else ""


def _unreadable(exchange: str, symbol: str, data: str, text: str) -> Finding:
    return Finding("unreadable", "error", exchange, symbol, data, 0, 0, 1, text)


def wanted(rows: Sequence[Rows], exchange: str | None, symbols: Iterable[str] | None) -> list[Rows]:
    """The datasets of an exchange and of some symbols, as `BTC/USDT:USDT` or `BTCUSDT`; None for all."""
    names = None if symbols is None else {unified_symbol(name) for name in symbols}
    return [
        each
        for each in rows
        if exchange in (None, each.exchange) and (names is None or each.symbol in names)
    ]
