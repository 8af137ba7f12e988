"""The verbs of ``bt-margin`` and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from bt_margin._version import __version__
from bt_margin.cli import calc, check, compare, download, report, run, sample, shell, store_verbs
from bt_margin.cli import stress as stress_verb
from bt_margin.cli import survival as survival_verb
from bt_margin.cli import sweep as sweep_verb
from bt_margin.cli import venues as venues_verb
from bt_margin.cli import verify as verify_verb
from bt_margin.cli.help import Sectioned

EXAMPLES = """Cross or isolated margin? Run a backtrader strategy under both and see where they part.

Example: bt-margin compare strategies/pairs.py --leverage 10 --out out
"""

app = typer.Typer(
    name="bt-margin",
    help=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bt-margin {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Before any verb: what a terminal cannot show is replaced, not refused."""
    shell.plain_signs()


root.__doc__ = EXAMPLES
for name, verb in (
    ("compare", compare.compare),
    ("run", run.run),
    ("sweep", sweep_verb.sweep),
    ("stress", stress_verb.stress),
    ("survival", survival_verb.survival),
    ("report", report.report),
    ("download", download.download),
    ("check", check.check),
    ("list", store_verbs.list_),
    ("import", store_verbs.import_),
    ("export", store_verbs.export),
    ("sample", sample.sample),
    ("calc", calc.calc),
    ("verify", verify_verb.verify),
    ("venues", venues_verb.venues),
):
    app.command(name, cls=Sectioned)(verb)
