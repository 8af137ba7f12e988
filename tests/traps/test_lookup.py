"""Traps 1 to 15: which tier, which price, which multiplier, and what "no liquidation price" is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories.world import LADDER, A, B, account, buy, flat, frame, generic, near, play

import bt_margin as btm
from bt_margin.errors import InputError

BTC, SOL, DOGE = "BTC/USDT:USDT", "SOL/USDT:USDT", "DOGE/USDT:USDT"
DATE = "2026-09-29"


def binance(cash: float, leverage: float, mode: str = "isolated") -> btm.Account:
    """An account on Binance's table of the latest snapshot."""
    return btm.Account(
        venue=btm.venue("binance", as_of=DATE), cash=cash, margin_mode=mode, leverage=leverage
    )


@pytest.mark.parametrize("leverage", [2, 10, 20])
def test_the_tier_is_chosen_by_notional_not_by_collateral(leverage: float) -> None:
    """trap 1: 200,000 DOGE notional has one maintenance, whatever was posted for it."""
    one = binance(200_000, leverage)
    one.mark(DOGE, 0.2)
    one.fill(DOGE, 1_000_000, 0.2)
    table = btm.venue("binance", as_of=DATE).schedule(DOGE).at(one.time)
    assert one.positions[DOGE].maintenance() == near(table.maintenance(200_000))


def test_three_million_of_sol_at_ten_times_falls_at_137_17() -> None:
    """trap 1: 2 % and 11,475 belong to 3,000,000 notional: (0.9 × 3M − 11,475) / (20,000 × 0.98)."""
    one = binance(1_000_000, 10)
    one.mark(SOL, 150)
    assert one.fill(SOL, 20_000, 150).refusal is None
    assert one.liquidation_price(SOL) == near(2_688_525 / 19_600)


def test_a_falling_short_moves_the_long_away_from_liquidation() -> None:
    """trap 2: the profit of a short counts with its own sign in the cross pool."""
    one = account(cash=200)
    for symbol, size, price in ((A, 10, 100), (B, -10, 50)):
        one.mark(symbol, price)
        one.fill(symbol, size, price)
    assert one.liquidation_price(A) == near((1_000 - 200 + 2.5) / 9.95)
    one.mark(B, 40)
    assert one.liquidation_price(A) == near((1_000 - 200 - 100 + 2.0) / 9.95)


def test_the_loss_of_another_leg_liquidates_in_the_bar_it_crosses() -> None:
    """trap 3: no trade of A for hours; it dies with B's mark, at 305 / 9.95."""
    falling = [50, 50, 50, 45, 40, 35, 31, 30, 30]
    moves = [(old, old, new, new) for old, new in pairwise(falling)]
    played = play(
        {A: frame([flat(100)] * 8), B: frame(moves)},
        {0: lambda s: (buy(10)(s), buy(10, B)(s))},
        cash=200,
    )
    assert sorted(played.liquidations) == [(6, A, near(100)), (6, B, near(305 / 9.95))]


@pytest.mark.parametrize("leverage", [2, 10, 50])
def test_maintenance_does_not_depend_on_the_chosen_leverage(leverage: float) -> None:
    """trap 4: 1 at 60,000 needs 300 of maintenance at every leverage; so does the cross ratio."""
    one = account(cash=60_000, leverage=leverage)
    one.mark(A, 60_000)
    one.fill(A, 1, 60_000)
    assert one.maintenance() == near(300)
    assert one.risk(None).ratio == near(0.005)


@pytest.mark.parametrize(("low", "dead"), [(90.48, False), (90.46, False), (90.45, True)])
def test_maintenance_is_taken_at_the_mark_not_at_entry(low: float, dead: bool) -> None:
    """trap 5: at the mark the crossing is 90 / 0.995 = 90.4523; at entry it would be 90.50."""
    played = play(frame([flat(100), flat(100), (100, 100, low, 95)]), {0: buy(10)}, mode="isolated")
    assert played.liquidations == ([(2, A, near(90 / 0.995))] if dead else [])


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_opening_at_full_leverage_is_no_margin_call(mode: str) -> None:
    """trap 6: initial 1,000 and maintenance 50 are two numbers; nothing happens at the entry."""
    played = play(frame([flat(100)] * 4), {0: buy(100)}, mode=mode)
    assert played.size() == 100
    assert played.kinds("margin_call", "breach", "liquidation") == []
    assert played.broker.account.maintenance() == near(50)


def test_each_symbol_has_its_own_ladder() -> None:
    """trap 7: twice 240,000 in the first tier is 2 × 0.5 %, not 480,000 in the second."""
    one = account(cash=4_000, leverage=125, tiers=[(250_000, 0.005, 0), (None, 0.01, 1_250)])
    for symbol in (A, B):
        one.mark(symbol, 1_000)
        assert one.fill(symbol, 240, 1_000).refusal is None
    assert one.maintenance() == near(2_400)
    one.mark(A, 996)
    assert one.equity() == near(3_040)
    assert one.maintenance() == near(2_395.2)  # one ladder over the sum would ask 3,540
    assert one.risk(None).ratio < 1


def test_maintenance_has_no_jump_at_any_edge_of_any_binance_table() -> None:
    """trap 8: one cent below and above each edge differ by no more than rounding."""
    edges = 0
    for symbol, schedule in btm.venue("binance").schedules.items():
        for _, table in schedule.tables:
            for edge in table.edges:
                jump = table.maintenance(edge + 0.01) - table.maintenance(edge - 0.01)
                assert 0 <= jump < 1, (symbol, edge)
                edges += 1
    assert edges > 500


@given(notional=st.floats(0, 3e9))
def test_every_notional_lies_in_exactly_one_tier(notional: float) -> None:
    """trap 9: no holes, no overlaps, in every table that is shipped."""
    for symbol, schedule in btm.venue("binance").schedules.items():
        for _, table in schedule.tables:
            if notional > table.tiers[-1].cap:
                continue
            own = [
                t for t in table.tiers if t.floor < notional <= t.cap or notional == t.floor == 0
            ]
            assert own == [table.at(notional)], (symbol, notional)


def test_a_missing_deduction_is_derived() -> None:
    """trap 9: OKX and Bybit publish none through ccxt; continuity leaves only one."""
    rows = [(cap, rate, None) for cap, rate, _ in LADDER]
    derived = generic(tiers=rows).schedule(A).at(0)
    assert [tier.deduction for tier in derived.tiers] == near([0, 50, 800])


@pytest.mark.parametrize("caps", [(10_000, 10_000, None), (50_000, 10_000, None)])
def test_tiers_that_overlap_are_an_error(caps: tuple[float, ...]) -> None:
    """trap 9: caps that do not rise leave notionals with two tiers or none."""
    with pytest.raises(InputError, match="cap"):
        generic(tiers=[(cap, 0.01 * (i + 1), None) for i, cap in enumerate(caps)])


def test_above_the_last_cap_the_last_tier_goes_on_and_no_order_may_get_there() -> None:
    """trap 10: no crash and no silence: risk is still measured, growing further is refused."""
    one = account(cash=100_000, tiers=[(10_000, 0.005, 0, 50), (50_000, 0.01, 50, 20)], leverage=10)
    one.mark(A, 100)
    refused = one.fill(A, 600, 100)
    assert refused.refusal is not None
    assert one.fill(A, 450, 100).refusal is None
    one.mark(A, 200)  # the position outgrows the table: 90,000
    assert one.maintenance() == near(90_000 * 0.01 - 50)


@given(
    size=st.floats(-400, 400).filter(lambda size: abs(size) > 0.01),
    cash=st.floats(500, 20_000),
    mode=st.sampled_from(["cross", "isolated"]),
)
def test_equity_meets_maintenance_at_the_liquidation_price(
    size: float, cash: float, mode: str
) -> None:
    """trap 11: the number shown and the test that fires are one function."""
    one = account(mode, 8, cash, tiers=LADDER)
    one.mark(A, 100)
    if one.fill(A, size, 100).refusal is not None:
        return
    price = one.liquidation_price(A)
    if price is None:
        return
    inside = price * (1 + 1e-9 if size > 0 else 1 - 1e-9)
    one.mark(A, inside)
    risk = one.risk(A)
    assert risk.equity == near(risk.maintenance, rel=1e-6, abs=1e-5)
    assert A in one.positions
    one.mark(A, price * (1 - 1e-9 if size > 0 else 1 + 1e-9))
    assert A not in one.positions


def test_binance_counts_no_fee_in_the_requirement() -> None:
    """trap 12: 1 BTC at 60,000, 10x: (54,000 − 0) / 0.996; a fee inside would move it."""
    one = binance(10_000, 10)
    one.mark(BTC, 60_000)
    one.fill(BTC, 1, 60_000)
    assert one.liquidation_price(BTC) == near(54_000 / 0.996)
    assert one.bankruptcy_price(BTC) == near(54_000)


def test_binance_takes_a_hopeless_position_over_at_the_bankruptcy_price() -> None:
    """trap 12: the fund settles at 54,000, not at the mark of the crossing; 6,000 are lost."""
    played = play(
        {BTC: frame([flat(60_000), flat(60_000), (60_000, 60_000, 54_100, 55_000)])},
        {0: buy(1, BTC)},
        mode="isolated",
        cash=10_000,
        venue=btm.venue("binance", as_of=DATE),
    )
    (event,) = played.kinds("liquidation")
    assert event.price == near(54_000)
    fees = sum(e.amount for e in played.broker.account.ledger if e.kind == "fee")
    assert played.broker.account.equity() == near(10_000 - 6_000 + fees)
    assert fees == near(-60_000 * 0.0005)


def test_ten_contracts_of_a_tenth_are_one_contract() -> None:
    """trap 13: the multiplier is in the trigger and in the realised leg, bit for bit."""
    books = []
    for size, multiplier in ((10, 1.0), (1, 10.0)):
        played = play(
            frame([flat(100), flat(100), (100, 101, 97, 98), (98, 98, 80, 85)]),
            {0: buy(size), 1: buy(-size * 0.3)},
            mode="isolated",
            symbols={A: {"multiplier": multiplier}},
            taker_fee=0.0005,
            liquidation_fee=0.001,
        )
        assert played.liquidations
        books.append([(e.kind, e.amount) for e in played.broker.account.ledger])
    assert books[0] == books[1]


def test_an_inverse_short_without_leverage_has_no_liquidation_price() -> None:
    """trap 14: 10,000 USD short against 1 BTC owes nothing at any price; no exception, no 0."""
    coin = "BTC/USD:BTC"
    one = account("isolated", 1, 1.001, currency="BTC")
    one.mark(coin, 10_000)
    assert one.fill(coin, -10_000, 10_000).refusal is None
    assert one.liquidation_price(coin) is None
    one.mark(coin, 1_000_000)
    assert one.risk(coin).ratio < 1


def test_a_position_that_cannot_fall_has_no_price_rather_than_zero() -> None:
    """trap 15: unknown or impossible is None, at the account and in the position dict."""
    played = play(frame([flat(100)] * 3), {0: buy(1)})
    assert played.broker.account.liquidation_price(A) is None
    (position,) = played.broker.fetch_positions()
    assert position["liquidationPrice"] is None
