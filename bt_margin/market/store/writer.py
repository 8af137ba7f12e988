"""The one writer of a dataset: it takes pages, keeps a few, and commits them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bt_margin.errors import DataError, InputError, message
from bt_margin.market.kinds import Page, Span, columns_of
from bt_margin.market.store.commit import Commit
from bt_margin.market.store.disk import sync_folder, to_json, writable
from bt_margin.market.store.gaps import Gap, painted
from bt_margin.market.store.manifest import Manifest
from bt_margin.market.store.parts import Revised, Rows, load, load_rows, merged, tidy
from bt_margin.market.store.places import LATEST, cut, period_span
from bt_margin.market.store.spans import Spans, common, joined, minus, on_grid

if TYPE_CHECKING:
    from bt_margin.market.store.dataset import Dataset

MOST_ROWS = 200_000
MOST_SECONDS = 5.0
MOST_NOTE = 10_000


@dataclass(frozen=True, slots=True)
class _Told:
    """One page as it will be committed."""

    at: int
    rows: Rows
    settled: Spans
    gaps: tuple[Gap, ...]
    line: bytes
    requests: int


@dataclass(slots=True)
class _Batch:
    """Pages that are committed together; the first `tried` of them were to be commit `serial`."""

    pages: list[_Told] = field(default_factory=list)
    serial: int = 0
    tried: int = 0

    def land(self, serial: int) -> None:
        """Forget what an interrupted commit did bring into the store, its number says so."""
        if self.tried and serial == self.serial:
            del self.pages[: self.tried]
        self.tried = 0

    def rows(self) -> Rows:
        return Rows(
            np.concatenate([page.rows.times for page in self.pages]),
            np.concatenate([page.rows.values for page in self.pages], axis=1),
        )

    def seen(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        counts = [len(page.rows.times) for page in self.pages]
        return np.repeat(np.array([page.at for page in self.pages], np.int64), counts)


class Writer:
    """Adds pages to a dataset; made by `Dataset.writing`, which holds the lock for it.

    Pages may come in any order and may overlap what is stored. A row equal to the stored one is
    nothing new; a different one takes its place, and both are kept among the revisions.
    """

    def __init__(self, dataset: Dataset, provenance: Mapping[str, Any] | None = None) -> None:
        self._dataset = dataset
        self._provenance = dict(provenance or {})
        self._batch = _Batch()
        self._rows = 0
        self._since = 0.0
        self._closed = False

    def add(self, page: Page, note: Mapping[str, Any] | None = None) -> None:
        """Take a page; it is committed with others after a while, or by `flush`.

        note : JSON-able facts for the page log, such as the endpoint asked

        Raises `DataError` when the page does not keep to its own words (a row outside its span or
        off the grid, times that do not rise), and takes nothing of it.
        """
        if self._closed:
            raise InputError(message("the writer is closed", todo="add inside its `with` block"))
        told = self._told(page, note)
        if not self._batch.pages:
            self._since = self._dataset.timer()
        self._batch.pages.append(told)
        self._rows += len(told.rows.times)
        waited = self._dataset.timer() - self._since
        if self._rows > MOST_ROWS or waited > MOST_SECONDS:
            self.flush()

    def flush(self, provenance: Mapping[str, Any] | None = None) -> None:
        """Commit what was added; after it, a killed process loses none of it.

        provenance : JSON-able facts about the source, kept in the manifest (ccxt version, class)
        """
        if provenance is not None:
            to_json(provenance, "provenance")
            self._provenance.update(provenance)
        batch = self._batch
        if not batch.pages and not self._provenance:
            return
        with writable(self._dataset.folder):
            state = self._dataset.state()
            if batch.tried:
                sync_folder(self._dataset.folder)
                batch.land(state.serial)
            if batch.pages:
                batch.serial, batch.tried = state.serial + 1, len(batch.pages)
                self._commit(state, batch)
            elif state.serial and not self._provenance.items() <= state.provenance.items():
                commit = Commit(self._dataset.folder, state)
                commit.finish(state.covered, b"", {**state.provenance, **self._provenance})
        self._batch, self._rows = _Batch(), 0

    def forget(self, span: Span) -> None:
        """Take rows, coverage and gaps of a span out of the store, so that it is missing again.

        Revisions stay. Files that lie wholly inside the span are not read: a damaged one can be
        forgotten by the span of its period. Of bars go those that open inside the span.
        """
        self.flush()
        with writable(self._dataset.folder):
            state = self._dataset.state()
            spans = on_grid([_within_time(span)], state.grid)
            commit = Commit(self._dataset.folder, state)
            for period, piece in cut(spans, state.unit):
                self._forget_piece(commit, period, piece)
            if spans and (common(state.covered, spans) or commit.parts != state.parts):
                commit.finish(minus(state.covered, spans), b"", state.provenance)

    def drop(self, family: str, period: str) -> None:
        """Leave a file out of the store, by its family and period; for repair."""
        self.flush()
        with writable(self._dataset.folder):
            state = self._dataset.state()
            commit = Commit(self._dataset.folder, state)
            commit.drop(family, period)
            commit.finish(state.covered, b"", state.provenance)

    def close(self) -> None:
        """Commit what is left and take no more."""
        try:
            self.flush()
        finally:
            self._closed = True

    def _told(self, page: Page, note: Mapping[str, Any] | None) -> _Told:
        dataset, at = self._dataset, self._dataset.clock()
        state = dataset.owner
        rows = _rows_of(page, state)
        span, holes, left = _whole([page.span]), _whole(page.holes), _whole(page.open)
        settled = minus(on_grid(span, state.grid), on_grid(left, state.grid))
        line = {
            "at": at,
            "span": span[0],
            "rows": len(rows.times),
            "holes": holes,
            "open": left,
            "requests": int(page.requests),
        }
        if len(rows.times):
            line |= {"first": int(rows.times[0]), "last": int(rows.times[-1])}
        if note:
            if len(to_json(note, "note")) > MOST_NOTE:
                raise InputError(message("note is too long", None, f"{MOST_NOTE:,} bytes"))
            line["note"] = dict(note)
        gaps = tuple(Gap(*hole, at) for hole in common(on_grid(holes, state.grid), settled))
        return _Told(at, rows, settled, gaps, to_json(line, "page") + b"\n", int(page.requests))

    def _commit(self, state: Manifest, batch: _Batch) -> None:
        commit = Commit(self._dataset.folder, state)
        rows, seen = batch.rows(), batch.seen()
        places = {period: _inside(rows.times, span) for period, span in _periods(rows.times, state)}
        gaps: dict[str, list[Gap]] = {period: [] for period, mine in places.items() if mine.any()}
        for gap in (gap for page in batch.pages for gap in page.gaps):
            for period, (start, stop) in cut([gap[:2]], state.unit):
                gaps.setdefault(period, []).append(Gap(start, stop, gap.checked))
        for period in sorted(gaps):
            mine = places.get(period, np.zeros(len(rows.times), dtype=bool))
            new = Rows(rows.times[mine], rows.values[:, mine])
            self._merge(commit, period, new, seen[mine], gaps[period])
        settled = (span for page in batch.pages for span in page.settled)
        log = b"".join(page.line for page in batch.pages)
        commit.finish(joined([*state.covered, *settled]), log, self._told_of(state, batch))

    def _merge(
        self,
        commit: Commit,
        period: str,
        new: Rows,
        seen: np.ndarray[Any, np.dtype[np.int64]],
        gaps: list[Gap],
    ) -> None:
        state = commit.state
        old = load_rows(commit.folder, state.kind, period, state.parts["rows"].get(period))
        rows, revised = merged(old, new, seen)
        if not _same(old, rows):
            commit.put("rows", period, [rows.times, *rows.values])
        if len(revised.times):
            self._keep(commit, period, revised)
        if gaps or period in state.parts["gaps"]:
            known = load_gaps(commit, period)
            found = painted([*known, *gaps], rows.times, state.step)
            if found != known:
                put_gaps(commit, period, found)

    def _keep(self, commit: Commit, period: str, revised: Revised) -> None:
        """Add to a period's revisions, by time and then in the order they were seen."""
        new = [revised.times, revised.seen, *revised.old, *revised.new]
        part = commit.state.parts["revisions"].get(period)
        if part is not None:
            old = load(commit.folder, "revisions", commit.state.kind, period, part)
            new = [np.concatenate(both) for both in zip(old, new, strict=True)]
        order = np.argsort(new[0], kind="stable")
        commit.put("revisions", period, [column[order] for column in new])

    def _forget_piece(self, commit: Commit, period: str, piece: Span) -> None:
        state = commit.state
        if piece == period_span(period):
            commit.drop("rows", period)
            commit.drop("gaps", period)
            return
        if period in state.parts["rows"]:
            rows = load_rows(commit.folder, state.kind, period, state.parts["rows"][period])
            stay = (rows.times < piece[0]) | (rows.times >= piece[1])
            commit.put("rows", period, [rows.times[stay], *rows.values[:, stay]])
        left = [
            Gap(start, stop, gap.checked)
            for gap in load_gaps(commit, period)
            for start, stop in minus((gap[:2],), (piece,))
        ]
        put_gaps(commit, period, left)

    def _told_of(self, state: Manifest, batch: _Batch) -> dict[str, Any]:
        """The provenance of the next state: what is known, and counts and times brought forward."""
        times = [page.at for page in batch.pages]
        old = state.provenance
        return {
            **old,
            **self._provenance,
            "first_download": min([*times, old.get("first_download", times[0])]),
            "last_download": max([*times, old.get("last_download", times[0])]),
            "requests": old.get("requests", 0) + sum(page.requests for page in batch.pages),
        }


def _periods(times: npt.NDArray[np.int64], state: Manifest) -> Iterator[tuple[str, Span]]:
    """The periods from the first to the last of the times, each with its span."""
    if len(times):
        yield from cut([(int(times.min()), int(times.max()) + 1)], state.unit)


def _inside(times: npt.NDArray[np.int64], span: Span) -> npt.NDArray[np.bool_]:
    return (times >= span[0]) & (times < span[1])


def load_gaps(commit: Commit, period: str) -> list[Gap]:
    """The gaps of a period as the committed state has them."""
    part = commit.state.parts["gaps"].get(period)
    if part is None:
        return []
    columns = load(commit.folder, "gaps", commit.state.kind, period, part)
    return [Gap(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def put_gaps(commit: Commit, period: str, gaps: list[Gap]) -> None:
    """Write a period's gaps."""
    columns = np.array(gaps, np.int64).reshape(len(gaps), 3).T
    commit.put("gaps", period, list(columns))


def _same(old: Rows, new: Rows) -> bool:
    return np.array_equal(old.times, new.times) and np.array_equal(
        old.values.view(np.int64), np.ascontiguousarray(new.values).view(np.int64)
    )


def _whole(spans: Iterable[Span]) -> list[Span]:
    """Spans of plain whole numbers, whatever kind of number they came as."""
    return [(int(start), int(stop)) for start, stop in spans]


def _within_time(span: Span) -> Span:
    return max(0, span[0]), min(LATEST, span[1])


def _rows_of(page: Page, state: Manifest) -> Rows:
    """The rows of a page as arrays, or a `DataError` that says in what it is wrong."""
    where = " ".join((state.exchange, state.symbol, state.kind, state.timeframe)).strip()
    times, names = np.asarray(page.times), columns_of(state.kind)
    if times.size == 0:
        times = np.empty(0, np.int64)
    sizes = [len(column) for column in page.columns]
    if times.ndim != 1 or times.dtype.kind not in "iu" or sizes != [len(times)] * len(names):
        found = f"{len(times)} times of type {times.dtype}, columns of {sizes} rows"
        allowed = f"whole ms and one value each for {', '.join(names)}"
        raise DataError(message("a page of another shape", found, allowed, where))
    spans = (page.span, *page.holes, *page.open)
    inside = all(page.span[0] <= start <= stop <= page.span[1] for start, stop in spans)
    if not inside or not 0 <= page.span[0] <= page.span[1] <= LATEST:
        raise DataError(message("a page with spans outside of its own", spans, None, where))
    times = times.astype(np.int64)
    bad = np.zeros(len(times), bool)
    bad[1:] = times[1:] <= times[:-1]
    bad |= (times < page.span[0]) | (times >= page.span[1])
    if state.grid:
        bad |= (times - state.grid.anchor) % state.grid.step != 0
    if bad.any():
        allowed = f"rising times on the grid inside of {page.span}"
        raise DataError(message("a page with a bad time", times[bad][0], allowed, where))
    try:
        values = np.array(page.columns, dtype=np.float64).reshape(len(names), len(times))
    except (TypeError, ValueError) as error:
        raise DataError(message("a page with a bad value", error, "numbers", where)) from error
    return Rows(times, tidy(values))
