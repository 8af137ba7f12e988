"""Reading a venue's dated tables: JSON files shipped with the package, parsed when first needed.

A file holds the distinct ladders once and, per snapshot, which ladder each symbol had. A snapshot
is in force from its ``since`` date until the next snapshot that lists the symbol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pkgutil import get_data
from typing import Any, TypeVar

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InvariantError
from bt_margin.venues.names import moment
from bt_margin.venues.spec import ALWAYS, SymbolFees

T = TypeVar("T")


@cache
def document(name: str) -> dict[str, Any]:
    """The parsed table file ``name``; read once per process, never to be changed."""
    content = get_data("bt_margin.venues", f"tables/{name}")
    if content is None:
        raise InvariantError(f"the table file {name} is missing from the package; install it again")
    found: dict[str, Any] = json.loads(content)
    return found


@cache
def _index(name: str) -> dict[str, list[tuple[int, int, str]]]:
    """Symbol -> (since, ladder, source) of each of its snapshots, oldest first."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for snapshot in document(name)["snapshots"]:
        since = moment(snapshot["since"]) or 0
        source = f"{snapshot['dated']}: {snapshot['source']}"
        for symbol, ladder in snapshot["symbols"].items():
            found.setdefault(symbol, []).append((since, ladder, source))
    return found


@cache
def _ladder(name: str, number: int) -> TierTable:
    """One ladder of a file; symbols with the same numbers share it."""
    return TierTable.of(document(name)["ladders"][number])


@cache
def _schedule(name: str, symbol: str, as_of: int | None) -> TierSchedule:
    rows = _index(name)[symbol]
    whole = TierSchedule(
        tables=tuple((since, _ladder(name, ladder)) for since, ladder, _ in rows),
        sources=tuple(source for _, _, source in rows),
    )
    return whole if as_of is None else whole.pinned(as_of)


class _BySymbol(Mapping[str, T]):
    """What one table file says of each symbol, built when it is asked for.

    ``_option`` is what the values depend on besides the file. Pickles as the file's name, not its contents.
    """

    def __init__(self, name: str, option: Any = None) -> None:
        self._name = name
        self._option = option

    def _value(self, symbol: str) -> T:
        raise KeyError(symbol)

    def __getitem__(self, symbol: str) -> T:
        if symbol not in _index(self._name):
            raise KeyError(symbol)
        return self._value(symbol)

    def __contains__(self, symbol: object) -> bool:
        return symbol in _index(self._name)

    def __iter__(self) -> Iterator[str]:
        return iter(_index(self._name))

    def __len__(self) -> int:
        return len(_index(self._name))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self._name, self._option))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {self._option!r})"


class TableSchedules(_BySymbol[TierSchedule]):
    """The schedules of one table file by symbol; the option ``as_of`` pins them to one moment."""

    def _value(self, symbol: str) -> TierSchedule:
        return _schedule(self._name, symbol, self._option)


@cache
def _contract(name: str, symbol: str, min_notional: float | None) -> Contract:
    row = document(name)["contracts"]["symbols"].get(symbol)
    if row is None:
        return Contract.parse(symbol, min_notional=min_notional)
    multiplier, tick, lot, smallest, _ = row
    return Contract.parse(symbol, multiplier=multiplier, tick=tick, lot=lot, min_notional=smallest)


class TableContracts(_BySymbol[Contract]):
    """The contracts of one table file by symbol; the option is the smallest notional of the others.

    A symbol without a row of its own has multiplier 1, no tick, no lot and that smallest notional.
    """

    def _value(self, symbol: str) -> Contract:
        return _contract(self._name, symbol, self._option)


def liquidation_fees(name: str) -> dict[str, SymbolFees]:
    """The liquidation fee of every symbol that has one of its own in the file."""
    rows = document(name)["contracts"]["symbols"]
    return {symbol: SymbolFees(liquidation=row[4]) for symbol, row in rows.items() if row[4]}


def pinned(dated: tuple[tuple[int, T], ...], as_of: int | None) -> tuple[tuple[int, T], ...]:
    """Dated values reduced to the one in force at ``as_of``, then valid at every time.

    Nothing is in force before the first date: the answer is then empty.

    >>> pinned(((10, "a"), (20, "b")), 15) == ((ALWAYS, "a"),)
    True
    >>> pinned(((10, "a"),), 5)
    ()
    """
    if as_of is None:
        return dated
    now = [value for since, value in dated if since <= as_of]
    return ((ALWAYS, now[-1]),) if now else ()
