"""What every verb does the same way: errors, colours, signs, progress, JSON."""

from __future__ import annotations

import codecs
import io
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
from bt_margin.report.plain import plain

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 170  # columns of a table that goes into a file or a pipe
_PATIENCE = 1.0  # seconds without a word before a progress bar appears
DEBUG = "BT_MARGIN_DEBUG"
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "─": "-", "×": "x", "·": "*", "✕": "X", "…": "~", "→": ">", "←": "<",
    "▲": "^", "▼": "v", "’": "'", "\u00a0": " ",
}  # fmt: skip
_KNOWN_SIGNS = "bt_margin.known_signs"


def plain_signs() -> None:
    """Let stdout and stderr of another encoding than UTF show our signs as the ASCII nearest to them.

    What has no such sign becomes a question mark; nothing ends in an encoding error.
    """
    codecs.register_error(_KNOWN_SIGNS, _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors=_KNOWN_SIGNS)


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """ASCII of the same width for what an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(letter, "?") for letter in lacking), error.end


def encodable(text: str, encoding: str) -> bool:
    """Whether a terminal of this encoding can show a text.

    >>> encodable("▁█", "utf-8"), encodable("▁█", "ascii"), encodable("▁█", "no such encoding")
    (True, False, False)
    """
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


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
    except OSError as error:
        if error.filename is None:
            fail(f"{type(error).__name__}: {error}{_place(error)}", 1)
        fail(f"{error.filename}: {error.strerror}", 2)
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
    typer.echo(f"bt-margin: error: {plain(' '.join(text.split()))}", err=True)


def _place(error: BaseException) -> str:
    """Where the exception came from: file and line of the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f" ({frames[-1].filename}, line {frames[-1].lineno}; {DEBUG}=1 shows the traceback)"


def stdout() -> Console:
    """Where results go: coloured on a terminal, plain and wide in a pipe, whatever the environment says.

    On a terminal ``NO_COLOR`` and ``TERM=dumb`` are respected.
    """
    from rich.console import Console

    class Out(Console):
        """A console that lets the verb end when its reader has seen enough, as of ``| head``."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    if sys.stdout.isatty():
        return Out(highlight=False, soft_wrap=False)
    return Out(
        width=WIDE, color_system=None, force_terminal=False, highlight=False, soft_wrap=False
    )


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
def progress(quiet: bool, runs: int = 1) -> Iterator[Callable[[str, float], None] | None]:
    """A bar with the time left on stderr, for work that takes longer than a moment.

    Only on a terminal, and gone afterwards. ``runs`` is how many labels are expected, one after the other;
    all of them make one bar.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich import progress as p
    from rich.console import Console

    columns = (
        p.TextColumn("{task.description}", markup=False), p.BarColumn(), p.TaskProgressColumn(),
        p.TimeRemainingColumn(elapsed_when_finished=True), p.TextColumn("left"),
    )  # fmt: skip
    console = Console(stderr=True)
    with p.Progress(*columns, console=console, transient=True, auto_refresh=False) as shown:
        yield _Bar(shown, runs)


class _Bar:
    """Several runs on one bar; the bar appears when they take longer than a moment."""

    def __init__(self, shown: Any, runs: int) -> None:
        self.shown, self.runs = shown, runs
        self.started = time.monotonic()
        self.done, self.label, self.share = 0, "", 0.0
        self.task: Any = None

    def __call__(self, label: str, share: float) -> None:
        if self.label and (label != self.label or share < self.share):  # the next run has begun
            self.done += 1
        self.label, self.share = label, share
        self.runs = max(self.runs, self.done + 1)
        if self.task is None:
            self.task = self.shown.add_task(label, total=1.0, visible=False)
        late = time.monotonic() - self.started >= _PATIENCE
        several = f" ({self.done + 1} of {self.runs})" if self.runs > 1 else ""
        self.shown.update(
            self.task,
            description=f"{label}{several}",
            completed=(self.done + share) / self.runs,
            visible=late,
            refresh=late,
        )
