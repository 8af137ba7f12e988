"""Paths a market could have taken: its own bars in another order, in blocks, all symbols together.

The stationary bootstrap of Politis and Romano (1994): blocks of bars of random length, geometric with a mean
that is chosen, begin at random places of the history and are put one behind the other. Every symbol takes the
same bars, so what moved together moves together; a bar is taken whole and scaled by one number,

    p'(t) = p(s) · c'(t − 1) / c(s − 1)        s: the bar of the history that stands at t; c: the close

so gaps, wicks, the mark and its distance from the last price stay as they were, in shares of the price, and
so do the settled funding rates. A block begins at the time of day of the bar it stands for: settlements stay
on their clock and the rhythm of the day is kept.

What is lost: dependence longer than a block, and the order of regimes. A history without a crash gives paths
without one; lay crashes over it with :mod:`bt_margin.studies.shocks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.frames import FUNDING, LAST, MARK, plain_index
from bt_margin.studies.bend import step_of

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

BLOCK = "5D"
DAY = 86_400_000_000_000  # ns
LEAST = 50  # bars: fewer are no history


class Bootstrap:
    """The blocks of a market, from which any number of paths is drawn; each path is made when asked for.

    frames : canonical frames by symbol, of one bar length; only times that all of them have are used
    block : mean length of a block, a length of time ("5D", "12h")
    bars : length of a path (None: as many as the history gives)

    :raises InputError: frames of different bar lengths, too little in common, or no such length.

    >>> from bt_margin.market.synthetic import generate_market
    >>> drawn = Bootstrap(generate_market(hours=480))
    >>> path = drawn.path(seed=1, number=0)
    >>> len(path["BTC/USDT:USDT"]), path["BTC/USDT:USDT"].equals(drawn.path(1, 0)["BTC/USDT:USDT"])
    (480, True)
    """

    def __init__(
        self, frames: Mapping[str, pd.DataFrame], *, block: str = BLOCK, bars: int | None = None
    ) -> None:
        index, self.step = _common(frames)
        self._times = index.as_unit("ns").asi8
        self.block = _length(block, self.step)
        follows = np.flatnonzero(np.diff(self._times) == self.step) + 1
        if len(follows) < LEAST:
            raise InputError(
                f"the history gives {len(follows)} bars that follow each other in all symbols; "
                f"a bootstrap needs at least {LEAST}"
            )
        self.bars = len(follows) + 1 if bars is None else bars
        if self.bars < 2:
            raise InputError(message("bars of a path", bars, "2 or more"))
        day = DAY if DAY % self.step == 0 else self.step
        self._phases = (self._times % day) // self.step
        self._cycle = day // self.step
        self._of_phase = self._sorted(follows)
        self._next = self._chain(follows)
        self._symbols = {symbol: _Symbol(frame, index) for symbol, frame in frames.items()}

    def _sorted(self, follows: Places) -> list[Places]:
        """The usable rows of every time of day, in order of time."""
        own = self._phases[follows]
        order = np.argsort(own, kind="stable")
        edges = np.searchsorted(own[order], np.arange(1, self._cycle))
        return np.split(follows[order], edges)

    def _chain(self, follows: Places) -> Places:
        """The bar behind each bar: the next one, or where there is a hole one of the right time of day."""
        chain = np.arange(1, len(self._times) + 1)
        known = np.zeros(len(self._times) + 1, dtype=bool)
        known[follows] = True
        for row in np.flatnonzero(~known[chain]):
            chain[row] = self._after(int(row))
        return chain

    def _after(self, row: int) -> int:
        """The first usable bar behind a row, around the end, at the next time of day."""
        places = self._of_phase[int((self._phases[row] + 1) % self._cycle)]
        if not len(places):
            raise InputError(
                "the history has no bar at some times of the day; a bootstrap needs whole days"
            )
        behind = int(np.searchsorted(places, row, side="right"))
        return int(places[behind % len(places)])

    def rows(self, seed: int, number: int) -> Places:
        """The rows of the history that stand at the bars of a path: a function of seed and number alone."""
        luck = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=(number,)))
        )
        begin = int(self._phases[0])
        rows = np.empty(self.bars, dtype=np.int64)
        at = 0
        while at < self.bars:
            places = self._of_phase[(begin + at) % self._cycle]
            if not len(places):
                raise InputError(
                    "the history has no bar at some times of the day; a bootstrap needs whole days"
                )
            row = int(places[luck.integers(len(places))])
            for _ in range(min(int(luck.geometric(1.0 / self.block)), self.bars - at)):
                rows[at] = row
                row = int(self._next[row])
                at += 1
        return rows

    def path(self, seed: int, number: int) -> dict[str, pd.DataFrame]:
        """One path, as canonical frames: from the history's first bar on, and its first close."""
        rows = self.rows(seed, number)
        begun = int(self._times[0])
        times = (begun + self.step * np.arange(self.bars)).astype("datetime64[ns]")
        index = plain_index(pd.DatetimeIndex(times).tz_localize("UTC"))
        told = f"path {number} of seed {seed}, blocks of {self.block:g} bars"
        return {name: each.along(rows, index, told) for name, each in self._symbols.items()}

    def paths(self, seed: int, count: int) -> Iterator[dict[str, pd.DataFrame]]:
        """So many paths, one at a time; none is kept."""
        for number in range(count):
            yield self.path(seed, number)


class _Symbol:
    """One symbol's bars in shares of the close before them."""

    def __init__(self, frame: pd.DataFrame, index: pd.DatetimeIndex) -> None:
        own = frame.reindex(index)
        self.names: list[str] = [name for name in (*LAST, *MARK) if name in own]
        prices = own[self.names].to_numpy(dtype=np.float64)
        close = own["close"].to_numpy(dtype=np.float64)
        self.first = float(close[0])
        self.shares = np.full_like(prices, np.nan)
        self.shares[1:] = prices[1:] / close[:-1, None]
        self.grown = self.shares[:, self.names.index("close")]
        self.kept = {n: own[n].to_numpy(dtype=np.float64) for n in ("volume", FUNDING) if n in own}
        gone = ("delisted",)
        self.attrs = {str(n): v for n, v in frame.attrs.items() if n not in gone}

    def along(self, rows: Places, index: pd.DatetimeIndex, told: str) -> pd.DataFrame:
        """The bars of these rows, one behind the other."""
        close = self.first * np.cumprod(self.grown[rows])
        before = np.concatenate(([self.first], close[:-1]))
        prices = self.shares[rows] * before[:, None]
        prices[:, self.names.index("close")] = close
        columns = {name: prices[:, place] for place, name in enumerate(self.names)}
        low, high = (
            columns["low"],
            columns["high"],
        )  # the close is a product of its own, to the last digit
        columns["low"], columns["high"] = np.minimum(low, close), np.maximum(high, close)
        order = [*LAST, "volume", *self.names[len(LAST) :], FUNDING]
        columns |= {name: values[rows] for name, values in self.kept.items()}
        frame = pd.DataFrame({n: columns[n] for n in order if n in columns}, index=index)
        frame.attrs.update(self.attrs)
        frame.attrs.update({"synthetic": True, "bootstrap": told})
        return frame


def _common(frames: Mapping[str, pd.DataFrame]) -> tuple[pd.DatetimeIndex, int]:
    """The times that all frames have, and the length of a bar in ns."""
    if not frames:
        raise InputError("the market is empty; a bootstrap needs at least one symbol")
    steps = {symbol: step_of(frame) for symbol, frame in frames.items()}
    if len(set(steps.values())) > 1:
        told = ", ".join(f"{name} {pd.Timedelta(step)}" for name, step in steps.items())
        raise InputError(
            f"the symbols have bars of different lengths: {told}; give them one length"
        )
    index: Any = None
    for frame in frames.values():
        index = frame.index if index is None else index.intersection(frame.index)
    return pd.DatetimeIndex(index).sort_values(), next(iter(steps.values()))


def _length(block: str, step: int) -> float:
    """The mean length of a block in bars. :raises InputError: no length of time, or less than a bar."""
    try:
        bars = pd.Timedelta(block) / pd.Timedelta(step)
    except (ValueError, TypeError) as error:
        raise InputError(message("block", repr(block), 'a length of time, e.g. "5D"')) from error
    if not bars >= 1.0:
        raise InputError(message("block", repr(block), f"at least one bar of {pd.Timedelta(step)}"))
    return float(bars)
