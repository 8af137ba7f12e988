"""Liquidation down the tiers: how much is sold at each step, what ends it, and who goes first."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.policies import Breach, Closing, Exposed, TierStepDown
from bt_margin.venues.tier_ladder import TierLadder, net_share

LADDER = TierTable.of([(10_000, 0.005, 0), (50_000, 0.01, None), (None, 0.025, None)])
FEES = Fees(maker=0.0002, taker=0.00055, liquidation=0.00055)
AT_MARK, AT_ENTRY = TierLadder("mark"), TierLadder("entry")


def exposed(
    notional: float,
    loss: float = 100.0,
    *,
    entry: float = 125.0,
    symbol: str = "X",
    side: int = 1,
    leg: str | None = None,
    table: TierTable = LADDER,
) -> Exposed:
    """A position whose value is ``notional`` at its mark of 100."""
    size = side * notional / 100
    contract = Contract(symbol)
    return Exposed(symbol, contract, size, 100.0, loss, table, LADDER, entry, 0, FEES, 10.0, leg)


def breach(*positions: Exposed, equity: float = 1_000.0, cost: float = 0.00055) -> Breach:
    costs = {p.key: cost for p in positions}
    return Breach(equity, equity, positions, costs, {})


def test_the_value_is_at_the_mark_or_at_the_entry() -> None:
    wrong: Any = "index"
    with pytest.raises(InputError, match=r"'index'.*'mark', 'entry'"):
        TierLadder(wrong)
    assert (AT_MARK.settle, AT_MARK.residual) == ("takeover", "fund")


# -- one position ----------------------------------------------------------------------------------


@pytest.mark.parametrize("notional", [1.0, 9_999.0, 10_000.0])
def test_in_the_lowest_tier_the_whole_is_taken_over_with_the_taker_fee(notional: float) -> None:
    assert AT_MARK.choose(breach(exposed(notional))) == (Closing("X", 1.0, "takeover", 0.00055),)


@pytest.mark.parametrize(
    ("notional", "kept"), [(12_000, 10_000), (50_000, 10_000), (80_000, 50_000)]
)
def test_a_higher_tier_sells_down_to_the_cap_below(notional: float, kept: float) -> None:
    (step,) = AT_MARK.choose(breach(exposed(notional)))
    assert (step.symbol, step.settle, step.fee) == ("X", "sale", None)
    assert notional * (1 - step.fraction) == pytest.approx(kept, rel=1e-12)


def test_at_entry_the_tier_is_that_of_the_entry_value() -> None:
    """9,000 at the mark are 11,250 at the entry of 125: the second tier, cut to 10,000 at entry."""
    (step,) = AT_ENTRY.choose(breach(exposed(9_000)))
    assert step.settle == "sale"
    assert 11_250 * (1 - step.fraction) == pytest.approx(10_000, rel=1e-12)
    assert AT_MARK.choose(breach(exposed(9_000)))[0].settle == "takeover"


def test_the_requirement_of_the_position_is_not_its_ladder() -> None:
    """A requirement fixed in money has one tier; the venue's limits have the edges."""
    fixed = exposed(12_000, table=TierTable.fixed(500.0))
    assert AT_MARK.choose(breach(fixed))[0].fraction == pytest.approx(1 / 6)
    bare = fixed._replace(limits=None)
    assert AT_MARK.choose(breach(bare))[0].settle == "takeover"


@given(st.integers(10_001, 10**9), st.sampled_from([AT_MARK, AT_ENTRY]))
def test_a_step_ends_in_the_tier_below_and_never_in_the_same_one(
    notional: int, policy: TierLadder
) -> None:
    p, steps = exposed(float(notional)), 0
    while (closing := policy.choose(breach(p, equity=1e9))[0]).settle == "sale":
        assert 0 < closing.fraction < 1
        p, steps = p._replace(size=p.size * (1 - closing.fraction)), steps + 1
        assert steps <= 2
    assert closing.fraction == 1.0


def test_a_value_that_is_hardly_above_an_edge_stands_on_it() -> None:
    """No sale of less than a millionth: the position falls to the tier below at once."""
    (step,) = AT_MARK.choose(breach(exposed(50_000.04)))
    assert 50_000.04 * (1 - step.fraction) == pytest.approx(10_000)
    assert AT_MARK.choose(breach(exposed(10_000.009)))[0].settle == "takeover"
    (step,) = AT_MARK.choose(breach(exposed(10_000.011)))
    assert step.fraction == pytest.approx(1.1e-6, rel=1e-3)


@given(st.integers(1, 200_000))
def test_at_the_mark_it_steps_as_the_common_ladder_does(notional: int) -> None:
    common = TierStepDown("takeover", "fund")
    pool = breach(exposed(float(notional)), equity=1e9, cost=0.0)
    ours, theirs = AT_MARK.choose(pool)[0], common.choose(pool)[0]
    assert (ours.settle, ours.fraction) == (theirs.settle, pytest.approx(theirs.fraction))


@pytest.mark.parametrize("equity", [-5.0, 0.0, 44.0])
def test_beyond_the_bankruptcy_price_nothing_is_sold_any_more(equity: float) -> None:
    """Closing 80,000 costs 44 in fees: an equity of 44 does not outlive the sale."""
    assert AT_MARK.choose(breach(exposed(80_000), equity=equity))[0].settle == "takeover"
    assert AT_MARK.choose(breach(exposed(80_000), equity=44.01))[0].settle == "sale"


def test_inverse_positions_step_by_their_value_in_coins() -> None:
    coin = Contract("BTC/USD:BTC", "inverse", F(1), "BTC")
    table = TierTable.of([(F(150), F(1, 200), 0), (F(300), F(1, 100), F(3, 4))])
    p = Exposed("BTC/USD:BTC", coin, F(-4_000_000), F(20_000), 1.0, table, table, F(16_000), 0)  # type: ignore[arg-type]  # exact
    (step,) = AT_MARK.choose(Breach(9.0, 9.0, (p,), {"BTC/USD:BTC": 0.0}, {}))
    assert 200 * (1 - step.fraction) == pytest.approx(150)
    (step,) = AT_ENTRY.choose(Breach(9.0, 9.0, (p,), {"BTC/USD:BTC": 0.0}, {}))
    assert 250 * (1 - step.fraction) == pytest.approx(150)


# -- several positions of a cross pool -------------------------------------------------------------


def test_the_largest_loss_goes_first_by_sale_and_the_last_position_is_taken_over() -> None:
    one, two = exposed(8_000, 50.0), exposed(9_000, 70.0, symbol="Y")
    assert AT_MARK.choose(breach(one, two)) == (Closing("Y", 1.0, "sale"),)
    assert AT_MARK.choose(breach(one)) == (Closing("X", 1.0, "takeover", 0.00055),)


def test_a_large_loser_gives_back_a_tier_before_anything_else_is_touched() -> None:
    one, two = exposed(8_000, 50.0), exposed(12_000, 70.0, symbol="Y")
    (step,) = AT_MARK.choose(breach(one, two))
    assert (step.symbol, step.settle) == ("Y", "sale")
    assert step.fraction == pytest.approx(1 / 6)


def test_what_selling_everything_costs_decides_for_the_whole_pool() -> None:
    one, two = exposed(80_000, 50.0), exposed(80_000, 70.0, symbol="Y")
    assert AT_MARK.choose(breach(one, two, equity=88.0))[0].fraction == 1.0
    assert AT_MARK.choose(breach(one, two, equity=88.1))[0].fraction < 1.0


# -- both sides of a symbol ------------------------------------------------------------------------


def test_only_the_uncovered_part_of_a_hedge_is_closed() -> None:
    long = exposed(9_000, -30.0, leg="long")
    short = exposed(6_000, 90.0, side=-1, leg="short")
    pool = breach(long, short)
    assert net_share(long, pool) == pytest.approx(1 / 3)
    assert net_share(short, pool) == 0
    assert AT_MARK.choose(pool) == (Closing("X long", pytest.approx(1 / 3), "sale"),)


def test_the_tier_of_a_hedge_is_that_of_its_net_value() -> None:
    long = exposed(80_000, 30.0, leg="long")
    short = exposed(20_000, -9.0, side=-1, leg="short")
    (step,) = AT_MARK.choose(breach(long, short))
    assert 80_000 * (1 - step.fraction) == pytest.approx(70_000)  # net 60,000 → 50,000


def test_a_perfect_hedge_is_closed_side_by_side() -> None:
    long = exposed(9_000, 90.0, leg="long")
    short = exposed(9_000, -80.0, side=-1, leg="short")
    assert AT_MARK.choose(breach(long, short)) == (Closing("X long", 1.0, "sale"),)


def test_another_symbol_is_no_hedge() -> None:
    long, short = exposed(9_000), exposed(9_000, symbol="Y", side=-1)
    assert net_share(long, breach(long, short)) == 1
    assert net_share(long, breach(long, exposed(500, leg="more"))) == 1


@pytest.mark.parametrize("odds", [0.0004, 0.0009, 0.001, 0.0024])
def test_two_sides_that_differ_by_less_than_a_lot_are_no_exposure(odds: float) -> None:
    """Closing a whole lot of such a difference turns it round, and the next step turns it back."""
    lots = Contract("X", lot=0.001)
    long = Exposed("X", lots, 8.0, 100.0, 5.0, LADDER, LADDER, 120.0, 0, FEES, 10.0, "long")
    short = long._replace(size=-(8.0 + odds), loss=-5.0, leg="short")
    (one,) = AT_MARK.choose(breach(long, short, equity=-1.0))
    wanted = ("X long", 1.0) if odds < 0.001 else ("X short", pytest.approx(odds / (8.0 + odds)))
    assert (one.symbol, one.fraction) == wanted
