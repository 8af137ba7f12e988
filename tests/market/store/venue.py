"""A venue with a known history, and what a dataset holds of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bt_margin.market.kinds import Grid, Page, Span, columns_of
from bt_margin.market.store import Dataset, Store
from bt_margin.market.store.manifest import read_file_name

MINUTE, HOUR = 60_000, 3_600_000
NEW_YEAR = 1_704_067_200_000  # 2024-01-01: months and years of parts end here
EXCHANGE, BTC = "binanceusdm", "BTC/USDT:USDT"


class Clock:
    """A clock that stands until it is set; called, it tells the time [ms]."""

    def __init__(self, at: int = 1_750_000_000_000) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


@dataclass(frozen=True)
class Venue:
    """Bars by number, the first at `start`; `holes` are bars it never had."""

    kind: str = "ohlcv"
    timeframe: str = "1h"
    start: int = NEW_YEAR - 6 * HOUR
    holes: frozenset[int] = frozenset()

    @property
    def step(self) -> int:
        return Grid.of(self.timeframe or "1h").step

    def span(self, first: int, stop: int) -> Span:
        return self.start + first * self.step, self.start + stop * self.step

    def value(self, bar: int) -> float:
        return 100.0 + (bar * 37 % 101) / 8

    def page(
        self,
        first: int,
        stop: int,
        *,
        opened: Iterable[int] = (),
        changed: dict[int, float] | None = None,
        hidden: Iterable[int] = (),
    ) -> Page:
        """What the venue answers for the bars `first <= bar < stop`.

        opened : bars it leaves open; changed : values it tells otherwise; hidden : said to be holes
        """
        opened, holes = set(opened), self.holes | set(hidden)
        bars = [bar for bar in range(first, stop) if bar not in holes and bar not in opened]
        values = [(changed or {}).get(bar, self.value(bar)) for bar in bars]
        times = [self.span(bar, bar + 1)[0] for bar in bars]
        gaps = tuple(self.span(bar, bar + 1) for bar in range(first, stop) if bar in holes)
        left = tuple(self.span(bar, bar + 1) for bar in range(first, stop) if bar in opened)
        columns = tuple(values for _ in columns_of(self.kind))
        return Page(self.span(first, stop), times, columns, gaps, left)

    def dataset(self, store: Store | Path, symbol: str = BTC) -> Dataset:
        store = store if isinstance(store, Store) else Store(store, clock=Clock())
        return store.dataset(EXCHANGE, symbol, self.kind, self.timeframe)


def data_files(dataset: Dataset) -> dict[str, bytes]:
    """The data files in the folder by name, whether the manifest names them or not."""
    if not dataset.folder.is_dir():
        return {}
    files = sorted(dataset.folder.iterdir())
    return {file.name: file.read_bytes() for file in files if read_file_name(file.name)}


def strangers(dataset: Dataset) -> set[str]:
    """Files that belong to no committed state."""
    if not dataset.folder.is_dir():
        return set()
    known = {"_manifest.json", "_pages.jsonl", "_lock", *dataset.state().files()}
    return {file.name for file in dataset.folder.iterdir()} - known


def contents(dataset: Dataset) -> dict[str, Any]:
    """All that two stores of the same history have in common: files, coverage and gaps."""
    state = dataset.state()
    files = {name: data for name, data in data_files(dataset).items() if name in state.files()}
    return {"files": files, "covered": state.covered, "gaps": dataset.gaps}


def bars(dataset: Dataset, venue: Venue) -> dict[int, float]:
    """The stored rows by the number of their bar: the value of the first column."""
    frame = dataset.read()
    times = frame.index.as_unit("ms").asi8
    assert all(a < b for a, b in pairwise(times))
    numbers = [int(time - venue.start) // venue.step for time in times]
    return dict(zip(numbers, frame.iloc[:, 0].tolist(), strict=True))
