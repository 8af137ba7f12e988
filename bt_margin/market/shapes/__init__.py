"""The files people have: ccxt rows, Binance's archive, freqtrade's data, our own; read and written.

    ccxt        CSV or JSON of fetch_ohlcv, JSON of fetch_funding_rate_history
    binance     public archive, .csv or .zip: klines, markPriceKlines, indexPriceKlines, fundingRate
    freqtrade   feather, Parquet or JSON, one per pair, timeframe and candle type
    split       ours, one kind a file: <venue>_BTCUSDT_mark_1h.parquet (or .csv)
    csv         ours, the canonical frame as CSV
    parquet     ours, the canonical frame as Parquet

A file's shape is told by its name and its first line; what a file does not tell (whose rows, which kind)
is asked for, never guessed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bt_margin.errors import InputError, message, near
from bt_margin.market.kinds import BAR_KINDS
from bt_margin.market.names import META_SUFFIX, split_name
from bt_margin.market.shapes import binance, ccxt_rows, freqtrade, own
from bt_margin.market.shapes.piece import Asked, Piece
from bt_margin.market.shapes.raw import first_line, head

__all__ = ["SHAPES", "SUFFIXES", "Asked", "Piece", "lost", "read_foreign", "sniff", "write_foreign"]

SHAPES = ("ccxt", "binance", "freqtrade", "split", "csv", "parquet")
SUFFIXES = (".csv", ".zip", ".csv.gz", ".json", ".json.gz", ".feather", ".parquet")
KINDS = (*BAR_KINDS, "funding")

PathLike = str | os.PathLike[str]


def sniff(path: PathLike) -> str:
    """The shape of a file, by its name and first line.

    Raises `InputError` when it is none of `SHAPES`, `DataError` when it cannot be read.
    """
    file = Path(path)
    found = _by_name(file) or _by_first_line(file)
    if found is None:
        todo = "if it is one of these all the same, name it with --shape (in Python shape=)"
        what = "the shape of the file is not known"
        raise InputError(message(what, _seen(file), ", ".join(SHAPES), str(file), todo))
    return found


def read_foreign(
    path: PathLike,
    shape: str | None = None,
    *,
    symbol: str | None = None,
    kind: str | None = None,
    timeframe: str | None = None,
    exchange: str | None = None,
) -> list[Piece]:
    """The rows of a file, one piece for each kind in it (only canonical files hold several).

    shape : one of `SHAPES`; default: told by name and content
    symbol, kind, timeframe : what the file does not tell; contradicting what it tells is an error
    exchange : ccxt class the rows are of; tells spot from perpetual where the class lists only one

    Raises `DataError` naming file and row for a broken file, `InputError` for what could not be told.
    """
    file = Path(path)
    check_words(shape, (kind,) if kind else ())
    asked = Asked(symbol, kind, timeframe, exchange)
    readers = {
        "ccxt": ccxt_rows.read,
        "binance": binance.read,
        "freqtrade": freqtrade.read,
        "split": own.read_split,
        "csv": own.read_canonical,
        "parquet": own.read_canonical,
    }
    pieces = readers[shape or sniff(file)](file, asked)
    return [_warned(piece, file) for piece in pieces]


def write_foreign(
    pieces: Sequence[Piece],
    folder: PathLike,
    shape: str,
    *,
    exchange: str = "export",
    suffix: str | None = None,
) -> list[Path]:
    """Write the pieces of one symbol into a folder, each file whole or not at all; returns the paths.

    suffix : another form of the shape: `.json` (ccxt), `.zip` (binance), `.json` or `.json.gz`
        (freqtrade), `.csv` (split)
    exchange : stands in the names of split files

    Raises `InputError` for what the shape has no room for at all; `lost` tells what it leaves out.
    """
    check_words(shape, [piece.kind for piece in pieces])
    if len({piece.symbol for piece in pieces}) != 1:
        found = ", ".join(dict.fromkeys(piece.symbol for piece in pieces)) or "none"
        raise InputError(message("write one symbol at a time", found, "one"))
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    if shape in ("csv", "parquet"):
        return own.write_canonical(pieces, place, f".{shape}")
    written = []
    for piece in pieces:
        if shape == "ccxt":
            written += ccxt_rows.write(piece, place, suffix or ".csv")
        elif shape == "binance":
            written += binance.write(piece, place, suffix or ".csv")
        elif shape == "freqtrade":
            written += freqtrade.write(piece, place, suffix or ".feather")
        else:
            written += own.write_split(piece, place, exchange, suffix or ".parquet")
    return written


def lost(piece: Piece, shape: str) -> str | None:
    """What of a piece a shape cannot hold and leaves out, as a sentence; None when it holds all."""
    if shape == "binance":
        return binance.lost(piece)
    if shape == "freqtrade":
        return freqtrade.lost(piece)
    if (
        shape in ("csv", "parquet")
        and piece.kind == "funding"
        and piece.frame["mark"].notna().any()
    ):
        return f"a canonical file has no room for the marks of settlements ({piece.symbol})"
    return None


def check_words(shape: str | None, kinds: Sequence[str]) -> None:
    """Refuse a shape or kind that is not one of ours."""
    wrong: list[tuple[str, str, tuple[str, ...]]] = []
    if shape is not None and shape not in SHAPES:
        wrong.append(("shape", shape, SHAPES))
    wrong += [("kind", kind, KINDS) for kind in kinds if kind not in KINDS]
    for what, word, known in wrong:
        hint = near(word, known) or None
        raise InputError(message(f"unknown {what}", repr(word), ", ".join(known), todo=hint))


def _by_name(file: Path) -> str | None:
    """The shape a name alone tells."""
    name = file.name.lower()
    if file.suffix in (".parquet", ".csv") and split_name(file):
        return "split"
    if name.endswith(".feather"):
        freqtrade.of_path(file)  # refuses a premium index
        return "freqtrade"
    if name.endswith(".parquet"):
        return "freqtrade" if freqtrade.fits(file) else "parquet"
    return None


def _by_first_line(file: Path) -> str | None:
    """The shape a text file's beginning tells."""
    start = head(file)
    if ".json" in file.suffixes:
        if start.lstrip()[:1] != b"[":
            return None
        return "freqtrade" if freqtrade.of_path(file) else "ccxt"
    if b"\0" in start:
        return None
    cells = first_line(start)
    if binance.fits(file):
        return "binance"
    if file.suffix == ".csv" and _canonical(file, [cell.lower() for cell in cells]):
        return "csv"
    return "ccxt" if ccxt_rows.fits_csv(cells) else None


def _canonical(file: Path, cells: list[str]) -> bool:
    """Whether a CSV file is a canonical frame and not plain bars."""
    if "open" not in cells:
        return False
    more = {"mark_open", "funding_rate"} & set(cells)
    return bool(more) or cells[0] == "" or file.with_suffix(META_SUFFIX).is_file()


def _seen(file: Path) -> str:
    cells = first_line(head(file)) if file.suffix.lower() != ".parquet" else []
    shown = ", ".join(cells)
    return repr(shown[:60]) if shown.isprintable() and shown else file.suffix or "no suffix"


def _warned(piece: Piece, file: Path) -> Piece:
    """A note on marks that look like last prices."""
    if piece.kind in ("mark", "index") and (piece.frame["volume"] > 0.0).any():
        note = f"{file}: rows of {piece.kind} have volume; make sure they are not the last price"
        return replace(piece, notes=(*piece.notes, note))
    return piece
