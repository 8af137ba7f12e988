"""Every venue, mode, side and contract kind: one crash bar, the venue's own formula, every unit of money.

The prices below are worked out here, from what the venues publish, with nothing of the package but the tables
(rate, deduction, fee of the tier in force): the second answer to the engine's. The ledger must then say where
all the money went.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.engine.account import Account
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.venues.names import moment

HOUR = 3_600_000


@dataclass(frozen=True)
class Case:
    """A position to crash: what is held, under whose rules, and the price the venue's formula gives.

    formula : (size, entry, money, leverage) -> liquidation price. ``money`` is what backs the position
        without its unrealised profit; sizes are signed and in coins (linear) or dollars (inverse).
    """

    venue: str
    mode: str
    symbol: str
    entry: float
    size: float
    leverage: float
    day: str
    formula: Callable[[float, float, float, float], float]
    options: tuple[tuple[str, Any], ...] = ()
    cash: float = 1_000.0
    gone: bool = True
    """Nothing of the position is left after the crash."""

    def __str__(self) -> str:
        kind = "inverse" if self.symbol.endswith((":BTC", ":ETH")) else "linear"
        return f"{self.venue}-{self.mode}-{'long' if self.size > 0 else 'short'}-{kind}-{self.day}"


def side(size: float) -> float:
    return 1.0 if size > 0 else -1.0


def linear(mmr: float, fee: float = 0.0, deduction: float = 0.0) -> Any:
    """q·(EP − p)·side = margin − requirement, solved for p: requirement q·p·(mmr + fee) − deduction."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        q, s = abs(size), side(size)
        return (-deduction - money + s * q * entry) / (q * (s - mmr - fee))

    return price


def inverse(mmr: float, fee: float = 0.0) -> Any:
    """LP = size·(side + mmr + fee) / (side·size/EP + B), all in the coin."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        q, s = abs(size), side(size)
        return q * (s + mmr + fee) / (s * q / entry + money)

    return price


def bybit_linear_entry(mmr: float) -> Any:
    """Until 2025-09-02: LP = EP − side·((IM − MM)/q), both at entry; the closing fee cancels out."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        return entry - side(size) * (entry / leverage - entry * mmr)

    return price


def bybit_linear_mark(mmr: float) -> Any:
    """Since 2025-09-02: the bankruptcy price EP·(1 − side/lev) over (1 − side·mmr)."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        return entry * (1 - side(size) / leverage) / (1 - side(size) * mmr)

    return price


def bybit_inverse_mark(mmr: float) -> Any:
    """long: size·(1 + mmr)/(size/EP·(1 + 1/lev)); short: size·(1 − mmr)/(size/EP·(1 − 1/lev))."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        s = side(size)
        return entry * (1 + s * mmr) / (1 + s / leverage)

    return price


def gmx_v2(factor: float, fee: float) -> Any:
    """long: (S + G − U)/T, short: (S + U − G)/T with G = max(f·S, 1) + closing fee, T = tokens."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        tokens, worth = abs(size), abs(size) * entry
        kept = max(factor * worth, 1.0) + fee * worth
        return (worth + side(size) * (kept - money)) / tokens

    return price


def gmx_v1(size: float, entry: float, money: float, leverage: float) -> float:
    """long: A·(1 − x), short: A·(1 + x), x = min((C − F − 5)/S, (C − S/50)/S)."""
    worth = abs(size) * entry
    x = min((money - 0.001 * worth - 5) / worth, (money - worth / 50) / worth)
    return entry * (1 - side(size) * x)


def aave(threshold: float, stable: float) -> Any:
    """long: D/(c·LT); short: S·LT/x, with D = c·EP − money borrowed and S = money + x·EP supplied."""

    def price(size: float, entry: float, money: float, leverage: float) -> float:
        if size > 0:
            return (size * entry - money) / (size * threshold)
        return (money - size * entry) * stable / -size

    return price


def kraken_spot(size: float, entry: float, money: float, leverage: float) -> float:
    """Margin level 40 %: equity = 0.4 · used margin (cost/lev, short: the debt's value/lev)."""
    if size > 0:
        return (0.4 * size * entry / leverage - money + size * entry) / size
    return (money - size * entry) / (-size * (1 + 0.4 / leverage))


USDT, USDC, USD, COIN = "BTC/USDT:USDT", "BTC/USDC:USDC", "BTC/USD:USD", "BTC/USD:BTC"
BOTH = ("cross", "isolated")


def cases() -> list[Case]:
    found: list[Case] = []

    def add(venue: str, modes: Any, symbol: str, formula: Any, day: str, **own: Any) -> None:
        entry = own.pop("entry", 50_000.0)
        unit = own.pop("unit", 0.1)
        leverage = own.pop("leverage", 10.0)
        for mode in modes:
            for sign in (1.0, -1.0):
                found.append(
                    Case(venue, mode, symbol, entry, sign * unit, leverage, day, formula, **own)
                )

    coin = {"unit": 100.0, "cash": 0.03}  # contracts of 100 dollars
    dollars = {"unit": 10_000.0, "cash": 0.03}
    add("binance", BOTH, USDT, linear(0.004), "2023-06-01")
    add("binancecoinm", BOTH, COIN, inverse(0.004), "2023-06-01", **coin)
    add("bybit", ["isolated"], USDT, bybit_linear_entry(0.005), "2025-09-01")
    add("bybit", ["isolated"], USDT, bybit_linear_mark(0.005), "2025-09-03")
    add("bybit", ["isolated"], COIN, bybit_inverse_mark(0.005), "2025-09-03", **dollars,
        options=(("tier", (COIN, 0.005)),))  # fmt: skip
    add("okx", BOTH, USDT, linear(0.004, 0.0005), "2026-06-01", options=(("coins", True),))
    add("okx", BOTH, COIN, inverse(0.004, 0.0005), "2026-06-01", **coin,
        options=(("tier", (COIN, 0.004)),))  # fmt: skip
    add("krakenfutures", BOTH, USD, linear(0.01), "2024-06-01")
    add("krakeninverse", ["cross"], COIN, inverse(0.01), "2024-06-01", **dollars)
    add("krakenspot", ["cross"], "BTC/USD", kraken_spot, "2026-01-01", leverage=5.0)
    add("dydx_v4", BOTH, USDC, linear(0.03), "2023-11-01", gone=False)
    add("dydx_v3", BOTH, USDC, linear(0.03), "2023-01-01",
        options=(("taker_fee", 0.0005), ("maker_fee", 0.0002)))  # fmt: skip
    add("hyperliquid", BOTH, USDC, linear(0.0125), "2025-06-01")
    add("gmx_v1", ["isolated"], USDC, gmx_v1, "2023-01-01")
    add("gmx_v2", ["isolated"], USDC, gmx_v2(0.005, 0.0006), "2025-06-01")
    add("aave_v3", BOTH, "WETH/USDC", aave(0.83, 0.80), "2023-11-05", entry=1_800.0, unit=1.0,
        leverage=2.0, gone=False)  # fmt: skip
    return found


def opened(case: Case) -> Account:
    """The position of a case, and in cross just the money its isolated twin would stand on."""
    options = dict(case.options)
    tier = options.pop("tier", None)
    rules = btm.venue(case.venue, **options)
    if tier is not None:
        rules = rules.with_symbols({tier[0]: {"maintenance_rate": tier[1]}})
    time = moment(case.day) or 0
    currency = rules.contract(case.symbol).settle
    a = Account(
        rules, case.cash * 3, case.mode, case.leverage, currency=currency, time=time, debug=True
    )
    a.mark(case.symbol, case.entry)
    filled = a.fill(case.symbol, case.size, case.entry)
    assert filled.refusal is None, filled.refusal
    if case.mode == "cross":
        spare = a.available()
        a.withdraw(min(spare, max(0.0, spare - case.cash / 4)))
    return a


def formula(case: Case, a: Account) -> float:
    """The price the venue's formula gives for the position as it stands."""
    p = a.position(case.symbol)
    assert p.pool is not None
    return case.formula(case.size * p.multiplier, case.entry, p.pool.balance, case.leverage)


@pytest.fixture(params=cases(), ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_a_crash_bar_liquidates_where_the_venue_s_formula_says(case: Case) -> None:
    a = opened(case)
    p = a.position(case.symbol)
    exact = formula(case, a)
    told = a.liquidation_price(case.symbol)
    assert told == pytest.approx(exact, rel=1e-9)
    bar = Quote(p)
    beyond = exact * (1 - side(case.size) * 0.02)
    low, high = min(beyond, case.entry), max(beyond, case.entry)
    bar.set(a.time, a.time + HOUR, (case.entry, high, low, beyond))
    before = a.equity()
    Stepper(a).step(a.time, [bar], NoOrders())
    breach = next(e for e in a.events if e.kind == "breach")
    assert breach.info["marks"][case.symbol] == pytest.approx(exact, rel=1e-9)
    assert (p.size == 0.0) is case.gone
    assert a.equity() < before
    a.audit()


def test_every_unit_of_money_is_accounted_for(case: Case) -> None:
    a = opened(case)
    start = a.wallet() + a.position(case.symbol).unrealised()
    booked = dict(a.ledger.totals)
    exact = formula(case, a)
    a.mark(case.symbol, exact * (1 - side(case.size) * 1e-6))
    closed = [e for e in a.events if e.kind == "liquidation"]
    assert closed
    change = {kind: amount - booked[kind] for kind, amount in a.ledger.totals.items()}
    moved = sum(change.values())
    assert start + moved == pytest.approx(a.wallet(), rel=1e-9, abs=1e-12)
    assert change["realised"] == pytest.approx(sum(e.realised or 0.0 for e in closed), rel=1e-9)
    assert -change["liquidation_fee"] == pytest.approx(sum(e.fee or 0.0 for e in closed), abs=1e-9)
    left = a.equity() - a.wallet()
    assert left == pytest.approx(a.position(case.symbol).unrealised(), abs=1e-9)


def test_a_hair_before_the_price_nothing_happens(case: Case) -> None:
    a = opened(case)
    exact = formula(case, a)
    a.mark(case.symbol, exact * (1 + side(case.size) * 1e-7))
    assert not [e for e in a.events if e.kind == "breach"]
