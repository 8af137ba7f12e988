"""Pieces into the store: what their rows cover, no more, and what they disagree about.

Bars: exactly the rows there are count as answered; a hole in the file stays missing, so that a later
download fetches it. A last bar that had not closed when the file was written is left out.

Funding: the stretch between two settlements counts as answered unless it is longer than both distances
beside it, or than 8 hours (or the file's usual distance, if that is longer): then a settlement may be
missing. Exchanges stamp a settlement some milliseconds after the hour and some tools round that away, so
two stamps in one minute are the same settlement, and the stored stamp stays.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import BtMarginError, InputError, message, near
from bt_margin.market.kinds import Grid, Page, Span, columns_of
from bt_margin.market.names import META_SUFFIX, split_name
from bt_margin.market.shapes import SUFFIXES, Asked, Piece, read_foreign, sniff
from bt_margin.market.shapes.piece import MINUTE, NotListed, Times, to_ms, to_times
from bt_margin.market.store import Dataset, Store
from bt_margin.market.store.spans import joined, minus

ROWS_OF_A_PAGE = 10_000
MOST_NAMES = 50  # of files, kept in a dataset's provenance
_EIGHT_HOURS = 8 * 3_600_000

_MARKETS = {
    "binanceusdm": ("linear",),
    "binancecoinm": ("inverse",),
    "krakenfutures": ("linear", "inverse"),
    "kraken": ("spot",),
    "dydx": ("linear",),
}

Mask = npt.NDArray[np.bool_]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What one piece brought: counts of rows, times in ms.

    rows : in the file; new, changed, same : of them, against what was stored before
    missing : bars of the grid between first and last that the file has not
    unfinished : 1 when the last bar was left out
    """

    file: str
    shape: str
    exchange: str
    symbol: str
    kind: str
    timeframe: str
    rows: int
    new: int
    changed: int
    missing: int
    unfinished: int
    first: int
    last: int
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> int:
        """Rows that were stored already, with the same values."""
        return self.rows - self.new - self.changed


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that was not taken, and why."""

    file: str
    error: BtMarginError


def take_files(
    store: Store,
    exchange: str,
    places: list[Path],
    asked: Asked,
    shape: str | None = None,
    *,
    told: Told | None = None,
    left: Told | None = None,
    waits: Told | None = None,
) -> Iterator[Taken | Failed]:
    """Import files and folders, file by file; a broken file does not stop the others.

    told : gets each file's name before it is read; left : the names of files in folders that were
        left alone, because they are of no shape or of another venue; waits : a sentence when another
        process is writing
    """
    wanted = Asked(asked.symbol, asked.kind, asked.timeframe, exchange)
    for file, named in _files(places):
        try:
            if not named and not _fits(file, exchange, shape):
                if left:
                    left(str(file))
                continue
            if told:
                told(str(file))
            yield from _take_file(store, file, shape, wanted, waits)
        except BtMarginError as error:
            if isinstance(error, NotListed) and not named:
                if left:
                    left(str(file))
                continue
            yield Failed(str(file), error)


def take(
    store: Store,
    exchange: str,
    piece: Piece,
    file: Path,
    *,
    now: int | None = None,
    waits: Told | None = None,
) -> Taken:
    """One piece into the store; with equal rows stored already nothing is written.

    now : the time [ms] bars must have closed by; default: the clock's
    """
    _check_listed(exchange, piece.symbol)
    dataset = store.dataset(exchange, piece.symbol, piece.kind, piece.timeframe)
    written = int(file.stat().st_mtime * 1000) if file.exists() else None
    closed = _closed(piece, written, time.time_ns() // 1_000_000 if now is None else now)
    frame = piece.frame[closed]
    if frame.empty:
        todo = "import it again when its bar has closed"
        raise InputError(message("no closed bar in the file", where=str(file), todo=todo))
    with dataset.writing(told=waits) as writer:
        joint = _Joint(dataset, frame)
        origin = {"file": file.name[-200:], "shape": piece.shape}
        pages = [page for page in joint.pages() if joint.brings(page)]
        for page in pages:
            writer.add(page, {"import": origin})
        if pages:
            before = [each for each in dataset.provenance.get("imported", []) if each != origin]
            writer.flush({"imported": [*before, origin][-MOST_NAMES:]})
    times = to_ms(frame.index)
    return Taken(
        str(file), piece.shape, exchange, piece.symbol, piece.kind, piece.timeframe,
        rows=len(frame), new=int(joint.new.sum()), changed=int(joint.changed.sum()),
        missing=_missing(times, piece), unfinished=int((~closed).sum()),
        first=int(times[0]), last=int(times[-1]), notes=piece.notes,
    )  # fmt: skip


class _Joint:
    """The rows of a file beside what is stored."""

    def __init__(self, dataset: Dataset, frame: pd.DataFrame) -> None:
        self.dataset, self.kind = dataset, dataset.kind
        self.step = Grid.of(dataset.timeframe).step if dataset.timeframe else 0
        times = to_ms(frame.index)
        margin = 0 if self.step else 2 * _EIGHT_HOURS
        span = (max(0, int(times[0]) - margin - MINUTE), int(times[-1]) + margin + MINUTE)
        stored = dataset.read(span) if dataset.exists else frame.iloc[:0]
        there = to_ms(stored.index)
        if not self.step:
            times = _same_minute(times, there)
        place = np.searchsorted(there, times)
        place[place == len(there)] = 0
        known = there[place] == times if len(there) else np.zeros(len(times), bool)
        rows = _rows(frame, self.kind)
        old = _rows(stored, self.kind)[:, place] if len(there) else np.full_like(rows, np.nan)
        rows[-1] = np.where(known & self._keeps(rows), old[-1], rows[-1])
        equal = ((rows == old) | (np.isnan(rows) & np.isnan(old))).all(axis=0)
        self.times, self.rows = times, rows
        self.new, self.changed = ~known, known & ~equal
        self.stamps = np.unique(np.concatenate([there, times]))

    def _keeps(self, rows: npt.NDArray[np.float64]) -> Mask:
        """Where the stored last column stays: a mark the file has not, the volume of a mark."""
        lacking: Mask = np.isnan(rows[-1])
        return lacking if self.kind == "funding" else np.full(len(lacking), self.kind != "ohlcv")

    def pages(self) -> Iterator[Page]:
        """The rows as pages that settle no more than the file covers."""
        if not self.step:
            for span in self._settled():
                inside = (self.times >= span[0]) & (self.times < span[1])
                yield self._page(span, inside, ())
            return
        for start in range(0, len(self.times), ROWS_OF_A_PAGE):
            mine = slice(start, start + ROWS_OF_A_PAGE)
            times = self.times[mine]
            span = (int(times[0]), int(times[-1]) + self.step)
            breaks = np.flatnonzero(np.diff(times) != self.step)
            holes = [(int(times[b]) + self.step, int(times[b + 1])) for b in breaks]
            yield self._page(span, mine, tuple(holes))

    def brings(self, page: Page) -> bool:
        """Whether a page holds a row or settles a stretch the store has not."""
        times = np.asarray(page.times)
        news = self.new | self.changed
        if news[np.isin(self.times, times)].any():
            return True
        return bool(minus(joined(self.dataset.missing(page.span)), joined(page.open)))

    def _page(self, span: Span, mine: Mask | slice, holes: tuple[Span, ...]) -> Page:
        columns = tuple(self.rows[:, mine])
        return Page(span, self.times[mine].tolist(), columns, open=holes, requests=0)

    def _settled(self) -> tuple[Span, ...]:
        """The stretches of time the settlements answer for."""
        minutes = self.stamps - self.stamps % MINUTE
        own = np.isin(self.stamps, self.times)
        whole = ~holes_between(minutes) & (own[1:] | own[:-1])
        spans = [(int(minute), int(minute) + MINUTE) for minute in minutes[own]]
        spans += [(int(minutes[place]), int(minutes[place + 1])) for place in np.flatnonzero(whole)]
        return joined(spans)


def unknown(exchange: str) -> str | None:
    """A sentence about an exchange that is no ccxt class, or None; ccxt itself is not loaded."""
    found = importlib.util.find_spec("ccxt")
    places = found.submodule_search_locations if found else None
    names = {path.stem for place in places or () for path in Path(place).glob("*.py")}
    if not names or exchange in names:
        return None
    hint = near(exchange, sorted(names))
    return f"{exchange} is no ccxt class, a download cannot go on from here{f'; {hint}' if hint else ''}"


def holes_between(minutes: Times) -> Mask:
    """For each distance of two settlements [ms]: whether one may be missing in it.

    >>> hour = 3_600_000
    >>> holes_between(np.array([0, 8, 16, 32, 40, 44, 48]) * hour).tolist()
    [False, False, True, False, False, False]
    """
    apart = np.diff(minutes)
    if not len(apart):
        return np.zeros(0, bool)
    values, counts = np.unique(apart, return_counts=True)
    longest = max(_EIGHT_HOURS, int(values[np.argmax(counts)]) if counts.max() > 1 else 0)
    none = np.full(1, longest if len(apart) == 1 else 0)
    beside = np.maximum(np.r_[none, apart[:-1]], np.r_[apart[1:], none])
    return np.asarray((apart > beside) | (apart > longest))


def _rows(frame: pd.DataFrame, kind: str) -> npt.NDArray[np.float64]:
    """The values of a frame, one row for each column of the kind."""
    return np.array(frame[list(columns_of(kind))].to_numpy(dtype=np.float64).T, order="C")


def _same_minute(times: Times, stored: Times) -> Times:
    """The times, each replaced by the stored stamp of its minute if there is one."""
    if not len(stored):
        return times
    floors = stored - stored % MINUTE
    place = np.minimum(np.searchsorted(floors, times - times % MINUTE), len(stored) - 1)
    return np.where(floors[place] == times - times % MINUTE, stored[place], times)


def _closed(piece: Piece, written: int | None, now: int) -> Mask:
    """Which bars had closed: by now, and the last one also when the file was written."""
    times = to_ms(piece.frame.index)
    step = Grid.of(piece.timeframe).step if piece.timeframe else 0
    closed: Mask = times + step <= now
    if written is not None and step and times[-1] <= written < times[-1] + step:
        closed[-1] = False
    return closed


def _check_listed(exchange: str, symbol: str) -> None:
    """Refuse a symbol of a market that an exchange known to list only one kind has not."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    inverse = settle.partition("-")[0] == base and base != quote
    found = "spot" if not settle else "inverse" if inverse else "linear"
    markets = _MARKETS.get(exchange, (found,))
    if found not in markets:
        what, todo = (
            f"{exchange} lists no {found} markets",
            "name the exchange these rows are of, or the symbol in full",
        )
        raise NotListed(message(what, symbol, " or ".join(markets), todo=todo))


def _missing(times: Times, piece: Piece) -> int:
    if not piece.timeframe:
        return 0
    step = Grid.of(piece.timeframe).step
    return int((times[-1] - times[0]) // step) + 1 - len(times)


def _take_file(
    store: Store, file: Path, shape: str | None, asked: Asked, waits: Told | None
) -> Iterator[Taken]:
    pieces = read_foreign(
        file,
        shape,
        symbol=asked.symbol,
        kind=asked.kind,
        timeframe=asked.timeframe,
        exchange=asked.exchange,
    )
    for piece in pieces:
        yield take(store, asked.exchange or "", piece, file, waits=waits)


def _files(places: list[Path]) -> Iterator[tuple[Path, bool]]:
    """Every file, and whether it was named itself; folders are walked, a store's own are not."""
    for place in places:
        if not place.exists():
            raise InputError(message("file not found", str(place)))
        if not place.is_dir():
            yield place, True
            continue
        for folder, folders, names in os.walk(place):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if "_manifest.json" in names:
                continue
            for name in sorted(names):
                ours = name.startswith((".", "_")) or name.endswith(META_SUFFIX)
                if name.endswith(SUFFIXES) and not ours:
                    yield Path(folder, name), False


def _fits(file: Path, exchange: str, shape: str | None) -> bool:
    """Whether a file found in a folder is one to read."""
    try:
        found = shape or sniff(file)
    except InputError as error:
        if type(error) is InputError:
            return False  # of no shape, or a kind this house does not keep
        raise
    named = split_name(file) if found == "split" else None
    return named is None or exchange.startswith(named.venue) or named.venue.startswith(exchange)


def span_text(first: int, last: int) -> tuple[Any, Any]:
    """Two times in ms as UTC timestamps."""
    index = to_times(np.array([first, last]))
    return index[0], index[1]
