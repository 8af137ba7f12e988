"""The market of one server: its coins, its clock, and pages cut from its history."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import nan
from typing import NamedTuple

import pandas as pd
from market.loopback.history import (
    DAY,
    Bars,
    Coin,
    Settlements,
    base_bars,
    coarser,
    frame_of,
    settlements,
)

from bt_margin.market.kinds import BAR_COLUMNS, BAR_KINDS, FUNDING_COLUMNS, Grid

Render = Callable[..., list[str]]
OVERLAP = 5  # rows an overlapping page reaches back


class Cut(NamedTuple):
    """Rows in rising order, and the few before them."""

    rows: list[str]
    before: list[str]


class Hall:
    """What a venue holds. `now` is its clock; what is after it does not exist yet.

    page : no page of bars has more rows than this, whatever the venue usually sends
    """

    def __init__(self, coins: Sequence[Coin], now: int, *, spare: int = 40 * DAY):
        self.coins = {coin.symbol: replace(coin) for coin in coins}  # a server changes its own
        self.now = now
        self.horizon = now + spare
        self.page: int | None = None
        self._lock = threading.RLock()
        self._bars: dict[tuple[str, str, str], Bars] = {}
        self._settled: dict[str, Settlements] = {}

    def bars(self, symbol: str, kind: str, timeframe: str) -> Bars:
        """All bars of a series, the future ones too; made once."""
        key = (symbol, kind, timeframe)
        with self._lock:
            if key not in self._bars:
                coin = self.coins[symbol]
                fine = timeframe == coin.base_bar
                self._bars[key] = (
                    base_bars(coin, kind, self.horizon)
                    if fine
                    else coarser(self.bars(symbol, kind, coin.base_bar), timeframe)
                )
            return self._bars[key]

    def settled(self, symbol: str) -> Settlements:
        """All settlements of a coin, the future ones too; made once."""
        with self._lock:
            if symbol not in self._settled:
                coin = self.coins[symbol]
                mark = self.bars(symbol, "mark", coin.base_bar)
                self._settled[symbol] = settlements(coin, self.horizon, mark)
            return self._settled[symbol]

    def cut(
        self,
        series: tuple[str, str, str],
        render: Render,
        *,
        start: int | None = None,
        stop: int | None = None,
        limit: int = 500,
        newest: bool = False,
    ) -> Cut:
        """At most `limit` rows with start <= open < stop: the oldest of them, or the newest.

        The last row may be the bar that is still forming. Without a start it is always the newest.
        """
        bars = self.bars(*series)
        limit = min(limit, self.page or limit)
        step = Grid.of(series[2]).step
        end = bisect_right(bars.clock, self.now)
        i = 0 if start is None else bisect_left(bars.clock, start, 0, end)
        j = end if stop is None else bisect_left(bars.clock, stop, 0, end)
        i, j = (max(i, j - limit), j) if newest or start is None else (i, min(j, i + limit))
        forming = j == end and i < j and bars.clock[j - 1] + step > self.now
        rows = bars.rows(i, j - forming, render)
        if forming:
            rows.append(bars.forming(j - 1, render))
        return Cut(rows, bars.rows(i - OVERLAP, i, render))

    def settlements_between(
        self, symbol: str, start: int | None, stop: int | None, limit: int, *, newest: bool = False
    ) -> list[int]:
        """Places of the settlements with start <= stamp < stop: the oldest, or the newest."""
        times = self.settled(symbol).times
        end = bisect_right(times, self.now)
        i = 0 if start is None else bisect_left(times, start, 0, end)
        j = end if stop is None else bisect_left(times, stop, 0, end)
        return list(range(i, j))[-limit:] if newest or start is None else list(range(i, j))[:limit]

    def held(self, symbol: str, kind: str, timeframe: str, start: int, stop: int) -> pd.DataFrame:
        """The closed bars or the settlements in [start, stop), as floats of what is served."""
        if kind not in BAR_KINDS:
            return self._settlements_held(symbol, start, stop)
        bars, step = self.bars(symbol, kind, timeframe), Grid.of(timeframe).step
        i = bisect_left(bars.clock, start)
        j = bisect_left(bars.clock, min(stop, self.now - step + 1))
        columns = dict(zip(BAR_COLUMNS, bars.floats(i, max(i, j)), strict=True))
        if kind != "ohlcv":
            columns["volume"] = [0.0] * len(columns["open"])
        return frame_of(bars.clock[i : max(i, j)], columns)

    def _settlements_held(self, symbol: str, start: int, stop: int) -> pd.DataFrame:
        settled = self.settled(symbol)
        places = self.settlements_between(symbol, start, stop, 10**9)
        rates = [settled.rates[place] / 1e12 for place in places]
        marks = [settled.marks[place] / 1e8 or nan for place in places]
        columns = dict(zip(FUNDING_COLUMNS, (rates, marks), strict=True))
        return frame_of([settled.times[place] for place in places], columns)

    def forget(self, symbol: str) -> None:
        """Make the series of a coin anew, after it changed."""
        with self._lock:
            self._bars = {key: bars for key, bars in self._bars.items() if key[0] != symbol}
            self._settled.pop(symbol, None)
