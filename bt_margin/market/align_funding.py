"""Settlements of a perpetual: which are missing, and what a policy puts in their place.

A settlement is missing where the stamps themselves say so. The regular interval is taken from the
neighbours (equal distances side by side), never from a name: venues change it between 8, 4, 2 and
1 hours. A distance of more than one and a half times the regular intervals on both sides of it is a
hole, and so is one that is longer than both and than any venue's interval. What is missing at the
very change of an interval can look like the change itself and is not found. Before the first and
after the last settlement the interval next to it is carried on, but only over stretches the store has
no answer about (outside of `covered`): where the venue answered and had nothing, nothing was settled.

    fail          missing settlements are `MissingData`
    hold          the previous rate, repeated at each missing stamp; none before the first
    constant=R    the rate R at each missing stamp, and on the venue's clock without any funding
    skip          nothing is charged; the count is kept
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import DataError, message
from bt_margin.market.align_bars import Times, index_of, name_of
from bt_margin.market.frames import FUNDING, to_utc
from bt_margin.market.kinds import Span

MINUTE = 60_000
LONGEST = 8 * 3_600_000
"""No venue settles less often; a longer distance is regular only if most distances are that long."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do about missing settlements: a name and, for `constant`, its rate."""

    name: str
    rate: float = 0.0

    def __str__(self) -> str:
        return f"{self.name}={self.rate!r}" if self.name == "constant" else self.name


@dataclass(frozen=True, slots=True)
class Settled:
    """Settlements within the data.

    times, rates : all, in order; [UTC epoch ms, whole minutes], fraction of notional
    true : how many the venue published; the rest are filled in
    missing : stamps [ms] that should be there and are not, filled or not
    intervals : distance name to how often it occurs between published stamps
    jitter : furthest the published stamps lie from their minute [ms]
    unanswered : how many of the missing ones the store has no answer about; 0 when that is not known
    """

    times: Times
    rates: npt.NDArray[np.float64]
    true: int
    missing: Times
    intervals: dict[str, int]
    jitter: int
    unanswered: int

    @property
    def filled(self) -> int:
        """How many settlements a policy put in."""
        return len(self.times) - self.true


def read_rates(funding: pd.Series | pd.DataFrame, where: str) -> tuple[Times, pd.Series]:
    """The raw stamps [ms], and the rates by the whole minute nearest to each.

    Venues stamp a settlement some milliseconds early or late. The same settlement given twice
    counts once; two rates for one minute, NaN and naive times are a `DataError`.

    >>> index = pd.to_datetime([28_800_007, 57_599_998], unit="ms", utc=True)
    >>> read_rates(pd.Series([1e-4, 2e-4], index), "BTC")[1].index.tolist()
    [28800000, 57600000]
    """
    place = f"funding of {where}"
    if isinstance(funding, pd.DataFrame):
        named = [name for name in (FUNDING, "rate") if name in funding.columns]
        if not named:
            found = ", ".join(map(str, funding.columns))
            raise DataError(message("no column of rates", found, f"{FUNDING} or rate", place))
        funding = funding[named[0]]
    raw = to_utc(funding.index, place).asi8 // 1_000_000
    values = funding.to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        at = f"{place}, {pd.Timestamp(int(raw[np.argmax(bad)]), unit='ms', tz='UTC')}"
        raise DataError(message("bad funding rate", values[np.argmax(bad)], "a finite number", at))
    rates = pd.Series(values, _minute(raw), name=FUNDING).sort_index(kind="stable")
    same = rates.index.duplicated()
    clash = same & (rates.to_numpy() != rates.shift().to_numpy())
    if clash.any():
        at = (
            f"{place}, {pd.Timestamp(int(rates.index[int(np.argmax(clash))]), unit='ms', tz='UTC')}"
        )
        raise DataError(message("two funding rates for one minute", allowed="one", where=at))
    return raw, rates[~same]


def marks_of_settlements(funding: pd.Series | pd.DataFrame | None, span: Span) -> pd.Series:
    """The mark each settlement inside a span was made at, by its minute; empty where nobody tells.

    >>> when = pd.DatetimeIndex(["2024-01-01T08:00:00.007Z"])
    >>> told = pd.DataFrame({"funding_rate": [0.0001], "mark": [42_000.0]}, when)
    >>> marks_of_settlements(told, (0, 2**62)).to_dict()
    {Timestamp('2024-01-01 08:00:00+0000', tz='UTC'): 42000.0}
    """
    none = pd.Series([], index_of(np.array([], dtype=np.int64)), dtype=float, name="mark")
    if not isinstance(funding, pd.DataFrame) or "mark" not in funding.columns or funding.empty:
        return none
    known = funding["mark"].dropna()
    known = known[known > 0.0]
    raw = to_utc(known.index, "settlements").asi8 // 1_000_000
    times = (raw + MINUTE // 2) // MINUTE * MINUTE
    inside = (times >= span[0]) & (times < span[1])
    found = pd.Series(known.to_numpy(dtype=float)[inside], index_of(times[inside]), name="mark")
    return found[~found.index.duplicated()]


def settle(
    funding: pd.Series | pd.DataFrame | None,
    span: Span,
    policy: Policy,
    *,
    covered: Sequence[Span] | None,
    interval: int,
    where: str,
) -> Settled:
    """Settlements inside the span [ms], those missing filled as the policy says (not yet refused).

    covered : stretches the venue has answered about; None when that is not known
    interval : the venue's usual distance [ms], used where the stamps cannot tell
    """
    start, stop = span
    if funding is None or not len(funding):
        missing = np.arange(-(-start // interval) * interval, stop, interval, dtype=np.int64)
        none = np.empty(0, dtype=np.int64)
        return _filled(none, np.empty(0), missing, policy, ({}, 0, _unanswered(missing, covered)))
    raw, rates = read_rates(funding, where)
    stamps = np.asarray(rates.index, dtype=np.int64)
    missing = np.concatenate(
        (_holes(stamps, interval, covered), _edges(stamps, span, interval, covered))
    )
    missing = np.sort(missing[(missing >= start) & (missing < stop)])
    distances, counts = np.unique(
        np.diff(stamps[(stamps >= start) & (stamps < stop)]), return_counts=True
    )
    found = {name_of(int(d)): int(n) for d, n in zip(distances, counts, strict=True)}
    raw = raw[(raw >= start - MINUTE) & (raw < stop)]
    jitter = int(np.abs(raw - _minute(raw)).max(initial=0))
    facts = (found, jitter, _unanswered(missing, covered))
    known = stamps < stop  # those before the span are there for `hold`
    settled = _filled(stamps[known], rates.to_numpy()[known], missing, policy, facts)
    inside = settled.times >= start
    true = settled.true - int((stamps < start).sum())
    return Settled(settled.times[inside], settled.rates[inside], true, missing, *facts)


def nothing_due() -> Settled:
    """Of a market that has no funding."""
    none = np.empty(0, dtype=np.int64)
    return Settled(none, np.empty(0), 0, none, {}, 0, 0)


def _minute(times: Times) -> Times:
    """The whole minute nearest to each time."""
    return (times + MINUTE // 2) // MINUTE * MINUTE


def _unanswered(times: Times, covered: Sequence[Span] | None) -> int:
    """How many lie where the venue has not answered; 0 when that is not known."""
    return 0 if covered is None else int((~_inside(times, covered)).sum())


def _holes(stamps: Times, interval: int, covered: Sequence[Span] | None) -> Times:
    """Missing between settlements; at an end that was asked for, a change of interval may be it."""
    holes = holes_between(stamps, interval)
    if covered is None or len(stamps) < 3:
        return holes
    for one, two in ((stamps[0], stamps[1]), (stamps[-2], stamps[-1])):
        within = (holes > one) & (holes < two)
        if two - one <= LONGEST and _inside(holes[within], covered).all():
            holes = holes[~within]
    return holes


def holes_between(stamps: Times, interval: int) -> Times:
    """Stamps [ms] missing between the first and the last settlement.

    >>> hour = 3_600_000
    >>> [int(t) // hour for t in holes_between(np.array([0, 8, 16, 40, 48, 56]) * hour, 8 * hour)]
    [24, 32]
    >>> holes_between(np.array([0, 8, 16, 20, 24, 26, 28]) * hour, 8 * hour).tolist()
    []
    """
    apart = np.diff(stamps)
    before, after = regular(apart, interval)
    limit = np.minimum(1.5 * np.maximum(before, after), max(LONGEST, _usual(apart, interval)))
    found: list[int] = []
    for i in np.flatnonzero(apart > np.maximum(limit, np.maximum(before, after))):
        ends = (int(stamps[i]), int(stamps[i + 1]))
        found += between(*ends, int(before[i]), int(after[i]))
    return np.asarray(found, dtype=np.int64)


def between(start: int, stop: int, before: int, after: int) -> list[int]:
    """Stamps inside a hole: as few as the intervals on its two sides allow.

    The longer interval is kept up from its own side for as long as it fits, the shorter one fills
    the rest.

    >>> between(8, 20, 8, 4), between(8, 20, 4, 8), between(0, 24, 8, 8)
    ([16], [12], [8, 16])
    """
    if before < after:
        return sorted(start + stop - time for time in between(start, stop, after, before))
    turn = start + (stop - start) // before * before
    whole = [time for time in range(start + before, turn + 1, before) if time < stop]
    return whole + list(range(turn + after, stop - after // 2, after))


def regular(apart: Times, interval: int) -> tuple[Times, Times]:
    """For each distance of two settlements, the regular interval before it and after it [ms].

    A distance is regular that equals the one beside it, or the one behind that (a hole may lie
    between), and is no longer than the longest a venue has, unless most distances of the series
    are. At an end, the other side's interval serves both.
    """
    if not len(apart):
        return apart, apart
    usual = _usual(apart, interval)
    sound = (_like(apart, 1) | _like(apart, 2)) & (apart <= max(LONGEST, usual))
    places = np.arange(len(apart))
    back = np.maximum.accumulate(np.where(sound, places, -1))
    ahead = np.minimum.accumulate(np.where(sound, places, len(apart))[::-1])[::-1]
    one, two = np.concatenate(([-1], back[:-1])), np.concatenate((ahead[1:], [len(apart)]))
    before = np.where(one >= 0, apart[np.maximum(one, 0)], 0)
    after = np.where(two < len(apart), apart[np.minimum(two, len(apart) - 1)], 0)
    before, after = np.where(before > 0, before, after), np.where(after > 0, after, before)
    # A lone pair of equal distances is its own witness: nothing regular stands beside it.
    alone = np.where(sound, apart, usual)
    return np.where(before > 0, before, alone), np.where(after > 0, after, alone)


def _usual(apart: Times, interval: int) -> int:
    """The most common distance, unless it stands alone and is longer than the venue's interval."""
    if not len(apart):
        return interval
    lengths, counts = np.unique(apart, return_counts=True)
    usual = int(lengths[np.argmax(counts)])
    return interval if counts.max() == 1 and usual > interval else usual


def _like(apart: Times, places: int) -> npt.NDArray[np.bool_]:
    """Whether each distance equals the one so many places before or after it."""
    same = np.zeros(len(apart), dtype=bool)
    equal = apart[places:] == apart[:-places]
    same[places:] |= equal
    same[: len(equal)] |= equal
    return same


def _edges(stamps: Times, span: Span, interval: int, covered: Sequence[Span] | None) -> Times:
    """Stamps the first and the last interval lead to, beyond the settlements, where nobody answered."""
    start, stop = span
    before, after = regular(np.diff(stamps), interval)
    first = int(after[0]) if len(after) else interval
    last = int(before[-1]) if len(before) else interval
    head = np.arange(int(stamps[0]) - first, start - 1, -first, dtype=np.int64)
    tail = np.arange(int(stamps[-1]) + last, stop, last, dtype=np.int64)
    edges = np.concatenate((head, tail))
    return edges if covered is None else edges[~_inside(edges, covered)]


def _inside(times: Times, spans: Sequence[Span]) -> npt.NDArray[np.bool_]:
    inside = np.zeros(len(times), dtype=bool)
    for start, stop in spans:
        inside |= (times >= start) & (times < stop)
    return inside


def _filled(
    times: Times,
    rates: npt.NDArray[np.float64],
    missing: Times,
    policy: Policy,
    facts: tuple[dict[str, int], int, int],
) -> Settled:
    """The settlements with what the policy adds at the missing stamps."""
    added, values = missing[:0], rates[:0]
    if policy.name == "constant":
        added, values = missing, np.full(len(missing), policy.rate)
    elif policy.name == "hold" and len(times):
        place = np.searchsorted(times, missing) - 1
        added, values = missing[place >= 0], rates[place[place >= 0]]
    together = np.concatenate((times, added))
    order = np.argsort(together, kind="stable")
    both = np.concatenate((rates, values))
    return Settled(together[order], both[order], len(times), missing, *facts)
