"""What a script keeps outside its strategies, put back before each run, so that every run finds it alike.

Scripts collect trades in a list at module level, count in a class attribute, remember in a global. Run twice,
they would go on where the first run ended.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

PutBack = Callable[[], None]
_PLAIN = (bool, int, float, complex, str, bytes, tuple, frozenset, type(None))


def keep(modules: Iterable[ModuleType]) -> PutBack:
    """Remember the values of these modules and of the classes they define; the result puts them back.

    Names are bound again to what they were, and lists, dicts, sets and deques (nested ones too, and the
    attributes of plain objects of the modules' own classes) get their contents back; files and streams that
    are open go back to where they were, what was written since is cut off. Anything else, such as an array
    that is written into, stays as it is.

    >>> book = ModuleType("book")
    >>> book.trades, book.count = [[1]], 0
    >>> put_back = keep([book])
    >>> book.trades[0].append(2); book.trades.append(3); book.count = 7
    >>> put_back(); book.trades, book.count
    ([[1]], 0)
    """
    keeper = _Keeper({module.__name__ for module in modules})
    for module in modules:
        names = {n: value for n, value in vars(module).items() if not n.startswith("__")}
        keeper.names.append((vars(module), names))
        for value in names.values():
            keeper.look(value)
    return keeper.put_back


class _Keeper:
    """The values seen so far, and how each is put back."""

    def __init__(self, own: set[str]) -> None:
        self.own = own  # modules whose classes are looked into
        self.names: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.undo: list[PutBack] = []
        self.seen: dict[int, Any] = {}

    def put_back(self) -> None:
        """Everything as it was when it was looked at."""
        for space, names in self.names:
            space.update(names)
        for undo in self.undo:
            undo()

    def look(self, value: Any) -> None:
        """Remember a value, and what it holds."""
        if isinstance(value, _PLAIN) or id(value) in self.seen:
            return
        self.seen[id(value)] = value
        inside: list[Any] = []
        if isinstance(value, (list, deque)):
            inside = list(value)
            self.undo.append(lambda: _refill(value, value.extend, inside))
        elif isinstance(value, dict):
            pairs = dict(value)
            inside = list(pairs.values())
            self.undo.append(lambda: _refill(value, value.update, pairs))
        elif isinstance(value, set):
            members = set(value)
            self.undo.append(lambda: _refill(value, value.update, members))
        elif isinstance(value, io.IOBase):
            self._stream(value)
        elif isinstance(value, type) and value.__module__ in self.own:
            inside = self._attributes(value)
        elif type(type(value)) is type and type(value).__module__ in self.own:
            own = getattr(value, "__dict__", {})
            self.names.append((own, dict(own)))
            inside = list(own.values())
        for each in inside:
            self.look(each)

    def _stream(self, stream: Any) -> None:
        """An open file: where it stands."""
        if stream.closed or not stream.seekable():
            return
        place = stream.tell()

        def undo() -> None:
            if not stream.closed and stream.tell() != place:
                stream.seek(place)
                if stream.writable():
                    stream.truncate()

        self.undo.append(undo)

    def _attributes(self, kind: type) -> list[Any]:
        """The data attributes of a class of the script."""
        plain = {n: v for n, v in vars(kind).items() if not n.startswith("_") and _data(v)}

        def undo() -> None:
            for name, value in plain.items():
                if vars(kind).get(name) is not value:
                    setattr(kind, name, value)

        self.undo.append(undo)
        return list(plain.values())


def _data(value: Any) -> bool:
    """Whether a class attribute is a value of the script, not a method and nothing of a framework."""
    return isinstance(value, (*_PLAIN, list, dict, set, deque))


def _refill(container: Any, fill: Callable[[Any], Any], content: Any) -> None:
    container.clear()
    fill(content)
