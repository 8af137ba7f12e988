"""A settlement is missed by its neighbours; no interval is assumed."""

from __future__ import annotations

import math

import pytest

from bt_margin.market.exchange.rows import Conflict
from bt_margin.market.exchange.settlements import _settled, doubtful

HOUR = 3_600_000


def hours(*stamps: float) -> list[int]:
    return [round(stamp * HOUR) for stamp in stamps]


def doubted(stamps: list[int], stop: float = 0.0) -> list[tuple[float, float]]:
    span = (stamps[0], round(stop * HOUR) or stamps[-1] + 1)
    return [(a // HOUR, b / HOUR) for a, b in doubtful(stamps, span, True, True)]


@pytest.mark.parametrize(
    "stamps",
    [
        hours(0, 8, 16, 24, 32),
        hours(0, 8, 16, 24, 25, 26, 27, 28),  # the interval became shorter
        hours(0, 1, 2, 3, 11, 19, 27),  # and longer
        hours(0, 8.0003, 15.9997, 24),
        hours(0, 8),
        hours(5),
    ],
)
def test_regular_and_changing_intervals_raise_no_doubt(stamps: list[int]) -> None:
    assert doubted(stamps) == []


@pytest.mark.parametrize(
    ("stamps", "doubt"),
    [
        (hours(0, 8, 24, 32, 40), [(8, 24)]),
        (hours(0, 8, 16, 32, 48, 56, 64), [(16, 32), (32, 48)]),
        (hours(0, 16, 24, 32), [(0, 16)]),
        (hours(0, 8, 16, 32), [(16, 32)]),
        (hours(0, 1, 2, 8, 9, 10), [(2, 8)]),
        (hours(0, 72), [(0, 72)]),
    ],
)
def test_a_distance_longer_than_its_neighbours_is_doubted(
    stamps: list[int], doubt: list[tuple[float, float]]
) -> None:
    assert doubted(stamps) == doubt


def test_the_ends_of_a_span_are_doubted_only_when_asked_for() -> None:
    stamps = hours(100, 108, 116)
    span = (0, 200 * HOUR)
    assert doubtful(stamps, span, True, False) == [(0, 100 * HOUR)]
    assert doubtful(stamps, span, False, True) == [(116 * HOUR + 1, 200 * HOUR)]
    assert doubtful(stamps, span, False, False) == []


@pytest.mark.parametrize(("start", "doubted"), [(92.1, False), (91.5, True), (99.9, False)])
def test_from_an_edge_to_a_settlement_there_is_one_interval_at_most(
    start: float, doubted: bool
) -> None:
    stamps = hours(100, 108, 116, 124)
    span = (round(start * HOUR), 124 * HOUR + 1)
    assert bool(doubtful(stamps, span, True, True)) is doubted


def settled(time: int, rate: float | None = 0.1, mark: str = "") -> dict[str, object]:
    return {"timestamp": time, "fundingRate": rate, "info": {"markPrice": mark}}


def test_marks_are_read_where_they_are() -> None:
    rates = _settled([settled(1, mark="5.5"), settled(2)], (0, 10), "markPrice")
    assert rates[1] == (0.1, 5.5)
    assert math.isnan(rates[2][1])


def test_rows_without_a_rate_or_outside_are_no_settlements() -> None:
    assert _settled([settled(1, None), settled(10), settled(3)], (2, 10), "x").keys() == {3}
    assert _settled(None, (2, 10), "x") == {}


def test_identical_rows_are_one_and_different_ones_a_conflict() -> None:
    assert len(_settled([settled(1), settled(1)], (0, 10), "markPrice")) == 1
    with pytest.raises(Conflict):
        _settled([settled(1), settled(1, 0.2)], (0, 10), "markPrice")
