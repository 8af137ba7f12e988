"""Liquidation policies as pure choices: what is closed first, how much of it, and how it is settled."""

from __future__ import annotations

from fractions import Fraction as Exact
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.policies import (
    Breach,
    Closing,
    Exposed,
    Fraction,
    FullClose,
    JustEnough,
    LargestLossFirst,
    TierStepDown,
    enough,
)

LADDER = TierTable.of([(10_000, 0.005, 0), (50_000, 0.01, None), (None, 0.025, None)])
FLAT = TierTable.flat(0.01)
COIN = Contract("X/USD:BTC", "inverse", 100.0, "BTC")
KINDS: list[Any] = [FullClose, LargestLossFirst, TierStepDown, Fraction, JustEnough]


def exposed(
    symbol: str, notional: float, loss: float, table: TierTable = FLAT, side: int = 1
) -> Exposed:
    return Exposed(symbol, Contract(symbol), side * notional / 100, 100.0, loss, table)


def breach(*positions: Exposed, equity: float = 0.0, cost: float = 0.0, round_: int = 0) -> Breach:
    need = sum(p.table.maintenance(p.notional) for p in positions)
    return Breach(
        equity,
        need,
        positions,
        {p.symbol: cost for p in positions},
        {p.symbol: round_ for p in positions},
    )


# -- what may be asked for -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", KINDS)
def test_unknown_words_are_refused_with_the_known_ones(policy: Any) -> None:
    with pytest.raises(InputError, match=r"'give'.*'sale', 'takeover'"):
        policy(settle="give", residual="fund")
    with pytest.raises(InputError, match=r"'house'.*'trader', 'fund'"):
        policy(settle="sale", residual="house")


@pytest.mark.parametrize("policy", KINDS)
def test_a_takeover_leaves_nothing_to_the_trader(policy: Any) -> None:
    with pytest.raises(InputError, match="leaves nothing to the trader"):
        policy(settle="takeover", residual="trader")
    assert policy(settle="takeover", residual="fund").residual == "fund"


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_lies_above_zero_and_at_most_one(fraction: float) -> None:
    with pytest.raises(InputError, match="fraction"):
        Fraction(fraction)
    assert Fraction(1.0).fraction == 1


@pytest.mark.parametrize("target", [0, 1, 1.5, -1, float("nan")])
def test_a_target_lies_between_zero_and_one(target: float) -> None:
    with pytest.raises(InputError, match="target"):
        JustEnough(target)


def test_the_notional_of_what_a_policy_sees_is_unsigned_and_of_its_kind() -> None:
    assert exposed("A", 500, 0, side=-1).notional == 500
    assert Exposed("X", COIN, -50, 50_000, 0, FLAT).notional == 0.1


# -- all, or the worst -----------------------------------------------------------------------------


@pytest.mark.parametrize(("settle", "residual"), [("sale", "trader"), ("takeover", "fund")])
def test_full_close_closes_everything_at_once(settle: Any, residual: Any) -> None:
    state = breach(exposed("A", 100, 5), exposed("B", 300, -2))
    assert FullClose(settle, residual).choose(state) == (
        Closing("A", 1.0, settle),
        Closing("B", 1.0, settle),
    )


def test_the_largest_loss_goes_first_whole_and_is_sold() -> None:
    state = breach(exposed("A", 900, 5), exposed("B", 100, 7), exposed("C", 100, -7))
    assert LargestLossFirst("takeover", "fund").choose(state) == (Closing("B", 1.0, "sale"),)


@pytest.mark.parametrize(("settle", "residual"), [("sale", "trader"), ("takeover", "fund")])
def test_the_last_one_goes_as_the_policy_settles(settle: Any, residual: Any) -> None:
    state = breach(exposed("A", 900, 5))
    for policy in (LargestLossFirst, TierStepDown):
        assert policy(settle, residual).choose(state) == (Closing("A", 1.0, settle),)


def test_equal_losses_go_by_name() -> None:
    state = breach(exposed("B", 100, 7), exposed("A", 900, 7))
    assert LargestLossFirst().choose(state)[0].symbol == "A"


# -- tier by tier ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notional", "kept"), [(60_000, 50_000), (50_001, 50_000), (50_000, 10_000), (10_001, 10_000)]
)
def test_the_worst_is_cut_to_the_cap_of_the_next_lower_tier(notional: float, kept: float) -> None:
    state = breach(exposed("A", 100, 1), exposed("B", notional, 9, LADDER), equity=1)
    (closing,) = TierStepDown().choose(state)
    assert (closing.symbol, closing.settle) == ("B", "sale")
    assert notional * (1 - closing.fraction) == pytest.approx(kept)


@pytest.mark.parametrize("notional", [12_000.000000000002, 12_000.5, 39_473.68, 1e9])
def test_what_is_cut_ends_in_the_lower_tier_also_where_a_float_would_end_a_hair_above(
    notional: float,
) -> None:
    stepped = TierTable.of([(1_500, 0.005, 0), (12_000, 0.02, 0), (None, 0.06, 0)], stepped=True)
    (closing,) = TierStepDown().choose(breach(exposed("A", notional, 9, stepped), equity=1))
    assert closing.fraction > 0
    assert stepped.at(notional - notional * closing.fraction).cap == 12_000


def test_from_the_lowest_tier_the_worst_goes_whole() -> None:
    one = exposed("B", 10_000, 9, LADDER)
    policy = TierStepDown("takeover", "fund")
    assert policy.choose(breach(one, equity=1)) == (Closing("B", 1.0, "takeover"),)
    both = breach(one, exposed("A", 100, 1), equity=1)
    assert policy.choose(both) == (Closing("B", 1.0, "sale"),)


@pytest.mark.parametrize("equity", [0.0, -5.0])
def test_without_equity_no_tier_is_worth_stepping_down(equity: float) -> None:
    state = breach(exposed("B", 60_000, 9, LADDER), equity=equity)
    assert TierStepDown("takeover", "fund").choose(state) == (Closing("B", 1.0, "takeover"),)


# -- in equal slices -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "slices"),
    [(0.25, [0.25] * 4), (0.5, [0.5, 0.5]), (0.3, [0.3, 0.3, 0.3, 0.1]), (1.0, [1.0])],
)
def test_slices_are_equal_parts_of_the_size_at_the_beginning(
    fraction: float, slices: list[float]
) -> None:
    policy, left, sold = Fraction(fraction, "takeover", "fund"), 1.0, []
    for round_ in range(len(slices)):
        state = breach(exposed("A", 10_000 * left, 9), equity=1, round_=round_)
        (closing,) = policy.choose(state)
        assert closing.settle == ("takeover" if round_ == len(slices) - 1 else "sale")
        sold.append(left * closing.fraction)
        left -= sold[-1]
    assert sold == pytest.approx(slices)
    assert left == pytest.approx(0)


def test_used_up_slices_and_lost_equity_close_the_rest() -> None:
    pair = (exposed("A", 500, 1), exposed("B", 500, 9))
    assert Fraction(0.25).choose(breach(*pair, equity=1, round_=4)) == (Closing("B", 1.0, "sale"),)
    assert Fraction(0.25).choose(breach(*pair, equity=0)) == (Closing("B", 1.0, "sale"),)


def test_a_rest_too_small_to_keep_is_closed_with_its_slice() -> None:
    policy = Fraction(0.5, "takeover", "fund", smallest=100)
    assert policy.choose(breach(exposed("A", 200, 1), equity=1))[0].fraction == 1
    assert policy.choose(breach(exposed("A", 202, 1), equity=1))[0].fraction == 0.5


# -- just enough -----------------------------------------------------------------------------------


def test_just_enough_of_one_position_by_hand() -> None:
    """50,000 at 1 % − 50 needs 450 of 440: kept·0.01 − 50 = 0.9·440 → 44,600 kept."""
    state = breach(exposed("A", 50_000, 9, LADDER), equity=440)
    (closing,) = JustEnough(0.9).choose(state)
    assert closing.settle == "sale"
    assert 50_000 * (1 - closing.fraction) == pytest.approx(44_600)


def test_the_lowest_tier_is_closed_whole_and_taken_over() -> None:
    state = breach(exposed("A", 10_000, 9, LADDER), equity=49)
    assert JustEnough().choose(state) == (Closing("A", 1.0, "takeover"),)


def test_a_whole_sale_of_the_worst_that_heals_the_pool_keeps_the_rest() -> None:
    """A and B need 50 each of 95; without A: 50 ≤ 0.9·(95 − 10)."""
    pair = (exposed("A", 5_000, 9), exposed("B", 5_000, 1))
    state = breach(*pair, equity=95, cost=0.002)
    assert JustEnough(0.9).choose(state) == (Closing("A", 1.0, "sale"),)


def test_the_rest_is_kept_at_the_target_itself_and_not_above_it() -> None:
    pair = (exposed("A", 5_000, 9), exposed("B", 4_500, 1))
    assert JustEnough(0.5).choose(breach(*pair, equity=90)) == (Closing("A", 1.0, "sale"),)
    over = JustEnough(0.5).choose(breach(*pair, equity=89.9))
    assert over == (Closing("A", 1.0, "takeover"), Closing("B", 1.0, "takeover"))


def test_a_whole_sale_that_costs_all_there_is_saves_nobody() -> None:
    """A costs 100 to sell, 95 are there: everything is taken over."""
    pair = (exposed("A", 5_000, 9), exposed("B", 100, 1))
    state = breach(*pair, equity=50, cost=0.0125)
    assert [c.settle for c in JustEnough().choose(state)] == ["takeover", "takeover"]


def test_a_whole_sale_and_then_a_part_of_the_next_starts_with_the_whole_one() -> None:
    """A flat 5,000 needs 50, B 60,000 of the ladder 700: without A, a part of B is enough."""
    pair = (exposed("A", 5_000, 9), exposed("B", 60_000, 1, LADDER))
    state = breach(*pair, equity=700)
    assert JustEnough().choose(state) == (Closing("A", 1.0, "sale"),)
    second = breach(pair[1], equity=700)
    (closing,) = JustEnough().choose(second)
    assert 0 < closing.fraction < 1


def test_beyond_bankruptcy_everything_is_taken_over() -> None:
    state = breach(exposed("A", 60_000, 9, LADDER), exposed("B", 50, 1), equity=-3)
    assert JustEnough().choose(state) == (
        Closing("A", 1.0, "takeover"),
        Closing("B", 1.0, "takeover"),
    )


def test_as_a_sale_to_the_trader_it_ends_as_a_sale() -> None:
    state = breach(exposed("A", 5_000, 9), equity=1)
    assert JustEnough(0.9, "sale", "trader").choose(state) == (Closing("A", 1.0, "sale"),)


@given(
    notional=st.integers(10_001, 200_000),
    share=st.fractions(Exact(1, 20), 1),
    other=st.integers(0, 300),
    target=st.fractions(Exact(1, 4), Exact(19, 20)),
    cost=st.sampled_from([Exact(0), Exact(1, 1000), Exact(1, 80), Exact(1, 30)]),
)
def test_the_answer_meets_the_target_exactly_and_no_smaller_one_does(
    notional: int, share: Exact, other: int, target: Exact, cost: Exact
) -> None:
    """trap 29, on fractions: at x the ratio is the target; any less sold leaves it above."""
    rows: list[Any] = [
        (10_000, Exact(1, 200), 0),
        (50_000, Exact(1, 100), None),
        (None, Exact(1, 40), None),
    ]
    table: Any = TierTable.of(rows)
    equity: Any = (table.maintenance(notional) + other) * share
    exact: Any = enough
    x = exact(equity, other, notional, table, cost, target)

    def short(sold: Exact) -> Any:
        kept = notional * (1 - sold)
        return table.maintenance(kept) + other - target * (equity - notional * sold * cost)

    assume(short(Exact(0)) > 0)
    grid = [Exact(i, 97) for i in range(98)]
    if x is None:
        assert all(short(s) > 0 for s in grid[:-1])
        return
    assert 0 < x < 1
    assert abs(short(x)) < 1e-12 * notional
    assert all(short(s) > 0 for s in grid if s < x - 1e-12)


def test_nothing_is_enough_without_equity() -> None:
    assert enough(0.0, 0.0, 100.0, FLAT, 0.0, 0.9) is None
    assert enough(-1.0, 0.0, 100.0, FLAT, 0.0, 0.9) is None


def test_what_the_others_need_may_be_too_much() -> None:
    assert enough(100.0, 95.0, 50_000.0, FLAT, 0.0, 0.9) is None
    x = enough(100.0, 80.0, 50_000.0, FLAT, 0.0, 0.9)
    assert x is not None
    assert 50_000 * (1 - x) * 0.01 == pytest.approx(10)


def test_a_sale_that_costs_more_than_it_frees_is_worth_it_only_in_the_tiers_above() -> None:
    """Cost 1.25 %: selling frees 2.5 % above 50,000 and 1 % below; 0.9·(E − cost) decides."""
    x = enough(700.0, 0.0, 60_000.0, LADDER, 0.0125, 0.9)
    assert x is not None
    kept = 60_000 * (1 - x)
    assert kept > 50_000
    assert LADDER.maintenance(kept) == pytest.approx(0.9 * (700 - (60_000 - kept) * 0.0125))
    assert enough(450.0, 0.0, 60_000.0, LADDER, 0.0125, 0.9) is None
