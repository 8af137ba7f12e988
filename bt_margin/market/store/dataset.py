"""One kind of data of one symbol: read it, see what is missing, and open it for writing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.market.kinds import Span, columns_of
from bt_margin.market.store import manifest as manifests
from bt_margin.market.store.commit import sweep
from bt_margin.market.store.disk import Told, locked, make_folder, writable
from bt_margin.market.store.gaps import Gap, painted
from bt_margin.market.store.homes import claim
from bt_margin.market.store.manifest import Manifest
from bt_margin.market.store.parts import TIME, PartGone, Rows, load, load_rows, no_rows
from bt_margin.market.store.places import LATEST, LOCK, MANIFEST, PAGES
from bt_margin.market.store.spans import Spans, minus, on_grid
from bt_margin.market.store.verify import Problem, repair, verify
from bt_margin.market.store.writer import Writer

T = TypeVar("T")
_LONGEST_LINE = 10_000_000


def now() -> int:
    """The local clock [UTC epoch ms]."""
    return time.time_ns() // 1_000_000


class Revision(NamedTuple):
    """A row the venue changed: its time, the old and the new values by column, when that was seen."""

    time: int
    old: tuple[float, ...]
    new: tuple[float, ...]
    seen: int


class Dataset:
    """One kind of data of one symbol, in one folder of the store; made by `Store.dataset`.

    Reading goes by the committed manifest alone and needs no lock: every property is read anew and
    is true of one committed state, whatever a writer does meanwhile. Any of them may raise
    `StoreDamaged` when files were changed by others.
    """

    def __init__(
        self,
        folder: Path,
        owner: Manifest,
        *,
        clock: Callable[[], int] = now,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.owner = owner
        self.clock = clock
        self.timer = timer

    def __repr__(self) -> str:
        return f"<Dataset {self.exchange} {self.symbol} {self.folder.name}>"

    @property
    def exchange(self) -> str:
        """The ccxt name of the exchange."""
        return self.owner.exchange

    @property
    def symbol(self) -> str:
        """The unified symbol."""
        return self.owner.symbol

    @property
    def kind(self) -> str:
        """ohlcv, mark, index or funding."""
        return self.owner.kind

    @property
    def timeframe(self) -> str:
        """The length of a bar; "" for funding."""
        return self.owner.timeframe

    @property
    def exists(self) -> bool:
        """Whether anything was ever committed."""
        return (self.folder / MANIFEST).is_file()

    def state(self) -> Manifest:
        """The committed state: one manifest, for those who need several facts of the same moment."""
        return manifests.load(self.folder, self.owner)

    @property
    def covered(self) -> Spans:
        """The spans the venue has answered for: sorted, apart, half open [ms]."""
        return self.state().covered

    @property
    def rows(self) -> int:
        """How many rows are stored."""
        return sum(part.rows for part in self.state().parts["rows"].values())

    @property
    def first(self) -> int | None:
        """The time of the first row [ms]; None without rows."""
        return min((part.first for part in self.state().parts["rows"].values()), default=None)

    @property
    def last(self) -> int | None:
        """The time of the last row [ms]; None without rows."""
        return max((part.last for part in self.state().parts["rows"].values()), default=None)

    @property
    def size(self) -> int:
        """Bytes of all data files."""
        families = self.state().parts.values()
        return sum(part.size for parts in families for part in parts.values())

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where rows come from: `requests`, `first_download`, `last_download` and what was told."""
        return self.state().provenance

    @property
    def settled_at(self) -> int | None:
        """When the newest page came in [ms]; None when none did."""
        return self.provenance.get("last_download")

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What the venue has no rows for, with the time of the newest check; inside `covered`."""

        def of(state: Manifest) -> tuple[Gap, ...]:
            found = [
                Gap(*row)
                for columns in self._family(state, "gaps")
                for row in zip(*(column.tolist() for column in columns), strict=True)
            ]
            return tuple(painted(found, np.empty(0, np.int64), state.step))

        return self._steady(of)

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """Rows the venue changed after they were stored, by time, then in the order seen."""

        def of(state: Manifest) -> tuple[Revision, ...]:
            count = len(columns_of(state.kind))
            return tuple(
                Revision(row[0], row[2 : 2 + count], row[2 + count :], row[1])
                for columns in self._family(state, "revisions")
                for row in zip(*(column.tolist() for column in columns), strict=True)
            )

        return self._steady(of)

    def missing(self, span: Span) -> list[Span]:
        """What of a span the venue has not answered for: at the ends, in the middle, or all of it.

        For bars the pieces begin and end where a bar opens, and none is without a bar.
        """
        state = self.state()
        return list(minus(on_grid([span], state.grid), state.covered))

    def read(self, span: Span | None = None) -> pd.DataFrame:
        """The rows of a span, or all: UTC index "timestamp" (ns), one float64 column per value.

        Only the files the span touches are opened, each checked against its SHA-256. Everything
        comes from one committed state. Without rows: an empty frame of the same form.
        """
        return self._steady(lambda state: _frame(state.kind, list(self._pieces(state, span))))

    def frames(self, span: Span | None = None) -> Iterator[pd.DataFrame]:
        """The rows of a span file by file, so that memory does not grow with history.

        When a writer commits meanwhile, later frames come from the newer state.
        """
        start, stop = span or (0, LATEST)
        while True:
            found = self._steady(partial(self._next, (start, stop)))
            if found is None:
                return
            yield _frame(self.kind, [found])
            start = int(found.times[-1]) + 1

    def verify(self) -> list[Problem]:
        """Every file that is not what was written: missing, changed, out of order; [] when all is well."""
        return verify(self)

    def repair(self) -> list[Problem]:
        """Take what is damaged out of the store, so that `missing` asks for it again.

        Gives what was wrong. The spans of the problems are what was lost; without a manifest left,
        ask `missing` for all that was wanted.
        """
        return repair(self)

    def pages(self) -> Iterator[dict[str, Any]]:
        """The page log: what was asked, when, and what came back; lines nobody can read left out."""
        left = self.state().log
        if not left:
            return
        with open(self.folder / PAGES, "rb") as file:
            while left > 0 and (line := file.readline(min(left, _LONGEST_LINE))):
                left -= len(line)
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    continue

    @contextmanager
    def writing(
        self,
        wait: float | None = None,
        told: Told | None = None,
        *,
        provenance: Mapping[str, Any] | None = None,
    ) -> Iterator[Writer]:
        """Write alone: a `Writer` whose pages are committed at the latest on leaving, errors included.

        wait : seconds to wait for another writer; None for as long as it takes
        told : called once with a sentence when there is one to wait for
        """
        with self.locked(wait, told):
            claim(self.folder.parent, self.symbol)
            sweep(self.folder, self.state())
            writer = Writer(self, provenance)
            try:
                yield writer
            finally:
                writer.close()

    @contextmanager
    def locked(self, wait: float | None = None, told: Told | None = None) -> Iterator[None]:
        """Hold the dataset's lock: no other process or thread writes it meanwhile."""
        with writable(self.folder):
            make_folder(self.folder)
        with locked(self.folder / LOCK, wait, told):
            yield

    def _next(self, span: Span, state: Manifest) -> Rows | None:
        return next(self._pieces(state, span), None)

    def _pieces(self, state: Manifest, span: Span | None) -> Iterator[Rows]:
        start, stop = span or (0, LATEST)
        for period, part in state.parts["rows"].items():
            if part.first >= stop or part.last < start:
                continue
            rows = load_rows(self.folder, state.kind, period, part)
            low, high = np.searchsorted(rows.times, (start, stop))
            if high > low:
                yield Rows(rows.times[low:high], rows.values[:, low:high])

    def _family(self, state: Manifest, family: str) -> Iterator[list[npt.NDArray[np.generic]]]:
        for period, part in state.parts[family].items():
            yield load(self.folder, family, state.kind, period, part)

    def _steady(self, read: Callable[[Manifest], T]) -> T:
        """What `read` makes of the committed state; again when a commit took files away under it."""
        while True:
            state = self.state()
            try:
                return read(state)
            except PartGone:
                if self.state().serial == state.serial:
                    raise


def _frame(kind: str, pieces: list[Rows]) -> pd.DataFrame:
    pieces = pieces or [no_rows(kind)]
    times = np.concatenate([piece.times for piece in pieces])
    values = np.concatenate([piece.values for piece in pieces], axis=1)
    index = pd.DatetimeIndex(times.astype("datetime64[ms]").astype("datetime64[ns]"), name=TIME)
    columns = dict(zip(columns_of(kind), values, strict=True))
    return pd.DataFrame(columns, index=index.tz_localize("UTC"))
