"""Liquidation by a close factor: which pair, how much, what it costs, and what is left."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from core.exact import fractions
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import lending
from bt_margin.core.contract import Contract
from bt_margin.core.lending import CloseRule
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError
from bt_margin.venues.close_factor import CloseFactor
from bt_margin.venues.policies import Breach, Closing, Exposed

HALF, LIMIT = F(1, 2), F(95, 100)
OLD = CloseRule(HALF, LIMIT)
NEW = CloseRule(HALF, LIMIT, small=2_000, leftover=1_000, of_total=True)
THRESHOLDS = {"A": F(83, 100), "B": F(78, 100), "C": F(68, 100)}
BONUSES = {"A": F(5, 100), "B": F(6, 100), "C": F(7, 100)}
STABLE, STABLE_THRESHOLD = F(45, 1_000), F(80, 100)
POLICIES = {"3.0": CloseFactor(OLD, STABLE, BONUSES), "3.3": CloseFactor(NEW, STABLE, BONUSES)}


class Book:
    """A lending account: the value of each asset (owed when negative), and cash in the stable."""

    def __init__(self, cash: Any, **values: Any) -> None:
        self.cash = F(cash)
        self.values = {name: F(value) for name, value in values.items()}

    @property
    def equity(self) -> F:
        return self.cash + sum(self.values.values())

    @property
    def debt(self) -> F:
        owed = [-value for value in (self.cash, *self.values.values()) if value < 0]
        return F(sum(owed))

    @property
    def kept(self) -> F:
        longs = sum((1 - THRESHOLDS[n]) * v for n, v in self.values.items() if v > 0)
        return F(longs + max(F(0), self.cash) * (1 - STABLE_THRESHOLD))

    @property
    def health(self) -> Any:
        return lending.health_of(self.equity, self.kept, self.debt)

    def breach(self) -> Breach:
        return Breach(
            self.equity, self.kept, tuple(exposed(n, v) for n, v in self.values.items()), {}, {}
        )

    def after(self, closings: tuple[Closing, ...]) -> Book:
        """The account once the closings are booked: sold or bought back at the mark, less the fee."""
        cash, values = self.cash, dict(self.values)
        for one in closings:
            assert one.settle == "sale"
            moved = values[one.symbol] * F(one.fraction)
            values[one.symbol] -= moved
            cash += moved - abs(moved) * F(one.fee or 0)
        return Book(cash, **{name: value for name, value in values.items() if value})


def exposed(name: str, value: F) -> Exposed:
    table = TierTable.flat(1 - THRESHOLDS[name] if value > 0 else F(0))
    return Exposed(name, Contract(name, multiplier=F(1)), value / 100, F(100), F(0), table)


def at(health: Any, debt: Any = 10_000, asset: str = "A") -> Book:
    """A long bought with borrowed stable, at a health factor."""
    return Book(-debt, **{asset: F(health) * debt / THRESHOLDS[asset]})


def short(health: Any, debt: Any = 10_000) -> Book:
    """An asset sold against the stable, at a health factor."""
    return Book(F(health) * debt / STABLE_THRESHOLD, A=-debt)


# -- one pair --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", POLICIES)
def test_a_long_loses_half_its_debt_and_the_bonus_on_it(version: str) -> None:
    book = at(F(99, 100))
    (closing,) = POLICIES[version].choose(book.breach())
    after = book.after((closing,))
    assert after.cash == -5_000
    assert closing.fraction * book.values["A"] == 5_000 * F(105, 100)
    assert closing.fee == F(5, 105)
    assert book.equity - after.equity == 5_000 * F(5, 100)
    assert after.health == (F(99, 100) - HALF * F(83, 100) * F(105, 100)) / HALF


@pytest.mark.parametrize("version", POLICIES)
def test_a_short_buys_back_half_and_pays_the_stable_s_bonus(version: str) -> None:
    book = short(F(99, 100))
    (closing,) = POLICIES[version].choose(book.breach())
    assert closing == Closing("A", HALF, "sale", STABLE)
    after = book.after((closing,))
    assert book.cash - after.cash == 5_000 * F(1_045, 1_000)
    assert after.health == (F(99, 100) - HALF * STABLE_THRESHOLD * (1 + STABLE)) / HALF


@pytest.mark.parametrize("version", POLICIES)
@pytest.mark.parametrize("health", [LIMIT, F(94, 100)])
def test_at_a_health_factor_of_95_hundredths_all_debt_is_repaid(version: str, health: F) -> None:
    long, sold = at(health), short(health)
    after = long.after(POLICIES[version].choose(long.breach()))
    assert after.cash == 0
    assert after.values["A"] == long.values["A"] - 10_500
    after = sold.after(POLICIES[version].choose(sold.breach()))
    assert after.values == {}
    assert after.cash == sold.cash - 10_450


@pytest.mark.parametrize(("debt", "left"), [(1_999, 0), (2_000, 1_000)])
def test_small_debts_are_repaid_whole_since_3_3(debt: int, left: int) -> None:
    book = at(F(99, 100), debt)
    assert -book.after(POLICIES["3.0"].choose(book.breach())).cash == F(debt, 2)
    assert -book.after(POLICIES["3.3"].choose(book.breach())).cash == left


def test_small_collateral_is_taken_whole_since_3_3() -> None:
    """1,990 of A and 1,050 of B carry 2,500: half of it is paid for by 1,312.5 of A, or A goes whole."""
    policies = [CloseFactor(rule, STABLE, {"A": F(5, 100), "B": F(0)}) for rule in (OLD, NEW)]
    book = Book(-2_500, A=1_990, B=F(1_050))
    assert LIMIT < book.health < 1
    old, new = (book.after(policy.choose(book.breach())) for policy in policies)
    assert (old.cash, old.values["A"]) == (-1_250, 1_990 - 1_250 * F(105, 100))
    assert (new.cash, new.values.get("A")) == (-2_500 + 1_990 / F(105, 100), None)


def test_what_would_leave_dust_is_repaid_less_since_3_3() -> None:
    """2,100 of A and 2,400 of B carry 3,000: half, 1,500, would leave 2,100 − 1,575 = 525 of A."""
    policy = CloseFactor(NEW, STABLE, {"A": F(5, 100), "B": F(0)})
    book = Book(-3_350, A=2_100, B=F(2_000))
    assert LIMIT < book.health < 1
    after = book.after(policy.choose(book.breach()))
    assert after.values["A"] == 1_000
    assert after.cash == -3_350 + F(1_100) / F(105, 100)
    old = book.after(CloseFactor(OLD, STABLE, {"A": F(5, 100), "B": F(0)}).choose(book.breach()))
    assert old.values["A"] == 2_100 - F(1_675) * F(105, 100)


# -- several debts and collaterals -----------------------------------------------------------------


def test_the_pair_with_the_largest_bonus_goes_first() -> None:
    """B's 6 % on what it pays for against A's 5 %."""
    book = Book(-8_000, A=5_000, B=5_000)
    assert book.health > LIMIT
    (closing,) = POLICIES["3.0"].choose(book.breach())
    assert closing.symbol == "B"
    (closing,) = POLICIES["3.0"].choose(Book(-9_050, A=9_000, B=2_000).breach())
    assert closing.symbol == "A"  # more of a smaller bonus


def test_of_equal_bonuses_the_first_by_name_goes_first() -> None:
    policy = CloseFactor(OLD, STABLE, {"A": F(5, 100), "B": F(5, 100)})
    book = Book(-8_000, B=5_000, A=5_000)
    assert [c.symbol for c in policy.choose(book.breach())] == ["A"]


def test_the_old_half_is_of_that_debt_and_the_new_one_of_all_debt() -> None:
    """Shorts of 6,000 and 4,000 against the stable."""
    book = Book(F(99, 100) * 10_000 / STABLE_THRESHOLD, A=-6_000, B=-4_000)
    assert POLICIES["3.0"].choose(book.breach()) == (Closing("A", HALF, "sale", STABLE),)
    assert POLICIES["3.3"].choose(book.breach()) == (Closing("A", F(5, 6), "sale", STABLE),)
    book = Book(F(99, 100) * 10_000 / STABLE_THRESHOLD, A=-5_000, B=-5_000)
    assert POLICIES["3.3"].choose(book.breach()) == (Closing("A", 1.0, "sale", STABLE),)


@pytest.mark.parametrize("version", POLICIES)
def test_a_short_against_a_long_closes_both_and_leaves_the_stable_alone(version: str) -> None:
    """B is owed and C is the collateral: the liquidator brings B and takes C with its 7 %."""
    book = Book(-100, B=-10_000, C=F(99, 100) * 10_100 / THRESHOLDS["C"])
    closings = POLICIES[version].choose(book.breach())
    assert [c.symbol for c in closings] == ["B", "C"]
    after = book.after(closings)
    repaid = 10_000 + after.values.get("B", F(0))
    assert repaid == (5_000 if version == "3.0" else 5_050)
    assert after.cash == book.cash
    assert book.values["C"] - after.values["C"] == repaid * F(107, 100)
    assert [c.fee for c in closings] == [0, F(7, 107)]


# -- nothing left ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", POLICIES)
@pytest.mark.parametrize("health", [F(87, 100), F(80, 100), F(50, 100)])
def test_collateral_that_does_not_pay_for_the_debt_ends_everything(version: str, health: F) -> None:
    """0.83 · 1.05 = 0.8715: below that the bonus takes all there is."""
    book = at(health)
    assert POLICIES[version].choose(book.breach()) == (Closing("A", 1.0, "sale", F(5, 105)),)
    assert book.after(POLICIES[version].choose(book.breach())).equity < 0
    book = short(F(8, 10) * health)
    assert POLICIES[version].choose(book.breach()) == (Closing("A", 1.0, "sale", STABLE),)


def test_just_above_that_the_debt_is_repaid_and_a_little_stays() -> None:
    book = at(F(872, 1_000))
    after = book.after(POLICIES["3.0"].choose(book.breach()))
    assert after.cash == 0
    assert after.values["A"] == 10_000 * F(872, 1_000) / F(83, 100) - 10_500 > 0


def test_the_last_collateral_ends_everything_and_one_of_two_does_not() -> None:
    book = Book(-10_000, A=4_000, B=4_000)
    (closing,) = POLICIES["3.0"].choose(book.breach())
    assert (closing.symbol, closing.fraction) == ("B", 1.0)
    rest = book.after((closing,))
    assert POLICIES["3.0"].choose(rest.breach()) == (Closing("A", 1.0, "sale", F(5, 105)),)


def test_without_any_collateral_what_is_owed_is_closed_for_nothing() -> None:
    book = Book(-10, A=-50, B=-20)
    assert POLICIES["3.3"].choose(book.breach()) == (
        Closing("A", 1.0, "sale", 0.0),
        Closing("B", 1.0, "sale", 0.0),
    )


def test_bad_debt_closes_the_collateral_first() -> None:
    book = Book(-6_000, A=-5_000, B=6_000)
    closings = POLICIES["3.3"].choose(book.breach())
    assert [(c.symbol, c.fraction) for c in closings] == [("B", 1.0), ("A", 1.0)]
    assert [c.fee for c in closings] == [F(6, 106), 0]


# -- always ----------------------------------------------------------------------------------------


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Longs and shorts of up to three assets, and cash that makes the health factor what is drawn."""
    names = draw(st.sampled_from([["A"], ["A", "B"], ["A", "B", "C"]]))
    values = {n: draw(st.sampled_from([1, -1])) * draw(fractions(500, 20_000, 3)) for n in names}
    health = draw(fractions(F(1, 2), F(99, 100), 100))
    weighted = sum(THRESHOLDS[n] * v for n, v in values.items() if v > 0)
    owed = -sum(v for v in values.values() if v < 0)
    cash = weighted / health - owed  # below 0 it would be supplied
    if cash > 0:
        return Book(-cash, **values)
    return Book((owed * health - weighted) / STABLE_THRESHOLD, **values)


@pytest.mark.parametrize("version", POLICIES)
@given(book=books())
def test_a_liquidation_ends_and_costs_the_bonus_of_what_is_repaid(version: str, book: Book) -> None:
    """Health again, or nothing left; each call repays debt, and the account pays its bonus and no more."""
    for _ in range(60):
        if book.health >= 1 or not book.values:
            break
        before = book
        closings = POLICIES[version].choose(book.breach())
        assert all(0 < c.fraction <= 1 for c in closings)
        book = before.after(closings)
        if set(book.values) or book.debt == 0:
            repaid = before.debt - book.debt
            assert repaid > 0
            paid = (before.equity - book.equity) / repaid
            assert paid in [pytest.approx(float(b), rel=1e-9) for b in (STABLE, *BONUSES.values())]
    else:
        pytest.fail("the liquidation did not end")


@given(book=books())
def test_half_is_repaid_only_of_an_account_that_improves(book: Book) -> None:
    if LIMIT < book.health < 1:
        after = book.after(POLICIES["3.0"].choose(book.breach()))
        assert after.health > book.health


def test_an_asset_without_a_bonus_is_named() -> None:
    policy = CloseFactor(OLD, STABLE, {})
    with pytest.raises(InputError, match="bonus is known for A; tell the venue about its asset"):
        policy.choose(at(F(99, 100)).breach())


def test_what_is_sold_whole_leaves_the_rest_to_the_trader() -> None:
    assert (POLICIES["3.0"].settle, POLICIES["3.0"].residual) == ("sale", "trader")
