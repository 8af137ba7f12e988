"""What a script prints, kept apart by the run in which it was printed."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

_PIECE = 1 << 16  # characters read at once


class Speech(io.TextIOBase):
    """Stands for ``sys.stdout`` or ``sys.stderr`` of a script; each run's words go to a file of its own.

    What belongs to ``main`` (a scenario's name; what is said outside any run belongs to it too) is also
    passed on to ``shown`` as it comes; ``None`` shows nothing.
    """

    encoding = "utf-8"

    def __init__(self, main: str, shown: TextIO | None, *, kept: bool = True) -> None:
        super().__init__()
        self.main, self.shown, self.kept = main, shown, kept
        self.run = main
        self.buffer = _Bytes(self)
        self._files: dict[str, IO[str]] = {}

    def write(self, text: str) -> int:
        """Say something in the current run."""
        if self.kept:
            if self.run not in self._files:
                file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 # outlives this
                self._files[self.run] = file
            self._files[self.run].write(text)
        if self.shown is not None and self.run == self.main:
            self.shown.write(text)
        return len(text)

    def flush(self) -> None:
        """Let it be seen at once."""
        if self.shown is not None:
            self.shown.flush()

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Whether somebody at a terminal sees it."""
        return self.shown is not None and self.shown.isatty()

    def reconfigure(self, **settings: Any) -> None:
        """Every encoding a script may ask for is written as UTF-8."""

    def said(self) -> dict[str, Iterator[str]]:
        """By run, what was printed, piece by piece."""
        return {name: _pieces(file) for name, file in self._files.items()}


class _Bytes(io.RawIOBase):
    """``sys.stdout.buffer`` of a script."""

    def __init__(self, speech: Speech) -> None:
        super().__init__()
        self.speech = speech

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.speech.write(bytes(data).decode("utf-8", "replace"))
        return len(data)


def _pieces(file: IO[str]) -> Iterator[str]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
    file.seek(0, io.SEEK_END)


@contextmanager
def speaking(main: str, shown: TextIO | None) -> Iterator[tuple[Speech, Speech]]:
    """``sys.stdout`` and ``sys.stderr`` for a script: the first kept and shown, the second shown."""
    out, err = Speech(main, shown), Speech(main, sys.stderr, kept=False)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before
