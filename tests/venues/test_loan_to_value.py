"""Lending ratios as margin: what is kept is the health factor, what is brought the loan to value."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
from core.exact import fractions
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import lending
from bt_margin.core.contract import Contract
from bt_margin.core.lending import Owed, Supplied
from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.loan_to_value import LoanToValue, StableSupplied
from bt_margin.venues.margin import Held

NAMES = ["A/USDC", "B/USDC", "C/USDC", "D/USDC"]
THRESHOLDS = dict(zip(NAMES, [F(83, 100), F(78, 100), F(41, 100), F(95, 100)], strict=True))
LTVS = dict(zip(NAMES, [F(80, 100), F(73, 100), F(35, 100), F(93, 100)], strict=True))
STABLE_LTV, STABLE_THRESHOLD = F(77, 100), F(80, 100)
RULE = LoanToValue(LTVS, STABLE_LTV, frozenset({"C/USDC"}))
SHARED = StableSupplied(((0, STABLE_THRESHOLD),))


def coin(name: str) -> Contract:
    return Contract(name, multiplier=F(1))


def held(name: str, size: F, leverage: F = F(1_000)) -> Held:
    table = TierTable.flat(1 - THRESHOLDS[name])
    return Held(coin(name), size, F(100), leverage, table, F(0), False)


@st.composite
def pools(draw: st.DrawFn, sides: tuple[int, ...] = (1, -1)) -> PoolView:
    """A balance and one to four positions, in profit or loss."""
    count = draw(st.integers(1, 4))
    positions = []
    for name in NAMES[:count]:
        size = draw(st.sampled_from(sides)) * draw(fractions(F(1, 10), 20))
        entry, mark = draw(fractions(50, 150)), draw(fractions(20, 250))
        positions.append(Carried(name, coin(name), size, entry, mark, 0, 2.0))
    return PoolView(draw(fractions(-500, 3_000)), tuple(positions), count == 1)


def equity_of(pool: PoolView) -> F:
    return F(pool.balance + sum(p.size * (p.mark - p.entry) for p in pool.positions))


def kept(pool: PoolView) -> F:
    rules = [held(p.symbol, p.size) for p in pool.positions]
    tables = [RULE.requirement(one) for one in rules]
    own = sum(
        table.maintenance(p.contract.notional(p.size, p.mark))
        for table, p in zip(tables, pool.positions, strict=True)
    )
    return F(own + SHARED.of(pool, 0))


def brought(pool: PoolView) -> F:
    return F(sum(RULE.initial(held(p.symbol, p.size), p.mark) for p in pool.positions))


def account_of(pool: PoolView) -> lending.AccountData:
    """The same book as the lending protocol sees it."""
    supplied = [
        Supplied(p.size, p.mark, LTVS[p.symbol], THRESHOLDS[p.symbol])
        for p in pool.positions
        if p.size > 0
    ]
    owed = [Owed(-p.size, p.mark) for p in pool.positions if p.size < 0]
    if pool.cash > 0:
        supplied.append(Supplied(pool.cash, F(1), STABLE_LTV, STABLE_THRESHOLD))
    else:
        owed.append(Owed(-pool.cash, F(1)))
    return lending.account_data(supplied, owed)


# -- what must be kept -----------------------------------------------------------------------------


@given(pools())
def test_equity_meets_what_must_be_kept_exactly_where_the_health_factor_is_one(
    pool: PoolView,
) -> None:
    data, equity, need = account_of(pool), equity_of(pool), kept(pool)
    assert equity == data.collateral - data.debt
    if data.debt == 0:
        assert equity >= need
        return
    assert (equity < need) == (data.health < 1)
    assert (equity <= need) == (data.health <= 1)
    assert lending.health_of(equity, need, data.debt) == data.health


@given(fractions(F(1, 10), 20), fractions(50, 150), fractions(1, 4), st.sampled_from(NAMES))
def test_the_engine_s_crossing_is_the_protocol_s_price_for_a_long(
    size: F, entry: F, multiple: F, name: str
) -> None:
    """p = D / (c · LT), with D what the buyer had to borrow."""
    balance = size * entry / (multiple + F(1, 10))
    pool = PoolView(balance, (Carried(name, coin(name), size, entry, entry, 0, 1.0),), True)
    leg = Leg(coin(name), size, entry, RULE.requirement(held(name, size)))
    found = liquidation_price([leg], balance, other_maintenance=SHARED.of(pool, 0), mark=entry)
    if pool.cash >= 0:
        assert found is None
        return
    price = lending.liquidation_price_long(size, -pool.cash, THRESHOLDS[name])
    if price < entry:
        assert found == price


@given(fractions(F(1, 10), 20), fractions(50, 150), fractions(F(1, 2), 3), st.sampled_from(NAMES))
def test_the_engine_s_crossing_is_the_protocol_s_price_for_a_short(
    size: F, entry: F, multiple: F, name: str
) -> None:
    """p = S · LT / x, with S one's own money and what the sale brought."""
    balance = size * entry / multiple
    pool = PoolView(balance, (Carried(name, coin(name), -size, entry, entry, 0, 1.0),), True)
    leg = Leg(coin(name), -size, entry, RULE.requirement(held(name, -size)))
    found = liquidation_price([leg], balance, other_maintenance=SHARED.of(pool, 0), mark=entry)
    assert pool.cash == balance + size * entry
    assert found == lending.liquidation_price_short(size, pool.cash, STABLE_THRESHOLD)


def test_the_stable_s_threshold_changes_on_its_date() -> None:
    rule = StableSupplied(((10, F(8, 10)), (20, F(7, 10))))
    pool = PoolView(F(100), (Carried("X", coin("X"), F(-1), F(100), F(100), 0, 1.0),), True)
    assert [rule.of(pool, ms) for ms in (0, 10, 19, 20)] == [40, 40, 40, 60]


def test_nothing_is_asked_where_the_stable_is_owed_or_nothing_is_open() -> None:
    long = Carried("X", coin("X"), F(3), F(100), F(90), 0, 2.0)
    assert SHARED.of(PoolView(F(100), (long,), True), 0) == 0
    assert SHARED.of(PoolView(F(300), (long,), True), 0) == 0
    assert SHARED.of(PoolView(F(100), (), False), 0) == 0
    assert SHARED.of(PoolView(F(400), (long,), True), 0) == 20


# -- what must be brought --------------------------------------------------------------------------


@given(pools(sides=(1,)))
def test_longs_bring_exactly_what_may_be_borrowed(pool: PoolView) -> None:
    data = account_of(pool)
    lendable = data.collateral * data.ltv
    if pool.cash <= 0:
        assert (equity_of(pool) >= brought(pool)) == (data.debt <= lendable)
    else:
        assert data.debt == 0


@given(pools(sides=(-1,)))
def test_shorts_bring_exactly_what_may_be_borrowed(pool: PoolView) -> None:
    data = account_of(pool)
    assert (equity_of(pool) >= brought(pool)) == (data.debt <= data.collateral * data.ltv)


@given(pools())
def test_a_mixed_book_never_brings_less_than_the_protocol_asks(pool: PoolView) -> None:
    data = account_of(pool)
    if equity_of(pool) >= brought(pool):
        assert data.debt <= data.collateral * data.ltv


def test_a_mixed_book_may_have_to_bring_more_than_the_protocol_asks() -> None:
    """A long of 2,000 with 500 of own money carries a short of 400 whose proceeds repay the stable."""
    pool = PoolView(
        F(500),
        (
            Carried("A/USDC", coin("A/USDC"), F(20), F(100), F(100), 0, 1.0),
            Carried("B/USDC", coin("B/USDC"), F(-4), F(100), F(100), 0, 1.0),
        ),
        False,
    )
    data = account_of(pool)
    assert data.debt == 1_500 < data.collateral * data.ltv == 1_600
    assert brought(pool) == 400 + 400 * F(23, 77) > equity_of(pool)


@pytest.mark.parametrize(("size", "own"), [(F(2), F(40)), (F(-2), F(200) * F(23, 77))])
def test_never_less_than_value_over_leverage(size: F, own: F) -> None:
    assert RULE.initial(held("A/USDC", size, F(10)), F(100)) == own
    assert RULE.initial(held("A/USDC", size, F(2)), F(100)) == 100
    assert RULE.initial(held("A/USDC", size, F(1)), F(110)) == 220


def test_there_is_no_cap_but_for_shorts_of_what_nobody_lends() -> None:
    infinite = float("inf")
    assert RULE.cap(held("A/USDC", F(1)), F(1)) == RULE.cap(held("A/USDC", F(-1)), F(1)) == infinite
    assert RULE.cap(held("C/USDC", F(1)), F(1)) == infinite
    assert RULE.cap(held("C/USDC", F(-1)), F(1)) == 0


def test_an_asset_nobody_told_the_rule_about_is_named() -> None:
    stranger = held("A/USDC", F(1))._replace(contract=Contract("DOGE/USDC"))
    with pytest.raises(InputError, match="DOGE/USDC; tell the venue about its asset: reserves="):
        RULE.initial(stranger, F(1))


def test_the_rule_is_not_the_plain_one_and_does_not_read_the_balance() -> None:
    assert (RULE.plain, RULE.reads_balance) == (False, False)
