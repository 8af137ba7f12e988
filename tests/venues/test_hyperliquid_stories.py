"""Hyperliquid on an account: crashes in every mode and on both sides, partial sales, the backstop.

The prices are worked out from the venue's own formula,
p = P − side · (E − V_other − N·r + d) / q / (1 − r·side).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories.world import buy, flat, frame, near, play

import bt_margin as btm
from bt_margin.core.funding import FundingStamp
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.venues.names import moment

BTC, ETH = "BTC/USDC:USDC", "ETH/USDC:USDC"
HOUR, NOW = 3_600_000, moment("2026-01-01") or 0
MODES, SIDES = ("isolated", "cross"), (1, -1)
RATE, TAKER = 0.0125, 0.00045


def free(size: float, price: float) -> float:
    return 0.0


def opened(mode: str, size: float, leverage: float, cash: float = 10_000, **changes: Any) -> Any:
    """An account that holds ``size`` BTC from 50,000, opened without a fee."""
    account = btm.Account(
        "hyperliquid", cash=cash, margin_mode=mode, leverage=leverage, time=NOW, debug=True, **changes
    )  # fmt: skip
    account.mark(BTC, 50_000.0)
    assert account.fill(BTC, size, 50_000.0, fee=free).refusal is None
    return account


def lived(account: Any, candle: tuple[float, float, float, float], **stamps: Any) -> Any:
    quote = Quote(account.position(BTC), **stamps).set(account.time, account.time + HOUR, candle)
    Stepper(account).step(account.time, [quote], NoOrders())
    account.audit()
    return account


def kinds(account: Any, kind: str) -> list[Any]:
    return [event for event in account.events if event.kind == kind]


def documented(side: int, size: float, equity: float, rate: float = RATE) -> float:
    """price − side · margin available / size / (1 − rate · side)."""
    return 50_000 - side * (equity - size * 50_000 * rate) / size / (1 - rate * side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mode", "equity"), [("isolated", 2_500.0), ("cross", 10_000.0)])
def test_a_crash_sells_at_the_documented_price_and_leaves_the_rest(
    mode: str, equity: float, side: int
) -> None:
    account = opened(mode, side * 1.0, 20)
    price = documented(side, 1.0, equity)
    assert account.liquidation_price(BTC) == near(price)
    far = price * (1 - side * 0.02)
    lived(account, (50_000.0, max(far, 50_000.0), min(far, 50_000.0), 50_000.0))
    (sold,) = kinds(account, "liquidation")
    assert (sold.size, sold.price, sold.info["settle"]) == (-side, near(price), "sale")
    assert sold.fee == near(TAKER * price)
    assert account.wallet() == near(10_000 - abs(price - 50_000) - TAKER * price)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mode", "equity"), [("isolated", 7_500.0), ("cross", 20_000.0)])
def test_a_large_position_gives_a_fifth_and_survives_a_touch(
    mode: str, equity: float, side: int
) -> None:
    account = opened(mode, side * 3.0, 20, cash=20_000)
    price = documented(side, 3.0, equity)
    touch = price * (1 - side * 0.0005)
    lived(account, (50_000.0, max(touch, 50_000.0), min(touch, 50_000.0), 50_000.0))
    (sold,) = kinds(account, "liquidation")
    assert (sold.size, sold.price) == (near(-side * 0.6), near(price))
    assert account.position(BTC).size == near(side * 2.4)
    assert account.ledger.totals["liquidation_fee"] == near(-TAKER * 0.6 * price)


@pytest.mark.parametrize("side", SIDES)
def test_where_a_fifth_is_not_enough_everything_goes_to_the_market(side: int) -> None:
    """A gap to E = 0.7·V: after the fifth E = 0.7·V less the fee, still below 0.8·V."""
    account = opened("isolated", side * 3.0, 20)
    gap = 50_000 * (1 - side * 0.05) / (1 - side * 0.7 * RATE)
    lived(account, (gap, gap, gap, gap))
    first, second = kinds(account, "liquidation")
    assert (first.size, second.size) == (near(-side * 0.6), near(-side * 2.4))
    assert {first.info["settle"], second.info["settle"]} == {"sale"}
    left = 0.7 * RATE * 3 * gap - TAKER * 3 * gap
    assert account.wallet() == near(2_500 + left)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", MODES)
def test_below_two_thirds_of_the_requirement_nothing_is_left(mode: str, side: int) -> None:
    equity = {"isolated": 2_500.0, "cross": 10_000.0}[mode]
    account = opened(mode, side * 1.0, 20)
    gap = (50_000 - side * equity) / (1 - side * 0.66 * RATE)
    lived(account, (gap, gap, gap, gap))
    (taken,) = kinds(account, "liquidation")
    assert taken.info["settle"] == "takeover"
    assert taken.price == near(50_000 - side * equity)
    assert account.wallet() == near(10_000 - equity)
    assert account.ledger.totals["liquidation_fee"] == 0


def test_meeting_the_requirement_exactly_is_safe() -> None:
    """At 1/16: 5,000 + p − 50,000 = p / 16 at 48,000, and every number is exact."""
    own = {BTC: {"maintenance_rate": 0.0625, "max_leverage": 10}}
    account = opened("isolated", 1.0, 10, symbols=own)
    account.mark(BTC, 48_000.0)
    assert not kinds(account, "liquidation")
    account.mark(BTC, 47_999.0)
    assert kinds(account, "liquidation")


def test_just_above_two_thirds_the_rest_is_kept() -> None:
    account = opened("isolated", 1.0, 20)
    gap = 47_500 / (1 - 0.67 * RATE)
    lived(account, (gap, gap, gap, gap))
    assert account.wallet() == near(7_500 + 0.67 * RATE * gap - TAKER * gap)


@pytest.mark.parametrize("mode", MODES)
def test_below_zero_the_fund_pays(mode: str) -> None:
    account = opened(mode, 1.0, 20)
    lived(account, (39_000.0,) * 4)
    (short,) = kinds(account, "shortfall")
    assert short.amount == near({"isolated": 8_500, "cross": 1_000}[mode])


def test_in_cross_the_largest_loss_goes_first_and_the_other_may_stay() -> None:
    account = opened("cross", 1.0, 20)
    account.mark(ETH, 2_500.0)
    account.fill(ETH, -20.0, 2_500.0, fee=free)
    needs = 0.02 * 50_000
    price = (needs + 40_000) / (1 - RATE)
    assert account.liquidation_price(BTC) == near(price)
    lived(account, (50_000.0, 50_000.0, price - 100, price - 100))
    (sold,) = kinds(account, "liquidation")
    assert (sold.symbol, sold.price) == (BTC, near(price))
    assert account.position(ETH).size == -20


def test_the_second_band_asks_for_more_of_what_lies_in_it() -> None:
    account = opened("cross", 4_000.0, 20, cash=20_000_000)
    assert account.risk(BTC).maintenance == near(200_000_000 * 0.025 - 1_875_000)
    price = (4_000 * 50_000 - 20_000_000 - 1_875_000) / (4_000 * (1 - 0.025))
    assert account.liquidation_price(BTC) == near(price)


def test_the_leverage_decides_how_large_a_position_may_be() -> None:
    with pytest.raises(btm.errors.LeverageError, match="40"):
        opened("cross", 1.0, 41)
    account = btm.Account("hyperliquid", cash=1e9, leverage=40, time=NOW)
    account.mark(BTC, 50_000.0)
    refusal = account.fill(BTC, 3_001.0, 50_000.0).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.allowed) == ("leverage_cap", 150_000_000)


def test_funding_is_charged_on_the_oracle_price_of_the_stamp() -> None:
    account = opened("isolated", -1.0, 20)
    stamps = [FundingStamp(NOW, 0.0001, 49_000.0), FundingStamp(NOW + HOUR // 2, 0.0001)]
    lived(account, (50_000.0,) * 4, stamps=stamps)
    assert [e.amount for e in kinds(account, "funding")] == [near(4.9), near(5.0)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MODES), st.sampled_from(SIDES), st.floats(0.0, 0.12), st.floats(0.5, 3))
def test_after_any_gap_the_account_is_healthy_or_empty_and_owes_nothing(
    mode: Any, side: int, fall: float, size: float
) -> None:
    account = opened(mode, side * size, 20)
    gap = 50_000.0 * (1 - side * fall)
    lived(account, (gap, gap, gap, gap))
    p = account.position(BTC)
    if p.size:
        assert p.pool.equity() >= p.pool.maintenance() - 1e-6
    assert account.wallet() >= -1e-9


@pytest.mark.parametrize("mode", MODES)
def test_in_backtrader_the_crash_is_the_same(mode: str) -> None:
    """2024-01-01: the table of 50x stands in, 1 %. A long of 10 from 100 at 20x."""
    fees = 10 * 100 * TAKER
    equity = 50.0 if mode == "isolated" else 100.0 - fees
    price = (1_000 - equity) / (10 * 0.99)
    bars = frame([flat(100), flat(100), (100, 100, price * 0.99, price), flat(price)])
    done = play({BTC: bars}, {0: buy(10, BTC)}, mode, 20, 100.0, venue=btm.venue("hyperliquid"))
    assert done.liquidations == [(2, BTC, near(price))]
    assert done.size(BTC) == 0
    kept = 100 - fees - (100 - price) * 10 - TAKER * 10 * price
    assert done.broker.account.wallet() == near(kept)


def test_soon_after_a_part_of_one_position_was_sold_every_other_goes_whole() -> None:
    # the pause is the user's: it outlasts the position that gave the part
    account = opened("cross", 8.0, 20.0, cash=100_000)
    account.mark(ETH, 2_500.0)
    assert account.fill(ETH, 60.0, 2_500.0, fee=free).refusal is None
    account.mark(BTC, 38_300.0)
    account.mark(BTC, 38_200.0)
    account.mark(ETH, 2_453.0)
    account.audit()
    sold = [(e.symbol, round(e.info["whole"])) for e in kinds(account, "liquidation")]
    assert sold == [(BTC, 0), (BTC, 1), (ETH, 1)]
