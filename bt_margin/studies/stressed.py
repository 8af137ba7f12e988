"""What a stress test found: every run as a row, and the probabilities that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.studies import chances
from bt_margin.studies.paths import POINTS
from bt_margin.studies.write import drop_stale, staged, write_tables

Array = npt.NDArray[np.float64]

#: Days after the start by which the first liquidation is asked for; the length of the paths comes behind.
HORIZONS = (1.0, 7.0, 30.0, 90.0, 365.0)
#: Quantiles of the equity along the paths.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Statistic of the final equity -> how it is worked out from samples in rows.
TAILS = {
    "median": chances.median,
    "mean": chances.mean,
    "worst 5 % begin at": chances.worst,
    "mean of the worst 5 %": chances.tail,
}
TIE = "tie"
_SAME = 1e-9  # final equities that differ by less, relative, are the same


@dataclass(frozen=True, repr=False, eq=False)
class Stress:
    """A strategy under stress, in every margin mode on the same markets.

    ``runs`` one row per market and scenario: ``kind`` (``history``, ``shocked``, ``crash``, ``path``),
    ``market``, ``crash``, ``at``, ``path``, ``scenario``, the statistics of
    :data:`bt_margin.studies.cells.COLUMNS` and ``dead`` (everything lost).
    ``curves`` scenario → equity of shape (paths, points); ``days`` the length of a path.
    Probabilities come with Wilson's interval, statistics of the equity with bootstrap intervals, both 95 %.
    """

    runs: pd.DataFrame
    curves: Mapping[str, Array]
    scenarios: tuple[str, ...]
    strategy: str
    currency: str
    cash: float
    days: float
    seed: int
    shocks: tuple[str, ...]
    stamp: Mapping[str, Any]
    synthetic: bool = False

    @cached_property
    def crashes(self) -> pd.DataFrame:
        """The scenario table: the history, with the shocks, and through each crash, one row per run."""
        return self.runs[self.runs["kind"] != "path"].reset_index(drop=True)

    @cached_property
    def paths(self) -> pd.DataFrame:
        """The runs along the paths, one row per path and scenario."""
        return self.runs[self.runs["kind"] == "path"].reset_index(drop=True)

    @cached_property
    def probability(self) -> pd.DataFrame:
        """How likely a liquidation, the loss of everything, and a loss are on a path, by scenario."""
        rows = []
        for name, own in self._by_scenario():
            for event, happened in (
                ("liquidation", own["liquidations"] > 0),
                ("everything lost", own["dead"]),
                ("a loss", own["final_equity"] < own["initial_cash"]),
            ):
                found = chances.wilson(int(happened.sum()), len(own))
                rows.append({"scenario": name, "event": event, **_told(found)})
        return _table(rows, "scenario", "event")

    @cached_property
    def horizons(self) -> pd.DataFrame:
        """How likely the first liquidation is within so many days, by scenario."""
        rows = []
        spans = [days for days in HORIZONS if days < self.days]
        for name, own in self._by_scenario():
            for days in (*spans, self.days):
                early = own["days_to_liquidation"] <= days  # missing: never
                found = chances.wilson(int(early.sum()), len(own))
                rows.append({"scenario": name, "days": round(days, 2), **_told(found)})
        return _table(rows, "scenario", "days")

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Median, mean and tail of the final equity over the paths, by scenario."""
        rows = []
        for name, own in self._by_scenario():
            values = own["final_equity"].to_numpy(dtype=np.float64)
            for place, (what, statistic) in enumerate(TAILS.items()):
                found = chances.resampled(values, statistic, self.seed + place)
                rows.append({"scenario": name, "statistic": what, **_told(found)})
        return _table(rows, "scenario", "statistic")

    @cached_property
    def winner(self) -> pd.DataFrame:
        """Which scenario ends with the most on a path, and how likely that is; equal ends are ties."""
        if self.paths.empty:
            return _table([], "winner")
        ends = self.paths.pivot(index="path", columns="scenario", values="final_equity")
        ends = ends[list(self.scenarios)]
        values = ends.to_numpy(dtype=np.float64)
        best = values.max(axis=1, keepdims=True)
        near = np.abs(values - best) <= _SAME * np.maximum(np.abs(best), 1.0)
        alone = near.sum(axis=1) == 1
        counts = {n: int((near[:, k] & alone).sum()) for k, n in enumerate(self.scenarios)}
        counts[TIE] = int((~alone).sum())
        rows = [{"winner": n, **_told(chances.wilson(c, len(ends)))} for n, c in counts.items()]
        return _table(rows, "winner")

    @cached_property
    def fan(self) -> pd.DataFrame:
        """Quantiles of the equity along the paths: one row per scenario and day, one column per quantile."""
        at = np.linspace(0.0, self.days, POINTS)
        tables = []
        for name, curves in self.curves.items():
            if len(curves):
                levels = np.quantile(curves, QUANTILES, axis=0)
                columns = {f"q{q:g}": level for q, level in zip(QUANTILES, levels, strict=True)}
                tables.append(pd.DataFrame({"scenario": name, "days": at, **columns}))
        columns_of = ["scenario", "days", *(f"q{q:g}" for q in QUANTILES)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns_of)

    def _by_scenario(self) -> list[tuple[str, pd.DataFrame]]:
        """The paths of each scenario; nothing where there are none."""
        if self.paths.empty:
            return []
        return [(n, self.paths[self.paths["scenario"] == n]) for n in self.scenarios]

    def to_frame(self) -> pd.DataFrame:
        """Every run as a row."""
        return self.runs.copy()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return {
            "runs": self.runs,
            "probability": self.probability,
            "horizons": self.horizons,
            "equity": self.equity,
            "winner": self.winner,
            "fan": self.fan,
        }

    def to_dir(self, path: str | Path) -> list[Path]:
        """Write every table as CSV and Parquet and the page into a folder; all of them appear, or none."""
        tables = self.tables
        with staged(path) as (place, written):
            write_tables(place, tables, self.synthetic)
            self.report(place / "stress.html")
        drop_stale(path, tables, written)
        return written

    def report(self, path: str | Path = "stress.html") -> Path:
        """Write one self-contained page that opens offline; returns where it is."""
        return Path(_eye().write(self, path))

    def __repr__(self) -> str:
        return str(_eye().as_text(self))

    def _repr_html_(self) -> str:
        return str(_eye().fragment(self))


def _eye() -> Any:
    """What shows a stress test, loaded at its first use: studies do not import what stands above them."""
    return import_module("bt_margin.report.stress")


def _told(found: chances.Estimate) -> dict[str, Any]:
    return dict(found._asdict())


def _table(rows: list[dict[str, Any]], *keys: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*keys, *chances.Estimate._fields])
