"""Interest of a lending market on everything a pool supplies and owes.

A pool's long is an asset supplied, its short an asset owed, and the cash left is the stable supplied (above
0) or owed (below 0). Over a time what is owed grows by the borrow rate, compounded, and what is supplied by
the supply rate, linearly; both again and again from one booking to the next, as an index does.

All of it is booked in the stable, at the marks at the end of the time. A protocol instead grows the units of
the asset. At the booking that is worth the same. Afterwards the interest earned on a long does not move with
the price and counts in full instead of with the threshold, and the interest owed on a short is taken from
collateral that counts with its threshold: both liquidate slightly too late, by (1 − threshold) · interest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bt_margin.core import lending
from bt_margin.core.lending import InterestRates
from bt_margin.errors import InputError
from bt_margin.venues.carry import Carried, Charge, PoolView


@dataclass(frozen=True, slots=True)
class RateSeries:
    """Rates of one asset over time: ``(since, rates)`` in UTC ms, rising; the first also before its date.

    >>> series = RateSeries(((0, InterestRates(0.5, 0.25)),))
    >>> series.owed(0, 31_536_000_000) - 1, series.supplied(0, 31_536_000_000) - 1
    (0.6458333333333333, 0.25)
    """

    rates: tuple[tuple[int, InterestRates], ...]

    def pieces(self, since: int, until: int) -> list[tuple[InterestRates, float]]:
        """The rates in force in turn from ``since`` to ``until``, each with its length in seconds."""
        place = max(bisect_right(self.rates, since, key=lambda row: row[0]) - 1, 0)
        found: list[tuple[InterestRates, float]] = []
        while since < until:
            last = place + 1 >= len(self.rates)
            end = until if last else min(until, self.rates[place + 1][0])
            if end > since:
                found.append((self.rates[place][1], (end - since) / 1000))
                since = end
            place += 1
        return found

    def owed(self, since: int, until: int) -> float:
        """Growth of a debt from ``since`` to ``until``."""
        growth = 1.0
        for rates, seconds in self.pieces(since, until):
            growth *= lending.compounded_growth(rates.borrow, seconds)
        return growth

    def supplied(self, since: int, until: int) -> float:
        """Growth of what is supplied from ``since`` to ``until``."""
        growth = 1.0
        for rates, seconds in self.pieces(since, until):
            growth *= lending.linear_growth(rates.supply, seconds)
        return growth


@dataclass(frozen=True, slots=True)
class LendingCarry:
    """Interest on the stable and on the asset of each symbol.

    stable : rates of the stable
    assets : rates of each symbol's asset
    """

    stable: RateSeries
    assets: Mapping[str, RateSeries] = field(hash=False)

    def due(self, pool: PoolView, since: int, until: int) -> Sequence[Charge]:
        """Interest from ``since`` to ``until``: on the stable first, then on each position."""
        if until <= since or not pool.positions:
            return ()
        cash = pool.cash
        if cash < 0:
            charges = [Charge(None, -cash * (self.stable.owed(since, until) - 1), "stable owed")]
        else:
            earned = cash * (self.stable.supplied(since, until) - 1)
            charges = [Charge(None, -earned, "stable supplied")]
        return [*charges, *[self._of(p, since, until) for p in pool.positions]]

    def on_opening(self, position: Carried) -> float:
        """Borrowing is free; swaps are the trading fee."""
        return 0.0

    def _of(self, p: Carried, since: int, until: int) -> Charge:
        series = self.assets.get(p.contract.symbol)
        if series is None:
            raise InputError(
                f"no interest rates are known for {p.contract.symbol}; tell the venue about its asset: "
                "rates={asset: (borrow, supply)}"
            )
        value = p.contract.notional(p.size, p.mark)
        if p.size > 0:
            return Charge(p.symbol, -value * (series.supplied(since, until) - 1), "asset supplied")
        return Charge(p.symbol, value * (series.owed(since, until) - 1), "asset owed")
