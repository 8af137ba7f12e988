"""Levels, margin level, rollovers, oldest first, partial sales: what Kraken's venues are made of."""

from __future__ import annotations

from fractions import Fraction as F
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.funding_accrual import accrued_payment
from bt_margin.core.liquidation import Leg, bankruptcy_price, liquidation_price
from bt_margin.core.tiers import Tier, TierTable
from bt_margin.errors import InputError
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_by_level import (
    ByLevel,
    ByLevelAlone,
    by_parts,
    initial_rate,
    level,
    level_table,
    opening_share,
)
from bt_margin.venues.margin_level import MarginLevel, margin_level, used_margin
from bt_margin.venues.oldest_first import OldestFirst
from bt_margin.venues.partial_sale import PartialSale
from bt_margin.venues.policies import Breach, Closing, Exposed
from bt_margin.venues.rollover import RolloverFees, completed, margin_fees, opening_cost, started

HOUR = 3_600_000
ROWS = [(1_000, F(1, 50), F(1, 100)), (4_000, F(1, 25), F(1, 50)), (None, F(1, 10), F(1, 20))]
LEVELS: Any = level_table(ROWS)
STEPS: Any = level_table(ROWS, marginal=False)
LINEAR = Contract("X/USD:USD", multiplier=1, settle="USD")
INVERSE = Contract("X/USD:X", "inverse", 1, "X")
SIDES = [1, -1]


def held(
    contract: Contract, size: Any, entry: Any = F(100), leverage: Any = F(10), limits: Any = LEVELS
) -> Held:
    return Held(contract, size, entry, leverage, limits, 0, False)


def naive(value: Any) -> F:
    """Maintenance counted level by level, by hand."""
    first, second = min(value, 1_000), min(max(value - 1_000, 0), 3_000)
    return F(first, 100) + F(second, 50) + F(max(value - 4_000, 0), 20)


fractions = st.fractions(min_value=F(1, 100), max_value=100, max_denominator=100)
sizes = fractions.map(lambda f: f * 100)
sides = st.sampled_from(SIDES)

# -- by level ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("value", "mmr"),
    [
        (F(1), 1),
        (F(1_000), 1),
        (F(1_000) + F(1, 9), 2),
        (F(4_000), 2),
        (F(4_001), 5),
        (F(10**9), 5),
    ],
)
def test_a_linear_position_is_in_the_level_of_its_value_at_the_mark(
    side: int, value: F, mmr: int
) -> None:
    """Whole: the rate of the level holds for all of it; an edge belongs to the level below it."""
    position = held(LINEAR, side * value / 50, entry=F(3), limits=STEPS)
    whole = {"marginal": False}
    assert ByLevel(**whole).requirement(position).maintenance(value) == value * F(mmr, 100)
    assert ByLevelAlone(**whole).initial(position, F(50)) == value * F(2 * mmr, 100)
    for limits in (STEPS, LEVELS):
        assert level(position._replace(limits=limits), F(50)).mmr == F(mmr, 100)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("size", "mmr"), [(1, 1), (1_000, 1), (1_001, 2), (4_000, 2), (4_001, 5)])
@pytest.mark.parametrize("price", [F(1), F(100), F(100_000)])
def test_an_inverse_position_is_in_the_level_of_its_contracts_at_every_price(
    side: int, size: int, mmr: int, price: F
) -> None:
    rule, position = ByLevelAlone(marginal=False), held(INVERSE, F(side * size), limits=STEPS)
    coins = F(size) / price
    assert rule.requirement(position).maintenance(coins) == coins * F(mmr, 100)
    assert rule.initial(position, price) == coins * F(2 * mmr, 100)
    assert level(position._replace(limits=LEVELS), price).mmr == F(mmr, 100)


values = st.fractions(min_value=F(1, 100), max_value=20_000, max_denominator=100)


@given(value=values, price=fractions, side=sides)
def test_each_part_of_a_position_pays_the_rates_of_its_level(value: F, price: F, side: int) -> None:
    linear, inverse = held(LINEAR, side * value / price), held(INVERSE, side * value)
    for rule in (ByLevel(), ByLevelAlone()):
        assert rule.requirement(linear).maintenance(value) == naive(value)
        assert rule.requirement(inverse).maintenance(value / price) == naive(value) / price
        for limits in (LEVELS, STEPS):  # rates are rates, however they are written down
            assert rule.requirement(linear._replace(limits=limits)) == LEVELS
    assert ByLevelAlone().initial(linear, price) == 2 * naive(value)
    assert ByLevelAlone().initial(inverse, price) == 2 * naive(value) / price
    assert ByLevelAlone().initial(inverse._replace(limits=STEPS), price) == 2 * naive(value) / price


@given(value=values, price=fractions, side=sides)
def test_the_two_readings_agree_in_the_first_level_and_nowhere_else(
    value: F, price: F, side: int
) -> None:
    for contract, size in ((LINEAR, value / price), (INVERSE, value)):
        parts, whole = (held(contract, side * size, limits=table) for table in (LEVELS, STEPS))
        notional = parts.value(price)
        needs = [
            ByLevelAlone().requirement(parts).maintenance(notional),
            ByLevelAlone(marginal=False).requirement(whole).maintenance(notional),
        ]
        asked = [
            ByLevelAlone().initial(parts, price),
            ByLevelAlone(marginal=False).initial(whole, price),
        ]
        assert (needs[0] == needs[1]) == (asked[0] == asked[1]) == (value <= 1_000)
        assert needs[0] <= needs[1]


def test_by_parts_neither_margin_jumps_at_an_edge_and_both_rise() -> None:
    table, hair = ByLevel().requirement(held(LINEAR, F(1))), F(1, 10**9)
    assert not table.stepped
    for edge in (1_000, 4_000):
        above = table.maintenance(edge + hair) - table.maintenance(edge)
        assert 0 < above <= F(1, 20) * hair
        assert 0 < opening_share(LEVELS, edge + hair) - opening_share(LEVELS, edge) <= hair / 10
    steps = [F(n) * 50 for n in range(1, 200)]
    for margin in (table.maintenance, lambda value: opening_share(LEVELS, value)):
        asked = [margin(value) for value in steps]
        assert all(low < high for low, high in pairwise(asked))
    average = [
        ByLevelAlone().requirement(held(INVERSE, F(n) * 50)).tiers[0].mmr for n in range(1, 200)
    ]
    assert all(low <= high for low, high in pairwise(average))
    assert average[19] == F(1, 100) < average[20] < average[-1] < F(1, 20)


def test_deductions_are_derived_edge_by_edge_and_kept_where_they_are_stated() -> None:
    assert [tier.deduction for tier in by_parts(STEPS).tiers] == [0, 10, 130]
    assert [tier.max_leverage for tier in by_parts(STEPS).tiers] == [50, 25, 10]
    own = TierTable.of([(1_000, F(1, 100), 0), (None, F(1, 50), F(10_001, 1_000))])
    assert by_parts(own) is own
    assert ByLevel().requirement(held(LINEAR, F(1), limits=own)) is own


def test_as_a_whole_the_requirement_jumps_at_an_edge_and_nowhere_falls() -> None:
    table = ByLevel(marginal=False).requirement(held(LINEAR, F(1), limits=STEPS))
    assert table.stepped
    edge = F(1_000)
    assert table.maintenance(edge) == 10
    assert table.maintenance(edge + F(1, 10**6)) > 20
    values = [F(n) * 50 for n in range(1, 200)]
    needs = [table.maintenance(value) for value in values]
    assert all(low < high for low, high in pairwise(needs))


@given(size=sizes, price=fractions, leverage=st.fractions(1, 200, max_denominator=10), side=sides)
def test_initial_margin_is_the_larger_of_the_level_and_the_leverage(
    size: F, price: F, leverage: F, side: int
) -> None:
    notional = size * price
    for marginal, table in ((True, LEVELS), (False, STEPS)):
        position = held(LINEAR, side * size, leverage=leverage, limits=table)
        asked = ByLevel(marginal=marginal).initial(position, price)
        levels = ByLevelAlone(marginal=marginal).initial(position, price)
        assert levels == 2 * table.maintenance(notional)
        assert asked == max(levels, notional / leverage)
    assert levels == notional * initial_rate(level(position, price))


def test_a_level_states_its_initial_rate_or_it_is_twice_the_maintenance_rate() -> None:
    assert initial_rate(Tier(0, 10, F(1, 40), 0, F(25))) == F(1, 25)
    assert initial_rate(Tier(0, 10, F(1, 40))) == F(1, 20)
    table = level_table([(1, None, F(1, 100)), (None, F(1, 25), F(1, 50))])
    assert [t.max_leverage for t in table.tiers] == [None, 25]


@pytest.mark.parametrize("rule", [ByLevel, ByLevelAlone])
def test_only_the_largest_position_caps(rule: Any) -> None:
    own = rule({"X/USD:USD": 7, "X/USD:X": 500})
    for leverage in (F(1), F(50)):
        assert own.cap(held(LINEAR, F(1), leverage=leverage), F(20)) == 140
        assert own.cap(held(INVERSE, F(1), leverage=leverage), F(20)) == 25
    assert rule().cap(held(LINEAR, F(1)), F(20)) == float("inf")
    assert (own.plain, own.reads_balance) == (False, False)


@given(size=sizes, wallet=fractions, side=sides)
def test_equity_meets_maintenance_at_the_linear_price(size: F, wallet: F, side: int) -> None:
    """LP = (σ·q·EP − B) / (q·(σ − mmr)), or the edge where the requirement jumps over the equity."""
    position = held(LINEAR, side * size, limits=STEPS)
    table = ByLevel(marginal=False).requirement(position)
    price = liquidation_price([Leg(LINEAR, side * size, F(100), table)], wallet)
    if price is None:
        return
    mark: Any = price
    equity = wallet + LINEAR.pnl(side * size, 100, mark)
    need = table.maintenance(size * mark)
    above = table.maintenance(size * mark + F(1, 10**9))
    assert equity == need or need <= equity <= above or wallet <= table.maintenance(size * 100)


@given(size=sizes, wallet=fractions, side=sides)
def test_by_parts_equity_is_the_requirement_at_the_linear_price(
    size: F, wallet: F, side: int
) -> None:
    """LP = (σ·q·EP − B − deduction) / (q·(σ − mmr)) with the level the position ends in."""
    table = ByLevel().requirement(held(LINEAR, side * size))
    wallet = wallet * 10 + naive(size * 100)  # healthy at the entry
    price: Any = liquidation_price([Leg(LINEAR, side * size, F(100), table)], wallet)
    if price is None:
        assert side > 0
        return
    tier = LEVELS.at(size * price)
    assert price == (side * size * 100 - wallet - tier.deduction) / (size * (side - tier.mmr))
    assert wallet + LINEAR.pnl(side * size, 100, price) == naive(size * price)


@pytest.mark.parametrize("marginal", [True, False])
@given(size=st.integers(1, 6_000), wallet=fractions, side=sides)
def test_equity_meets_maintenance_at_the_inverse_price(
    marginal: bool, size: int, wallet: F, side: int
) -> None:
    """LP = size·(1 + σ·mmr) / (size/EP + σ·WB), bankruptcy = size / (size/EP + σ·WB)."""
    mmr = naive(F(size)) / size if marginal else STEPS.at(size).mmr
    limits = LEVELS if marginal else STEPS
    rule, position = ByLevelAlone(marginal=marginal), held(INVERSE, F(side * size), limits=limits)
    table = rule.requirement(position)
    leg = Leg(INVERSE, F(side * size), F(100), table)
    below: Any = F(size) / 100 + side * wallet
    price, ruin = liquidation_price([leg], wallet), bankruptcy_price([leg], wallet)
    if below <= 0:
        assert (price, ruin) == (None, None)
    else:
        assert (price, ruin) == (size * (1 + side * mmr) / below, size / below)


# -- margin level ------------------------------------------------------------------------------------


@given(size=sizes, entry=fractions, price=fractions, leverage=st.fractions(1, 10), stop=fractions)
def test_a_long_uses_margin_of_its_cost_and_a_short_of_its_coins(
    size: F, entry: F, price: F, leverage: F, stop: F
) -> None:
    long, short = (held(LINEAR, side * size, entry, leverage) for side in SIDES)
    assert used_margin(long, price) == size * entry / leverage
    assert used_margin(short, price) == size * price / leverage
    assert MarginLevel(F(1)).initial(long, price) == used_margin(long, price)
    stop = stop / 200  # below any leverage
    for position in (long, short):
        table = MarginLevel(stop).requirement(position)
        assert table.maintenance(size * price) == stop * used_margin(position, price)
    assert MarginLevel(stop).cap(long, price) == float("inf")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("stop", [F(2, 5), F(4, 5)])
def test_the_level_at_the_liquidation_price_is_the_stop(side: int, stop: F) -> None:
    position = held(LINEAR, F(side * 2), F(20_000), F(5))
    table = MarginLevel(stop).requirement(position)
    price: Any = liquidation_price([Leg(LINEAR, F(side * 2), F(20_000), table)], F(10_000))
    equity = 10_000 + side * 2 * (price - 20_000)
    assert margin_level(equity, used_margin(position, price)) == stop


def test_no_used_margin_is_an_infinite_level() -> None:
    assert margin_level(0, 0) == float("inf")


# -- rollovers ---------------------------------------------------------------------------------------

FEES = RolloverFees(
    4 * HOUR, {"BTC": ((0, 0.0001),), "USD": ((0, 0.0002), (100 * HOUR, 0.00025))}, 0.0003
)


def carried(symbol: str, size: float, opened: int = 0, entry: float = 100.0) -> Carried:
    return Carried(symbol, Contract.parse(symbol), size, entry, 120.0, opened, 5.0)


def charged(position: Carried, since: int, until: int) -> float:
    due = FEES.due(PoolView(0.0, (position,), False), since, until)
    assert all(charge.symbol == position.symbol for charge in due)
    return sum(charge.amount for charge in due)


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [(0, 3, 0), (0, 4, 1), (3, 4, 1), (4, 7, 0), (4, 8, 1), (0, 25, 6), (1, 2, 0), (8, 8, 0)],
)
def test_a_rollover_is_charged_when_its_four_hours_are_over(
    since: int, until: int, count: int
) -> None:
    paid = charged(carried("BTC/USD", 2.0), since * HOUR, until * HOUR)
    assert paid == pytest.approx(count * 200 * 0.0002)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=12), st.integers(0, 500))
def test_rollovers_do_not_depend_on_how_time_is_cut(cuts: list[int], opened: int) -> None:
    position = carried("BTC/USD", 1.0, opened * HOUR // 10)
    times = [0, *(cut * HOUR // 10 for cut in sorted(cuts))]
    parts = sum(charged(position, a, b) for a, b in pairwise(times))
    whole = charged(position, 0, times[-1])
    assert parts == pytest.approx(whole)
    held_for = max(0, times[-1] - position.opened)
    fee, total = FEES.on_opening(position), margin_fees(100.0, 0.0002, held_for)
    assert fee + whole == pytest.approx(total)


def test_nothing_is_due_before_the_opening() -> None:
    position = carried("BTC/USD", 1.0, opened=10 * HOUR)
    assert charged(position, 0, 10 * HOUR) == 0
    assert charged(position, 0, 14 * HOUR) == pytest.approx(100 * 0.0002)


def test_a_long_borrows_the_quote_and_a_short_the_base() -> None:
    assert FEES.rate(carried("BTC/USD", 1.0)) == 0.0002
    assert FEES.rate(carried("BTC/USD", -1.0)) == 0.0001
    assert FEES.rate(carried("ETH/USD", -1.0)) == 0.0003
    assert FEES.rate(carried("BTC/USD:USD", 1.0)) == 0.0002


def test_the_rate_is_locked_at_the_opening() -> None:
    before, after = (carried("BTC/USD", 1.0, hours * HOUR) for hours in (99, 100))
    assert (FEES.rate(before), FEES.rate(after)) == (0.0002, 0.00025)
    assert charged(before, 1_000 * HOUR, 1_003 * HOUR) == pytest.approx(100 * 0.0002)
    assert FEES.on_opening(after) == pytest.approx(100 * 0.00025)


def test_fees_are_on_the_cost_not_on_the_value() -> None:
    assert FEES.on_opening(carried("BTC/USD", -3.0, entry=50.0)) == pytest.approx(150 * 0.0001)


@pytest.mark.parametrize(
    ("hours", "ours", "freqtrade"),
    [(0, 1, 1), (F(1, 6), 1, 2), (4, 2, 2), (5, 2, 3), (8, 3, 3), (25, 7, 8)],
)
def test_two_conventions_of_counting(hours: Any, ours: int, freqtrade: int) -> None:
    assert margin_fees(60, F(1, 4000), hours, 4) == 60 * F(ours, 4000)
    assert margin_fees(60, F(1, 4000), hours, 4, periods=started) == 60 * F(freqtrade, 4000)
    assert started(hours, 4) - completed(hours, 4) in (0, 1)


def test_opening_costs_both_fees_on_the_same_cost() -> None:
    assert opening_cost(F(1000), F(26, 10_000), F(2, 10_000)) == F(28, 10)


@given(size=sizes, mark=fractions, rate=fractions, share=st.fractions(0, 1), side=sides)
def test_the_parts_of_an_hour_add_up_to_its_funding(
    size: F, mark: F, rate: F, share: F, side: int
) -> None:
    for contract in (LINEAR, INVERSE):
        whole = accrued_payment(contract, side * size, mark, rate, F(1))
        first = accrued_payment(contract, side * size, mark, rate, share)
        assert first + accrued_payment(contract, side * size, mark, rate, 1 - share) == whole
        assert whole == -side * contract.notional(size, mark) * rate


# -- oldest first ------------------------------------------------------------------------------------


def exposed(
    symbol: str, notional: Any, opened: int = 0, loss: Any = 0, need: Any = F(1, 100)
) -> Exposed:
    table = need if isinstance(need, TierTable) else TierTable.flat(need)
    return Exposed(
        symbol, Contract(symbol, multiplier=1), notional / 100, 100, loss, table, opened=opened
    )


def breach(*positions: Exposed, equity: Any, cost: Any = 0) -> Breach:
    need = sum(p.table.maintenance(p.notional) for p in positions)
    return Breach(equity, need, positions, {p.key: cost for p in positions}, {})


OLD, MID, NEW = (exposed(name, F(1_000), opened) for name, opened in [("O", 1), ("M", 2), ("N", 3)])


@pytest.mark.parametrize(
    ("equity", "names"),
    [
        (29, "OM"),
        (50, "OM"),
        (51, "O"),
        (60, "O"),
        (26, "OM"),
        (25, "OMN"),
        (0, "OMN"),
        (-5, "OMN"),
    ],
)
def test_the_oldest_go_until_the_level_is_above_the_target(equity: int, names: str) -> None:
    """Each asks for 10. After n sales (3 − n)·10 must be below 0.4 · equity."""
    closings = OldestFirst(F(2, 5)).choose(breach(NEW, OLD, MID, equity=F(equity)))
    assert "".join(c.symbol for c in closings) == names
    assert all(c == Closing(c.symbol, 1.0, "sale") for c in closings)


def test_neither_pair_nor_result_matters_only_age() -> None:
    winner = exposed("W", F(10), 1, loss=-500)
    loser = exposed("L", F(100_000), 2, loss=900)
    first, *_ = OldestFirst(0.4).choose(breach(loser, winner, equity=F(1)))
    assert first.symbol == "W"
    twins = [exposed(name, F(1_000), 7) for name in "BA"]
    assert [c.symbol for c in OldestFirst(0.4).choose(breach(*twins, equity=F(0)))] == ["A", "B"]


def test_the_costs_of_the_sales_count() -> None:
    free = OldestFirst(0.4).choose(breach(OLD, MID, equity=F(26)))
    dear = OldestFirst(0.4).choose(breach(OLD, MID, equity=F(26), cost=F(1, 100)))
    assert [len(free), len(dear)] == [1, 2]


@pytest.mark.parametrize("target", [0, -1, 1.1, float("nan")])
def test_a_level_target_is_a_fraction(target: float) -> None:
    with pytest.raises(InputError, match="target"):
        OldestFirst(target)
    assert (OldestFirst(1).settle, OldestFirst(1).residual) == ("sale", "trader")


# -- partial sales -----------------------------------------------------------------------------------


def after(state: Breach, closing: Closing) -> tuple[Any, Any]:
    """Equity and maintenance when the closing has been booked."""
    equity, need = state.equity, F(0)
    for p in state.positions:
        part = closing.fraction if p.key == closing.symbol else F(0)
        equity -= p.notional * part * state.cost[p.key]
        rest = p.notional * (1 - part)
        need += p.table.maintenance(rest) if part < 1 else 0
    return equity, need


@pytest.mark.parametrize("cost", [F(0), F(1, 2000), F(1, 500)])
@pytest.mark.parametrize("notional", [F(900), F(1_000), F(1_001), F(3_000), F(9_000)])
@pytest.mark.parametrize("health", [F(1), F(99, 100), F(1, 2)])
@pytest.mark.parametrize("table", [LEVELS, STEPS], ids=["parts", "whole"])
def test_a_partial_sale_is_the_smallest_that_restores_the_target(
    cost: F, notional: F, health: F, table: TierTable
) -> None:
    state = breach(
        exposed("X", notional, loss=1, need=table),
        equity=table.maintenance(notional) * health,
        cost=cost,
    )
    (closing,) = PartialSale(target=0.9, smallest=1.0).choose(state)
    assert 0 < closing.fraction < 1
    more, less = (closing._replace(fraction=closing.fraction + off) for off in (1e-9, -1e-9))
    equity, need = after(state, more)
    assert need <= equity * 0.9
    if closing.fraction == pytest.approx(0.1):
        return  # the least that is sold
    assert closing.fraction > 0.1
    equity, need = after(state, less)
    assert need > equity * 0.9


def test_a_position_in_its_lowest_level_is_cut_too() -> None:
    state = breach(exposed("X", F(1_000), loss=1), equity=F(10))
    (closing,) = PartialSale(0.9).choose(state)
    assert closing.fraction == pytest.approx(0.1)


@pytest.mark.parametrize("notional", [F(3_000), F(9_000), F(50_000)])
def test_sales_of_parts_end_and_each_restores_the_target(notional: F) -> None:
    """On a continuous table a position goes down level by level, and a breach by a hair costs a tenth."""
    table, equity, sold = LEVELS, LEVELS.maintenance(notional) * F(999, 1000), 0
    while notional and sold < 200:
        state = breach(exposed("X", notional, loss=1, need=table), equity=equity)
        (closing,) = PartialSale(target=0.9).choose(state)
        assert closing.fraction >= 0.1 - 1e-12
        notional = notional * (1 - F(closing.fraction))
        assert table.maintenance(notional) <= equity * F(9, 10) * (1 + F(1, 10**9))
        equity, sold = table.maintenance(notional) * F(999, 1000), sold + 1
    assert notional == 0
    assert sold < 100


@pytest.mark.parametrize("over", [0.0, 1e-13, 1e-6, 1.0])
def test_a_position_at_the_edge_of_a_level_is_cut_by_a_tenth_not_by_a_hair(over: float) -> None:
    """A short that has grown to 1,000: a hair less would do, until the price moves by a hair."""
    notional = 1_000.0 + over
    state = breach(exposed("X", notional, loss=1, need=STEPS), equity=15.0)
    assert state.maintenance == pytest.approx(20.0 if over else 10.0, abs=0.03)
    (closing,) = PartialSale().choose(state)
    assert closing.fraction == pytest.approx(0.1)


def test_the_largest_loss_is_cut_first_and_whole_when_that_is_not_enough() -> None:
    small, large = exposed("S", F(1_000), loss=1), exposed("L", F(1_000), loss=2)
    (closing,) = PartialSale().choose(breach(small, large, equity=F(19)))
    assert closing.symbol == "L"
    assert 0 < closing.fraction < 1
    (closing,) = PartialSale().choose(breach(small, large, equity=F(5)))
    assert closing == Closing("L", 1.0, "sale")


@pytest.mark.parametrize("equity", [0, -5])
def test_without_equity_everything_goes(equity: int) -> None:
    state = breach(exposed("X", F(1_000), loss=1), equity=F(equity))
    assert PartialSale().choose(state) == (Closing("X", 1.0, "sale"),)


def test_a_small_rest_goes_with_the_sale() -> None:
    state = breach(exposed("X", F(10), loss=1), equity=F(1, 10))
    assert PartialSale(smallest=9.5).choose(state) == (Closing("X", 1.0, "sale"),)
    (closing,) = PartialSale(smallest=8.0).choose(state)
    assert closing.fraction < 1


def test_a_sale_that_costs_more_than_it_frees_is_whole() -> None:
    state = breach(exposed("X", F(1_000), loss=1), equity=F(10), cost=F(1, 10))
    assert PartialSale().choose(state) == (Closing("X", 1.0, "sale"),)


@pytest.mark.parametrize("target", [0, 1, -1, float("nan")])
def test_a_sale_target_lies_between_zero_and_one(target: float) -> None:
    with pytest.raises(InputError, match="target"):
        PartialSale(target)
    assert (PartialSale().settle, PartialSale().residual) == ("sale", "trader")
