"""Whether two sources keep the same clock: the lag at which their returns agree.

For a block of bars the returns from open to open of the coarser source are compared with those of
the finer one, read at the same instants and at instants moved by a lag:

    c(L) = correlation of log(a(t + step) / a(t)) and log(b(t + L + step) / b(t + L))

Two prices of one thing agree at L = 0. A clock set wrong shows as c(0) near nothing and c(L) near 1
at its lag, in all blocks or, with daylight saving, in those of half the year.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bt_margin.market.check.findings import HOUR
from bt_margin.market.check.rows import Floats, Rows, Times, sample

# A block is suspected below AGREE (real blocks of one symbol, last against mark or venue against
# venue, stay above 0.97), and a lag is believed when it explains at least BELIEVED and GAINED more
# than no lag. 48 pairs are the least: chance alone reaches 0.45 among the lags tried.
AGREE = 0.8
BELIEVED = 0.6
GAINED = 0.25
LEAST = 48
_BLOCKS = 8
_LONGEST = 480
_HALF_HOURS = 28


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch in which b's stamps are `lag` ms late (negative: early) against a's.

    agreement, aligned : correlation of the returns as they stand, and with the lag taken out;
    the middle of the blocks
    """

    start: int
    stop: int
    lag: int
    agreement: float
    aligned: float
    count: int


def shifts(a: Rows, b: Rows) -> list[Shift]:
    """Where b keeps another clock than a; empty when they agree or too little can be compared.

    Both must be tidy bars. A start or an end is known to a block: an eighth of the common
    history, 60 to 480 bars of the coarser source.
    """
    if b.step > a.step:
        return [_turned(each) for each in shifts(b, a)]
    returns, opens, valid = _returns(a)
    blocks = _blocks(a, b, opens)
    if not len(blocks):
        return []
    base = _correlations(returns, _moved(a, b, opens, 0), valid, blocks)
    suspects = np.flatnonzero(np.nan_to_num(base, nan=0.0) < AGREE)
    if not len(suspects):
        return []
    chosen = [blocks[place] for place in suspects]
    lags = candidates(a.step, b.step)
    found = np.array(
        [_correlations(returns, _moved(a, b, opens, lag), valid, chosen) for lag in lags]
    )
    best = np.nan_to_num(found, nan=-1.0)
    winner = best.argmax(axis=0)
    verdicts: list[Shift] = []
    for number, (place, row) in enumerate(zip(suspects, winner, strict=True)):
        block = chosen[number]
        top, zero = float(best[row, number]), float(np.nan_to_num(base[place]))
        if top >= BELIEVED and top - zero >= GAINED:
            span = int(opens[block[0]]), int(opens[block[1] - 1])
            verdicts.append(Shift(*span, lags[row], zero, top, block[1] - block[0]))
    return _merged(verdicts, a.step)


def candidates(coarse: int, fine: int) -> list[int]:
    """The lags tried [ms], on the finer grid: up to three bars, half hours to 14 h, hours to a day.

    >>> [lag // 3_600_000 for lag in candidates(8 * 3_600_000, 4 * 3_600_000)]
    [-24, -20, -16, -12, -8, -4, 4, 8, 12, 16, 20, 24]
    """
    sizes = {k * size for size in (coarse, fine) for k in (1, 2, 3)}
    sizes |= {k * HOUR // 2 for k in range(1, _HALF_HOURS + 1)}
    sizes |= {k * HOUR for k in range(1, 25)}
    fitting = sorted(size for size in sizes if size % fine == 0)
    return [-size for size in reversed(fitting)] + fitting


def _returns(rows: Rows) -> tuple[Floats, Times, Floats]:
    """Log returns open to open, the opens they begin at, and 1.0 where the two bars are neighbours."""
    opens = rows.columns["open"]
    joined = (np.diff(rows.times) == rows.step).astype(np.float64)
    return np.log(opens[1:] / opens[:-1]), rows.times[:-1], joined


def _moved(a: Rows, b: Rows, opens: Times, lag: int) -> Floats:
    begin = sample(b, "open", opens + lag)
    end = sample(b, "open", opens + lag + a.step)
    return np.log(end / begin)


def _blocks(a: Rows, b: Rows, opens: Times) -> list[tuple[int, int]]:
    """Half-open stretches of places inside the common history."""
    if not len(opens) or len(b) < LEAST:
        return []
    first = int(np.searchsorted(opens, b.times[0]))
    last = int(np.searchsorted(opens, b.times[-1]))
    size = min(_LONGEST, max(60, (last - first) // _BLOCKS))
    count = (last - first) // size
    if count < 1:
        return [(first, last)] if last - first >= LEAST else []
    edges = np.linspace(first, last, count + 1).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def _correlations(x: Floats, y: Floats, valid: Floats, blocks: list[tuple[int, int]]) -> Floats:
    """Correlation of x and y in each block; NaN below LEAST pairs, or where one does not move."""
    out = np.full(len(blocks), np.nan)
    for number, (first, last) in enumerate(blocks):
        part = slice(first, last)
        good = np.isfinite(y[part]) & (valid[part] > 0.0)
        if good.sum() < LEAST:
            continue
        u, v = x[part][good], y[part][good]
        u, v = u - u.mean(), v - v.mean()
        scale = float(np.sqrt((u * u).sum() * (v * v).sum()))
        if scale > 0.0:
            out[number] = float((u * v).sum()) / scale
    return out


def _turned(each: Shift) -> Shift:
    return Shift(
        each.start, each.stop, -each.lag, each.agreement, each.aligned, each.count
    )  # fmt: skip


def _merged(verdicts: list[Shift], step: int) -> list[Shift]:
    """Neighbouring blocks of the same lag as one."""
    out: list[Shift] = []
    for each in verdicts:
        if out and out[-1].lag == each.lag and each.start - out[-1].stop <= 2 * step:
            old = out.pop()
            count = old.count + each.count
            share = each.count / count
            out.append(
                Shift(
                    old.start, each.stop, each.lag,
                    old.agreement + share * (each.agreement - old.agreement),
                    old.aligned + share * (each.aligned - old.aligned),
                    count,
                )
            )  # fmt: skip
        else:
            out.append(each)
    return out
