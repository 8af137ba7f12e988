"""The ladder of a survival study: what a run at one rung says, and how the edge of survival is found.

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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bt_margin.studies.cells import DAY, Cell, Job, run_cell, told
from bt_margin.studies.result import Run
from bt_margin.studies.starts import Window
from bt_margin.studies.tracks import milliseconds

BISECT, GRID = "bisect", "grid"
METHODS = (BISECT, GRID)
EITHER, REPLAY, FULL = "auto", "replay", "full"
ENGINES = (EITHER, REPLAY, FULL)
#: What a row says of itself that was replayed up to its failure, and not beyond.
TO_FAILURE = "replay to failure"
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
    "engine": 'what computed it: "full", "replay", or "replay to failure" (of a strategy that obeys its '
    "account: the numbers of the whole run are missing)",
    "seconds": "how long it took",
    "error": "what the run raised (nothing: it did not)",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a start is searched.

    ``variable`` what the rungs are (``"leverage"`` or ``"cash"``), ``ladder`` their values from the safest to
    the riskiest, ``probes`` the places on it that are run for every start, ``method`` one of
    :data:`METHODS`; ``loss`` the share of the wallet whose loss is a failure as well (``None``: only
    liquidations are); ``begin`` how the strategy meets its warm-up; ``engine`` one of :data:`ENGINES`;
    ``obedient`` whether the strategy is known to obey its account, whatever a single start shows.
    """

    variable: str
    ladder: tuple[float, ...]
    probes: tuple[int, ...]
    method: str
    begin: str
    loss: float | None = None
    engine: str = FULL
    obedient: bool = False


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


def blank(cell: Cell, job: Job, window: Window) -> dict[str, Any]:
    """A row of :data:`COLUMNS` before anything is known: its settings, every number missing."""
    settings = {**job.common, **cell.settings}
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS, math.nan), "currency": ""}
    row |= {"start": window.start, "margin_mode": settings["margin_mode"], "whole": window.whole}
    return row | {"leverage": settings["leverage"], "cash": settings["cash"], "error": ""}


def once(cell: Cell, job: Job, window: Window, loss: float | None) -> dict[str, Any]:
    """One run of one window in the full engine, as a row of :data:`COLUMNS`."""
    began = time.perf_counter()
    row = blank(cell, job, window)
    try:
        row |= judged(lived(run_cell(cell, job), window), window, loss)
    except Exception as error:
        row |= {"error": told(error), "survived": False}
    return row | {"engine": FULL, "seconds": time.perf_counter() - began}


class Lived(NamedTuple):
    """What an account went through, whoever computed it.

    ``times`` UTC ms of the bars and ``equity`` at their closes, the warm-up included; ``died`` the time of
    the first liquidation; ``margin`` the mean initial margin in use from the start on; the rest are counts.
    """

    times: NDArray[np.int64]
    equity: NDArray[Any]
    cash: float
    currency: str
    died: int | None
    margin: float
    liquidations: int
    fills: int
    rejected: int


def lived(run: Run, window: Window) -> Lived:
    """A full run as its account went through it."""
    times = milliseconds(run.equity.index)
    kinds = [event.kind for event in run.broker.events]
    died = next((e.time for e in run.broker.events if e.kind == "liquidation"), None)
    used = run.bars["margin"].to_numpy(dtype=float)[int(np.searchsorted(times, window.start)) :]
    margin = float(used.mean()) if len(used) else 0.0
    count = (kinds.count(kind) for kind in ("liquidation", "fill", "rejected"))
    equity = run.equity.to_numpy(dtype=float)
    return Lived(times, equity, run.cash, run.currency, died, margin, *count)


def judged(one: Lived, window: Window, loss: float | None) -> dict[str, Any]:
    """What an account says about survival: the numbers of :data:`COLUMNS` from the start on."""
    first = int(np.searchsorted(one.times, window.start))
    equity = one.equity[first:]
    final = float(one.equity[-1]) if len(one.equity) else one.cash
    profit = final - one.cash
    return {
        "currency": one.currency,
        **fate(one, window, loss),
        "liquidations": one.liquidations,
        "final_equity": final,
        "total_return": profit / one.cash,
        "lowest": float(equity.min()) / one.cash if len(equity) else 1.0,
        "average_margin": one.margin,
        "return_on_margin": profit / one.margin if one.margin > 0.0 else math.nan,
        "fills": one.fills,
        "rejected_orders": one.rejected,
    }


def fate(one: Lived, window: Window, loss: float | None) -> dict[str, Any]:
    """Whether an account survived, and how many days."""
    first = int(np.searchsorted(one.times, window.start))
    sunk = _sunk(one.equity[first:], one.times[first:], one.cash, loss)
    failure = min((moment for moment in (one.died, sunk) if moment is not None), default=None)
    days = ((window.until if failure is None else failure) - window.start) / DAY
    return {"survived": failure is None, "days": days}


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
