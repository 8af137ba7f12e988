"""Liquidation block by block: how much goes, what it costs, when it ends."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.policies import Breach, Closing, Exposed

POLICY = BlockPortions(max_fee=0.015, portion=0.1, smallest=1_000, per_block=100_000)
FEES = Fees(maker=0.0, taker=0.0005, liquidation=0.015)


def exposed(
    symbol: str, notional: float, rate: float = 0.03, side: int = 1, **changes: Any
) -> Exposed:
    row: dict[str, Any] = {"fees": FEES, "lot": None} | changes
    contract = Contract(symbol, lot=row["lot"])
    table = TierTable.flat(rate)
    return Exposed(symbol, contract, side * notional / 100, 100.0, 0.0, table, fees=row["fees"])


def breach(equity: float, *positions: Exposed, slippage: float = 0.0, closed: Any = None) -> Breach:
    need = sum(p.table.maintenance(p.notional) for p in positions)
    cost = {}
    for p in positions:
        fee, side = p.fees.liquidation if p.fees else 0.0, 1 if p.size > 0 else -1
        cost[p.symbol] = slippage + (1 - side * slippage) * fee
    return Breach(equity, need, positions, cost, closed or {})


class End(NamedTuple):
    """What repeated blocks at one price leave."""

    equity: float
    notional: dict[str, float]
    fees: float
    blocks: int


def played(state: Breach, policy: BlockPortions = POLICY) -> End:
    """The policy asked again and again, booked as the engine books sales without slippage."""
    held = {p.symbol: p for p in state.positions}
    equity, fees, blocks = state.equity, 0.0, 0
    while held:
        rows = tuple(held.values())
        now = breach(equity, *rows, closed=dict.fromkeys(held, blocks))
        if blocks and equity >= now.maintenance - 1e-9:
            break
        for closing in policy.choose(now):
            p = held.pop(closing.symbol)
            sold = p.notional * closing.fraction
            fee = max(0.0, min(sold * (closing.fee or 0.0), equity))
            equity, fees = equity - fee, fees + fee
            if closing.fraction < 1:
                held[p.symbol] = p._replace(size=p.size * (1 - closing.fraction))
        blocks += 1
    return End(equity, {s: p.notional for s, p in held.items()}, fees, blocks)


# -- how much goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("notional", "sold"),
    [(50_000, 5_000), (9_000, 1_000), (1_001, 1_000), (1_000, 1_000), (600, 600),
     (1_000_000, 100_000), (5_000_000, 100_000)],
)  # fmt: skip
def test_a_tenth_goes_at_least_a_thousand_at_most_the_limit(
    side: int, notional: float, sold: float
) -> None:
    (closing,) = POLICY.choose(breach(0.029 * notional, exposed("A", notional, side=side)))
    assert closing.fraction * notional == pytest.approx(sold)
    assert (closing.symbol, closing.settle) == ("A", "sale")


def test_what_goes_is_rounded_down_to_steps_and_is_at_least_one() -> None:
    one = exposed("A", 1_990, lot=1.0)
    policy = BlockPortions(max_fee=0.015, portion=0.1, smallest=0, per_block=100_000)
    (closing,) = policy.choose(breach(50, one))
    assert closing.fraction == pytest.approx(1 / 19.9)
    few = exposed("A", 500, lot=1.0)
    (closing,) = policy.choose(breach(14, few))
    assert closing.fraction == pytest.approx(1 / 5)
    (closing,) = policy.choose(breach(1, exposed("A", 80, lot=1.0)))
    assert closing.fraction == 1


def test_positions_share_the_limit_of_a_block_the_largest_first() -> None:
    state = breach(29_000, exposed("A", 500_000), exposed("B", 800_000))
    found = {c.symbol: c.fraction for c in POLICY.choose(state)}
    assert list(found) == ["B", "A"]
    assert found["B"] * 800_000 == pytest.approx(80_000)
    assert found["A"] * 500_000 == pytest.approx(20_000)
    alone = breach(29_000, exposed("A", 500_000), exposed("B", 1_100_000))
    assert [c.symbol for c in POLICY.choose(alone)] == ["B"]


def test_positions_of_one_size_go_by_name() -> None:
    state = breach(5_700, exposed("B", 100_000), exposed("A", 100_000))
    assert [c.symbol for c in POLICY.choose(state)] == ["A", "B"]


def test_a_block_ends_when_the_account_is_healthy() -> None:
    state = breach(5_990, exposed("A", 120_000), exposed("B", 80_000))
    assert [c.symbol for c in POLICY.choose(state)] == ["A"]
    state = breach(5_500, exposed("A", 120_000), exposed("B", 80_000))
    assert [c.symbol for c in POLICY.choose(state)] == ["A", "B"]


# -- what it costs ---------------------------------------------------------------------------------


@given(st.floats(0.0151, 0.03), st.sampled_from((1, -1)))
def test_the_fee_is_the_largest_one_while_the_share_of_the_equity_is_larger(
    left: float, side: int
) -> None:
    (closing,) = POLICY.choose(breach(left * 50_000, exposed("A", 50_000, side=side)))
    assert closing.fee == pytest.approx(0.015)


@given(st.floats(0.0001, 0.015), st.sampled_from((1, -1)), st.sampled_from((0.012, 0.03)))
def test_where_the_fee_takes_the_whole_share_everything_goes_at_once(
    left: float, side: int, rate: float
) -> None:
    left = min(left, rate)
    end = played(breach(left * 50_000, exposed("A", 50_000, rate, side)))
    assert end == End(0.0, {}, left * 50_000, 1)


@given(st.floats(0.019, 0.0299))
def test_a_market_of_three_per_cent_survives_once_enough_is_closed(left: float) -> None:
    """f ≥ (MMF − e) / (MMF − largest fee), in tenths of what is left."""
    end = played(breach(left * 50_000, exposed("A", 50_000)))
    kept = end.notional["A"] / 50_000
    enough = (0.03 - left) / (0.03 - 0.015)
    assert 1 - kept >= enough - 1e-9
    assert 1 - kept / 0.9 < enough + 1e-9
    assert end.fees == pytest.approx(0.015 * (1 - kept) * 50_000)
    assert end.equity >= 0.03 * kept * 50_000 - 1e-6


def test_each_position_pays_by_its_own_requirement() -> None:
    """E = 2,000 of V = 1,200 + 2,400: the shares are 0.67 % and 1.67 % of the notionals."""
    state = breach(2_000, exposed("A", 100_000, 0.012), exposed("B", 80_000, 0.03))
    found = POLICY.choose(state)
    assert [c.fraction for c in found] == pytest.approx([0.1, 0.1])  # B can still be saved
    fees = {c.symbol: c.fee for c in found}
    assert fees["A"] == pytest.approx(2_000 / 3_600 * 0.012)
    assert fees["B"] == pytest.approx(0.015)


def test_a_symbols_own_liquidation_fee_replaces_the_largest() -> None:
    own = Fees(maker=0.0, taker=0.0, liquidation=0.005)
    (closing,) = POLICY.choose(breach(1_450, exposed("A", 50_000, fees=own)))
    assert closing.fee == pytest.approx(0.005)
    (closing,) = POLICY.choose(breach(1_450, exposed("A", 50_000, fees=None)))
    assert closing.fee == pytest.approx(0.015)


@pytest.mark.parametrize("side", [1, -1])
def test_slippage_comes_out_of_the_share_before_the_fee(side: int) -> None:
    one = exposed("A", 50_000, 0.03, side)
    sold = POLICY.sold(breach(1_000, one, slippage=0.01), one, one.size, 1_000, 1_500)
    assert (sold.slipped, sold.fee) == (pytest.approx(500), pytest.approx(500))
    assert sold.fee == sold.owed
    sold = POLICY.sold(breach(1_000, one, slippage=0.002), one, one.size, 1_000, 1_500)
    assert (sold.slipped, sold.owed) == (pytest.approx(100), pytest.approx(900))
    assert sold.fee == pytest.approx(0.015 * 50_000 * (1 - side * 0.002))
    assert sold.quote == pytest.approx(50_000 * (1 - side * 0.002))


def test_where_slippage_and_fee_take_the_share_everything_goes() -> None:
    one = exposed("A", 50_000)
    assert POLICY.choose(breach(1_000, one, slippage=0.002))[0].fraction == pytest.approx(0.1)
    for slippage in (0.006, 0.01, 0.03):
        (closing,) = POLICY.choose(breach(1_000, one, slippage=slippage))
        assert closing == Closing("A", 1.0, "sale", 0.015)  # no more than the pool still holds


@pytest.mark.parametrize("equity", [0.0, -500.0])
def test_without_equity_everything_goes(equity: float) -> None:
    state = breach(equity, exposed("A", 50_000), exposed("B", 20_000, side=-1))
    assert [(c.symbol, c.fraction) for c in POLICY.choose(state)] == [("A", 1.0), ("B", 1.0)]
    end = played(state)
    assert (end.equity, end.fees) == (equity, 0.0)


def test_a_mixed_account_that_cannot_be_saved_ends_with_nothing() -> None:
    state = breach(1_300, exposed("A", 70_000), exposed("B", 60_000, 0.012, side=-1))
    end = played(state)
    assert (end.notional, end.blocks) == ({}, 1)
    assert end.equity == pytest.approx(0, abs=1e-9)
    assert end.fees == pytest.approx(1_300)


def test_after_so_many_blocks_what_is_left_goes_at_its_fee() -> None:
    one = exposed("A", 50_000_000)
    short = BlockPortions(max_fee=0.015, portion=0.1, smallest=1_000, per_block=100_000, blocks=5)
    assert short.choose(breach(1_000_000, one, closed={"A": 4}))[0].fraction < 1
    found = short.choose(breach(1_000_000, one, closed={"A": 5}))
    assert found == (Closing("A", 1.0, "sale", pytest.approx(0.015)),)


@pytest.mark.parametrize(
    "changes",
    [{"portion": 0}, {"portion": 1.1}, {"max_fee": -0.1}, {"max_fee": 1}, {"smallest": -1},
     {"per_block": 0}, {"blocks": 0}],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(changes: dict[str, float]) -> None:
    numbers: Any = {"max_fee": 0.015, "portion": 0.1, "smallest": 1_000, "per_block": 100_000}
    with pytest.raises(InputError):
        BlockPortions(**(numbers | changes))
