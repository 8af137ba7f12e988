"""Last, mark and funding of one symbol in files of their own: which belong together, the join."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bt_margin.errors import DataError, message
from bt_margin.market.frames import FUNDING, LAST, MARK, bar_step, to_utc, validate_frame
from bt_margin.market.names import SplitName
from bt_margin.market.storage import read_table

_RATE_COLUMNS = (FUNDING, "fundingrate", "rate")


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one symbol at one venue and timeframe; `venue` is "" for a canonical file.

    other_marks : timeframe and file of marks of other timeframes, which only a policy can place
    """

    symbol: str
    venue: str
    timeframe: str
    last: Path
    mark: Path | None = None
    funding: Path | None = None
    other_marks: tuple[tuple[str, Path], ...] = ()

    @property
    def label(self) -> str:
        """How messages call it."""
        return " ".join(part for part in (self.venue, self.timeframe, self.last.name) if part)


def pair_up(files: Iterable[tuple[Path, SplitName]]) -> list[Source]:
    """Each ohlcv file with the marks of its timeframe and the funding of its venue."""
    rows = list(files)
    sources = []
    for path, name in rows:
        if name.kind != "ohlcv":
            continue
        own = [row for row in rows if (row[1].venue, row[1].symbol) == (name.venue, name.symbol)]
        marks = [p for p, n in own if n.kind == "mark" and n.timeframe == name.timeframe]
        rates = [p for p, n in own if n.kind == "funding"]
        for kind, found in (("mark", marks), ("funding", rates)):
            if len(found) > 1:
                names = ", ".join(p.name for p in found)
                raise DataError(message(f"several {kind} files", names, "one", name.symbol))
        mark, funding = next(iter(marks), None), next(iter(rates), None)
        others = tuple((n.timeframe, p) for p, n in own if n.kind == "mark" and p not in marks)
        parts = (name.symbol, name.venue, name.timeframe, path, mark, funding, others)
        sources.append(Source(*parts))
    return sources


def join(source: Source) -> pd.DataFrame:
    """Read and join the files of one source into a canonical frame; see `files` for its attrs."""
    last = read_bars(source.last, source.symbol)
    notes: dict[str, object] = {"mark_missing": len(last)}
    parts = [last]
    used = [source.last]
    if source.mark is not None:
        marks = read_bars(source.mark, source.symbol)[list(LAST)].set_axis(list(MARK), axis=1)
        placed = marks.reindex(last.index)
        notes["mark_missing"] = int(placed[MARK[0]].isna().sum())
        parts.append(placed)
        used.append(source.mark)
    frame = pd.concat(parts, axis=1)
    if source.funding is not None:
        rates = read_funding(source.funding, source.symbol)
        frame[FUNDING], notes["funding_unplaced"] = place_funding(frame.index, rates)
        if not tells_all(frame[FUNDING], rates):
            notes["funding"] = rates
        used.append(source.funding)
    notes["files"] = [path.name for path in used]
    frame.attrs = dict(last.attrs)
    frame.attrs.update(notes)
    return validate_frame(frame, source.symbol)


def read_funding(path: Path, symbol: str) -> pd.Series:
    """Settlement times (UTC, floored to the minute) and rates of one file, sorted and unique."""
    table = read_table(path)
    where = f"{symbol}, {path}"
    table.columns = pd.Index([str(name).lower() for name in table.columns])
    rates = [name for name in _RATE_COLUMNS if name in table.columns]
    if "timestamp" not in table.columns or not rates:
        found = ", ".join(table.columns)
        raise DataError(message("not a funding file", found, f"timestamp, {FUNDING}", where))
    index = to_utc(table["timestamp"], where).floor("min")
    try:
        values = table[rates[0]].to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(message("a funding rate is not a number", error, where=where)) from error
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        place = f"{where}, settlement {index[row]}"
        raise DataError(message("bad funding rate", values[row], "a finite number", place))
    if not (index.is_monotonic_increasing and index.is_unique):
        todo = "sort the file and drop duplicates"
        raise DataError(message("settlements do not rise strictly", where=where, todo=todo))
    return pd.Series(values, index, name=FUNDING)


def place_funding(
    index: pd.Index, rates: pd.Series, step: int | None = None
) -> tuple[pd.Series, int]:
    """The rates on the bars that contain them, and how many settlements inside the data have none.

    A bar covers [open, open + step), step [ns] being the usual distance of two bars unless given.
    Several settlements in one bar are added up. Settlements before the first bar or after the last
    are not counted.
    """
    opens = pd.DatetimeIndex(index).asi8
    step = step or bar_step(index)
    stamps = pd.DatetimeIndex(rates.index).asi8
    values = rates.to_numpy(dtype=np.float64)
    inside = (stamps >= opens[0]) & (stamps < opens[-1] + step)
    bars = np.searchsorted(opens, stamps, side="right") - 1
    held = inside & (stamps < opens[np.maximum(bars, 0)] + step)
    column = np.full(len(opens), np.nan)
    column[bars[held]] = 0.0
    np.add.at(column, bars[held], values[held])
    return pd.Series(column, index, name=FUNDING), int(inside.sum() - held.sum())


def tells_all(column: pd.Series, rates: pd.Series) -> bool:
    """Whether the column alone says unmistakably which settlements there were.

    False when settlements fall inside a bar, several into one, or where there is no bar; and when
    they fill a row of bars without a gap, which could be read as one rate repeated on every bar.
    """
    known = np.flatnonzero(column.notna().to_numpy())
    if len(known) > 1 and known[-1] - known[0] == len(known) - 1:
        return False
    stamps = pd.DatetimeIndex(rates.index).asi8
    opens = pd.DatetimeIndex(column.index).asi8
    end = opens[-1] + bar_step(column.index)
    inside = rates[(stamps >= opens[0]) & (stamps < end)]
    return bool(inside.index.isin(column.index).all())


def read_bars(path: Path, symbol: str) -> pd.DataFrame:
    """One file of bars, with a volume of zeros if it has none (marks are not traded)."""
    table = read_table(path)
    names = {str(name).lower() for name in table.columns}
    if "volume" not in names:
        table["volume"] = 0.0
    return validate_frame(table, f"{symbol}, {path}")
