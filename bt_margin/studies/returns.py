"""Returns of a run, time-weighted, as the packages that judge them take them.

quantstats and pyfolio compare a series with its benchmark by their dates. They take dates without a zone, and
fail where one side has a zone and the other has none: so daily returns carry UTC days as naive dates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies.coins import worth
from bt_margin.studies.stats import daily_returns, growth


def growth_in(run: Any) -> pd.Series:
    """One unit of money held from the start of a run, bar by bar (:func:`bt_margin.studies.stats.growth`)."""
    times = pd.DatetimeIndex(run.equity.index).as_unit("ms").asi8
    moved = np.zeros(len(times))
    entries = [e for e in run.broker.account.ledger if e.kind in ("deposit", "withdrawal")]
    for entry in entries[run.opening_entries :]:
        if len(times):
            place = max(0, int(np.searchsorted(times, entry.time, side="right")) - 1)
            moved[place] += entry.amount * worth(run, entry)
    return growth(run.equity, run.cash, pd.Series(moved, run.equity.index))


def per_bar(curve: pd.Series) -> pd.Series:
    """Simple returns from bar to bar of a curve of growth, the first from the start (1 unit); UTC index.

    >>> times = pd.date_range("2025-01-01", periods=2, freq="h", tz="UTC")
    >>> per_bar(pd.Series([1.1, 0.99], times)).round(6).tolist()
    [0.1, -0.1]
    """
    values = curve.to_numpy(dtype=float)
    before = np.concatenate(([1.0], values[:-1])) if len(values) else values
    steps = np.divide(values, before, out=np.ones_like(values), where=before > 0.0)
    return pd.Series(steps - 1.0, curve.index.rename("time"), name=curve.name)


def per_day(curve: pd.Series) -> pd.Series:
    """Simple returns from UTC midnight to UTC midnight (:func:`bt_margin.studies.stats.daily_returns`).

    The index holds the UTC days as naive dates, without holes.

    >>> times = pd.date_range("2025-01-01 12:00", periods=3, freq="12h", tz="UTC")
    >>> per_day(pd.Series([1.1, 1.2, 1.21], times)).round(6).to_dict()
    {Timestamp('2025-01-01 00:00:00'): 0.1, Timestamp('2025-01-02 00:00:00'): 0.1}
    """
    if not len(curve):
        return pd.Series([], pd.DatetimeIndex([], name="time"), dtype=float, name=curve.name)
    first = pd.Timestamp(curve.index[0]).tz_convert("UTC").tz_localize(None).normalize()
    values = daily_returns(curve)
    days = pd.date_range(first, periods=len(values), freq="D", name="time")
    return pd.Series(values, days, name=curve.name)
