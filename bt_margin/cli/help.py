"""How ``--help`` reads: options in sections, examples that can be copied, 80 columns."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand

EXAMPLE = "Example: "
_MARGIN = 2  # columns on the left of a text, as everywhere in a help


class Sectioned(TyperCommand):
    """A verb whose options stand in the sections they name (``rich_help_panel``), in order of appearance."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, then each section with its options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if param.param_type_name == "argument" else "Options"
                name = getattr(param, "rich_help_panel", None) or usual
                sections.setdefault(name, []).append(record)
        if sections.keys() - {"Arguments", "Options"}:
            left = sections.pop("Options", [])  # --help, which names none, goes into the last one
            sections[list(sections)[-1]].extend(left)
        for name, records in sections.items():
            with formatter.section(name):
                formatter.write_dl(records, col_max=26)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The text; an example that is too long goes on after a backslash, so that it can be copied."""
        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            formatter.write("\n")
            if not paragraph.startswith(EXAMPLE):
                with formatter.indentation():
                    formatter.write_text(paragraph)
                continue
            for line in continued(paragraph, formatter.width - _MARGIN):
                formatter.write(f"{' ' * _MARGIN}{line}\n")


def continued(command: str, width: int) -> list[str]:
    """A command in lines of at most this width, each but the last ending in a backslash.

    >>> continued("Example: bt-margin compare my.py --leverage 10 --out out", 40)
    ['Example: bt-margin compare my.py \\\\', '             --leverage 10 --out out']
    """
    lines, line = [], ""
    for piece in _pairs(command.split()):
        joined = f"{line} {piece}" if line else piece
        if line and len(joined) > width - 2:
            lines.append(f"{line} \\")
            joined = f"{' ' * (len(EXAMPLE) + 4)}{piece}"
        line = joined
    return [*lines, line]


def _pairs(words: list[str]) -> list[str]:
    """An option and its value stay together."""
    pieces: list[str] = []
    for word in words:
        if pieces and pieces[-1].startswith("--") and " " not in pieces[-1] and word[0] != "-":
            pieces[-1] = f"{pieces[-1]} {word}"
        else:
            pieces.append(word)
    return pieces
