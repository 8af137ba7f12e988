"""What is done for one start: replay what can be, run in full what cannot and matters, find the edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bt_margin.studies.cells import Cell, Job, Outcome
from bt_margin.studies.starts import Window, from_start
from bt_margin.studies.survival_replay import Player
from bt_margin.studies.survival_work import (
    COLUMNS,
    FULL,
    GRID,
    TO_FAILURE,
    Edge,
    Plan,
    find_edge,
    once,
)
from bt_margin.studies.sweep_classes import studied

#: What a proof says of a strategy that cannot be replayed from any start.
READS = "the strategy reads its account"
Row = dict[str, Any]
Columns = dict[str, NDArray[Any]]


class Found(NamedTuple):
    """One start in one mode: its rows in columns, the edge, the row at the riskiest survivor (or nothing)."""

    window: Window
    mode: str
    columns: Columns
    edge: Edge
    best: Row


def search(cell: Cell, job: Job, plan: Plan) -> Outcome:
    """Everything about one window: what was :class:`Found` in each mode in the row's ``found``.

    ``reason`` why runs were not replayed ("": all were), ``reacts`` whether the strategy was seen to obey its
    account, ``wrong`` where a replay and a full run disagree. The cell's settings are ``window`` and
    ``modes``.
    """
    window, modes = cell.settings["window"], cell.settings["modes"]
    own = from_start(job, window, plan.begin)
    row: Row = {"found": [], "reason": "", "reacts": False, "wrong": "", "error": ""}
    with studied(own.strategy):
        known: dict[str, dict[int, Row]] = {mode: {} for mode in modes}
        if plan.engine != FULL:
            player = Player(own, window, plan.loss, plan.obedient)
            known, row["reason"] = replayed(player, modes, plan)
            row["reacts"] = player.reacts
        for mode in modes:
            found, wrong = _searched(mode, own, window, plan, known[mode])
            row["found"].append(found)
            row["wrong"] = row["wrong"] or wrong
    return Outcome(cell, row)


class Looked(NamedTuple):
    """What the first look at a strategy says: why nothing can be replayed ("": something can), and whether it
    was seen to obey its account."""

    reason: str
    reacts: bool


def look(job: Job, windows: Sequence[Window], modes: Sequence[str], plan: Plan) -> Looked:
    """What can be expected of the replay, from the first window, the one in the middle and the last.

    The kernel is compiled on the way, where it was not yet, so that workers find it on the disk.
    """
    reasons, reacts = [], False
    for place in dict.fromkeys((0, len(windows) // 2, len(windows) - 1)):
        own = from_start(job, windows[place], plan.begin)
        with studied(own.strategy):
            player = Player(own, windows[place], plan.loss)
            reasons.append(_refused(player, modes, plan))
            reacts = reacts or player.reacts
    reads = next((reason for reason in reasons if READS in reason), "")
    return Looked(reads or (reasons[0] if all(reasons) else ""), reacts)


def _refused(player: Player, modes: Sequence[str], plan: Plan) -> str:
    """Why a window cannot be replayed at either end of the ladder; "" when it can at one."""
    reason = ""
    for mode in modes:
        for value in (plan.ladder[0], plan.ladder[-1]):
            found = player.played(Cell(0, {"margin_mode": mode, plan.variable: value}))
            if not isinstance(found, str):
                return ""
            reason = found
    return reason


def replayed(
    player: Player, modes: Sequence[str], plan: Plan
) -> tuple[dict[str, dict[int, Row]], str]:
    """The rows of every rung that can be replayed, by mode, and why the first other one cannot."""
    known: dict[str, dict[int, Row]] = {}
    reason = ""
    for mode in modes:
        rows = known[mode] = {}
        for rung, value in enumerate(plan.ladder):
            found = player.row(Cell(rung, {"margin_mode": mode, plan.variable: value}))
            if isinstance(found, str):
                reason = reason or found
            else:
                rows[rung] = found
    return known, reason


def _searched(
    mode: str, job: Job, window: Window, plan: Plan, known: Mapping[int, Row]
) -> tuple[Found, str]:
    """One mode of a window; what is known already is not run, unless its whole row is asked for."""
    rows = dict(known)
    wrong = ""

    def failed(rung: int) -> bool:
        if rung not in rows:
            cell = Cell(rung, {"margin_mode": mode, plan.variable: plan.ladder[rung]})
            rows[rung] = once(cell, job, window, plan.loss)
        return not rows[rung]["survived"]

    for rung in range(len(plan.ladder)) if plan.method == GRID else plan.probes:
        if rung in rows and rows[rung]["engine"] == TO_FAILURE:
            told = rows.pop(rung)
            failed(rung)
            wrong = wrong or _contradiction(told, rows[rung])
        failed(rung)
    edge = find_edge(failed, rows, len(plan.ladder), plan.method)
    columns = in_columns([rows[rung] for rung in sorted(rows)])
    return Found(window, mode, columns, edge, rows.get(edge.highest, {})), wrong


def _contradiction(told: Row, run: Row) -> str:
    """What differs between the fate that a replay told and the full run ("" where the run raised)."""
    if run["error"]:
        return ""
    names = [name for name in ("survived", "days") if told[name] != run[name]]
    return "; ".join(f"{n} was {told[n]!r} replayed and {run[n]!r} in full" for n in names)


def in_columns(rows: Sequence[Row]) -> Columns:
    """Rows as an array per column, which takes a tenth of the room."""
    return {
        name: np.array(
            [row[name] for row in rows], dtype=object if isinstance(rows[0][name], str) else None
        )
        for name in COLUMNS
        if rows
    }
