"""Two series of bars side by side: made equally long where one is finer, joined by open time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bt_margin.market.check.rows import Floats, Rows, Times, origin, phase_of


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tidy series at their common opens; `left` and `right` have the same times."""

    left: Rows
    right: Rows

    def __len__(self) -> int:
        return len(self.left)

    @property
    def times(self) -> Times:
        """The common opens."""
        return self.left.times

    def distance(self, name: str) -> Floats:
        """log(left / right) of one column; shape (n,)."""
        out: Floats = np.log(self.left.columns[name] / self.right.columns[name])
        return out

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The opens at two places."""
        return int(self.times[first]), int(self.times[last])


def matched(left: Rows, right: Rows) -> Pair:
    """Both at the coarser one's opens, as far as both have them."""
    step = max(left.step, right.step)
    base = _base(left if left.step == step else right)
    a = coarser(left, step, base) if left.step < step else left
    b = coarser(right, step, base) if right.step < step else right
    _, at_a, at_b = np.intersect1d(a.times, b.times, assume_unique=True, return_indices=True)
    return Pair(_taken(a, at_a), _taken(b, at_b))


def coarser(rows: Rows, step: int, base: int | None = None) -> Rows:
    """Bars of `step` ms made of finer ones; only those whose finer bars are all there.

    base : any open of the coarser grid [ms]; by default counted from midnight UTC
    A step that is no multiple of the finer one gives no bars.
    """
    ratio, rest = divmod(step, rows.step)
    start = origin(rows) if base is None else base
    if rest or not len(rows) or (_base(rows) - start) % rows.step:
        return _taken(rows, np.zeros(0, np.int64))
    slots = (rows.times - start) // step
    firsts = np.flatnonzero(np.concatenate(([True], np.diff(slots) > 0)))
    counts = np.diff(np.concatenate((firsts, [len(rows)])))
    lasts = firsts + counts - 1
    columns = {
        "open": rows.columns["open"][firsts],
        "high": np.maximum.reduceat(rows.columns["high"], firsts),
        "low": np.minimum.reduceat(rows.columns["low"], firsts),
        "close": rows.columns["close"][lasts],
    }
    made = replace(
        rows, times=slots[firsts] * step + start, columns=columns, timeframe="", _step=[step]
    )
    return made.kept(counts == ratio)


def _base(rows: Rows) -> int:
    return origin(rows) + phase_of(rows)


def _taken(rows: Rows, places: Times) -> Rows:
    columns = {name: values[places] for name, values in rows.columns.items()}
    return replace(rows, times=rows.times[places], columns=columns, _step=[rows.step])
