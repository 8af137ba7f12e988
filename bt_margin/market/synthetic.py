"""The sample market: four correlated perpetuals, invented from a seed, never downloaded.

Every number here comes from a random generator and a hand-written price story, so every frame
carries `attrs["synthetic"] = True`, and whatever is made of it must say SYNTHETIC.

How a bar comes about

    r = σ · v · (ρ · common + √(1 − ρ²) · own)   log return of five minutes, twelve to the hour
    v = slow · fast · time of day · after-shock  clustered; jumps fatten the tails

The summed returns are bent, linearly in the log price, through the waypoints of the story: up,
sideways, up, down, up, crash, down. The mark follows that fair path; the last price adds a small
spread and longer wicks. Funding every eight hours:

    rate = P + clamp(0.0001 − P, −0.0005, +0.0005)

P is the premium averaged over the eight hours before, later hours counting more.

The crash bar has the size of the published figures of 2025-10-10, 21:00 UTC: the low lies 11 %
(BTC), 12 % (ETH), 28 % (SOL) and 62 % (DOGE) under the price at 21:00, the mark's low one to three
points above that, and the hour closes near where it opened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.cache import data_folder, kept
from bt_margin.market.frames import plain_index

Array = npt.NDArray[np.float64]

RECIPE = "synthetic market 1"  # raise the number whenever the generator changes
SEED = 20251010
START = "2024-01-01"
HOURS = 17_520
SHORTEST = 200
STEPS = 12
CRASH_HOUR = 15_573
SLIDE_HOURS = 4
INTEREST = 0.0001
CLAMP = 0.0005
SETTLEMENT_HOURS = 8
JUMP_LIMIT = 13.0


@dataclass(frozen=True, slots=True)
class Coin:
    """What makes one coin of the sample. Rates and moves are fractions.

    sigma : volatility of an hour's log return; rho : correlation with the common factor
    digits, lots : decimals of prices and volumes; turnover : usual volume of an hour [USDT]
    spread : typical distance of last and mark
    premium, wander : mean and standard deviation of the premium
    low, mark_low, close : the crash bar's moves against its open; spike : the premium right after
    """

    symbol: str
    sigma: float
    rho: float
    digits: int
    lots: int
    turnover: float
    spread: float
    premium: float
    wander: float
    low: float
    mark_low: float
    close: float
    spike: float


COINS = (
    Coin(
        symbol="BTC/USDT:USDT",
        sigma=0.00415,
        rho=0.880,
        digits=1,
        lots=3,
        turnover=6.4e8,
        spread=0.00010,
        premium=-0.00010,
        wander=0.00026,
        low=-0.11,
        mark_low=-0.10,
        close=-0.010,
        spike=-0.0010,
    ),
    Coin(
        symbol="ETH/USDT:USDT",
        sigma=0.00590,
        rho=0.910,
        digits=2,
        lots=3,
        turnover=4.5e8,
        spread=0.00016,
        premium=-0.00010,
        wander=0.00028,
        low=-0.12,
        mark_low=-0.11,
        close=-0.005,
        spike=-0.0014,
    ),
    Coin(
        symbol="SOL/USDT:USDT",
        sigma=0.00765,
        rho=0.875,
        digits=2,
        lots=2,
        turnover=1.4e8,
        spread=0.00018,
        premium=-0.00022,
        wander=0.00033,
        low=-0.28,
        mark_low=-0.26,
        close=-0.030,
        spike=-0.0040,
    ),
    Coin(
        symbol="DOGE/USDT:USDT",
        sigma=0.00790,
        rho=0.880,
        digits=5,
        lots=0,
        turnover=5.5e7,
        spread=0.00019,
        premium=-0.00026,
        wander=0.00033,
        low=-0.62,
        mark_low=-0.59,
        close=-0.120,
        spike=-0.0028,
    ),
)

# Hour of the two years: price of BTC, ETH, SOL, DOGE; the crash follows the last but two.
STORY: tuple[tuple[int, tuple[float, float, float, float]], ...] = (
    (0, (42_000, 2_300, 100, 0.090)),
    (600, (46_000, 2_390, 112, 0.098)),
    (1_150, (57_000, 3_220, 145, 0.130)),
    (1_700, (70_000, 3_780, 185, 0.180)),
    (2_900, (61_000, 3_080, 142, 0.140)),
    (4_300, (68_000, 3_570, 172, 0.130)),
    (5_700, (59_000, 2_770, 138, 0.105)),
    (6_500, (64_000, 3_070, 152, 0.115)),
    (7_100, (74_000, 3_290, 176, 0.170)),
    (7_700, (90_000, 4_230, 212, 0.290)),
    (8_300, (102_000, 4_490, 230, 0.380)),
    (9_100, (99_000, 4_160, 220, 0.350)),
    (9_750, (93_000, 4_090, 182, 0.270)),
    (10_400, (84_000, 3_360, 145, 0.200)),
    (11_100, (78_000, 3_000, 112, 0.155)),
    (11_800, (88_000, 3_560, 130, 0.178)),
    (12_500, (102_000, 3_930, 160, 0.210)),
    (13_200, (104_000, 3_800, 152, 0.180)),
    (14_300, (114_000, 4_390, 190, 0.225)),
    (14_950, (102_000, 4_080, 168, 0.182)),
    (15_260, (110_000, 4_240, 192, 0.210)),
    (15_440, (116_500, 4_490, 213, 0.236)),
    (15_569, (121_000, 4_650, 228, 0.256)),
    (15_573, (116_500, 4_440, 212, 0.238)),
    (15_650, (114_000, 4_330, 196, 0.205)),
    (16_600, (99_000, 3_610, 152, 0.160)),
    (17_520, (90_000, 3_380, 128, 0.128)),
)


def sample_market(
    seed: int = SEED,
    start: str = START,
    hours: int = HOURS,
    *,
    folder: str | os.PathLike[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """The synthetic sample market, kept as Parquet so that it can be looked at and passed on.

    Arguments and columns are those of `generate_market`. The files lie in a folder of their own
    under `folder`, else under the environment variable BT_MARGIN_DATA, else in the checkout's
    `data/`, else in the user's cache; damaged or changed files are made anew.

    Returns symbol to canonical frame; each frame's `attrs` hold `synthetic` (True), the `recipe` it
    was made by and the content `stamp` of the whole market.
    """
    first = _hours(seed, start, hours)[0]
    recipe = f"{RECIPE} seed={seed} start={first.isoformat()} hours={hours}"
    place = data_folder(folder) / f"synthetic-{seed}-{first:%Y%m%dT%H}-{hours}h"
    return kept(place, recipe, lambda: generate_market(seed, start, hours))


def generate_market(
    seed: int = SEED, start: str = START, hours: int = HOURS
) -> dict[str, pd.DataFrame]:
    """Invent the four-symbol market and return it as canonical frames, without touching the disk.

    seed : any integer from 0 on; the same seed gives the same numbers.
    start : UTC time of the first bar's open, on a full hour.
    hours : number of hourly bars, at least 200. Shorter or longer markets keep the story's shape:
        waypoints and the crash move in proportion, and their log price changes shrink or grow with
        the square root of the length, as the noise does.

    Columns: open, high, low, close [USDT], volume [coins], mark_open to mark_close [USDT],
    funding_rate [fraction per settlement, NaN on the other bars; positive: longs pay].

    >>> market = generate_market(hours=240)
    >>> sorted(market)
    ['BTC/USDT:USDT', 'DOGE/USDT:USDT', 'ETH/USDT:USDT', 'SOL/USDT:USDT']
    >>> market["BTC/USDT:USDT"].attrs["synthetic"]
    True
    """
    index = _hours(seed, start, hours)
    rng = np.random.Generator(np.random.PCG64(seed))
    crash = hours * CRASH_HOUR // HOURS
    clock = np.asarray(index.hour, dtype=np.float64)
    mood = _volatility(rng, clock, crash)
    common = _shocks(rng, mood)
    frames: dict[str, pd.DataFrame] = {}
    for number, coin in enumerate(COINS):
        own = _shocks(rng, mood)
        returns = coin.sigma * (coin.rho * common + np.sqrt(1.0 - coin.rho**2) * own)
        path = _bend(returns, *_waypoints(coin, number, hours, crash))
        columns = _bars(rng, coin, path, mood, crash)
        columns["funding_rate"] = _funding(rng, coin, path, clock, crash)
        frame = pd.DataFrame(columns, index=index)
        frame.attrs["synthetic"] = True
        frames[coin.symbol] = frame
    return frames


def _hours(seed: int, start: str, hours: int) -> pd.DatetimeIndex:
    """Open times of the bars, after refusing a seed, start or length the generator cannot serve."""
    if seed < 0:
        raise InputError(message("bad seed", seed, "0 or more", "sample market"))
    if hours < SHORTEST:
        raise InputError(message("too few hours", hours, f"{SHORTEST} or more", "sample market"))
    try:
        first = pd.Timestamp(start)
    except ValueError as error:
        text = message("start is not a time", repr(start), f"e.g. {START}", "sample market")
        raise InputError(text) from error
    first = first.tz_localize("UTC") if first.tzinfo is None else first.tz_convert("UTC")
    if first != first.floor("h"):
        raise InputError(message("bad start", start, "a full hour", "sample market"))
    return plain_index(pd.date_range(first, periods=hours, freq="h"))


def _memory(noise: Array, half_life: float, spread: float) -> Array:
    """A series that forgets, of standard deviation `spread`.

    x[t] = k · x[t−1] + √(1 − k²) · spread · noise[t],   k = ½^(1 / half_life)
    """
    keep = 0.5 ** (1.0 / half_life)
    fresh = spread * (1.0 - keep * keep) ** 0.5
    level = spread * float(noise[0])
    out = [level]
    for shock in noise[1:].tolist():
        level = keep * level + fresh * shock
        out.append(level)
    return np.array(out)


def _volatility(rng: np.random.Generator, clock: Array, crash: int) -> Array:
    """Multiplier of every coin's volatility, one per hour, around 1.

    Slow and fast clusters, the day's rhythm and the crash's aftermath.
    """
    n = len(clock)
    log = _memory(rng.standard_normal(n), 400.0, 0.28) + _memory(rng.standard_normal(n), 7.0, 0.45)
    day = 0.62 * np.exp(-(((clock - 15.0) / 2.6) ** 2))
    night = 0.22 * np.exp(-(((clock - 0.8) / 2.5) ** 2))
    since = np.arange(n, dtype=np.float64) - crash
    shock = np.where(since > 0, 1.3 * np.exp(-np.maximum(since, 0.0) / 14.0), 0.0)
    return np.asarray(np.exp(log + shock - 0.145) * (0.83 + day + night), dtype=np.float64)


def _shocks(rng: np.random.Generator, mood: Array) -> Array:
    """Five-minute shocks in units of hourly volatility : (hours, 12), with a jump now and then."""
    n = len(mood)
    shocks: Array = rng.standard_normal((n, STEPS)) * (mood / STEPS**0.5)[:, None]
    happens = rng.random(n) < 0.005
    size = (2.2 - 1.9 * np.log(1.0 - rng.random(n))) * np.where(rng.random(n) < 0.58, -1.0, 1.0)
    when = (rng.random(n) * STEPS).astype(np.int64)
    jump = np.clip(size * mood, -JUMP_LIMIT, JUMP_LIMIT)
    shocks[np.arange(n), when] += np.where(happens, jump, 0.0)
    return shocks


def _waypoints(coin: Coin, number: int, hours: int, crash: int) -> tuple[Array, Array]:
    """Where the log price must pass: five-minute places and log prices.

    The open and the close of the crash bar are among them.
    """
    scale = (hours / HOURS) ** 0.5
    first = float(np.log(STORY[0][1][number]))
    points: dict[int, float] = {}
    for hour, prices in STORY:
        log = first + scale * (float(np.log(prices[number])) - first)
        if hour == CRASH_HOUR:
            points[crash] = log
            points[crash + 1] = log + float(np.log(1.0 + coin.close))
        elif hour == CRASH_HOUR - SLIDE_HOURS:
            points[crash - SLIDE_HOURS] = log
        else:
            at = hour * hours // HOURS
            if not crash - SLIDE_HOURS <= at <= crash + 1:
                points[at] = log
    places = sorted(points)
    return np.array(places, dtype=np.float64) * STEPS, np.array([points[place] for place in places])


def _bend(returns: Array, places: Array, levels: Array) -> Array:
    """Log price at every five minutes : (12·hours + 1,), bent through the waypoints."""
    path = np.concatenate(([0.0], np.cumsum(returns.ravel())))
    gap = levels - path[places.astype(np.int64)]
    where = np.arange(len(path), dtype=np.float64)
    return np.asarray(path + np.interp(where, places, gap), dtype=np.float64)


def _tail(rng: np.random.Generator, n: int) -> Array:
    """Exponential draws with mean 1 : (n,)."""
    return np.asarray(-np.log(1.0 - rng.random(n)), dtype=np.float64)


def _bars(
    rng: np.random.Generator, coin: Coin, path: Array, mood: Array, crash: int
) -> dict[str, Array]:
    """Last and mark bars and the volume of one coin, prices on the tick."""
    n = len(mood)
    inside = np.stack([path[step : step + STEPS * n : STEPS] for step in range(STEPS + 1)])
    fair_open, fair_close = np.exp(inside[0]), np.exp(inside[-1])
    reach = coin.sigma * mood
    high = np.exp(inside.max(axis=0) + 0.19 * reach * _tail(rng, n))
    low = np.exp(inside.min(axis=0) - 0.19 * reach * _tail(rng, n))
    close = fair_close * (1.0 - 2e-5 + coin.spread * np.sqrt(mood) * rng.standard_normal(n))
    opening = np.concatenate((fair_open[:1], close[:-1]))
    stray = np.where(rng.random((2, n)) < 0.0012, 2.5, 0.0)
    upper = high * (1.0 + reach * (0.028 * _tail(rng, n) + stray[0] * _tail(rng, n)))
    lower = low * (1.0 - reach * (0.028 * _tail(rng, n) + stray[1] * _tail(rng, n)))
    high[crash], low[crash] = fair_open[crash] * 1.005, fair_open[crash] * (1.0 + coin.mark_low)
    upper[crash], lower[crash] = opening[crash] * 1.007, opening[crash] * (1.0 + coin.low)
    last = _rounded(opening, upper, lower, close, coin.digits)
    mark = _rounded(fair_open, high, low, fair_close, coin.digits + 2)
    volume = _volume(rng, coin, last)
    names = ("open", "high", "low", "close")
    columns = dict(zip(names, last, strict=True)) | {"volume": volume}
    return columns | {f"mark_{name}": x for name, x in zip(names, mark, strict=True)}


def _rounded(
    opening: Array, high: Array, low: Array, close: Array, digits: int
) -> tuple[Array, Array, Array, Array]:
    """The four prices on the tick, with high and low enclosing open and close."""
    first, final = np.round(opening, digits), np.round(close, digits)
    top = np.maximum(np.round(high, digits), np.maximum(first, final))
    bottom = np.minimum(np.round(low, digits), np.minimum(first, final))
    return first, top, bottom, final


def _volume(rng: np.random.Generator, coin: Coin, last: tuple[Array, Array, Array, Array]) -> Array:
    """Coins traded per hour: grows with the bar's range, has a memory of its own."""
    first, high, low, final = last
    reach = np.log(high / low) / (2.0 * coin.sigma)
    noise = _memory(rng.standard_normal(len(first)), 12.0, 0.33)
    quote = coin.turnover * np.maximum(reach, 0.05) ** 1.15 * np.exp(noise)
    return np.asarray(np.round(quote / final, coin.lots), dtype=np.float64)


def _funding(rng: np.random.Generator, coin: Coin, path: Array, clock: Array, crash: int) -> Array:
    """Funding rates on the settlement bars (00:00, 08:00, 16:00 UTC), NaN elsewhere : (hours,)."""
    n = len(clock)
    prices = path[::STEPS][:n]
    before = prices[np.maximum(np.arange(n) - 120, 0)]
    trend = np.clip(0.0045 * (prices - before) / (coin.sigma * 100.0), -0.0003, 0.0013)
    since = np.arange(n, dtype=np.float64) - crash
    spike = np.where(since >= 0, coin.spike * np.exp(-np.maximum(since, 0.0) / 20.0), 0.0)
    premium = coin.premium + _memory(rng.standard_normal(n), 36.0, coin.wander) + trend + spike
    weights = np.arange(1.0, SETTLEMENT_HOURS + 1.0)
    padded = np.concatenate((np.full(SETTLEMENT_HOURS, premium[0]), premium))
    total = sum(weight * padded[k : k + n] for k, weight in enumerate(weights.tolist()))
    mean = total / float(weights.sum())
    rate = np.round(mean + np.clip(INTEREST - mean, -CLAMP, CLAMP), 8)
    return np.asarray(np.where(clock % SETTLEMENT_HOURS == 0, rate, np.nan), dtype=np.float64)
