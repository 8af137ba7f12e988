"""Spikes of the last price that the mark did not follow, and marks that are not there at all."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest
from real.rawdata import ms, read
from real.stage import Study, frames, hold

from bt_margin.errors import MissingData
from bt_margin.report.words import fidelity, liquidations


@dataclass(frozen=True)
class Wick:
    """An hour whose last price went further than the mark; ``side`` is the position it endangers."""

    name: str
    span: tuple[str, str]
    opened: str
    hour: str
    side: int
    last: float
    mark: float
    leverages: tuple[float, ...]


WICKS = (
    Wick("ETHUSDT", ("2020-03-12", "2020-03-13 12:00"), "2020-03-12 22:00", "2020-03-13 02:00",
         -1, 323.00, 119.47, (2, 3, 5)),
    Wick("BTCUSDT", ("2020-03-11", "2020-03-12 20:00"), "2020-03-12 09:00", "2020-03-12 10:00",
         1, 5199.17, 5620.86, (3.7, 4)),
    Wick("ETHUSDT", ("2021-05-18", "2021-05-20 12:00"), "2021-05-19 12:00", "2021-05-19 13:00",
         1, 1400.73, 1764.26, (2.5, 2.7)),
    Wick("BTCUSDT", ("2021-07-25", "2021-07-26 12:00"), "2021-07-25 22:00", "2021-07-26 01:00",
         -1, 48168.6, 39744.8, (3.5, 4, 5)),
    Wick("SOLUSDT", ("2022-11-09", "2022-11-10"), "2022-11-09 19:00", "2022-11-09 21:00",
         1, 9.423, 9.918, (9, 10)),
)  # fmt: skip
CASES = [(wick, leverage) for wick in WICKS for leverage in wick.leverages]


def held_over(wick: Wick, leverage: float, marks: bool) -> Study:
    """One position through the wick, nearly all of the wallet posted, small enough for the lowest tier."""
    exposure = wick.side * 0.95 * leverage
    return hold((wick.name,), wick.span, wick.opened, exposure, leverage, marks=marks, cash=1_000.0)


def ids(case: tuple[Wick, float]) -> str:
    return f"{case[0].name} {case[0].hour} {case[1]}x"


@pytest.mark.parametrize("wick", WICKS, ids=lambda w: f"{w.name} {w.hour}")
def test_the_files_still_hold_the_wick(wick: Wick) -> None:
    raw = read(wick.name, *wick.span)
    time, place = ms(wick.hour), 2 if wick.side > 0 else 1
    assert raw.last[time][place] == pytest.approx(wick.last, rel=1e-5)
    assert raw.marks[time][place] == pytest.approx(wick.mark, rel=1e-4)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_with_marks_the_wick_liquidates_nobody(case: tuple[Wick, float]) -> None:
    made = held_over(*case, marks=True)
    assert made.wrong == []
    for scenario in ("cross", "isolated"):
        assert made.kinds(scenario).get("fill") == 1
        assert made.kinds(scenario).get("breach", 0) == 0
        assert made[scenario].broker.account.positions
        assert made[scenario].fidelity["bars_without_mark"] == 0
        assert made[scenario].fidelity["symbols_without_mark"] == ()


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_without_marks_it_does_and_the_report_says_that_they_were_missing(
    case: tuple[Wick, float],
) -> None:
    wick = case[0]
    made = held_over(*case, marks=False)
    symbol = f"{wick.name[:-4]}/USDT:USDT"
    assert made.wrong == []
    for scenario in ("cross", "isolated"):
        assert made.fallen(scenario) == [(ms(wick.hour), symbol)]
        found = made.audits[scenario].found[0]
        assert min(wick.last, wick.mark) < found.mark < max(wick.last, wick.mark)
        assert [event.symbol for event in made[scenario].strategy.told] == [symbol]
        told = made[scenario].fidelity
        assert told["bars_with_mark"] == 0
        assert told["bars_without_mark"] == told["bars"] > 0
        assert told["symbols_without_mark"] == (symbol,)
    said = " ".join(fidelity(made.comparison))
    assert f"No mark prices for {symbol}: liquidations were triggered by the last price." in said
    for row in liquidations(made.comparison):
        assert row["explanation"].startswith("The last price, for want of a mark, reached ")


# -- marks missing for a day ------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2022-10-02", "2023-02-24"])
def test_the_last_price_stands_in_for_a_day_without_marks_and_is_counted(day: str) -> None:
    first, names = ms(day), ("SOLUSDT",)
    span = (_shifted(day, -2), _shifted(day, 3))
    frame = frames(names, *span)["SOL/USDT:USDT"]
    assert frame.attrs["mark_missing"] == 24
    made = hold(names, span, f"{_shifted(day, -1)} 00:00", 0.5, 2)
    assert made.wrong == []
    for scenario in ("cross", "isolated"):
        run = made[scenario]
        assert run.fidelity["bars_without_mark"] == 24
        assert run.fidelity["bars_with_mark"] == run.fidelity["bars"] - 24 > 0
        assert any("24 bars of SOL/USDT:USDT had no mark" in note for note in run.fidelity["notes"])
        charged = [e.time for e in run.broker.events if e.kind == "funding"]
        assert [t for t in charged if first <= t < first + 86_400_000] == [
            first + hours * 3_600_000 for hours in (0, 8, 16)
        ]
    assert any("24 bars of SOL/USDT:USDT had no mark" in note for note in fidelity(made.comparison))


def _shifted(day: str, days: int) -> str:
    return f"{pd.Timestamp(day) + pd.Timedelta(days=days):%Y-%m-%d}"


def test_a_demanded_mark_that_is_missing_is_an_error() -> None:
    with pytest.raises(MissingData, match="mark was required and is missing for ETH/USDT:USDT"):
        hold(("ETHUSDT",), ("2020-03-12", "2020-03-14"), "2020-03-13 00:00", 1.0, 5,
             marks=False, require=("mark",))  # fmt: skip
