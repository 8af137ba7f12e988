"""What the runs of a survival study say together: the frontier, and the risk and the reward of each rung."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies.survival_curves import Blocks, curve, share
from bt_margin.studies.survival_work import Edge, Plan

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
    "median_return": "median return, where it was run for every start",
    "median_return_on_margin": "median profit over mean initial margin in use, where run for every start",
}


def frontier_frame(found: Sequence[tuple[Mapping[str, Any], Edge]], plan: Plan) -> pd.DataFrame:
    """One row per start and mode, from the rows of its runs and its edge."""
    rows = []
    for settings, edge in found:
        window, runs = settings["window"], settings["rows"]
        own = {run[plan.variable]: run for run in runs}
        value = plan.ladder[edge.highest] if edge.highest >= 0 else math.nan
        best = own.get(value, {})
        rows.append(
            {
                "start": window.start,
                "margin_mode": settings["margin_mode"],
                "highest": value,
                "safe": plan.ladder[edge.safe] if edge.safe >= 0 else math.nan,
                "monotone": edge.monotone,
                "whole": window.whole,
                "runs": len(runs),
                "total_return": best.get("total_return", math.nan),
                "return_on_margin": best.get("return_on_margin", math.nan),
            }
        )
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
        fates = np.array([fate for _, fate in _fates(own, plan)])
        for place, value in enumerate(plan.ladder):
            here = own[own[plan.variable] == value]
            middle, low, high = share(1.0 - fates[:, place], blocks)
            complete = len(here) == len(fates)
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


def _fates(runs: pd.DataFrame, plan: Plan) -> Iterator[tuple[Any, list[float]]]:
    """For each start in order the fate of every rung: 1.0 survives, 0.0 does not."""
    places = {value: place for place, value in enumerate(plan.ladder)}
    for start, own in runs.groupby("start", sort=True):
        known = dict(
            zip((places[v] for v in own[plan.variable]), own["survived"].astype(float), strict=True)
        )
        yield start, between(known, len(plan.ladder))


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
