"""Two tiers at a time, or all of it: what a policy by tiers of contracts closes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_by_contracts import ByContracts
from bt_margin.venues.policies import Breach, Closing, Exposed
from bt_margin.venues.tier_cuts import CutByTiers, hedged_pairs, lowest_need

LIMITS = TierTable.of(
    [(10, 0.004, 0), (20, 0.005, 0), (40, 0.01, 0), (60, 0.015, 0), (80, 0.02, 0)], stepped=True
)
FEES = Fees(maker=0.0002, taker=0.0005, liquidation=0.0005)
COIN = Contract("X/USD:X", "inverse", 100, "X")


def exposed(
    symbol: str, size: float, loss: float = 0.0, leg: str | None = None, contract: Any = None
) -> Exposed:
    contract = contract or Contract(symbol, multiplier=0.1)
    table = ByContracts().requirement(
        Held(contract, size, 100, 10, LIMITS, FEES.taker, isolated=False)
    )
    return Exposed(symbol, contract, size, 100.0, loss, table, LIMITS, 100.0, 0, FEES, 10.0, leg)


def breach(*positions: Exposed, equity: float | None = None) -> Breach:
    need = sum(p.table.maintenance(p.notional) for p in positions)
    cost = {p.key: 0.0005 for p in positions}
    return Breach(need if equity is None else equity, need, positions, cost, {})


def kept(size: float, closing: Closing) -> float:
    return abs(size) * (1 - closing.fraction)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("contract", [None, COIN])
@pytest.mark.parametrize(
    ("size", "left"), [(20.1, 10), (40, 10), (40.1, 20), (60, 20), (60.1, 40), (80, 40), (95, 40)]
)
def test_from_tier_three_on_two_tiers_are_cut(
    side: int, contract: Any, size: float, left: float
) -> None:
    one = exposed("A", side * size, contract=contract)
    (closing,) = CutByTiers().choose(breach(one))
    assert (closing.symbol, closing.settle, closing.fee) == ("A", "sale", None)
    assert kept(size, closing) == pytest.approx(left, rel=1e-12)


@pytest.mark.parametrize("size", [0.5, 10, 10.1, 20])
def test_in_the_two_lowest_tiers_all_of_it_is_taken_over(size: float) -> None:
    assert CutByTiers().choose(breach(exposed("A", size))) == (Closing("A", 1.0, "takeover"),)


def test_what_the_lowest_tier_needs_is_the_line_between_a_cut_and_a_takeover() -> None:
    """40 contracts of 0.1 at 100: 400 · (0.4 % + 0.05 %) = 1.8."""
    one = exposed("A", 40)
    assert lowest_need([one]) == pytest.approx(1.8)
    above, at, gone = (CutByTiers().choose(breach(one, equity=e)) for e in (1.8001, 1.7999, -3.0))
    assert above[0].settle == "sale"
    assert at == gone == (Closing("A", 1.0, "takeover"),)


def test_meeting_the_lowest_need_exactly_is_not_above_it() -> None:
    exact = TierTable.of(
        [(10, Fraction(1, 100), 0), (20, Fraction(1, 50), 0), (40, Fraction(1, 25), 0)],
        stepped=True,
    )
    one = exposed("A", 40)._replace(limits=exact, fees=None)
    policy = CutByTiers()
    assert lowest_need([one]) == 4
    assert policy.choose(breach(one, equity=4))[0].settle == "takeover"
    assert policy.choose(breach(one, equity=5))[0].settle == "sale"


def test_the_largest_loser_goes_first_and_whole_ones_are_sold_before_the_last() -> None:
    small, large = exposed("A", 10, loss=5), exposed("B", 80, loss=3)
    assert CutByTiers().choose(breach(small, large)) == (Closing("A", 1.0, "sale"),)
    worse = exposed("B", 80, loss=7)
    (closing,) = CutByTiers().choose(breach(small, worse))
    assert (closing.symbol, closing.settle) == ("B", "sale")
    assert kept(80, closing) == pytest.approx(40)


def test_the_lowest_need_is_that_of_the_whole_pool() -> None:
    """B alone would need 3.6; with A at its side the pool needs 0.45 more."""
    a, b = exposed("A", 10, loss=1), exposed("B", 80, loss=7)
    assert lowest_need([a, b]) == pytest.approx(4.05)
    assert CutByTiers().choose(breach(a, b, equity=4.0)) == (Closing("B", 1.0, "sale"),)
    assert CutByTiers().choose(breach(a, b, equity=4.1))[0].fraction == pytest.approx(0.5)


def test_equal_losses_go_by_name() -> None:
    state = breach(exposed("B", 10, loss=1), exposed("A", 10, loss=1))
    assert CutByTiers().choose(state)[0].symbol == "A"


def test_both_sides_of_a_symbol_are_closed_against_each_other_first() -> None:
    contract = Contract("A", multiplier=0.1)
    long = exposed("A", 80, 9, "long", contract)
    short = exposed("A", -20, -2, "short", contract)
    other = exposed("B", 80, loss=50)
    assert CutByTiers().choose(breach(long, short, other)) == (
        Closing("A long", 0.25, "sale"),
        Closing("A short", 1.0, "sale"),
    )
    assert hedged_pairs([long, other]) == ()
    even = exposed("A", -80, 0, "short", contract)
    assert [c.fraction for c in hedged_pairs([long, even])] == [1, 1]


def test_a_long_and_a_short_of_two_symbols_are_no_pair() -> None:
    assert hedged_pairs([exposed("A", 10), exposed("B", -10)]) == ()


@pytest.mark.parametrize("tiers", [0, -1, 1.5])
def test_tiers_is_a_whole_number_from_one(tiers: Any) -> None:
    with pytest.raises(InputError, match="whole number"):
        CutByTiers(tiers)


@pytest.mark.parametrize(
    ("settle", "residual"), [("takeover", "trader"), ("give", "fund"), ("sale", "house")]
)
def test_an_end_that_cannot_be_is_refused(settle: Any, residual: Any) -> None:
    with pytest.raises(InputError, match="not possible"):
        CutByTiers(2, settle, residual)


def test_one_tier_at_a_time_reaches_the_tier_below() -> None:
    (closing,) = CutByTiers(1).choose(breach(exposed("A", 15)))
    assert kept(15, closing) == pytest.approx(10)


def test_without_a_table_of_contracts_there_is_one_tier() -> None:
    one = exposed("A", 80)._replace(limits=None)
    assert CutByTiers().choose(breach(one)) == (Closing("A", 1.0, "takeover"),)
