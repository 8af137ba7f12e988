"""Tier ladders by number of contracts, kept as progressions: the file says how a ladder begins and goes on.

Rates belong to families that many symbols share; a ladder is a family and its own caps. From the last row
that is written out, both go on in equal steps: caps by the ladder's, rates by half a per cent, until the
initial rate is a half or the stated number of tiers is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import floor
from typing import Any

from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.venues.names import moment
from bt_margin.venues.tables import document

#: From tier to tier, where the rates are no longer written out.
RATE_STEP = 0.005
#: The initial rate of the last tier.
LAST_RATE = 0.5


def most_leverage(rate: float) -> float:
    """The most leverage a tier allows, 1 / initial rate, cut to two decimals.

    >>> most_leverage(0.01), most_leverage(0.015), most_leverage(0.07)
    (100.0, 66.66, 14.28)
    """
    return floor(100 / rate + 1e-9) / 100


def stepped_ladder(
    rates: Sequence[Sequence[float]], caps: Sequence[float], step: float, tiers: int | None = None
) -> TierTable:
    """A table of contract counts whose rates hold for the whole position.

    rates : rows (maintenance rate, initial rate[, most leverage]); without the third it is
        :func:`most_leverage` of the initial rate
    caps : the first caps, in contracts; ``step`` is added from then on
    tiers : how many there are, None: as many as it takes for the initial rate to reach a half

    >>> table = stepped_ladder([(0.004, 0.01), (0.005, 0.015)], [1_000, 5_000], 20_000, tiers=4)
    >>> [(tier.cap, tier.mmr, tier.max_leverage) for tier in table.tiers]
    [(1000, 0.004, 100.0), (5000, 0.005, 66.66), (25000, 0.01, 50.0), (45000, 0.015, 40.0)]
    """
    rows: list[tuple[float, float, float, float]] = []
    while len(rows) != tiers:
        number = len(rows)
        more = max(0, number - len(rates) + 1)
        mmr, rate, *stated = rates[number] if not more else rates[-1][:2]
        mmr, rate = round(mmr + more * RATE_STEP, 6), round(rate + more * RATE_STEP, 6)
        if tiers is None and rate > LAST_RATE:
            break
        beyond = max(0, number - len(caps) + 1)
        cap = caps[min(number, len(caps) - 1)] + beyond * step
        rows.append((cap, mmr, 0.0, stated[0] if stated else most_leverage(rate)))
    return TierTable.of(rows, stepped=True)


@cache
def _ladder(name: str, number: int) -> TierTable:
    written: dict[str, Any] = document(name)["ladders"][number]
    rates = document(name)["rates"][written["rates"]]["tiers"]
    return stepped_ladder(rates, written["caps"], written["step"], written.get("tiers"))


def _counted(table: TierTable, unit: float) -> TierTable:
    return table if unit == 1.0 else in_units(table, unit)


def in_units(table: TierTable, unit: float) -> TierTable:
    """The table with its caps counted in units of which a contract has so many.

    >>> in_units(stepped_ladder([(0.004, 0.01)], [1_000], 0, tiers=1), 0.01).tiers[0].cap
    10.0
    """
    rows = [(round(t.cap * unit, 9), t.mmr, 0.0, t.max_leverage) for t in table.tiers]
    return TierTable.of(rows, stepped=True)


@cache
def _schedule(name: str, symbol: str, as_of: int | None, unit: float) -> TierSchedule:
    held = [each for each in document(name)["snapshots"] if symbol in each["symbols"]]
    whole = TierSchedule(
        tables=tuple(
            (moment(s["since"]) or 0, _counted(_ladder(name, s["symbols"][symbol]), unit))
            for s in held
        ),
        sources=tuple(f"{s['dated']}: {s['source']}" for s in held),
    )
    return whole if as_of is None else whole.pinned(as_of)


def symbols_of(name: str) -> tuple[str, ...]:
    """Every symbol with a ladder in the file, in its order.

    >>> "BTC/USDT:USDT" in symbols_of("okx.json")
    True
    """
    listed = [symbol for each in document(name)["snapshots"] for symbol in each["symbols"]]
    return tuple(dict.fromkeys(listed))


class LadderSchedules(Mapping[str, TierSchedule]):
    """The schedules of some symbols of a file, built when asked for; pickles as names, not contents.

    ``as_of`` (UTC ms) pins them to one moment; ``units`` symbol -> how many units a contract has, where
    tiers are to be counted in those.
    """

    def __init__(
        self,
        name: str,
        symbols: Sequence[str],
        as_of: int | None = None,
        units: Mapping[str, float] | None = None,
    ) -> None:
        self._units = tuple(sorted((units or {}).items()))
        self._name = name
        self._symbols = tuple(symbols)
        self._as_of = as_of

    def __getitem__(self, symbol: str) -> TierSchedule:
        if symbol not in self._symbols:
            raise KeyError(symbol)
        return _schedule(self._name, symbol, self._as_of, dict(self._units).get(symbol, 1.0))

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._symbols

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self._name, self._symbols, self._as_of, self._units))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {len(self)} symbols)"
