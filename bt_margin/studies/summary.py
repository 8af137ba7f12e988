"""One row of numbers per run: what a trader reads first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies import stats
from bt_margin.studies.divergence import Track
from bt_margin.studies.result import Run

#: Column → what it means. Money is signed by its effect on the equity: what was paid is negative.
COLUMNS = {
    "initial_cash": "cash at the start",
    "final_equity": "equity at the last close",
    "total_return": "growth of the equity as a fraction, deposits left out",
    "cagr": "compound growth per year of 365 days",
    "max_drawdown": "deepest fall from a former high, as a fraction",
    "drawdown_peak": "when that high was",
    "drawdown_trough": "when the fall was deepest",
    "drawdown_recovered": "when the high was reached again (missing: not yet)",
    "sharpe": "mean / deviation of daily returns × √365",
    "sortino": "mean / downside deviation of daily returns × √365",
    "liquidations": "positions closed by the venue, in whole or in part",
    "liquidated_notional": "their notional at the mark",
    "margin_calls": "times a pool's margin ratio reached a threshold at a close",
    "rejected_orders": "orders the account could not carry; those after everything was lost left out",
    "price_result": "profit and loss of prices alone, realised and unrealised, before the rows below",
    "fees": "trading fees",
    "funding": "funding received less paid",
    "interest": "interest on borrowed money",
    "liquidation_fees": "liquidation fees, and margin handed to the fund in takeovers",
    "slippage": "what fills and liquidation sales lost to slippage",
    "shortfall": "losses the insurance fund bore instead of the account",
    "trades": "positions opened and closed again, flips counted",
    "max_leverage": "largest notional / equity at a close",
    "min_margin_buffer": "smallest share of a pool's equity above its maintenance margin at a close; "
    "0 when there was a liquidation",
    "bars": "bars of the run",
    "mark_share": "share of the bars that mattered (a position or order at stake) with a mark price",
    "synthetic": "whether the data was made up",
}


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
    curve = growth_of(run, track)
    fall = stats.max_drawdown(curve)
    row: dict[str, Any] = {
        "initial_cash": run.cash,
        "final_equity": run.final,
        "total_return": stats.total_return(curve),
        "cagr": stats.cagr(curve),
        "max_drawdown": fall.depth,
        "drawdown_peak": fall.peak if fall.peak is not None else pd.NaT,
        "drawdown_trough": fall.trough if fall.trough is not None else pd.NaT,
        "drawdown_recovered": fall.recovered if fall.recovered is not None else pd.NaT,
        "sharpe": stats.sharpe(curve),
        "sortino": stats.sortino(curve),
    }
    row["price_result"] = run.final - run.cash - sum(float(np.sum(f)) for f in track.flows.values())
    return row | _booked(run, track) | _condition(run)


def _booked(run: Run, track: Track) -> dict[str, Any]:
    """What the events and the ledger count."""
    kinds = run.events["kind"].value_counts()
    total = {cause: float(np.sum(flow)) for cause, flow in track.flows.items()}
    return {
        "liquidations": int(kinds.get("liquidation", 0)),
        "liquidated_notional": liquidated_notional(run),
        "margin_calls": int(kinds.get("margin_call", 0)),
        "rejected_orders": int(kinds.get("rejected", 0)) - after_death(run),
        "fees": total["fees"],
        "funding": total["funding"],
        "interest": total["interest"],
        "liquidation_fees": total["liquidation_fee"],
        "slippage": total["slippage"],
        "shortfall": total["shortfall"],
        "trades": closed_trades(run),
    }


def _condition(run: Run) -> dict[str, Any]:
    """How near the run came to its end, and what its data had."""
    worst = float(run.bars["margin_ratio"].max()) if len(run.bars) else 0.0
    liquidated = bool((run.events["kind"] == "breach").any())
    return {
        "max_leverage": float(run.bars["leverage"].max()) if len(run.bars) else 0.0,
        "min_margin_buffer": 0.0 if liquidated else max(0.0, 1.0 - worst),
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
            book[event.symbol].contract.notional(event.size, event.mark)
            for event in run.broker.events
            if event.kind == "liquidation" and event.size and event.mark
        )
    )


def closed_trades(run: Run) -> int:
    """How often a position came back to nothing or changed its side."""
    held: dict[str, float] = {}
    closed = 0
    for event in run.broker.events:
        if event.kind not in ("fill", "liquidation") or not event.size:
            continue
        before = held.get(event.symbol, 0.0)
        after = before + event.size
        if abs(after) <= 1e-9 * max(abs(before), abs(event.size)):
            after = 0.0
        closed += bool(before) and before * after <= 0.0
        held[event.symbol] = after
    return closed
