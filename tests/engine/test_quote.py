"""A symbol's bar: its legs, its stamps, and the finer bars that replace the guess."""

from __future__ import annotations

import pytest
from engine.bench import HOUR, desk, near
from stories.world import START

from bt_margin.core.funding import FundingStamp
from bt_margin.engine.quote import NEVER, Detail, Quote, SubBar, finer_marks, legs_of
from bt_margin.engine.resting import Leg

BAR = (100.0, 110.0, 90.0, 105.0)
MARK = (100.0, 108.0, 92.0, 104.0)
MINUTES = HOUR // 4


def quote(stamps: tuple[FundingStamp, ...] = ()) -> Quote:
    return Quote(desk().p, stamps).set(START, START + HOUR, BAR, MARK)


def ends(legs: list[Leg]) -> list[tuple[float, float]]:
    return [(leg.last_start, leg.last_end) for leg in legs]


def marks(legs: list[Leg]) -> list[tuple[float, float]]:
    return [(leg.mark_start, leg.mark_end) for leg in legs]


def joined(legs: list[Leg]) -> bool:
    """Each leg begins where and when the one before ended, from 0 to 1."""
    times = [leg.start for leg in legs] + [1.0]
    return times[0] == 0.0 and times[1:] == [leg.end for leg in legs]


def test_four_prices_are_joined_by_three_legs_over_either_extreme_first() -> None:
    low = legs_of(quote(), True, None)
    assert ends(low) == [(100, 90), (90, 110), (110, 105)]
    assert marks(low) == [(100, 92), (92, 108), (108, 104)]
    high = legs_of(quote(), False, None)
    assert ends(high) == [(100, 110), (110, 90), (90, 105)]
    assert marks(high) == [(100, 108), (108, 92), (92, 104)]
    assert [leg.end for leg in low] == [1 / 3, 2 / 3, 1.0]
    assert joined(low)


def test_without_marks_the_mark_is_the_last_price() -> None:
    q = Quote(desk().p).set(START, START + HOUR, BAR)
    assert marks(legs_of(q, True, None)) == ends(legs_of(q, True, None))


def test_stamps_are_used_one_by_one_and_then_never_again() -> None:
    stamps = (FundingStamp(START, 0.1), FundingStamp(START + 5, 0.2))
    q = quote(stamps)
    assert q.next_stamp == START
    assert q.take_stamp() is stamps[0]
    assert q.next_stamp == START + 5
    assert q.take_stamp() is stamps[1]
    assert q.next_stamp == NEVER
    assert quote().next_stamp == NEVER


def test_path_time_and_the_mark_on_the_line_from_open_to_close() -> None:
    q = quote()
    assert (q.path_time(START), q.path_time(START + HOUR)) == (0, 1)
    assert q.path_time(START + HOUR // 4) == 0.25
    assert (q.mark_at(0), q.mark_at(1), q.mark_at(0.25)) == (100, 104, 101)


def fine(*bars: tuple[int, float, float, float, float]) -> Detail:
    return Detail(
        [SubBar(START + i * MINUTES, (o, h, lo, c), None) for i, o, h, lo, c in bars], MINUTES
    )


def test_finer_bars_replace_the_legs() -> None:
    detail = fine(
        (0, 100, 110, 99, 109), (1, 109, 109, 90, 91), (2, 91, 100, 91, 95), (3, 95, 106, 95, 105)
    )
    legs = [leg for leg in legs_of(quote(), True, detail) if leg.end > leg.start]
    assert len(legs) == 12
    assert joined(legs)
    assert [leg.end for leg in legs][2::3] == [0.25, 0.5, 0.75, 1.0]
    assert ends(legs)[:4] == [(100, 99), (99, 110), (110, 109), (109, 90)]
    assert ends(legs)[-1] == (106, 105)


def test_marks_of_finer_bars_are_used_where_they_are_there() -> None:
    bar = SubBar(START, (100, 110, 90, 105), (100, 101, 99, 100))
    legs = legs_of(quote(), True, Detail([bar], HOUR))
    assert marks(legs)[:3] == [(100, 99), (99, 101), (101, 100)]
    assert marks(legs)[3] == (100, 104)


def test_finer_bars_without_marks_stay_within_the_marks_of_the_coarse_bar() -> None:
    """A wick of the last price that the mark did not follow stays harmless."""
    legs = legs_of(quote(), True, fine((0, 100, 110, 60, 105)))
    assert min(m for leg in legs for m in leg[4:]) == 92
    assert max(m for leg in legs for m in leg[4:]) == 108
    assert min(p for leg in legs for p in leg[2:4]) == 60


def test_the_basis_runs_straight_from_open_to_close() -> None:
    """Mark less last: + 2 at the open, − 2 at the close."""
    coarse = quote().set(START, START + HOUR, (100, 110, 90, 100), (102, 112, 85, 98))
    calm = (100, 101, 99, 100)
    bars = [
        SubBar(START + i * MINUTES, last, None)
        for i, last in enumerate([calm, calm, (100, 110, 99, 100), (100, 101, 90, 100)])
    ]
    assert finer_marks(coarse, bars) == [
        (102, 103, 101, 102), (101, 102, 100, 101), (100, 112, 99, 100), (99, 100, 85, 99),
    ]  # fmt: skip


def test_holes_between_finer_bars_are_crossed_at_the_price_before_them() -> None:
    legs = [
        leg
        for leg in legs_of(quote(), True, fine((1, 101, 103, 98, 102), (3, 104, 106, 103, 105)))
        if leg.end > leg.start
    ]
    assert joined(legs)
    assert legs[0] == Leg(0.0, 0.25, 100, 100, 100, 100)
    assert (legs[4].start, legs[4].end, *ends(legs)[4]) == (0.5, 0.75, 102, 102)


def test_a_missing_end_runs_straight_to_the_close_of_the_coarse_bar() -> None:
    legs = legs_of(quote(), True, fine((0, 100, 110, 99, 109)))
    assert legs[-1] == Leg(0.25, 1.0, 109, 105, near(108), 104)


def test_a_finer_bar_that_outlasts_the_coarse_one_ends_with_it() -> None:
    bar = SubBar(START + HOUR // 2, BAR, MARK)
    legs = legs_of(quote(), True, Detail([bar], HOUR))
    assert max(leg.end for leg in legs) == 1.0


@pytest.mark.parametrize(("start", "end", "count"), [(0, 4, 4), (1, 3, 2), (4, 9, 0), (-5, 1, 1)])
def test_only_finer_bars_that_open_within_the_bar_belong_to_it(
    start: int, end: int, count: int
) -> None:
    detail = fine(*[(i, 1, 1, 1, 1) for i in range(4)])
    assert len(detail.between(START + start * MINUTES, START + end * MINUTES)) == count


def test_without_finer_bars_in_the_bar_the_four_prices_hold() -> None:
    assert len(legs_of(quote(), True, fine((9, 1, 1, 1, 1)))) == 3


def test_reading_a_plain_quote_changes_nothing() -> None:
    q = quote()
    q.read()
    assert (q.open, q.mark_low) == (100, 92)
