"""The whole check: every dataset alone, those of one symbol against each other, then the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd

from bt_margin.errors import StoreDamaged
from bt_margin.market.check.bars import check_frozen, check_prices, check_volume
from bt_margin.market.check.findings import SEVERITIES, Finding, folded
from bt_margin.market.check.funding import check_rates, check_sign, check_stamps
from bt_margin.market.check.marks import (
    check_coverage,
    check_mark,
    check_mark_volume,
    marked,
    premium,
)
from bt_margin.market.check.order import check_clock, check_gaps, check_grid, check_order
from bt_margin.market.check.read import (
    PathLike,
    Read,
    read_dataset,
    read_files,
    read_frames,
    wanted,
)
from bt_margin.market.check.rows import Rows, common, tidy
from bt_margin.market.check.sources import check_sources
from bt_margin.market.check.ticks import check_ticks, check_wicks
from bt_margin.market.names import unified_symbol
from bt_margin.market.store import Store
from bt_margin.market.store.places import MARKETS, TIERS

Told = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings, and how much was looked at.

    datasets, rows : how many; left_alone : files of folders that hold no market data
    stores : the paths that are stores
    """

    findings: list[Finding] = field(default_factory=list)
    datasets: int = 0
    rows: int = 0
    left_alone: list[Path] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)


def check_paths(
    paths: Sequence[PathLike],
    exchange: str | None = None,
    symbols: Iterable[str] | None = None,
    *,
    span: tuple[int | None, int | None] = (None, None),
    now: int | None = None,
    told: Told | None = None,
) -> Checked:
    """Check stores, folders of files and files, each path for what it is; a folder may be both.

    told : called with the name of what is next and the share done
    The other arguments are those of `check_store`. Raises `DataError` for a path that is not there.
    """
    names = None if symbols is None else {unified_symbol(name) for name in symbols}
    files = read_files(paths)
    rows = wanted(files.rows, exchange, names)
    found = [each for each in files.findings if exchange in (None, each.exchange)]
    found = [each for each in found if names is None or each.symbol in names]
    parts = [check_read(Read(rows, found), span=span, now=now)]
    counts = [len(rows) + len(found), sum(len(each) for each in rows)]
    stores = [Path(each) for each in paths if Path(each).is_dir() and Store(each).datasets()]
    for place in stores:
        parts.append(facts_of(Store(place), exchange))
        for read in _by_symbol(Store(place), exchange, names, told):
            parts.append(check_read(read, span=span, now=now))
            counts[0] += len(read.rows) + len({each.data for each in read.findings})
            counts[1] += sum(len(each) for each in read.rows)
    findings = _sorted(each for part in parts for each in part)
    return Checked(findings, counts[0], counts[1], files.left_alone, stores)


def check_store(
    store: Store | PathLike,
    exchange: str | None = None,
    symbols: Iterable[str] | None = None,
    *,
    span: tuple[int | None, int | None] = (None, None),
    now: int | None = None,
) -> list[Finding]:
    """Everything wrong or noteworthy in a store; [] when it is clean or holds nothing of what was asked.

    exchange, symbols : only these; default all
    span : only rows with since <= time < until [ms]; None for an open end
    now : the clock, UTC epoch ms; default this machine's
    """
    found = store if isinstance(store, Store) else Store(store)
    names = None if symbols is None else {unified_symbol(name) for name in symbols}
    reads = _by_symbol(found, exchange, names, None)
    rows = (each for read in reads for each in check_read(read, span=span, now=now))
    return _sorted([*facts_of(found, exchange), *rows])


def facts_of(store: Store, exchange: str | None = None) -> list[Finding]:
    """Damage to what a store keeps beside the rows: markets and tiers."""
    found = []
    for name in [exchange] if exchange else store.exchanges():
        asked: list[tuple[str, str, Callable[[], object]]] = [
            ("", MARKETS, partial(store.markets, name))
        ]
        asked += [(s, TIERS, partial(store.tiers, name, s)) for s in store.symbols(name)]
        for symbol, file, ask in asked:
            try:
                ask()
            except StoreDamaged as error:
                found.append(Finding("store", "error", name, symbol, file, 0, 0, 1, str(error)))
    return found


def check_files(
    paths: Sequence[PathLike],
    exchange: str | None = None,
    symbols: Iterable[str] | None = None,
    *,
    span: tuple[int | None, int | None] = (None, None),
    now: int | None = None,
) -> list[Finding]:
    """Everything wrong or noteworthy in files and folders of files.

    Files of one folder, venue and symbol are compared as last, mark and funding; files of all
    folders as sources of one symbol. The arguments are those of `check_store`.

    Raises `DataError` for a path that does not exist.
    """
    return check_paths(paths, exchange, symbols, span=span, now=now).findings


def check_frames(
    frames: Mapping[str, pd.DataFrame], exchange: str = "", *, now: int | None = None
) -> list[Finding]:
    """Everything wrong or noteworthy in canonical frames, symbol to frame; they need not be valid.

    >>> from bt_margin.market.synthetic import generate_market
    >>> found = check_frames(generate_market(hours=400))
    >>> sorted({finding.severity for finding in found})
    ['info']
    """
    return check_read(read_frames(frames, exchange), now=now)


def check_read(
    read: Read,
    *,
    span: tuple[int | None, int | None] = (None, None),
    now: int | None = None,
) -> list[Finding]:
    """The findings about datasets that were read, gravest first within each dataset."""
    clock = int(pd.Timestamp.now("UTC").value // 1_000_000) if now is None else now
    all_rows = [rows.between(*span) for rows in read.rows]
    return _sorted(folded([*read.findings, *_findings(all_rows, clock)]))


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    rank = {severity: place for place, severity in enumerate(SEVERITIES)}
    return sorted(
        findings, key=lambda f: (f.exchange, f.symbol, f.data, rank[f.severity], f.kind, f.start)
    )


def _by_symbol(
    store: Store, exchange: str | None, names: set[str] | None, told: Told | None
) -> Iterator[Read]:
    """The datasets of a store symbol by symbol, so that only one symbol is in memory."""
    datasets = [each for each in store.datasets(exchange) if each.kind]
    symbols = sorted({each.symbol for each in datasets if names is None or each.symbol in names})
    for number, symbol in enumerate(symbols):
        if told:
            told(f"checking {symbol}", number / len(symbols))
        read = Read()
        for dataset in datasets:
            if dataset.symbol == symbol:
                one = read_dataset(dataset)
                read.rows.extend(one.rows)
                read.findings.extend(one.findings)
        yield read


def _findings(all_rows: Sequence[Rows], now: int) -> Iterator[Finding]:
    sound: list[Rows] = []
    for rows in all_rows:
        if not len(rows):
            yield rows.say("empty", "warning", (0, 0), 0, "no rows")
            continue
        found = list(_alone(rows, now))
        yield from found
        if any(finding.kind == "timeframe" for finding in found):
            rows = replace(rows, timeframe="", _step=[])
        neat = tidy(rows.between(None, now + 1))
        if len(neat):
            sound.append(neat)
    for group in _groups(sound):
        yield from _together(group)
    for rows in sound:
        if rows.bars:
            yield from check_frozen(rows)
            yield from check_ticks(rows)
        else:
            yield from check_stamps(rows)
    yield from check_sources(sound)


def _alone(rows: Rows, now: int) -> Iterator[Finding]:
    """What can be said before rows are put in order."""
    yield from check_order(rows)
    yield from check_clock(rows, now)
    if rows.bars:
        yield from check_grid(rows)
        yield from check_prices(rows)
        yield from check_volume(rows)
    else:
        yield from check_rates(rows)
    if rows.kind in ("mark", "index"):
        yield from check_mark_volume(rows)


def _together(group: Sequence[Rows]) -> Iterator[Finding]:
    """The datasets of one symbol at one venue in one place."""
    lasts = [rows for rows in group if rows.kind == "ohlcv"]
    marks = [rows for rows in group if rows.kind in ("mark", "index")]
    for rows in lasts:
        yield from check_gaps(rows)
        yield from check_wicks(rows, marked(rows, marks))
    for rows in group if lasts else ():
        if rows.kind != "ohlcv":
            yield from check_coverage(lasts, rows)
    for mark in marks:
        partner = _partner(lasts, mark)
        if partner is None:
            yield from check_gaps(mark)
            continue
        yield from check_mark(partner, mark)
        for funding in group if mark.kind == "mark" else ():
            if funding.kind == "funding":
                yield from check_sign(funding, *premium(partner, mark))


def _partner(lasts: Sequence[Rows], mark: Rows) -> Rows | None:
    """The last price to compare a mark with, None without one at its time.

    The one of the same bar length, else a finer, else any; of several the one with most in common.
    """

    def rank(last: Rows) -> tuple[bool, bool, int]:
        return last.step != mark.step, last.step > mark.step, -common(last, mark)

    meeting = [last for last in lasts if common(last, mark) > 0]
    return min(meeting, key=rank, default=None)


def _groups(all_rows: Iterable[Rows]) -> list[list[Rows]]:
    groups: dict[tuple[str, str, str], list[Rows]] = {}
    for rows in all_rows:
        groups.setdefault((rows.place, rows.exchange, rows.symbol), []).append(rows)
    return list(groups.values())
