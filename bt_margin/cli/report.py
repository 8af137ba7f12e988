"""``bt-margin report``: the page of a comparison that was kept in a folder, without running it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bt_margin.cli import result, shell

if TYPE_CHECKING:
    from bt_margin.report.bundle import Bundle

FOLDER = "A folder that compare --out, run --out or to_dir() wrote."
OUT = "Where to write the page; default: report.html in the folder."


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=FOLDER)],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help=OUT)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Make the page again from what a comparison left in a folder, without running it.

    Example: bt-margin report out --out crash.html
    """
    with shell.plain_errors():
        from bt_margin.report.bundle import load
        from bt_margin.report.outcome import outcome

        bundle = load(folder)
        place = result.page_file(out if out is not None else folder / result.PAGE, "--out")
        page = _written(bundle, place, folder)
        if as_json:
            shell.write_json({**outcome(bundle.meta), "files": [str(page)]})
        elif not quiet:
            from bt_margin.cli import layout

            layout.show_text(shell.stdout(), str(bundle.meta["verdict"]), indent="")
            result.tell_files([page])


def _written(bundle: Bundle, place: Path, folder: Path) -> Path:
    """The page. :raises InputError: something in the bundle is missing, or is not what it should be."""
    from bt_margin.errors import InputError
    from bt_margin.report import write_page
    from bt_margin.report.bundle import META

    try:
        return write_page(bundle, place)
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder / META} is damaged: {type(error).__name__}: {error}; run the comparison again"
        ) from error
