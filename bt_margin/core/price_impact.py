"""Price impact on a pool: what a trade costs for making the pool's two sides less even.

The imbalance of a market is long less short open interest. A trade that enlarges it pays, one that lessens it
is paid (as a rule much less). Impacts are money, + for the trader.
"""

from __future__ import annotations

from bt_margin.core.pool_rates import exponentiated

__all__ = [
    "applied_factor",
    "capped_impact",
    "decrease_price",
    "increase_price",
    "price_impact",
]

INF = float("inf")


def applied_factor(imbalance: float, factor: float, exponent: float) -> float:
    """factor · imbalance^exponent   [money]; an imbalance below 1 counts as 0.

    GMX V2, contracts/pricing/PricingUtils.sol:applyImpactFactor.

    >>> applied_factor(1_000_000, 1e-08, 2), applied_factor(0.5, 1, 2)
    (10000.0, 0)
    """
    return exponentiated(imbalance, exponent) * factor


def price_impact(
    long: float,
    short: float,
    change: float,
    side: float,
    *,
    positive: float,
    negative: float,
    positive_exponent: float,
    negative_exponent: float,
) -> float:
    """Impact of changing the open interest of one side by ``change`` (+ opens, − closes)   [money].

    side : + the longs change, − the shorts
    positive, negative : impact factors for lessening and for enlarging the imbalance

    With d0, d1 the imbalance before and after, without and with its sign:

        the larger side stays the larger    f · d0^e − f · d1^e     (f, e: positive when d1 < d0)
        the other side becomes the larger   positive · d0^e₊ − negative · d1^e₋

    GMX V2, contracts/pricing/PositionPricingUtils.sol:getPriceImpactUsd.

    >>> factors = dict(positive=5e-09, negative=1e-08, positive_exponent=2, negative_exponent=2)
    >>> price_impact(0, 0, 200_000, 1, **factors), price_impact(400_000, 0, 10_000, -1, **factors)
    (-400.0, 39.5)
    """
    next_long, next_short = (long + change, short) if side > 0 else (long, short + change)
    before, after = abs(long - short), abs(next_long - next_short)
    if (long <= short) != (next_long <= next_short):
        return applied_factor(before, positive, positive_exponent) - applied_factor(
            after, negative, negative_exponent
        )
    factor, exponent = (
        (positive, positive_exponent) if after < before else (negative, negative_exponent)
    )
    return applied_factor(before, factor, exponent) - applied_factor(after, factor, exponent)


def capped_impact(
    impact: float, size: float, most_negative: float, most_positive: float, pool: float = INF
) -> float:
    """Impact within −|size| · most_negative and |size| · most_positive; a gain also within the ``pool``.

    >>> capped_impact(-900, 100_000, 0.005, 0.004), capped_impact(900, 100_000, 0.005, 0.004, pool=50)
    (-500.0, 50)
    """
    return max(-abs(size) * most_negative, min(impact, abs(size) * most_positive, pool))


def increase_price(size: float, impact: float, price: float) -> float:
    """Price at which signed ``size`` money is opened, size / ((size + impact) / price).

    A negative impact makes a long pay more and a short sell for less. GMX V2,
    contracts/position/PositionUtils.sol:getExecutionPriceForIncrease.

    >>> increase_price(5_000, -1_000, 2_000), increase_price(-5_000, -1_000, 1_800)
    (2500.0, 1500.0)
    """
    return size / ((size + impact) / price)


def decrease_price(size: float, tokens: float, closed: float, impact: float, price: float) -> float:
    """Price at which ``closed`` of a position is closed, price + impact · (size / tokens) / closed.

    size, tokens, closed : signed alike

    GMX V2, contracts/order/BaseOrderUtils.sol:getExecutionPriceForDecrease.

    >>> decrease_price(10_000, 5, 5_000, -1_000, 2_000)
    1600.0
    """
    return price + impact * (size / tokens) / closed
