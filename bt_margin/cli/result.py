"""What ``compare`` and ``run`` print and write of a comparison."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bt_margin.cli import options as o
from bt_margin.cli import shell
from bt_margin.report.plain import plain

if TYPE_CHECKING:
    from rich.console import Console

    from bt_margin.studies.comparison import Comparison

PAGE = "report.html"
MOST = 4  # episodes and liquidations that are shown; the page has all
_NAMED = 6  # symbols up to which all of them are named


@dataclass(frozen=True, slots=True)
class Output:
    """The options that say where the results go and how much is printed, as they were typed."""

    out: o.Out = None
    report: o.Report = None
    as_json: o.AsJson = False
    quiet: o.Quiet = False

    @property
    def silent(self) -> bool:
        """Whether nothing but the result itself may be printed."""
        return self.quiet or self.as_json

    def tried(self) -> Output:
        """The same, every place found to be usable. :raises InputError: one is not.

        Tested before the work begins, so that nobody waits for a run whose results have no place.
        """
        if self.out is not None:
            shell.folder(self.out)
        if self.report is not None:
            page_file(self.report, "--report")
        return self

    def of_run(self, number: int) -> Output:
        """The same for one of several runs: a folder of its own, and a number in the page's name."""
        report = self.report
        return replace(
            self,
            out=None if self.out is None else self.out / f"run{number}",
            report=report and report.with_name(f"{report.stem}-run{number}{report.suffix}"),
        )


def page_file(path: Path, option: str) -> Path:
    """A file that a page can be written to. :raises InputError: a folder, or below a place that is none."""
    from bt_margin.errors import InputError

    if path.is_dir():
        raise InputError(f"{option} {path} is a folder; name a file, e.g. {path / PAGE}")
    shell.folder(path.parent)
    return path


def save(
    result: Comparison, output: Output, more: Callable[[Path], None] | None = None
) -> list[Path]:
    """The files asked for: those of a folder all or none; ``more`` adds to them. The page is made once."""
    from bt_margin.studies.write import atomic, staged

    written: list[Path] = []
    if output.out is not None:
        with staged(output.out) as (place, written):
            result.to_dir(place)
            result.report(place / PAGE)
            if more is not None:
                more(place)
    if output.report is None:
        return written
    if output.out is None:
        return [result.report(output.report)]
    made = output.out / PAGE
    if made.resolve() == output.report.resolve():
        return written
    return [*written, atomic(output.report, lambda beside: shutil.copyfile(made, beside))]


def document(result: Comparison, files: list[Path]) -> dict[str, Any]:
    """Everything a program wants to know of a comparison, but its curves: those are tables (``--out``).

    Money is in ``currency``, rates and shares are fractions, times ISO 8601 in UTC; null is no number.

    ``strategy``, ``currency``, ``synthetic`` (made-up data), ``from``, ``to``, ``bars``
        what ran, on what, and the span and length of the common clock
    ``scenarios``       their names in order; the first is what the others are measured against
    ``verdict``         who ended with more and why, in words
    ``summary``         scenario → statistic → value, as :data:`bt_margin.studies.summary.COLUMNS` means them
    ``divergence``      the pieces of the difference (other − first), in order of time: episodes in which the
                        runs were apart and the stretches between; their ``worth`` and the start add up to the
                        difference of the final equities (:class:`bt_margin.studies.pieces.Divergence`)
    ``waterfalls``      ``from`` one final equity (``start``) ``to`` another (``end``): ``steps`` of ``key``,
                        ``label``, ``value``, ``sentence`` and ``time``; start + Σ value = end
    ``months``          scenario → years: ``year``, twelve ``months`` (null: no bars) and ``total``
    ``liquidations``    in order of time: ``scenario``, ``time``, ``symbol``, ``size``, ``mark`` and
                        ``judged_by`` (mark or last price), closing ``price``, ``equity`` against
                        ``maintenance``, ``result``, ``explanation``; with ``--bounds`` its ``certainty``
    ``counterfactuals`` one object per breach, as :data:`bt_margin.studies.counterfactual.COLUMNS` means them;
                        null where they were not asked for
    ``fidelity``, ``approximations``    what the data lacked; what the venue's model leaves out: sentences
    ``venues``          the fidelity statement of each: ``venue`` (its title), ``exact``, ``approximated``,
                        ``absent`` (sentences), ``stands_for`` (feed → its own contract)
    ``settings``        scenario → every setting in force
    ``stamp``           versions, parameters, hash of the data, seconds, command: how to make it again
    ``files``           what was written
    """
    from bt_margin.report.avoided import records
    from bt_margin.report.months import months
    from bt_margin.report.verdict import verdict
    from bt_margin.report.waterfall import waterfalls
    from bt_margin.report.words import approximations, fidelity, liquidations, statements

    index = result.index
    return {
        "strategy": result.first.title,
        "currency": result.first.currency,
        "synthetic": result.synthetic,
        "from": index[0] if len(index) else None,
        "to": index[-1] if len(index) else None,
        "bars": len(index),
        "scenarios": list(result.runs),
        "verdict": verdict(result),
        "summary": result.summary.to_dict(orient="index"),
        "divergence": result.divergence.to_frame().to_dict(orient="records"),
        "waterfalls": [_dated(fall) for fall in waterfalls(result)],
        "months": months(result)["scenarios"],
        "liquidations": liquidations(result),
        "counterfactuals": None if result.avoided is None else records(result),
        "fidelity": fidelity(result),
        "approximations": approximations(result),
        "venues": statements(result),
        "settings": result.settings,
        "stamp": dict(result.stamp),
        "files": [str(path) for path in files],
    }


def _dated(fall: dict[str, Any]) -> dict[str, Any]:
    """A waterfall with its times as text."""
    from bt_margin.report.outcome import iso

    return fall | {"steps": [{**step, "time": iso(step["time"])} for step in fall["steps"]]}


def show(result: Comparison) -> None:
    """For people: table, curves, verdict, what the difference is made of, and the largest events."""
    from bt_margin.cli import layout
    from bt_margin.report import tables
    from bt_margin.report.headline import MANY, headline, standings
    from bt_margin.report.verdict import verdict

    console = shell.stdout()
    _head(console, result)
    many = len(result.runs) >= MANY
    shown = standings(headline(result, compact=True)) if many else tables.headline(result)
    layout.show_numbers(console, shown)
    _curves(console, result)
    console.print()
    layout.show_text(console, verdict(result), indent="")
    _steps(console, result)
    _partings(console, result)
    _liquidations(console, result)
    _avoided(console, result)
    _notes(console, result)


def _head(console: Console, result: Comparison) -> None:
    """What ran on which symbols, from when to when."""
    from rich.text import Text

    from bt_margin.report.numbers import plural

    names = list(result.first.broker.account.book)
    more = f" and {len(names) - _NAMED + 2} more" if len(names) > _NAMED else ""
    shown = ", ".join(names[: _NAMED - 2] if more else names) + more
    index = result.index
    span = f"{index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}, " if len(index) else ""
    head = Text.assemble(
        (plain(result.first.title), "bold"),
        f"  {plain(shown)}  {span}{plural(len(index), 'bar')}",
        ("  SYNTHETIC market" if result.synthetic else "", "bold red"),
    )
    for line in head.wrap(console, console.width):
        line.rstrip()
        console.print(line)


def _curves(console: Console, result: Comparison) -> None:
    """The equity curves as sparklines."""
    from rich.text import Text

    from bt_margin.report import terminal

    bare = not shell.encodable(terminal.BLOCKS + terminal.LIQUIDATED, console.encoding)
    lines = terminal.sparklines(result, console.width, ascii_only=bare)
    for number, line in enumerate(lines):
        text = Text(line, style="dim" if number == len(lines) - 1 else "")
        text.highlight_words([terminal.LIQUIDATED], style="bold red")
        console.print(text, soft_wrap=True)


def _steps(console: Console, result: Comparison) -> None:
    """The waterfalls side by side: what each difference is made of."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n
    from bt_margin.report.headline import MANY, in_unit
    from bt_margin.report.waterfall import LABELS, waterfalls
    from bt_margin.studies.amounts import is_cash

    falls = [fall for fall in waterfalls(result) if fall["steps"]]
    if not falls:
        return
    show_money = in_unit(n.money, result.first.currency)
    labels = {step["key"]: step["label"] for fall in falls for step in fall["steps"]}
    digits = 2 if is_cash(result.first.currency) else 8
    worths = [_as_shown(fall, digits) for fall in falls]
    order = [key for key in LABELS if key in labels]
    rows = [["made of", *(f"{fall['to']} − {fall['from']}" for fall in falls)]]
    for key in order:
        rows.append([labels[key], *(n.signed(show_money, own.get(key, 0.0)) for own in worths)])
    rows.append(["difference", *(n.signed(show_money, sum(own.values())) for own in worths)])
    if len(result.runs) >= MANY:  # a row per scenario
        rows = [list(each) for each in zip(*rows, strict=True)]
        rows = [[f"less {falls[0]['from']}", *rows[0][1:]]] + [
            [fall["to"], *row[1:]] for fall, row in zip(falls, rows[1:], strict=True)
        ]
    layout.show_numbers(console, rows)


def _as_shown(fall: dict[str, Any], digits: int) -> dict[str, float]:
    """The steps of one waterfall by key, rounded such that they add up to its difference."""
    from bt_margin.report.numbers import adding_up

    steps, gap = fall["steps"], fall["end"] - fall["start"]
    _, worths, _ = adding_up(0.0, [step["value"] for step in steps], gap, digits)
    return {step["key"]: worth for step, worth in zip(steps, worths, strict=True)}


def _partings(console: Console, result: Comparison) -> None:
    """Where the curves part, in words: the partings worth most."""
    from bt_margin.cli import layout
    from bt_margin.report import tables
    from bt_margin.report.numbers import plural

    found = result.divergence.episodes
    if len(result.runs) < 2 or not found:
        return
    part = ", the largest shown" if len(found) > MOST else ""
    title = f"Where the curves part ({plural(len(found), 'episode')}{part})"
    layout.show_words(console, tables.episodes(result, most=MOST), title, tables.SPARE)


def _liquidations(console: Console, result: Comparison) -> None:
    """The liquidations that cost most, in order of time."""
    from bt_margin.cli import layout
    from bt_margin.report import tables
    from bt_margin.report.words import liquidations

    head, *rows = tables.liquidation_rows(result)
    if not rows:
        return
    costs = [row["result"] for row in liquidations(result)]
    kept = sorted(sorted(range(len(rows)), key=lambda place: costs[place])[:MOST])
    part = ", those that cost most" if len(rows) > MOST else ""
    title = f"Liquidations ({len(rows):,}{part})"
    layout.show_words(console, [head, *(rows[place] for place in kept)], title, tables.SPARE)


def _avoided(console: Console, result: Comparison) -> None:
    """What would have avoided liquidations: where something was worth most."""
    from bt_margin.cli import layout
    from bt_margin.report.avoided import avoided_table

    table = result.avoided
    if table is None:
        return
    part = ", where it is worth most" if len(table) > MOST else ""
    title = f"What would have avoided it ({len(table):,}{part})"
    if len(table):
        layout.show_words(console, avoided_table(result, MOST), title, ())
    told: dict[str, list[str]] = {}
    for name, words in table.attrs.get("engines", {}).items():
        told.setdefault(words, []).append(name)
    for words, names in told.items():
        layout.show_text(console, f"· {', '.join(names)}: {words}", style="dim")


def _notes(console: Console, result: Comparison) -> None:
    """What the data lacked and the model leaves out."""
    from bt_margin.cli import layout
    from bt_margin.report.numbers import plural
    from bt_margin.report.words import approximations, fidelity

    left = len(approximations(result))
    names = list(dict.fromkeys(run.broker.account.venue.name for run in result.runs.values()))
    told = f"bt-margin venues {names[0] if len(names) == 1 else 'NAME'}"
    count = plural(left, "simplification")
    rules = [f"{count} of the venue's rules: see the report, or {told}"] if left else []
    console.print()
    for note in [*fidelity(result), *rules]:
        layout.show_text(console, f"· {note}", style="dim")


def tell_files(files: list[Path]) -> None:
    """Where the files are: the page first, then each folder with what is in it."""
    from bt_margin.cli import layout

    if not files:
        return
    console = shell.stdout()
    console.print()
    pages = [path for path in files if path.suffix == ".html"]
    for path in pages:
        layout.show_text(console, f"report: {path}")
    for folder in dict.fromkeys(path.parent for path in files if path not in pages):
        names = ", ".join(
            path.name for path in files if path.parent == folder and path not in pages
        )
        layout.show_text(console, f"written into {folder}: {names}")


def tell(result: Comparison, output: Output) -> None:
    """Print a comparison as it was asked for, and write its files."""
    if output.as_json:
        shell.write_json(document(result, save(result, output)))
        return
    if output.quiet:
        from bt_margin.report.verdict import verdict

        typer.echo(plain(verdict(result)))
    else:
        show(result)
    files = save(result, output)
    if not output.quiet:
        tell_files(files)


def tell_study(
    result: Any,
    output: Output,
    document: Callable[[Any, list[Path]], dict[str, Any]],
    verdict: Callable[[Any], str],
    show: Callable[[Any], None],
    how: Mapping[str, Any] | None = None,
) -> None:
    """Write the files of a study asked for (``how``: its page), and print it as it was asked for."""
    files: list[Path] = [] if output.out is None else result.to_dir(output.out)
    files += [] if output.report is None else [result.report(output.report, **(how or {}))]
    if output.as_json:
        shell.write_json(document(result, files))
    elif output.quiet:
        typer.echo(plain(verdict(result)))
    else:
        show(result)
        tell_files(files)
