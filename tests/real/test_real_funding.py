"""Settlements of the real files: each in a holding period charged once, at its time, with its sign."""

from __future__ import annotations

from itertools import pairwise

import pytest
from real.rawdata import HOUR, ms, read
from real.stage import hold

CASES = [
    # symbol, stretch, opened, exposure, gaps between the settlements in hours
    ("SOLUSDT", ("2022-11-07", "2022-11-15"), "2022-11-08 12:00", -0.3, {8, 4, 2}),
    ("SOLUSDT", ("2022-11-07", "2022-11-23"), "2022-11-09 09:00", 0.3, {4, 2, 8}),
    ("ORCAUSDT", ("2025-03-18", "2025-04-20"), "2025-03-19 00:00", 0.3, {4, 2}),
    ("ORCAUSDT", ("2025-11-24", "2026-01-06"), "2025-11-25 02:00", -0.3, {4, 1}),
    ("ORCAUSDT", ("2026-02-14", "2026-02-19"), "2026-02-15 02:00", 0.2, {4, 1}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[1][0]} {c[3]:+}")
def test_changing_intervals_are_charged_as_the_file_has_them(
    case: tuple[str, tuple[str, str], str, float, set[int]],
) -> None:
    name, span, opened, exposure, gaps = case
    rates = {t: r for t, r in read(name, *span).rates.items() if t > ms(opened)}
    assert {(b - a) // HOUR for a, b in pairwise(rates)} == gaps
    made = hold((name,), span, opened, exposure, 1)
    assert made.wrong == []
    for scenario in ("cross", "isolated"):
        charged = [e for e in made[scenario].broker.events if e.kind == "funding"]
        assert {e.time: e.found for e in charged} == rates
        assert len(charged) == len(rates)
        for event in charged:
            longs_pay = -1 if exposure > 0 else 1
            assert event.amount * event.found * longs_pay >= 0
        assert made[scenario].fidelity["funding_charged"] == len(rates)


def test_seven_prints_of_minus_two_percent_cost_a_short_fourteen_percent_of_its_notional() -> None:
    made = hold(("SOLUSDT",), ("2022-11-07", "2022-11-12"), "2022-11-09 18:00", -0.5, 2)
    assert made.wrong == []
    for scenario in ("cross", "isolated"):
        worst = [e for e in made[scenario].broker.events
                 if e.kind == "funding" and e.found == -0.02]  # fmt: skip
        assert [e.time for e in worst] == [
            ms("2022-11-09 20:00"), ms("2022-11-10 00:00"),
            *(ms(f"2022-11-10 {hour:02}:00") for hour in (4, 6, 8, 10, 12)),
        ]  # fmt: skip
        for event in worst:
            assert event.amount == pytest.approx(-0.02 * abs(event.size) * event.mark, rel=1e-12)


def test_a_position_opened_at_the_settlement_is_not_charged_and_one_held_before_is() -> None:
    for opened, first in (("2022-11-10 04:00", "06:00"), ("2022-11-10 03:00", "04:00")):
        made = hold(("SOLUSDT",), ("2022-11-09", "2022-11-11"), opened, 0.5, 2)
        assert made.wrong == []
        charged = [e.time for e in made["cross"].broker.events if e.kind == "funding"]
        assert charged[0] == ms(f"2022-11-10 {first}")
