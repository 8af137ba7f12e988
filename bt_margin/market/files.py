"""Market files in and out: one canonical file per symbol, or last, mark and funding apart.

Canonical    BTC_USDT_USDT.parquet, BTC_USDT_USDT_1h.csv ...   all columns of the canonical frame
Plain        BTCUSDT.csv, BTCUSDT_1h.parquet ...               the same under an exchange's own name
Split        <venue>_BTCUSDT_ohlcv_1h.parquet, and beside it _mark_1h and _funding_8h (or .csv)

A frame read from split files tells in `attrs` what the join found:

    mark_missing       bars without a mark (their mark columns are NaN, or absent without a file)
    funding            Series, settlement time (UTC, floored to the minute) to rate; only when the
                       column cannot hold them: inside a bar, several in one, or without a bar
    funding_unplaced   settlements inside the data that no bar contains
    files              names of the files that were joined

A folder of the store (`data`, `data/binanceusdm`), and split files read with a policy for what is
missing, are joined by :mod:`bt_margin.market.align`, whose `attrs` say more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bt_margin.errors import DataError, InputError, message, near
from bt_margin.market.frames import bar_step, validate_frame, validate_frames
from bt_margin.market.names import (
    SUFFIXES,
    SplitName,
    file_stem,
    split_name,
    symbol_of,
    timeframe_of,
    unified_symbol,
)
from bt_margin.market.split import Source, join, pair_up
from bt_margin.market.storage import read_meta, read_table, write_csv, write_parquet
from bt_margin.market.times import moment_of

if TYPE_CHECKING:
    from bt_margin.market.store import Store

__all__ = ["load_frame", "load_market", "save_market", "unified_symbol"]

PathLike = str | os.PathLike[str]
_NAMES = "BTC_USDT_USDT_1h.parquet, BTCUSDT.csv or <venue>_BTCUSDT_ohlcv_1h.parquet"
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def load_frame(path: PathLike, symbol: str | None = None) -> pd.DataFrame:
    """Read one canonical file (Parquet or CSV) and validate it.

    symbol : the name used in messages; by default the one the file says, else the file's name.

    Raises `DataError` that names the file when it is missing, unreadable or broken.
    """
    file = Path(path)
    table = read_table(file)
    return validate_frame(table, f"{symbol or symbol_of(file) or 'frame'}, {file}")


def load_market(
    data: PathLike | Iterable[PathLike] | Mapping[str, PathLike],
    symbols: Iterable[str] | None = None,
    *,
    since: str | pd.Timestamp | None = None,
    until: str | pd.Timestamp | None = None,
    venue: str | None = None,
    timeframe: str | None = None,
    missing_funding: str | tuple[str, float] | None = None,
    missing_marks: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Read a market: symbol to canonical frame.

    data : a folder, one file, several files, or a mapping symbol to file. In a folder, files whose
        names fit none of the three patterns are left alone; named one by one, they are an error.
        A folder without such files may be a store, or one exchange's folder in it.
    symbols : which to read, in this order, as `BTC/USDT:USDT` or `BTCUSDT`; default all found.
    since, until : keep bars whose open lies in [since, until); UTC when no zone is given.
    venue, timeframe : needed when the files of one symbol come from several venues or in several
        timeframes. Without `timeframe`, the only one that has marks is taken. `venue` is the
        exchange in a store.
    missing_funding, missing_marks : policies, see :mod:`bt_margin.market.align`; by default `fail`
        and `skip` for a store, while files are joined as they are and what is missing is counted.

    Raises `DataError` for missing, broken or ambiguous files, `InputError` for unreadable times.
    """
    if isinstance(symbols, str):
        symbols = [symbols]
    policies = _policies(missing_funding, missing_marks)
    stored = _stored(data, venue)
    if stored is not None:
        from bt_margin.market.align_store import load_store

        return load_store(*stored, symbols, timeframe, since, until, **policies)
    found = _sources(data)
    if symbols is None:
        found = {s: rows for s, rows in found.items() if _fitting(rows, venue, timeframe)} or found
    wanted = list(found) if symbols is None else [unified_symbol(name) for name in symbols]
    for symbol in wanted:
        if symbol not in found:
            listed, hint = ", ".join(found) or "no market files", near(symbol, found) or None
            raise DataError(message(f"no data for {symbol}", listed, None, _place(data), hint))
    if not wanted:
        raise DataError(message("no market files", allowed=_NAMES, where=_place(data)))
    first, last = _bound(since, "since"), _bound(until, "until")
    frames = {}
    for symbol in wanted:
        source = _choose(symbol, found[symbol], venue, timeframe)
        if policies:
            frames[symbol] = _aligned(source, first, last, policies)
            continue
        frame = join(source) if source.venue else load_frame(source.last, symbol)
        frames[symbol] = _between(frame, symbol, first, last)
    return frames


def save_market(
    frames: Mapping[str, pd.DataFrame],
    folder: PathLike,
    *,
    kind: Literal["parquet", "csv"] = "parquet",
) -> dict[str, Path]:
    """Validate a market and write one canonical file per symbol; returns symbol to path.

    Each file is written beside its place under a temporary name and moved there when complete, so a
    reader never sees half a file. `attrs` (JSON values, and the Series under "funding") travel in
    the Parquet metadata, or next to a CSV in a file that ends in `.meta.json`.
    """
    if kind not in ("parquet", "csv"):
        raise InputError(message("unknown kind of file", repr(kind), "parquet or csv"))
    sound = validate_frames(frames)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for symbol, frame in sound.items():
        written[symbol] = place / f"{file_stem(symbol)}{_step_name(frame)}.{kind}"
        write = write_parquet if kind == "parquet" else write_csv
        write(frame, symbol, written[symbol])
    return written


def _policies(funding: str | tuple[str, float] | None, marks: str | None) -> dict[str, Any]:
    """The policies that were given."""
    given = {"missing_funding": funding, "missing_marks": marks}
    return {name: policy for name, policy in given.items() if policy is not None}


def _aligned(
    source: Source,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
    policies: Mapping[str, Any],
) -> pd.DataFrame:
    from bt_margin.market.align_files import align_files

    both = {"missing_marks": None, "missing_funding": None, **policies}
    return align_files(source, since, until, **both)


def _stored(data: object, venue: str | None) -> tuple[Store, str] | None:
    """The store and the exchange a folder stands for; None when it is no store."""
    if not isinstance(data, str | os.PathLike) or not Path(data).is_dir() or _files(data):
        return None
    from bt_margin.market.store import Store

    folder = Path(data)
    store, names = Store(folder), Store(folder).exchanges()
    inside = [folder.resolve().name]
    if not names and inside[0] in Store(folder.resolve().parent).exchanges():
        store, names = Store(folder.resolve().parent), inside
    if not names:
        return None
    if venue in names or (venue is None and len(names) == 1):
        return store, venue or names[0]
    todo = "give venue= (in the shell --source), or the folder of one exchange"
    what = "several exchanges are stored" if venue is None else f"nothing of {venue} is stored"
    raise DataError(message(what, ", ".join(names), "one", str(data), todo))


def _sources(
    data: PathLike | Iterable[PathLike] | Mapping[str, PathLike],
) -> dict[str, list[Source]]:
    """Every symbol found, with the files it could be read from."""
    if isinstance(data, Mapping):
        return {unified_symbol(s): [_whole(Path(p), unified_symbol(s))] for s, p in data.items()}
    explicit = not (isinstance(data, str | os.PathLike) and Path(data).is_dir())
    split: list[tuple[Path, SplitName]] = []
    sources: list[Source] = []
    for path in _files(data):
        parts = split_name(path)
        symbol = None if parts else _stored_symbol(path) or symbol_of(path)
        if parts:
            split.append((path, parts))
        elif symbol:
            sources.append(_whole(path, symbol))
        elif explicit:
            todo = "rename it, or give a mapping of symbol to file"
            raise DataError(message("no symbol in the file's name", path.name, _NAMES, todo=todo))
    sources += pair_up(split)
    found: dict[str, list[Source]] = {}
    for source in sources:
        found.setdefault(source.symbol, []).append(source)
    return found


def _files(data: PathLike | Iterable[PathLike]) -> list[Path]:
    """The files named, or those of the folder named; DataError for a path that does not exist."""
    places = [Path(data)] if isinstance(data, str | os.PathLike) else [Path(path) for path in data]
    for place in places:
        if not place.exists():
            raise DataError(message("file not found", str(place)))
    if len(places) == 1 and places[0].is_dir():
        return sorted(path for path in places[0].iterdir() if path.suffix in SUFFIXES)
    return places


def _whole(path: Path, symbol: str) -> Source:
    return Source(symbol, "", timeframe_of(path), path)


def _stored_symbol(path: Path) -> str | None:
    """The symbol `save_market` wrote into the file; None for files of others or unreadable ones."""
    try:
        symbol = read_meta(path).get("symbol")
    except (OSError, ValueError):
        return None  # reading the file itself will say what is wrong with it
    return symbol if isinstance(symbol, str) else None


def _choose(symbol: str, sources: list[Source], venue: str | None, timeframe: str | None) -> Source:
    """The one source meant, or a `DataError` that lists the choices."""
    fitting = _fitting(sources, venue, timeframe)
    if len(fitting) > 1 and len({source.venue for source in fitting}) == 1:
        marked = [source for source in fitting if source.mark]
        fitting = marked if len(marked) == 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    what = "several sets of files fit" if fitting else "no files fit the venue and timeframe asked"
    listed = "; ".join(source.label for source in fitting or sources)
    todo = "give venue= and timeframe= (in the shell --source and --timeframe)"
    raise DataError(message(what, listed, "one", symbol, todo))


def _fitting(sources: list[Source], venue: str | None, timeframe: str | None) -> list[Source]:
    return [
        source
        for source in sources
        if venue in (None, source.venue) and timeframe in (None, source.timeframe)
    ]


def _bound(time: str | pd.Timestamp | None, name: str) -> pd.Timestamp | None:
    return None if time is None else moment_of(time, name)


def _between(
    frame: pd.DataFrame, symbol: str, since: pd.Timestamp | None, until: pd.Timestamp | None
) -> pd.DataFrame:
    """Bars, funding stamps and counts of the asked stretch."""
    if since is None and until is None:
        return frame
    first = frame.index[0] if since is None else since
    last = frame.index[-1] + pd.Timedelta(1, "ns") if until is None else until
    part = frame[(frame.index >= first) & (frame.index < last)]
    if part.empty:
        have = f"{frame.index[0]} to {frame.index[-1]}"
        raise DataError(message("no bars in the time asked", f"{first} to {last}", have, symbol))
    attrs = dict(frame.attrs)
    if "mark_missing" in attrs:
        absent = "mark_close" not in part.columns
        attrs["mark_missing"] = len(part) if absent else int(part["mark_close"].isna().sum())
    marks = attrs.get("funding_marks")
    if isinstance(marks, pd.Series):
        attrs["funding_marks"] = marks[(marks.index >= first) & (marks.index < last)]
    funding = attrs.get("funding")
    if isinstance(funding, pd.Series):
        end = part.index[-1] + pd.Timedelta(bar_step(frame.index), "ns")
        attrs["funding"] = funding[(funding.index >= part.index[0]) & (funding.index < end)]
    if "alignment" in attrs and len(part) < len(frame):
        used = (
            f"{symbol}: these counts are of {len(frame):,} bars, {len(part):,} of which are used."
        )
        attrs["notes"] = [*attrs.get("notes", []), used]
    part = part.copy()
    part.attrs = attrs
    return part


def _step_name(frame: pd.DataFrame) -> str:
    """`_1h`, `_15m` ... from the usual distance of two bars; "" for a single bar."""
    if len(frame) < 2:
        return ""
    step = bar_step(frame.index) // 1_000_000_000
    size, unit = next(((s, u) for s, u in _STEPS if step % s == 0), (1, "s"))
    return f"_{step // size}{unit}"


def _place(data: object) -> str:
    return str(data) if isinstance(data, str | os.PathLike) else "the given files"
