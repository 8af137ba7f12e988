"""``bt-margin stress``: one strategy through crashes, shocks and resampled paths, in every margin mode."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import options as o
from bt_margin.cli import parse, shell
from bt_margin.cli.groups import Rules, grouped
from bt_margin.cli.result import Output, tell_study
from bt_margin.cli.source import Source

if TYPE_CHECKING:
    from bt_margin.studies.stressed import Stress

STRESS = "Stress"
_NONE, _ALL = "none", "all"

Crash = Annotated[
    str,
    typer.Option(
        metavar="A,B,...",
        rich_help_panel=STRESS,
        help="Crashes of the library laid over the history, e.g. 2025-10-10,ftx; all; none.",
    ),
]
At = Annotated[
    str,
    typer.Option(
        metavar="DATE,...",
        rich_help_panel=STRESS,
        help="When a crash begins: dates, or how many evenly spaced points.",
    ),
]
Shock = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND=SIZE@DATE",
        rich_help_panel=STRESS,
        help="gap, wick, wick-mark, funding, depeg, tiers, outage, crash, slippage or "
        "liquidation-slippage, e.g. gap=-0.3@2025-10-01; repeatable.",
    ),
]
Paths = Annotated[
    int, typer.Option(metavar="N", rich_help_panel=STRESS, help="Resampled paths; 0: none.")
]
Length = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH",
        rich_help_panel=STRESS,
        help="Length of a path, e.g. 90D; default: that of the history.",
    ),
]
Block = Annotated[
    str,
    typer.Option(
        metavar="LENGTH", rich_help_panel=STRESS, help="Mean length of the blocks of a path."
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", rich_help_panel=STRESS, help="Seed of the paths.")]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", rich_help_panel=STRESS, help="How many processes; default: one per core."
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=STRESS, help="Who works: loky (processes), dask or ray."
    ),
]
Library = Annotated[
    bool,
    typer.Option(
        "--list", rich_help_panel=STRESS, help="Show the library of crashes and run nothing."
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed about the stress itself."""

    crash: Crash = _ALL
    at: At = "3"
    shock: Shock = None
    paths: Paths = 100
    length: Length = None
    block: Block = "5D"
    seed: Seed = 0
    workers: Workers = None
    backend: Backend = "loky"

    def keywords(self) -> dict[str, Any]:
        """The same as :func:`bt_margin.studies.stress.stress` takes it."""
        chosen = {_ALL: None, _NONE: ()}
        told = self.crash.strip().lower()
        at: Any = parse.names(self.at) or []
        return {
            "crashes": chosen[told] if told in chosen else parse.names(self.crash),
            "at": int(self.at) if self.at.strip().isdigit() and len(self.at.strip()) < 6 else at,
            "shocks": self.shock or [],
            "paths": self.paths,
            "length": self.length,
            "block": self.block,
            "seed": self.seed,
            "workers": self.workers,
            "backend": self.backend,
        }


@grouped
def stress(
    strategy: Annotated[
        str | None,
        typer.Argument(
            metavar="STRATEGY",
            help="A file, file.py:Class, or dotted path to a backtrader strategy.",
        ),
    ] = None,
    *,
    asked: Asked,
    library: Library = False,
    market: Source,
    leverage: o.Leverage = 10.0,
    cash: o.Cash = 10_000.0,
    rules: Rules,
    liquidation_slippage: o.LiquidationSlippage = 0.0,
    auto_top_up: o.AutoTopUp = False,
    set_: o.Set = None,
    scenario: o.Scenario = None,
    intrabar: o.Intrabar = "adverse",
    output: Output,
) -> None:
    """Run a strategy through crashes, shocks and resampled paths, under cross and isolated margin.

    Example: bt-margin stress strategies/trend.py --crash 2025-10-10,ftx --paths 0

    Example: bt-margin stress strategies/trend.py --paths 200 --seed 1 --report stress.html

    Example: bt-margin stress my.py --data data/binance --shock gap=-0.3@2025-10-01 --crash none

    Example: bt-margin stress --list
    """
    with shell.plain_errors():
        if library:
            return _list(output.as_json)
        found = _strategy(strategy)
        output.tried()
        keywords: dict[str, Any] = {
            "venue": rules.chosen(market),
            "leverage": leverage,
            "cash": cash,
            "as_of": rules.as_of,
            "intrabar": intrabar,
            "liquidation_slippage": liquidation_slippage,
            "auto_top_up": auto_top_up,
            "params": parse.assignments(set_ or [], "--set"),
            "scenarios": parse.scenarios(scenario or []),
            **asked.keywords(),
        }
        result = _run(found, market.frames(output.silent), keywords, output.silent)
        from bt_margin.report.stress_words import verdict

        tell_study(result, output, document, verdict, _show)
    return None


def _strategy(name: str | None) -> Any:
    """The strategy class meant. :raises InputError: none was named."""
    from bt_margin.errors import InputError
    from bt_margin.studies.load import find_strategy

    if name is None:
        raise InputError("which strategy? Give a file, e.g. bt-margin stress strategies/trend.py")
    return find_strategy(name)


def _run(strategy: Any, frames: Any, keywords: Mapping[str, Any], silent: bool) -> Stress:
    """The test itself, with a progress bar."""
    from bt_margin.studies.stress import stress as run_stress

    with shell.progress(silent) as told:
        return run_stress(
            strategy,
            frames,
            progress=told,
            command=shlex.join(["bt-margin", *sys.argv[1:]]),
            **keywords,
        )


def _show(result: Stress) -> None:
    """For people: the verdict, the tables and the notes."""
    from bt_margin.cli import layout
    from bt_margin.report import stress as report
    from bt_margin.report import stress_words

    console = shell.stdout()
    label = "  SYNTHETIC market" if result.synthetic else ""
    layout.show_text(console, f"{report.title(result)}{label}", style="bold", indent="")
    for rows in report.tables(result):
        layout.show_numbers(console, rows)
    console.print()
    layout.show_text(console, stress_words.verdict(result), indent="")
    console.print()
    for note in stress_words.notes(result):
        layout.show_text(console, f"· {note}", style="dim")


def _list(as_json: bool) -> None:
    """The library of crashes."""
    from bt_margin.cli import layout
    from bt_margin.report.numbers import percent
    from bt_margin.studies.crashes import COLUMNS, crashes

    table = crashes().to_frame()
    if as_json:
        facts = crashes().facts().to_dict(orient="records")
        shell.write_json({"crashes": table.to_dict(orient="records"), "facts": facts})
        return
    plainly = ("crash", "coin", "hours", "settlements")
    rows = [[name.replace("_", " ") for name in COLUMNS]]
    for row in table.to_dict(orient="records"):
        rows.append([str(row[n]) if n in plainly else percent(row[n]) for n in COLUMNS])
    layout.show_numbers(shell.stdout(), rows)


def document(result: Stress, files: list[Path]) -> dict[str, Any]:
    """Everything a program wants to know of a stress test but the fan, which is a table (``--out``).

    ``verdict`` in words; ``probability``, ``horizons``, ``equity`` and ``winner`` with their intervals
    (``value``, ``low``, ``high``, ``n``); ``runs`` one entry per market and scenario; money in ``currency``.
    """
    from bt_margin.report.stress_words import notes, verdict

    named = ("probability", "horizons", "equity", "winner", "runs")
    tables = {name: result.tables[name].to_dict(orient="records") for name in named}
    return {
        "strategy": result.strategy,
        "currency": result.currency,
        "synthetic": result.synthetic,
        "scenarios": list(result.scenarios),
        "cash": result.cash,
        "days": result.days,
        "seed": result.seed,
        "shocks": list(result.shocks),
        "verdict": verdict(result),
        **tables,
        "notes": notes(result),
        "stamp": dict(result.stamp),
        "files": [str(path) for path in files],
    }
