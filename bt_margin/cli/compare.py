"""``bt-margin compare``: one strategy under several margin settings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import download, parse, shell
from bt_margin.cli import source as sources

if TYPE_CHECKING:
    from rich.console import Console

    from bt_margin.studies.comparison import Comparison

STRATEGY = "A file, file.py:Class, or a dotted path to a backtrader strategy."
DATA = (
    "A folder, or files, of market data; may be repeated. Without it: the SYNTHETIC sample market."
)
VENUE = "Whose rules apply; default: those of --exchange, else binance."
SET = "A parameter of the strategy as name=value; may be repeated."
RULE = "A number of the venue as name=value, as --venue generic needs them; may be repeated."
SCENARIO = "Compare these instead of cross and isolated: name:key=value,...; may be repeated."
BOUNDS = "Also run with the path inside each bar at its worst and at its best."
OUT = "Write tables (CSV, Parquet), picture and report into this folder."


def compare(
    strategy: Annotated[str, typer.Argument(help=STRATEGY)],
    data: Annotated[list[Path] | None, typer.Option(help=DATA)] = None,
    leverage: Annotated[
        float, typer.Option(parser=shell.number, help="Leverage of every position.")
    ] = 10.0,
    venue: Annotated[str | None, typer.Option(help=VENUE)] = None,
    cash: Annotated[float, typer.Option(parser=shell.number, help="Cash at the start.")] = 10_000.0,
    set_: Annotated[list[str] | None, typer.Option("--set", help=SET)] = None,
    symbols: Annotated[str | None, typer.Option(help="Only these, with commas.")] = None,
    since: Annotated[str | None, typer.Option(help="First bar (UTC), e.g. 2025-10-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Bars before this time (UTC).")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Which files, if several, e.g. 1h.")] = None,
    source: Annotated[str | None, typer.Option(help="Whose files, if several, e.g. okx.")] = None,
    exchange: Annotated[str | None, typer.Option(help=sources.EXCHANGE)] = None,
    store: Annotated[Path, typer.Option(help=download.STORE)] = Path("data"),
    exchange_options: Annotated[Path | None, typer.Option(help=download.OPTIONS)] = None,
    offline: Annotated[bool, typer.Option("--offline", help=sources.OFFLINE)] = False,
    missing_funding: Annotated[str | None, typer.Option(help=sources.FUNDING)] = None,
    missing_marks: Annotated[str | None, typer.Option(help=sources.MARKS)] = None,
    detail: Annotated[str | None, typer.Option(help=sources.DETAIL)] = None,
    rule: Annotated[list[str] | None, typer.Option(help=RULE)] = None,
    as_of: Annotated[str | None, typer.Option(help="Pin the venue's tables to a date.")] = None,
    intrabar: Annotated[
        str, typer.Option(help="Path inside a bar: adverse, favourable or nearest.")
    ] = "adverse",
    margin_call: Annotated[
        list[float] | None,
        typer.Option(
            parser=shell.number, help="Margin ratio that calls, e.g. 0.8; may be repeated."
        ),
    ] = None,
    liquidation_slippage: Annotated[
        float,
        typer.Option(
            parser=shell.number, help="What a liquidation sale loses against the mark, a fraction."
        ),
    ] = 0.0,
    auto_top_up: Annotated[
        bool, typer.Option("--auto-top-up", help="Refill isolated margin before a liquidation.")
    ] = False,
    scenario: Annotated[list[str] | None, typer.Option(help=SCENARIO)] = None,
    bounds: Annotated[bool, typer.Option("--bounds", help=BOUNDS)] = False,
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the verdict.")] = False,
) -> None:
    """Run a strategy under cross and isolated margin and show where the two curves part.

    Example: bt-margin compare strategies/pairs.py --leverage 10 --out out

    Example: bt-margin compare my.py:Trend --data data/binance --since 2025-10-01 --set fast=20

    Example: bt-margin compare my.py --exchange binanceusdm --symbols BTC/USDT:USDT --since 2025-01-01
    """
    with shell.plain_errors():
        place = None if out is None else shell.folder(out)
        market = sources.Source(
            data, symbols, since, until, timeframe, source, exchange, store, exchange_options, offline,
            missing_funding, missing_marks, detail,
        )  # fmt: skip
        rules = chosen_venue(market.venue(venue), rule, as_of)
        found = _strategy(strategy)  # before anything is downloaded
        finer = market.finer(quiet or as_json)
        frames = market.frames(quiet or as_json)
        keywords: dict[str, Any] = {
            "venue": rules,
            "detail": finer,
            "leverage": leverage,
            "cash": cash,
            "as_of": as_of,
            "intrabar": intrabar,
            "liquidation_slippage": liquidation_slippage,
            "auto_top_up": auto_top_up,
        }
        if margin_call:
            keywords["margin_calls"] = tuple(margin_call)
        params = parse.assignments(set_ or [], "--set")
        chosen = parse.scenarios(scenario or [])
        result = _run(found, frames, (params, chosen, bounds), keywords, quiet or as_json)
        if as_json:
            shell.write_json(document(result, _save(result, place)))
            return
        if quiet:
            from bt_margin.report.verdict import verdict

            typer.echo(verdict(result))
        else:
            show(result)
        files = _save(result, place)
        if files and not quiet:
            typer.echo("\nwritten: " + ", ".join(str(path) for path in files))


def chosen_venue(name: str, rules: list[str] | None, as_of: str | None) -> Any:
    """The venue by name, or built from the numbers given."""
    if not rules and name != "generic":
        return name
    from bt_margin.venues import venue

    return venue(name, as_of=as_of, **parse.assignments(rules or [], "--rule"))


def _strategy(name: str) -> Any:
    """The strategy class meant."""
    from bt_margin.studies.load import find_strategy

    return find_strategy(name)


def _run(
    found: Any,
    frames: dict[str, Any],
    study: tuple[dict[str, Any], dict[str, dict[str, Any]] | None, bool],
    keywords: dict[str, Any],
    quiet: bool,
) -> Comparison:
    """The comparison itself, with a progress bar."""
    from bt_margin.errors import BtMarginError
    from bt_margin.studies.compare import compare as compare_runs

    params, chosen, bounds = study
    try:
        with shell.progress(quiet) as told:
            return compare_runs(
                found,
                frames,
                params=params,
                scenarios=chosen,
                bounds=bounds,
                progress=told,
                command=shlex.join(["bt-margin", *sys.argv[1:]]),
                **keywords,
            )
    except BtMarginError:
        raise
    except Exception as error:
        shell.strategy_failed(found.__name__, params, error)
        raise


def _save(result: Comparison, out: Path | None) -> list[Path]:
    """The files asked for: all of them or none."""
    from bt_margin.studies.write import staged

    if out is None:
        return []
    with staged(out) as (place, written):
        result.to_dir(place)
        result.report(place / "report.html")
    return written


def document(result: Comparison, files: list[Path]) -> dict[str, Any]:
    """Everything a program wants to know."""
    from bt_margin.report.verdict import verdict
    from bt_margin.report.words import approximations, fidelity, liquidations

    return {
        "synthetic": result.synthetic,
        "verdict": verdict(result),
        "stamp": dict(result.stamp),
        "settings": result.settings,
        "summary": result.summary.to_dict(orient="index"),
        "divergence": result.divergence.to_frame().to_dict(orient="records"),
        "liquidations": liquidations(result),
        "fidelity": fidelity(result),
        "approximations": approximations(result),
        "files": [str(path) for path in files],
    }


def show(result: Comparison) -> None:
    """Tables for people."""
    from rich.markup import escape

    from bt_margin.cli import layout
    from bt_margin.report import tables
    from bt_margin.report.verdict import verdict
    from bt_margin.report.words import approximations, fidelity

    console = shell.stdout()
    span = f"{result.index[0]:%Y-%m-%d} to {result.index[-1]:%Y-%m-%d}" if len(result.index) else ""
    names = ", ".join(result.first.broker.account.book)
    label = "  [bold red]SYNTHETIC market[/]" if result.synthetic else ""
    console.print(f"[bold]{escape(result.first.title)}[/]  {escape(names)}  {span}{label}")
    layout.show_numbers(console, tables.headline(result))
    for line in tables.footnotes():
        console.print(layout.hanging(line, console.width), style="dim", markup=False)
    console.print(f"\n{verdict(result)}", markup=False)
    _partings(console, result)
    fallen = tables.liquidation_rows(result)
    if len(fallen) > 1:
        title = f"Liquidations ({len(fallen) - 1}{', the first shown' if len(fallen) > 9 else ''})"
        layout.show_words(console, fallen[:9], title, tables.SPARE)
    console.print()
    for note in fidelity(result):
        console.print(layout.hanging(f"· {note}", console.width), style="dim", markup=False)
    left = len(approximations(result))
    if left:
        console.print(f"· {left} simplifications of the venue's rules: see the report", style="dim")


def _partings(console: Console, result: Comparison) -> None:
    """Where the curves part, and what it adds up to."""
    from bt_margin.cli import layout
    from bt_margin.report import tables
    from bt_margin.report.numbers import plural

    found = result.divergence.episodes
    if len(result.runs) < 2 or not found:
        return
    shown = tables.episodes(result, most=6)
    part = ", the largest shown" if len(found) > len(shown) - 1 else ""
    title = f"Where the curves part ({plural(len(found), 'episode')}{part})"
    layout.show_words(console, shown, title, tables.SPARE)
    console.print()
    layout.show_numbers(console, tables.totals(result))
