"""Aave v3 against a second, naive lending account: coins and a stable, no margin, no positions."""

from __future__ import annotations

import random
from typing import Any

import pytest
from stories.world import near

import bt_margin as btm

LT = {"WETH/USDC": 0.83, "WBTC/USDC": 0.78, "LINK/USDC": 0.68}
BONUS = {"WETH/USDC": 0.05, "WBTC/USDC": 0.05, "LINK/USDC": 0.07, "": 0.045}
PRICES = {"WETH/USDC": 2_000.0, "WBTC/USDC": 20_000.0, "LINK/USDC": 10.0}


class Lending:
    """What is supplied (above 0) and owed (below 0) of each asset; "" is the stable."""

    def __init__(self, cash: float, version: str) -> None:
        self.version = version
        self.coins = {"": cash} | dict.fromkeys(PRICES, 0.0)
        self.prices = {"": 1.0} | PRICES
        self.calls = 0

    def swap(self, asset: str, units: float) -> None:
        self.coins[asset] += units
        self.coins[""] -= units * self.prices[asset]

    def value(self, asset: str) -> float:
        return self.coins[asset] * self.prices[asset]

    def sides(self) -> tuple[list[str], list[str]]:
        owed = [a for a in sorted(self.coins) if self.coins[a] < 0]
        return owed, [a for a in sorted(self.coins) if self.coins[a] > 0]

    def health(self) -> float:
        owed, supplied = self.sides()
        debt = -sum(self.value(a) for a in owed)
        weighted = sum(self.value(a) * LT.get(a, 0.8) for a in supplied)
        return weighted / debt if debt else float("inf")

    def settle(self) -> None:
        """Call after call while the health factor is below 1."""
        while self.health() < 1:
            owed, supplied = self.sides()
            best = max(
                ((d, c, self.most(d, c)) for d in owed for c in supplied),
                key=lambda call: call[2] * BONUS[call[1]],
                default=None,
            )
            if best is None:
                break
            debt, collateral, repaid = best
            taken = repaid * (1 + BONUS[collateral])
            self.coins[debt] += repaid / self.prices[debt]
            self.coins[collateral] -= taken / self.prices[collateral]
            self.calls += 1
            for a in (debt, collateral):
                if abs(self.value(a)) < 1e-6:
                    self.coins[a] = 0.0
        if not self.sides()[1]:
            self.coins = dict.fromkeys(self.coins, 0.0)

    def most(self, debt: str, collateral: str) -> float:
        owed, health = -self.value(debt), self.health()
        total = -sum(self.value(a) for a in self.sides()[0])
        held, paid_for = self.value(collateral), self.value(collateral) / (1 + BONUS[collateral])
        if health <= 0.95:
            return min(owed, paid_for)
        if self.version == "3.0":
            return min(owed / 2, paid_for)
        if owed < 2_000 or held < 2_000:
            return min(owed, paid_for)
        repaid = min(owed, total / 2, paid_for)
        if repaid < owed and repaid < paid_for:
            repaid = min(repaid, owed - 1_000, (held - 1_000) / (1 + BONUS[collateral]))
        return repaid


def same(account: Any, twin: Lending) -> None:
    pool = account.cross
    for symbol in PRICES:
        held = account.positions.get(symbol)
        assert (0.0 if held is None else held.size) == near(twin.coins[symbol], abs=1e-7)
    cash = pool.balance - sum(p.size * p.entry for p in pool.positions)
    assert cash == near(twin.coins[""], abs=1e-4)
    assert account.equity() == near(sum(twin.value(a) for a in twin.coins), abs=1e-4)


@pytest.mark.parametrize("version", ["3.0", "3.3"])
@pytest.mark.parametrize("cash", [2_000.0, 50_000.0])
def test_a_naive_lending_account_agrees_after_every_price(version: str, cash: float) -> None:
    rng, calls = random.Random(11), 0
    rules = btm.venue("aave_v3", code_version=version, taker_fee=0.0, utilisation=0.0)
    for _ in range(120):
        account = btm.Account(rules, cash=cash, leverage=3.0, debug=True)
        twin = Lending(cash, version)
        for symbol, price in PRICES.items():
            account.mark(symbol, price)
        for symbol in rng.sample(sorted(PRICES), rng.randint(1, 3)):
            units = rng.choice([1, -1]) * rng.uniform(0.2, 1.6) * cash / PRICES[symbol]
            if account.fill(symbol, units, PRICES[symbol]).refusal is None:
                twin.swap(symbol, units)
        same(account, twin)
        for _ in range(60):
            symbol = rng.choice(sorted(PRICES))
            twin.prices[symbol] *= (
                rng.uniform(0.9, 1.11) if rng.random() < 0.9 else rng.choice([0.6, 1.5])
            )
            account.mark(symbol, twin.prices[symbol])
            twin.settle()
            same(account, twin)
        calls += twin.calls
    assert calls > 50
