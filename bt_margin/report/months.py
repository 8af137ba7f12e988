"""Returns by month and year, money put in or taken out left aside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies.comparison import Comparison
from bt_margin.studies.summary import growth_of


def months(comparison: Comparison) -> dict[str, Any]:
    """Time-weighted returns of every scenario by UTC month and year, as fractions.

    ``{"scenarios": {name: [{"year", "months": twelve returns or None, "total"}]}}``: None before the first
    bar and after the last. The months of a year multiply to its total, the totals to the total return:

        Π (1 + month) = 1 + total,      Π (1 + total) = 1 + total return
    """
    runs = zip(comparison.runs.values(), comparison.tracks, strict=True)
    return {"scenarios": {run.name: years_of(growth_of(run, track)) for run, track in runs}}


def years_of(curve: pd.Series) -> list[dict[str, Any]]:
    """The same of one curve of growth (1 unit at the start): one row per year, empty for an empty curve.

    A month that begins at nothing returns 0.

    >>> times = pd.to_datetime(["2024-12-05", "2024-12-31", "2025-01-20"], utc=True)
    >>> rows = years_of(pd.Series([1.0, 1.1, 1.21], times))
    >>> [(row["year"], round(row["total"], 6)) for row in rows]
    [(2024, 0.1), (2025, 0.1)]
    >>> [round(row["months"][0], 6) for row in rows if row["months"][0] is not None]
    [0.1]
    """
    if not len(curve):
        return []
    last = curve.groupby(pd.DatetimeIndex(curve.index).tz_convert("UTC").strftime("%Y-%m")).last()
    first, end = str(last.index[0]), str(last.index[-1])
    every = pd.period_range(first, end, freq="M").strftime("%Y-%m")
    ends = last.reindex(every).ffill().to_numpy(dtype=float)
    begins = np.concatenate(([1.0], ends[:-1]))
    returns = np.divide(ends, begins, out=np.ones_like(ends), where=begins > 0.0) - 1.0
    rows: dict[int, dict[str, Any]] = {}
    for name, value in zip(every, returns, strict=True):
        year, month = int(name[:4]), int(name[5:])
        row = rows.setdefault(year, {"year": year, "months": [None] * 12, "total": 0.0})
        row["months"][month - 1] = float(value)
        row["total"] = (1.0 + row["total"]) * (1.0 + float(value)) - 1.0
    return list(rows.values())
