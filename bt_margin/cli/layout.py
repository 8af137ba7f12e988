"""Tables that fit the terminal: numbers and dates are never cut, and the reason is always there.

Tables of numbers that are too wide are printed a few columns at a time. Tables of words (episodes,
liquidations) have their sentence as last column on a wide terminal; on a narrow one each row becomes its
numbers and, indented below, its sentence.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from bt_margin.report.plain import plain

if TYPE_CHECKING:
    from rich.console import Console

Rows = Sequence[Sequence[str]]
WIDE = 150  # columns from which a sentence stands beside its numbers
_LEAST = 44  # columns a sentence wants beside its numbers
_INDENT = "    "
_GAP = "  "
_PERCENT = "\u00a0%"  # a number and its sign stay on one line


def show_numbers(console: Console, rows: Rows, title: str = "") -> None:
    """Print a table of numbers; the first row is the header, the first column the labels."""
    rows = harmless(rows)
    for number, part in enumerate(parts(rows, console.width)):
        _print(console, grid(part, numbers=True, title=title if not number else ""))


def show_words(console: Console, rows: Rows, title: str, spare: Sequence[str] = ()) -> None:
    """Print a table whose last column is a sentence; ``spare`` columns are left out first, in this order."""
    rows = harmless(rows)
    if console.width >= WIDE:
        for kept in _without(rows, spare):
            if sum(_widths(kept)[:-1]) + 2 * len(kept[0]) + _LEAST <= console.width:
                console.print(f"\n{title}", style="bold", markup=False)
                _print(console, grid(kept, numbers=False))
                return
    console.print(f"\n{title}", style="bold", markup=False)
    for line in stacked(rows, console.width, spare):
        console.print(Text(line), soft_wrap=True)


def _print(console: Console, table: Any) -> None:
    """Print a table, no line ending in blanks."""
    for segments in console.render_lines(table, pad=False):
        line = Text.assemble(*((each.text, each.style or "") for each in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)


def show_text(console: Console, text: str, style: str = "", indent: str = _GAP) -> None:
    """Print a sentence in lines of the terminal's width; a word that is longer, a path, stays whole."""
    shown = hanging(plain(text), console.width, indent)
    console.print(Text(shown), style=style, soft_wrap=True)


def harmless(rows: Rows) -> Rows:
    """The table with nothing in it that steers a terminal."""
    return [[plain(cell) for cell in row] for row in rows]


def hanging(text: str, width: int, indent: str = _GAP) -> str:
    """A note in lines of this width, the later ones indented."""
    return "\n".join(_wrapped(text, width, "", indent))


def _wrapped(text: str, width: int, first: str, later: str) -> list[str]:
    """Lines of this width; a long word stays whole, and a number with its per cent sign."""
    lines = textwrap.wrap(
        text.replace(" %", _PERCENT), width, initial_indent=first, subsequent_indent=later,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace(_PERCENT, " %") for line in lines]


def parts(rows: Rows, width: int) -> list[Rows]:
    """A table of numbers cut into tables that fit, each with the labels.

    >>> [part[0] for part in parts([["", "first", "second"], ["a", "1", "2"]], 16)]
    [['', 'first'], ['', 'second']]
    """
    widths = _widths(rows)
    found, own, used = [], [0], widths[0] + 4
    for place in range(1, len(widths)):
        need = widths[place] + len(_GAP) + 1
        if used + need > width and len(own) > 1:
            found.append(own)
            own, used = [0], widths[0] + 4
        own.append(place)
        used += need
    return [[[row[place] for place in own] for row in rows] for own in [*found, own]]


def stacked(rows: Rows, width: int, spare: Sequence[str] = ()) -> Iterator[str]:
    """The lines of a table of words: numbers, then the sentence indented; spare columns go first."""
    fitting = (kept for kept in _without(rows, spare) if _line_width(kept) <= width)
    kept = next(fitting, list(_without(rows, spare))[-1])
    widths = _widths(kept)[:-1]
    for number, row in enumerate(kept):
        cells = [_padded(cell, size) for cell, size in zip(row, widths, strict=False)]
        yield from _folded(cells, width)
        if number:
            indent = _INDENT if width > 40 else _GAP
            yield from _wrapped(row[-1], width, indent, indent)
        else:
            yield "─" * min(width, _line_width(kept))


def grid(rows: Rows, *, numbers: bool, title: str = "") -> Any:
    """Rows of text as a table for the terminal; the first row is the header."""
    table = Table(
        box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold"
    )
    for place, name in enumerate(rows[0]):
        wraps = not numbers and place == len(rows[0]) - 1
        table.add_column(
            name,
            justify="right" if numbers and place else "left",
            no_wrap=not wraps,
            overflow="fold",
            min_width=None if wraps else max(cell_len(row[place]) for row in rows),
            ratio=1 if wraps else None,
        )
    for row in rows[1:]:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _without(rows: Rows, spare: Sequence[str]) -> Iterator[list[list[str]]]:
    """The table whole, then with one more spare column left out each time."""
    gone: set[str] = set()
    for name in ("", *spare):
        if name and name not in rows[0]:
            continue
        gone |= {name}
        places = [i for i, head in enumerate(rows[0]) if head not in gone or not head]
        yield [[row[i] for i in places] for row in rows]


def _widths(rows: Rows) -> list[int]:
    """The columns' widths in terminal cells."""
    return [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]


def _line_width(rows: Rows) -> int:
    """How wide the numbers of a row are beside each other, the sentence left out."""
    widths = _widths(rows)[:-1]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def _folded(cells: Sequence[str], width: int) -> Iterator[str]:
    """Cells beside each other, continued on the next line where they do not fit; no cell is cut."""
    line = ""
    for cell in cells:
        joined = f"{line}{_GAP}{cell}" if line else cell
        if line and cell_len(joined.rstrip()) > width:
            yield line.rstrip()
            joined = f"{_GAP}{cell}"
        line = joined
    yield line.rstrip()
