"""Margin on the size at entry: requirements that stand still while the price moves.

A position counts by the money it was opened for, S = |size| · multiplier · entry, whatever it is worth now.
With f the rate of the venue's table at S and t the fee rate:

:class:`FactorPlusFee`    max(f · S, minimum) + t · S      the fee of closing is a cost beside the factor
:class:`FactorOrFee`      max(f · S, t · S + minimum)      the fee of closing is a test of its own

Borrow and funding fees are not in these requirements: they leave the pool's balance as they accrue, which is
the same test. Where it is not (the factor of :class:`FactorOrFee` is tested before fees that are not yet
paid), :class:`UnpaidBorrow` gives back the difference.

The initial margin is never less than what keeps the position healthy once it is open, profits not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bt_margin.core.pool_perps import (
    margin_fees,
    position_fee,
    required_collateral,
    required_remaining,
)
from bt_margin.core.tiers import TierTable
from bt_margin.venues.carry import Carry, PoolView
from bt_margin.venues.margin import Held

INF = float("inf")


def entry_size(held: Held, price: float) -> float:
    """The money a position was opened for, unsigned   [settle]; a position not yet open counts at ``price``.

    >>> from bt_margin.core.contract import Contract
    >>> entry_size(Held(Contract("X"), -2.0, 100.0, 10.0, TierTable.flat(0.01), 0.0006, True), 130.0)
    200.0
    """
    return held.value(held.entry or price)


def size_cap(held: Held, price: float, most: float) -> float:
    """A cap on sizes at entry as a cap on the notional at ``price``: the profit so far is no size."""
    return most + held.value(price) - entry_size(held, price)


@dataclass(frozen=True, slots=True)
class FactorPlusFee:
    """max(f · S, minimum) + t · S; meeting it exactly is safe (the venue's ``strict``).

    minimum : what must remain whatever the size   [settle]
    crowding : symbol -> factor per unit of open interest of the side; a position whose side has more open
        interest needs initial margin S · max(f, open interest after · crowding)
    open_interest : symbol -> open interest of the position's side without its own   [settle], 0 if not named

    >>> from bt_margin.core.contract import Contract
    >>> table = TierTable.of([(95_000_000, 0.005, 0, 200)])
    >>> held = Held(Contract("X"), 2.0, 50_000.0, 20.0, table, 0.0006, True)
    >>> round(FactorPlusFee(1.0).requirement(held).maintenance(120_000.0), 9)
    560.0
    >>> FactorPlusFee(1.0).initial(held, 60_000.0)
    5000.0
    """

    minimum: float
    crowding: Mapping[str, float] = field(default_factory=dict, hash=False)
    open_interest: Mapping[str, float] = field(default_factory=dict, hash=False)
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The amount that equity must not fall below, at every notional the same."""
        return TierTable.fixed(self._needed(held, entry_size(held, held.entry)))

    def initial(self, held: Held, price: float) -> float:
        """S / leverage, or what the checks at opening ask for when that is more."""
        size = entry_size(held, price)
        symbol = held.contract.symbol
        side = self.open_interest.get(symbol, 0.0) + size
        crowded = size * side * self.crowding.get(symbol, 0.0)
        return max(size / held.leverage, crowded, self._needed(held, size))

    def cap(self, held: Held, price: float) -> float:
        """The most open interest of the side, less what others hold, as a notional at ``price``."""
        others = self.open_interest.get(held.contract.symbol, 0.0)
        return size_cap(held, price, max(0.0, held.limits.cap(held.leverage) - others))

    def _needed(self, held: Held, size: float) -> float:
        factor = held.limits.at(size).mmr
        return required_collateral(size, factor, self.minimum) + position_fee(size, held.taker)


@dataclass(frozen=True, slots=True)
class FactorOrFee:
    """max(f · S, t · S + minimum); meeting it exactly is safe (the venue's ``strict``).

    minimum : the liquidation fee, fixed in money   [settle]

    >>> from bt_margin.core.contract import Contract
    >>> held = Held(Contract("X"), 2.0, 50_000.0, 20.0, TierTable.flat(0.02, 50), 0.001, True)
    >>> FactorOrFee(5.0).requirement(held).maintenance(120_000.0)
    2000.0
    >>> FactorOrFee(5.0).requirement(held._replace(size=0.002)).maintenance(100.0)
    5.1
    """

    minimum: float
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The amount that equity must not fall below, at every notional the same."""
        return TierTable.fixed(self._needed(held, entry_size(held, held.entry)))

    def initial(self, held: Held, price: float) -> float:
        """S / leverage, or what the checks at opening ask for when that is more."""
        size = entry_size(held, price)
        return max(size / held.leverage, self._needed(held, size))

    def cap(self, held: Held, price: float) -> float:
        """The cap of the table, as a notional at ``price``."""
        return size_cap(held, price, held.limits.cap(held.leverage))

    def _needed(self, held: Held, size: float) -> float:
        fees, factor = margin_fees(size, held.taker), held.limits.at(size).mmr
        return required_remaining(size, fees, self.minimum, 1 / factor if factor else INF)


@dataclass(frozen=True, slots=True)
class UnpaidBorrow:
    """What :class:`FactorOrFee` asks too much of a pool whose borrow fees have left the balance already.

    The venue collects the borrow fee u when the position is next changed. Until then its factor test is
    collateral + pnl ≥ f · S, and its fee test collateral + pnl ≥ t · S + u + minimum. Equity here is
    collateral + pnl − u, so the requirement is max(f · S − u, t · S + minimum): this is that, less the rule's
    own (never above 0).

    carry : what charges the borrow fee; max_leverage : 1 / f; fee : t; minimum : as in the rule

    Unpaid counts from the last fill of the position.
    """

    carry: Carry
    max_leverage: float
    fee: float
    minimum: float

    def of(self, pool: PoolView, time: int) -> float:
        """The difference, 0 or below   [settle]."""
        relief = 0.0
        for p in pool.positions:
            alone = pool._replace(positions=(p,))
            unpaid = sum(charge.amount for charge in self.carry.due(alone, p.changed, time))
            size = p.contract.notional(p.size, p.entry)
            fees = margin_fees(size, self.fee)
            before = required_remaining(size, fees + unpaid, self.minimum, self.max_leverage)
            rule = required_remaining(size, fees, self.minimum, self.max_leverage)
            relief += before - unpaid - rule
        return relief
