"""What the runs of a survival study say together: the frontier, and the risk and the reward of each rung."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bt_margin.studies.survival_curves import Blocks, Floats, curve, share
from bt_margin.studies.survival_work import TO_FAILURE, Plan

if TYPE_CHECKING:
    from bt_margin.studies.survival_search import Found

#: Columns of the frontier -> what they mean: one row per start and mode.
FRONTIER: Mapping[str, str] = {
    "start": "the bar from which on the strategy traded (UTC)",
    "margin_mode": "cross or isolated",
    "highest": "the riskiest rung that survives: highest leverage, or smallest wallet (missing: none does)",
    "safe": "the riskiest rung up to which no rung that was run fails (missing: the safest one fails)",
    "monotone": "whether these are the same",
    "whole": "whether the data reaches to the horizon",
    "runs": "how many rungs were run",
    "total_return": "return of the run at the highest rung",
    "return_on_margin": "its profit over its mean initial margin in use",
}
#: Columns of the table of rungs -> what they mean: one row per mode and rung.
RUNGS: Mapping[str, str] = {
    "starts": "starts whose data reaches to the horizon",
    "liquidated": "share of them that does not survive the horizon",
    "low": "lower end of its 95 % interval (bootstrap of blocks as long as the horizon)",
    "high": "upper end",
    "computed": "starts at which the rung itself was run; at the others its fate lies between its neighbours",
    "median_return": "median return, where it was run to the end for every start",
    "median_return_on_margin": "median profit over mean initial margin in use, likewise",
}


def frontier_frame(found: Sequence[Found], plan: Plan) -> pd.DataFrame:
    """One row per start and mode."""
    rows = [
        {
            "start": one.window.start,
            "margin_mode": one.mode,
            "highest": plan.ladder[one.edge.highest] if one.edge.highest >= 0 else math.nan,
            "safe": plan.ladder[one.edge.safe] if one.edge.safe >= 0 else math.nan,
            "monotone": one.edge.monotone,
            "whole": one.window.whole,
            "runs": len(one.columns["start"]) if one.columns else 0,
            "total_return": one.best.get("total_return", math.nan),
            "return_on_margin": one.best.get("return_on_margin", math.nan),
        }
        for one in found
    ]
    return timed(pd.DataFrame(rows, columns=list(FRONTIER)))


def timed(frame: pd.DataFrame) -> pd.DataFrame:
    """The starts as UTC times, in order."""
    when = pd.to_datetime(frame["start"].astype("int64"), unit="ms", utc=True)
    ordered = frame.assign(start=when).sort_values(["start", "margin_mode"], kind="stable")
    return ordered.reset_index(drop=True)


def rungs_frame(runs: pd.DataFrame, plan: Plan, blocks: Blocks) -> pd.DataFrame:
    """One row per mode and rung: how many starts fail by the horizon, and what the others are paid.

    A rung that was not run at a start counts as surviving there when both the nearest rungs that were run do,
    and as failing otherwise.
    """
    rows = []
    for mode, own in runs[runs["whole"]].groupby("margin_mode", sort=True):
        fates = fates_of(own, plan)
        for place, value in enumerate(plan.ladder):
            here = own[own[plan.variable] == value]
            middle, low, high = share(1.0 - fates[:, place], blocks)
            complete = len(here) == len(fates) and not (here["engine"] == TO_FAILURE).any()
            rows.append(
                {
                    "margin_mode": mode,
                    plan.variable: value,
                    "starts": len(fates),
                    "liquidated": middle,
                    "low": low,
                    "high": high,
                    "computed": len(here),
                    "median_return": here["total_return"].median() if complete else math.nan,
                    "median_return_on_margin": (
                        here["return_on_margin"].median() if complete else math.nan
                    ),
                }
            )
    return pd.DataFrame(rows, columns=["margin_mode", plan.variable, *RUNGS])


def fates_of(runs: pd.DataFrame, plan: Plan) -> Floats:
    """The fate of every rung from every start, 1.0 survives: ndarray of shape (starts, rungs).

    Of rungs that were not run :func:`between`, for all starts at once.
    """
    starts, rows = np.unique(runs["start"].to_numpy(), return_inverse=True)
    places = {value: place for place, value in enumerate(plan.ladder)}
    known: Floats = np.full((len(starts), len(plan.ladder)), np.nan)
    known[rows, [places[value] for value in runs[plan.variable]]] = runs["survived"].astype(float)
    below = pd.DataFrame(known.T).ffill().to_numpy(dtype=float).T
    above = pd.DataFrame(known.T).bfill().to_numpy(dtype=float).T
    return np.asarray(np.nan_to_num(np.fmin(below, above), nan=0.0), dtype=float)


def between(known: Mapping[int, float], size: int) -> list[float]:
    """The fate of every rung from those of some: that of both neighbours, or failure where they differ.

    Below the lowest and above the highest that was run there is one neighbour only.

    >>> between({0: 1.0, 2: 1.0, 4: 0.0, 6: 0.0}, 8)
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    own = sorted(known)
    found = []
    for rung in range(size):
        below = [known[k] for k in own if k <= rung][-1:]
        above = [known[k] for k in own if k >= rung][:1]
        found.append(min([*below, *above], default=0.0))
    return found


def complete_rungs(runs: pd.DataFrame, plan: Plan) -> list[float]:
    """The rungs that were run for every start and mode: those whose curves are free of choice."""
    pairs = len(runs[["start", "margin_mode"]].drop_duplicates())
    counts = runs.groupby(plan.variable).size()
    return [value for value in plan.ladder if counts.get(value, 0) == pairs]


def curve_of(
    runs: pd.DataFrame, variable: str, value: float, mode: str, blocks: Blocks, horizon: float
) -> pd.DataFrame:
    """The probability of liquidation by day of one rung in one mode: :func:`survival_curves.curve`."""
    own = runs[(runs[variable] == value) & (runs["margin_mode"] == mode)].sort_values("start")
    days = own["days"].to_numpy(dtype=float)
    return curve(days, ~own["survived"].to_numpy(dtype=bool), blocks, horizon)
