"""The safe time is the earlier of two clocks."""

from __future__ import annotations

import pytest

from bt_margin.market.exchange.clocks import VenueClock, date_of

NOON = 1_704_110_400_000
DATE = {"date": "Mon, 01 Jan 2024 12:00:00 GMT"}


def test_a_local_clock_ahead_of_the_venue_is_set_back() -> None:
    local = [NOON + 7_200_000]
    clock = VenueClock(lambda: local[0])
    assert clock.now() == NOON + 7_200_000
    clock.heard(DATE)
    assert clock.now() == NOON
    local[0] += 1_500
    assert clock.now() == NOON + 1_500


def test_a_local_clock_behind_the_venue_is_kept() -> None:
    clock = VenueClock(lambda: NOON - 7_200_000)
    clock.heard(DATE)
    assert clock.now() == NOON - 7_200_000
    assert clock.venue() == NOON


@pytest.mark.parametrize(
    ("local", "says"), [(300_000, "300 s ahead of"), (-90_000, "90 s behind"), (59_000, "")]
)
def test_clocks_far_apart_are_told_once(local: int, says: str) -> None:
    clock = VenueClock(lambda: NOON + local)
    assert clock.apart() == ""
    clock.heard(DATE)
    first = clock.apart()
    assert (says in first) if says else first == ""
    assert clock.apart() == ""


@pytest.mark.parametrize("headers", [None, {}, {"Date": ""}, {"Date": "Mon, 99 Foo"}])
def test_an_answer_without_a_date_changes_nothing(headers: dict[str, str] | None) -> None:
    assert date_of(headers) is None
    clock = VenueClock(lambda: NOON)
    clock.heard(headers)
    assert clock.ahead is None
