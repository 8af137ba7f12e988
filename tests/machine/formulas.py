"""What each venue asks of a pool, from what it publishes: the second answer to the engine's.

Nothing of the package is used but the numbers of its tables (rate, deduction, leverage and fee in force).
Each formula tells how much a pool holds above the bound at which it is liquidated; what it holds is in the
coin it settles in. :data:`STRICT` are the venues where a pool that just meets the bound is not liquidated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

STRICT = (
    "krakenfutures", "krakeninverse", "dydx_v3", "dydx_v4", "hyperliquid", "gmx_v1", "gmx_v2",
    "aave_v3",
)  # fmt: skip
BYBIT_MARK_VALUE = 1_756_771_200_000
"""2025-09-02: maintenance at the value of the mark instead of the entry."""


class Held(NamedTuple):
    """A position: signed contracts, and the numbers in force (``opposite``: the symbol's other side)."""

    symbol: str
    size: float
    entry: float
    mark: float
    multiplier: float
    inverse: bool
    leverage: float
    tiers: Any
    taker: float
    opposite: float = 0.0

    @property
    def side(self) -> float:
        return 1.0 if self.size > 0 else -1.0

    def worth(self, price: float) -> float:
        """Unsigned value at a price   [settle]."""
        units = abs(self.size) * self.multiplier
        return units / price if self.inverse else units * price

    def profit(self) -> float:
        sign = -self.side if self.inverse else self.side
        return sign * (self.worth(self.mark) - self.worth(self.entry))


class Backing(NamedTuple):
    """A pool: its balance, pledged coins as (amount, share that counts, price), positions, unpaid fees."""

    balance: float
    pledged: tuple[tuple[float, float, float], ...]
    held: tuple[Held, ...]
    isolated: bool
    time: int
    unpaid: float = 0.0
    stable: float = 0.0
    whole: bool = False

    def equity(self) -> float:
        coins = sum(amount * share * price for amount, share, price in self.pledged)
        return self.balance + coins + sum(h.profit() for h in self.held)

    def scale(self) -> float:
        """Everything the float noise of the sums is measured against."""
        return abs(self.balance) + sum(h.worth(h.mark) + h.worth(h.entry) for h in self.held)


Formula = Callable[[Backing], float]


def tier_of(tiers: Any, amount: float) -> Any:
    """The tier of an amount; the end of a tier belongs to it, and so does noise of floats beyond it."""
    return next((t for t in tiers if amount <= t.cap * (1 + 1e-12)), tiers[-1])


def by_value(tiers: Any, value: float) -> float:
    """Value · rate − deduction of the tier the value is in."""
    tier = tier_of(tiers, value)
    return float(value * tier.mmr - tier.deduction)


def by_parts(tiers: Any, value: float) -> float:
    """Each part of a value at the rate of its level."""
    return float(sum(max(0.0, min(value, t.cap) - t.floor) * t.mmr for t in tiers))


def of_tiers(pool: Backing) -> float:
    """Σ value at the mark · rate − deduction (Binance; dYdX, whose tables have one row)."""
    return pool.equity() - sum(by_value(h.tiers, h.worth(h.mark)) for h in pool.held)


def bybit(pool: Backing) -> float:
    """Value (entry, later mark) · rate − deduction of what is not hedged, and the fee of closing it all."""
    need = 0.0
    for h in pool.held:
        by_mark = pool.time >= BYBIT_MARK_VALUE
        k = -h.side if h.inverse else h.side
        at_entry = h.worth(h.entry)
        hedged = 0.0 if pool.isolated else min(1.0, abs(h.opposite / h.size))
        hedged = 0.0 if h.opposite * h.size >= 0 else hedged
        value = (h.worth(h.mark) if by_mark else at_entry) * (1 - hedged)
        bankrupt = max(0.0, at_entry * (1 - k / h.leverage))
        if pool.isolated and (by_mark or h.inverse):  # at the price its own margin reaches
            bankrupt = max(0.0, at_entry - k * pool.balance) / (1 - k * h.taker)
        need += by_value(h.tiers, value) + bankrupt * h.taker
    return pool.equity() - need


def okx(pool: Backing) -> float:
    """Value at the mark · (rate of the tier of the contracts + taker fee)."""
    rates = [(h, tier_of(h.tiers, abs(h.size)).mmr + h.taker) for h in pool.held]
    return float(pool.equity() - sum(h.worth(h.mark) * rate for h, rate in rates))


def kraken(pool: Backing) -> float:
    """Each part of the value in dollars at the rate of its level (``whole``: all at that of the last)."""
    need = 0.0
    for h in pool.held:
        dollars = abs(h.size) * h.multiplier if h.inverse else h.worth(h.mark)
        owed = by_parts(h.tiers, dollars)
        if pool.whole:
            owed = dollars * tier_of(h.tiers, dollars).mmr
        need += owed / h.mark if h.inverse else owed
    return pool.equity() - need


def kraken_spot(pool: Backing) -> float:
    """Margin level 40 %: of a long's cost over its leverage, of a short's debt at the mark over it."""
    used = sum(h.worth(h.entry if h.size > 0 else h.mark) / h.leverage for h in pool.held)
    return pool.equity() - 0.4 * used


def hyperliquid(pool: Backing) -> float:
    """Each part of the value at half the inverse of the leverage of its band."""
    need = 0.0
    for h in pool.held:
        value = h.worth(h.mark)
        for t in h.tiers:
            need += max(0.0, min(value, t.cap) - t.floor) / (2 * t.max_leverage)
    return pool.equity() - need


def gmx_v1(pool: Backing) -> float:
    """collateral + pnl against size / 50, and against fees (0.1 % and the unpaid borrow fee) and 5 USD."""
    size = sum(h.worth(h.entry) for h in pool.held)
    collateral = pool.equity() + pool.unpaid
    return min(collateral - size / 50, collateral - pool.unpaid - 0.001 * size - 5.0)


def gmx_v2(pool: Backing) -> float:
    """collateral + pnl less the closing fee of 0.06 % against 0.5 % of the size, at least 1 USD."""
    size = sum(h.worth(h.entry) for h in pool.held)
    return pool.equity() - 0.0006 * size - max(0.005 * size, 1.0)


def aave(pool: Backing) -> float:
    """Supplied · liquidation threshold − owed: a health factor of 1 is where nothing is left."""
    cash = pool.balance - sum(h.size * h.multiplier * h.entry for h in pool.held)
    supplied, owed = max(0.0, cash) * pool.stable, max(0.0, -cash)
    for h in pool.held:
        if h.size > 0:
            supplied += h.worth(h.mark) * (1 - h.tiers[0].mmr)
        else:
            owed += h.worth(h.mark)
    return float(supplied - owed)


FORMULAS: dict[str, Formula] = {
    "generic": of_tiers,
    "binance": of_tiers,
    "binancecoinm": of_tiers,
    "bybit": bybit,
    "okx": okx,
    "krakenfutures": kraken,
    "krakeninverse": kraken,
    "krakenspot": kraken_spot,
    "dydx_v3": of_tiers,
    "dydx_v4": of_tiers,
    "hyperliquid": hyperliquid,
    "gmx_v1": gmx_v1,
    "gmx_v2": gmx_v2,
    "aave_v3": aave,
}


def backing(account: Any, pool: Any, story: Any, unpaid: float = 0.0) -> Backing:
    """A pool of the engine as plain numbers."""
    held = tuple(
        Held(
            p.symbol, p.size, p.entry, p.mark, p.multiplier, p.inverse, p.leverage, p.limits.tiers,
            account.venue.fees_at(p.market, account.time).taker,
            p.other.size if p.other is not None and p.other.pool is pool else 0.0,
        )
        for p in pool.positions
    )  # fmt: skip
    pledged = tuple((one.vault.balance, one.ratio, one.now()) for one in pool.pledges)
    return Backing(
        pool.balance, pledged, held, pool.symbol is not None, account.time, unpaid,
        stable_threshold(account), story.setup.place.options.get("levels") == "whole",
    )  # fmt: skip


def stable_threshold(account: Any) -> float:
    """Liquidation threshold of the stable that an account of a lending market supplies."""
    dated = getattr(account.venue.shared, "thresholds", None)
    if dated is None:
        return 0.0
    return float(
        [value for since, value in dated if since <= account.time or dated[0][0] == since][-1]
    )


def left(account: Any, pool: Any, story: Any, unpaid: float = 0.0) -> tuple[float, float]:
    """How much a pool holds above its venue's bound, and the noise that number may have."""
    numbers = backing(account, pool, story, unpaid)
    return FORMULAS[account.venue.name](numbers), numbers.scale()
