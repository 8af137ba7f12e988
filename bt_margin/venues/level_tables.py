"""Reading dated tables of levels: rows (end of the level, imr, mmr), and the largest positions.

A file holds the distinct ladders once and, per snapshot, which ladder each symbol had and how large a
position in it may be. A snapshot is in force from its ``since`` date until the next one that lists the
symbol.
"""

from __future__ import annotations

from collections.abc import Mapping

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.venues.margin_by_level import level_table
from bt_margin.venues.names import moment
from bt_margin.venues.tables import document

__all__ = ["contracts", "is_marginal", "largest_positions", "schedules"]


def is_marginal(levels: object) -> bool:
    """Whether each part of a position pays the rate of its level: the option of that name, checked.

    >>> is_marginal("marginal"), is_marginal("whole")
    (True, False)

    :raises InputError: another word.
    """
    if levels not in ("marginal", "whole"):
        raise InputError(f"levels {levels!r} is not known; allowed: 'marginal', 'whole'")
    return levels == "marginal"


def schedules(
    name: str, as_of: int | None = None, *, marginal: bool = True
) -> dict[str, TierSchedule]:
    """The dated levels of every symbol of a file, pinned to one moment when ``as_of`` is given.

    marginal : each part pays the rate of its level, else the whole that of the level it is in

    >>> table = schedules("kraken_inverse.json")["BTC/USD:BTC"].at(moment("2024-01-01") or 0)
    >>> table.at(1_000_000).mmr, table.at(1_000_001).mmr, table.maintenance(1_000_000)
    (0.02, 0.03, 15000.0)
    """
    ladders = [level_table(rows, marginal=marginal) for rows in document(name)["ladders"]]
    found: dict[str, list[tuple[int, TierTable, str]]] = {}
    for snapshot in document(name)["snapshots"]:
        source = f"{snapshot['dated']}: {snapshot['source']}"
        for symbol, number in snapshot["symbols"].items():
            row = (moment(snapshot["since"]) or 0, ladders[number], source)
            found.setdefault(symbol, []).append(row)
    whole = {
        symbol: TierSchedule(
            tuple((since, table) for since, table, _ in rows),
            tuple(source for _, _, source in rows),
        )
        for symbol, rows in found.items()
    }
    return whole if as_of is None else {s: one.pinned(as_of) for s, one in whole.items()}


def largest_positions(name: str) -> tuple[tuple[int, Mapping[str, float]], ...]:
    """From when on which symbols may be held up to how many contracts.

    >>> dated = largest_positions("kraken_inverse.json")
    >>> [most["BTC/USD:BTC"] for _, most in dated]
    [6000000, 75000000]
    """
    known: dict[str, float] = {}
    dated: list[tuple[int, Mapping[str, float]]] = []
    for snapshot in document(name)["snapshots"]:
        if snapshot["most"]:
            known = known | snapshot["most"]
            dated.append((moment(snapshot["since"]) or 0, known))
    return tuple(dated)


def contracts(name: str) -> dict[str, Contract]:
    """The contracts of a file by symbol.

    >>> coin = contracts("kraken_inverse.json")["BTC/USD:BTC"]
    >>> coin.kind, coin.multiplier, coin.tick, coin.lot
    ('inverse', 1, 0.5, 1)
    """
    rows = document(name)["contracts"]["symbols"]
    return {
        symbol: Contract.parse(symbol, multiplier=multiplier, tick=tick, lot=lot)
        for symbol, (multiplier, tick, lot) in rows.items()
    }
