"""Funding: who pays, and how many settlements a column of rates really holds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from core.exact import contracts, prices, sizes
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core import Contract, FundingStamp, carried, payment, stamps_from_pairs
from bt_margin.core.funding import spread
from bt_margin.errors import DataError, InputError

NAN = float("nan")
HOUR = 3_600_000
START = 1_600_000_000_000 // (24 * HOUR) * (24 * HOUR)


@pytest.mark.parametrize("kind", ["linear", "inverse"])
@pytest.mark.parametrize(
    ("side", "rate", "sign"), [(1, 0.01, -1), (1, -0.01, 1), (-1, 0.01, 1), (-1, -0.01, -1)]
)
def test_longs_pay_positive_rates(kind: str, side: int, rate: float, sign: int) -> None:
    """trap 42: the matrix of side and rate, for both kinds of contract."""
    paid = payment(Contract("X", kind=kind), side * 3, 50, rate)  # type: ignore[arg-type]  # both
    assert paid * sign > 0
    worth = 50 if kind == "linear" else 1 / 50
    assert abs(paid) == pytest.approx(3 * worth * 0.01)


@given(contracts(), sizes, prices, st.fractions(-1, 1, max_denominator=50))
def test_what_longs_pay_shorts_receive(
    contract: Contract, size: Fraction, mark: Fraction, rate: Fraction
) -> None:
    paid = payment(contract, size, mark, rate)
    assert paid == -payment(contract, -size, mark, rate)
    assert abs(paid) == contract.notional(size, mark) * abs(rate)


@pytest.mark.parametrize("late", [-999, -1, 0, 1, 7, 999])
def test_stamps_some_milliseconds_off_are_set_to_their_minute(late: int) -> None:
    """trap 49: a settlement stamped early or late belongs to the bar it was meant for."""
    (stamp,) = stamps_from_pairs([(START + 8 * HOUR + late, 0.0001)])
    assert stamp == FundingStamp(START + 8 * HOUR, 0.0001)


def test_stamps_come_out_in_order_and_once() -> None:
    pairs = [(START + 16 * HOUR, 0.3), (START + 5, 0.1), (START, 0.1), (START + 8 * HOUR, 0.2, 7)]
    assert stamps_from_pairs(pairs) == (
        FundingStamp(START, 0.1),
        FundingStamp(START + 8 * HOUR, 0.2, 7),
        FundingStamp(START + 16 * HOUR, 0.3),
    )
    assert stamps_from_pairs([]) == ()


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        ([(START, NAN)], "rate is not a number"),
        ([(START, None)], "rate is not a number"),
        ([(START, 0.1, 0)], "mark is not a price"),
        ([(START, 0.1, NAN)], "mark is not a price"),
        ([(START, 0.1), (START + 3, 0.2)], "two funding rates"),
    ],
)
def test_broken_stamps_stop_the_run(pairs: list[tuple[int, float]], word: str) -> None:
    """trap 50: a missing rate is never read as zero."""
    with pytest.raises(DataError, match=word):
        stamps_from_pairs(pairs)


def settlement(time: int) -> float:
    """A rate that names its own settlement, so that a wrong row shows."""
    return (time // (8 * HOUR) % 97 + 1) / 1e6


@pytest.mark.parametrize("minutes", [1, 5, 15, 60, 240, 480])
def test_a_rate_repeated_on_every_bar_is_charged_once_per_settlement(minutes: int) -> None:
    """trap 43: two days of any bar length hold the same six settlements."""
    step = minutes * 60_000
    times = list(range(START, START + 48 * HOUR, step))
    stamps = carried(times, [settlement(t) for t in times], 8 * HOUR)
    assert [s.time for s in stamps] == [START + 8 * HOUR * i for i in range(6)]
    assert all(s.rate == settlement(s.time) for s in stamps)


@pytest.mark.parametrize("filler", [NAN, 0.0])
@pytest.mark.parametrize("minutes", [1, 60, 240])
def test_lone_values_between_gaps_are_settlements(minutes: int, filler: float) -> None:
    times = list(range(START, START + 48 * HOUR, minutes * 60_000))
    rates = [settlement(t) if t % (8 * HOUR) == 0 else filler for t in times]
    stamps = carried(times, rates, 8 * HOUR)
    assert [s.time for s in stamps] == [START + 8 * HOUR * i for i in range(6)]
    assert all(s.rate == settlement(s.time) for s in stamps)


def test_a_hole_between_zeros_is_no_settlement() -> None:
    times = [START + HOUR * i for i in range(24)]
    rates = [0.0001 if i % 8 == 0 else NAN if i == 3 else 0.0 for i in range(24)]
    stamps = carried(times, rates, 8 * HOUR)
    assert [((s.time - START) // HOUR, s.rate) for s in stamps] == [(i, 0.0001) for i in (0, 8, 16)]


@pytest.mark.parametrize(("rows", "due"), [([2, 3, 9, 10], [2, 3, 9, 10]), ([2, 3, 4, 5, 9], [8])])
def test_values_are_settlements_while_at_most_half_of_them_follow_on_another(
    rows: list[int], due: list[int]
) -> None:
    """Two of four do; three of five do: that is a repeated rate with holes."""
    times = [START + HOUR * i for i in range(16)]
    rates = [0.0001 if i in rows else NAN for i in range(16)]
    assert [(s.time - START) // HOUR for s in carried(times, rates, 8 * HOUR)] == due


def test_a_venue_that_switches_from_eight_to_four_hours_is_charged_at_both() -> None:
    """trap 48: lone values count where they stand, whatever the usual interval."""
    times = [START + HOUR * i for i in range(48)]
    due = {0, 8, 16, 20, 24, 28, 32}
    rates = [0.0001 if i in due else NAN for i in range(48)]
    assert {(s.time - START) // HOUR for s in carried(times, rates, 8 * HOUR)} == due


def test_hourly_settlements_on_hourly_bars_are_all_charged() -> None:
    """trap 48: a venue that settles every hour says so with its interval."""
    times = [START + HOUR * i for i in range(30)]
    assert len(carried(times, [0.0001] * 30, HOUR)) == 30


def test_a_repeated_rate_with_holes_is_not_charged_on_every_bar() -> None:
    times = [START + HOUR * i for i in range(24)]
    rates = [NAN if i in (0, 1, 8, 13) else settlement(t) for i, t in enumerate(times)]
    stamps = carried(times, rates, 8 * HOUR)
    assert [(s.time - START) // HOUR for s in stamps] == [8, 16]
    assert all(s.rate == settlement(s.time) for s in stamps)


def test_a_zero_stretch_in_a_repeated_rate_does_not_change_the_reading() -> None:
    times = [START + HOUR * i for i in range(48)]
    rates = [0.0 if i < 32 else 0.0001 for i in range(48)]
    stamps = carried(times, rates, 8 * HOUR)
    assert [(s.time - START) // HOUR for s in stamps if s.rate] == [32, 40]


def test_data_that_starts_between_settlements_is_not_charged_for_the_past() -> None:
    times = [START + HOUR * i for i in range(3, 20)]
    stamps = carried(times, [settlement(t) for t in times], 8 * HOUR)
    assert [(s.time - START) // HOUR for s in stamps] == [8, 16]


def test_later_rates_never_change_earlier_stamps() -> None:
    """trap 43: no settlement is read from a later row than its own interval."""
    times = [START + HOUR * i for i in range(24)]
    rates = [settlement(t) for t in times]
    changed = [rate if i < 16 else 9.0 for i, rate in enumerate(rates)]
    assert carried(times, rates, 8 * HOUR)[:2] == carried(times, changed, 8 * HOUR)[:2]


def test_no_values_are_no_settlements() -> None:
    assert carried([], [], 8 * HOUR) == ()
    assert carried([START, START + HOUR], [NAN, NAN], 8 * HOUR) == ()


def test_columns_and_intervals_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(DataError, match="differ in length"):
        carried([START], [], 8 * HOUR)
    with pytest.raises(InputError, match="interval"):
        carried([START], [0.1], 0)


# -- rates that accrue -----------------------------------------------------------------------------

spans = st.integers(1, 500)


@given(
    st.lists(st.tuples(spans, st.fractions(-1, 1, max_denominator=90)), min_size=1, max_size=5),
    spans,
    st.integers(1, 700),
)
def test_the_pieces_of_a_stamp_sum_to_its_rate_and_lie_within_its_interval(
    gaps: list[tuple[int, Fraction]], interval: int, step: int
) -> None:
    time, stamps = 1_000, []
    for gap, rate in gaps:
        time += gap
        stamps.append(FundingStamp(time, rate, Fraction(7)))  # type: ignore[arg-type]  # exact
    pieces = list(spread(stamps, interval, step))
    assert [p.time for p in pieces] == sorted({p.time for p in pieces})
    before = stamps[0].time - interval
    for stamp in stamps:
        start = max(before, stamp.time - interval)
        own = [p for p in pieces if start < p.time <= stamp.time]
        assert sum(p.rate for p in own) == stamp.rate
        assert own[-1].time == stamp.time
        assert [p.mark for p in own] == [None] * (len(own) - 1) + [Fraction(7)]
        # each piece is for the time since the one before, at one rate per ms
        edges = [start, *(p.time for p in own)]
        lengths = [b - a for a, b in pairwise(edges)]
        assert max(lengths) <= step or len(own) == 1
        assert [p.rate * (stamp.time - start) for p in own] == [stamp.rate * n for n in lengths]
        pieces = pieces[len(own) :]
        before = stamp.time
    assert pieces == []


@given(st.floats(-0.01, 0.01), st.integers(1, 240))
def test_pieces_of_whole_bars_sum_to_the_rate_to_the_last_bit(rate: float, count: int) -> None:
    pieces = spread([FundingStamp(START, rate)], 240 * 60_000, 240 * 60_000 // count)
    total = 0.0
    for piece in pieces:
        total += piece.rate
    assert total == pytest.approx(rate, rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("step", [HOUR, 2 * HOUR, 24 * HOUR])
def test_bars_as_long_as_the_interval_leave_stamps_alone(step: int) -> None:
    stamps = (FundingStamp(START, 0.001, 50.0), FundingStamp(START + HOUR, -0.001))
    assert spread(stamps, HOUR, step) == stamps


@pytest.mark.parametrize(("interval", "step"), [(0, HOUR), (HOUR, 0), (-HOUR, HOUR)])
def test_an_interval_and_a_bar_have_a_length(interval: int, step: int) -> None:
    with pytest.raises(InputError):
        spread([FundingStamp(START, 0.001)], interval, step)
