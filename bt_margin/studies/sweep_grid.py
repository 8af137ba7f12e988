"""Which cells a sweep has: every combination of a grid, random draws, or both."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from bt_margin.errors import InputError, message
from bt_margin.studies.cells import Cell

#: More cells than anybody means.
MOST = 10_000_000

#: Draws so many values with a generator of random numbers.
Draw = Callable[[np.random.Generator, int], Any]


@dataclass(frozen=True, slots=True)
class Uniform:
    """Numbers between ``low`` and ``high``, each stretch as likely as another of its length.

    ``log``: of its ratio instead, so that 1 … 2 is as likely as 50 … 100. ``whole``: whole numbers only,
    both ends included.

    >>> Uniform(1, 50, whole=True)(np.random.default_rng(0), 3).tolist()
    [43, 32, 26]
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            wanted = "low below high" + (", both above 0" if self.log else "")
            raise InputError(message("distribution", f"{self.low} … {self.high}", wanted))

    def __call__(self, rng: np.random.Generator, count: int) -> Any:
        """So many of them."""
        if self.log:
            upper = self.high + 1 if self.whole else self.high
            values = np.exp(rng.uniform(np.log(self.low), np.log(upper), count))
            return np.minimum(values.astype(np.int64), int(self.high)) if self.whole else values
        if self.whole:
            return rng.integers(int(self.low), int(self.high) + 1, count)
        return rng.uniform(self.low, self.high, count)


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells of a sweep, and the settings that differ: name -> its values, in order (empty: drawn)."""

    cells: tuple[Cell, ...]
    axes: Mapping[str, tuple[Any, ...]]


def plan(
    grid: Mapping[str, Iterable[Any]] | None,
    draws: int | None = None,
    distributions: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Plan:
    """Every combination of ``grid``, the last setting changing fastest, for each of ``draws``.

    ``distributions`` name → what its values are drawn from: :class:`Uniform`, a sequence (each value as
    likely), an object with ``rvs`` (scipy's), or a function of a generator and a number of values. The draws
    of a setting depend on its name and ``seed`` alone: more draws begin with the same ones.

    >>> [dict(cell.settings) for cell in plan({"margin_mode": ["cross", "isolated"], "leverage": [5]}).cells]
    [{'margin_mode': 'cross', 'leverage': 5}, {'margin_mode': 'isolated', 'leverage': 5}]
    >>> len(plan({"margin_mode": ["cross", "isolated"]}, 3, {"leverage": Uniform(1, 50)}).cells)
    6

    :raises InputError: nothing to vary, a setting without values or twice, no number of draws.
    """
    values = {name: _values(name, own) for name, own in (grid or {}).items()}
    drawn = _drawn(draws, distributions, seed)
    both = sorted(set(values) & set(distributions or {}))
    if both:
        raise InputError(f"{', '.join(both)} given in the grid and drawn; leave one out")
    if not values and not distributions:
        raise InputError(
            'nothing to vary; give grid={"leverage": [1, 2, 5]} or draws= and distributions='
        )
    count = len(drawn)
    for own in values.values():
        count *= len(own)
    if count > MOST:
        raise InputError(message("too many cells", f"{count:,}", f"at most {MOST:,}"))
    points = [dict(zip(values, each, strict=True)) for each in product(*values.values())]
    settings = [own | point for own in drawn for point in points]
    axes = {**values, **dict.fromkeys(distributions or {}, ())}
    return Plan(tuple(Cell(number, own) for number, own in enumerate(settings)), axes)


def _values(name: str, given: Any) -> tuple[Any, ...]:
    """The values of one setting of a grid."""
    if isinstance(given, (str, Mapping)) or not isinstance(given, (Iterable, np.ndarray)):
        raise InputError(f"grid[{name!r}] is {given!r}; give a list of values, like [{given!r}]")
    found = tuple(_plain(value) for value in given)
    if not found:
        raise InputError(f"grid[{name!r}] has no values; leave it out or give some")
    if len({repr(value) for value in found}) < len(found):
        raise InputError(f"grid[{name!r}] has a value twice; give each once")
    return found


def _plain(value: Any) -> Any:
    """A value of Python where numpy gave one of its own."""
    return value.item() if isinstance(value, np.generic) else value


def _drawn(
    draws: int | None, distributions: Mapping[str, Any] | None, seed: int
) -> list[dict[str, Any]]:
    """The settings of each draw; one empty draw where there is none."""
    if draws is None and not distributions:
        return [{}]
    if draws is None or not distributions:
        raise InputError("draws= and distributions= go together; give both")
    if not isinstance(draws, int) or isinstance(draws, bool) or not 1 <= draws <= MOST:
        raise InputError(message("draws", repr(draws), "a whole number from 1 on"))
    columns = {name: _draw(name, own, draws, seed) for name, own in distributions.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _draw(name: str, source: Any, draws: int, seed: int) -> list[Any]:
    """So many values of one setting."""
    rng = np.random.default_rng([int(seed), zlib.crc32(name.encode())])
    if hasattr(source, "rvs"):
        found = source.rvs(size=draws, random_state=rng)
    elif callable(source):
        found = source(rng, draws)
    elif isinstance(source, Sequence) and not isinstance(source, str) and source:
        found = [source[place] for place in rng.integers(0, len(source), draws)]
    else:
        allowed = (
            "Uniform(low, high), a list, an object with rvs, or a function of (generator, count)"
        )
        raise InputError(message(f"distribution of {name!r}", repr(source), allowed))
    values = [_plain(value) for value in found]
    if len(values) != draws:
        raise InputError(message(f"distribution of {name!r}", f"{len(values)} values", str(draws)))
    return values
