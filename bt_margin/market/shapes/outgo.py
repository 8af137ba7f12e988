"""Pieces out of the store, for files of any shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from bt_margin.errors import DataError, InputError, MissingData, message, near
from bt_margin.market.align import load_store
from bt_margin.market.files import save_market
from bt_margin.market.frames import FUNDING, MARK
from bt_margin.market.kinds import Grid, Span
from bt_margin.market.names import unified_symbol
from bt_margin.market.shapes import KINDS, Piece, check_words, lost, write_foreign
from bt_margin.market.shapes.piece import to_ms
from bt_margin.market.shapes.raw import no_room
from bt_margin.market.store import Dataset, Store
from bt_margin.market.times import epoch_of

CANONICAL = ("csv", "parquet")
_END = 7_258_118_400_000  # 2200


@dataclass(frozen=True, slots=True)
class Written:
    """Files written for one symbol: their paths, the rows of each kind, and what was left out."""

    symbol: str
    rows: dict[str, int]
    files: list[Path]
    notes: list[str]


def datasets_of(
    store: Store,
    exchange: str,
    symbols: Sequence[str] | None,
    kinds: Sequence[str] | None,
    timeframe: str | None,
) -> dict[str, list[Dataset]]:
    """The datasets meant, by symbol. Raises `DataError` when something asked for is not there."""
    check_words(None, kinds or ())
    if timeframe is not None:
        Grid.of(timeframe)
    there = [each for each in store.datasets(exchange) if each.rows]
    if not there:
        todo = "bt-margin list shows what is there"
        raise DataError(
            message(f"nothing of {exchange} in the store", where=str(store.folder), todo=todo)
        )
    names = list(dict.fromkeys(each.symbol for each in there))
    found: dict[str, list[Dataset]] = {}
    for symbol in [_named(name, names) for name in symbols] if symbols else names:
        mine = [each for each in there if each.symbol == symbol and each.kind in (kinds or KINDS)]
        found[symbol] = _one_timeframe(symbol, mine, kinds, timeframe)
    return found


def pieces_of(datasets: Sequence[Dataset], span: Span) -> tuple[list[Piece], list[str]]:
    """The rows of a stretch, kind by kind, and a note for every hole in them."""
    pieces, notes = [], []
    for each in datasets:
        frame = each.read(span)
        if frame.empty:
            notes.append(f"{each.symbol} {each.kind}: no rows in the time asked")
            continue
        pieces.append(Piece(each.symbol, each.kind, each.timeframe, frame, "store"))
        if each.timeframe:
            times = to_ms(frame.index)
            grid = Grid.of(each.timeframe)
            gone = grid.count((int(times[0]), int(times[-1]) + 1)) - len(times)
            if gone:
                notes.append(
                    f"{each.symbol} {each.kind} {each.timeframe}: {gone:,} bars are missing inside"
                )
    return pieces, notes


def export(
    store: Store,
    datasets: dict[str, list[Dataset]],
    span: Span,
    shape: str,
    folder: Path,
) -> list[Written]:
    """Write every symbol's files, each whole or not at all; a symbol without rows is only noted.

    Canonical files (`csv`, `parquet`) hold what `load_store` makes of the store: marks and funding on
    the bars of the last price, nothing filled in.
    """
    check_words(shape, ())
    if shape in CANONICAL:
        return [_canonical(store, mine, span, shape, folder) for mine in datasets.values()]
    return [_raw(mine, span, shape, folder) for mine in datasets.values()]


def _raw(mine: list[Dataset], span: Span, shape: str, folder: Path) -> Written:
    """One symbol, row for row."""
    symbol, exchange = mine[0].symbol, mine[0].exchange
    pieces, notes = pieces_of(mine, span)
    notes += [note for piece in pieces if (note := lost(piece, shape))]
    if shape == "split" and any(piece.kind == "index" for piece in pieces):
        notes.append(no_room("split", "index prices; they are left out", symbol))
        pieces = [piece for piece in pieces if piece.kind != "index"]
    files = write_foreign(pieces, folder, shape, exchange=exchange) if pieces else []
    rows = {piece.kind: len(piece.frame) for piece in pieces}
    return Written(symbol, rows, files, notes)


def _canonical(store: Store, mine: list[Dataset], span: Span, shape: str, folder: Path) -> Written:
    """One symbol as one canonical file."""
    symbol, exchange, kinds = mine[0].symbol, mine[0].exchange, [each.kind for each in mine]
    if "ohlcv" not in kinds:
        found = ", ".join(kinds)
        todo = "add ohlcv to --kinds, or choose another --shape"
        what = f"a canonical file of {symbol} needs the last prices"
        raise InputError(message(what, found, "ohlcv", todo=todo))
    timeframe = mine[kinds.index("ohlcv")].timeframe
    start, stop = span[0] or None, None if span[1] == _END else span[1]
    policies = {"missing_funding": "skip", "missing_marks": "skip"}
    try:
        frames = load_store(store, exchange, [symbol], timeframe, start, stop, **policies)
    except MissingData as error:
        return Written(symbol, {}, [], [str(error)])
    frame = frames[symbol]
    left = [name for name in MARK if "mark" not in kinds and name in frame.columns]
    left += [FUNDING] if "funding" not in kinds and FUNDING in frame.columns else []
    chosen = frame.drop(columns=left)
    chosen.attrs = {k: v for k, v in frame.attrs.items() if k != "funding" or "funding" in kinds}
    form: Literal["csv", "parquet"] = "csv" if shape == "csv" else "parquet"
    files = save_market({symbol: chosen}, folder, kind=form)
    rows = {"ohlcv": len(chosen)}
    for kind, column in (("mark", MARK[0]), ("funding", FUNDING)):
        if column in chosen.columns:
            rows[kind] = int(chosen[column].notna().sum())
    notes = [*frame.attrs.get("notes", []), *_after_the_end(mine, span, frame, timeframe)]
    return Written(symbol, rows, list(files.values()), notes)


def _after_the_end(
    mine: list[Dataset], span: Span, frame: pd.DataFrame, timeframe: str
) -> Iterator[str]:
    """Settlements after the last bar, which a file of bars has no row for."""
    for each in mine:
        if each.kind == "funding":
            end = frame.index[-1] + pd.Timedelta(Grid.of(timeframe).step, "ms")
            left = int((each.read(span).index >= end).sum())
            if left:
                yield f"{each.symbol}: {left} settlements after the last bar are not in the file"


def span_of(since: str | None, until: str | None) -> Span:
    """The half-open stretch between two times as people write them; UTC when no zone is given."""
    start = 0 if since is None else epoch_of(since, "--since")
    stop = _END if until is None else epoch_of(until, "--until")
    if stop <= start:
        raise InputError(message("--until is not after --since", f"{since} and {until}"))
    return start, stop


def _named(name: str, names: Sequence[str]) -> str:
    for candidate in (name, unified_symbol(name)):
        if candidate in names:
            return candidate
    hint = near(name, names) or None
    raise DataError(message(f"no data for {name}", ", ".join(names), todo=hint))


def _one_timeframe(
    symbol: str, mine: list[Dataset], kinds: Sequence[str] | None, timeframe: str | None
) -> list[Dataset]:
    """The datasets of one timeframe, funding among them."""
    steps = list(dict.fromkeys(each.timeframe for each in mine if each.timeframe))
    if (
        timeframe is None and len(steps) > 1
    ):  # bars of single hours, fetched as detail, are no choice
        whole = [each for each in mine if each.timeframe and not each.provenance.get("parts")]
        steps = list(dict.fromkeys(each.timeframe for each in whole)) or steps
    if timeframe is None and len(steps) > 1:
        what = f"several timeframes of {symbol}"
        raise InputError(message(what, ", ".join(steps), "one", todo="choose with --timeframe"))
    chosen = [each for each in mine if each.timeframe in ("", timeframe or (steps or [""])[0])]
    lacking = [kind for kind in kinds or () if kind not in [each.kind for each in chosen]]
    if (
        lacking
        or not chosen
        or (timeframe and not any(each.timeframe for each in chosen) and not kinds)
    ):
        have = ", ".join(f"{each.kind} {each.timeframe}".strip() for each in mine) or "nothing"
        what = f"no {', '.join(lacking) or 'bars'} of {symbol}" + (
            f" in {timeframe}" if timeframe else ""
        )
        raise DataError(message(what, have))
    return chosen
