"""Times: order, duplicates, the grid, the clock, and what is missing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import numpy as np

from bt_margin.market.check.findings import (
    DAY,
    HOUR,
    Finding,
    Severity,
    length,
    percent,
    plural,
    runs,
    when,
)
from bt_margin.market.check.rows import Rows, Times, distinct, origin, phase_of
from bt_margin.market.kinds import Span

# A stretch of missing bars that nobody asked the venue about is an error from this length on:
# a position would go unjudged for more than a day.
LONG_GAP = DAY
TOLD_SHARE = 0.01  # of the history; a gap from this on is told with its share


def check_order(rows: Rows) -> Iterator[Finding]:
    """Rows that are not in rising order, and times that are there more than once."""
    back = np.diff(rows.times) < 0
    if back.any():
        first = int(np.argmax(back))
        a, b = int(rows.times[first + 1]), int(rows.times[first])
        text = f"{plural(int(back.sum()), 'step')} back in time; first {when(a)} after {when(b)}"
        yield rows.say("unsorted", "error", (rows.times.min(), rows.times.max()), back.sum(), text)
    times, counts = np.unique(rows.times, return_counts=True)
    twice = counts > 1
    for first, last in runs(twice):
        extra = int((counts[first : last + 1] - 1).sum())
        text = f"{plural(extra, 'row')} too many from {when(times[first])}"
        yield rows.say("duplicate", "error", (times[first], times[last]), extra, text)


def check_grid(rows: Rows) -> Iterator[Finding]:
    """Bars of another length than named, bars off the grid, and a grid not counted from midnight.

    A whole history that opens a fraction of an hour (of a bar, below one hour) off the grid is an
    error: such times are closes, or come from another clock. Whole hours in bars longer than one
    are the venue's own day, or a shifted clock, and are told as a fact: only a second source can
    tell which.
    """
    usual = rows.distance()
    if rows.grid and len(rows) > 2 and usual != rows.step:
        text = f"the name says {rows.timeframe}, most bars are {length(usual)} apart"
        yield rows.say("timeframe", "error", _span(rows.times), len(rows), text)
        return
    if rows.timeframe.endswith("M"):
        return  # months have no fixed length
    phase = phase_of(rows)
    off = (rows.times - origin(rows)) % rows.step != phase
    times = distinct(rows.times[off])
    for part in _stretches(times, rows.step):
        text = f"{plural(len(part), 'bar')} that open between the opens of the others"
        yield rows.say("off grid", "error", _span(part), len(part), text)
    if phase and (phase % HOUR or rows.step <= HOUR):
        text = f"every bar opens {length(phase)} after the grid of {length(rows.step)}"
        text += ": these are no opens, or the clock is not UTC"
        yield rows.say("off grid", "error", _span(rows.times), len(rows), text)
    elif phase:
        text = f"bars open {length(phase)} after those counted from midnight UTC"
        text += ": the venue's own day, or a shifted clock; compare with a second source"
        yield rows.say("phase", "info", _span(rows.times), len(rows), text)


def check_clock(rows: Rows, now: int) -> Iterator[Finding]:
    """Rows later than now, and a newest bar that was taken before it was closed.

    When a bar was taken is known from the store, or, for a file, from its time of writing; a file
    written long after its last bar proves nothing and is not suspected.
    """
    late = rows.times > now
    if late.any():
        times = np.sort(rows.times[late])
        text = f"{plural(len(times), 'row')} after {when(now)}, which is now"
        yield rows.say("future", "error", _span(times), len(times), text)
    if not rows.bars or rows.written is None or not len(rows):
        return
    newest = int(rows.times.max())
    closes = newest + rows.step
    if newest <= rows.written < closes:
        text = f"the newest bar closes at {when(closes)}, but was taken at {when(rows.written)}"
        yield rows.say("unfinished", "error", (newest, newest), 1, text)


def check_gaps(rows: Rows) -> list[Finding]:
    """Missing bars between the first and the last; see `judge_gap` for what each one means."""
    if rows.timeframe.endswith("M") or len(rows) < 3:
        return []
    return [found for span in gaps_of(rows) for found in judge_gap(rows, span, "gap")]


def gaps_of(rows: Rows) -> list[Span]:
    """Half-open stretches of missing opens, on the grid the bars themselves keep.

    A bar whose values are no good is there all the same; it was told as what it is.
    """
    base, step = origin(rows) + phase_of(rows), rows.step
    slots = distinct((rows.told - base) // step)
    holes = np.flatnonzero(np.diff(slots) > 1)
    return [
        (int(slots[place] + 1) * step + base, int(slots[place + 1]) * step + base)
        for place in holes
    ]


def judge_gap(rows: Rows, span: Span, kind: str) -> Iterator[Finding]:
    """What a stretch of missing bars means.

    In a store: confirmed by the venue, a fact; covered and yet gone, an error; never asked for, an
    error, since the history has a hole that a download would fill (a fact where parts of it were all
    that was wanted). In files nobody knows: a
    warning, an error when longer than `LONG_GAP`.
    """
    holes = _near(rows.holes, span)
    for part in subtract(span, holes):
        if rows.covered is None:
            yield _unknown(rows, part, kind)
            continue
        for unasked in subtract(part, rows.covered):
            if rows.parts:
                text = f"{_missing(rows, unasked)}: only parts were asked for, to look into single bars"
                yield _gap(rows, unasked, "not asked", "info", text)
                continue
            text = f"{_missing(rows, unasked)}: never asked for; download this stretch"
            yield _gap(rows, unasked, "not asked", "error", text)
        for gone in intersect(part, rows.covered):
            text = (
                f"{_missing(rows, gone)}, though they were fetched once; repair fetches them again"
            )
            yield _gap(rows, gone, kind, "error", text)
    for hole in intersect(span, holes):
        text = f"{_missing(rows, hole)}: the venue has none, asked again and confirmed"
        yield _gap(rows, hole, kind, "info", text)


def _near(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """Of sorted spans that lie apart, those that could touch this one."""
    first = max(0, bisect_left(spans, (span[0], 0)) - 1)
    return spans[first : bisect_left(spans, (span[1], 0))]


def subtract(span: Span, others: Iterable[Span]) -> list[Span]:
    """The parts of a span outside the others.

    >>> subtract((0, 10), [(2, 3), (5, 20)])
    [(0, 2), (3, 5)]
    """
    start, stop = span
    left: list[Span] = []
    for a, b in sorted(others):
        if b <= start or a >= stop:
            continue
        if a > start:
            left.append((start, a))
        start = max(start, b)
    return [*left, (start, stop)] if start < stop else left


def intersect(span: Span, others: Iterable[Span]) -> list[Span]:
    """The parts of a span inside the others.

    >>> intersect((0, 10), [(2, 3), (5, 20)])
    [(2, 3), (5, 10)]
    """
    cut = [(max(span[0], a), min(span[1], b)) for a, b in sorted(others)]
    return [(a, b) for a, b in cut if a < b]


def _unknown(rows: Rows, span: Span, kind: str) -> Finding:
    severity: Severity = "error" if span[1] - span[0] > LONG_GAP else "warning"
    whole = rows.times.max() - rows.times.min()
    share = (span[1] - span[0]) / whole if whole else 0.0
    text = _missing(rows, span)
    text += f", {percent(share)} of the history" if share >= TOLD_SHARE else ""
    return _gap(rows, span, kind, severity, text)


def _gap(rows: Rows, span: Span, kind: str, severity: Severity, text: str) -> Finding:
    last = span[1] - rows.step
    return rows.say(kind, severity, (span[0], max(span[0], last)), _slots(rows, span), text)


def _slots(rows: Rows, span: Span) -> int:
    return max(1, round((span[1] - span[0]) / rows.step))


def _missing(rows: Rows, span: Span) -> str:
    count = _slots(rows, span)
    if count == 1:
        return f"1 bar missing at {when(span[0])}"
    return f"{plural(count, 'bar')} missing from {when(span[0])} to {when(span[1])}"


def _stretches(times: Times, step: int) -> list[Times]:
    """Times cut where two are more than a bar apart."""
    if not len(times):
        return []
    return np.split(times, np.flatnonzero(np.diff(times) > step) + 1)


def _span(times: Times) -> tuple[int, int]:
    return int(times.min()), int(times.max())
