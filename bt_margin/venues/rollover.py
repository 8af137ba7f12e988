"""Fees of borrowed spot: one at the opening, then one for each period held, at the rate of the opening.

    opening fee   = cost · rate
    rollover fee  = cost · rate      every period, the first when the first period is over

cost = coins · entry price. The rate is that of the borrowed currency (a long borrows the quote, a short the
base) on the day of the opening; later changes do not touch an open position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bt_margin.venues.carry import Carried, Charge, PoolView

__all__ = ["RolloverFees", "completed", "margin_fees", "opening_cost", "started"]

HOUR = 3_600_000


def completed(held: float, period: float) -> float:
    """Whole periods that have passed.

    >>> completed(3.9, 4), completed(4, 4), completed(5, 4)
    (0.0, 1, 1)
    """
    return held // period


def started(held: float, period: float) -> float:
    """Periods begun: a moment counts as one.

    >>> started(0, 4), started(4, 4), started(5, 4)
    (0, 1, 2)
    """
    return -(-held // period)


def margin_fees(
    cost: float,
    rate: float,
    held: float,
    period: float = 4 * HOUR,
    *,
    periods: Callable[[float, float], float] = completed,
) -> float:
    """Opening and rollover fees of a position held for so long   [settle].

    F = cost · rate · (1 + periods(held, period))

    held, period : in the same unit, milliseconds unless ``period`` is given
    periods : which rollovers count. :func:`completed`, as Kraken charges them (the first after four hours);
        :func:`started` is the convention of freqtrade's interest, one rollover more unless a period has just
        ended

    >>> round(margin_fees(60, 0.00025, 5 * HOUR), 9)
    0.03
    >>> round(margin_fees(60, 0.00025, 5 * HOUR, periods=started), 9)
    0.045
    """
    return cost * rate * (1 + periods(held, period))


def opening_cost(cost: float, trade_fee: float, rate: float) -> float:
    """What opening takes: the trading fee and the opening fee on the same cost   [settle].

    >>> round(opening_cost(28.498, 0.0026, 0.0002), 5)
    0.07979
    """
    return cost * (trade_fee + rate)


@dataclass(frozen=True, slots=True)
class RolloverFees:
    """The carry of borrowed spot.

    period : time between rollovers   [ms]
    rates : borrowed currency -> ((since, rate), ...); before the first date the first rate
    other : rate of every currency that is not listed

    >>> from bt_margin.core.contract import Contract
    >>> fees = RolloverFees(4 * HOUR, {"BTC": ((0, 0.0001),)}, 0.0002)
    >>> short = Carried("BTC/USD", Contract("BTC/USD"), -2.0, 50_000.0, 40_000.0, 0, 5.0)
    >>> fees.on_opening(short)
    10.0
    >>> [charge.amount for charge in fees.due(PoolView(0.0, (short,), False), 3 * HOUR, 9 * HOUR)]
    [20.0]
    """

    period: int
    rates: Mapping[str, Sequence[tuple[int, float]]] = field(hash=False)
    other: float

    def rate(self, position: Carried) -> float:
        """The rate locked when the position was opened."""
        base, _, quote = position.contract.symbol.partition("/")
        dated = self.rates.get(quote.partition(":")[0] if position.size > 0 else base)
        if not dated:
            return self.other
        rate = dated[0][1]
        for since, value in dated:
            if since <= position.opened:
                rate = value
        return rate

    def on_opening(self, position: Carried) -> float:
        """The opening fee."""
        return self._fee(position)

    def due(self, pool: PoolView, since: int, until: int) -> Sequence[Charge]:
        """The rollovers of each position in (since, until]."""
        charges = []
        for p in pool.positions:
            before = completed(max(since - p.opened, 0), self.period)
            count = completed(until - p.opened, self.period) - before
            if count > 0:
                charges.append(Charge(p.symbol, self._fee(p) * count, "rollover fee"))
        return charges

    def _fee(self, p: Carried) -> float:
        return p.contract.notional(p.size, p.entry) * self.rate(p)
