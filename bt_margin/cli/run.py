"""``bt-margin run``: an unmodified script under both margin modes."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import options as o
from bt_margin.cli import parse, result, shell
from bt_margin.cli.groups import chosen_venue, grouped
from bt_margin.cli.result import Output
from bt_margin.report.plain import plain

if TYPE_CHECKING:
    from bt_margin.studies.comparison import Comparison
    from bt_margin.studies.optimisation import Optimisation
    from bt_margin.studies.script import Outcome

SCRIPT = "The script: a Python file that calls cerebro.run()."
ARGUMENTS = "What the script is given, after --."
MODE = "both, cross or isolated."
CASH = "Cash at the start; without it what the script sets."
SYMBOL = (
    "What a feed of the script is: its name, or data0, data1, ... by place, as name=BTC/USDT:USDT."
)
DATA = "Market data whose mark prices and funding the account uses; prices stay the script's."
OUT = "Write tables, picture and report, and what the script printed, into this folder."
TOLD = "Whose results the script gets back and prints; default: the first."
STAMPS = "Whether the script's bars carry their open or their close time."
SURPRISE = "a liquidation is an order the script never sent: order.info.liquidation is True"
MOST = 12  # parameter sets in a table


@dataclass(frozen=True, slots=True)
class Printed(Output):
    """The same options; the folder also gets what the script printed."""

    out: Annotated[Path | None, typer.Option(metavar="DIR", rich_help_panel=o.OUTPUT, help=OUT)] = (
        None
    )


@grouped
def run(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help=SCRIPT)],
    arguments: Annotated[list[str] | None, typer.Argument(help=ARGUMENTS)] = None,
    *,
    data: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", rich_help_panel=o.MARKET, help=DATA)
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SYMBOL", rich_help_panel=o.MARKET, help=SYMBOL),
    ] = None,
    timestamps: Annotated[
        str, typer.Option(metavar="WHICH", rich_help_panel=o.MARKET, help=STAMPS)
    ] = "open",
    margin_mode: Annotated[
        str, typer.Option(metavar="MODE", rich_help_panel=o.ACCOUNT, help=MODE)
    ] = "both",
    leverage: o.Leverage = 10.0,
    cash: Annotated[
        float | None,
        typer.Option(parser=shell.number, metavar="NUMBER", rich_help_panel=o.ACCOUNT, help=CASH),
    ] = None,
    venue: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=o.ACCOUNT, help="Whose rules apply.")
    ] = "binance",
    rule: o.Rule = None,
    as_of: o.AsOf = None,
    scenario: o.Scenario = None,
    intrabar: o.Intrabar = "adverse",
    bounds: o.Bounds = False,
    told: Annotated[
        str | None, typer.Option(metavar="SCENARIO", rich_help_panel=o.STUDY, help=TOLD)
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", rich_help_panel=o.STUDY, help="Let the script draw.")
    ] = False,
    output: Printed,
) -> None:
    """Run a script as it is, its account replaced by ours, under both margin modes, and compare.

    Only name scripts you would run with python: the file is run.

    Example: bt-margin run my_script.py --leverage 10 --symbol data0=BTC/USDT:USDT --out out

    Example: bt-margin run my_script.py --margin-mode isolated -- --fast 10 --slow 30
    """
    with shell.plain_errors():
        output.tried()
        rules = chosen_venue(venue, rule, as_of)
        keywords: dict[str, Any] = {
            "venue": rules,
            "leverage": leverage,
            "as_of": as_of if isinstance(rules, str) else None,
            "intrabar": intrabar,
            "timestamps": timestamps,
            "names": _names(symbol or []),
            **({} if cash is None else {"cash": cash}),
            **_series(data),
        }
        own = parse.scenarios(scenario or []) or _modes(margin_mode)
        scenarios = {name: {**keywords, **each} for name, each in own.items()}
        main = _told(told, scenarios)
        outcome = _run(script, arguments or [], scenarios, main, (bounds, plot, output.silent))
        _print(outcome, _save(outcome, output), output)
        _end(outcome)


def _modes(word: str) -> dict[str, dict[str, Any]]:
    """The scenarios of ``--margin-mode``. :raises InputError: another word."""
    from bt_margin.errors import InputError

    modes = {"both": ("cross", "isolated"), "cross": ("cross",), "isolated": ("isolated",)}
    if word not in modes:
        raise InputError(f"--margin-mode {word!r} is not known; allowed: {', '.join(modes)}")
    return {mode: {"margin_mode": mode} for mode in modes[word]}


def _told(name: str | None, scenarios: Mapping[str, Any]) -> str:
    """Whose results the script gets. :raises InputError: no such scenario."""
    from bt_margin.errors import InputError

    if name is not None and name not in scenarios:
        raise InputError(f"--told {name!r} is not run; the scenarios are {', '.join(scenarios)}")
    return name or next(iter(scenarios))


def _names(texts: list[str]) -> dict[str, str] | None:
    """``--symbol`` as names: the text after the last equals sign is the symbol.

    >>> _names(["data0=BTC/USDT:USDT", "my=file.csv=ETH"])
    {'data0': 'BTC/USDT:USDT', 'my=file.csv': 'ETH'}
    """
    from bt_margin.errors import InputError

    names = {}
    for text in texts:
        name, equals, symbol = text.rpartition("=")
        if not equals or not symbol:
            raise InputError(f"--symbol {text!r} is not of the form name=BTC/USDT:USDT")
        names[name] = symbol
    return names or None


def _series(data: list[Path] | None) -> dict[str, Any]:
    """Marks and funding of the market data named, as the broker's keywords."""
    if not data:
        return {}
    from bt_margin.market.files import load_market
    from bt_margin.market.frames import FUNDING, MARK

    frames = load_market(data[0] if len(data) == 1 else data)
    found: dict[str, Any] = {"mark": {}, "funding": {}}
    for symbol, frame in frames.items():
        if set(MARK) <= set(frame.columns):
            found["mark"][symbol] = frame[list(MARK)]
        rates = frame.attrs.get("funding")
        if rates is None and FUNDING in frame.columns:
            rates = frame[FUNDING].dropna()
        if rates is not None and len(rates):
            found["funding"][symbol] = rates
    return {what: series for what, series in found.items() if series}


def _run(
    script: Path,
    arguments: list[str],
    scenarios: dict[str, dict[str, Any]],
    told: str,
    flags: tuple[bool, bool, bool],
) -> Outcome:
    """The script under its scenarios; progress is shown while it is silent."""
    from bt_margin.studies.script import Study, run_script

    bounds, plots, silent = flags

    @contextmanager
    def watch(label: str) -> Iterator[Callable[[float], None] | None]:
        with shell.progress(silent or label == told) as bar:
            yield None if bar is None else lambda share: bar(label, share)

    command = shlex.join(["bt-margin", *sys.argv[1:]])
    study = Study(scenarios, told, watch, bounds, plots, shown=not silent, command=command)
    return run_script(script, arguments, study)


def _save(outcome: Outcome, output: Output) -> list[Path]:
    """The files asked for: those of one run in the folder itself, of several in run1, run2, ..."""
    written = []
    several = len(outcome.runs) > 1
    for number, each in enumerate(outcome.runs, 1):
        own = output.of_run(number) if several else output
        written += result.save(
            _comparison(each), own, _more(each, outcome if number == 1 else None)
        )
    return written


def _more(each: Comparison | Optimisation, outcome: Outcome | None) -> Callable[[Path], None]:
    """What a folder holds besides: the parameter sets, and what the script printed."""
    from bt_margin.studies.optimisation import Optimisation

    def write(place: Path) -> None:
        if isinstance(each, Optimisation):
            each.table.to_csv(place / "parameter_sets.csv", index=False)
        for name, pieces in (outcome.speech.said() if outcome else {}).items():
            path = place / f"printed_{name.replace('/', '_')}.txt"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(pieces)

    return write


def _print(outcome: Outcome, files: list[Path], output: Output) -> None:
    """The results for a program, in short, or whole."""
    if output.as_json:
        shell.write_json(_document(outcome, files))
        return
    for number, each in enumerate(outcome.runs, 1):
        several = f"run {number} of {len(outcome.runs)}: " if len(outcome.runs) > 1 else ""
        _show(outcome, each, several, output.quiet)
    if not output.quiet:
        result.tell_files(files)


def _show(outcome: Outcome, each: Comparison | Optimisation, several: str, quiet: bool) -> None:
    """One call of ``cerebro.run()``: its verdict alone, or everything."""
    from bt_margin.report.verdict import verdict
    from bt_margin.studies.optimisation import Optimisation

    comparison = _comparison(each)
    if quiet:
        typer.echo(plain(several + verdict(comparison)))
        return
    heading = f"{several}{outcome.script.name}"
    if len(comparison.runs) > 1:
        heading += f"; what it prints and gets back is its run under {outcome.told}"
    typer.echo(f"\n── {heading} ──")
    if isinstance(each, Optimisation):
        _show_sets(each, outcome.told)
    result.show(comparison)


def _comparison(each: Comparison | Optimisation) -> Comparison:
    """The comparison of a run, of an optimisation that of its best set."""
    from bt_margin.studies.optimisation import Optimisation

    return each.comparison if isinstance(each, Optimisation) else each


def _show_sets(each: Optimisation, told: str) -> None:
    """The parameter sets of an optimisation, the highest first."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n

    unit = each.comparison.first.currency
    names = list(each.comparison.runs)
    head = ["parameters", *names, *(f"liquidations, {name}" for name in names)]
    ranked = sorted(each.trials, key=lambda trial: -trial.finals[told])
    rows = [
        [
            _words(trial.params),
            *(n.money(trial.finals[name], unit) for name in names),
            *(n.count(trial.liquidations[name]) for name in names),
        ]
        for trial in ranked[:MOST]
    ]
    title = f"{n.plural(len(ranked), 'parameter set')}, final equity in {unit}"
    layout.show_numbers(shell.stdout(), [head, *rows], title)
    for name in names:
        typer.echo(f"highest under {name}: {_words(each.best_of(name).params)}")
    typer.echo(f"\nthe runs of {_words(each.best.params)}:")


def _words(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items()) or "defaults"


def _document(outcome: Outcome, files: list[Path]) -> dict[str, Any]:
    """Everything a program wants to know."""
    from bt_margin.studies.optimisation import Optimisation

    runs = []
    for each in outcome.runs:
        tried = each if isinstance(each, Optimisation) else None
        own = result.document(_comparison(each), [])
        own["parameter_sets"] = tried.table.to_dict(orient="records") if tried else []
        runs.append(own)
    error = outcome.error
    return {
        "script": str(outcome.script),
        "told": outcome.told,
        "runs": runs,
        "error": None if error is None else f"{type(error).__name__}: {error}",
        "exit": outcome.code,
        "files": [str(path) for path in files],
    }


def _end(outcome: Outcome) -> None:
    """One line and exit code 1 for a script that failed or said it did."""
    name = outcome.script.name
    try:
        if outcome.error is not None:
            raise outcome.error
    except Exception as error:
        surprised = any(map(_of_liquidation, traceback.walk_tb(error.__traceback__)))
        shell.strategy_failed(f"{name} ({SURPRISE})" if surprised else name, {}, error)
    if outcome.code not in (None, 0):
        shell.fail(f"{name} ended itself with sys.exit({outcome.code!r})", 1)


def _of_liquidation(step: tuple[FrameType, int]) -> bool:
    """Whether this step of a traceback handles the notice of a liquidation."""
    values = list(step[0].f_locals.values()) if step[0].f_code.co_name == "notify_order" else []
    orders = [value for value in values if hasattr(value, "getstatusname")]
    return any(order.info.get("liquidation") for order in orders)
