"""Docstrings of the house as Markdown, for the reference: what mkdocstrings reads goes through here.

Written for the terminal, they hold doctests, lists of `name : meaning`, roles and `:raises X:` lines, which
Markdown would run together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|mod|meth|data|attr|exc):`~?([^`]+)`")
NAMED = re.compile(r"^(\*{0,2}\w[\w, ]*) : (.*)$")
BARE = re.compile(r"^\w[\w, .]*$")
RAISED = re.compile(r"^:raises (\w+): (.*)$")
Lines = list[str]


def markdown(text: str) -> str:
    """The same text as Markdown.

    >>> print(markdown("a, b : numbers\\n    of any kind\\n:raises ValueError: none."))
    - **a, b**: numbers
      of any kind
    - raises `ValueError`: none.
    >>> markdown(">>> 1\\n1")
    '```pycon\\n>>> 1\\n1\\n```'
    >>> markdown("See :func:`~house.door`, ``x``.")
    'See `house.door`, ``x``.'
    """
    parts = re.split(r"\n[ ]*\n", ROLE.sub(r"`\1`", text))
    return "\n\n".join(_part(part.split("\n")) for part in parts)


def _part(lines: Lines) -> str:
    first = lines[0]
    if first.startswith(">>> "):
        return "\n".join(["```pycon", *lines, "```"])
    if any(NAMED.match(line) or RAISED.match(line) for line in lines) or _is_named(lines):
        return "\n".join(_items(lines))
    return "\n".join(lines)


def _is_named(lines: Lines) -> bool:
    """A name on a line of its own, and its meaning indented below."""
    return len(lines) > 1 and bool(BARE.match(lines[0])) and lines[1].startswith("    ")


def _items(lines: Lines) -> Iterator[str]:
    begun = False
    for place, line in enumerate(lines):
        named, raised = NAMED.match(line), RAISED.match(line)
        if named or raised or _is_named(lines[place:]):
            if place and not begun:
                yield ""  # a list begins after a blank line only
            begun = True
        if named:
            yield f"- **{named[1]}**: {named[2]}"
        elif raised:
            yield f"- raises `{raised[1]}`: {raised[2]}"
        elif _is_named(lines[place:]):
            yield f"- **{line}**:"
        else:
            yield f"  {line.strip()}" if begun else line


class House(griffe.Extension):
    """Every docstring, before mkdocstrings sees it."""

    def on_instance(self, *, obj: Any, **rest: Any) -> None:
        """An object has been read."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
