"""Liquidation on a pool venue: the whole position, by what remains of its collateral.

Closing fees are charged on the size at entry. A closing states its fee as a rate on the notional at its own
price, so the policies here convert: rate · S / notional at the closing price, slippage included.
"""

from __future__ import annotations

from dataclasses import dataclass

from bt_margin.core.pool_perps import LOST, liquidation_state, margin_fees, slipped
from bt_margin.errors import InvariantError
from bt_margin.venues.policies import Breach, Closing, Exposed, Residual, Settle

#: Relative noise of floats: equity that is as good as a bound has crossed it.
NOISE = 1e-9


def sale_on_entry(breach: Breach, p: Exposed, rate: float) -> Closing:
    """A sale of the whole position that pays ``rate`` on its size at entry.

    >>> from bt_margin.core.contract import Contract
    >>> from bt_margin.core.fees import Fees
    >>> from bt_margin.core.tiers import TierTable
    >>> fees = Fees(maker=0.0, taker=0.0, liquidation=0.0)
    >>> long = Exposed("X", Contract("X"), 1.0, 50.0, 50.0, TierTable.fixed(1.0), entry=100.0, fees=fees)
    >>> sale_on_entry(Breach(5.0, 6.0, (long,), {"X": 0.0}, {}), long, 0.01).fee  # 1 of 50
    0.02
    """
    value = p.contract.notional(p.size, p.entry)
    return Closing(
        p.key, 1.0, "sale", fee=rate * value / p.contract.notional(p.size, _price(breach, p))
    )


def _price(breach: Breach, p: Exposed) -> float:
    """The closing price: the mark, worse by the slippage that ``Breach.cost`` contains.

    cost = (1 ∓ slippage) · liquidation fee rate + slippage, upper sign for a long.
    """
    rate, side = _fees(p)[1], 1 if p.size > 0 else -1
    slippage = (breach.cost.get(p.key, rate) - rate) / (1 - side * rate)
    return slipped(p.mark, p.size, slippage)


def _fees(p: Exposed) -> tuple[float, float]:
    """Rates of an ordinary closing and of a liquidation."""
    if p.fees is None:
        raise InvariantError(f"the liquidation of {p.key} was asked for without its fee rates")
    return p.fees.taker, p.fees.liquidation


@dataclass(frozen=True, slots=True)
class SaleWithFees:
    """Sold whole, paying the position fee and the liquidation fee on the size at entry.

    The rest is the trader's. What the collateral does not cover is the pool's loss.
    """

    settle: Settle = "sale"
    residual: Residual = "trader"

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """Every position of the pool, whole."""
        return tuple(sale_on_entry(breach, p, sum(_fees(p))) for p in breach.positions)


@dataclass(frozen=True, slots=True)
class LostOrSold:
    """By what remains: below fees and liquidation fee all of it is lost, else an ordinary closing.

    liquidation_fee : fixed in money   [settle]

    Equity here is after borrow fees, so remaining collateral less borrow fee. Exactly at a bound, where the
    crossing of a bar stops, the position has crossed it.
    """

    liquidation_fee: float
    settle: Settle = "takeover"
    residual: Residual = "trader"

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """Every position of the pool, whole: taken over when lost, else sold for the position fee."""
        return tuple(self._closing(breach, p) for p in breach.positions)

    def _closing(self, breach: Breach, p: Exposed) -> Closing:
        fee, _ = _fees(p)
        value = p.contract.notional(p.size, p.entry)
        remaining = breach.equity - NOISE * abs(breach.equity)
        limits = p.limits or p.table
        state = liquidation_state(
            remaining, 0, value, margin_fees(value, fee), self.liquidation_fee,
            limits.max_leverage(value),
        )  # fmt: skip
        if state == LOST:
            return Closing(p.key, 1.0, "takeover")
        return sale_on_entry(breach, p, fee)
