"""A sample of what was replayed, run in full as well: every event, the equity of every bar, every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bt_margin.studies.cells import Cell, Job, Outcome, run_cell, told
from bt_margin.studies.replay.check import differs
from bt_margin.studies.starts import Window, from_start
from bt_margin.studies.survival_replay import Player
from bt_margin.studies.survival_search import Row
from bt_margin.studies.survival_work import COLUMNS, FULL, TO_FAILURE, Plan, judged, lived
from bt_margin.studies.sweep_check import TOLERANCE
from bt_margin.studies.sweep_classes import studied

#: Replayed runs that are run in full besides: at least so many, at most so many, else one in a thousand.
FEWEST, MOST, ONE_IN = 8, 32, 1_000
_NOT_COMPARED = {"engine", "seconds", "error"}


class Sample(NamedTuple):
    """The replayed rows to be run in full, by window number; how many of them failed and survived."""

    rows: Mapping[int, list[Row]]
    failed: int
    survived: int


def sample(runs: pd.DataFrame, windows: Sequence[Window]) -> Sample:
    """Rows of every sort (mode, fate, whether replayed to the end) from all over the history.

    Of each sort as many, one from each of as many stretches of its rows in time. The same for the same runs.
    """
    numbers = {window.start: window.number for window in windows}
    own = runs[runs["engine"] != FULL]
    count = max(FEWEST, min(MOST, len(own) // ONE_IN))
    sorts = own.groupby(["margin_mode", "survived", "engine"], sort=True)
    luck = np.random.default_rng(len(own))
    chosen: dict[int, list[Row]] = {}
    failed = 0
    for _, part in sorts:
        each = min(len(part), -(-count // sorts.ngroups))
        ends = np.linspace(0, len(part), each + 1).astype(int)
        for place in luck.integers(ends[:-1], ends[1:]):
            row: Row = {str(name): value for name, value in part.iloc[int(place)].items()}
            failed += not row["survived"]
            chosen.setdefault(numbers[row["start"]], []).append(row)
    return Sample(chosen, failed, sum(map(len, chosen.values())) - failed)


def verify(cell: Cell, job: Job, plan: Plan) -> Outcome:
    """Replay and run in full some rows of one window; ``wrong`` says what differs.

    The cell's settings are ``window`` and ``rows``.
    """
    window, rows = cell.settings["window"], cell.settings["rows"]
    own = from_start(job, window, plan.begin)
    wrong = ""
    with studied(own.strategy):
        player = Player(own, window, plan.loss, plan.obedient)
        for row in rows:
            differs = "" if wrong else _difference(player, row, plan)
            where = f"{plan.variable} {row[plan.variable]:g}, {row['margin_mode']}"
            wrong = wrong or (differs and f"at the start {_day(window)}, {where}: {differs}")
    return Outcome(cell, {"wrong": wrong, "error": ""})


def _day(window: Window) -> str:
    return f"{pd.Timestamp(window.start, unit='ms'):%Y-%m-%d %H:%M}"


def _difference(player: Player, row: Row, plan: Plan) -> str:
    """What differs between a row, its replay and its full run; "" when nothing does."""
    cell = Cell(0, {"margin_mode": row["margin_mode"], plan.variable: row[plan.variable]})
    again = player.played(cell)
    if isinstance(again, str):
        return f"replayed once, but not again: {again}"
    try:
        run = run_cell(cell, player.job)
    except Exception as error:
        return f"the full run raised {told(error)}"
    last = None if again.whole else again.last
    return differs(
        again.state, again.equity, again.ready.proof.market, run.broker, last
    ) or _numbers(row, judged(lived(run, player.window), player.window, plan.loss))


def _numbers(row: Row, run: Row) -> str:
    """The first number of a row that differs from the full run's."""
    names = ("survived", "days") if row["engine"] == TO_FAILURE else COLUMNS
    for name in names:
        if name in run and name not in _NOT_COMPARED and not _same(row[name], run[name]):
            return f"{name} was {row[name]!r} replayed and {run[name]!r} in full"
    return ""


def _same(one: Any, other: Any) -> bool:
    """Equal to the tolerance, relative to the size (from 1 on); missing equals missing.

    >>> _same(2.0, 2.0 + 1e-12), _same(float("nan"), float("nan")), _same("USDT", "USDC"), _same(1, 2)
    (True, True, False, False)
    """
    missing = one != one and other != other
    if missing or isinstance(one, str) or one == other:
        return bool(missing or one == other)
    return bool(abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other)))


def sentence(found: Sample, outcomes: Sequence[Outcome]) -> tuple[str, bool]:
    """What the comparison found, and whether anything differs."""
    told_ = chain.from_iterable((one.row.get("wrong", ""), one.error) for one in outcomes)
    wrong = next((text for text in told_ if text), "")
    if wrong:
        return broken(wrong), True
    return (
        f"{found.failed + found.survived} of the replayed runs, {found.failed} that failed and "
        f"{found.survived} that survived, were run in full as well: every event, the equity of every bar "
        f"and every number agree to {TOLERANCE:g}."
    ), False


def broken(wrong: str) -> str:
    """That a replay is not what the full engine says."""
    return f"The replay was thrown away and everything run in full: {wrong}. Please report this."
