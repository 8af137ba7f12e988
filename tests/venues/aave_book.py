"""Accounts at Aave v3 for tests: without swap costs and interest unless a story asks for them."""

from __future__ import annotations

from typing import Any

from engine.bench import near

import bt_margin as btm

ETH, BTC = "WETH/USDC", "WBTC/USDC"
MODES: list[Any] = ["cross", "isolated"]
VERSIONS = ["3.0", "3.3"]
#: thresholds and bonuses of 2023-10-31
LT, BONUS, STABLE_LT, STABLE_BONUS = 0.83, 0.05, 0.8, 0.045


def aave(version: str = "3.0", **options: Any) -> Any:
    return btm.venue(
        "aave_v3", **({"code_version": version, "taker_fee": 0.0, "utilisation": 0.0} | options)
    )


def holder(
    size: float,
    mode: Any = "cross",
    cash: float = 18_000.0,
    leverage: float = 2.0,
    version: str = "3.0",
    **options: Any,
) -> Any:
    """An account that holds ETH from 1,800."""
    account = btm.Account(
        aave(version, **options), cash=cash, margin_mode=mode, leverage=leverage, debug=True
    )
    account.mark(ETH, 1_800.0)
    assert account.fill(ETH, size, 1_800.0).refusal is None
    return account


def sales(account: Any) -> list[Any]:
    return [(e.symbol, e.price, e.size, e.fee) for e in account.events if e.kind == "liquidation"]


def health(account: Any, symbol: str = ETH) -> float:
    """HF of the pool behind a symbol, from its coins and its cash."""
    pool = account.position(symbol).pool
    cash = pool.balance - sum(p.size * p.entry for p in pool.positions)
    thresholds = {ETH: LT, BTC: 0.78}
    supplied = sum(p.size * p.mark * thresholds[p.symbol] for p in pool.positions if p.size > 0)
    owed = sum(-p.size * p.mark for p in pool.positions if p.size < 0)
    return float((supplied + max(cash, 0) * STABLE_LT) / (owed + max(-cash, 0)))


def adds_up(account: Any) -> None:
    account.audit()
    totals = account.ledger.totals
    assert sum(totals.values()) == near(account.wallet())
    unrealised = sum(p.size * (p.mark - p.entry) for p in account.positions.values())
    assert account.equity() == near(account.wallet() + unrealised)


def mixed(
    eth: float,
    btc: float,
    cash: float,
    version: str = "3.0",
    mode: Any = "cross",
    leverage: float = 3.0,
) -> Any:
    """ETH from 2,000 at ``leverage`` and BTC from 20,000 at 3."""
    account = btm.Account(
        aave(version), cash=cash, margin_mode=mode, leverage=3.0, debug=True,
        symbols={ETH: {"leverage": leverage}},
    )  # fmt: skip
    for symbol, size, price in ((ETH, eth, 2_000.0), (BTC, btc, 20_000.0)):
        account.mark(symbol, price)
        assert account.fill(symbol, size, price).refusal is None
    return account
