"""What every verb does the same way: errors, colours, progress, JSON."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bt_margin.errors import BtMarginError, DownloadError, InvariantError

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 170  # columns of a table that goes into a file or a pipe
_PATIENCE = 1.0  # seconds without a word before a progress bar appears
DEBUG = "BT_MARGIN_DEBUG"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an exception into one line on stderr and an exit code; BT_MARGIN_DEBUG=1 shows the traceback."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except InvariantError as error:
        fail(f"internal error: {error}", 1)
    except DownloadError as error:
        fail(str(error), 1)
    except BtMarginError as error:
        fail(str(error), 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except Exception as error:
        fail(f"{type(error).__name__}: {error}{_place(error)}", 1)


def fail(text: str, code: int) -> None:
    """One line on stderr, and out."""
    if os.environ.get(DEBUG):
        traceback.print_exc()
    complain(text)
    raise typer.Exit(code)


def complain(text: str) -> None:
    """One line on stderr about what went wrong, while the rest goes on."""
    typer.echo(f"bt-margin: error: {' '.join(text.split())}", err=True)


def _place(error: BaseException) -> str:
    """Where the exception came from: file and line of the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" ({frames[-1].filename}, line {frames[-1].lineno}; {DEBUG}=1 shows the traceback)"


def stdout() -> Console:
    """Where results go: coloured on a terminal, plain and wide in a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False, soft_wrap=False)


def number(text: Any) -> float:
    """A number typed as the value of an option."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None


def strategy_failed(name: str, params: Mapping[str, Any], error: Exception) -> None:
    """One line about a strategy that raised: with which parameters, what, and where. Exit code 1."""
    given = ", ".join(f"{key}={value!r}" for key, value in params.items())
    told = f"{type(error).__name__}: {error}{_place(error)}"
    fail(f"{name} failed{f' with {given}' if given else ''}: {told}", 1)


def folder(path: Path) -> Path:
    """A folder that can be made and written into. :raises InputError: it cannot.

    Tested before the work begins, so that nobody waits for a run whose results have no place.
    """
    from bt_margin.studies.write import tried

    return tried(path)


def write_json(value: Any) -> None:
    """One JSON document on stdout; what JSON has no number for becomes null."""
    typer.echo(json.dumps(finite(value), indent=2, default=str))


def finite(value: Any) -> Any:
    """The value with NaN, infinities and missing times as None, all the way down.

    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item"):  # a numpy number
        return finite(value.item())
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    return str(value)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, float], None] | None]:
    """A bar on stderr for work that takes longer than a moment; only on a terminal, and gone afterwards."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as shown:
        started = time.monotonic()
        tasks: dict[str, Any] = {}

        def told(label: str, share: float) -> None:
            if time.monotonic() - started < _PATIENCE:
                return
            if label not in tasks:
                for done in tasks.values():
                    shown.update(done, completed=1.0)
                tasks[label] = shown.add_task(label, total=1.0)
            shown.update(tasks[label], completed=share, refresh=True)

        yield told
