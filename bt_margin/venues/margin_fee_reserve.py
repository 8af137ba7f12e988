"""Margin rules that keep the fee of closing in reserve, the maintenance rate on the entry or the mark value.

Both add to the maintenance margin of the venue's table the fee of closing at the bankruptcy price:

    requirement = value · mmr − deduction + reserve
    initial     = value / leverage + V · (1 − k/leverage) · taker

(V the value at entry, k as in :mod:`bt_margin.core.closing_fee`). ``value`` is what the two rules differ in.

The reserve. In cross, and for an isolated position that holds just its initial margin, it is the same
amount that the initial margin contains. An isolated position with more (or less) in it has another
bankruptcy price, and the fee is that of closing there: straight in the balance.

Hedge mode, cross. The part of a position that the symbol's other side covers carries no maintenance
rate; the reserves of both sides stay. The tier is that of the uncovered part.
"""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.core.closing_fee import closing_fee, closing_fee_of_balance
from bt_margin.core.tiers import Tier, TierTable
from bt_margin.venues.margin import Held


@dataclass(frozen=True, slots=True)
class EntryValueWithReserve:
    """Maintenance and initial margin at the entry value: a requirement that the mark does not move.

    An isolated linear position with margin added by hand keeps the reserve of its initial margin (the
    published price moves by exactly extra / size); an inverse one that of its own bankruptcy price.

    >>> from bt_margin.core.contract import Contract
    >>> held = Held(Contract("X"), 1.0, 20_000.0, 50.0, TierTable.flat(0.005), 0.0, True, 400.0)
    >>> EntryValueWithReserve().requirement(held).maintenance(19_000.0)
    100.0
    """

    plain: bool = False
    reads_balance: bool = True

    def requirement(self, held: Held) -> TierTable:
        """An amount: the table's maintenance of the uncovered entry value, and the reserve."""
        inverse = held.contract.kind == "inverse"
        reserve = own_reserve(held) if inverse else standard_reserve(held)
        value = self.value(held, held.entry) * uncovered(held)
        return TierTable.fixed(held.limits.maintenance(value) + reserve)

    def value(self, held: Held, price: float) -> float:
        """The position's value, which stays what it was at entry   [settle]."""
        return held.value(held.entry)

    def initial(self, held: Held, price: float) -> float:
        """Entry value over leverage, and the reserve; the price has no part in it."""
        return self.value(held, price) / held.leverage + standard_reserve(held)

    def cap(self, held: Held, price: float) -> float:
        """The cap of the highest tier that allows the leverage."""
        return held.limits.cap(held.leverage)


@dataclass(frozen=True, slots=True)
class MarkValueWithReserve:
    """Maintenance margin at the mark value; initial margin at the mark in cross, at the entry isolated.

    >>> from bt_margin.core.contract import Contract
    >>> held = Held(Contract("X"), 1.0, 20_000.0, 50.0, TierTable.flat(0.005), 0.0, True, 400.0)
    >>> MarkValueWithReserve().requirement(held).maintenance(19_000.0)
    95.0
    """

    plain: bool = False
    reads_balance: bool = True

    def requirement(self, held: Held) -> TierTable:
        """The table of the uncovered part, raised by the reserve."""
        return thinned(held.limits, uncovered(held)).raised(own_reserve(held), 0)

    def value(self, held: Held, price: float) -> float:
        """The position's value at the mark   [settle]."""
        return held.value(price)

    def initial(self, held: Held, price: float) -> float:
        """Value over leverage and the reserve; isolated: at entry, whatever the price."""
        value = self.value(held, held.entry if held.isolated else price)
        return value / held.leverage + standard_reserve(held)

    def cap(self, held: Held, price: float) -> float:
        """The cap of the highest tier that allows the leverage."""
        return held.limits.cap(held.leverage)


def standard_reserve(held: Held) -> float:
    """Fee of closing at the bankruptcy price of the initial margin alone   [settle]."""
    return closing_fee(held.contract, held.size, held.entry, held.leverage, held.taker)


def own_reserve(held: Held) -> float:
    """Fee of closing at the position's bankruptcy price: isolated by what it holds   [settle]."""
    if not held.isolated:
        return standard_reserve(held)
    return closing_fee_of_balance(held.contract, held.size, held.entry, held.balance, held.taker)


def uncovered(held: Held) -> float:
    """Share of a cross position that the symbol's other side does not cover, 0 to 1.

    >>> from bt_margin.core.contract import Contract
    >>> long = Held(Contract("X"), 4.0, 100.0, 10.0, TierTable.flat(0.01), 0.0, False)
    >>> uncovered(long), uncovered(long._replace(opposite=-1.0)), uncovered(long._replace(opposite=-5.0))
    (1, 0.75, 0)
    """
    if held.isolated or held.size * held.opposite >= 0:
        return 1
    return max(0, 1 - abs(held.opposite) / abs(held.size))


def thinned(table: TierTable, share: float) -> TierTable:
    """The requirement of a share of a position, by the notional of the whole.

    Rates count for the share alone and every edge lies where the share reaches it.

    >>> half = thinned(TierTable.of([(100, 0.01, 0), (None, 0.02, None)]), 0.5)
    >>> half.maintenance(100), half.maintenance(400), half.edges
    (0.5, 3.0, (200.0,))
    """
    if share == 1:
        return table
    if share == 0:
        return TierTable.flat(0)
    rows = (
        Tier(t.floor / share, t.cap / share, t.mmr * share, t.deduction, t.max_leverage)
        for t in table.tiers
    )
    return TierTable(tuple(rows), table.stepped)
