"""Liquidations that need not close everything: tier steps, slices, just enough, and top-ups."""

from __future__ import annotations

from math import nextafter
from typing import Any

import pytest
from engine.bench import KINDS, MODES, SIDES, STEEP, desk, fall, near, steep, three
from hypothesis import given
from hypothesis import strategies as st
from stories.world import LADDER, A, B, C

from bt_margin.core.tiers import TierTable
from bt_margin.engine.liquidation import describe
from bt_margin.venues.policies import (
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
)

# -- partial closings ------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", MODES)
def test_a_tier_step_cuts_to_the_cap_of_the_tier_below(mode: str, side: int) -> None:
    """600 units of 100 on 1,500 at 50x: in the top tier; 50,000 are kept at the new mark."""
    d = desk(mode=mode, leverage=50, cash=1.5, tiers=LADDER, policy=TierStepDown())
    d.fill(600 * side)
    if mode == "isolated":
        d.account.add_margin(A, d.account.available())
    fall(d, side)
    d.account.mark(A, d.p.mark)
    event = d.kinds("liquidation")[0]
    kept = abs(600 * side + event.size) * event.mark
    assert kept == near(50_000)
    assert not event.info["whole"]
    assert event.reason.startswith("part of the ")
    assert d.account.positions[A].table.at(d.p.notional()).cap <= 50_000 * (1 + 1e-9)
    assert [abs(e.size) > 1e-6 for e in d.kinds("liquidation")] == [True]
    assert not d.p.pool.breached()


def test_tier_steps_follow_each_other_down_and_end_whole() -> None:
    d = desk(leverage=50, cash=1.5, tiers=LADDER, liquidation_fee=0.03, policy=TierStepDown())
    d.fill(600)
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    deaths = d.kinds("liquidation")
    kept, size = [], 600.0
    for e in deaths:
        size += e.size
        kept.append(size * e.mark)
    assert kept == near([50_000, 10_000, 0])
    assert d.p.size == 0
    assert d.account.equity() == near(0)


@pytest.mark.parametrize("side", SIDES)
def test_slices_are_equal_and_stop_as_soon_as_the_pool_is_healthy(side: int) -> None:
    d = desk(policy=Fraction(0.2))
    d.fill(95 * side)
    fall(d, side)
    before = d.p.size
    d.account.mark(A, d.p.mark)
    sizes = [e.size for e in d.kinds("liquidation")]
    assert sizes == near([-0.2 * before] * len(sizes))
    assert len(sizes) == 1
    assert d.p.size == near(0.8 * before)


def test_slices_that_cost_more_than_they_free_go_on_to_the_last_in_equal_parts() -> None:
    d = desk(liquidation_fee=0.008, policy=Fraction(0.25))
    d.fill(95)
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    sizes = [e.size for e in d.kinds("liquidation")]
    assert sum(sizes) == near(-95)
    assert sizes[:2] == near([-95 / 4] * 2)
    assert d.p.size == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("fee", [0.0, 0.01])
@pytest.mark.parametrize("slippage", [0.0, 0.003])
def test_just_enough_ends_at_its_target_and_not_beyond(
    kind: str, mode: str, side: int, fee: float, slippage: float
) -> None:
    """trap 29: the ratio after the sale is 0.8 to 1e-9, with fee and slippage paid."""
    d = desk(
        kind, mode, cash=10, leverage=10, tiers=steep(kind), liquidation_fee=fee,
        liquidation_slippage=slippage, policy=JustEnough(0.8),
    )  # fmt: skip
    d.fill(900 * side)
    if mode == "isolated":
        d.account.add_margin(d.symbol, d.account.available())
    fall(d, side)
    d.account.mark(d.symbol, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert d.p.pool.ratio() == near(0.8)
    assert 0 < abs(event.size) < 900 * d.unit
    assert not event.info["whole"]
    assert abs(event.price / event.mark - 1) == near(slippage)


@given(
    size=st.floats(20, 950),
    further=st.floats(0.90, 1.0),
    fee=st.floats(0, 0.02),
    target=st.floats(0.3, 0.95),
)
def test_just_enough_leaves_the_target_or_nothing(
    size: float, further: float, fee: float, target: float
) -> None:
    d = desk(cash=10, tiers=STEEP, liquidation_fee=fee, policy=JustEnough(target))
    d.fill(size)
    d.account.withdraw(d.account.available())
    fall(d, 1, 1 / further)
    d.account.mark(A, d.p.mark)
    if d.p.size:
        assert d.p.pool.ratio() == near(target)
    else:
        assert d.account.equity() == 0


def test_the_lowest_tier_is_closed_whole() -> None:
    d = desk(tiers=STEEP, policy=JustEnough(0.8))
    d.fill(9)
    d.account.withdraw(d.account.available())
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert (event.info["settle"], event.info["whole"]) == ("takeover", True)
    assert d.account.equity() == 0


def test_one_whole_sale_that_heals_a_pool_keeps_the_rest() -> None:
    a = three(JustEnough(0.9), liquidation_fee=0.001)
    a.mark(A, 67.9)
    deaths = [(e.symbol, e.info["settle"]) for e in a.events if e.kind == "liquidation"]
    assert deaths == [(A, "sale")]
    assert set(a.positions) == {B, C}
    assert a.cross.ratio() <= 0.9


@pytest.mark.parametrize(("lot", "sold"), [(None, None), (1.0, 1.0), (0.25, 0.25)])
def test_a_part_is_rounded_up_to_the_lot(lot: float | None, sold: float | None) -> None:
    """Lots: at least as much as the policy wants, on the step, and never more than one step more."""
    d = desk(cash=10, tiers=STEEP, policy=JustEnough(0.8), facts={"lot": lot} if lot else {})
    d.fill(900)
    fall(d, 1)
    want = d.account.venue.liquidation.choose(describe(d.account, d.p.pool, 0))[0].fraction * 900
    d.account.mark(A, d.p.mark)
    size = -d.kinds("liquidation")[0].size
    if lot is None:
        assert size == near(want)
        return
    assert size / lot == near(round(size / lot))
    assert want <= size + 1e-6
    assert size < want + lot
    assert d.p.pool.ratio() <= 0.8 + 1e-9


def test_a_part_that_the_lot_makes_whole_is_whole() -> None:
    d = desk(cash=10, tiers=STEEP, policy=JustEnough(0.8), facts={"lot": 1_000.0})
    d.fill(900)
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    (event,) = d.kinds("liquidation")
    assert (event.size, event.info["whole"]) == (-900, True)


def test_a_whole_number_of_lots_is_not_rounded_to_one_more() -> None:
    """A quarter of 8.4 is 2.1, and 2.1 / 0.3 is 7.000000000000001."""
    d = desk(mode="isolated", policy=Fraction(0.25), facts={"lot": 0.3})
    d.fill(8.4)
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    assert d.kinds("liquidation")[0].size == near(-2.1)


def test_a_position_a_hair_above_the_cap_of_a_tier_is_cut_by_a_lot_and_not_asked_for_ever() -> None:
    """Where requirements jump, a crossing may leave a float above the cap: 12,000.000000000002."""
    table = TierTable.of([(1_500, 0.005, 0), (12_000, 0.02, 0), (None, 0.06, 0)], stepped=True)
    for lot in (None, 1.0):
        d = desk("linear", "isolated", 20, policy=TierStepDown(), facts={"lot": lot} if lot else {})
        d.fill(-120)
        d.p.table = table
        d.account.mark(A, nextafter(100.0, 200.0))
        (event,) = d.kinds("liquidation")
        assert 0 < event.size <= (lot or 1e-6)
        assert not event.info["whole"]
        assert d.p.maintenance() <= 240


# -- top-up ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_top_up_restores_the_initial_margin_and_saves_the_position(kind: str, side: int) -> None:
    d = desk(kind, "isolated", auto_top_up=True)
    d.fill(10 * side)
    fall(d, side)
    needed, total = d.p.initial() - d.p.pool.equity(), d.account.equity()
    d.account.mark(d.symbol, d.p.mark)
    (event,) = d.kinds("top_up")
    assert event.amount == near(needed)
    assert d.p.pool.equity() == near(d.p.initial())
    assert d.account.equity() == near(total)
    assert not d.kinds("breach", "liquidation")
    assert abs(d.p.size) == 10 * d.unit


def test_a_top_up_that_cannot_restore_the_initial_margin_is_not_spent() -> None:
    """What is free would keep the position alive for a moment and then be lost with it."""
    d = desk(mode="isolated", auto_top_up=True)
    d.fill(10)
    d.account.withdraw(d.account.available() - 20)
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    assert not d.kinds("top_up")
    assert len(d.kinds("liquidation")) == 1
    assert d.account.equity() >= 20


@pytest.mark.parametrize("free", [0, 20])
def test_a_top_up_that_does_not_heal_is_not_spent(free: float) -> None:
    d = desk(mode="isolated", auto_top_up=True)
    d.fill(10)
    d.account.withdraw(d.account.available() - free)
    d.mark(0.87)
    assert not d.kinds("top_up")
    assert len(d.kinds("liquidation")) == 1
    assert d.account.cross.balance == free


def test_a_cross_pool_is_never_topped_up() -> None:
    d = desk(auto_top_up=True)
    d.fill(90)
    fall(d, 1)
    d.account.mark(A, d.p.mark)
    assert [e.kind for e in d.account.events[2:]] == ["breach", "liquidation"]


def test_a_top_up_to_the_very_maintenance_is_not_enough() -> None:
    """Mark 90: nothing left, 9 needed, 9 free: that would still be a breach."""
    d = desk(mode="isolated", auto_top_up=True, maintenance_rate=0.01)
    d.fill(10)
    d.account.withdraw(d.account.available() - 9)
    d.mark(0.9)
    assert not d.kinds("top_up")
    assert len(d.kinds("liquidation")) == 1
    assert d.account.cross.balance == 9


def test_a_table_that_steps_is_cut_at_its_steps_too() -> None:
    table = TierTable.of([(5_000, 0.01, 0), (None, 0.05, 0)], stepped=True)
    d = desk(policy=TierStepDown())
    d.p.table = table
    d.fill(90)
    d.mark(0.93)
    assert d.p.size * 93 == near(5_000)


# -- any policy ------------------------------------------------------------------------------------

POLICIES: list[Any] = [
    FullClose(), FullClose("sale", "fund"), FullClose("takeover", "fund"), LargestLossFirst(),
    TierStepDown(), TierStepDown("takeover", "fund"), Fraction(0.3), Fraction(0.3, "takeover", "fund"),
    JustEnough(0.9), JustEnough(0.8, "sale", "trader"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(
    policy=st.sampled_from(POLICIES),
    mode=st.sampled_from(MODES),
    side=st.sampled_from(SIDES),
    size=st.floats(1, 95),
    gap=st.floats(0.01, 0.5),
    fee=st.floats(0, 0.02),
    slippage=st.floats(0, 0.01),
)
def test_after_any_liquidation_the_pool_is_healthy_or_empty_and_the_money_adds_up(
    kind: str,
    policy: Any,
    mode: str,
    side: int,
    size: float,
    gap: float,
    fee: float,
    slippage: float,
) -> None:
    d = desk(
        kind, mode, tiers=steep(kind), liquidation_fee=fee, liquidation_slippage=slippage,
        policy=policy,
    )  # fmt: skip
    d.fill(size * side)
    spare = d.account.equity() - d.posted
    d.mark(1 - gap * side)
    d.account.audit()
    for pool in d.account.pools.values():
        assert not pool.breached()
        assert pool.equity() >= 0
    assert d.account.equity() >= spare - 1e-9
    fees = -d.account.ledger.totals["liquidation_fee"]
    assert fees <= sum(e.fee for e in d.kinds("liquidation")) + 1e-12
    for s in d.kinds("liquidation"):
        assert s.size * side < 0
