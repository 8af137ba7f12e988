"""Split files joined under the policies for what is missing, as the store's are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bt_margin.errors import DataError, InputError, message
from bt_margin.market.align_frame import align
from bt_margin.market.kinds import Grid
from bt_margin.market.split import Source, read_bars, read_funding


def align_files(
    source: Source,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
    *,
    missing_marks: str | None,
    missing_funding: str | tuple[str, float] | None,
) -> pd.DataFrame:
    """The canonical frame of one symbol's files; a policy that is None leaves out what is missing.

    Marks of the bars' own timeframe are taken, else the coarsest finer ones, else the finest coarser.

    :raises InputError: a canonical file: its marks and settlements have been placed already.
    :raises DataError: no bars in the time asked.
    :raises MissingData: something is missing and the policy is `fail`.
    """
    if not source.venue:
        todo = (
            "leave missing_marks and missing_funding out, or give its parts as files of their own"
        )
        raise InputError(message("the file is joined already", source.last.name, todo=todo))
    last = read_bars(source.last, source.symbol)
    within = pd.Series(True, last.index)
    if since is not None:
        within &= last.index >= since
    if until is not None:
        within &= last.index < until
    part = last[within.to_numpy()]
    if part.empty:
        have = f"{last.index[0]} to {last.index[-1]}"
        what = "no bars in the time asked"
        raise DataError(message(what, f"{since} to {until}", have, source.symbol))
    timeframe, path = _marks(source)
    frame = align(
        part,
        read_bars(path, source.symbol) if path else None,
        read_funding(source.funding, source.symbol) if source.funding else None,
        timeframe=source.timeframe,
        missing_marks=missing_marks or "skip",
        missing_funding=missing_funding or "skip",
        symbol=source.symbol,
        last_timeframe=source.timeframe,
        mark_timeframe=timeframe,
    )
    used = [file for file in (source.last, path, source.funding) if file is not None]
    frame.attrs["files"] = [file.name for file in used]
    return frame


def _marks(source: Source) -> tuple[str | None, Path | None]:
    """Timeframe and file of the marks that suit the bars best."""
    if source.mark is not None:
        return source.timeframe, source.mark
    bar = Grid.of(source.timeframe).step
    steps = {timeframe: Grid.of(timeframe).step for timeframe, _ in source.other_marks}
    finer = [row for row in source.other_marks if bar % steps[row[0]] == 0]
    coarser = [row for row in source.other_marks if steps[row[0]] % bar == 0]
    if finer:
        return max(finer, key=lambda row: steps[row[0]])
    return min(coarser, key=lambda row: steps[row[0]]) if coarser else (None, None)
