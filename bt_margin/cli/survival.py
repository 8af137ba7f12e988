"""``bt-margin survival``: every day of a history as a start."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import options as o
from bt_margin.cli import parse, shell
from bt_margin.cli.groups import Rules, grouped
from bt_margin.cli.result import Output, tell_study
from bt_margin.cli.source import Source
from bt_margin.cli.sweep import Crew, grids
from bt_margin.report.plain import plain

if TYPE_CHECKING:
    from bt_margin.studies.survival_result import Survival

SEARCH = "Search"
MOST_ROWS = 10_000  # runs that --json prints

Starts = Annotated[
    str,
    typer.Option(
        metavar="STEP|DATES",
        rich_help_panel=SEARCH,
        help="How often to start: 1d, 6h, 1w; or dates, with commas.",
    ),
]
Horizon = Annotated[
    str,
    typer.Option(metavar="LENGTH", rich_help_panel=SEARCH, help="How long each start must live."),
]
Leverages = Annotated[
    str | None,
    typer.Option(
        metavar="VALUES",
        rich_help_panel=SEARCH,
        help="Leverages to search: 1:50 (both ends), 5,10,20; default: 15 of them up to 50.",
    ),
]
Wallets = Annotated[
    str | None,
    typer.Option(
        metavar="VALUES",
        rich_help_panel=SEARCH,
        help="Search the smallest wallet instead, at one --leverage: 500:10000:500, ...",
    ),
]
Modes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B", rich_help_panel=SEARCH, help="Margin modes; default: all of the venue's."
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=SEARCH,
        help="bisect (halve to the edge and verify its neighbours) or grid (run every value).",
    ),
]
Probes = Annotated[
    str,
    typer.Option(
        metavar="N|VALUES",
        rich_help_panel=SEARCH,
        help="Values run from every start, which get curves: how many, or which.",
    ),
]
Loss = Annotated[
    float | None,
    typer.Option(
        parser=shell.number,
        metavar="FRACTION",
        rich_help_panel=SEARCH,
        help="Also a failure: this share of the wallet lost at a close.",
    ),
]
Begin = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        rich_help_panel=SEARCH,
        help="joins (lives through the warm-up, orders held back) or fresh (begins at the start).",
    ),
]
WarmUp = Annotated[
    str,
    typer.Option(
        metavar="BARS",
        rich_help_panel=SEARCH,
        help="Bars before each start: a number, auto or all.",
    ),
]
Leverage = Annotated[
    float | None,
    typer.Option(
        parser=shell.number, metavar="NUMBER", rich_help_panel=o.ACCOUNT,
        help="Leverage where wallets are searched; default: 10.",
    ),
]  # fmt: skip
Cash = Annotated[
    float | None,
    typer.Option(
        parser=shell.number, metavar="NUMBER", rich_help_panel=o.ACCOUNT,
        help="Cash at each start where leverages are searched; default: 10000.",
    ),
]  # fmt: skip


@grouped
def survival(
    strategy: o.Strategy,
    *,
    starts: Starts = "1d",
    horizon: Horizon = "90d",
    leverages: Leverages = None,
    wallets: Wallets = None,
    modes: Modes = None,
    method: Method = "bisect",
    probes: Probes = "4",
    loss: Loss = None,
    begin: Begin = "joins",
    warm_up: WarmUp = "auto",
    crew: Crew,
    market: Source,
    leverage: Leverage = None,
    cash: Cash = None,
    rules: Rules,
    set_: o.Set = None,
    intrabar: o.Intrabar = "adverse",
    output: Output,
) -> None:
    """Start a strategy on every day of a history and find the leverage, or the wallet, that survives.

    Example: bt-margin survival strategies/trend.py --horizon 90d --leverages 1:50 --report survival.html

    Example: bt-margin survival my.py --starts 1w --wallets 500:10000:500 --leverage 20
    """
    with shell.plain_errors():
        output.tried()
        given = {"leverage": leverage, "cash": cash, "as_of": rules.as_of, "loss": loss}
        study: dict[str, Any] = {n: value for n, value in given.items() if value is not None}
        study |= _searched("leverages", leverages) | _searched("wallets", wallets)
        study |= {"horizon": horizon, "method": method, "begin": begin, "intrabar": intrabar}
        study |= asdict(crew)
        study |= {
            "starts": parse.names(starts) if "-" in starts else starts,
            "modes": parse.names(modes),
            "probes": _probes(probes),
            "warm_up": parse.literal(warm_up),
            "venue": rules.chosen(market),
            "params": parse.assignments(set_ or [], "--set"),
        }
        result = _run(strategy, market, study, output.silent)
        from bt_margin.report.frontier_words import verdict

        tell_study(result, output, document, verdict, _show)


def _searched(name: str, text: str | None) -> dict[str, list[Any]]:
    """The values of ``--leverages`` or ``--wallets``. :raises InputError: what are no numbers.

    >>> _searched("leverages", "1:3,10"), _searched("wallets", None)
    ({'leverages': [1.0, 2.0, 3.0, 10.0]}, {})
    """
    if text is None:
        return {}
    values = grids([f"{name}={text}"])[name]
    return {name: [parse.number(str(value), f"--{name}") for value in values]}


def _probes(text: str) -> int | list[float]:
    """How many values are run from every start, or which (more than one, with commas).

    >>> _probes("4"), _probes("5,20")
    (4, [5.0, 20.0])
    """
    words = parse.names(text) or []
    if len(words) == 1 and words[0].isdigit():
        return int(words[0])
    return [parse.number(word, "--probes") for word in words]


def _run(name: str, market: Source, study: Mapping[str, Any], silent: bool) -> Survival:
    """The study itself, with a progress bar."""
    from bt_margin.studies.load import find_strategy
    from bt_margin.studies.survival import survival as run_survival

    found = find_strategy(name)  # before anything is downloaded
    frames = market.frames(silent)
    with shell.progress(silent) as told:
        command = shlex.join(["bt-margin", *sys.argv[1:]])
        return run_survival(found, frames, progress=told, command=command, **study)


def document(result: Survival, files: list[Path]) -> dict[str, Any]:
    """Everything a program wants to know.

    ``runs`` as :attr:`Survival.runs` (null when there are more than :data:`MOST_ROWS`: the table is in
    ``--out``).
    """
    from bt_margin.report.frontier_words import verdict

    few = len(result.runs) <= MOST_ROWS
    return {
        "strategy": result.title,
        "synthetic": result.synthetic,
        "horizon_days": result.horizon,
        "starts": int(result.frontier["start"].nunique()),
        "independent_windows": result.independent,
        "variable": result.variable,
        "method": result.plan.method,
        "verdict": verdict(result),
        "notes": list(result.notes),
        "frontier": result.frontier.to_dict(orient="records"),
        "rungs": result.rungs.to_dict(orient="records"),
        "runs": result.runs.to_dict(orient="records") if few else None,
        "stamp": dict(result.stamp),
        "files": [str(path) for path in files],
    }


def _show(result: Survival) -> None:
    """For people: what ran, what each mode carries, the chart, risk and reward, what to know."""
    from rich.text import Text

    from bt_margin.cli import layout
    from bt_margin.report import frontier_words, terminal

    console = shell.stdout()
    label = "  SYNTHETIC market" if result.synthetic else ""
    starts = int(result.frontier["start"].nunique())
    head = f"{result.title}  {starts:,} starts, {result.horizon:g} days each, {len(result.runs):,} runs"
    console.print(Text.assemble((plain(head), "bold"), (label, "bold red")), soft_wrap=True)
    layout.show_numbers(console, frontier_words.headline(result))
    bare = not shell.encodable(terminal.BLOCKS, console.encoding)
    for line in frontier_words.chart(result, width=console.width, ascii_only=bare):
        console.print(Text(line), soft_wrap=True)
    layout.show_numbers(
        console, frontier_words.rung_table(result), "The values run from every start"
    )
    console.print()
    layout.show_text(console, frontier_words.verdict(result), indent="")
    for note in result.notes:
        layout.show_text(console, f"· {note}")
