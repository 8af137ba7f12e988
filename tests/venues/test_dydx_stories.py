"""dYdX on an account: crashes in every mode and on both sides, blocks, dates, open interest, funding.

The prices are worked out from the venue's own formula, p = (E − s·P − V_other) / (q·m − s).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories.world import buy, flat, frame, near, play

import bt_margin as btm
from bt_margin.core.fillable import close_price
from bt_margin.core.funding import FundingStamp
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.venues.names import moment

BTC, ETH, SOL = "BTC/USDC:USDC", "ETH/USDC:USDC", "SOL/USDC:USDC"
HOUR = 3_600_000
LARGE_3, LARGE_1_2 = moment("2024-06-01") or 0, moment("2025-06-01") or 0
MODES, SIDES = ("isolated", "cross"), (1, -1)


def v3() -> Any:
    return btm.venue("dydx_v3", taker_fee=0.0005, maker_fee=0.0)


def v4(**options: Any) -> Any:
    return btm.venue("dydx_v4", **options)


def opened(venue: Any, mode: str, size: float, leverage: float, time: int, **changes: Any) -> Any:
    """An account of 10,000 that holds ``size`` BTC from 50,000, opened without a fee."""
    account = btm.Account(
        venue, cash=10_000, margin_mode=mode, leverage=leverage, time=time, debug=True, **changes
    )
    account.mark(BTC, 50_000.0)
    assert account.fill(BTC, size, 50_000.0, fee=lambda size, price: 0.0).refusal is None
    return account


def lived(account: Any, candle: tuple[float, float, float, float], **stamps: Any) -> Any:
    """The account after one more hour; every entry of the ledger adds up."""
    quote = Quote(account.position(BTC), **stamps).set(account.time, account.time + HOUR, candle)
    Stepper(account).step(account.time, [quote], NoOrders())
    account.audit()
    return account


def kinds(account: Any, kind: str) -> list[Any]:
    return [event for event in account.events if event.kind == kind]


def expected(size: float, rate: float, equity: float, price: float = 50_000.0) -> float:
    return (equity - size * price) / (abs(size) * rate - size)


# -- v4 at 1.2 %: everything goes ------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mode", "equity"), [("isolated", 2_500.0), ("cross", 10_000.0)])
def test_at_1_2_per_cent_a_crash_ends_the_position_and_its_whole_equity(
    mode: str, equity: float, side: int
) -> None:
    account = opened(v4(), mode, side * 1.0, 20, LARGE_1_2)
    price = expected(side, 0.012, equity)
    assert account.liquidation_price(BTC) == near(price)
    far = price * (1 - side * 0.05)
    lived(account, (50_000.0, max(far, 50_000.0), min(far, 50_000.0), 50_000.0))
    (sold,) = kinds(account, "liquidation")
    assert (sold.size, sold.price) == (-side, near(price))
    lost = (price - 50_000) * side
    totals = account.ledger.totals
    assert totals["realised"] == near(lost)
    assert totals["liquidation_fee"] == near(-(equity + lost)) == near(-0.012 * price)
    assert account.wallet() == near(10_000 - equity)
    assert not kinds(account, "shortfall")


@pytest.mark.parametrize("side", SIDES)
def test_beyond_the_bankruptcy_price_the_fund_pays_what_is_missing(side: int) -> None:
    account = opened(v4(), "isolated", side * 1.0, 20, LARGE_1_2)
    gap = 50_000.0 * (1 - side * 0.06)
    lived(account, (gap, gap, gap, gap))
    (short,) = kinds(account, "shortfall")
    assert short.amount == near(500)
    assert account.ledger.totals["liquidation_fee"] == 0
    assert account.wallet() == near(7_500)


# -- v4 at 3 %: a portion may be enough ------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mode", "equity"), [("isolated", 5_000.0), ("cross", 10_000.0)])
def test_at_3_per_cent_a_touch_costs_a_tenth_and_the_rest_survives(
    mode: str, equity: float, side: int
) -> None:
    account = opened(v4(), mode, side * 1.0, 10, LARGE_3)
    price = expected(side, 0.03, equity)
    touch = price * (1 - side * 0.0005)
    lived(account, (50_000.0, max(touch, 50_000.0), min(touch, 50_000.0), 50_000.0))
    (sold,) = kinds(account, "liquidation")
    assert (sold.size, sold.price) == (near(-side * 0.1), near(price))
    assert sold.fee == near(0.015 * 0.1 * price)
    assert account.position(BTC).size == near(side * 0.9)
    assert account.cross.balance + (account.position(BTC).pool.balance if mode == "isolated" else 0) == near(
        10_000 + (price - 50_000) * side * 0.1 - 0.0015 * price
    )  # fmt: skip


@pytest.mark.parametrize("side", SIDES)
def test_a_gap_closes_block_after_block_until_the_account_is_healthy(side: int) -> None:
    """At a gap to e = 2 % of the notional two thirds must go: eleven tenths of what is left."""
    account = opened(v4(), "isolated", side * 1.0, 10, LARGE_3)
    gap = (45_000 if side > 0 else 55_000) / (1 - side * 0.02)
    lived(account, (gap, gap, gap, gap))
    sold = kinds(account, "liquidation")
    kept = abs(account.position(BTC).size)
    assert len(sold) == 11
    assert [event.price for event in sold] == [near(gap)] * 11
    steps = [round(abs(event.size) / 0.0001, 6) for event in sold]
    held = 10_000.0
    for step in steps:  # a tenth of what is left, rounded down to steps of 0.0001
        assert step == held // 10
        held -= step
    assert 1 - kept >= 2 / 3
    assert 1 - kept / 0.9 < 2 / 3 + 0.001  # steps of 0.0001
    risk = account.risk(BTC)
    assert risk.equity >= risk.maintenance
    assert sum(event.fee for event in sold) == near(0.015 * (1 - kept) * gap)


@pytest.mark.parametrize("side", SIDES)
def test_a_small_position_goes_whole_and_keeps_what_the_fee_leaves(side: int) -> None:
    account = opened(v4(), "isolated", side * 0.018, 10, LARGE_3)
    price = expected(side * 0.018, 0.03, 90.0)
    touch = price * (1 - side * 0.0001)
    lived(account, (50_000.0, max(touch, 50_000.0), min(touch, 50_000.0), 50_000.0))
    (sold,) = kinds(account, "liquidation")
    assert sold.size == near(-side * 0.018)
    assert sold.fee == near(0.015 * 0.018 * price)
    assert account.wallet() == near(10_000 - abs(price - 50_000) * 0.018 - sold.fee)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODES),
    st.sampled_from(SIDES),
    st.sampled_from((LARGE_3, LARGE_1_2)),
    st.floats(0.0, 0.15),
    st.sampled_from((0.0, 0.001, 0.02)),
)
def test_after_any_gap_the_account_is_healthy_or_empty_and_owes_nothing(
    mode: Any, side: int, time: int, fall: float, slippage: float
) -> None:
    account = opened(v4(), mode, side * 1.5, 10, time, liquidation_slippage=slippage)
    gap = 50_000.0 * (1 - side * fall)
    lived(account, (gap, gap, gap, gap))
    p = account.position(BTC)
    if p.size:
        assert p.pool.equity() >= p.pool.maintenance() - 1e-6
    assert account.wallet() >= -1e-9
    paid = -account.ledger.totals["liquidation_fee"]
    sold = sum(abs(e.size) * e.price for e in kinds(account, "liquidation"))
    assert paid <= 0.015 * sold + 1e-6


def test_cross_positions_go_in_blocks_of_both_and_the_price_counts_the_other() -> None:
    """BTC falls alone: p = (V_eth + P·s − E) / (s − q·m)."""
    account = opened(v4(), "cross", 1.0, 10, LARGE_3)
    account.mark(ETH, 2_500.0)
    account.fill(ETH, -16.0, 2_500.0, fee=lambda size, price: 0.0)
    other = 0.03 * 40_000
    price = (other + 50_000 - 10_000) / (1 - 0.03)
    assert account.liquidation_price(BTC) == near(price)
    gap = price - 200
    lived(account, (gap, gap, gap, gap))
    first, second, *_ = kinds(account, "liquidation")
    assert (first.symbol, first.size) == (BTC, near(-0.1))
    assert (second.symbol, second.size) == (ETH, near(1.6))
    assert account.cross.equity() >= account.cross.maintenance()


@pytest.mark.parametrize("venue", [v3(), v4()], ids=lambda venue: venue.name)
def test_meeting_the_requirement_exactly_is_safe(venue: Any) -> None:
    """At 1/16: 5,000 + p − 50,000 = p / 16 at 48,000, and every number is exact."""
    own = venue.with_symbols({BTC: {"maintenance_rate": 0.0625, "max_leverage": 10}})
    account = opened(own, "isolated", 1.0, 10, LARGE_3)
    account.mark(BTC, 48_000.0)
    risk = account.risk(BTC)
    assert (risk.equity, risk.maintenance) == (3_000, 3_000)
    assert not kinds(account, "liquidation")
    account.mark(BTC, 47_999.0)
    assert kinds(account, "liquidation")


# -- v4: dates, open interest, funding, orders -----------------------------------------------------


def test_the_requirement_changes_on_its_date_within_a_run() -> None:
    change = moment("2024-10-02") or 0
    account = opened(v4(), "isolated", 1.0, 10, change - 2 * HOUR)
    assert account.liquidation_price(BTC) == near(45_000 / 0.97)
    lived(account, (50_000.0,) * 4)
    account.clock(change)
    lived(account, (50_000.0, 50_000.0, 46_000.0, 46_000.0))
    assert account.liquidation_price(BTC) == near(45_000 / 0.988)
    assert account.position(BTC).size == 1


def test_a_crowded_market_asks_for_more_at_the_opening_and_for_no_more_after() -> None:
    day = moment("2025-06-01") or 0
    series = [(day - HOUR, 10e6), (day + HOUR, 70e6)]
    account = btm.Account(
        v4(open_interest={SOL: series}), cash=10_000, leverage=20, time=day, debug=True
    )
    account.mark(SOL, 100.0)
    assert account.fill(SOL, 400.0, 100.0).refusal is None
    assert account.risk(SOL).initial == near(0.05 * 40_000)
    before = account.liquidation_price(SOL)
    account.clock(day + HOUR)
    assert account.risk(SOL).initial == near(0.525 * 40_000)
    assert account.risk(SOL).maintenance == near(0.03 * 40_000)
    assert account.liquidation_price(SOL) == before
    refusal = account.fill(SOL, 10.0, 100.0).refusal
    assert refusal is not None
    assert refusal.reason == "margin"
    assert account.fill(SOL, -400.0, 100.0).refusal is None


def test_an_isolated_position_brings_the_fraction_in_force() -> None:
    account = btm.Account(
        v4(open_interest={SOL: 70e6}), cash=30_000, margin_mode="isolated", leverage=20,
        time=LARGE_1_2, debug=True,
    )  # fmt: skip
    account.mark(SOL, 100.0)
    account.fill(SOL, -400.0, 100.0, fee=lambda size, price: 0.0)
    assert account.position(SOL).pool.balance == near(0.525 * 40_000)
    assert account.liquidation_price(SOL) == near((40_000 + 21_000) / 400 / 1.03)


def test_a_chosen_leverage_above_the_base_is_refused() -> None:
    with pytest.raises(btm.errors.LeverageError, match="50"):
        opened(v4(), "cross", 0.1, 51, LARGE_1_2)
    with pytest.raises(btm.errors.LeverageError, match="20"):
        opened(v4(), "cross", 0.1, 21, LARGE_3)


def test_funding_is_paid_on_the_hour_at_the_oracle_price_of_the_stamp() -> None:
    account = opened(v4(), "isolated", 1.0, 10, LARGE_3)
    stamps = [FundingStamp(LARGE_3, 0.0001, 49_000.0), FundingStamp(LARGE_3 + HOUR, 0.0001)]
    lived(account, (50_000.0,) * 4, stamps=stamps)
    assert account.ledger.totals["funding"] == near(-4.9)


@pytest.mark.parametrize(
    ("mode", "equity"), [("isolated", 300.0), ("cross", 1_000.0 - 0.0005 * 3_000)]
)
def test_in_backtrader_the_crash_is_the_same(mode: str, equity: float) -> None:
    """2024-01-01: 3 %. 30 from 100 at 10x; worth less than 10,000, so 1,000 of it go, the rest lives on."""
    fall = (3_000 - equity) / (30 * 0.97)
    bars = frame([flat(100), flat(100), (100, 100, fall * 0.9995, 100), flat(100)])
    done = play({BTC: bars}, {0: buy(30, BTC)}, mode, venue=v4(), cash=1_000)
    assert done.liquidations == [(2, BTC, near(fall))]
    assert done.size(BTC) == pytest.approx(30 - 1_000 / fall, abs=1e-4)


# -- v3: everything is handed over -----------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mode", "equity"), [("isolated", 5_000.0), ("cross", 10_000.0)])
def test_v3_hands_the_account_over_at_the_close_price(mode: str, equity: float, side: int) -> None:
    account = opened(v3(), mode, side * 1.0, 10, 0)
    price = expected(side, 0.03, equity)
    assert account.liquidation_price(BTC) == near(price)
    far = price * (1 - side * 0.01)
    lived(account, (50_000.0, max(far, 50_000.0), min(far, 50_000.0), 50_000.0))
    (taken,) = kinds(account, "liquidation")
    assert taken.price == near(close_price(side, price, 0.03 * price, 0.03 * price, 0.03))
    assert taken.price == near(50_000 - side * equity)
    assert account.wallet() == near(10_000 - equity)
    assert account.ledger.totals["liquidation_fee"] == 0
    assert not kinds(account, "shortfall")


def test_v3_closes_two_positions_at_prices_that_share_the_equity_by_requirement() -> None:
    account = opened(v3(), "cross", 1.0, 10, 0)
    account.mark(SOL, 100.0)
    account.fill(SOL, -300.0, 100.0, fee=lambda size, price: 0.0)
    gap = 41_500.0
    lived(account, (gap, gap, gap, gap))
    equity, need = 1_500.0, 0.03 * gap + 0.05 * 30_000
    found = {e.symbol: e.price for e in kinds(account, "liquidation")}
    assert found[BTC] == near(close_price(1, gap, equity, need, 0.03))
    assert found[SOL] == near(close_price(-300, 100.0, equity, need, 0.05))
    assert account.wallet() == near(0)
    assert not kinds(account, "shortfall")


@pytest.mark.parametrize("mode", MODES)
def test_v3_below_zero_the_fund_pays(mode: str) -> None:
    account = opened(v3(), mode, 1.0, 10, 0)
    lived(account, (39_000.0,) * 4)
    (short,) = kinds(account, "shortfall")
    assert short.amount == near({"isolated": 6_000, "cross": 1_000}[mode])
    assert account.wallet() == near({"isolated": 5_000, "cross": 0}[mode])


def test_v3_asks_for_more_margin_the_larger_the_position() -> None:
    account = btm.Account(v3(), cash=100_000, leverage=20, time=0, debug=True)
    account.mark(BTC, 50_000.0)
    assert account.fill(BTC, 9.0, 50_000.0).refusal is None
    assert account.risk(BTC).initial == near(0.05 * 450_000)
    assert account.fill(BTC, 3.0, 50_000.0).refusal is None
    assert account.risk(BTC).initial == near(0.07 * 600_000)
    assert account.risk(BTC).maintenance == near(0.03 * 600_000)
    refusal = account.fill(BTC, 10.0, 50_000.0).refusal
    assert refusal is not None
    assert refusal.reason == "margin"
    alone = btm.Account(v3(), cash=100_000, margin_mode="isolated", leverage=20, time=0, debug=True)
    alone.mark(BTC, 50_000.0)
    alone.fill(BTC, 12.0, 50_000.0)
    assert alone.position(BTC).pool.balance == near(0.07 * 600_000)
