"""The liquidation price is where equity meets maintenance, exactly, for every kind of position."""

from __future__ import annotations

from fractions import Fraction

import pytest
from core.exact import BTC_2026, amounts, contracts, fractions, prices, quantities, sizes, tables
from hypothesis import assume, given
from hypothesis import strategies as st

from bt_margin.core import (
    Contract,
    Leg,
    TierTable,
    bankruptcy_price,
    initial,
    liquidation_price,
    liquidation_price_at,
)
from bt_margin.errors import InputError

PAIR = Contract("X", multiplier=1)
legs_of_any_kind = st.builds(Leg, contracts(), sizes, prices, tables())
stepped_legs = st.builds(Leg, contracts(), sizes, prices, tables(stepped=True))
rates = fractions(0, Fraction(1, 20), 200)


def health(leg: Leg, balance: Fraction, price: Fraction, fee_rate: Fraction | int = 0) -> Fraction:
    """The readable definition: equity minus requirement at a price."""
    notional = leg.contract.notional(leg.size, price)
    needed = leg.table.maintenance(notional) + notional * fee_rate
    return balance + leg.contract.pnl(leg.size, leg.entry, price) - needed  # type: ignore[return-value]  # exact


def gains_upwards(leg: Leg) -> bool:
    return leg.size > 0


def sample_prices() -> list[Fraction]:
    return [Fraction(n, 10) for n in (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 100_000)]


@given(legs_of_any_kind, amounts, rates, quantities)
def test_equity_equals_maintenance_at_the_liquidation_price(
    leg: Leg, balance: Fraction, fee_rate: Fraction, reserve: Fraction
) -> None:
    """trap 11: one function, and price ↔ equity = requirement is its law, in every tier."""
    found = liquidation_price([leg], balance, fee_rate=fee_rate, fee_reserve=reserve)
    assume(found is not None and found != leg.entry)
    assert health(leg, balance - reserve, found, fee_rate) == 0
    beyond = found * Fraction(99 if gains_upwards(leg) else 101, 100)
    assert health(leg, balance - reserve, beyond, fee_rate) < 0


@given(legs_of_any_kind, fractions(0, 3))
def test_none_means_that_no_price_can_liquidate(leg: Leg, paid: Fraction) -> None:
    """trap 15: no liquidation price is a statement about all prices, never a missing number."""
    balance = leg.contract.notional(leg.size, leg.entry) * paid
    if liquidation_price([leg], balance) is None:
        assert all(health(leg, balance, price) > 0 for price in sample_prices())
        assert paid >= 1
    else:
        assert paid < 1 or (leg.size < 0) == (leg.contract.kind == "linear")


@given(legs_of_any_kind, amounts)
def test_a_number_is_a_price_above_zero(leg: Leg, balance: Fraction) -> None:
    found = liquidation_price([leg], balance)
    assert found is None or found > 0


@given(stepped_legs, amounts)
def test_nothing_between_entry_and_a_stepped_liquidation_price_is_in_breach(
    leg: Leg, balance: Fraction
) -> None:
    assume(health(leg, balance, leg.entry) > 0)
    found = liquidation_price([leg], balance)
    tried = sample_prices()
    if found is not None:
        tried = [leg.entry + (found - leg.entry) * Fraction(n, 20) for n in range(1, 20)]
    assert all(health(leg, balance, price) > 0 for price in tried)
    if found is not None:
        on = health(leg, balance, found)
        past = found + (found - leg.entry) * Fraction(1, 10**9)
        assert on == 0 or health(leg, balance, past) <= 0


@given(quantities, prices, tables(), amounts)
def test_an_inverse_short_is_a_linear_long_seen_in_one_over_price(
    quantity: Fraction, entry: Fraction, table: TierTable, balance: Fraction
) -> None:
    """The mirror of the two kinds: short inverse at p is long linear at 1/p, and the reverse."""
    coin = Contract("X", kind="inverse", multiplier=1)
    for side in (1, -1):
        linear = liquidation_price([Leg(PAIR, side * quantity, entry, table)], balance)
        inverse = liquidation_price([Leg(coin, -side * quantity, 1 / entry, table)], balance)
        assert inverse == (None if linear is None else 1 / linear)


@given(legs_of_any_kind, amounts, amounts, fractions(0, 900))
def test_one_position_in_a_cross_pool_with_only_its_margin_is_isolated(
    leg: Leg, margin: Fraction, unrealised: Fraction, demand: Fraction
) -> None:
    """What the others gain and demand is the same as more or less balance."""
    wallet = margin - unrealised + demand
    cross = liquidation_price([leg], wallet, other_maintenance=demand, other_unrealised=unrealised)
    assert cross == liquidation_price([leg], margin)


@given(legs_of_any_kind, amounts)
def test_the_closed_form_agrees_in_the_tier_of_the_result(leg: Leg, balance: Fraction) -> None:
    """trap 11: two ways to ask, one answer."""
    found = liquidation_price([leg], balance)
    assume(found is not None and found != leg.entry)
    contract, size, entry, table = leg
    tier = table.at(contract.notional(size, found))
    given_tier = (tier.mmr, tier.deduction)
    assert liquidation_price_at(contract, size, entry, balance, *given_tier) == found


@given(legs_of_any_kind, fractions(1, 5_000))
def test_equity_is_zero_at_the_bankruptcy_price(leg: Leg, balance: Fraction) -> None:
    found = bankruptcy_price([leg], balance)
    if found is None:
        assert all(leg.contract.pnl(leg.size, leg.entry, p) + balance > 0 for p in sample_prices())
    else:
        assert leg.contract.pnl(leg.size, leg.entry, found) + balance == 0


@given(legs_of_any_kind, fractions(1, 5_000))
def test_liquidation_comes_before_bankruptcy(leg: Leg, balance: Fraction) -> None:
    liquidated, bankrupt = (f([leg], balance) for f in (liquidation_price, bankruptcy_price))
    if bankrupt is not None:
        assert liquidated is not None
        assert (liquidated >= bankrupt) if leg.size > 0 else (liquidated <= bankrupt)


@given(contracts(), quantities, quantities, prices, prices, tables(), amounts)
def test_hedged_legs_share_one_price(
    contract: Contract,
    bought: Fraction,
    sold: Fraction,
    one: Fraction,
    two: Fraction,
    table: TierTable,
    balance: Fraction,
) -> None:
    long, short = Leg(contract, bought, one, table), Leg(contract, -sold, two, table)
    found = liquidation_price([long, short], balance)
    assert found == liquidation_price([short, long], balance) or bought == sold
    start = (long if bought >= sold else short).entry
    if found is not None and found != start:
        assert health(long, balance, found) + health(short, Fraction(0), found) == 0
    if found is None:
        for price in sample_prices():
            assert health(long, balance, price) + health(short, Fraction(0), price) > 0


def test_the_mark_picks_between_the_two_prices_of_a_hedge() -> None:
    """A hedge nearly flat runs into its own requirement far above and loses far below."""
    table = TierTable.flat(Fraction(1, 10))
    legs = [Leg(PAIR, 10, 100, table), Leg(PAIR, -7, 100, table)]
    low = liquidation_price(legs, 250, mark=100)
    assert low == Fraction(50, 3 - Fraction(17, 10))
    rising = TierTable.of([(2_000, Fraction(1, 10), 0), (None, Fraction(1, 2), None)])
    legs = [Leg(PAIR, 10, 100, rising), Leg(PAIR, -7, 100, rising)]
    assert liquidation_price(legs, 250, mark=100) == low
    high = liquidation_price(legs, 250, mark=250)
    assert high is not None
    assert high > 250
    assert sum(health(leg, Fraction(125), high) for leg in legs) == 0


def test_a_winning_short_moves_the_others_liquidation_price_away() -> None:
    """trap 2: long A, short B; B falls, so A's liquidation price must fall too."""
    table = TierTable.of([(50_000, 0.004, 0), (250_000, 0.005, 50), (None, 0.01, 1_300)])
    long = Leg(PAIR, 1, 50_000, table)
    short = Leg(Contract("B", multiplier=1), -10, 3_000, table)

    def with_b_at(mark: float) -> float:
        found = liquidation_price(
            [long],
            10_000,
            other_maintenance=table.maintenance(short.contract.notional(short.size, mark)),
            other_unrealised=short.contract.pnl(short.size, short.entry, mark),
        )
        assert found is not None
        return found

    assert with_b_at(2_500) < with_b_at(3_000) < with_b_at(3_500)
    assert with_b_at(3_000) - with_b_at(2_500) == pytest.approx(5_020 / 0.996, rel=1e-3)


def test_maintenance_is_taken_at_mark_and_not_at_entry() -> None:
    """trap 5: the closed forms of both definitions differ; ours is the one at mark."""
    size, entry, balance, mmr = Fraction(1), Fraction(100), Fraction(10), Fraction(1, 20)
    ours = liquidation_price([Leg(PAIR, size, entry, TierTable.flat(mmr))], balance)
    assert ours == (entry - balance) / (1 - mmr)
    assert ours != entry - balance + entry * mmr  # at entry


@given(quantities, prices, st.sampled_from([1, -1]), amounts)
def test_the_multiplier_is_part_of_the_size(
    quantity: Fraction, entry: Fraction, side: int, balance: Fraction
) -> None:
    """trap 13: ten contracts of a tenth are one contract of one."""
    for kind in ("linear", "inverse"):
        small = Contract("X", kind=kind, multiplier=Fraction(1, 10))  # type: ignore[arg-type]  # both
        plain = Contract("X", kind=kind, multiplier=Fraction(1))  # type: ignore[arg-type]  # both
        table = TierTable.of([(100, Fraction(1, 50), 0), (None, Fraction(1, 20), None)])
        assert liquidation_price(
            [Leg(small, 10 * side * quantity, entry, table)], balance
        ) == liquidation_price([Leg(plain, side * quantity, entry, table)], balance)


@pytest.mark.parametrize("table", [TierTable.flat(0), TierTable.flat(Fraction(1, 200))])
def test_an_inverse_short_at_1x_has_no_finite_liquidation_price(table: TierTable) -> None:
    """trap 14: no exception, no infinity, no zero: None, and bankruptcy likewise."""
    coin = Contract("X", kind="inverse", multiplier=100)
    short = Leg(coin, Fraction(-10), Fraction(20_000), table)
    posted = initial(coin.notional(short.size, short.entry), 1)
    assert liquidation_price([short], posted) is None
    assert bankruptcy_price([short], posted) is None
    nearly = posted * Fraction(9, 10)
    assert liquidation_price([short], nearly) is not None
    assert liquidation_price_at(*short[:3], posted, Fraction(1, 200)) is None


def test_a_fully_paid_long_has_none_but_a_short_at_1x_has_one() -> None:
    """trap 14, trap 24: a linear long at 1x is safe, a linear short at 1x is not."""
    table = TierTable.flat(Fraction(1, 100))
    assert liquidation_price([Leg(PAIR, 1, 100, table)], 100) is None
    assert bankruptcy_price([Leg(PAIR, 1, 100, table)], 100) is None
    short = [Leg(PAIR, -1, Fraction(100), table)]
    assert liquidation_price(short, 100) == Fraction(20_000, 101)
    assert bankruptcy_price(short, 100) == 200


def test_a_perfect_hedge_can_only_die_of_its_own_requirement() -> None:
    """Equal legs gain nothing from the price, but maintenance of both grows with it."""
    table = TierTable.flat(Fraction(1, 10))
    legs = [Leg(PAIR, 1, Fraction(100), table), Leg(PAIR, -1, Fraction(100), table)]
    assert liquidation_price(legs, 40) == 200
    assert bankruptcy_price(legs, 40) is None
    free = [leg._replace(table=TierTable.flat(0)) for leg in legs]
    assert liquidation_price(free, 40) is None


def test_fees_inside_the_requirement_bring_liquidation_nearer() -> None:
    """trap 12: golden number: 10x long of 1 at 30,000 with 0.5 % and 0.055 % taker inside."""
    long = [Leg(PAIR, 1, 30_000, TierTable.flat(0.005))]
    assert liquidation_price(long, 3_000) == pytest.approx(27_000 / 0.995)
    assert liquidation_price(long, 3_000, fee_rate=0.00055) == pytest.approx(27_000 / 0.99445)
    assert liquidation_price(long, 3_000, fee_reserve=14.85) == pytest.approx(27_014.85 / 0.995)


def test_a_pool_already_in_breach_gets_the_price_that_would_save_it() -> None:
    """trap 15: in breach is never answered with None, which would read as safe."""
    table = TierTable.flat(Fraction(1, 10))
    assert liquidation_price([Leg(PAIR, 1, 100, table)], 1) == Fraction(110)
    assert liquidation_price([Leg(PAIR, -1, 100, table)], 1) == Fraction(1_010, 11)
    doomed = Leg(PAIR, -1, 100, table)
    assert liquidation_price([doomed], -150) == 100
    assert liquidation_price([doomed], -150, mark=90) == 90


def test_the_tier_is_the_one_at_the_liquidation_price_not_at_entry() -> None:
    """A short that runs up through an edge is judged with the rate it arrives in."""
    short = Leg(PAIR, -10, 29_000, BTC_2026)  # 290,000 at entry is tier 1, above 300,000 tier 2
    found = liquidation_price([short], 29_000)
    assert found is not None
    tier = BTC_2026.at(10 * found)
    assert (tier.mmr, tier.deduction) == (0.005, 300)
    assert found == pytest.approx((29_000 + 290_000 + 300) / (10 * 1.005))


def test_an_edge_where_the_requirement_jumps_is_itself_the_price() -> None:
    table = TierTable.of([(1_200, 0.01, 0), (None, 0.5, 0)], stepped=True)
    assert liquidation_price([Leg(PAIR, -10, 100, table)], 500) == 120
    assert liquidation_price([Leg(PAIR, 10, 110, table)], 300, mark=110) == pytest.approx(800 / 9.9)
    assert liquidation_price([Leg(PAIR, 10, 115, TierTable.flat(0))], 1_150) is None


def test_legs_without_size_are_ignored() -> None:
    table = TierTable.flat(0.01)
    empty = Leg(PAIR, 0, 0, table)
    full = Leg(PAIR, 1, 100, table)
    assert liquidation_price([], 100) is None
    assert liquidation_price([empty], 100) is None
    assert bankruptcy_price([empty], 100) is None
    assert liquidation_price_at(PAIR, 0, 0, 100, 0.01) is None
    assert liquidation_price([empty, full], 10) == liquidation_price([full], 10)


@pytest.mark.parametrize(
    ("size", "balance", "mmr", "found"),
    [
        (1, 10, 0, 90),
        (-1, 10, 0, 110),
        (Fraction(-1, 2), 10, 0, 120),
        (1, 99, 0, 1),
        (1, Fraction(199, 2), 0, Fraction(1, 2)),
        (-1, -99, 0, 1),
        (-1, Fraction(-199, 2), 0, Fraction(1, 2)),
        (1, 100, 0, None),
        (-1, -100, 0, None),
        (1, 200, 1, None),
        (1, 50, 1, None),
        (1, 200, Fraction(1, 10), None),
    ],
    ids=str,
)
def test_the_closed_form_has_a_price_wherever_it_is_above_zero(
    size: Fraction, balance: Fraction, mmr: Fraction, found: Fraction | None
) -> None:
    """Entry 100: also where the slope or what is needed is one or next to nothing; None at 0 or below."""
    assert liquidation_price_at(PAIR, size, 100, balance, mmr) == found


@given(legs_of_any_kind, amounts, rates, quantities, amounts, amounts)
def test_the_closed_form_counts_fees_and_the_rest_of_the_pool_alike(
    leg: Leg,
    balance: Fraction,
    fee_rate: Fraction,
    reserve: Fraction,
    demand: Fraction,
    gain: Fraction,
) -> None:
    contract, size, entry, _ = leg
    table = TierTable.flat(Fraction(1, 20))
    pool = {"other_maintenance": demand, "other_unrealised": gain}
    pool |= {"fee_rate": fee_rate, "fee_reserve": reserve}
    found = liquidation_price_at(contract, size, entry, balance, Fraction(1, 20), **pool)
    assume(found is not None)
    rest = balance - reserve - demand + gain
    assert health(Leg(contract, size, entry, table), rest, found, fee_rate) == 0


def test_legs_of_two_symbols_are_refused() -> None:
    legs = [Leg(Contract(name), 1, 100, TierTable.flat(0.01)) for name in ("A", "B")]
    with pytest.raises(InputError, match="several contracts: found A, B"):
        liquidation_price(legs, 10)
    with pytest.raises(InputError, match="several contracts"):
        bankruptcy_price(legs, 10)


def test_two_slopes_that_cancel_give_no_price_however_far() -> None:
    """0.3 long against 0.1 short: in the last tier of 50 % equity and requirement rise alike."""
    table = TierTable.of([(100_000, 0.004, 0), (None, 0.5, None)])
    legs = [Leg(Contract("X"), size, 50_000, table) for size in (0.3, -0.1)]
    price = liquidation_price(legs, balance=1_000_000)
    assert price is None or price < 1e12
