"""Settlements: their stamps, their distances, their size and their sign.

Nothing is assumed about how often a contract settles. The distances found are listed; what is
called missing is a distance no neighbour shares.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bt_margin.market.check.findings import (
    DAY,
    HOUR,
    Finding,
    Severity,
    length,
    listed,
    percent,
    plural,
    runs,
    when,
)
from bt_margin.market.check.rows import Floats, Mask, Rows, Times, distinct

# Venues stamp a settlement some ms (Binance) to about a second (dYdX) after the hour; loaders join
# by the minute. Beyond a minute from the full hour a stamp is wrong.
JITTER = 60_000
# No venue here lets one settlement cost more than 4 % of the position; the most in the real data
# is 2 %. Percent written as fractions reach it at once. Over a long history half of all rates lie
# below 0.02 % there; half above 0.2 % is no market either.
CAP = 0.04
USUAL = 0.002
USUAL_LEAST = 90
EXTREME = 0.01
# A history of one single rate: a warning from CONSTANT settlements, an error when it also lasts
# two months. Real rates do stand at the venue's base rate, at most for 138 settlements (23 days).
CONSTANT = 30
CONSTANT_LONG = 60 * DAY
# Two signs of a sign turned round. The rate follows the premium of the last price over the mark:
# correlation -0.06 to 0.69 by year in the real data (near 0 in years without a premium, which tell
# nothing). And venues fall back on a base rate, which is above 0 everywhere: it is the most common
# rate by far, in 5 to 50 % of all settlements; its negative hardly occurs.
SIGN = -0.15
SIGN_LEAST = 300
BASE_SHARE = 0.05
BASE_LEAST = 20
BASE_TIMES = 10
# A distance is called a missing settlement when it is this many times both neighbours'.
MISSING = 1.5


def check_stamps(rows: Rows) -> Iterator[Finding]:
    """Stamps away from the hour, two within a minute, distances, and settlements that are missing.

    A settlement that is missing among the first or last two cannot be told from a change of the
    interval, nor can every second one for a while; such changes are listed with the intervals.
    """
    times = rows.told
    if not len(times):
        return
    nearest = (times + HOUR // 2) // HOUR * HOUR
    off = np.abs(times - nearest) > JITTER
    for first, last in runs(off):
        text = f"{plural(last - first + 1, 'settlement')} away from the full hour"
        text += f", the first at {when(int(times[first]))}"
        span = int(times[first]), int(times[last])
        yield rows.say("off hour", "error", span, last - first + 1, text)
    near = np.diff(times) < JITTER
    for first, last in runs(near):
        text = f"{plural(last - first + 1, 'settlement')} within a minute of the one before"
        span = int(times[first]), int(times[last + 1])
        yield rows.say("duplicate", "error", span, last - first + 1, text)
    stamps = distinct(nearest[~off])
    if len(stamps) > 1:
        yield from _distances(rows, stamps)


def check_rates(rows: Rows) -> Iterator[Finding]:
    """Rates that are no numbers, percent instead of fractions, extreme, or made up. Any order."""
    rates = rows.columns["funding_rate"]
    unknown = ~np.isfinite(rates)
    for first, last in runs(unknown):
        text = f"{plural(last - first + 1, 'settlement')} whose rate is {rates[first]}"
        span = int(rows.times[first]), int(rows.times[last])
        yield rows.say("rate", "error", span, last - first + 1, text)
    sizes = np.abs(rates[~unknown])
    if not len(sizes):
        return
    times = rows.times[~unknown]
    usual = float(np.median(sizes))
    over = sizes > CAP
    if len(sizes) >= USUAL_LEAST and usual >= USUAL:
        text = f"half of all rates are beyond {percent(usual)}: percent written as fractions?"
        yield rows.say("rate unit", "error", _span(times), len(times), text)
    elif over.any():
        text = f"{plural(int(over.sum()), 'rate')} beyond {percent(CAP)}"
        text += f", up to {percent(sizes.max())}: percent written as fractions?"
        yield rows.say("rate unit", "error", _span(times[over]), over.sum(), text)
    yield from _extremes(rows, times, rates[~unknown])
    yield from _constant(rows, times, rates[~unknown])
    yield from _base(rows, times, rates[~unknown])


def check_sign(rows: Rows, premium: Floats, closes: Floats) -> Iterator[Finding]:
    """Whether rates rise with the premium of the last price over the mark, as they must.

    rows : tidy settlements; premium, closes : of bars, see `marks.premium`; years without a premium
        tell nothing, `check_rates` looks at the base rate as well
    """
    if len(rows) < SIGN_LEAST or len(premium) < 2:
        return
    total = np.concatenate(([0.0], np.cumsum(premium)))
    begin = np.searchsorted(closes, rows.times[:-1], side="right")
    end = np.searchsorted(closes, rows.times[1:] + JITTER, side="right")
    known = end > begin
    if known.sum() < SIGN_LEAST:
        return
    mean = (total[end[known]] - total[begin[known]]) / (end[known] - begin[known])
    rates = np.clip(rows.columns["funding_rate"][1:][known], -EXTREME, EXTREME)
    if mean.std() == 0.0 or rates.std() == 0.0:
        return
    found = float(np.corrcoef(mean, rates)[0, 1])
    if found <= SIGN:
        text = "rates fall when the last price rises above the mark"
        text += f" (correlation {found:.2f}): is the sign turned round?"
        yield rows.say("rate sign", "warning", _span(rows.times), len(rows), text)


def missing_settlements(stamps: Times) -> Mask:
    """Which distances of sorted stamps are `MISSING` times both neighbours'; shape (n − 1,).

    >>> missing_settlements(np.array([0, 8, 16, 32, 40, 48])).tolist()
    [False, False, True, False, False]
    >>> missing_settlements(np.array([0, 8, 16, 20, 24, 28])).tolist()  # the interval changed
    [False, False, False, False, False]
    """
    apart = np.diff(stamps)
    out = np.zeros(len(apart), np.bool_)
    out[1:-1] = apart[1:-1] >= MISSING * np.maximum(apart[:-2], apart[2:])
    return out


def _distances(rows: Rows, stamps: Times) -> Iterator[Finding]:
    apart = np.diff(stamps)
    lost = missing_settlements(stamps)
    for place in np.flatnonzero(lost):
        usual = max(int(apart[place - 1]), int(apart[place + 1]))
        count = max(1, round(int(apart[place]) / usual) - 1)
        a, b = int(stamps[place]), int(stamps[place + 1])
        text = f"{plural(count, 'settlement')} missing between {when(a)} and {when(b)}"
        text += f": {length(b - a)} apart, {length(usual)} before and after"
        due = [a + usual * (number + 1) for number in range(count)]
        confirmed = all(any(start <= at < stop for start, stop in rows.holes) for at in due)
        text += "; the venue has none, asked again and confirmed" if confirmed else ""
        severity: Severity = "info" if confirmed else "error"
        yield rows.say("settlement missing", severity, (due[0], due[-1]), count, text)
    odd = ~lost & ((apart > DAY) | (DAY % apart != 0))
    for first, last in runs(odd):
        text = f"{length(int(apart[first]))} between settlements: no venue's interval"
        span = int(stamps[first]), int(stamps[last + 1])
        yield rows.say("interval", "warning", span, last - first + 1, text)
    sizes, counts = np.unique(apart[~lost], return_counts=True)
    order = np.argsort(-counts)
    words = [f"{length(int(sizes[place]))} × {counts[place]:,}" for place in order]
    text = f"settles every {listed(words)}"
    changes = int((np.diff(apart[~lost]) != 0).sum())
    text += f"; the interval changes {plural(changes, 'time')}" if changes else ""
    yield rows.say("intervals", "info", _span(stamps), len(stamps), text)
    yield from _phase(rows, stamps, int(sizes[order[0]]))


def _phase(rows: Rows, stamps: Times, usual: int) -> Iterator[Finding]:
    """Settlements at other hours than those counted from midnight UTC.

    Half an interval is some venues' habit (04:00, 12:00, 20:00); anything else is a shifted clock.
    """
    phases, counts = np.unique(stamps % usual, return_counts=True)
    phase = int(phases[np.argmax(counts)])
    if not phase or counts.max() < 0.9 * len(stamps):
        return
    hours = sorted({f"{when(int(t))[11:]}" for t in stamps[:48]})
    text = f"settles at {listed(hours, 6)} UTC"
    if 2 * phase == usual:
        yield rows.say("phase", "info", _span(stamps), len(stamps), f"{text}, a venue's habit")
        return
    text += f", {length(phase)} after the hours counted from midnight: is the clock UTC?"
    yield rows.say("phase", "warning", _span(stamps), len(stamps), text)


def _extremes(rows: Rows, times: Times, rates: Floats) -> Iterator[Finding]:
    large = (np.abs(rates) >= EXTREME) & (np.abs(rates) <= CAP)
    if not large.any():
        return
    top = int(np.argmax(np.where(large, np.abs(rates), 0.0)))
    pays = "longs pay" if rates[top] > 0 else "shorts pay"
    text = f"{plural(int(large.sum()), 'settlement')} of {percent(EXTREME)} and more"
    text += f", the largest {percent(rates[top])} at {when(int(times[top]))} ({pays})"
    yield rows.say("rate extreme", "info", _span(times[large]), large.sum(), text)


def _constant(rows: Rows, times: Times, rates: Floats) -> Iterator[Finding]:
    if len(rates) < CONSTANT or (rates != rates[0]).any():
        return
    long = times.max() - times.min() >= CONSTANT_LONG
    text = f"all {len(rates):,} rates are {percent(rates[0])}: made up, or a default written down"
    yield rows.say("rate constant", "error" if long else "warning", _span(times), len(rates), text)


def _base(rows: Rows, times: Times, rates: Floats) -> Iterator[Finding]:
    """The venue's base rate below 0: the sign is turned round."""
    values, counts = np.unique(rates, return_counts=True)
    top = int(np.argmax(counts))
    value, count = float(values[top]), int(counts[top])
    if value >= 0.0 or count == len(rates):
        return
    other = int((rates == -value).sum())
    if count >= max(BASE_LEAST, BASE_SHARE * len(rates)) and count >= BASE_TIMES * other:
        text = (
            f"the most common rate is {percent(value)} ({count:,} of {len(rates):,}), and a venue's"
        )
        text += " base rate is above 0: is the sign turned round?"
        yield rows.say("rate sign", "warning", _span(times), len(rates), text)


def _span(times: Times) -> tuple[int, int]:
    return int(times.min()), int(times.max())
