"""Tier tables: every notional has one tier, and the requirement has no jumps unless stepped."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import pytest
from core.exact import BTC_2026, fractions, tables
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import Tier, TierSchedule, TierTable
from bt_margin.errors import InputError

INF = float("inf")

notionals = fractions(0, 6_000)


@given(tables(), notionals)
def test_every_notional_falls_in_exactly_one_tier(table: TierTable, notional: Fraction) -> None:
    """trap 9: no holes, no overlaps; a cap belongs to the lower tier."""
    inside = [t for t in table.tiers if t.floor < notional <= t.cap or notional == t.floor == 0]
    assert inside == [table.at(notional)]


@given(tables())
def test_maintenance_is_continuous_at_every_edge(table: TierTable) -> None:
    """trap 8: the deduction removes the jump of the rate, exactly."""
    for lower, upper in zip(table.tiers, table.tiers[1:], strict=False):
        edge = lower.cap
        assert edge * lower.mmr - lower.deduction == edge * upper.mmr - upper.deduction


def test_a_published_table_is_continuous_to_the_cent() -> None:
    """trap 8: real brackets, one cent to each side of each boundary."""
    for edge in BTC_2026.edges:
        jump = BTC_2026.maintenance(edge + 0.01) - BTC_2026.maintenance(edge - 0.01)
        assert 0 <= jump < 0.02


@given(tables(), notionals)
def test_maintenance_agrees_with_the_tier_it_names(table: TierTable, notional: Fraction) -> None:
    tier = table.at(notional)
    assert table.maintenance(notional) == notional * tier.mmr - tier.deduction >= 0


def test_a_missing_deduction_is_derived_as_published() -> None:
    """trap 9: tables without amounts get the amounts the venue itself publishes."""
    rows = [(tier.cap, tier.mmr, None, tier.max_leverage) for tier in BTC_2026.tiers]
    for given_, derived in zip(BTC_2026.tiers, TierTable.of(rows).tiers, strict=True):
        assert derived.deduction == pytest.approx(given_.deduction, abs=1e-6)


def test_the_tier_is_chosen_by_notional_never_by_collateral() -> None:
    """trap 1: the same notional at 2x and at 20x has one rate and one amount."""
    found = {(t.mmr, t.deduction) for t in (BTC_2026.at(3_500_000) for leverage in (2, 20))}
    assert found == {(0.01, 12_000)}
    assert BTC_2026.at(3_500_000 / 20).mmr == 0.004  # what choosing by collateral would give


def test_tiers_are_read_per_symbol_never_over_the_sum() -> None:
    """trap 7: two positions of 240,000 are both in the first tier; their sum would not be."""
    each = BTC_2026.maintenance(240_000)
    assert each + each == pytest.approx(1_920.0)
    assert BTC_2026.maintenance(480_000) == pytest.approx(2_100.0)


def test_above_the_last_cap_the_last_tier_holds_and_the_cap_says_so() -> None:
    """trap 10: a number, not a crash; opening that much is refused by the cap, not by an error."""
    beyond = 2_500_000_000
    assert BTC_2026.at(beyond) is BTC_2026.tiers[-1]
    assert BTC_2026.maintenance(beyond) == beyond * 0.5 - 421_482_000
    assert BTC_2026.cap(1) == 1_800_000_000


@pytest.mark.parametrize(
    ("leverage", "cap"),
    [(151, 0), (150, 300_000), (149, 300_000), (101, 300_000), (100, 800_000), (0.5, 1.8e9)],
)
def test_the_cap_of_a_leverage_is_the_last_tier_that_allows_it(leverage: float, cap: float) -> None:
    assert BTC_2026.cap(leverage) == cap


def test_leverage_is_unlimited_where_the_table_is_silent() -> None:
    table = TierTable.flat(0.005)
    assert table.max_leverage(1e12) == INF
    assert table.cap(1_000) == INF
    assert TierTable.flat(0.005, max_leverage=20).cap(21) == 0


@given(tables(stepped=True), notionals, notionals)
def test_the_bound_is_the_least_that_covers_a_falling_notional(
    table: TierTable, one: Fraction, two: Fraction
) -> None:
    """Equity at n is equity(lo) + n − lo, so the bound is the largest M(n) − (n − lo)."""
    lo, hi = sorted((one, two))
    bound = table.maintenance_bound(lo, hi)
    tried = [lo, hi, *(lo + (hi - lo) * Fraction(i, 16) for i in range(17))]
    assert all(table.maintenance(n) - (n - lo) <= bound for n in tried)
    corners = [table.maintenance(lo)]
    corners += [lo - t.floor * (1 - t.mmr) for t in table.tiers[1:] if lo <= t.floor < hi]
    assert bound == max(corners)


@given(tables(), notionals, notionals)
def test_in_a_continuous_table_the_worst_corner_is_the_bound(
    table: TierTable, one: Fraction, two: Fraction
) -> None:
    lo, hi = sorted((one, two))
    assert table.maintenance_bound(lo, hi) == table.maintenance(lo)
    tried = [lo + (hi - lo) * Fraction(i, 16) for i in range(17)]
    assert all(table.maintenance(n) - (n - lo) <= table.maintenance(lo) for n in tried)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([], "empty"),
        ([(50, 0.02, 0), (100, 0.01, None)], "rate falls"),
        ([(50, 0.01, 0), (40, 0.02, None)], "cap is not above"),
        ([(50, 0.01, 0), (100, 0.02, 0)], "jumps"),
        ([(50, 0.01, 7), (100, 0.02, None)], "lowest tier has a deduction"),
        ([(50, 1.0, 0)], "too high"),
        ([(50, -0.01, 0)], "negative"),
        ([(50, float("nan"), 0)], "not a number"),
        ([(50, 0.01, 0, 0)], "max_leverage"),
        ([(50, None, 0)], "no maintenance rate"),
        ([(50,)], "malformed"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(rows: list[Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        TierTable.of(rows)


@pytest.mark.parametrize("floor", [49, 51])
def test_holes_and_overlaps_are_refused(floor: float) -> None:
    """trap 9: 6500 / 6501 style tables must be made contiguous by whoever reads them."""
    with pytest.raises(InputError, match="hole or overlap"):
        TierTable((Tier(0, 50, 0.01), Tier(floor, 100, 0.01)))
    with pytest.raises(InputError, match="start at 0"):
        TierTable((Tier(1, 50, 0.01),))


def test_stepped_tables_may_jump_and_derive_no_deduction() -> None:
    table = TierTable.of([(50, 0.01, None), (None, 0.02, None)], stepped=True)
    assert [tier.deduction for tier in table.tiers] == [0, 0]
    assert table.maintenance(50) == 0.5
    assert table.maintenance(100) == 2.0


def test_tables_are_values() -> None:
    again = pickle.loads(pickle.dumps(BTC_2026))
    assert again == BTC_2026
    assert again.maintenance(1_000_000) == BTC_2026.maintenance(1_000_000)
    assert hash(again) == hash(BTC_2026)
    rows: Any = list(BTC_2026.tiers)
    assert hash(TierTable(rows)) == hash(BTC_2026)


ONE, TWO, THREE = (TierTable.flat(rate) for rate in (0.01, 0.02, 0.03))
SCHEDULE = TierSchedule(((100, ONE), (200, TWO), (300, THREE)), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("ms", "table", "proxy", "change"),
    [
        (0, ONE, True, 200),
        (99, ONE, True, 200),
        (100, ONE, False, 200),
        (199, ONE, False, 200),
        (200, TWO, False, 300),
        (300, THREE, False, None),
        (10**13, THREE, False, None),
    ],
)
def test_the_table_in_force_is_the_last_one_dated_before(
    ms: int, table: TierTable, proxy: bool, change: int | None
) -> None:
    """trap 53: old bars get the brackets of their own time."""
    assert SCHEDULE.at(ms) is table
    assert SCHEDULE.is_proxy(ms) is proxy
    assert SCHEDULE.next_change(ms) == change


def test_a_schedule_without_sources_names_none() -> None:
    assert TierSchedule(((0, ONE),)).source(5) == ""


def test_a_pinned_schedule_keeps_one_table_and_its_source() -> None:
    pinned = SCHEDULE.pinned(250)
    assert {pinned.at(ms) for ms in (0, 250, 900)} == {TWO}
    assert (pinned.next_change(0), pinned.source(0)) == (None, "b")
    assert pinned.is_proxy(199)
    assert not pinned.is_proxy(200)


@pytest.mark.parametrize(
    ("tables_", "sources"),
    [((), ()), (((2, ONE), (1, TWO)), ()), (((1, ONE), (1, TWO)), ()), (((1, ONE),), ("a", "b"))],
)
def test_schedules_out_of_order_are_refused(
    tables_: tuple[tuple[int, TierTable], ...], sources: tuple[str, ...]
) -> None:
    with pytest.raises(InputError):
        TierSchedule(tables_, sources)


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=5, unique=True).map(sorted))
def test_walking_the_changes_visits_every_table_once(times: list[int]) -> None:
    schedule = TierSchedule(tuple((t, TierTable.flat(0.01)) for t in times))
    seen, at = [], times[0]
    while (following := schedule.next_change(at)) is not None:
        seen.append(following)
        at = following
    assert seen == times[1:]


def test_a_cap_belongs_to_the_lower_tier() -> None:
    """trap 9: exactly on the edge there is one answer, for the tier and for the amount."""
    table = TierTable.of([(50, 0.01, 0), (None, 0.5, 0)], stepped=True)
    assert table.at(50) is table.tiers[0]
    assert table.maintenance(50) == 0.5
    assert table.at(50.01) is table.tiers[1]
