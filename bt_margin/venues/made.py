"""A mapping whose values are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Made(Mapping[str, T], Generic[T]):
    """``make(name, *options)`` of each of some names, made once, when first asked for.

    It pickles as the function, the names and the options, not as what was made of them.

    >>> squares = Made(_repeated, ("a", "b"), 2)
    >>> squares["b"], len(squares), "c" in squares
    ('bb', 2, False)
    """

    def __init__(self, make: Callable[..., T], names: tuple[str, ...], *options: Any) -> None:
        self._make = make
        self._names = names
        self._options = options
        self._found: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        found = self._found.get(name)
        if found is None:
            if name not in self._names:
                raise KeyError(name)
            found = self._found[name] = self._make(name, *self._options)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Made):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash((self._make, self._names))

    def __getstate__(self) -> tuple[Any, ...]:
        return (self._make, self._names, self._options)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(state[0], state[1], *state[2])  # type: ignore[misc]  # a new, empty mapping

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._make.__name__}, {len(self)} names)"


def _repeated(text: str, times: int) -> str:
    """For the example."""
    return text * times
