"""Positions traded against a pool: a size in money fixed at the entry, and what must be left of collateral.

A position on a pool venue is two numbers: its *size*, the money it was opened for, and the *tokens* that
money stood for. Both are signed here (+ long, − short), so that

    average price = size / tokens        pnl(p) = tokens · p − size = size · (p − average) / average   [money]

Requirements are fractions of the size, not of the value at the mark: they stand still while the price moves.
With its collateral in a stablecoin such a position is a linear contract: ``tokens`` base units at the average
price. Adding keeps the profit made so far, and so averages the price over the tokens, as there.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "HEALTHY",
    "LOST",
    "OVER_LEVERED",
    "Decreased",
    "capped_pnl",
    "collateral_left",
    "counted_impact",
    "decreased",
    "fees_taken",
    "is_liquidatable",
    "liquidation_price_on_size",
    "liquidation_state",
    "margin_fees",
    "payout",
    "position_fee",
    "required_before_costs",
    "required_collateral",
    "required_remaining",
    "size_pnl",
    "slipped",
    "token_pnl",
    "token_units",
    "tokens_of",
    "worth_of",
]

#: States of a position whose remaining collateral is tested against fees and against the maximum leverage.
HEALTHY, LOST, OVER_LEVERED = 0, 1, 2


def size_pnl(size: float, average: float, price: float) -> float:
    """Profit of a size in money opened at an average price, size · (price − average) / average   [money].

    GMX V1, contracts/core/Vault.sol:getDelta (gmx-contracts fe55c4ba).

    >>> size_pnl(1_000, 50_000, 49_000), size_pnl(-1_000, 50_000, 49_000)
    (-20.0, 20.0)
    """
    return size * (price - average) / average


def token_pnl(size: float, tokens: float, price: float) -> float:
    """Profit of ``tokens`` that cost ``size``, tokens · price − size   [money]; both signed.

    GMX V2, contracts/position/PositionUtils.sol:getPositionPnlUsd (gmx-synthetics a5c0c883).

    >>> token_pnl(200_000, 40, 4_000), token_pnl(-200_000, -40, 4_000)
    (-40000, 40000)
    """
    return tokens * price - size


def position_fee(size: float, rate: float, discount: float = 0) -> float:
    """Fee of opening or closing ``size``, |size| · rate · (1 − discount)   [money].

    The size is the entry value of what is opened or closed, whatever it is worth at the price of the close.

    >>> position_fee(-200_000, 0.0005)
    100.0
    """
    return abs(size) * rate * (1 - discount)


def margin_fees(size: float, rate: float, borrow_fee: float = 0) -> float:
    """What closing ``size`` costs, |size| · rate + borrow fee not yet paid   [money].

    GMX V1, contracts/core/VaultUtils.sol:validateLiquidation.

    >>> margin_fees(1_000, 0.001, 0.5)
    1.5
    """
    return position_fee(size, rate) + borrow_fee


def liquidation_state(
    collateral: float,
    pnl: float,
    size: float,
    fees: float,
    liquidation_fee: float,
    max_leverage: float,
) -> int:
    """What becomes of a position whose remaining collateral is collateral + pnl, before fees.

    :data:`LOST` (1) when remaining < fees + liquidation fee: closed, and all collateral stays with the pool;
    :data:`OVER_LEVERED` (2) when remaining · max_leverage < |size|: closed in the ordinary way;
    :data:`HEALTHY` (0) else. Meeting a bound exactly is safe. On opening, adding and withdrawing a profit is
    not counted: give ``pnl`` as min(0, pnl) there. GMX V1, VaultUtils.sol:validateLiquidation.

    >>> [liquidation_state(99, pnl, 1_000, 1, 5, 50) for pnl in (-79, -79.1, -93, -93.1)]
    [0, 2, 2, 1]
    """
    remaining = collateral + pnl
    if remaining < fees + liquidation_fee:
        return LOST
    if remaining * max_leverage < abs(size):
        return OVER_LEVERED
    return HEALTHY


def required_remaining(
    size: float, fees: float, liquidation_fee: float, max_leverage: float
) -> float:
    """The least collateral + pnl that is :data:`HEALTHY`, max(fees + liquidation fee, |size| / max leverage).

    >>> required_remaining(1_000, 1, 5, 50), required_remaining(-90, 0.09, 5, 50)
    (20.0, 5.09)
    """
    return max(fees + liquidation_fee, abs(size) / max_leverage)


def fees_taken(collateral: float, pnl: float, fees: float) -> float:
    """Fees that a closing really brings, min(fees, collateral + pnl), never below 0   [money].

    >>> fees_taken(9.91, 18, 133.0), fees_taken(10, -12, 1)
    (27.91, 0)
    """
    return max(0, min(fees, collateral + pnl))


def collateral_left(collateral: float, pnl: float, impact: float, costs: float) -> float:
    """Remaining collateral of the liquidation test, collateral + pnl + min(0, impact) − costs   [money].

    ``costs``: fee of closing the whole size, and borrow and funding fees not yet paid; the liquidation fee is
    not among them. GMX V2, PositionUtils.sol:isPositionLiquidatable.

    >>> collateral_left(5_000, -4_290, -30, 180), collateral_left(5_000, 100, 40, 180)
    (500, 4920)
    """
    return collateral + pnl + min(0, impact) - costs


def counted_impact(impact: float, size: float, most: float) -> float:
    """Price impact that the liquidation test counts: a negative one, down to −|size| · most   [money].

    >>> counted_impact(-700, 100_000, 0.005), counted_impact(-700, 100_000, 0), counted_impact(5, 100, 1)
    (-500.0, 0, 0)
    """
    return max(min(0, impact), -abs(size) * most)


def required_collateral(size: float, factor: float, minimum: float) -> float:
    """What must remain after costs, max(factor · |size|, minimum)   [money].

    >>> required_collateral(-100_000, 0.005, 1), required_collateral(100, 0.005, 1)
    (500.0, 1)
    """
    return max(abs(size) * factor, minimum)


def is_liquidatable(remaining: float, size: float, factor: float, minimum: float) -> bool:
    """Whether what remains after costs is too little; factor · |size| exactly is enough, nothing never is.

    GMX V2, PositionUtils.sol:isPositionLiquidatable.

    >>> is_liquidatable(500, 100_000, 0.005, 1), is_liquidatable(499.99, 100_000, 0.005, 1)
    (False, True)
    >>> is_liquidatable(0, 100, 0, 0)
    True
    """
    return remaining <= 0 or remaining < required_collateral(size, factor, minimum)


def payout(collateral: float, pnl: float, fees: float) -> float:
    """What a closed position returns to its holder, max(0, collateral + pnl − fees)   [money].

    >>> payout(99, -79, 1), payout(99, -150, 1)
    (19, 0)
    """
    return max(0, collateral + pnl - fees)


def required_before_costs(required: float, costs: float, impact: float) -> float:
    """What collateral + pnl must be for ``required`` to remain, required + costs − min(0, impact)   [money].

    >>> required_before_costs(500, 180, -30), required_before_costs(500, 180, 30)
    (710, 680)
    """
    return required + costs - min(0, impact)


def liquidation_price_on_size(
    size: float, tokens: float, required: float, collateral: float, index_tokens: float = 0
) -> float | None:
    """The price at which collateral + pnl is ``required``, (size + required − collateral) / (tokens + c).

    required : what must remain, plus costs, less the (negative) impact that counts   [money]
    collateral : value of collateral that does not move with the index   [money]
    index_tokens : c, collateral that is the index token itself, in tokens

    None: no price above 0 does it, such as for a short whose collateral covers every token it owes.

    >>> liquidation_price_on_size(200_000, 40, 2_000, 50_000), liquidation_price_on_size(
    ...     -200_000, -40, 2_000, 50_000)
    (3800.0, 6200.0)
    >>> liquidation_price_on_size(200_000, 40, 2_000, 0, index_tokens=10)
    4040.0
    """
    per_price = tokens + index_tokens
    if per_price == 0 or (per_price > 0) != (tokens > 0):
        return None
    price = (size + required - collateral) / per_price
    return price if price > 0 else None


def slipped(price: float, side: float, rate: float) -> float:
    """The price, worse by ``rate`` for whoever closes that side: lower for a long, higher for a short.

    >>> slipped(100, 2, 0.01), slipped(100, -2, 0.01), slipped(100, 2, -0.01)
    (99.0, 101.0, 101.0)
    """
    return price * (1 - rate) if side > 0 else price * (1 + rate)


class Decreased(NamedTuple):
    """A position after part of it was closed: what is left of it, and what was paid out   [collateral]."""

    size: float
    tokens: float
    collateral: float
    paid: float


def decreased(
    size: float,
    tokens: float,
    collateral: float,
    closed: float,
    price: float,
    *,
    collateral_price: float = 1,
    fees: float = 0,
    withdrawn: float = 0,
) -> Decreased:
    """The position after closing ``closed`` money of its size (signed as the size) at ``price``.

    Size and tokens shrink by the same share. The share's profit less the fees is paid out when it is above
    zero and comes out of the collateral when it is below; then ``withdrawn`` collateral is paid out.
    GMX V2, contracts/position/DecreasePositionCollateralUtils.sol:processCollateral.

    >>> decreased(200_000, 40, 50_000, 20_000, 4_980)
    Decreased(size=180000, tokens=36.0, collateral=49920.0, paid=0)
    """
    share = closed / size
    net = (token_pnl(size, tokens, price) * share - fees) / collateral_price
    left = collateral + min(0, net) - withdrawn
    return Decreased(size - closed, tokens - tokens * share, left, max(0, net) + withdrawn)


def capped_pnl(pnl: float, pool_pnl: float, pool_value: float, most: float) -> float:
    """A profit, scaled down when all profits of its side exceed a share of the pool.

    pnl · min(pool_pnl, pool_value · most) / pool_pnl for profits, a loss as it is.
    GMX V2, contracts/market/MarketUtils.sol:getCappedPnl.

    >>> capped_pnl(100, 1_000, 1_000, 0.9), capped_pnl(100, 800, 1_000, 0.9), capped_pnl(-5, 1_000, 100, 0.9)
    (90.0, 100, -5)
    """
    limit = pool_value * most
    return pnl * limit / pool_pnl if pnl > 0 and pool_pnl > limit > 0 else pnl


def worth_of(tokens: float, price: float) -> float:
    """Money that tokens are worth   [money].

    >>> worth_of(10, 4_200)
    42000
    """
    return tokens * price


def tokens_of(amount: float, price: float) -> float:
    """Tokens that money buys at a price.

    >>> tokens_of(100, 5_000)
    0.02
    """
    return amount / price


def token_units(amount: float, price: float, decimals: int) -> int:
    """Money as whole smallest units of a token, rounded down.

    >>> token_units(27.91, 120_000, 8)
    23258
    """
    return int(amount * 10**decimals / price)
