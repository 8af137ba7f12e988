"""One row of numbers per run: what a trader reads first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.engine.settings import leg_of
from bt_margin.studies import stats
from bt_margin.studies.coins import worth
from bt_margin.studies.divergence import Track
from bt_margin.studies.prices import bars_of
from bt_margin.studies.result import Run
from bt_margin.studies.trades import trades_of

#: Column → what it means. Money is signed by its effect on the equity: what was paid is negative.
#: The formulas stand in docs/statistics.md.
COLUMNS = {
    "initial_cash": "cash at the start",
    "final_equity": "equity at the last close",
    "total_return": "growth of the equity as a fraction, deposits left out",
    "cagr": "compound growth per year of 365 days",
    "hold_first": "growth of the first symbol's price from the first open to the last close",
    "hold_all": "the same of all symbols, equal parts bought at the start and kept",
    "volatility": "deviation of daily returns × √365",
    "max_drawdown": "deepest fall from a former high, as a fraction",
    "drawdown_peak": "when that high was",
    "drawdown_trough": "when the fall was deepest",
    "drawdown_recovered": "when the high was reached again (missing: not yet)",
    "longest_drawdown": "longest time below a former high, in days",
    "ulcer": "root of the mean squared drawdown",
    "sharpe": "mean / deviation of daily returns × √365",
    "sortino": "mean / downside deviation of daily returns × √365",
    "calmar": "growth per year / max drawdown",
    "omega": "sum of the gains / sum of the losses, day by day",
    "value_at_risk": "the daily return that one day in twenty falls short of",
    "expected_shortfall": "mean daily return of the worst days, one in twenty",
    "skew": "skewness of daily returns: below 0, the large moves are losses",
    "kurtosis": "excess kurtosis of daily returns: above 0, more extreme days than normal",
    "tail_ratio": "95 % quantile / 5 % quantile of daily returns, without signs",
    "liquidations": "positions closed by the venue, in whole or in part",
    "liquidated_notional": "their notional at the mark",
    "margin_calls": "times a pool's margin ratio reached a threshold at a close",
    "rejected_orders": "orders the account could not carry; those after everything was lost left out",
    "price_result": "profit and loss of prices alone, realised and unrealised, before the rows below",
    "fees": "trading fees",
    "funding": "funding received less paid",
    "funding_received": "funding received",
    "funding_paid": "funding paid",
    "interest": "interest on borrowed money",
    "liquidation_fees": "liquidation fees, and margin handed to the fund in takeovers",
    "slippage": "what fills and liquidation sales lost to slippage",
    "shortfall": "losses the insurance fund bore instead of the account",
    "trades": "positions opened and closed again, flips counted",
    "win_rate": "share of them that made money, after all costs",
    "profit_factor": "what the winning ones made / what the losing ones lost",
    "expectancy": "mean result of a closed trade, after all costs",
    "payoff": "mean win / mean loss",
    "exposure": "share of the bars with an open position at the close",
    "turnover": "notional of all fills and liquidations / mean equity",
    "average_leverage": "mean notional / equity at the closes, bars without a position counted as 0",
    "max_leverage": "largest notional / equity at a close",
    "min_margin_buffer": "smallest share of a pool's equity above its maintenance margin at a close; "
    "0 when there was a liquidation",
    "time_at_risk": "share of the bars with a margin ratio of 80 % or more at the close",
    "bars": "bars of the run",
    "mark_share": "share of the bars that mattered (a position or order at stake) with a mark price",
    "synthetic": "whether the data was made up",
}
#: Margin ratio (maintenance over equity) from which a pool counts as at risk.
AT_RISK = 0.8


def summary_frame(runs: Sequence[Run], tracks: Sequence[Track]) -> pd.DataFrame:
    """One row per run, one column per statistic of :data:`COLUMNS`."""
    rows = [summary_row(run, track) for run, track in zip(runs, tracks, strict=True)]
    index = pd.Index([run.name for run in runs], name="scenario")
    return pd.DataFrame(rows, index=index, columns=list(COLUMNS))


def growth_of(run: Run, track: Track) -> pd.Series:
    """The run's curve per unit of money held from the start (:func:`stats.growth`)."""
    index = pd.to_datetime(track.times, unit="ms", utc=True)
    equity = pd.Series(track.equity, index)
    moved = pd.Series(track.flows["transfers"], index)
    return stats.growth(equity, run.cash, moved)


def summary_row(run: Run, track: Track) -> dict[str, Any]:
    """The statistics of one run."""
    row: dict[str, Any] = {"initial_cash": run.cash, "final_equity": run.final}
    row["price_result"] = run.final - run.cash - sum(float(np.sum(f)) for f in track.flows.values())
    row |= _curve(growth_of(run, track)) | held(run)
    return row | _booked(run, track) | _dealt(run) | _condition(run)


def _curve(curve: pd.Series) -> dict[str, Any]:
    """What the curve alone tells."""
    fall = stats.max_drawdown(curve)
    return {
        "total_return": stats.total_return(curve),
        "cagr": stats.cagr(curve),
        "volatility": stats.volatility(curve),
        "max_drawdown": fall.depth,
        "drawdown_peak": fall.peak if fall.peak is not None else pd.NaT,
        "drawdown_trough": fall.trough if fall.trough is not None else pd.NaT,
        "drawdown_recovered": fall.recovered if fall.recovered is not None else pd.NaT,
        "longest_drawdown": stats.longest_fall(curve),
        "ulcer": stats.ulcer(curve),
        "sharpe": stats.sharpe(curve),
        "sortino": stats.sortino(curve),
        "calmar": stats.calmar(curve),
        "omega": stats.omega(curve),
        "value_at_risk": stats.value_at_risk(curve),
        "expected_shortfall": stats.expected_shortfall(curve),
        "skew": stats.skew(curve),
        "kurtosis": stats.kurtosis(curve),
        "tail_ratio": stats.tail_ratio(curve),
    }


def held(run: Run) -> dict[str, float]:
    """What prices alone would have brought: the first symbol, and all of them in equal parts."""
    bars = [b for name, b in bars_of(run).items() if leg_of(name)[1] is None and len(b.times)]
    grown = [float(b.close[-1] / b.open[0]) - 1.0 for b in bars]
    return {
        "hold_first": grown[0] if grown else math.nan,
        "hold_all": float(np.mean(grown)) if grown else math.nan,
    }


def _booked(run: Run, track: Track) -> dict[str, Any]:
    """What the events and the ledger count."""
    kinds = run.events["kind"].value_counts()
    total = {cause: float(np.sum(flow)) for cause, flow in track.flows.items()}
    paid = [e.amount * worth(run, e) for e in run.broker.account.ledger if e.kind == "funding"]
    return {
        "liquidations": int(kinds.get("liquidation", 0)),
        "liquidated_notional": liquidated_notional(run),
        "margin_calls": int(kinds.get("margin_call", 0)),
        "rejected_orders": int(kinds.get("rejected", 0)) - after_death(run),
        "fees": total["fees"],
        "funding": total["funding"],
        "funding_received": math.fsum(amount for amount in paid if amount > 0.0),
        "funding_paid": math.fsum(amount for amount in paid if amount < 0.0),
        "interest": total["interest"],
        "liquidation_fees": total["liquidation_fee"],
        "slippage": total["slippage"],
        "shortfall": total["shortfall"],
    }


def _dealt(run: Run) -> dict[str, Any]:
    """What its closed trades made; NaN where there were none, or none that won or lost."""
    made = [trade.net for trade in trades_of(run).ended]
    won, lost = [m for m in made if m > 0.0], [-m for m in made if m < 0.0]
    mean = float(run.equity.mean()) if len(run.equity) else 0.0
    return {
        "trades": len(made),
        "win_rate": len(won) / len(made) if made else math.nan,
        "profit_factor": math.fsum(won) / math.fsum(lost) if lost else math.nan,
        "expectancy": math.fsum(made) / len(made) if made else math.nan,
        "payoff": float(np.mean(won) / np.mean(lost)) if won and lost else math.nan,
        "turnover": _traded(run) / mean if mean > 0.0 else math.nan,
    }


def _traded(run: Run) -> float:
    """Notional of all fills and liquidations, each at its price."""
    book = run.broker.account.book
    return math.fsum(
        book[event.symbol].contract.notional(event.size, event.price) * worth(run, event)
        for event in run.broker.events
        if event.kind in ("fill", "liquidation") and event.size and event.price
    )


def _condition(run: Run) -> dict[str, Any]:
    """How near the run came to its end, and what its data had."""
    ratio, leverage = (
        run.bars[name].to_numpy(dtype=float) if len(run.bars) else np.zeros(1)
        for name in ("margin_ratio", "leverage")
    )
    liquidated = bool((run.events["kind"] == "breach").any())
    return {
        "exposure": float(np.mean(leverage > 0.0)),
        "average_leverage": float(np.mean(leverage)),
        "max_leverage": float(np.max(leverage)),
        "min_margin_buffer": 0.0 if liquidated else max(0.0, 1.0 - float(np.max(ratio))),
        "time_at_risk": float(np.mean(ratio >= AT_RISK)),
        "bars": len(run.equity),
        "mark_share": float(run.fidelity.get("mark_share", math.nan)),
        "synthetic": run.synthetic,
    }


def after_death(run: Run) -> int:
    """Orders refused while the account had nothing left: a consequence, not a problem of its own."""
    dead, count = False, 0
    for event in run.broker.events:
        if event.kind in ("dead", "revived"):
            dead = event.kind == "dead"
        count += dead and event.kind == "rejected"
    return count


def liquidated_notional(run: Run) -> float:
    """Notional of all liquidated sizes, each at the mark of its moment."""
    book = run.broker.account.book
    return float(
        sum(
            book[event.symbol].contract.notional(event.size, event.mark) * worth(run, event)
            for event in run.broker.events
            if event.kind == "liquidation" and event.size and event.mark
        )
    )
