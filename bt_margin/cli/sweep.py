"""``bt-margin sweep``: one strategy under every combination of settings."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import download, parse, shell
from bt_margin.cli import options as o
from bt_margin.cli.groups import Rules, grouped
from bt_margin.cli.result import Output, tell_study
from bt_margin.cli.source import Source
from bt_margin.cli.sweep_points import grids, sources
from bt_margin.report.plain import plain

if TYPE_CHECKING:
    from bt_margin.studies.sweep_result import Sweep

__all__ = ["document", "grids", "sources", "sweep"]

SWEEP = "Sweep"
MOST_ROWS = 10_000  # cells that --json prints
_BEST = 5

Grid = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUES",
        rich_help_panel=SWEEP,
        help="A setting and its values: 1,2,5 or 1:50:1 (both ends); repeatable, all combinations are run.",
    ),
]
Draw = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=SOURCE",
        rich_help_panel=SWEEP,
        help="A setting drawn at random: 1:50, log:1:50, whole:5:50 or a,b,c; repeatable, with --draws.",
    ),
]
Draws = Annotated[
    int | None, typer.Option(metavar="N", rich_help_panel=SWEEP, help="How many random points.")
]
Seed = Annotated[
    int, typer.Option(metavar="N", rich_help_panel=SWEEP, help="Seed of the draws and the runs.")
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SWEEP,
        help="auto (replay where it is exact), replay, or full (backtrader for every cell).",
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SWEEP,
        help="Who works: loky (processes), serial, dask, ray, or another of joblib's.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", rich_help_panel=SWEEP, help="How many workers; default: one per core."
    ),
]
Address = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        rich_help_panel=SWEEP,
        help="A running Dask or Ray cluster, e.g. tcp://10.0.0.5:8786.",
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        rich_help_panel=SWEEP,
        help="Keep finished cells here; the same command goes on where it was stopped.",
    ),
]
MarketStore = Annotated[
    Path,
    typer.Option("--market-store", metavar="DIR", rich_help_panel=o.MARKET, help=download.STORE),
]
Leverage = Annotated[
    float | None,
    typer.Option(
        parser=shell.number, metavar="NUMBER", rich_help_panel=o.ACCOUNT,
        help="Leverage where the sweep does not vary it; default: 10.",
    ),
]  # fmt: skip
Cash = Annotated[
    float | None,
    typer.Option(
        parser=shell.number, metavar="NUMBER", rich_help_panel=o.ACCOUNT,
        help="Cash at the start where the sweep does not vary it; default: 10000.",
    ),
]  # fmt: skip
Mode = Annotated[
    str | None,
    typer.Option(
        "--margin-mode",
        metavar="MODE",
        rich_help_panel=o.ACCOUNT,
        help="cross (default) or isolated.",
    ),
]
Intrabar = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        rich_help_panel=o.STUDY,
        help="Path inside a bar: adverse, favourable or nearest.",
    ),
]
Value = Annotated[
    str,
    typer.Option(
        metavar="COLUMN", rich_help_panel=o.OUTPUT, help="The statistic that the map shows."
    ),
]


@dataclass(frozen=True, slots=True)
class Crew:
    """The options that say what works and who, as they were typed."""

    engine: Engine = "auto"
    backend: Backend = "loky"
    workers: Workers = None
    address: Address = ""


@dataclass(frozen=True, slots=True)
class Market(Source):
    """A market whose store goes by another name, for ``--store`` keeps the cells."""

    store: MarketStore = Path("data")


@grouped
def sweep(
    strategy: o.Strategy,
    *,
    grid: Grid = None,
    draw: Draw = None,
    draws: Draws = None,
    seed: Seed = 0,
    crew: Crew,
    kept: Kept = None,
    market: Market,
    leverage: Leverage = None,
    margin_mode: Mode = None,
    cash: Cash = None,
    rules: Rules,
    set_: o.Set = None,
    intrabar: Intrabar = None,
    value: Value = "total_return",
    output: Output,
) -> None:
    """Run a strategy under every combination of settings: leverage, mode, venue, fees, parameters.

    Example: bt-margin sweep strategies/trend.py --grid leverage=1:50:1 --grid margin_mode=cross,isolated

    Example: bt-margin sweep my.py --grid params.fast=10,20 --grid maintenance_buffer=0,0.1 --store kept

    Example: bt-margin sweep my.py --draw leverage=log:1:50 --draws 500 --seed 7 --report sweep.html
    """
    with shell.plain_errors():
        output.tried()
        varied, drawn = grids(grid or []), sources(draw or [])
        account = {
            "leverage": leverage,
            "margin_mode": margin_mode,
            "cash": cash,
            "as_of": rules.as_of,
        }
        own = _common({**account, "intrabar": intrabar}, {**varied, **drawn})
        own |= _rules(market, rules, {**varied, **drawn})
        points = {"grid": varied, "draws": draws, "distributions": drawn or None, "seed": seed}
        study = {
            "params": parse.assignments(set_ or [], "--set"),
            "store": kept,
            **asdict(crew),
            **points,
            **own,
        }
        result = _run(strategy, market, study, output.silent)
        result.heat(value=value)  # a column there is none of is said before anything is written
        from bt_margin.report.heat import verdict

        show = partial(_show, value=value)
        tell_study(result, output, document, verdict, show, how={"value": value})
        _end(result)


def _end(result: Sweep) -> None:
    """One line where every cell raised: exit code 2 where what was asked for is at fault, else 1."""
    from bt_margin.errors import BtMarginError

    told = result.failed["error"].value_counts()
    if len(result.failed) == len(result.frame):
        known = vars(sys.modules[BtMarginError.__module__])
        kinds = [known.get(text.partition(":")[0], Exception) for text in told.index]
        asked = all(issubclass(kind, BtMarginError) for kind in kinds)
        none = f"none of {len(result.frame):,} cells came to its end"
        shell.fail(f"{none}; {told.iloc[0]:,} failed: {told.index[0]}", 1 + asked)


def _common(given: Mapping[str, Any], varied: Mapping[str, Any]) -> dict[str, Any]:
    """The settings all cells share: as typed, else the usual ones where they are not varied."""
    usual = {"leverage": 10.0, "cash": 10_000.0}
    own = {name: value for name, value in given.items() if value is not None}
    return {name: v for name, v in usual.items() if name not in varied} | own


def _rules(market: Source, rules: Rules, varied: Mapping[str, Any]) -> dict[str, Any]:
    """The venue all cells share, where it is not varied."""
    from bt_margin.errors import InputError

    if "venue" in varied:
        if rules.venue or rules.rule:
            raise InputError(
                "--grid venue= already says whose rules apply; leave out --venue and --rule"
            )
        return {}
    return {"venue": rules.chosen(market)}


def _run(name: str, market: Source, study: Mapping[str, Any], silent: bool) -> Sweep:
    """The sweep itself, with a progress bar; interrupted, it says how to go on."""
    from bt_margin.studies.load import find_strategy
    from bt_margin.studies.sweep import sweep as run_sweep

    found = find_strategy(name)  # before anything is downloaded
    frames = market.frames(silent)
    done = [0.0]
    try:
        with shell.progress(silent) as told:

            def seen(label: str, share: float) -> None:
                done[0] = share
                if told is not None:
                    told(label, share)

            command = shlex.join(["bt-margin", *sys.argv[1:]])
            return run_sweep(found, frames, progress=seen, command=command, **study)
    except KeyboardInterrupt:
        kept = study["store"]
        hint = (
            f"they are kept in {kept}, and the same command goes on there"
            if kept
            else "nothing is kept"
        )
        hint += "" if kept else "; with --store DIR the same command would go on there"
        shell.fail(f"interrupted with {done[0]:.0%} of the cells done; {hint}", 130)
        raise


def document(result: Sweep, files: list[Path]) -> dict[str, Any]:
    """Everything a program wants to know.

    ``rows`` are the cells as :attr:`Sweep.frame` has them (null when there are more than :data:`MOST_ROWS`:
    the table is in ``--out``); ``settings`` those that all cells share.
    """
    from bt_margin.report.heat import verdict

    frame = result.frame
    few = len(frame) <= MOST_ROWS
    constant = result._settings()[1]
    kept = frame.drop(columns=[name for name in constant if name in frame])
    return {
        "strategy": result.job.strategy.__name__,
        "synthetic": result.synthetic,
        "cells": len(frame),
        "axes": {name: list(values) for name, values in result.axes.items()},
        "engines": result.engines,
        "check": result.check,
        "verdict": verdict(result),
        "failed": len(result.table.errors),
        "best": result.best(_BEST)[list(kept)].reset_index().to_dict(orient="records"),
        "rows": kept.reset_index().to_dict(orient="records") if few else None,
        "settings": constant,
        "stamp": dict(result.stamp),
        "files": [str(path) for path in files],
    }


def _show(result: Sweep, value: str) -> None:
    """For people: what ran, the map, the best cells, what failed."""
    from rich.text import Text

    from bt_margin.cli import layout
    from bt_margin.report import heat, terminal

    console = shell.stdout()
    label = "  SYNTHETIC market" if result.synthetic else ""
    head = f"{result.job.strategy.__name__}  {heat._span(result)}"
    console.print(Text.assemble((plain(head), "bold"), (label, "bold red")), soft_wrap=True)
    bare = not shell.encodable(terminal.BLOCKS + heat.MISSING, console.encoding)
    for line in heat.maps(result, console.width, value, ascii_only=bare):
        console.print(line, soft_wrap=True)
    best = result.best(_BEST)
    if len(best):
        names = [*(name for name in result.axes if name in best), *heat.SHOWN]
        rows = [
            [heat._label(row[n]) if n not in heat.SHOWN else heat.shown(n, row[n]) for n in names]
            for _, row in best.iterrows()
        ]
        layout.show_words(console, [names, *rows], "The highest returns")
    console.print()
    layout.show_text(console, heat.verdict(result), indent="")
    layout.show_text(console, result.check, indent="")
    counts = result.failed["error"].value_counts()
    for text, count in counts.head(3).items():
        layout.show_text(console, f"{count} failed: {text}", style="red")
