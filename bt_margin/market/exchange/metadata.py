"""The facts of one market that are worth keeping: nobody can look them up once it is delisted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DECIMAL_PLACES, _TICK_SIZE = 2, 4  # ccxt's precision modes


def tidy(market: Mapping[str, Any], exchange: Any, version: str) -> dict[str, Any]:
    """A market as plain values, ready for JSON; None where the venue does not say.

    symbol, id, base, quote, settle, type, linear, inverse, active : ccxt's own
    contract_size : base (linear) or quote (inverse) per contract; 1 on a spot market
    tick : smallest step of a price   [quote]
    lot : smallest step of an amount   [contracts, base on a spot market]
    min_amount, max_market_amount : of one order, the latter of a market order
    min_notional : of one order   [quote]
    taker, maker : fractions; ccxt's standard rates, not those of an account
    max_leverage : as the market list says
    created, expiry : epoch ms
    ccxt : the version these came from
    """
    limits = market.get("limits") or {}
    precision = market.get("precision") or {}
    plain = {
        name: market.get(name)
        for name in ("symbol", "id", "base", "quote", "settle", "type", "active", "expiry")
    }
    return plain | {
        "linear": bool(market.get("linear")),
        "inverse": bool(market.get("inverse")),
        "contract_size": _number(market.get("contractSize")) if market.get("contract") else 1.0,
        "tick": _step(precision.get("price"), exchange),
        "lot": _step(precision.get("amount"), exchange),
        "min_amount": _limit(limits, "amount", "min"),
        "max_market_amount": _limit(limits, "market", "max"),
        "min_notional": _limit(limits, "cost", "min"),
        "taker": _number(market.get("taker")),
        "maker": _number(market.get("maker")),
        "max_leverage": _limit(limits, "leverage", "max"),
        "created": market.get("created"),
        "ccxt": version,
    }


def _number(value: Any) -> float | None:
    """A value as a finite float; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def _limit(limits: Mapping[str, Any], what: str, end: str) -> float | None:
    return _number((limits.get(what) or {}).get(end))


def _step(precision: Any, exchange: Any) -> float | None:
    """A step from ccxt's precision: the step itself, or a number of digits after the point."""
    value = _number(precision)
    mode = getattr(exchange, "precisionMode", _TICK_SIZE)
    if value is None or mode == _TICK_SIZE:
        return value
    return 10.0 ** -int(value) if mode == _DECIMAL_PLACES else None
