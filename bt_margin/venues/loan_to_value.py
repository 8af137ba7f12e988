"""Margin by lending ratios: a long is collateral that counts with a share of its value, a short is debt.

A long of X is X supplied, bought with a borrowed stable; a short is X borrowed and sold, the stable kept as
collateral. With equity E = Σ supplied − Σ owed the rules of a lending protocol are margin rules:

    kept      long      (1 − threshold of X) · value         the tier table of the symbol
              short     nothing of its own                   the debt is already taken off the equity
              pool      (1 − threshold of the stable) · cash, while cash is above 0
    brought   long      (1 − loan to value of X) · value
              short     (1 / loan to value of the stable − 1) · value
              each never less than value / leverage

Kept is exact for every mix of positions: equity below it is a health factor below 1. Brought is exact for
longs alone and for shorts alone; of a mixed book in one pool it asks for more than the protocol does, which
adds the loan to value of all collateral and lets one position's collateral carry another's debt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bt_margin.core import lending
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.carry import PoolView
from bt_margin.venues.margin import Held

INF = float("inf")
_NOTHING = TierTable.flat(0)


@dataclass(frozen=True, slots=True)
class LoanToValue:
    """The requirement of a long is the venue's table, that of a short nothing; loan to value sets the rest.

    ltv : loan to value of each symbol's asset as collateral
    stable : loan to value of the stable that backs shorts
    not_lent : symbols whose asset cannot be borrowed, so not sold short

    >>> from bt_margin.core.contract import Contract
    >>> rule = LoanToValue({"X/USDC": 0.75}, stable=0.8)
    >>> table = TierTable.flat(0.2)  # a liquidation threshold of 0.8
    >>> long = Held(Contract("X/USDC"), 2.0, 100.0, 10.0, table, 0.0, False)
    >>> rule.requirement(long).maintenance(200.0), rule.initial(long, 100.0)
    (40.0, 50.0)
    >>> short = long._replace(size=-2.0, leverage=2.0)
    >>> rule.requirement(short).maintenance(200.0), rule.initial(short, 100.0)
    (0.0, 100.0)
    """

    ltv: Mapping[str, float] = field(hash=False)
    stable: float
    not_lent: frozenset[str] = frozenset()
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """1 − liquidation threshold of a long's value, as the table says; nothing for a short."""
        return held.limits if held.size > 0 else _NOTHING

    def initial(self, held: Held, price: float) -> float:
        """What the loan to value leaves for one's own money, and at least value / leverage."""
        value = held.value(price)
        if held.size > 0:
            own = lending.collateral_requirement(value, self._ltv(held.contract.symbol))
        else:
            own = lending.debt_requirement(value, self.stable)
        return max(own, value / held.leverage)

    def cap(self, held: Held, price: float) -> float:
        """No cap; but a short of what nobody lends may have no notional at all."""
        return 0.0 if held.size < 0 and held.contract.symbol in self.not_lent else INF

    def _ltv(self, symbol: str) -> float:
        if symbol not in self.ltv:
            raise InputError(
                f"no loan to value is known for {symbol}; tell the venue about its asset: "
                "reserves={asset: dict(ltv=..., liquidation_threshold=..., ...)}"
            )
        return self.ltv[symbol]


@dataclass(frozen=True, slots=True)
class StableSupplied:
    """What a pool must keep because the stable it supplied counts with its threshold only.

    thresholds : ``(since, liquidation threshold of the stable)``; before the first date the first

    >>> rule = StableSupplied(((0, 0.75),))
    >>> from bt_margin.core.contract import Contract
    >>> from bt_margin.venues.carry import Carried
    >>> short = Carried("X", Contract("X"), -2.0, 100.0, 90.0, 0, 2.0)
    >>> rule.of(PoolView(100.0, (short,), True), 0)  # 100 of one's own and 200 of the sale
    75.0
    """

    thresholds: tuple[tuple[int, float], ...]

    def of(self, pool: PoolView, time: int) -> float:
        """(1 − threshold) · cash, 0 where the stable is owed; a pool without positions owes nothing."""
        cash = pool.cash
        if cash <= 0 or not pool.positions:
            return 0
        threshold = self.thresholds[0][1]
        for since, value in self.thresholds:
            if since <= time:
                threshold = value
        return lending.collateral_requirement(cash, threshold)
