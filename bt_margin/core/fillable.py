"""Liquidation on an order book with a limit: how much of a position goes, at what price, and what it
costs.

Written for the dYdX chain (v4-chain 84d4664b, x/clob/keeper/liquidations.go, read 2026-03); the close
price of dYdX v3 is the same thought (v4-documentation 3e475b73, perpetual contracts v3).

    E   equity of the account                        V  its maintenance requirement
    ΔV  the requirement that the closing frees       P  oracle price

A closing owes the account's insurance fund the equity that stood behind it, E·ΔV/V. Closed for more
than the quote that leaves exactly that (the bankruptcy quote), the surplus is the fund's up to a
largest fee; closed for less, the fund pays.

Quotes are signed: received above 0 (a long is sold), paid below 0 (a short is bought back).
"""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core.contract import Contract
from bt_margin.core.flat import insurance_delta, share_of_equity

__all__ = [
    "Limits",
    "bankruptcy_quote",
    "close_price",
    "fillable_price",
    "insurance_delta",
    "is_liquidatable",
    "liquidatable",
    "liquidated_size",
    "most_fee",
    "quote_of",
    "share_of_equity",
]


class Limits(NamedTuple):
    """Smallest and largest notional of a position that one liquidation may take."""

    least: float
    most: float


def is_liquidatable(equity: float, maintenance: float) -> bool:
    """Whether an account is liquidated: it needs something, and has less. Equality is safe.

    >>> is_liquidatable(100, 100), is_liquidatable(99, 100), is_liquidatable(-100, 0)
    (False, True, False)
    """
    return maintenance > 0 and equity < maintenance


def liquidatable(notional: float, smallest: float, portion: float) -> Limits:
    """Limits of one liquidation: least = min(smallest, notional), most = max(least, portion · notional).

    >>> liquidatable(50_000, 1_000, 0.5), liquidatable(600, 1_000, 0.5)
    (Limits(least=1000, most=25000.0), Limits(least=600, most=600))
    """
    least = min(smallest, notional)
    return Limits(least, max(least, portion * notional))


def liquidated_size(contract: Contract, size: float, price: float, most: float) -> float:
    """The size one liquidation takes of a position, with the sign of the position.

    The whole position when its notional is no more than ``most``, or its size no more than one step;
    else the size worth ``most``, rounded down to whole steps (the contract's lot), at least one.

    >>> pair = Contract("X", lot=0.001)
    >>> liquidated_size(pair, 0.1, 50_000, 2_030), liquidated_size(pair, -0.1, 50_000, 5_000)
    (0.04, -0.1)
    """
    notional, step = contract.notional(size, price), contract.lot or 0
    if notional <= most or abs(size) <= step:
        return size
    part = min(max(contract.round_size(abs(size) * most / notional), step), abs(size))
    return part if size > 0 else -part


def quote_of(contract: Contract, size: float, price: float) -> float:
    """What closing a position of signed ``size`` at ``price`` brings; below 0 it costs.

    >>> quote_of(Contract("X"), 2, 100), quote_of(Contract("X"), -2, 100)
    (200.0, -200.0)
    """
    value = contract.notional(size, price)
    return value if size > 0 else -value


def bankruptcy_quote(value: float, share: float) -> float:
    """The quote that uses up exactly the share of equity: value of what is closed less that share.

    value : signed quote of the closing at the oracle price (:func:`quote_of`)

    >>> bankruptcy_quote(5_000, 499), bankruptcy_quote(-5_000, 499)
    (4501, -5499)
    """
    return value - share


def most_fee(quote: float, rate: float) -> float:
    """The largest fee of a liquidation, a rate on what was paid or received.

    >>> most_fee(-4_000, 0.025)
    100.0
    """
    return abs(quote) * rate


def fillable_price(
    size: float,
    price: float,
    equity: float,
    maintenance: float,
    rate: float,
    adjustment: float,
    spread: float,
) -> float:
    """The limit of a liquidation order.

    F = P − σ·P · clamp(adjustment · (1 − E/V), 0, 1) · spread · rate

    σ is the sign of ``size``, ``rate`` the maintenance rate of the market. At the trigger (E = V) the
    limit is the oracle price itself; it widens to spread · rate as the equity goes to 0.

    >>> fillable_price(0.5, 50_000, equity=0, maintenance=500, rate=0.125, adjustment=1, spread=0.5)
    46875.0
    """
    rating = max(0, min(1, adjustment * (1 - equity / maintenance)))
    away = price * rating * spread * rate
    return price - away if size > 0 else price + away


def close_price(size: float, price: float, equity: float, maintenance: float, rate: float) -> float:
    """The price at which a fund takes over a position, C = P · (1 − σ · rate · E/V).

    Closing at it takes the position's share of the equity and leaves E/V as it is, so closing every
    position leaves nothing. Below the oracle price for a long; above it for one of an account that is
    already worth less than nothing.

    >>> close_price(0.5, 50_000, equity=100, maintenance=200, rate=0.25)
    43750.0
    """
    away = price * rate * equity / maintenance
    return price - away if size > 0 else price + away
