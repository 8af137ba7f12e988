"""Statistics of one equity curve, for markets that never close: a year has 365 days of 24 hours.

Money put in or taken out is no profit. Where a run had deposits or withdrawals, returns are time-weighted:
the return of a step is ``equity after / (equity before + money added at its start) − 1``.

Everything measured on returns is measured on those of UTC days (:func:`daily_returns`), drawdowns on the
bars. Every formula stands in ``docs/statistics.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAYS_PER_YEAR = 365.0
SHORTEST_FOR_A_YEAR = 30.0  # days of data below which a yearly rate is noise
TAIL = 0.05  # share of the days that are the bad ones

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of a curve: fraction lost (0 … 1) and its three dates (UTC, ``None``: none yet)."""

    depth: float
    peak: pd.Timestamp | None
    trough: pd.Timestamp | None
    recovered: pd.Timestamp | None


def growth(equity: pd.Series, start: float, flows: pd.Series | None = None) -> pd.Series:
    """One unit of money held in the account from the start, without what deposits added.

        g_k = Π_{i≤k} equity_i / (equity_{i−1} + flow_i),      equity_{−1} = start

    ``equity`` at the bar closes, ``start`` the cash at the beginning, ``flows`` deposits minus withdrawals
    per bar (same index; none when omitted). A step from nothing counts as no change. Empty in, empty out.

    >>> times = pd.date_range("2025-01-01", periods=2, freq="D", tz="UTC")
    >>> [round(g, 6) for g in growth(pd.Series([110.0, 99.0], times), 100.0)]
    [1.1, 0.99]
    """
    values = equity.to_numpy(dtype=float)
    before = np.concatenate(([float(start)], values[:-1])) if len(values) else values
    if flows is not None:
        before = before + flows.reindex(equity.index, fill_value=0.0).to_numpy(dtype=float)
    steps = np.divide(values, before, out=np.ones_like(values), where=before > 0.0)
    return pd.Series(np.cumprod(steps), index=equity.index)


def total_return(curve: pd.Series) -> float:
    """Growth over the whole curve as a fraction: ``g_last − 1`` (0 for an empty curve).

    >>> round(total_return(pd.Series([1.1, 1.25])), 6)
    0.25
    """
    return float(curve.iloc[-1]) - 1.0 if len(curve) else 0.0


def cagr(curve: pd.Series) -> float:
    """Compound annual growth rate: ``g_last ** (365 / days) − 1``; NaN under 30 days of data.

    ``days`` is the time between the first and the last bar; from less than a month nothing can be said
    about a year. A curve that ends at nothing gives −1.

    >>> times = pd.to_datetime(["2025-01-01", "2026-01-01"], utc=True)
    >>> round(cagr(pd.Series([1.0, 1.21], times)), 6)
    0.21
    """
    if len(curve) < 2:
        return math.nan
    span = pd.Timestamp(curve.index[-1]) - pd.Timestamp(curve.index[0])
    days = span.total_seconds() / 86_400.0
    last = float(curve.iloc[-1])
    if days < SHORTEST_FOR_A_YEAR:
        return math.nan
    try:
        return float(max(last, 0.0) ** (DAYS_PER_YEAR / days) - 1.0)
    except OverflowError:
        return math.inf


def max_drawdown(curve: pd.Series) -> Drawdown:
    """The deepest fall from a former high: ``max_k (1 − g_k / max_{i≤k} g_i)``, the start included.

    ``recovered`` is the first bar at or above the former high again. A curve that never falls has depth 0
    and no dates.

    >>> times = pd.date_range("2025-01-01", periods=4, freq="D", tz="UTC")
    >>> fall = max_drawdown(pd.Series([1.0, 2.0, 1.5, 2.5], times))
    >>> fall.depth, str(fall.trough.date()), str(fall.recovered.date())
    (0.25, '2025-01-03', '2025-01-04')
    """
    values = curve.to_numpy(dtype=float)
    if not len(values):
        return Drawdown(0.0, None, None, None)
    high = np.maximum.accumulate(np.maximum(values, 1.0 if values[0] < 1.0 else values[0]))
    falls = 1.0 - np.divide(values, high, out=np.ones_like(values), where=high > 0.0)
    low = int(np.argmax(falls))
    if falls[low] <= 0.0:
        return Drawdown(0.0, None, None, None)
    reached = np.flatnonzero(values[: low + 1] >= high[low])
    peak = int(reached[-1]) if len(reached) else 0
    back = np.flatnonzero(values[low:] >= high[low])
    index = curve.index
    recovered = pd.Timestamp(index[low + int(back[0])]) if len(back) else None
    return Drawdown(
        float(falls[low]), pd.Timestamp(index[peak]), pd.Timestamp(index[low]), recovered
    )


def drawdowns(curve: pd.Series) -> pd.Series:
    """How far below its former high the curve stands, bar by bar: 0 at a high, −0.25 a quarter below.

    The start (1 unit) counts as a high, so that the lowest value is ``−max_drawdown``.
    """
    values = curve.to_numpy(dtype=float)
    high = np.maximum(np.maximum.accumulate(values), 1.0) if len(values) else values
    ratio = np.divide(values, high, out=np.ones_like(values), where=high > 0.0)
    return pd.Series(ratio - 1.0, index=curve.index)


def daily_returns(curve: pd.Series) -> Floats:
    """Simple returns from UTC midnight to UTC midnight, the last bar of each day counting for the day.

    shape (n_days,): the first day is measured from the start of the run (1 unit). Days without a bar carry
    the last value; a day that begins at nothing returns 0.
    """
    if not len(curve):
        return np.zeros(0)
    daily = curve.to_numpy(dtype=float)
    days = pd.DatetimeIndex(curve.index).as_unit("ms").asi8 // 86_400_000
    single = np.all(np.diff(days) == 1) and not np.isnan(daily).any()
    if not single:  # with one bar a day there is nothing to pick and to fill
        daily = curve.resample("1D").last().ffill().to_numpy(dtype=float)
    before = np.concatenate(([1.0], daily[:-1]))
    steps: Floats = np.divide(daily, before, out=np.ones_like(daily), where=before > 0.0)
    return steps - 1.0


def sharpe(curve: pd.Series) -> float:
    """Daily Sharpe ratio, yearly scale: ``mean(r) / std(r) · √365``, sample deviation, no risk-free rate.

    NaN with fewer than two days or without any variation.
    """
    returns = daily_returns(curve)
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    if spread <= 1e-15:
        return math.nan
    return float(np.mean(returns)) / spread * math.sqrt(DAYS_PER_YEAR)


def sortino(curve: pd.Series) -> float:
    """Daily Sortino ratio, yearly scale: ``mean(r) / √mean(min(r, 0)²) · √365``.

    NaN with fewer than two days or without a losing day.
    """
    returns = daily_returns(curve)
    if len(returns) < 2:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    if downside <= 1e-15:
        return math.nan
    return float(np.mean(returns)) / downside * math.sqrt(DAYS_PER_YEAR)


def volatility(curve: pd.Series) -> float:
    """Deviation of the daily returns, yearly scale: ``std(r) · √365``, sample deviation.

    NaN with fewer than two days.
    """
    returns = daily_returns(curve)
    if len(returns) < 2:
        return math.nan
    return float(np.std(returns, ddof=1)) * math.sqrt(DAYS_PER_YEAR)


def calmar(curve: pd.Series) -> float:
    """Yearly growth over the deepest fall: ``cagr / max drawdown``; NaN without either."""
    depth = max_drawdown(curve).depth
    return cagr(curve) / depth if depth > 0.0 else math.nan


def omega(curve: pd.Series) -> float:
    """What the good days made over what the bad ones lost: ``Σ max(r, 0) / Σ max(−r, 0)``.

    Daily returns, threshold 0. NaN with fewer than two days or without a losing day.
    """
    returns = daily_returns(curve)
    lost = float(np.sum(np.maximum(-returns, 0.0)))
    if len(returns) < 2 or lost <= 0.0:
        return math.nan
    return float(np.sum(np.maximum(returns, 0.0))) / lost


def ulcer(curve: pd.Series) -> float:
    """Depth and length of falls in one number: ``√ mean(d²)``, d the drawdown at each bar close.

    The start counts as a high; 0 for a curve that never falls and for an empty one.
    """
    if not len(curve):
        return 0.0
    return math.sqrt(float(np.mean(drawdowns(curve).to_numpy(dtype=float) ** 2)))


def longest_fall(curve: pd.Series) -> float:
    """The longest time below a former high, in days, from the bar of the high to the bar that reaches it.

    A fall that has not been made good counts to the last bar; 0 for a curve that never falls.

    >>> times = pd.date_range("2025-01-01", periods=5, freq="D", tz="UTC")
    >>> longest_fall(pd.Series([1.0, 2.0, 1.5, 1.8, 2.5], times))
    3.0
    """
    if not len(curve):
        return 0.0
    values = curve.to_numpy(dtype=float)
    high = np.maximum(np.maximum.accumulate(values), 1.0)
    times = pd.DatetimeIndex(curve.index).as_unit("ms").asi8
    below = values < high
    started = np.where(below, times[0], times)
    last_high = np.maximum.accumulate(started)
    ends = below | np.concatenate(([False], below[:-1]))  # the bar of the recovery ends the fall
    before = np.concatenate((times[:1], last_high[:-1]))
    spans = np.where(ends, times - before, 0)
    return float(np.max(spans)) / 86_400_000.0


def value_at_risk(curve: pd.Series) -> float:
    """The daily return that one day in twenty falls short of: the 5 % quantile, linear between days.

    A loss is negative. NaN for an empty curve.
    """
    returns = daily_returns(curve)
    return float(np.quantile(returns, TAIL)) if len(returns) else math.nan


def expected_shortfall(curve: pd.Series) -> float:
    """The mean daily return of the worst days, one in twenty: the ``⌊0.05 · (n − 1)⌋ + 1`` lowest.

    Also called CVaR. A loss is negative. NaN for an empty curve.
    """
    returns = daily_returns(curve)
    if not len(returns):
        return math.nan
    return float(np.mean(np.sort(returns)[: int((len(returns) - 1) * TAIL) + 1]))


def skew(curve: pd.Series) -> float:
    """Skewness of the daily returns, corrected for the sample: ``√(n(n−1)) / (n−2) · m₃ / m₂^1.5``.

    m₂ and m₃ are the central moments. NaN with fewer than three days or without variation.
    """
    returns = daily_returns(curve)
    n = len(returns)
    if n < 3 or _still(returns):
        return math.nan
    second, third = _moment(returns, 2), _moment(returns, 3)
    return math.sqrt(n * (n - 1)) / (n - 2) * third / float(second**1.5)


def kurtosis(curve: pd.Series) -> float:
    """Excess kurtosis of the daily returns, corrected for the sample; 0 is a normal distribution.

        (n−1) / ((n−2)(n−3)) · ((n+1) · m₄ / m₂² − 3 (n−1))

    NaN with fewer than four days or without variation.
    """
    returns = daily_returns(curve)
    n = len(returns)
    if n < 4 or _still(returns):
        return math.nan
    shape = _moment(returns, 4) / _moment(returns, 2) ** 2
    return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * shape - 3.0 * (n - 1))


def tail_ratio(curve: pd.Series) -> float:
    """The best days over the worst: ``|95 % quantile of r| / |5 % quantile of r|``; NaN where that is 0."""
    returns = daily_returns(curve)
    if not len(returns):
        return math.nan
    low, high = np.abs(np.quantile(returns, [TAIL, 1.0 - TAIL]))
    return float(high / low) if low > 0.0 else math.nan


def _moment(returns: Floats, order: int) -> float:
    """The central moment ``mean((r − mean r)^order)``."""
    return float(np.mean((returns - np.mean(returns)) ** order))


def _still(returns: Floats) -> bool:
    """Whether nothing moved, so that nothing can be said about the shape of the moves."""
    return len(returns) < 2 or float(np.std(returns)) <= 1e-15
