"""The same strategy under several margin settings: cross and isolated, or any named set."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from bt_margin._version import __version__
from bt_margin.errors import InputError, message
from bt_margin.plugin import assemble
from bt_margin.studies.across import Venues, across, modes_of
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.refine import refined
from bt_margin.studies.result import Run
from bt_margin.studies.run import params_of, prepare
from bt_margin.studies.scenarios import reporting, run_all
from bt_margin.venues import venue as make_venue

#: What is compared when nothing else is said.
SCENARIOS: Mapping[str, Mapping[str, Any]] = {
    "cross": {"margin_mode": "cross"},
    "isolated": {"margin_mode": "isolated"},
}
Progress = Callable[[str, float], None]
_STAMPED = ("backtrader", "numpy", "pandas")


def compare(
    strategy: Any,
    data: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    scenarios: Mapping[str, Mapping[str, Any]] | None = None,
    venues: Venues | None = None,
    bounds: bool = False,
    progress: Progress | None = None,
    command: str = "",
    **broker: Any,
) -> Comparison:
    """Run one strategy once per scenario and lay the results side by side.

    ``strategy``, ``data``, ``params`` and the ``broker`` keywords are those of :func:`bt_margin.run`.
    ``scenarios`` name → broker keywords that replace the common ones (mixed modes through ``symbols``,
    leverages, venues); by default the venue's margin modes, cross and isolated, or with ``venues`` each venue
    of a list in each mode it has (:mod:`bt_margin.studies.across`). ``bounds=True`` also runs each scenario
    with the price path inside the bar at its worst and at its best, and labels every liquidation certain or
    path-dependent.
    ``progress`` is called with the name of a run and the share of it done. ``detail`` may be a function
    ``(symbol, spans) -> frame`` as :class:`bt_margin.FinerBars`: then the finer bars of exactly the dangerous
    bars are asked for and the runs repeated along them (:mod:`bt_margin.studies.refine`).

    :raises InputError: what ``run`` refuses, or scenarios that cannot be meant.
    :raises InvariantError: episodes and stretches do not sum to the difference of the final equities.
    """
    finer = broker.get("detail")
    if callable(finer):
        again: dict[str, Any] = {
            "params": params,
            "scenarios": scenarios,
            "venues": venues,
            "bounds": bounds,
            "progress": progress,
        }
        again |= {**broker, "command": command}
        return refined(lambda found: compare(strategy, data, **{**again, "detail": found}), finer)
    cerebro, frames = prepare(strategy, data, params)
    if venues is not None:
        if scenarios is not None:
            raise InputError("scenarios= and venues= both say what to compare; leave one out")
        scenarios = across(venues, assemble.feed_names(cerebro), broker)
    chosen = _scenarios(scenarios, broker)
    return run_all(
        cerebro,
        frames,
        {name: {**broker, **own} for name, own in chosen.items()},
        bounds=bounds,
        around=reporting(progress),
        stamp=lambda runs, seconds: stamp_of(runs, seconds, command),
    )


def _scenarios(
    given: Mapping[str, Mapping[str, Any]] | None, broker: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The scenarios by name. :raises InputError: none, a name twice said, or something unusable."""
    if given is None:
        if "margin_mode" in broker:
            raise InputError(
                f"margin_mode={broker['margin_mode']!r} given, but the margin mode is what is compared; "
                "leave it out, or say what to compare with scenarios={...}"
            )
        rules = broker.get("venue")
        rules = make_venue(rules, as_of=broker.get("as_of")) if isinstance(rules, str) else rules
        given = SCENARIOS if rules is None else modes_of(rules)
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            message(
                "scenarios",
                found=repr(given),
                allowed='names with broker keywords, like {"cross 5x": {"leverage": 5}}',
                todo="give at least one",
            )
        )
    for name, own in given.items():
        if not isinstance(name, str) or not name or not isinstance(own, Mapping):
            raise InputError(
                f"scenario {name!r}: {own!r} cannot be used; give a name and a mapping of broker keywords"
            )
    return {name: dict(own) for name, own in given.items()}


def stamp_of(runs: Mapping[str, Run], seconds: float, command: str) -> dict[str, Any]:
    """How a result was made: enough to make it again. ``params`` are the effective ones, with defaults."""
    first = next(iter(runs.values()))
    return {
        "strategy": first.title,
        "params": params_of(first.strategy),
        "bt_margin": __version__,
        **{name: metadata.version(name) for name in _STAMPED},
        "python": platform.python_version(),
        "data_hash": first.data_hash,
        "seconds": round(seconds, 3),
        "command": command or " ".join(sys.argv[:1]),
    }
