"""Traps 30 to 41: what a liquidation may take, what comes back, and what an order may lock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories.world import A, account, buy, flat, frame, lines, near, play, sell

from bt_margin.venues.policies import FullClose

MODES = ["cross", "isolated"]
GAP = frame([flat(100), flat(100), flat(80), flat(80)])


@pytest.mark.parametrize("policy", [FullClose("sale", "trader"), FullClose("takeover", "fund")])
@pytest.mark.parametrize("fee", [0.0, 0.02])
@pytest.mark.parametrize("slippage", [0.0, 0.03])
@pytest.mark.parametrize("side", [1, -1])
def test_an_isolated_position_never_loses_more_than_was_posted(
    policy: Any, fee: float, slippage: float, side: int
) -> None:
    """trap 30: 100 posted, the price gaps by 20 %: exactly 100 are gone, never 200."""
    played = play(
        frame([flat(100), flat(100), flat(100 - 20 * side)]),
        {0: buy(10 * side)},
        mode="isolated",
        policy=policy,
        liquidation_fee=fee,
        liquidation_slippage=slippage,
    )
    assert played.broker.account.equity() == near(900)


def test_a_gap_is_booked_at_the_gap_and_the_fund_pays_the_difference() -> None:
    """trap 31: sold at 80, not at 90.45; the 100 beyond bankruptcy is a visible shortfall."""
    played = play(GAP, {0: buy(10)}, mode="isolated")
    assert played.liquidations == [(2, A, near(80))]
    (shortfall,) = played.kinds("shortfall")
    assert abs(shortfall.amount) == near(100)
    paid = sum(entry.amount for entry in played.broker.account.ledger if entry.kind == "insurance")
    assert paid == near(100)


@pytest.mark.parametrize("mode", MODES)
def test_no_account_goes_below_zero(mode: str) -> None:
    """trap 32: 10,000 notional on 1,000 gaps to 80: 1,000 short, on the fund's book."""
    played = play(GAP, {0: buy(100)}, mode=mode)
    account_ = played.broker.account
    assert account_.equity() == 0
    assert account_.wallet() == 0
    assert sum(e.amount for e in account_.ledger if e.kind == "insurance") == near(1_000)
    assert all(seen.value >= 0 for seen in played.strategy.told)
    assert 0 < played.broker.getvalue() < 0.01


@pytest.mark.parametrize(
    ("policy", "price", "back"),
    [
        (FullClose("sale", "trader"), 90 / 0.995, 0.05 * 90 / 0.995),
        (FullClose("sale", "fund"), 90 / 0.995, 0.0),
        (FullClose("takeover", "fund"), 90.0, 0.0),
    ],
)
def test_the_residual_goes_where_the_venue_says(policy: Any, price: float, back: float) -> None:
    """trap 33: 4.52 of maintenance is left at the crossing; back to the trader or to the fund."""
    played = play(
        frame([flat(100), flat(100), (100, 100, 85, 85)]),
        {0: buy(10)},
        mode="isolated",
        policy=policy,
    )
    assert played.liquidations == [(2, A, near(price))]
    assert played.broker.account.equity() == near(900 + back)


@pytest.mark.parametrize("mode", MODES)
def test_a_round_trip_at_one_price_costs_the_fees(mode: str) -> None:
    """trap 34: opened at 100, marked at 95, closed at 100: 2 × 1,000 × 0.05 % and nothing else."""
    one = account(mode, taker_fee=0.0005)
    one.mark(A, 100)
    one.fill(A, 10, 100)
    one.mark(A, 95)
    assert one.equity() == near(1_000 - 50 - 0.5)
    one.mark(A, 100)
    one.fill(A, -10, 100)
    assert one.equity() == one.wallet() == one.available() == near(999)


@pytest.mark.parametrize("mode", MODES)
def test_a_reversal_realises_the_closed_part(mode: str) -> None:
    """trap 35: 10 long at 100, 15 sold at 110: 100 realised, 5 short at 110, no money lost."""
    one = account(mode)
    one.mark(A, 100)
    one.fill(A, 10, 100)
    one.mark(A, 110)
    fill = one.fill(A, -15, 110)
    assert (fill.closed, fill.opened, fill.realised) == (-10, -5, near(100))
    assert (one.positions[A].size, one.positions[A].entry) == (-5, 110)
    one.mark(A, 108)
    assert one.equity() == near(1_000 + 100 + 10)
    assert sum(e.amount for e in one.ledger if e.kind == "realised") == near(100)


@pytest.mark.parametrize("mode", MODES)
def test_a_hundred_small_fills_are_one_large_one(mode: str) -> None:
    """trap 36: margin depends on the position, not on how many fills made it."""
    books = []
    for times, size in ((1, 1.0), (100, 0.01)):
        one = account(mode, taker_fee=0.0005)
        one.mark(A, 100)
        for _ in range(times):
            one.fill(A, size, 100)
        books.append((one.initial(), one.maintenance(), one.available(), one.equity()))
    assert books[0] == near(books[1])
    assert books[0][0] == near(10)


@pytest.mark.parametrize("mode", MODES)
def test_reduce_only_and_closing_orders_need_no_margin(mode: str) -> None:
    """trap 37: nothing is available, yet a resting reduce-only order locks none and closing works."""
    falling = [flat(100), flat(100), (100, 100, 95, 95), flat(95), flat(95)]
    played = play(
        frame(falling),
        {
            0: buy(100),
            2: lines(sell(50, limit=120, reduce_only=True), sell(40, reduce_only=True)),
            3: lambda strategy: strategy.close(),
        },
        mode=mode,
    )
    told = played.strategy.told
    assert told[2].cash == 0
    assert told[3].size == 60
    assert told[4].size == 0
    assert not [s for _, _, s in played.strategy.orders if s in ("Margin", "Rejected")]
    assert played.broker.account.equity() == near(500)


@pytest.mark.parametrize("mode", MODES)
def test_two_orders_of_one_bar_share_the_margin(mode: str) -> None:
    """trap 38: 6,000 and 5,000 on 10,000 of buying power: the second is refused, not the first."""
    played = play(frame([flat(100)] * 3), {0: lines(buy(60), buy(50))}, mode=mode)
    assert played.size() == 60
    last = {order.ref: status for _, order, status in played.strategy.orders}
    assert sorted(last.values()) == ["Completed", "Margin"]
    (event,) = played.kinds("rejected", "refused")
    assert event.reason


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, -1])
def test_the_margin_of_what_is_held_counts_against_more_of_it(mode: str, side: int) -> None:
    """trap 38: 60 held, 50 more would need 1,100 of 1,000; 40 more just fit."""
    for more, accepted in ((50, False), (40, True)):
        one = account(mode)
        one.mark(A, 100)
        one.fill(A, 60 * side, 100)
        assert (one.fill(A, more * side, 100).refusal is None) is accepted


@given(
    parts=st.lists(st.floats(0.001, 0.9), min_size=1, max_size=12),
    price=st.floats(91, 120),
    mode=st.sampled_from(MODES),
)
def test_flat_means_that_nothing_is_used(parts: list[float], price: float, mode: str) -> None:
    """trap 39: after any partial closes the used margin is exactly 0, not minus one ulp."""
    one = account(mode, taker_fee=0.0005)
    one.mark(A, 100)
    one.fill(A, 7.3, 100)
    one.mark(A, price)
    for part in parts:
        one.fill(A, -one.positions[A].size * part, price)
    one.fill(A, -one.positions[A].size, price)
    assert A not in one.positions
    assert one.initial() == 0
    assert one.maintenance() == 0
    assert one.available() == one.equity() == near(one.wallet())


def test_the_smallest_notional_is_money_and_the_lot_is_contracts() -> None:
    """trap 40: 0.001 at 60,000 is 60 USDT and stands; 4 at 1 is 4 USDT, below 5, and does not."""
    rules = {A: {"lot": 0.001, "min_notional": 5}}
    small = play(frame([flat(60_000)] * 3), {0: buy(0.001)}, symbols=rules)
    assert small.size() == near(0.001)
    many = play(frame([flat(1)] * 3), {0: buy(4)}, symbols=rules)
    assert many.size() == 0
    assert many.kinds("rejected", "refused")


@pytest.mark.parametrize("mode", MODES)
def test_an_oversized_reduce_only_fill_counts_only_what_it_closes(mode: str) -> None:
    """trap 41: 15 asked, 10 held: 10 filled, the fee is on 1,100, and no short appears."""
    one = account(mode, taker_fee=0.001)
    one.mark(A, 100)
    one.fill(A, 10, 100)
    one.mark(A, 110)
    fill = one.fill(A, -15, 110, reduce_only=True)
    assert (fill.closed, fill.opened, fill.size) == (-10, 0, 0)
    assert abs(fill.fee) == near(1.1)
    assert fill.realised == near(100)
    assert A not in one.positions
    assert one.equity() == near(1_000 - 1.0 + 100 - 1.1)


def test_an_oversized_reduce_only_order_reports_what_it_filled() -> None:
    """trap 41: the same through backtrader: the order's executed size is what was closed."""
    played = play(
        frame([flat(100)] * 4), {0: buy(10), 1: sell(15, reduce_only=True)}, taker_fee=0.001
    )
    assert played.size() == 0
    _, closing, status = played.strategy.orders[-1]
    assert status == "Canceled"  # the other 5 had nothing to reduce
    assert closing.executed.size == near(-10)
    assert closing.executed.comm == near(1.0)
