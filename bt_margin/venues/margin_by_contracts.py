"""Margin by number of contracts: the tier of the whole position holds for all of it, at every price.

    requirement = N(mark) · (mmr of the tier of |size| + taker fee)
    initial     = N(entry) / leverage  isolated,    N(mark) / leverage  cross
    cap         = the value of the contracts allowed at the leverage

with N the notional. A tier is a range of contract counts, without a deduction: the requirement jumps when a
fill carries the position over an edge, and nowhere else. The fee of closing is part of the requirement.

Source: OKX help, "Introduction to the isolated mode" (2025-02-17) and "Single-currency margin mode: cross
margin trading" (2024); API position samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.core.tiers import Tier, TierTable
from bt_margin.venues.margin import Held

#: What a count may lie above a cap, relative to itself, and still be on it: the noise of cutting to that cap.
DUST = 1e-12


def tier_number(limits: TierTable, size: float) -> int:
    """Which tier a position of ``size`` contracts is in, 1 for the lowest; a cap belongs to the lower tier.

    A size that exceeds a cap by nothing but the noise of floats is on the cap. Above the last cap it is the
    last tier.

    >>> limits = TierTable.of([(10, 0.004, 0), (50, 0.005, 0)], stepped=True)
    >>> [tier_number(limits, size) for size in (10, -10.01, 50, 51)]
    [1, 2, 2, 2]
    """
    count = abs(size)
    for number, tier in enumerate(limits.tiers, start=1):
        if count - tier.cap <= DUST * count:
            return number
    return len(limits.tiers)


def tier_by_contracts(limits: TierTable, size: float) -> Tier:
    """The tier of a position of ``size`` contracts; see :func:`tier_number`."""
    return limits.tiers[tier_number(limits, size) - 1]


def margin_level(equity: float, requirement: float) -> float | None:
    """Equity over requirement, fees included; liquidation at 1 (100 %) or less. None when nothing is asked.

    >>> margin_level(300.0, 100.0)
    3.0
    """
    return equity / requirement if requirement else None


def equity_at_level(level: float, requirement: float) -> float:
    """The equity behind a margin level that is told, level · requirement   [settle].

    >>> equity_at_level(3.0, 100.0)
    300.0
    """
    return level * requirement


@dataclass(frozen=True, slots=True)
class ByContracts:
    """The margin rule over a table whose floors and caps count contracts.

    >>> from bt_margin.core.contract import Contract
    >>> limits = TierTable.of([(1_000, 0.004, 0, 100), (5_000, 0.005, 0, 66.66)], stepped=True)
    >>> held = Held(Contract("BTC", multiplier=0.01), 1_000, 50_000, 50, limits, 0.001, isolated=True)
    >>> ByContracts().requirement(held).maintenance(400_000), ByContracts().initial(held, 40_000)
    (2000.0, 10000.0)
    >>> ByContracts().initial(held._replace(isolated=False), 40_000), ByContracts().cap(held, 40_000)
    (8000.0, 2000000.0)
    """

    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """One rate for every notional: that of the tier of the contracts held, and the taker fee."""
        return TierTable.flat(tier_by_contracts(held.limits, held.size).mmr + held.taker)

    def tier(self, held: Held, price: float) -> Tier:
        """The tier of the position's number of contracts, whatever the price."""
        return tier_by_contracts(held.limits, held.size)

    def initial(self, held: Held, price: float) -> float:
        """Value over leverage: isolated at the entry price, cross at the price."""
        return held.value(held.entry if held.isolated else price) / held.leverage

    def cap(self, held: Held, price: float) -> float:
        """What the contracts allowed at the leverage are worth at the price   [settle]."""
        return held.contract.notional(held.limits.cap(held.leverage), price)
