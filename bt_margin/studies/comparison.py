"""The result of a comparison: aligned curves, numbers, events, and where the runs part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bt_margin.studies import bounds
from bt_margin.studies.causes import tell
from bt_margin.studies.divergence import Track, diverge
from bt_margin.studies.held import POSITION_COLUMNS, positions_frame, union_of_names
from bt_margin.studies.pieces import Divergence
from bt_margin.studies.present import presenter
from bt_margin.studies.result import Run
from bt_margin.studies.returns import per_bar, per_day
from bt_margin.studies.summary import growth_of, summary_frame
from bt_margin.studies.tracks import clock, milliseconds, track
from bt_margin.studies.write import drop_stale, staged, write_tables


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """The same strategy under several margin settings.

    ``runs`` by scenario name, in the order given; the first is what the others are measured against.
    ``extremes`` scenario → policy → run, when bounds were asked for. ``stamp`` says how this was made:
    versions, settings, data hash, seconds, command. ``avoided`` the last table of :meth:`counterfactuals`,
    which the page and the files then show; None before.
    """

    runs: Mapping[str, Run]
    stamp: Mapping[str, Any]
    extremes: Mapping[str, Mapping[str, Run]] = field(default_factory=dict)
    avoided: pd.DataFrame | None = field(default=None, init=False)

    @cached_property
    def index(self) -> pd.DatetimeIndex:
        """The common clock: every bar of any run, UTC."""
        return clock(list(self.runs.values()))

    @cached_property
    def tracks(self) -> list[Track]:
        """The runs on the common clock."""
        times = milliseconds(self.index)
        return [track(run, times) for run in self.runs.values()]

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Equity at the bar closes: one column per scenario, one row per bar (UTC)."""
        return pd.DataFrame({t.name: t.equity for t in self.tracks}, index=self.index)

    @cached_property
    def returns(self) -> pd.DataFrame:
        """Daily returns, one column per scenario, on naive UTC dates: ready for quantstats and pyfolio.

        Time-weighted: money put in or taken out is left aside. Crypto has 365 days a year, which those
        packages have to be told (``quantstats.reports.html(result.returns["cross"], periods_per_year=365)``).
        """
        curves = self._growth
        return pd.DataFrame({name: per_day(curve) for name, curve in curves.items()})

    @cached_property
    def bar_returns(self) -> pd.DataFrame:
        """Returns from bar to bar, one column per scenario (UTC)."""
        return pd.DataFrame({name: per_bar(curve) for name, curve in self._growth.items()})

    @property
    def _growth(self) -> dict[str, pd.Series]:
        """A unit of money in each run, on the common clock."""
        runs = zip(self.runs.values(), self.tracks, strict=True)
        return {run.name: growth_of(run, track) for run, track in runs}

    @cached_property
    def events(self) -> pd.DataFrame:
        """Every engine event of every run, with its scenario, id and cause, in order of time per scenario.

        ``certainty`` labels liquidations ``certain`` or ``path-dependent`` when bounds were asked for.
        """
        tables = []
        for name, run in self.runs.items():
            table = run.events.copy()
            if self.extremes:
                table["certainty"] = bounds.label(table, self.extremes[name])
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def positions(self) -> pd.DataFrame:
        """One row per scenario, bar and open position: :func:`bt_margin.studies.held.positions_frame`."""
        scenarios = pd.Index(list(self.runs), dtype="str")
        tables = []
        for place, run in enumerate(self.runs.values()):
            table = positions_frame(run.held)
            name = pd.Categorical.from_codes([place] * len(table), categories=scenarios)
            tables.append(table.assign(scenario=name))
        joined = pd.concat(union_of_names(tables), ignore_index=True)
        return joined[["scenario", *POSITION_COLUMNS]]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per scenario; :data:`bt_margin.studies.summary.COLUMNS` says what each column means."""
        frame = summary_frame(list(self.runs.values()), self.tracks)
        if self.extremes:
            frame = frame.join(bounds.bounds_columns(self.extremes, self.events))
        return frame

    @cached_property
    def divergence(self) -> Divergence:
        """Where the runs part, why, and what each parting was worth."""
        return diverge(self.tracks[0], self.tracks[1:], tell)

    def counterfactuals(self, **how: Any) -> pd.DataFrame:
        """What would have avoided each liquidation, and what it was worth to the end of the run.

        See :func:`bt_margin.studies.counterfactual.counterfactuals`, which also knows what can be said
        (``leverages``, ``most``, ``engine``, ``progress``): the runs are replayed or repeated for it. The
        page and the files of this comparison show the table from then on.
        """
        from bt_margin.studies.counterfactual import counterfactuals

        found = counterfactuals(self, **how)
        object.__setattr__(self, "avoided", found)
        return found

    @property
    def first(self) -> Run:
        """The scenario the others are measured against."""
        return next(iter(self.runs.values()))

    @property
    def synthetic(self) -> bool:
        """Whether any of the data was made up."""
        return any(run.synthetic for run in self.runs.values())

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings in force, by scenario."""
        return {name: dict(run.settings) for name, run in self.runs.items()}

    def to_dir(self, path: str | Path) -> list[Path]:
        """Write everything into a folder, from which ``bt-margin report`` makes the page again.

        Equity, returns (by day), positions, events, summary and divergence, and the counterfactuals if they
        were asked for, as CSV and Parquet (tables of more than 250,000 rows as Parquet only), ``result.json``
        with the verdict, the headline, what the difference is made of and the liquidations, the picture, and
        the bundle of the page. All of them appear, or none. Returns the files written.
        """
        tables = {
            "equity": self.equity.rename_axis("time").reset_index(),
            "returns": self.returns.reset_index(),
            "positions": self.positions,
            "events": self.events,
            "summary": self.summary.reset_index(),
            "divergence": self.divergence.to_frame(),
            **({} if self.avoided is None else {"counterfactuals": self.avoided}),
        }
        with staged(path) as (place, written):
            write_tables(place, tables, self.synthetic)
            presenter().write_picture(self, place / "equity.svg")
            presenter().write_bundle(self, place)
        drop_stale(path, tables, written)
        return written

    def plot(self) -> Any:
        """An interactive plotly figure: equity curves, drawdowns, liquidations as crosses."""
        return presenter().figure(self)

    def report(self, path: str | Path = "report.html") -> Path:
        """Write one self-contained page that opens offline; returns where it is."""
        return presenter().write_page(self, path)

    def __repr__(self) -> str:
        return presenter().as_text(self)

    def _repr_html_(self) -> str:
        return presenter().notebook_html(self)
