"""Every day of a history as a start: which leverage, or which wallet, lives to the horizon."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

from bt_margin._version import __version__
from bt_margin.errors import InputError, message
from bt_margin.plugin import assemble
from bt_margin.plugin.late import JOINS
from bt_margin.studies.backends import Crew, check, each
from bt_margin.studies.cells import Cell, Job, Outcome, check_settings
from bt_margin.studies.frontier import frontier_frame, timed
from bt_margin.studies.run import as_frames, plain
from bt_margin.studies.starts import AUTO, DAY, WarmUp, Window, span, warmed, windows
from bt_margin.studies.survival_result import Survival
from bt_margin.studies.survival_work import BISECT, COLUMNS, METHODS, Plan, probes_of, search
from bt_margin.studies.sweep_store import data_digest
from bt_margin.venues import venue as make_venue

Progress = Callable[[str, float], None]
LEVERAGES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
PROBES = 4
LABEL = "survival"
_FEW = 10.0  # windows that do not overlap: below, intervals say little


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

    Before each start the strategy is given ``warm_up`` bars (``"auto"``: what its indicators need,
    :func:`bt_margin.studies.starts.warmed`), in which no order leaves it. ``begin="joins"``: it lives through
    them, and trades from the start on as it would in the whole history; ``"fresh"``: its ``next`` is first
    called at the start. All runs are in the full engine; ``backend``, ``workers`` and ``address`` as in
    ``sweep``, ``progress`` is called with a label and the share done.

    :raises InputError: what cannot be meant, or what every run raised.
    :raises DataError: too little data.
    """
    began = time.perf_counter()
    plan = _plan(leverages, wallets, method, probes, begin, loss)
    job, chosen = _job(strategy, data, params, plan, modes, common)
    crew = Crew(backend, workers, address)
    check(crew)
    reach = span(horizon, "horizon")
    sample = Cell(0, {"margin_mode": chosen[0], plan.variable: plan.ladder[0]})
    warm = warmed(job, sample, warm_up, begin)
    found = windows(job.data, starts, reach, warm)
    done = _done(job, found, chosen, plan, crew, progress)
    stamp = _stamp(job, crew, time.perf_counter() - began, command)
    return _result(job, plan, warm, done, stamp, reach / DAY)


def _plan(
    leverages: Iterable[float] | None,
    wallets: Iterable[float] | None,
    method: str,
    probes: int | Sequence[float],
    begin: str,
    loss: float | None,
) -> Plan:
    """What is searched, and how. :raises InputError: both or nothing of it, or values that cannot be."""
    if leverages is not None and wallets is not None:
        raise InputError(
            "leverages= and wallets= both say what is searched; give one, and the other as leverage= or cash="
        )
    if method not in METHODS:
        raise InputError(
            message("method", repr(method), ", ".join(METHODS), None, "say one of them")
        )
    if loss is not None and not 0.0 < loss <= 1.0:
        raise InputError(message("loss", loss, "a share of the wallet above 0, at most 1"))
    variable = "leverage" if wallets is None else "cash"
    given = wallets if wallets is not None else LEVERAGES if leverages is None else leverages
    values = sorted({float(each) for each in given}, reverse=variable == "cash")
    if not values or not all(value > 0.0 and np.isfinite(value) for value in values):
        what = "wallets" if variable == "cash" else "leverages"
        raise InputError(message(what, values, "positive numbers, at least one"))
    places = _probes(probes, values)
    return Plan(variable, tuple(values), places, method, begin, loss)


def _probes(probes: int | Sequence[float], values: Sequence[float]) -> tuple[int, ...]:
    """The places run for every start. :raises InputError: a number below 2, or a value not searched."""
    if isinstance(probes, int):
        if probes < 2:
            raise InputError(
                message("probes", probes, "a number from 2 on, or values that are searched")
            )
        return probes_of(values, probes)
    own = sorted({float(each) for each in probes})
    lost = [each for each in own if each not in values]
    if lost or not own:
        raise InputError(message("probes", lost or own, "values that are searched"))
    return tuple(sorted(values.index(each) for each in own))


def _job(
    strategy: Any,
    data: Any,
    params: Mapping[str, Any] | None,
    plan: Plan,
    modes: Sequence[str] | None,
    common: Mapping[str, Any],
) -> tuple[Job, list[str]]:
    """What all runs share, and the modes. :raises InputError: what they cannot be given."""
    if assemble.is_cerebro(strategy) or not assemble.is_strategy(strategy):
        todo = "give the class and its data, so that the data can be cut at each start"
        raise InputError(
            message("strategy", repr(strategy), "a subclass of backtrader.Strategy", None, todo)
        )
    for name in (plan.variable, "margin_mode"):
        if name in common:
            searched = "modes=[...]" if name == "margin_mode" else f"{name}s or wallets"
            raise InputError(f"{name}={common[name]!r} given, but it is searched; say {searched}")
    if common.get("venue") is None:
        raise InputError('no venue given; say whose rules apply, e.g. venue="binance"')
    assemble.check_params(strategy, params or {})
    standing = {"cash": 10_000.0} if plan.variable == "leverage" else {"leverage": 10.0}
    job = Job(strategy, as_frames(data), dict(params or {}), {**standing, **common})
    check_settings(list(common), job)
    return job, _modes(modes, common)


def _modes(modes: Sequence[str] | None, common: Mapping[str, Any]) -> list[str]:
    """The modes to study: those given, else the venue's. :raises InputError: the venue lacks one."""
    rules = common["venue"]
    rules = make_venue(rules, as_of=common.get("as_of")) if isinstance(rules, str) else rules
    chosen = list(rules.modes if modes is None else [modes] if isinstance(modes, str) else modes)
    lost = [each for each in chosen if each not in rules.modes]
    if lost or not chosen:
        raise InputError(message("modes", lost or chosen, ", ".join(rules.modes), rules.name))
    return list(dict.fromkeys(chosen))


Done = list[tuple[Window, str, Outcome]]


def _done(
    job: Job,
    found: Sequence[Window],
    modes: Sequence[str],
    plan: Plan,
    crew: Crew,
    progress: Progress | None,
) -> Done:
    """Every window in every mode, searched, in order. :raises InputError: what every run raised."""
    units = [(window, mode) for window in found for mode in modes]
    cells = [
        Cell(number, {"window": window, "margin_mode": mode})
        for number, (window, mode) in enumerate(units)
    ]
    outcomes: dict[int, Outcome] = {}
    for outcome in each(job, cells, crew, work=partial(search, plan=plan)):
        outcomes[outcome.cell.number] = outcome
        if progress is not None:
            progress(LABEL, len(outcomes) / len(cells))
    done = [(*unit, outcomes[number]) for number, unit in enumerate(units)]
    wrong = [outcome.error for _, _, outcome in done if outcome.error]
    wrong += [row["error"] for _, _, outcome in done for row in outcome.row.get("rows", ())]
    if wrong and all(wrong):
        raise InputError(f"every run failed; the first with {wrong[0]}")
    return done


def _result(
    job: Job, plan: Plan, warm: WarmUp, done: Done, stamp: Mapping[str, Any], horizon: float
) -> Survival:
    """The tables of what was searched, and what to know about them."""
    searched = [(w, mode, outcome.row) for w, mode, outcome in done if "rows" in outcome.row]
    runs = pd.DataFrame(
        [run for _, _, row in searched for run in row["rows"]], columns=list(COLUMNS)
    )
    found = [
        ({"window": window, "margin_mode": mode, "rows": row["rows"]}, row["edge"])
        for window, mode, row in searched
    ]
    begins = sorted({window.start for window, _, _ in done})
    spacing = float(np.median(np.diff(begins))) / DAY if len(begins) > 1 else horizon
    result = Survival(
        title=job.strategy.__name__,
        plan=plan,
        runs=timed(runs),
        frontier=frontier_frame(found, plan),
        horizon=horizon,
        spacing=spacing,
        currency=next((str(c) for c in runs["currency"] if isinstance(c, str)), ""),
        synthetic=any(bool(frame.attrs.get("synthetic")) for frame in job.data.values()),
        stamp=stamp,
    )
    return replace(result, notes=tuple(_notes(result, warm, len(done) - len(searched))))


def _notes(result: Survival, warm: WarmUp, lost: int) -> Iterator[str]:
    """What to know when reading a survival study."""
    bars = "all bars before it" if warm.bars is None else plural(warm.bars, "bar")
    met = "lived through without trading" if warm.begin == JOINS else "for the indicators only"
    yield f"Before each start: {bars} of warm-up, {met}. The first order fills a bar after the start."
    if result.independent < _FEW:
        yield (
            f"The windows overlap: the history holds {result.independent:.1f} of them side by side, and "
            "intervals from so few say little."
        )
    mixed = int((~result.frontier["monotone"].astype(bool)).sum())
    if mixed:
        yield (
            f"At {mixed} of {plural(len(result.frontier), 'start and mode', 'starts and modes')} a riskier "
            f"{'wallet' if result.variable == 'cash' else 'leverage'} survived what a safer one did not "
            "(column monotone)."
        )
    if result.plan.method == BISECT:
        yield (
            "Rungs between two that were run and agree were not run themselves; "
            'method="grid" runs every one.'
        )
    failed = int((result.runs["error"] != "").sum())
    if failed or lost:
        yield f"{plural(failed + lost, 'run')} raised an error and counts as not surviving (column error)."


def _stamp(job: Job, crew: Crew, seconds: float, command: str) -> dict[str, Any]:
    """How the study was made: enough to make it again."""
    return {
        "strategy": job.strategy.__name__,
        "params": dict(job.params),
        "settings": {name: plain(value) for name, value in job.common.items()},
        "bt_margin": __version__,
        **{name: metadata.version(name) for name in ("backtrader", "numpy", "pandas", "joblib")},
        "python": platform.python_version(),
        "data": {symbol: data_digest(frame) for symbol, frame in job.data.items()},
        "backend": crew.backend,
        "seconds": round(seconds, 3),
        "command": command or " ".join(sys.argv[:1]),
    }


def plural(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> plural(1, "bar"), plural(1200, "bar")
    ('1 bar', '1,200 bars')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
