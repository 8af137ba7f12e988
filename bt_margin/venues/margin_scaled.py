"""Initial margin that grows with the open interest of a market; maintenance that does not.

    initial      = notional · max(fraction in force, 1 / leverage)
    maintenance  = notional · base fraction · maintenance fraction

The fraction in force (:func:`bt_margin.core.open_interest.initial_ppm`) is a fact of the market, not of the
position, so it stands in the tier table of the symbol: a table a day, an hour, or whenever the open interest
is known anew. Without open interest it stays at its base.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bt_margin.core.open_interest import initial_ppm, maintenance_ppm
from bt_margin.core.quantums import MILLION, micro
from bt_margin.core.tiers import Tier, TierSchedule, TierTable
from bt_margin.errors import InputError, message
from bt_margin.venues import numbers
from bt_margin.venues.margin import Held
from bt_margin.venues.spec import ALWAYS

Known = tuple[tuple[int, float], ...]
"""Open interest as (since in UTC ms, notional) pairs, rising in time."""


@dataclass(frozen=True, slots=True)
class ScaledTable(TierTable):
    """A tier table that also tells the share of the notional every position must bring at least.

    >>> ScaledTable((Tier(0, float("inf"), 0.03, 0, 20),), initial_rate=0.6).initial_rate
    0.6
    """

    initial_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class ScaledInitial:
    """The table's requirement; initial margin at the larger of its rate and 1 / leverage.

    A table that names no rate (one of the user's own) leaves 1 / leverage.

    >>> from bt_margin.core.contract import Contract
    >>> table = ScaledTable((Tier(0, float("inf"), 0.03, 0, 20),), initial_rate=0.25)
    >>> held = Held(Contract("X"), -2.0, 100.0, 10.0, table, 0.0005, False)
    >>> ScaledInitial().initial(held, 100.0), ScaledInitial().requirement(held).maintenance(200)
    (50.0, 6.0)
    """

    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The table itself: open interest and leverage have no part in it."""
        return held.limits

    def initial(self, held: Held, price: float) -> float:
        """Notional times the larger of the fraction in force and 1 / leverage."""
        table = held.limits
        rate = table.initial_rate if isinstance(table, ScaledTable) else 0.0
        return held.value(price) * max(rate, 1 / held.leverage)

    def cap(self, held: Held, price: float) -> float:
        """No position is too large where the table allows the leverage."""
        return held.limits.cap(held.leverage)


class Market(NamedTuple):
    """A market's fractions from a time on; caps of the open interest in quote currency, 0 for none."""

    since: int
    initial: int
    fraction: int
    lower: float
    upper: float
    source: str

    def table(self, open_interest: float) -> ScaledTable:
        """The tier table at an open interest (a notional in the quote currency).

        >>> Market(0, 50_000, 600_000, 40e6, 100e6, "").table(70e6).initial_rate
        0.525
        """
        caps = micro(self.lower), micro(self.upper)
        rate = initial_ppm(self.initial, micro(open_interest), *caps)
        required = maintenance_ppm(self.initial, self.fraction) / MILLION
        tier = Tier(0, float("inf"), required, 0, MILLION / self.initial)
        return ScaledTable((tier,), initial_rate=rate / MILLION)


def scaled_schedule(markets: Sequence[Market], known: Known = ()) -> TierSchedule:
    """The tables of a market over its dated fractions and its known open interest.

    Until the first known open interest nothing is scaled. A time that changes nothing makes no table.

    >>> base = Market(0, 200_000, 500_000, 10e6, 20e6, "genesis")
    >>> tables = scaled_schedule([base], ((5, 15e6), (6, 15e6), (7, 30e6))).tables
    >>> [(since, table.initial_rate) for since, table in tables]
    [(0, 0.2), (5, 0.6), (7, 1.0)]
    """
    dates = [market.since for market in markets]
    times = [since for since, _ in known]
    tables: list[tuple[int, ScaledTable]] = []
    sources: list[str] = []
    for since in sorted({*dates, *(t for t in times if t > dates[0])}):
        market = markets[bisect_right(dates, since) - 1]
        place = bisect_right(times, since) - 1
        table = market.table(known[place][1] if place >= 0 else 0.0)
        if not tables or table != tables[-1][1]:
            tables.append((since, table))
            sources.append(market.source)
    return TierSchedule(tuple(tables), tuple(sources))


def open_interest(value: object, what: str) -> Known:
    """What a user tells of a market's open interest: one notional, or (UTC ms, notional) pairs.

    Pairs may come as a mapping. Raises InputError for what is no number, below 0, or not rising in time.

    >>> open_interest([(1_000, 5e6), (2_000, 6e6)], "open_interest")
    ((1000, 5000000.0), (2000, 6000000.0))
    >>> open_interest(5e6, "open_interest") == ((ALWAYS, 5e6),)
    True
    """
    if isinstance(value, int | float):
        return ((ALWAYS, numbers.number(value, what, 0.0)),)
    pairs = value.items() if isinstance(value, Mapping) else value
    todo = "give a notional in USDC, or pairs of (UTC milliseconds, notional)"
    if not isinstance(pairs, Iterable) or isinstance(pairs, str | bytes):
        raise InputError(message(what, repr(value), todo=todo))
    found: list[tuple[int, float]] = []
    for pair in pairs:
        if not isinstance(pair, Sequence) or len(pair) != 2 or isinstance(pair, str):
            raise InputError(message(what, repr(pair), todo=todo))
        since = int(numbers.number(pair[0], f"{what} time"))
        if found and since <= found[-1][0]:
            raise InputError(message(f"{what} is not in order of time", since, found[-1][0] + 1))
        found.append((since, numbers.number(pair[1], what, 0.0)))
    return tuple(found)
