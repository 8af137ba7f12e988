"""Every day of a history as a start: which leverage, or which wallet, lives to the horizon."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bt_margin.errors import InputError
from bt_margin.plugin.late import JOINS
from bt_margin.studies.backends import Crew, check, each
from bt_margin.studies.cells import Cell, Job, Outcome
from bt_margin.studies.frontier import frontier_frame, timed
from bt_margin.studies.starts import AUTO, DAY, WarmUp, Window, span, warmed, windows
from bt_margin.studies.survival_check import broken, sample, sentence, verify
from bt_margin.studies.survival_notes import engines, notes, stamp_of
from bt_margin.studies.survival_plan import job_of, plan_of
from bt_margin.studies.survival_result import Survival
from bt_margin.studies.survival_search import READS, Found, look, search
from bt_margin.studies.survival_work import BISECT, COLUMNS, EITHER, FULL, REPLAY, Plan
from bt_margin.studies.sweep import ReplayDiffers

Progress = Callable[[str, float], None]
PROBES = 4
LABEL = "survival"


def survival(
    strategy: Any,
    data: Any,
    *,
    starts: str | Sequence[Any] = "1d",
    horizon: str = "90d",
    leverages: Iterable[float] | None = None,
    wallets: Iterable[float] | None = None,
    modes: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
    method: str = BISECT,
    probes: int | Sequence[float] = PROBES,
    engine: str = EITHER,
    loss: float | None = None,
    begin: str = JOINS,
    warm_up: int | str = AUTO,
    backend: str = "loky",
    workers: int | None = None,
    address: str = "",
    progress: Progress | None = None,
    command: str = "",
    **common: Any,
) -> Survival:
    """Start the same strategy with the same wallet again and again, and find what survives the horizon.

        btm.survival(Trend, frames, starts="1d", horizon="90d", leverages=range(1, 51),
                     venue="binance", cash=10_000)

    ``strategy`` class, ``data`` and ``params`` as in :func:`bt_margin.run`; ``common`` are broker keywords
    (``venue``, ``cash``, ``intrabar``, ...). ``starts``: a step (``"1d"``, ``"1h"``: as often as it fits
    with a whole horizon) or a list of times, whose windows the end of the data may cut short. A start
    *survives* when nothing is liquidated before the horizon ends and, with ``loss=0.5``, no close finds half
    of the wallet gone.

    Searched are ``leverages`` (upward), or ``wallets`` (downward, with one ``leverage``), in each of
    ``modes`` (default: the venue's). Survival need not be monotone: with ``method="bisect"`` the ``probes``
    (a number of rungs, or which) are run for every start, the edges between are found by halving, and their
    neighbours are run to verify; ``method="grid"`` runs every rung. The result says where a riskier rung
    survived what a safer one did not.

    ``engine="full"`` runs backtrader for each of these. ``"auto"`` records the orders of each start once,
    proves under very different accounts that they do not depend on the account, and replays them at *every*
    rung, whatever the ``method``; only what cannot be replayed exactly is run in full, as the method says. A
    sample from all over the history is always run in full besides and compared; if anything differs,
    everything is. A strategy that obeys its account (does something else after a liquidation) is replayed up
    to its failure: fate and days are then known at every rung, the other numbers at the probes (with
    ``"grid"`` at every rung), which are run in full. ``"replay"`` does the same and is refused where nothing
    can be replayed. The frontier is the same wherever both engines know it.

    Before each start the strategy is given ``warm_up`` bars (``"auto"``: what its indicators need,
    :func:`bt_margin.studies.starts.warmed`), in which no order leaves it. ``begin="joins"``: it lives through
    them, and trades from the start on as it would in the whole history; ``"fresh"``: its ``next`` is first
    called at the start. ``backend``, ``workers`` and ``address`` as in ``sweep``, ``progress`` is called with
    a label and the share done.

    :raises InputError: what cannot be meant, what every run raised, or a refused replay.
    :raises DataError: too little data.
    """
    began = time.perf_counter()
    plan = plan_of(leverages, wallets, method, probes, begin, loss, engine)
    job, chosen = job_of(strategy, data, params, plan, modes, common)
    crew = Crew(backend, workers, address)
    check(crew)
    reach = span(horizon, "horizon")
    sample_ = Cell(0, {"margin_mode": chosen[0], plan.variable: plan.ladder[0]})
    warm = warmed(job, sample_, warm_up, begin)
    study = _Study(job, plan, chosen, windows(job.data, starts, reach, warm), crew, progress)
    done, said = study.done()
    stamp = stamp_of(job, crew, time.perf_counter() - began, command)
    return _result(study, done, said, warm, stamp, reach / DAY)


class _Done(NamedTuple):
    """Every start in every mode, in order; what workers died of, and what was learned on the way.

    ``reasons`` why runs were not replayed, ``reacts`` whether the strategy was seen to obey its account,
    ``wrong`` where replay and full run differ.
    """

    found: list[Found]
    lost: list[str]
    reasons: Counter[str]
    reacts: bool
    wrong: str

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run, the starts in ms."""
        parts = [one.columns for one in self.found if one.columns]
        columns = {
            name: np.concatenate([part[name] for part in parts]) for name in COLUMNS if parts
        }
        return pd.DataFrame(columns, columns=list(COLUMNS))


class _Study(NamedTuple):
    """What is studied, by whom."""

    job: Job
    plan: Plan
    modes: Sequence[str]
    windows: Sequence[Window]
    crew: Crew
    progress: Progress | None

    def done(self) -> tuple[_Done, list[str]]:
        """Every window searched, and what there is to say about the engines.

        :raises InputError: what every run raised, or ``engine="replay"`` where nothing can be replayed.
        """
        if self.plan.engine == FULL:
            return self._full("")
        seen = look(self.job, self.windows, self.modes, self.plan)
        if seen.reason:
            return self._full(seen.reason)
        plan = replace(self.plan, obedient=seen.reacts)
        done = self._searched(plan)
        if done.reacts and not plan.obedient:  # seen from other starts: so it holds for all of them
            plan = replace(plan, obedient=True)
            done = self._searched(plan)
        reads = next((reason for reason in done.reasons if READS in reason), "")
        if reads:
            return self._full(reads)
        told, differs = (broken(done.wrong), True) if done.wrong else self._checked(done, plan)
        if not differs:
            reason = done.reasons.most_common(1)[0][0] if done.reasons else ""
            return done, [*engines(done.runs, reason), told]
        warnings.warn(told, ReplayDiffers, stacklevel=4)
        done = self._searched(replace(plan, engine=FULL))
        return done, [*engines(done.runs, ""), told]

    def _full(self, why: str) -> tuple[_Done, list[str]]:
        """Every window in full. :raises InputError: that was not asked for."""
        if self.plan.engine == REPLAY:
            raise InputError(f"engine='replay' cannot be used here: {why}; take engine='auto'")
        done = self._searched(replace(self.plan, engine=FULL))
        return done, engines(done.runs, why)

    def _searched(self, plan: Plan) -> _Done:
        """Every window, by one engine or by both. :raises InputError: what every run raised."""
        together = [tuple(self.modes)] if plan.engine != FULL else [(mode,) for mode in self.modes]
        cells = [
            Cell(number, {"window": window, "modes": modes})
            for number, (window, modes) in enumerate((w, m) for w in self.windows for m in together)
        ]
        outcomes: dict[int, Outcome] = {}
        for outcome in each(self.job, cells, self.crew, work=partial(search, plan=plan)):
            outcomes[outcome.cell.number] = outcome
            if self.progress is not None:
                self.progress(LABEL, len(outcomes) / len(cells))
        rows = [outcomes[cell.number].row for cell in cells]
        found = [one for row in rows for one in row.get("found", ())]
        lost = [outcome.error for outcome in outcomes.values() if outcome.error]
        wrong = next((row["wrong"] for row in rows if row.get("wrong")), "")
        reasons = Counter(row["reason"] for row in rows if row.get("reason"))
        raised = [*lost, *(text for one in found for text in one.columns.get("error", ()))]
        if raised and all(raised):
            raise InputError(f"every run failed; the first with {raised[0]}")
        reacts = any(row.get("reacts") for row in rows)
        return _Done(found, lost, reasons, reacts, wrong)

    def _checked(self, done: _Done, plan: Plan) -> tuple[str, bool]:
        """A sample of what was replayed against full runs: what was found, and whether anything differs."""
        chosen = sample(done.runs, self.windows)
        cells = [
            Cell(window.number, {"window": window, "rows": chosen.rows[window.number]})
            for window in self.windows
            if window.number in chosen.rows
        ]
        work = partial(verify, plan=plan)
        outcomes = list(each(self.job, cells, self.crew, work=work))
        return sentence(chosen, sorted(outcomes, key=lambda one: one.cell.number))


def _result(
    study: _Study,
    done: _Done,
    said: Sequence[str],
    warm: WarmUp,
    stamp: Mapping[str, Any],
    horizon: float,
) -> Survival:
    """The tables of what was searched, and what to know about them."""
    runs = done.runs
    begins = sorted({window.start for window in study.windows})
    spacing = float(np.median(np.diff(begins))) / DAY if len(begins) > 1 else horizon
    counts = {str(name): int(count) for name, count in runs["engine"].value_counts().items()}
    result = Survival(
        title=study.job.strategy.__name__,
        plan=study.plan,
        runs=timed(runs),
        frontier=frontier_frame(done.found, study.plan),
        horizon=horizon,
        spacing=spacing,
        currency=next((str(c) for c in runs["currency"] if isinstance(c, str) and c), ""),
        synthetic=any(bool(frame.attrs.get("synthetic")) for frame in study.job.data.values()),
        stamp={**stamp, "engine": study.plan.engine, "runs": counts, "check": said[-1]},
    )
    return replace(result, notes=tuple(notes(result, warm, said, len(done.lost))))
