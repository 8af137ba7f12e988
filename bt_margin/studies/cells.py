"""The vocabulary of the studies: one cell of a sweep, what came out of it, and what all cells share.

A cell's *settings* are broker keywords (``leverage``, ``margin_mode``, ``venue``, ``as_of``, ``cash``,
``intrabar``, ...), changes of the venue (:data:`bt_margin.studies.sweep_rules.RULES`), ``fill_slippage``,
``seed`` and strategy parameters as ``"params.fast"``. The result echoes every effective setting, flat.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, message, near
from bt_margin.plugin import assemble
from bt_margin.studies import summary
from bt_margin.studies.result import Run
from bt_margin.studies.run import broker_keywords, plain, run_prepared
from bt_margin.studies.sweep_classes import fresh
from bt_margin.studies.sweep_rules import RULES, altered
from bt_margin.studies.tracks import milliseconds, track
from bt_margin.venues import venue as make_venue

PARAMS = "params."
#: Settings of a study that are no keyword of the broker, with what holds when nothing is said.
OWN: Mapping[str, Any] = {"seed": 0, "fill_slippage": None, **dict.fromkeys(RULES)}
#: What people say for a setting that is called otherwise.
MEANT = {
    "mode": "margin_mode",
    "balance": "cash",
    "wallet": "cash",
    "fee": "taker_fee",
    "fees": "fee_factor",
    "buffer": "maintenance_buffer",
    "slippage": "fill_slippage",
}
#: Settings that are called as a statistic is -> what their column is called.
ECHOED = {"margin_calls": "margin_call_ratios"}
_LEFT_OUT = {
    "initial_cash", "hold_first", "hold_all", "drawdown_peak", "drawdown_trough", "drawdown_recovered",
    "mark_share", "synthetic",
}  # fmt: skip
#: Column -> what it means: the statistics of one cell.
COLUMNS: Mapping[str, str] = {
    **{name: words for name, words in summary.COLUMNS.items() if name not in _LEFT_OUT},
    "average_margin": "mean initial margin in use at the closes, bars without a position counted as 0",
    "days_to_liquidation": "days from the first bar to the first liquidation (missing: there was none)",
}
#: Keywords of the broker that its stock part reads, and takes over from the Cerebro it is put into.
STOCK = ("slip_perc", "slip_fixed", "slip_open", "slip_match", "slip_limit", "slip_out", "coc", "coo",
          "filler", "checksubmit", "eosbar", "int2pnl", "shortcash", "fundmode", "fundstartval")  # fmt: skip
_SERIES = ("commission", "names", "funding", "mark", "detail")
DAY = 86_400_000.0
#: Held by whoever runs backtrader: it and the random numbers are one for the whole process.
ALONE = threading.RLock()


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of a sweep: its number, from 0, and the settings in which it differs from the others."""

    number: int
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a cell.

    ``row``: every effective setting, the statistics of :data:`COLUMNS`, ``engine`` (``"full"`` or
    ``"replay"``), ``seconds`` and ``error`` ("": none; the statistics are missing otherwise).
    """

    cell: Cell
    row: Mapping[str, Any]

    @property
    def error(self) -> str:
        """What the cell raised, "" when it did not."""
        return str(self.row.get("error", ""))


@dataclass(frozen=True, slots=True)
class Job:
    """What all cells share: strategy class, frames by symbol (checked), parameters, common settings.

    ``side_by_side``: venues are compared, so each trades its own contract on the coin of a feed, in coins
    (:mod:`bt_margin.studies.across`). ``cerebro``: an assembled one stands for strategy, data and parameters.
    """

    strategy: Any
    data: Mapping[str, pd.DataFrame]
    params: Mapping[str, Any] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    side_by_side: bool = False
    cerebro: Any = None


@dataclass(frozen=True, slots=True)
class Given:
    """The settings of a cell, sorted: keywords of the broker, strategy parameters, and the seed."""

    broker: Mapping[str, Any]
    params: Mapping[str, Any]
    seed: int


def given(cell: Cell, job: Job) -> Given:
    """What a cell runs under: its settings over the job's, the venue built where it has to be.

    :raises InputError: a setting or parameter nobody has; what a venue refuses.
    """
    settings = flat(cell, job)
    broker = {name: v for name, v in settings.items() if name in broker_keywords()}
    rules = {name: settings[name] for name in RULES if settings[name] is not None}
    if rules or job.side_by_side:
        broker["venue"] = _venue(broker, rules, job)
    if settings["fill_slippage"] is not None:
        broker |= slipping(settings["fill_slippage"])
    own = {n.removeprefix(PARAMS): v for n, v in settings.items() if n.startswith(PARAMS)}
    return Given(broker, own, int(settings["seed"]))


def flat(cell: Cell, job: Job) -> dict[str, Any]:
    """The settings of a cell as they were given, the job's and what holds by default included."""
    own = {f"{PARAMS}{name}": value for name, value in job.params.items()}
    return {**OWN, **own, **job.common, **cell.settings}


def echo(cell: Cell, job: Job) -> dict[str, Any]:
    """Every effective setting of a cell, flat and plain: what a table shows of it.

    A venue is told by its name; series are left out; what is nested is JSON text.
    """
    settings = flat(cell, job)
    if settings["fill_slippage"] is not None:
        settings |= slipping(settings["fill_slippage"])
    defaults = {n: v for n, v in _defaults().items() if n not in _SERIES}
    params = {f"{PARAMS}{n}": v for n, v in job.strategy.params._getitems()}
    effective = {**defaults, **params, **settings}
    shown = {name: value for name, value in effective.items() if name not in _SERIES}
    return {ECHOED.get(name, name): _flat(value) for name, value in shown.items()}


def slipping(share: float) -> dict[str, Any]:
    """What the broker is told so that every market and stop order fills worse by this share of the price.

    Beyond the bar's range too: backtrader's own default would leave out what does not fit into the bar.
    """
    return {"slip_perc": share, "slip_open": True, "slip_out": True}


def full(cell: Cell, job: Job) -> Outcome:
    """One run of one cell in backtrader: a function of its arguments alone.

    Python's and numpy's random numbers begin at the cell's ``seed``, which is the same for all cells unless
    it is one of the settings: cells that differ in the account alone meet the same luck. What the cell
    raises stands in its row.
    """
    began = time.perf_counter()
    row: dict[str, Any] = {"error": ""}
    try:
        row |= echo(cell, job)
        row |= statistics(run_cell(cell, job))
    except Exception as error:
        row |= dict.fromkeys(COLUMNS, math.nan) | {"error": told(error)}
    return Outcome(cell, {**row, "engine": "full", "seconds": time.perf_counter() - began})


def run_cell(cell: Cell, job: Job) -> Run:
    """The run behind a cell, whole. :raises Exception: what the strategy or the account raises."""
    own = given(cell, job)
    with ALONE, lucky(own.seed):
        fresh(job.strategy)
        cerebro = assemble.build(job.strategy, job.data, own.params)
        for name in STOCK:
            if name in own.broker:
                setattr(cerebro.broker.p, name, own.broker[name])
        return run_prepared(cerebro, job.data, own.broker, f"cell {cell.number}", None)


def statistics(run: Run) -> dict[str, Any]:
    """The numbers of a run that :data:`COLUMNS` names."""
    times = milliseconds(run.equity.index)
    row = summary.summary_row(run, track(run, times))
    died = [e.time for e in run.broker.events if e.kind == "liquidation"]
    started = times[0] if len(times) else 0
    row["average_margin"] = float(run.bars["margin"].mean()) if len(run.bars) else 0.0
    row["days_to_liquidation"] = (died[0] - started) / DAY if died else math.nan
    return {name: row[name] for name in COLUMNS}


def told(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def check_settings(names: Mapping[str, Any] | list[str], job: Job) -> None:
    """:raises InputError: a setting that neither the broker nor the study nor the strategy has."""
    known = [*broker_keywords(), *OWN]
    for name in names:
        if name.startswith(PARAMS):
            assemble.check_params(job.strategy, {name.removeprefix(PARAMS): None})
        elif name not in known:
            raise _unknown(name, known, job)


def _unknown(name: str, known: list[str], job: Job) -> InputError:
    if name in job.strategy.params._getkeys():
        return InputError(
            f"setting {name!r} is a parameter of the strategy {job.strategy.__name__}; "
            f'say "{PARAMS}{name}"'
        )
    meant = f"did you mean {MEANT[name]}?" if name in MEANT else near(name, known)
    allowed = None if meant else ", ".join(known)
    return InputError(message(f"setting {name!r} is not known", None, allowed, None, meant or None))


@contextmanager
def lucky(seed: int) -> Iterator[None]:
    """Random numbers of Python and numpy from a seed, and afterwards as they were."""
    kept = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def _venue(broker: Mapping[str, Any], rules: Mapping[str, Any], job: Job) -> Any:
    """The venue of a cell as an object. :raises InputError: none was given."""
    named = broker.get("venue")
    if named is None:
        raise InputError('no venue given; say whose rules apply, e.g. venue="binance"')
    if not isinstance(named, str):
        return altered(named, rules)
    key = tuple(sorted(rules.items()))
    symbols = tuple(job.data) if job.side_by_side else ()
    return _built(named, broker.get("as_of"), symbols, key)


@lru_cache(maxsize=64)
def _built(name: str, as_of: Any, symbols: tuple[str, ...], rules: tuple[Any, ...]) -> Any:
    """A venue by name; venues side by side trade coins, each its own contract on a feed's coin."""
    options: dict[str, Any] = {"coins": True} if symbols and name == "okx" else {}
    found = make_venue(name, as_of=as_of, **options)
    return altered(found.standing_for(symbols) if symbols else found, dict(rules))


@lru_cache(maxsize=1)
def _defaults() -> dict[str, Any]:
    from bt_margin.plugin.broker import MarginBroker

    return dict(MarginBroker.params._getitems())


def _flat(value: Any) -> Any:
    """A setting as one value of a table.

    >>> _flat(5), _flat(None), _flat({"a": [1]})
    (5, None, '{"a": [1]}')
    """
    found = value.item() if isinstance(value, np.generic) else plain(value)
    nested = isinstance(found, (dict, list))
    return json.dumps(found, default=str, sort_keys=True) if nested else found
