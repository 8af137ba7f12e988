"""What a server holds: bars, settlements and tiers of invented coins, the same for the same seed.

Prices are whole ticks. What is served is `ticks / 10**digits` written out, and what a test compares
with is the float of that very string, which is the same division rounded once.

    fair path     p[i] = price · exp(Σ r),  r normal, one draw per base bar
    index         the fair path;  mark: a little beside it;  last: a little further, with longer wicks
    coarser bars  made of the base bars: first open, highest high, lowest low, last close, summed volume

Every quantity has a generator of its own, so a longer history begins with the shorter one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bt_margin.market.kinds import BAR_KINDS, Grid, Span

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BESIDE = {"ohlcv": 6e-4, "mark": 2e-4, "index": 0.0}  # how far a kind strays from the fair path
WICK = {"ohlcv": 1.0, "mark": 0.6, "index": 0.5}
SIGMA = 6e-4  # of one minute's log return
FORMING = 3  # ticks by which a bar that is still forming differs from what it will be


def ms(text: str) -> int:
    """Epoch milliseconds of a date in UTC: `2024-01-01` or `2024-01-01 08:30`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


class Outage(NamedTuple):
    """A stretch [start, stop) for which a venue has no bars of these kinds."""

    start: int
    stop: int
    kinds: tuple[str, ...] = BAR_KINDS


class Tier(NamedTuple):
    """A step of a maintenance table; `floor` and `cap` are notional, and a cap of None is endless."""

    floor: float
    cap: float | None
    rate: float
    leverage: float


TIERS = (
    Tier(0, 50_000, 0.004, 125),
    Tier(50_000, 600_000, 0.005, 100),
    Tier(600_000, 3_000_000, 0.01, 50),
    Tier(3_000_000, 12_000_000, 0.025, 20),
    Tier(12_000_000, None, 0.05, 10),
)


@dataclass
class Coin:
    """One market of a server. Times are epoch ms; the newest bar is decided by the server's clock.

    settle : "" takes the quote (linear); the base makes it inverse; None makes it a spot market
    listed, delisted : the first base bar, and the time trading ended
    gone : whether the venue lists it no more (its history is refused as well)
    base_bar : the finest timeframe the server has; coarser ones are made of it
    funding : (from, hours): the interval of settlements from that time on; () as the venue has it
    unsettled : stretches whose settlements the venue has lost
    marks_from : older settlements are told without the mark they were made at
    jitter : settlements come up to so many ms after their hour; None as the venue has it
    """

    base: str = "BTC"
    quote: str = "USDT"
    settle: str | None = ""
    listed: int = 1_704_067_200_000
    delisted: int | None = None
    gone: bool = False
    price: float = 30_000.0
    digits: int = 1
    volume_digits: int = 3
    mark_digits: int = 8
    base_bar: str = "1m"
    outages: tuple[Outage, ...] = ()
    funding: tuple[tuple[int, int], ...] = ()
    jitter: int | None = None
    unsettled: tuple[Span, ...] = ()
    marks_from: int = 0
    tiers: tuple[Tier, ...] = TIERS
    contract_size: float | None = None
    seed: int = 1
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """ccxt's unified symbol."""
        pair = f"{self.base}/{self.quote}"
        return pair if self.settle is None else f"{pair}:{self.settle or self.quote}"

    @property
    def spot(self) -> bool:
        return self.settle is None

    @property
    def inverse(self) -> bool:
        return self.settle == self.base

    @property
    def active(self) -> bool:
        return self.delisted is None

    def generator(self, what: str) -> np.random.Generator:
        """A generator for one quantity of this coin."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.symbol} {what}".encode())])


class Bars:
    """Bars of one kind and timeframe as whole ticks, and the strings they are served as."""

    BLOCK = 2048

    def __init__(self, times: Any, ticks: Any, volume: Any, digits: int, volume_digits: int):
        self.times, self.ticks, self.volume = times, ticks, volume
        self.digits, self.volume_digits = digits, volume_digits
        self.clock: list[int] = times.tolist()
        self._blocks: dict[int, list[str]] = {}

    def floats(self, i: int, j: int) -> list[list[float]]:
        """Open, high, low, close and volume of the rows i to j."""
        scale, lots = 10.0**self.digits, 10.0**self.volume_digits
        return [*(self.ticks[i:j] / scale).T.tolist(), (self.volume[i:j] / lots).tolist()]

    def rows(self, i: int, j: int, render: Any) -> list[str]:
        """The rows i to j as strings in rising order, rendered once."""
        i, j = max(i, 0), min(j, len(self.clock))
        found: list[str] = []
        for block in range(i // self.BLOCK, -(-j // self.BLOCK)):
            start = block * self.BLOCK
            if block not in self._blocks:
                stop = min(start + self.BLOCK, len(self.clock))
                self._blocks[block] = render(self.clock[start:stop], *self.floats(start, stop))
            found += self._blocks[block][max(i - start, 0) : j - start]
        return found

    def forming(self, i: int, render: Any) -> str:
        """The row i as it looks before its time is over: another close, and half the volume."""
        ticks, volume = self.ticks[i : i + 1].copy(), self.volume[i : i + 1] // 2
        ticks[:, 3] += FORMING
        ticks[:, 1] = np.maximum(ticks[:, 1], ticks[:, 3])
        now = Bars(self.times[i : i + 1], ticks, volume, self.digits, self.volume_digits)
        return str(render(now.clock, *now.floats(0, 1))[0])

    def revise(self, time: int, ticks: int) -> None:
        """The venue corrects a closed bar: its close and high move by so many ticks."""
        i = self.clock.index(time)
        self.ticks[i, 3] += ticks
        self.ticks[i, 1] = max(self.ticks[i, 1:4].max(), self.ticks[i, 0])
        self.ticks[i, 2] = min(self.ticks[i, 2:4].min(), self.ticks[i, 0])
        self._blocks.pop(i // self.BLOCK, None)


def fair_path(coin: Coin, count: int) -> Any:
    """Prices at the edges of `count` base bars; count + 1 numbers."""
    minutes = Grid.of(coin.base_bar).step / MINUTE
    r = coin.generator("fair").standard_normal(count) * SIGMA * np.sqrt(minutes)
    return coin.price * np.exp(np.clip(np.concatenate([[0.0], np.cumsum(r)]), -2.5, 2.5))


def base_bars(coin: Coin, kind: str, horizon: int) -> Bars:
    """The finest bars of a kind from the listing to the horizon, outages left out."""
    grid = Grid.of(coin.base_bar)
    first, stop = grid.floor(coin.listed), grid.ceil(min(horizon, coin.delisted or horizon))
    count = max(0, (stop - first) // grid.step)
    times = first + grid.step * np.arange(count, dtype=np.int64)
    fair = fair_path(coin, count)
    beside = coin.generator(f"{kind} beside").standard_normal(count + 1) * BESIDE[kind]
    path = fair * np.exp(beside)
    wick = SIGMA * np.sqrt(grid.step / MINUTE) * WICK[kind]
    up = np.abs(coin.generator(f"{kind} up").standard_normal(count)) * wick
    down = np.abs(coin.generator(f"{kind} down").standard_normal(count)) * wick
    opens, closes = path[:-1], path[1:]
    highs, lows = np.maximum(opens, closes) * (1 + up), np.minimum(opens, closes) / (1 + down)
    digits = coin.digits if kind == "ohlcv" else coin.mark_digits
    ticks = np.rint(np.stack([opens, highs, lows, closes], axis=1) * 10**digits).astype(np.int64)
    volume = np.zeros(count, dtype=np.int64)
    if kind == "ohlcv":
        drawn = coin.generator("volume").lognormal(3.0, 1.0, count)
        volume = np.maximum(np.rint(drawn * 10**coin.volume_digits).astype(np.int64), 2)
    there = np.ones(count, dtype=bool)
    for outage in coin.outages:
        if kind in outage.kinds:
            there &= (times < outage.start) | (times >= outage.stop)
    return Bars(times[there], ticks[there], volume[there], digits, coin.volume_digits)


def coarser(fine: Bars, timeframe: str) -> Bars:
    """Bars of a timeframe made of finer ones; a bar without any finer one is not there."""
    grid = Grid.of(timeframe)
    opens = fine.times - (fine.times - grid.anchor) % grid.step
    first = np.flatnonzero(np.diff(opens, prepend=-1))
    if not len(first):
        return fine
    last = np.append(first[1:], len(opens)) - 1
    ticks = np.stack(
        [
            fine.ticks[first, 0],
            np.maximum.reduceat(fine.ticks[:, 1], first),
            np.minimum.reduceat(fine.ticks[:, 2], first),
            fine.ticks[last, 3],
        ],
        axis=1,
    )
    volume = np.add.reduceat(fine.volume, first)
    return Bars(opens[first], ticks, volume, fine.digits, fine.volume_digits)


class Settlements(NamedTuple):
    """Funding of one coin: stamps [ms], rates in units of 1e-12, marks of 1e-8 (0: not told)."""

    times: list[int]
    rates: list[int]
    marks: list[int]


def settlements(coin: Coin, horizon: int, mark: Bars) -> Settlements:
    """Settlements from the listing to the horizon, their intervals as the coin's schedule says."""
    stop = min(horizon, coin.delisted + 1 if coin.delisted else horizon)
    pieces = []
    ends = [start for start, _ in coin.funding[1:]] + [stop]
    for (start, hours), end in zip(coin.funding, ends, strict=True):
        step = hours * HOUR
        first = max(start, coin.listed + 1)
        pieces.append(np.arange(first + (-first) % step, min(end, stop), step, dtype=np.int64))
    hours = np.unique(np.concatenate(pieces))
    for start, end in coin.unsettled:
        hours = hours[(hours < start) | (hours >= end)]
    late = coin.generator("late").integers(0, (coin.jitter or 0) + 1, len(hours))
    rates = np.rint(coin.generator("rate").normal(1e-4, 2e-4, len(hours)) * 1e8).astype(np.int64)
    place = np.clip(np.searchsorted(mark.times, hours), 0, max(0, len(mark.times) - 1))
    marks = mark.ticks[place, 0] * 10 ** (8 - mark.digits) if len(mark.times) else hours * 0
    marks = np.where(hours < coin.marks_from, 0, marks)  # 0: not told
    return Settlements((hours + late).tolist(), (rates * 10_000).tolist(), marks.tolist())


def frame_of(times: Sequence[int], columns: dict[str, Sequence[float]]) -> pd.DataFrame:
    """Rows as a store returns them: columns under a UTC index named `timestamp`."""
    index = pd.DatetimeIndex(
        pd.to_datetime(np.asarray(times, dtype="int64"), unit="ms", utc=True), name="timestamp"
    ).as_unit("ns")
    return pd.DataFrame(columns, index=index, dtype="float64")
