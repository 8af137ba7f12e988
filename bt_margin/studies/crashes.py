"""Seven crashes of crypto perpetuals as figures: how deep, how fast, how far back, and who fell how much.

A :class:`Crash` holds one :class:`Fall` per coin, in shares of the price at its beginning, so that it can be
laid over any history at any point (:class:`bt_margin.studies.shocks.CrashAt`). The figures of the falls were
measured on hourly bars of the last price and the mark and on settled funding of the venue named in the
crash's facts; what the press reported of the day stands beside them, each figure with its source and date.
No market data is kept here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import median_low
from typing import Any

import pandas as pd

from bt_margin.errors import InputError, near
from bt_margin.studies.crash_figures import FIGURES, MEASURED_ON, REPORTED
from bt_margin.venues.spec import Fact

#: Columns of the table of the library -> what they mean. Shares are of the price at the beginning.
COLUMNS = {
    "crash": "name of the crash",
    "coin": "coin",
    "depth": "lowest last price over the price at the beginning, less 1",
    "hours": "hours from the beginning to the hour of the low",
    "worst_hour": "deepest fall of the last price below the open of an hour",
    "mark_depth": "lowest mark over the mark at the beginning, less 1",
    "basis": "how far the mark stayed above the last price at the low, as a share of the beginning",
    "recovered": "share of the fall that was made good 24 hours after the hour of the low",
    "funding": "lowest funding rate of a settlement",
    "settlements": "how many settlements in a row had it",
}


@dataclass(frozen=True, slots=True)
class Plunge:
    """One hour of a crash: ``hour`` after its beginning, levels as shares of the price at the beginning.

    ``opened``, ``low``, ``closed`` of the last price; ``mark_low`` of the mark, of its own beginning.
    """

    hour: int
    opened: float
    low: float
    closed: float
    mark_low: float


@dataclass(frozen=True, slots=True)
class Fall:
    """What one coin did: its worst hours in order of time, and the level a day after the hour of the low.

    ``funding`` the lowest rate (negative: shorts pay), first settled ``funding_hour`` hours after the
    beginning and ``settlements`` times in a row.

    >>> crash("2020-03-12").fall("BTC").depth
    -0.5438
    """

    coin: str
    plunges: tuple[Plunge, ...]
    level_after: float
    funding: float
    funding_hour: int
    settlements: int

    @property
    def depth(self) -> float:
        """Lowest last price over the beginning, less 1."""
        return round(min(plunge.low for plunge in self.plunges) - 1.0, 4)

    @property
    def hours(self) -> int:
        """Hours from the beginning to the hour of the low."""
        return min(self.plunges, key=lambda plunge: plunge.low).hour

    @property
    def worst_hour(self) -> float:
        """Deepest fall below the open of an hour."""
        return round(min(plunge.low / plunge.opened for plunge in self.plunges) - 1.0, 4)

    @property
    def mark_depth(self) -> float:
        """Lowest mark over the beginning, less 1."""
        return round(min(plunge.mark_low for plunge in self.plunges) - 1.0, 4)

    @property
    def basis(self) -> float:
        """How far the mark stayed above the last price in the hour where that was most."""
        return round(max(plunge.mark_low - plunge.low for plunge in self.plunges), 4)

    @property
    def recovered(self) -> float:
        """Share of the fall that was made good 24 hours after the hour of the low."""
        return round((self.level_after - 1.0 - self.depth) / -self.depth, 4)


@dataclass(frozen=True, slots=True)
class Crash:
    """A crash by its date: where its figures begin (``start``, UTC), what each coin did, and who says so."""

    name: str
    title: str
    start: str
    falls: tuple[Fall, ...]
    facts: tuple[Fact, ...] = field(repr=False)

    def fall(self, coin: str) -> Fall:
        """What a coin did; one without figures fell like :attr:`typical`."""
        known = {fall.coin: fall for fall in self.falls}
        return known.get(coin) or self.typical

    @property
    def typical(self) -> Fall:
        """Stands for coins without figures: the one of middling depth (the deeper of two), bitcoin aside."""
        others = [fall for fall in self.falls if fall.coin != "BTC"] or list(self.falls)
        middle = median_low(fall.depth for fall in others)
        return next(fall for fall in others if fall.depth == middle)

    @property
    def hours(self) -> int:
        """Hours from the beginning until 24 hours after the last low: how long it takes on a history."""
        return max(fall.plunges[-1].hour for fall in self.falls) + 25

    def to_frame(self) -> pd.DataFrame:
        """One row per coin: :data:`COLUMNS`."""
        rows = [
            {"crash": self.name, **{c: getattr(fall, c) for c in list(COLUMNS)[1:]}}
            for fall in self.falls
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))


class Crashes(Mapping[str, Crash]):
    """The library by name, in order of time; shows itself as a table.

    >>> list(crashes())
    ['2020-03-12', '2021-05-19', '2022-05', '2022-06', '2022-11', '2024-08-05', '2025-10-10']
    """

    def __init__(self, found: Sequence[Crash]) -> None:
        self._found = {each.name: each for each in found}

    def __getitem__(self, name: str) -> Crash:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def to_frame(self) -> pd.DataFrame:
        """One row per crash and coin: :data:`COLUMNS`."""
        return pd.concat([each.to_frame() for each in self.values()], ignore_index=True)

    def facts(self) -> pd.DataFrame:
        """Every figure with its source: one row per fact.

        ``tag`` grades it as :class:`bt_margin.venues.spec.Fact` does: ``R`` measured on market payloads
        (``as_of`` is the hour, UTC), and ``W`` written in the press.
        """
        rows = [
            (each.name, fact.topic, fact.value, fact.source, fact.as_of, fact.tag)
            for each in self.values()
            for fact in each.facts
        ]
        columns = ["crash", "topic", "value", "source", "as_of", "tag"]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        return str(self.to_frame().to_string(index=False))

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))


@cache
def crashes() -> Crashes:
    """The library of crashes, in order of time."""
    return Crashes([_made(name) for name in FIGURES])


def crash(name: str) -> Crash:
    """A crash by its name, the beginning of it, or a word of its title.

    :raises InputError: none, or several.

    >>> crash("luna").name, crash("2025").name
    ('2022-05', '2025-10-10')
    """
    library, asked = crashes(), name.strip().lower()
    if asked in library:
        return library[asked]
    found = [
        each
        for each in library.values()
        if asked and (each.name.startswith(asked) or asked in each.title.lower())
    ]
    if len(found) == 1:
        return found[0]
    several = ", ".join(each.name for each in found)
    hint = f"it could be {several}" if found else near(name, list(library)) or "see btm.crashes()"
    raise InputError(f"no crash is called {name!r}; {hint}; known are {', '.join(library)}")


def _made(name: str) -> Crash:
    title, start, rows = FIGURES[name]
    falls = tuple(
        Fall(coin, tuple(Plunge(*each) for each in plunges), after, rate, hour, times)
        for coin, plunges, after, (rate, hour, times) in rows
    )
    measured = tuple(fact for fall in falls for fact in _facts(fall, start))
    reported = tuple(Fact(*row) for row in REPORTED[name])
    return Crash(name, title, start, falls, reported + measured)


def _facts(fall: Fall, start: str) -> Iterator[Fact]:
    """Every figure of a fall, with where and when it was measured."""
    begun = pd.Timestamp(start, tz="UTC")

    def measured(topic: str, value: Any, hour: int) -> Fact:
        source = MEASURED_ON.format(coin=fall.coin)
        at = begun + pd.Timedelta(hours=hour)
        return Fact(f"{fall.coin}: {topic}", f"{value:+.4f}", source, f"{at:%Y-%m-%d %H:%M}", "R")

    for plunge in fall.plunges:
        yield measured("last price at the open of the hour", plunge.opened - 1.0, plunge.hour)
        yield measured("lowest last price of the hour", plunge.low - 1.0, plunge.hour)
        yield measured("last price at the close of the hour", plunge.closed - 1.0, plunge.hour)
        yield measured("lowest mark of the hour", plunge.mark_low - 1.0, plunge.hour)
    yield measured("last price a day after the low", fall.level_after - 1.0, fall.hours + 24)
    rate = f"funding settled, {fall.settlements} in a row"
    yield Fact(
        f"{fall.coin}: {rate}", f"{fall.funding:+.6f}", MEASURED_ON.format(coin=fall.coin),
        f"{begun + pd.Timedelta(hours=fall.funding_hour):%Y-%m-%d %H:%M}", "R",
    )  # fmt: skip
