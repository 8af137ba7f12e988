"""Two records of one script: whether they say the same, and where they begin to differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.recording import BAR, ORDER, TRADE

CLOSE = 1e-9
"""Numbers are the same when they differ by less than this part of the larger, or of the account's value."""


NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
PASSING = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>|\b0:00:\d\d\.\d{6}\b")
"""What differs from process to process: where an object lives, how long something took."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one run of a script left: its record, what it printed, how it ended."""

    runs: list[dict[str, Any]]
    error: str
    printed: str

    def count(self, what: str) -> int:
        """Number of ``"bars"``, ``"orders"`` (not their notices) or ``"trades"``, over all runs."""
        if what == "bars":
            return sum(len(run[what]) for run in self.runs)
        return sum(len({row[1] for row in run[what]}) for run in self.runs)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two records part in one respect, and what stands there in each."""

    what: str
    where: str
    stock: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.what} at {self.where}: {self.stock!r} became {self.ours!r}"


def same(one: Any, two: Any, scale: float = 1.0) -> bool:
    """Equal, numbers to :data:`CLOSE` of the larger or of ``scale`` (of all the money, say); a nan is a nan.

    >>> same([1.0, "a"], [1.0 + 1e-12, "a"]), same(1.0, 1.001), same(float("nan"), float("nan"))
    (True, False, True)
    """
    if isinstance(one, (int, float)) and isinstance(two, (int, float)):
        if one != one or two != two:
            return one != one and two != two
        return math.isclose(one, two, rel_tol=CLOSE, abs_tol=CLOSE * max(1.0, scale))
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def differences(stock: Told, ours: Told) -> list[Difference]:
    """The first difference of each kind, the gravest kinds first; empty when all is the same."""
    found: dict[str, Difference] = {}
    for one in _all(stock, ours):
        found.setdefault(one.what, one)
    return list(found.values())


def _all(stock: Told, ours: Told) -> Iterator[Difference]:
    if stock.error != ours.error:
        yield Difference("error", "the end", stock.error, ours.error)
    if len(stock.runs) != len(ours.runs):
        yield Difference("number of runs", "the end", len(stock.runs), len(ours.runs))
    pairs = list(zip(stock.runs, ours.runs, strict=False))
    for kind, fields in (("orders", ORDER), ("trades", TRADE), ("bars", BAR)):
        for number, (one, two) in enumerate(pairs):
            where = f"run {number + 1} " if len(pairs) > 1 else ""
            yield from _rows(kind, fields, one[kind], two[kind], where)
    if stock.printed != ours.printed:
        yield from _printed(stock.printed.splitlines(), ours.printed.splitlines())


def _rows(
    kind: str, fields: Sequence[str], stock: list[Any], ours: list[Any], where: str
) -> Iterator[Difference]:
    """Fields that differ, row by row; from the first row of another order or bar nothing is compared."""
    noun = kind[:-1]
    for one, two in zip(stock, ours, strict=False):
        place = f"{where}bar {one[0]}" + (f" {noun} {one[1]}" if kind != "bars" else "")
        scale = abs(one[1]) if kind == "bars" else 1.0
        cells = enumerate(zip(one, two, strict=True))
        wrong = [n for n, (a, b) in cells if not same(a, b, scale)]
        for n in wrong:
            name = fields[n] if kind == "bars" else f"{noun}'s {fields[n]}"
            yield Difference(name, place, one[n], two[n])
        if any(fields[n] in ("bar", "ref", "status") for n in wrong):
            return
    if len(stock) != len(ours):
        yield Difference(f"number of {noun} notices", f"{where}the end", len(stock), len(ours))


def _printed(stock: list[str], ours: list[str]) -> Iterator[Difference]:
    for number, (one, two) in enumerate(zip(stock, ours, strict=False), 1):
        if one != two and not same_line(one, two):
            yield Difference("output", f"line {number}", one.strip(), two.strip())
            return
    if len(stock) != len(ours):
        yield Difference("output", "the end", f"{len(stock)} lines", f"{len(ours)} lines")


def same_line(one: str, two: str) -> bool:
    """The same words, and numbers that are the same; objects and durations are taken for equal.

    >>> same_line("size 1 for 0.3", "size 1.0 for 0.30000000000000004"), same_line("1 a", "1 b")
    (True, False)
    """
    one, two = (PASSING.sub("", line) for line in (one, two))
    if NUMBER.sub("", one) != NUMBER.sub("", two):
        return False
    return all(map(same, map(float, NUMBER.findall(one)), map(float, NUMBER.findall(two))))
