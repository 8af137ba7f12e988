"""Was it certain? The same run with the price path inside the bar at its worst and at its best.

Candles do not say which extreme came first. A liquidation that happens under both extreme policies does not
depend on it; one that happens under one of them only was decided by the path.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bt_margin.studies.result import Run

CERTAIN = "certain"
PATH_DEPENDENT = "path-dependent"
EXTREMES = ("adverse", "favourable")


def label(events: pd.DataFrame, extremes: Mapping[str, Run]) -> pd.Series:
    """``certain`` or ``path-dependent`` for each liquidation of one run; empty text for other events.

    A liquidation is certain when the runs under both extremes had one of the same symbol and pool in the
    same bar. ``extremes`` holds the runs by policy name.
    """
    sets = [liquidation_keys(run.events, run.equity.index) for run in extremes.values()]
    both = set.intersection(*sets) if sets else set()
    fell = events[events["kind"] == "liquidation"]
    own = next(iter(extremes.values())).equity.index if extremes else pd.DatetimeIndex([])
    labels = pd.Series("", index=events.index, dtype=object)
    for row, key in zip(fell.index, _keys(fell, own), strict=True):
        labels.loc[row] = CERTAIN if key in both else PATH_DEPENDENT
    return labels


Key = tuple[int, str, str]


def liquidation_keys(events: pd.DataFrame, bars: pd.Index) -> set[Key]:
    """Bar, symbol and pool of every liquidation."""
    return set(_keys(events[events["kind"] == "liquidation"], bars))


def _keys(fell: pd.DataFrame, bars: pd.Index) -> list[Key]:
    """Bar, symbol and pool, row by row."""
    places = bars.searchsorted(fell["time"], side="right")
    return [
        (int(bar), str(symbol), str(pool))
        for bar, symbol, pool in zip(places, fell["symbol"], fell["pool"], strict=True)
    ]


def bounds_columns(extremes: Mapping[str, Mapping[str, Run]], events: pd.DataFrame) -> pd.DataFrame:
    """Columns for the summary: labelled counts and the final equity under each extreme, by scenario."""
    rows = {}
    for name, runs in extremes.items():
        own = events[events["scenario"] == name]["certainty"]
        rows[name] = {
            "certain_liquidations": int((own == CERTAIN).sum()),
            "path_dependent_liquidations": int((own == PATH_DEPENDENT).sum()),
            **{f"final_equity_{policy}": run.final for policy, run in runs.items()},
        }
    return pd.DataFrame.from_dict(rows, orient="index")
