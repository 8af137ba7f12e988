"""Bars onto another clock: coarser bars made of whole finer ones, and mark bars beside last prices.

A mark bar counts as TRUE where the venue's own marks fill it. What a policy puts in the place of a
missing one is a PROXY and flagged; NaN is MISSING, and the engine judges that bar by its last price.

    fail    a bar without a true mark is `MissingData`
    skip    it stays NaN
    hold    the last known mark, held flat: no look ahead, but no wicks either
    clip    for marks coarser than the bars: the last price's four prices, clipped into the low..high
            of the mark bar around them, which opens and closes as that bar does. Spikes that the mark
            did not follow are cut off. An extreme of the mark that the last price did not reach is
            missed, which errs towards fewer liquidations. Holes without a mark bar stay NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.frames import LAST, bar_step
from bt_margin.market.kinds import Grid

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_NS = 1_000_000
_UNITS = ((604_800_000, "w"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))


def opens_of(frame: pd.DataFrame | pd.Series) -> Times:
    """Open times [UTC epoch ms]; stamps finer than a millisecond lose what is below it."""
    times: Times = pd.DatetimeIndex(frame.index).as_unit("ns").asi8 // _NS
    return times


def index_of(times: Times) -> pd.DatetimeIndex:
    """The canonical index of UTC epoch milliseconds."""
    return pd.DatetimeIndex((times * _NS).astype("datetime64[ns]"), tz="UTC", name="timestamp")


def step_of(frame: pd.DataFrame, timeframe: str | None) -> int:
    """Length of a bar in ms: the timeframe's, else the usual distance of two bars."""
    return Grid.of(timeframe).step if timeframe else bar_step(frame.index) // _NS


def name_of(step: int) -> str:
    """The timeframe of a length in ms.

    >>> name_of(3_600_000), name_of(300_000), name_of(86_400_000)
    ('1h', '5m', '1d')
    """
    size, unit = next(((s, u) for s, u in _UNITS if step % s == 0), (1, "ms"))
    return f"{step // size}{unit}"


def coarser(frame: pd.DataFrame, step: int, timeframe: str, where: str) -> tuple[pd.DataFrame, int]:
    """Bars of a coarser timeframe, and how many were left out because a part of them is missing.

    frame : open, high, low, close and, if there, volume; bars of `step` ms by open time
    Each bar is the first open, highest high, lowest low, last close and the sum of the volumes of
    all its finer bars; a bar is made of all of them or not at all.

    >>> index = pd.date_range("2024-01-01", periods=5, freq="30min", tz="UTC")
    >>> fine = pd.DataFrame({n: [1.0, 2.0, 3.0, 4.0, 5.0] for n in LAST}, index)
    >>> bars, partial = coarser(fine, 1_800_000, "1h", "BTC")
    >>> bars["open"].tolist(), bars["close"].tolist(), partial
    ([1.0, 3.0], [2.0, 4.0], 1)

    :raises InputError: the finer bars are coarser than the timeframe, or do not divide it.
    """
    grid = Grid.of(timeframe)
    if grid.step == step:
        return frame, 0
    if grid.step < step:
        todo = "ask for a coarser timeframe or download the finer one"
        raise InputError(message("bars coarser than asked", name_of(step), timeframe, where, todo))
    if grid.step % step:
        raise InputError(
            message(
                "bars do not divide the timeframe", name_of(step), f"parts of {timeframe}", where
            )
        )
    times = opens_of(frame)
    away = (times - grid.anchor) % grid.step
    cells, first, counts = np.unique(times - away, return_index=True, return_counts=True)
    if not len(cells):
        return frame, 0
    stray = np.add.reduceat((away % step != 0).astype(np.int64), first)
    whole = (counts == grid.step // step) & (stray == 0)
    last = first + counts - 1
    values = {name: frame[name].to_numpy(dtype=np.float64) for name in frame.columns}
    made = {
        "open": values["open"][first],
        "high": np.maximum.reduceat(values["high"], first),
        "low": np.minimum.reduceat(values["low"], first),
        "close": values["close"][last],
    }
    if "volume" in values:
        made["volume"] = np.add.reduceat(values["volume"], first)
    out = pd.DataFrame({name: column[whole] for name, column in made.items()})
    return out.set_axis(index_of(cells[whole]), axis=0), int((~whole).sum())


@dataclass(frozen=True, slots=True)
class Placed:
    """Marks on bars.

    prices : (n_bars, 4) open, high, low, close; NaN in all four where missing
    proxy : (n_bars,) made by a policy, not by the venue
    step : length of the marks they come from [ms], 0 without any
    around : mark bars that were clipped into; 0 but for `clip`
    missed : those of them whose high or low no clipped bar reaches
    furthest : by how much at most, as a fraction of the mark
    """

    prices: Floats
    proxy: Flags
    step: int
    around: int = 0
    missed: int = 0
    furthest: float = 0.0

    @property
    def missing(self) -> Flags:
        """Bars without any mark."""
        gaps: Flags = np.isnan(self.prices[:, 3])
        return gaps

    @property
    def longest(self) -> int:
        """Most bars in a row without a true mark."""
        absent = np.concatenate(([False], self.missing | self.proxy, [False]))
        edges = np.flatnonzero(absent[1:] != absent[:-1])
        return int((edges[1::2] - edges[::2]).max(initial=0))


def place_marks(
    last: pd.DataFrame,
    timeframe: str,
    mark: pd.DataFrame | None,
    step: int,
    policy: str,
    where: str,
) -> Placed:
    """Marks of any timeframe on the bars of `last`, missing ones by the policy (not `fail`).

    last : the bars, of `timeframe`
    mark : open, high, low, close of the mark by open time, bars of `step` ms; None without any

    :raises InputError: neither of the two timeframes is a multiple of the other.
    """
    count, bar = len(last), Grid.of(timeframe).step
    prices = np.full((count, 4), np.nan)
    if mark is None or mark.empty:
        return Placed(prices, np.zeros(count, dtype=bool), 0)
    mark = mark[list(LAST)]
    unreached = np.empty(0)
    if step <= bar:
        true, _ = coarser(mark, step, timeframe, f"marks of {where}")
        prices = true.reindex(last.index).to_numpy(dtype=np.float64, copy=True)
    elif step % bar:
        allowed = f"parts or multiples of {timeframe}"
        raise InputError(message("marks do not fit the bars", name_of(step), allowed, where))
    absent = np.isnan(prices[:, 3])
    if policy == "hold":
        prices[absent] = _held(opens_of(last)[absent], mark, step)
    elif policy == "clip" and step > bar:
        prices, unreached = _clipped(last, bar, mark, step)
    proxy = absent & ~np.isnan(prices[:, 3])
    missed, furthest = int((unreached > 0).sum()), float(unreached.max(initial=0.0))
    return Placed(prices, proxy, step, len(unreached), missed, furthest)


def _held(times: Times, mark: pd.DataFrame, step: int) -> Floats:
    """(n, 4) the mark known at each time: the open of the bar around it, else the close before."""
    starts = opens_of(mark)
    place = np.searchsorted(starts, times, side="right") - 1
    before = np.maximum(place, 0)
    inside = times < starts[before] + step
    known = np.where(inside, mark["open"].to_numpy()[before], mark["close"].to_numpy()[before])
    known[place < 0] = np.nan
    return np.repeat(known[:, None], 4, axis=1)


def _clipped(last: pd.DataFrame, bar: int, mark: pd.DataFrame, step: int) -> tuple[Floats, Floats]:
    """(n, 4) last prices inside the mark bars around them.

    Second, for each mark bar used, how far its high or low lies beyond all clipped prices, as a
    fraction of it; 0 where both are reached.
    """
    times, starts = opens_of(last), opens_of(mark)
    place = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    first, high, low, close = (mark[name].to_numpy()[place] for name in LAST)
    out = np.clip(last[list(LAST)].to_numpy(dtype=np.float64), low[:, None], high[:, None])
    start = times == starts[place]
    end = times + bar == starts[place] + step
    out[start, 0] = first[start]
    out[end, 3] = close[end]
    out[:, 1] = out.max(axis=1)
    out[:, 2] = out.min(axis=1)
    inside = (times >= starts[place]) & (times + bar <= starts[place] + step)
    out[~inside] = np.nan
    used, group = np.unique(place[inside], return_inverse=True)
    top, bottom = np.zeros(len(used)), np.full(len(used), np.inf)
    np.maximum.at(top, group, out[inside, 1])
    np.minimum.at(bottom, group, out[inside, 2])
    above = 1.0 - top / mark["high"].to_numpy()[used]
    below = bottom / mark["low"].to_numpy()[used] - 1.0
    return out, np.maximum(above, below)
