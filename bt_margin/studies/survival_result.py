"""The result of a survival study: every run, the frontier, the curves, and what they teach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.studies.frontier import complete_rungs, curve_of, rungs_frame
from bt_margin.studies.survival_curves import Blocks
from bt_margin.studies.survival_work import GRID, Plan
from bt_margin.studies.write import atomic_text, drop_stale, staged, write_tables

_MANY = 8  # rungs in a table


@dataclass(frozen=True, repr=False, eq=False)
class Survival:
    """Which leverage, or which wallet, survives a horizon from each of many starts.

    ``runs`` one row per start, mode and rung that was computed, with the engine that did it
    (:data:`bt_margin.studies.survival_work.COLUMNS`); ``frontier`` one row per start and mode
    (:data:`bt_margin.studies.frontier.FRONTIER`). ``horizon`` in days, ``spacing`` the days between two
    starts. ``stamp`` says how this was made, ``notes`` what to know when reading it.
    """

    title: str
    plan: Plan
    runs: pd.DataFrame
    frontier: pd.DataFrame
    horizon: float
    spacing: float
    currency: str = ""
    synthetic: bool = False
    stamp: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """What was searched: ``"leverage"`` or ``"cash"``."""
        return self.plan.variable

    @property
    def modes(self) -> list[str]:
        """The margin modes, in order."""
        return list(dict.fromkeys(self.frontier["margin_mode"]))

    @property
    def blocks(self) -> Blocks:
        """How intervals are drawn: neighbours as long as the horizon stay together."""
        return Blocks(max(1, round(self.horizon / self.spacing)))

    @cached_property
    def rungs(self) -> pd.DataFrame:
        """One row per mode and rung: risk and reward (:data:`bt_margin.studies.frontier.RUNGS`)."""
        return rungs_frame(self.runs, self.plan, self.blocks)

    @property
    def complete(self) -> list[float]:
        """The rungs whose fate is known from every start and in every mode: those that have curves."""
        return complete_rungs(self.runs, self.plan)

    @property
    def shown(self) -> list[float]:
        """The rungs that tables and charts show: the complete ones, of many those among the probes."""
        own, probes = self.complete, {self.plan.ladder[place] for place in self.plan.probes}
        if len(own) <= _MANY:
            return own
        return [value for value in own if value in probes] or own[:: -(-len(own) // _MANY)]

    def curve(self, mode: str, value: float) -> pd.DataFrame:
        """The probability of liquidation by day at one rung, with its 95 % interval.

        Product-limit (Kaplan–Meier) over the starts, those that the end of the data cuts short counted as
        long as they were watched. Index ``days``; columns ``liquidated``, ``low``, ``high``, ``watched``.

        :raises InputError: a mode that was not studied, or a rung that was not run for every start (those
            found by bisection were run where they matter, which is no fair sample).
        """
        if mode not in self.modes:
            raise InputError(message("mode", repr(mode), ", ".join(self.modes), None, "name one"))
        if value not in self.complete:
            allowed = ", ".join(f"{each:g}" for each in self.complete)
            todo = f'add it to probes=, or run all with method="{GRID}"'
            raise InputError(
                message(f"curve at {self.variable} {value:g}", None, allowed, None, todo)
            )
        return curve_of(self.runs, self.variable, value, mode, self.blocks, self.horizon)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """:meth:`curve` of every complete rung in every mode, below each other."""
        parts = [
            _labelled(self.curve(mode, value), {"margin_mode": mode, self.variable: value})
            for mode in self.modes
            for value in self.complete
        ]
        names = ["margin_mode", self.variable, "days", "liquidated", "low", "high", "watched"]
        return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)

    @property
    def independent(self) -> float:
        """How many windows that do not overlap the starts cover: the evidence there really is."""
        reach = self.frontier["start"].max() - self.frontier["start"].min()
        return 1.0 + float(reach / pd.Timedelta(days=self.horizon))

    def report(self, path: str | Path = "survival.html") -> Path:
        """Write one page that opens offline; returns where it is."""
        return atomic_text(path, _presenter().page(self))

    def to_dir(self, path: str | Path) -> list[Path]:
        """Write ``runs``, ``frontier``, ``rungs`` and ``curves`` (CSV, Parquet) and the page into a folder.

        All of them appear, or none. Returns the files written.
        """
        tables = {
            "runs": self.runs, "frontier": self.frontier, "rungs": self.rungs, "curves": self.curves,
        }  # fmt: skip
        with staged(path) as (place, written):
            write_tables(place, tables, self.synthetic)
            atomic_text(place / "survival.html", _presenter().page(self))
        drop_stale(path, tables, written)
        return written

    def __repr__(self) -> str:
        return str(_presenter().as_text(self))

    def _repr_html_(self) -> str:
        return str(_presenter().fragment(self))


def _labelled(frame: pd.DataFrame, labels: Mapping[str, Any]) -> pd.DataFrame:
    """A frame with its index as a column, and more columns of one value each."""
    found = frame.reset_index()
    for name, value in labels.items():
        found[name] = value
    return found


def _presenter() -> Any:
    """The module that shows a survival study (it stands to the left, and is imported when asked)."""
    return import_module("bt_margin.report.frontier")
