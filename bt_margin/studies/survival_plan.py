"""What a survival study is asked for, made sure that it can be meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bt_margin.errors import InputError, message
from bt_margin.plugin import assemble
from bt_margin.studies.cells import Job, check_settings
from bt_margin.studies.run import as_frames
from bt_margin.studies.survival_work import ENGINES, METHODS, Plan, probes_of
from bt_margin.venues import venue as make_venue

LEVERAGES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)


def plan_of(
    leverages: Iterable[float] | None,
    wallets: Iterable[float] | None,
    method: str,
    probes: int | Sequence[float],
    begin: str,
    loss: float | None,
    engine: str,
) -> Plan:
    """What is searched, and how. :raises InputError: both or nothing of it, or values that cannot be."""
    if leverages is not None and wallets is not None:
        raise InputError(
            "leverages= and wallets= both say what is searched; give one, and the other as leverage= or cash="
        )
    for name, said, known in (("method", method, METHODS), ("engine", engine, ENGINES)):
        if said not in known:
            raise InputError(message(name, repr(said), ", ".join(known), None, "say one of them"))
    if loss is not None and not 0.0 < loss <= 1.0:
        raise InputError(message("loss", loss, "a share of the wallet above 0, at most 1"))
    variable = "leverage" if wallets is None else "cash"
    given = wallets if wallets is not None else LEVERAGES if leverages is None else leverages
    values = sorted({float(each) for each in given}, reverse=variable == "cash")
    if not values or not all(value > 0.0 and np.isfinite(value) for value in values):
        what = "wallets" if variable == "cash" else "leverages"
        raise InputError(message(what, values, "positive numbers, at least one"))
    places = _probes(probes, values)
    return Plan(variable, tuple(values), places, method, begin, loss, engine)


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


def job_of(
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
    searched = {"margin_mode": "modes", "leverage": "leverages", "cash": "wallets"}
    for name in (plan.variable, "margin_mode"):
        if name in common:
            raise InputError(
                f"{name}={common[name]!r} given, but it is searched; say {searched[name]}=[...]"
            )
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
