"""``bt-margin compare``: one strategy under several margin settings."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bt_margin.cli import options as o
from bt_margin.cli import parse, shell
from bt_margin.cli.groups import Rules, grouped
from bt_margin.cli.result import Output, tell
from bt_margin.cli.source import Detailed

if TYPE_CHECKING:
    from bt_margin.studies.comparison import Comparison

_EXTREMES = ("adverse", "favourable")


class Study(NamedTuple):
    """What is run: the strategy with its parameters, the scenarios, and whether also their bounds."""

    strategy: Any
    params: dict[str, Any]
    scenarios: dict[str, dict[str, Any]] | None
    bounds: bool

    def runs(self, intrabar: str) -> int:
        """How many runs that makes: with bounds each scenario is also run along the paths it is not yet."""
        many = 2 if self.scenarios is None else len(self.scenarios)
        return many * len({intrabar, *(_EXTREMES if self.bounds else ())})


@grouped
def compare(
    strategy: o.Strategy,
    *,
    market: Detailed,
    leverage: o.Leverage = 10.0,
    cash: o.Cash = 10_000.0,
    rules: Rules,
    margin_call: o.MarginCall = None,
    liquidation_slippage: o.LiquidationSlippage = 0.0,
    auto_top_up: o.AutoTopUp = False,
    set_: o.Set = None,
    scenario: o.Scenario = None,
    venues: o.Venues = None,
    intrabar: o.Intrabar = "adverse",
    bounds: o.Bounds = False,
    counterfactuals: o.Counterfactuals = 0,
    output: Output,
) -> None:
    """Run a strategy under cross and isolated margin and show where the two curves part.

    Example: bt-margin compare strategies/pairs.py --leverage 10 --report out.html

    Example: bt-margin compare my.py:Trend --data data/binance --since 2025-10-01 --set fast=20

    Example: bt-margin compare my.py --data data/binance --venues binance,bybit,okx,hyperliquid

    Example: bt-margin compare strategies/trend.py --counterfactuals 10 --report out.html

    Example: bt-margin compare my.py --exchange binanceusdm --symbols BTC/USDT:USDT --since 2025-01-01
    """
    with shell.plain_errors():
        output.tried()
        chosen = None if venues is not None else rules.chosen(market)
        _one_of(venues, rules, scenario)
        found = _strategy(strategy)  # before anything is downloaded
        keywords: dict[str, Any] = {
            **({} if chosen is None else {"venue": chosen}),
            "detail": market.finer(output.silent),
            "leverage": leverage,
            "cash": cash,
            "as_of": rules.as_of,
            "intrabar": intrabar,
            "liquidation_slippage": liquidation_slippage,
            "auto_top_up": auto_top_up,
            **({"margin_calls": tuple(margin_call)} if margin_call else {}),
        }
        params = parse.assignments(set_ or [], "--set")
        study = Study(found, params, parse.scenarios(scenario or []), bounds)
        frames = market.frames(output.silent)
        if venues is not None:
            study = study._replace(scenarios=_across(venues, frames, keywords))
        result = _run(study, frames, keywords, output.silent)
        if counterfactuals:
            _avoid(result, counterfactuals, output.silent)
        tell(result, output)


def _one_of(venues: str | None, rules: Rules, scenario: list[str] | None) -> None:
    """Refuse two answers to what is compared."""
    from bt_margin.errors import InputError

    others = {"--venue": rules.venue, "--rule": rules.rule, "--scenario": scenario}
    said = [name for name, given in others.items() if given]
    if venues is not None and said:
        raise InputError(f"--venues already says whose rules are compared; leave out {said[0]}")


def _across(
    venues: str, frames: Mapping[str, Any], keywords: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """A scenario for each venue and mode."""
    from bt_margin.studies.across import across

    names = [name.strip() for name in venues.split(",") if name.strip()]
    return across(names, frames, keywords)


def _strategy(name: str) -> Any:
    """The strategy class meant."""
    from bt_margin.studies.load import find_strategy

    return find_strategy(name)


def _avoid(result: Comparison, most: int, quiet: bool) -> None:
    """What would have avoided so many liquidations of each run, with a progress bar."""
    fell = [
        name for name, run in result.runs.items() if (run.events["kind"] == "liquidation").any()
    ]
    with shell.progress(quiet, max(1, len(fell))) as told:
        result.counterfactuals(most=most, progress=told)


def _run(
    study: Study, frames: dict[str, Any], keywords: Mapping[str, Any], quiet: bool
) -> Comparison:
    """The comparison itself, with a progress bar."""
    from bt_margin.errors import BtMarginError
    from bt_margin.studies.compare import compare as compare_runs

    try:
        with shell.progress(quiet, study.runs(str(keywords["intrabar"]))) as told:
            return compare_runs(
                study.strategy,
                frames,
                params=study.params,
                scenarios=study.scenarios,
                bounds=study.bounds,
                progress=told,
                command=shlex.join(["bt-margin", *sys.argv[1:]]),
                **keywords,
            )
    except BtMarginError:
        raise
    except Exception as error:
        shell.strategy_failed(study.strategy.__name__, study.params, error)
        raise
