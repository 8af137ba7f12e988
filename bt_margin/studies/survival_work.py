"""What is done for one start and margin mode: run the strategy at some rungs of the ladder, find the edge.

The *ladder* is what is searched, from the safest rung to the riskiest: leverages upward, or wallets downward.
Survival need not be monotone along it: at low leverage an order may be refused and a loss be missed, and a
position that was liquidated early is not there in a worse week later. So the search never assumes more than
it says: some rungs (*probes*) are run for every start, the gaps at the first failure and at the last survivor
are halved until their ends are neighbours, and the rungs beside those are run as well. What they show is
searched in turn, and where a riskier rung survives what a safer one does not, the result says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bt_margin.studies.cells import DAY, Cell, Job, Outcome, run_cell, told
from bt_margin.studies.result import Run
from bt_margin.studies.starts import Window, from_start
from bt_margin.studies.tracks import milliseconds

BISECT, GRID = "bisect", "grid"
METHODS = (BISECT, GRID)
#: Column -> what it means: one row per start, mode and rung that was computed.
COLUMNS: Mapping[str, str] = {
    "start": "the bar from which on the strategy traded (UTC)",
    "margin_mode": "cross or isolated",
    "leverage": "leverage of every position",
    "cash": "the wallet at the start",
    "currency": "what money is in",
    "survived": "no liquidation (and no loss as large as asked for) until the horizon or the end of the data",
    "whole": "whether the data reaches to the horizon",
    "days": "days from the start to the failure, or to the end of what was watched",
    "liquidations": "positions closed by the venue, in whole or in part",
    "final_equity": "equity at the end",
    "total_return": "final equity over the wallet, less one",
    "lowest": "smallest equity at a close over the wallet",
    "average_margin": "mean initial margin in use at the closes from the start on, bars without a position "
    "counted as 0",
    "return_on_margin": "profit over the mean initial margin in use (missing: there was none)",
    "fills": "orders filled, in whole or in part",
    "rejected_orders": "orders the account could not carry",
    "engine": "what computed it",
    "seconds": "how long it took",
    "error": "what the run raised (nothing: it did not)",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a start is searched.

    ``variable`` what the rungs are (``"leverage"`` or ``"cash"``), ``ladder`` their values from the safest to
    the riskiest, ``probes`` the places on it that are run for every start, ``method`` one of
    :data:`METHODS`; ``loss`` the share of the wallet whose loss is a failure as well (``None``: only
    liquidations are); ``begin`` how the strategy meets its warm-up.
    """

    variable: str
    ladder: tuple[float, ...]
    probes: tuple[int, ...]
    method: str
    begin: str
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """Where survival ends on the ladder, as far as rungs were run (−1: none survived).

    ``highest`` the riskiest rung that survives; ``safe`` the last one below the first failure: no rung run
    up to it fails. They are the same where survival is monotone.
    """

    highest: int
    safe: int

    @property
    def monotone(self) -> bool:
        """Whether no rung that was run survives above one that fails."""
        return self.highest == self.safe


def search(cell: Cell, job: Job, plan: Plan) -> Outcome:
    """All runs of one window and mode, in the row's ``rows``, and the ``edge`` found.

    The cell's settings are ``window`` and ``margin_mode``.
    """
    window, mode = cell.settings["window"], cell.settings["margin_mode"]
    own = from_start(job, window, plan.begin)
    rows: dict[int, dict[str, Any]] = {}

    def failed(rung: int) -> bool:
        if rung not in rows:
            settings = {"margin_mode": mode, plan.variable: plan.ladder[rung]}
            rows[rung] = once(Cell(cell.number, settings), own, window, plan.loss)
        return not rows[rung]["survived"]

    wanted = range(len(plan.ladder)) if plan.method == GRID else plan.probes
    for rung in wanted:
        failed(rung)
    edge = find_edge(failed, rows, len(plan.ladder), plan.method)
    return Outcome(cell, {"rows": [rows[k] for k in sorted(rows)], "edge": edge, "error": ""})


def find_edge(
    failed: Callable[[int], bool], known: Mapping[int, Any], size: int, method: str = BISECT
) -> Edge:
    """Where survival ends: below the first failure, and above the highest survivor.

    ``failed(rung)`` runs a rung (once), ``known`` are those that were run. Each of the two gaps is halved
    until its ends are neighbours, and the rungs beside them are run as well; what they show is searched in
    turn. With ``"grid"`` all are known.

    >>> dead, seen = {5, 6, 7, 8, 9}, {}
    >>> find_edge(lambda rung: seen.setdefault(rung, rung in dead), seen, 10), sorted(seen)
    (Edge(highest=4, safe=4), [3, 4, 5, 6, 7])
    """
    while method == BISECT:
        gaps = {_first_failure(failed, known, size), _last_survivor(failed, known, size)}
        wide = [(low + high) // 2 for low, high in gaps if high - low > 1]
        beside = {k for low, high in gaps for k in (low - 1, low, high, high + 1)}
        todo = wide or [k for k in sorted(beside) if 0 <= k < size and k not in known]
        if not todo:
            break
        for rung in todo:
            failed(rung)
    last, first = _last_survivor(failed, known, size), _first_failure(failed, known, size)
    return Edge(highest=last[0], safe=first[0])


def _first_failure(
    failed: Callable[[int], bool], known: Mapping[int, Any], size: int
) -> tuple[int, int]:
    """The last survivor below the first failure among the rungs that were run, and that failure."""
    high = min((k for k in sorted(known) if failed(k)), default=size)
    return max((k for k in known if k < high), default=-1), high


def _last_survivor(
    failed: Callable[[int], bool], known: Mapping[int, Any], size: int
) -> tuple[int, int]:
    """The riskiest survivor among the rungs that were run, and the failure above it."""
    low = max((k for k in sorted(known) if not failed(k)), default=-1)
    return low, min((k for k in known if k > low), default=size)


def once(cell: Cell, job: Job, window: Window, loss: float | None) -> dict[str, Any]:
    """One run of one window in the full engine, as a row of :data:`COLUMNS`."""
    began = time.perf_counter()
    settings = {**job.common, **cell.settings}
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS, math.nan), "currency": ""}
    row |= {"start": window.start, "margin_mode": settings["margin_mode"], "whole": window.whole}
    row |= {"leverage": settings["leverage"], "cash": settings["cash"], "error": ""}
    try:
        row |= outcome(run_cell(cell, job), window, loss)
    except Exception as error:
        row |= {"error": told(error), "survived": False}
    return row | {"engine": "full", "seconds": time.perf_counter() - began}


def outcome(run: Run, window: Window, loss: float | None) -> dict[str, Any]:
    """What a run says about survival: the numbers of :data:`COLUMNS` from the start on."""
    times = milliseconds(run.equity.index)
    first = int(np.searchsorted(times, window.start))
    equity = run.equity.to_numpy(dtype=float)[first:]
    kinds = [event.kind for event in run.broker.events]
    died = next((e.time for e in run.broker.events if e.kind == "liquidation"), None)
    sunk = _sunk(equity, times[first:], run.cash, loss)
    failure = min((moment for moment in (died, sunk) if moment is not None), default=None)
    margin = float(run.bars["margin"].to_numpy(dtype=float)[first:].mean()) if len(equity) else 0.0
    profit = run.final - run.cash
    return {
        "currency": run.currency,
        "survived": failure is None,
        "days": ((window.until if failure is None else failure) - window.start) / DAY,
        "liquidations": kinds.count("liquidation"),
        "final_equity": run.final,
        "total_return": profit / run.cash,
        "lowest": float(equity.min()) / run.cash if len(equity) else 1.0,
        "average_margin": margin,
        "return_on_margin": profit / margin if margin > 0.0 else math.nan,
        "fills": kinds.count("fill"),
        "rejected_orders": kinds.count("rejected"),
    }


def _sunk(equity: Any, times: Any, cash: float, loss: float | None) -> int | None:
    """The bar at whose close the loss was as large as asked for."""
    if loss is None:
        return None
    places = np.flatnonzero(equity <= (1.0 - loss) * cash)
    return int(times[places[0]]) if len(places) else None


def probes_of(ladder: Sequence[float], many: int) -> tuple[int, ...]:
    """Places on a ladder about equally far apart in factors, both ends among them.

    >>> [list(range(1, 51))[k] for k in probes_of(range(1, 51), 5)]
    [1, 3, 7, 19, 50]
    """
    size = len(ladder)
    if size <= many:
        return tuple(range(size))
    logs = np.log(np.asarray(ladder, dtype=float))
    wanted = np.linspace(logs[0], logs[-1], many)
    return tuple(sorted({int(np.argmin(np.abs(logs - each))) for each in wanted}))
