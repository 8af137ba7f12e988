"""The work of a stress test: one market (a history, a crash, a path), run under every margin mode.

All modes meet the very same bars and the same random numbers, so what differs between their rows is the
margin mode alone. :func:`through` is a function of its arguments: who does it, and in which order, makes no
difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.plugin import assemble
from bt_margin.plugin.outages import cut_off
from bt_margin.studies.bend import step_of
from bt_margin.studies.bootstrap import Bootstrap
from bt_margin.studies.cells import Cell, Job, Outcome, lucky, statistics, told
from bt_margin.studies.crashes import Crash
from bt_margin.studies.result import Run
from bt_margin.studies.run import run_prepared
from bt_margin.studies.shocks import CrashAt, Shock, shocked, silences, under

#: Points of an equity curve that are kept of each path.
POINTS = 201
#: Keywords of the stock broker, which a margin broker takes over from the Cerebro's own.
_STOCK = ("slip_perc", "slip_fixed", "slip_open", "slip_match", "slip_limit", "slip_out", "coc", "coo",
          "filler", "checksubmit", "eosbar", "int2pnl", "shortcash", "fundmode", "fundstartval")  # fmt: skip

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What all markets of a stress test share.

    ``scenarios`` name → broker keywords; ``shocks`` hold in every market but the plain history; ``seed``,
    ``block`` and ``bars`` are those of the paths.
    """

    scenarios: Mapping[str, Mapping[str, Any]]
    shocks: tuple[Shock, ...]
    seed: int
    block: str
    bars: int | None


@dataclass(frozen=True, slots=True)
class Market:
    """One market of a stress test.

    ``kind`` is ``"history"``, ``"shocked"``, ``"crash"`` or ``"path"``; ``crash`` and ``at`` where
    it begins (UTC ms), ``number`` that of the path.
    """

    kind: str
    crash: Crash | None = None
    at: int | None = None
    number: int | None = None

    @property
    def name(self) -> str:
        """Which crash, "" for none."""
        return "" if self.crash is None else self.crash.name

    @property
    def label(self) -> str:
        """What it is called."""
        if self.kind == "path":
            return f"path {self.number}"
        if self.kind == "crash":
            when = pd.Timestamp(self.at or 0, unit="ms", tz="UTC")
            return f"{self.name} at {when:%Y-%m-%d %H:%M}"
        return "history" if self.kind == "history" else "history with the shocks"

    def frames(self, job: Job, plan: Plan) -> dict[str, pd.DataFrame]:
        """The bars of this market."""
        if self.kind == "history":
            return dict(job.data)
        if self.kind == "path":
            drawn = Bootstrap(job.data, block=plan.block, bars=plan.bars)
            return shocked(drawn.path(plan.seed, int(self.number or 0)), plan.shocks)
        crash = [] if self.crash is None else [CrashAt(self.crash, self.at)]
        return shocked(job.data, [*crash, *plan.shocks])

    def luck(self, plan: Plan) -> int:
        """Where Python's and numpy's random numbers begin."""
        return (plan.seed * 1_000_003 + (self.number or 0)) % 2**32


def through(cell: Cell, job: Job) -> Outcome:
    """The strategy through one market under every scenario.

    The row of the outcome holds ``rows`` (one dict per scenario), ``curves`` (scenario → equity at
    :data:`POINTS` places of the path), ``currency``, ``title`` and ``error``.
    """
    market: Market = cell.settings["market"]
    plan: Plan = job.common["plan"]
    row: dict[str, Any] = {"rows": [], "curves": {}, "currency": "", "title": "", "error": ""}
    name = ""
    try:
        frames = market.frames(job, plan)
        for name, keywords in plan.scenarios.items():
            run = _run(market, job, plan, frames, keywords)
            row["rows"].append(_row(market, name, run))
            row["currency"], row["title"] = run.currency, run.title
            if market.kind == "path":
                row["curves"][name] = _curve(run)
    except Exception as error:
        row["error"] = f"{', '.join(part for part in (market.label, name) if part)}: {told(error)}"
        row["wrong"] = type(error).__module__ == "bt_margin.errors"
    return Outcome(cell, row)


def _run(
    market: Market,
    job: Job,
    plan: Plan,
    frames: Mapping[str, pd.DataFrame],
    keywords: Mapping[str, Any],
) -> Run:
    """One run, under the shocks unless it is that of the plain history."""
    shocks = () if market.kind == "history" else plan.shocks
    full = under(keywords, frames, shocks)
    with lucky(market.luck(plan)):
        cerebro = assemble.build(job.strategy, frames, job.params)
        for name in _STOCK:
            if name in full:
                setattr(cerebro.broker.p, name, full[name])
        step = min(step_of(frame) for frame in frames.values()) // 1_000_000
        cut_off(cerebro, silences(shocks), 0 if full.get("timestamps") == "close" else step)
        return run_prepared(cerebro, frames, full, market.label, None)


def _row(market: Market, scenario: str, run: Run) -> dict[str, Any]:
    """What is kept of a run: what it was, and the statistics of a cell."""
    at = pd.NaT if market.at is None else pd.Timestamp(market.at, unit="ms", tz="UTC")
    return {
        "kind": market.kind,
        "market": market.label,
        "crash": market.name,
        "at": at,
        "path": market.number,
        "scenario": scenario,
        "initial_cash": run.cash,
        **statistics(run),
        "dead": bool(run.broker.account.dead),
    }


def _curve(run: Run) -> Array:
    """The equity at evenly spaced places of the path, the first and the last bar among them."""
    equity = run.equity.to_numpy(dtype=np.float64)
    if not len(equity):
        return np.full(POINTS, run.cash)
    places = np.linspace(0.0, len(equity) - 1.0, POINTS).round().astype(np.int64)
    return np.asarray(equity[places])
