"""The statistics of a replayed cell, by the names of :data:`bt_margin.studies.cells.COLUMNS`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies import stats
from bt_margin.studies.cells import COLUMNS, Cell, Job, echo
from bt_margin.studies.replay.layout import (
    BORNE,
    CALLS,
    DEAD_REJECTIONS,
    DEPOSIT,
    E_AMOUNT,
    E_KIND,
    E_TIME,
    EVENTS,
    FEES,
    FIRST_LOSS,
    HELD_BARS,
    INSURED,
    LEVERAGE_SUM,
    LIQUIDATED,
    LIQUIDATION_FEES,
    LIQUIDATIONS,
    LOSSES,
    LOST,
    MARGIN_SUM,
    MOST_LEVERAGE,
    PAID,
    RECEIVED,
    REJECTIONS,
    RISKY_BARS,
    SEIZED,
    SLIPPED,
    TRADED,
    TRADES,
    WITHDRAWAL,
    WON,
    WORST_RATIO,
    Floats,
    Ints,
    State,
)  # fmt: skip
from bt_margin.studies.tracks import stamps

DAY = 86_400_000.0
_DAILY = {
    "volatility": stats.volatility, "sharpe": stats.sharpe, "sortino": stats.sortino,
    "omega": stats.omega, "value_at_risk": stats.value_at_risk, "skew": stats.skew,
    "expected_shortfall": stats.expected_shortfall, "kurtosis": stats.kurtosis,
    "tail_ratio": stats.tail_ratio,
}  # fmt: skip
#: What moves the equity beside prices.
_FLOWS = ("fees", "funding", "interest", "liquidation_fees", "slippage", "shortfall")


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
    """Every effective setting and every statistic of a cell that was played with ``KEEP_ROW``.

    Where cash comes and goes, with its events.
    """
    index, moved = stamps(times), _flows(state, times)
    curve = stats.growth(pd.Series(equity, index), cash, pd.Series(moved, index))
    found = curve_statistics(curve, times) | _booked(state) | _dealt(state, equity)
    found |= _condition(state, len(equity))
    found["final_equity"] = final = float(equity[-1])
    found["price_result"] = final - cash - float(moved.sum()) - sum(found[name] for name in _FLOWS)
    died = int(state.counts[LIQUIDATIONS]) > 0
    days = float(times[state.counts[FIRST_LOSS]] - times[0]) / DAY if died else math.nan
    found["days_to_liquidation"] = days
    return {**echo(cell, job), **{name: found[name] for name in COLUMNS}, "error": ""}


def _flows(state: State, times: Ints) -> Floats:
    """Deposits minus withdrawals of an account after its start, bar by bar, from its events."""
    flows = np.zeros(len(times))
    for event in state.events[: state.counts[EVENTS]]:
        if event[E_KIND] in (DEPOSIT, WITHDRAWAL):
            flows[np.searchsorted(times, event[E_TIME])] += event[E_AMOUNT]
    return flows


def _booked(state: State) -> dict[str, Any]:
    """What was charged, paid and refused; money by its effect on the equity."""
    money, counts = state.money, state.counts
    return {
        "liquidations": int(counts[LIQUIDATIONS]),
        "liquidated_notional": float(money[LIQUIDATED]),
        "margin_calls": int(counts[CALLS]),
        "rejected_orders": int(counts[REJECTIONS] - counts[DEAD_REJECTIONS]),
        "fees": -float(money[FEES]),
        "funding": float(money[RECEIVED] + money[PAID]),
        "funding_received": float(money[RECEIVED]),
        "funding_paid": float(money[PAID]),
        "interest": 0.0,
        "liquidation_fees": float(money[SEIZED] - money[LIQUIDATION_FEES]),
        "slippage": float(money[SLIPPED]),
        "shortfall": float(money[INSURED] + money[BORNE]),
    }


def _dealt(state: State, equity: Floats) -> dict[str, Any]:
    """What the closed trades made; missing where there were none, or none that won or lost."""
    trades, wins, losses = (int(n) for n in state.counts[TRADES : LOSSES + 1])
    won, lost = float(state.money[WON]), float(state.money[LOST])
    mean = float(np.mean(equity))
    return {
        "trades": trades,
        "win_rate": wins / trades if trades else math.nan,
        "profit_factor": won / lost if losses else math.nan,
        "expectancy": (won - lost) / trades if trades else math.nan,
        "payoff": (won / wins) / (lost / losses) if wins and losses else math.nan,
        "turnover": float(state.money[TRADED]) / mean if mean > 0.0 else math.nan,
    }


def _condition(state: State, bars: int) -> dict[str, Any]:
    """How near the account came to its end."""
    money, counts = state.money, state.counts
    near = 1.0 if counts[LIQUIDATIONS] else float(money[WORST_RATIO])
    return {
        "exposure": int(counts[HELD_BARS]) / bars,
        "average_leverage": float(money[LEVERAGE_SUM]) / bars,
        "max_leverage": float(money[MOST_LEVERAGE]),
        "min_margin_buffer": max(0.0, 1.0 - near),
        "time_at_risk": int(counts[RISKY_BARS]) / bars,
        "average_margin": float(money[MARGIN_SUM]) / bars,
        "bars": bars,
    }
