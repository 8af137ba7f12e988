"""Last price against mark (or index): is it a mark at all, is it there, how far apart, which clock."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np

from bt_margin.market.check.findings import (
    DAY,
    Finding,
    Severity,
    length,
    number,
    percent,
    plural,
    runs,
    when,
)
from bt_margin.market.check.order import gaps_of, judge_gap
from bt_margin.market.check.rows import PRICES, Floats, Mask, Rows
from bt_margin.market.check.shift import Shift, shifts
from bt_margin.market.check.ticks import WICK, WICK_TIMES, power_of_ten, usual_height
from bt_margin.market.check.weave import Pair, coarser, matched

# Open or close of last and mark further apart than this (a fraction) is told; in real data it
# happens for an hour or two in a collapse (5 % on SOL in November 2022, 10 % on ORCA in March
# 2025). FAR_WARNS is beyond anything seen there; FAR_BARS in a row are no market but another
# contract, currency or unit.
FAR = 0.03
FAR_WARNS = 0.15
FAR_BARS = 24
# A high or low of one beyond the other's is told as a fact from this on; as a warning from
# `ticks.WICK` on when it is also `ticks.WICK_TIMES` the usual height of the bars around.
WICK_TOLD = 0.05
# Bars of last and mark that move and are equal in all four prices: up to 8 % in real data (coarse
# prices, calm hours). From half of all on, or a day in a row, the mark was not a mark.
SAME_SHARE = 0.5
SAME_BARS = 24
SAME_LEAST = 20
# One kind starting later or ending earlier than the last price is told from this on [ms].
EDGE = DAY


def check_mark(last: Rows, mark: Rows) -> Iterator[Finding]:
    """Everything the last price can say about a mark or an index. Both must be tidy."""
    yield from _missing(last, mark)
    moved = shifts(last, mark)
    for each in moved:
        yield shift_finding(mark, "the last price", each)
    pair = matched(last, mark)
    if not len(pair):
        return
    if not moved:
        far = yield from _far(mark, pair)
        yield from _wicks(last, mark, pair, far)
    yield from _same(mark, pair)


def check_mark_volume(mark: Rows) -> Iterator[Finding]:
    """Marks and indices are not traded: volume above 0 says that these are bars of the last price."""
    volume = mark.columns.get("volume")
    if volume is None:
        return
    traded = np.flatnonzero(np.nan_to_num(volume) > 0.0)
    if len(traded):
        text = (
            f"{plural(len(traded), 'bar')} of the {mark.kind} have volume: this is the last price"
        )
        span = int(mark.times[traded].min()), int(mark.times[traded].max())
        yield mark.say("mark is last", "error", span, len(traded), text)


def check_coverage(lasts: Sequence[Rows], other: Rows) -> Iterator[Finding]:
    """Where another kind starts later or ends earlier than the last price. All must be tidy."""
    name = other.kind
    first, final = min(int(r.times[0]) for r in lasts), max(int(r.times[-1]) for r in lasts)
    begins, ends = int(other.times[0]), int(other.times[-1])
    if begins > final or ends + EDGE < first:
        text = f"the {name} ({when(begins)} to {when(ends)}) and the last price"
        text += f" ({when(first)} to {when(final)}) have no time in common"
        yield other.say("coverage", "info", (begins, ends), len(other), text)
        return
    step = min(rows.step for rows in lasts)
    if begins - first >= EDGE:
        text = f"the {name} starts {when(begins)}, {length(begins - first)} after the last price"
        yield other.say("coverage", "info", (first, begins), (begins - first) // step, text)
    if final - ends >= EDGE:
        text = f"the {name} ends {when(ends)}, {length(final - ends)} before the last price"
        yield other.say("coverage", "info", (ends, final), (final - ends) // step, text)


def shift_finding(rows: Rows, against: str, each: Shift) -> Finding:
    """A shift as a finding about `rows`, compared with `against`."""
    side = "later" if each.lag > 0 else "earlier"
    text = f"times are {length(abs(each.lag))} {side} than those of {against}: returns agree"
    text += f" {each.aligned:.2f} when moved, {each.agreement:.2f} as they stand"
    return rows.say("shift", "error", (each.start, each.stop), each.count, text)


def _missing(last: Rows, mark: Rows) -> Iterator[Finding]:
    """Gaps of the mark during which the last price has bars."""
    for start, stop in gaps_of(mark) if len(mark) > 2 else ():
        there = np.searchsorted(last.times, [start, stop])
        if there[1] > there[0]:
            yield from judge_gap(mark, (start, stop), "mark missing")


def _far(mark: Rows, pair: Pair) -> Generator[Finding, None, Mask]:
    """Open or close far apart; the yielded stretches also come back as a mask over the pair."""
    apart = np.maximum(np.abs(pair.distance("open")), np.abs(pair.distance("close")))
    mask: Mask = apart >= FAR
    for first, last in runs(mask):
        count, top = last - first + 1, first + int(np.argmax(apart[first : last + 1]))
        name = "close" if abs(pair.distance("close")[top]) >= FAR else "open"
        ratio = float(np.median(pair.distance("close")[first : last + 1]))
        kind, severity = _far_severity(count, float(apart[top]), ratio)
        text = f"{name} {_against(pair, name, top, mark.kind)} at {when(int(pair.times[top]))}"
        if severity == "error":
            text += f", and so for {plural(count, 'bar')}: another contract, currency or unit"
        elif count > 1:
            text += f", the furthest of {plural(count, 'bar')}"
        yield mark.say(kind, severity, pair.span(first, last), count, text)
    return mask


def _far_severity(count: int, apart: float, ratio: float) -> tuple[str, Severity]:
    if power_of_ten(ratio):
        return "unit", "error"
    if count >= FAR_BARS:
        return "mark far", "error"
    return "mark far", "warning" if apart >= FAR_WARNS else "info"


def _wicks(last: Rows, mark: Rows, pair: Pair, far: Mask) -> Iterator[Finding]:
    """Highs and lows of one beyond the other's."""
    for name in ("high", "low"):
        apart = pair.distance(name)
        for place in np.flatnonzero((np.abs(apart) >= WICK_TOLD) & ~far):
            lonely = (apart[place] > 0.0) == (name == "high")  # the last price went further
            about = last if lonely else mark
            usual = usual_height(pair.right, int(place))
            steep = abs(apart[place]) >= max(WICK, WICK_TIMES * usual)
            text = f"{name} {_against(pair, name, int(place), mark.kind)}"
            text += f" at {when(int(pair.times[place]))}: "
            text += f"a wick of the {'last price' if lonely else mark.kind} alone"
            severity: Severity = "warning" if steep else "info"
            yield about.say("mark wick", severity, pair.span(int(place), int(place)), 1, text)


def _same(mark: Rows, pair: Pair) -> Iterator[Finding]:
    """Bars equal to those of the last price, flat ones left out."""
    same = pair.left.columns["high"] > pair.left.columns["low"]
    moving = int(same.sum())
    for name in PRICES:
        same &= pair.left.columns[name] == pair.right.columns[name]
    equal = int(same.sum())
    if moving >= SAME_LEAST and equal >= SAME_SHARE * moving:
        text = f"{percent(equal / moving)} of the moving bars equal those of the last price"
        text += f": this is no {mark.kind}"
        yield mark.say("mark is last", "error", pair.span(0, len(pair) - 1), equal, text)
        return
    for first, last in runs(same):
        if last - first + 1 >= SAME_BARS:
            text = f"{plural(last - first + 1, 'bar')} in a row equal those of the last price"
            text += ": filled in by somebody"
            yield mark.say("mark is last", "error", pair.span(first, last), last - first + 1, text)


def _against(pair: Pair, name: str, place: int, kind: str) -> str:
    """`323 against mark 119.47, 170 % above`."""
    ours = float(pair.left.columns[name][place])
    theirs = float(pair.right.columns[name][place])
    side = "above" if ours > theirs else "below"
    far = percent(abs(ours / theirs - 1.0))
    return f"{number(ours)} against {kind} {number(theirs)}, {far} {side}"


def marked(last: Rows, marks: Sequence[Rows]) -> Mask:
    """Which bars of the last price have a mark in the data. All must be tidy."""
    known = np.zeros(len(last), np.bool_)
    for mark in marks:
        pair_step = max(last.step, mark.step)
        there = coarser(mark, pair_step) if mark.step < pair_step else mark
        if not len(there):
            continue
        places = np.searchsorted(there.times, last.times, side="right") - 1
        inside = places >= 0
        known |= inside & (last.times < there.times[np.maximum(places, 0)] + pair_step)
    return known


def premium(last: Rows, mark: Rows) -> tuple[Floats, Floats]:
    """log(last / mark) at the close, and the times [ms] those bars close; only where they are near."""
    pair = matched(last, mark)
    apart = pair.distance("close")
    near = np.abs(apart) < FAR
    return apart[near], (pair.times[near] + pair.left.step).astype(np.float64)
