"""Statistics of one equity curve, for markets that never close: a year has 365 days of 24 hours.

Money put in or taken out is no profit. Where a run had deposits or withdrawals, returns are time-weighted:
the return of a step is ``equity after / (equity before + money added at its start) − 1``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAYS_PER_YEAR = 365.0
SHORTEST_FOR_A_YEAR = 30.0  # days of data below which a yearly rate is noise
_MS_PER_DAY = 86_400_000.0

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
    """How far below its former high the curve stands, bar by bar: 0 at a high, −0.25 a quarter below."""
    values = curve.to_numpy(dtype=float)
    high = np.maximum.accumulate(values) if len(values) else values
    ratio = np.divide(values, high, out=np.ones_like(values), where=high > 0.0)
    return pd.Series(ratio - 1.0, index=curve.index)


def daily_returns(curve: pd.Series) -> Floats:
    """Simple returns from UTC midnight to UTC midnight, the last bar of each day counting for the day.

    shape (n_days,): the first day is measured from the start of the run (1 unit). Days without a bar carry
    the last value; a day that begins at nothing returns 0.
    """
    if not len(curve):
        return np.zeros(0)
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
