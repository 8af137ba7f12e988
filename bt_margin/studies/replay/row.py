"""The statistics of a replayed cell, by the names of :data:`bt_margin.studies.cells.COLUMNS`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies import stats
from bt_margin.studies.cells import COLUMNS, Cell, Job, echo
from bt_margin.studies.replay.layout import (
    CALLS,
    DEAD_REJECTIONS,
    FEES,
    FIRST_LOSS,
    HELD_BARS,
    INSURED,
    LIQUIDATED,
    LIQUIDATIONS,
    PAID,
    RECEIVED,
    REJECTIONS,
    TRADED,
    Floats,
    Ints,
    State,
)  # fmt: skip

DAY = 86_400_000.0
_DAILY = {
    "volatility": stats.volatility, "sharpe": stats.sharpe, "sortino": stats.sortino,
    "omega": stats.omega, "value_at_risk": stats.value_at_risk, "skew": stats.skew,
    "expected_shortfall": stats.expected_shortfall, "kurtosis": stats.kurtosis,
    "tail_ratio": stats.tail_ratio,
}  # fmt: skip


def curve_statistics(curve: pd.Series, times: Ints) -> dict[str, float]:
    """What the curve alone tells; statistics of days from the last bar of each day, which is all they see."""
    days = times // 86_400_000
    ends = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    daily, depth, growth = curve.iloc[ends], stats.max_drawdown(curve).depth, stats.cagr(curve)
    return {name: measure(daily) for name, measure in _DAILY.items()} | {
        "total_return": stats.total_return(curve),
        "cagr": growth,
        "max_drawdown": depth,
        "longest_drawdown": stats.longest_fall(curve),
        "ulcer": stats.ulcer(curve),
        "calmar": growth / depth if depth > 0.0 else math.nan,
    }


def row_of(
    job: Job, cell: Cell, state: State, equity: Floats, times: Ints, cash: float
) -> dict[str, Any]:
    """Every effective setting and every statistic the kernel knows; the others are missing."""
    index = pd.to_datetime(times, unit="ms", utc=True)
    curve = stats.growth(pd.Series(equity, index), cash)
    money, counts = state.money, state.counts
    mean = float(np.mean(equity)) if len(equity) else 0.0
    row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
    row |= curve_statistics(curve, times)
    row |= {
        "final_equity": float(equity[-1]) if len(equity) else cash,
        "liquidations": int(counts[LIQUIDATIONS]),
        "liquidated_notional": float(money[LIQUIDATED]),
        "margin_calls": int(counts[CALLS]),
        "rejected_orders": int(counts[REJECTIONS] - counts[DEAD_REJECTIONS]),
        "fees": -float(money[FEES]),
        "funding": float(money[RECEIVED] + money[PAID]),
        "funding_received": float(money[RECEIVED]),
        "funding_paid": float(money[PAID]),
        "interest": 0.0,
        "shortfall": float(money[INSURED]),
        "turnover": float(money[TRADED]) / mean if mean > 0.0 else math.nan,
        "exposure": float(counts[HELD_BARS]) / len(equity),
        "bars": len(equity),
        "days_to_liquidation": math.nan,
    }
    if counts[LIQUIDATIONS]:
        row["days_to_liquidation"] = float(times[counts[FIRST_LOSS]] - times[0]) / DAY
    return {**echo(cell, job), **row, "error": ""}
