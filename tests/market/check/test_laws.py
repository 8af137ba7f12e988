"""Laws of the check: what was taken out is what is missing, a lag comes back as itself, nothing raises."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market.check.plants import PRICES
from market.check.worlds import synthetic

from bt_margin.market import check as check_package
from bt_margin.market.check import KINDS, Finding, check_frames, exit_code
from bt_margin.market.check.findings import SEVERITIES, folded
from bt_margin.market.check.funding import check_sign, check_stamps
from bt_margin.market.check.marks import check_coverage, premium
from bt_margin.market.check.order import check_gaps, gaps_of, intersect, judge_gap, subtract
from bt_margin.market.check.rows import Rows, tidy
from bt_margin.market.check.shift import candidates, shifts
from bt_margin.market.check.weave import coarser, matched
from bt_margin.market.frames import CANONICAL
from bt_margin.market.synthetic import generate_market

HOUR = 3_600_000
NOW = int(pd.Timestamp("2026-11-01", tz="UTC").value // 1_000_000)
BTC = "BTC/USDT:USDT"


@cache
def bars(kind: str) -> Rows:
    """The synthetic last price or mark, tidy."""
    table = synthetic()[kind]
    times = pd.DatetimeIndex(table["timestamp"]).as_unit("ns").asi8 // 1_000_000
    columns = {name: table[name].to_numpy(np.float64) for name in [*PRICES, "volume"]}
    return tidy(Rows("binance", BTC, kind, "1h", f"{kind}/1h", times, columns))


def moved(rows: Rows, lag: int) -> Rows:
    return Rows(
        rows.exchange, rows.symbol, rows.kind, rows.timeframe, rows.data,
        rows.times + lag, rows.columns,
    )  # fmt: skip


# -- missing bars --------------------------------------------------------------------------------

dropped = st.sets(st.integers(1, 298), max_size=60)


@given(dropped)
def test_what_is_missing_is_what_was_taken_out(places: set[int]) -> None:
    whole = bars("ohlcv").kept(np.arange(len(bars("ohlcv"))) < 300)
    times = whole.times.copy()
    keep = np.array([place not in places for place in range(300)])
    left = Rows(
        "binance", BTC, "ohlcv", "1h", "a", times[keep],
        {name: values[keep] for name, values in whole.columns.items()},
    )  # fmt: skip
    lost = [t for start, stop in gaps_of(left) for t in range(start, stop, HOUR)]
    assert lost == times[~keep].tolist()
    found = check_gaps(left)
    assert sum(each.count for each in found) == len(places)
    assert all(a.stop + HOUR < b.start for a, b in pairwise(found))


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6).map(
    lambda pairs: [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
)


@given(spans)
def test_a_span_is_cut_into_what_is_inside_others_and_what_is_not(others: list[Any]) -> None:
    outside = {t for a, b in subtract((10, 50), others) for t in range(a, b)}
    inside = {t for a, b in intersect((10, 50), others) for t in range(a, b)}
    assert inside == {t for a, b in others for t in range(max(a, 10), min(b, 50))}
    assert outside == set(range(10, 50)) - inside


@given(dropped, dropped, dropped)
def test_every_missing_bar_of_a_store_is_told_once(
    gone: set[int], confirmed: set[int], unasked: set[int]
) -> None:
    hours = np.arange(300, dtype=np.int64) * HOUR
    absent = gone | confirmed | unasked
    keep = np.array([place not in absent for place in range(300)])

    def of(places: set[int]) -> tuple[tuple[int, int], ...]:
        return tuple((place * HOUR, (place + 1) * HOUR) for place in sorted(places))

    covered = of(set(range(300)) - (unasked - confirmed))
    rows = Rows(
        "okx", BTC, "ohlcv", "1h", "a", hours[keep], {}, holes=of(confirmed), covered=covered
    )
    found = [each for span in gaps_of(rows) for each in judge_gap(rows, span, "gap")]
    told = {
        (each.kind, each.severity, time)
        for each in found
        for time in range(each.start, each.stop + HOUR, HOUR)
    }
    assert told == {
        ("gap", "info", place * HOUR) if place in confirmed
        else ("not asked", "error", place * HOUR) if place in unasked
        else ("gap", "error", place * HOUR)
        for place in absent
    }  # fmt: skip
    assert sum(each.count for each in found) == len(absent)


# -- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [lag for lag in candidates(HOUR, HOUR) if lag])
def test_every_lag_that_is_tried_comes_back_as_itself(lag: int) -> None:
    last, mark = bars("ohlcv"), bars("mark")
    (found,) = shifts(last, moved(mark, lag))
    assert found.lag == lag
    assert found.aligned > 0.95
    assert abs(found.agreement) < 0.2
    (other,) = shifts(moved(mark, lag), last)
    assert other.lag == -lag


def test_sources_of_one_clock_are_not_suspected_at_any_bar_length() -> None:
    last, mark = bars("ohlcv"), bars("mark")
    assert shifts(last, mark) == []
    for hours in (2, 4, 8, 12):
        slow = coarser(mark, hours * HOUR)
        assert len(slow) > 300
        assert shifts(last, slow) == []
        assert [each.lag for each in shifts(last, moved(slow, 4 * HOUR))] == [4 * HOUR]


def test_unrelated_and_still_prices_prove_no_lag() -> None:
    last, table = bars("ohlcv"), generate_market(hours=4000)["DOGE/USDT:USDT"]
    steps = np.random.default_rng(3).normal(0.0, 0.004, len(last))
    walk = 100.0 * np.exp(np.cumsum(steps))
    other = Rows("x", BTC, "mark", "1h", "b", last.times, dict.fromkeys(PRICES, walk))
    assert shifts(last, other) == []
    still = Rows("x", BTC, "mark", "1h", "b", last.times, dict.fromkeys(PRICES, walk * 0 + 5.0))
    assert shifts(last, still) == []
    assert len(table) == len(last)


def test_too_little_in_common_proves_nothing() -> None:
    last, mark = bars("ohlcv"), bars("mark")
    few = mark.kept(np.arange(len(mark)) < 40)
    assert shifts(last, moved(few, HOUR)) == []
    assert shifts(few, moved(last, 100_000 * HOUR)) == []


def test_bars_made_of_finer_ones_are_whole_or_not_there() -> None:
    last = bars("ohlcv")
    holed = last.kept(np.arange(len(last)) != 41)
    slow = coarser(holed, 4 * HOUR)
    assert len(slow) == len(last) // 4 - 1
    assert len(coarser(last, 90 * 60_000)) == 0
    pair = matched(holed, slow)
    assert len(pair) == len(slow)
    assert all((pair.distance(name) == 0.0).all() for name in PRICES)


# -- settlements ---------------------------------------------------------------------------------

plans = st.lists(
    st.tuples(st.sampled_from([1, 2, 4, 8]), st.integers(3, 12)), min_size=1, max_size=8
)


@given(plans, st.integers(0, 900))
def test_changes_of_the_interval_are_listed_and_not_called_missing(
    plan: list[tuple[int, int]], jitter: int
) -> None:
    hours, at = [0], 0
    for step, count in plan:
        for _ in range(count):
            at += step - at % step
            hours.append(at)
    stamps = np.array(hours, np.int64) * HOUR + jitter
    rows = Rows("x", BTC, "funding", "", "funding", stamps, {"funding_rate": stamps * 1e-20})
    found = list(check_stamps(tidy(rows)))
    assert {each.kind for each in found if each.severity == "error"} == set()
    (listed,) = [each for each in found if each.kind == "intervals"]
    assert listed.count == len(hours)


@pytest.mark.parametrize(("sign", "told"), [(1.0, []), (-1.0, ["rate sign"])])
def test_rates_that_go_against_the_premium_are_told(sign: float, told: list[str]) -> None:
    last, mark = bars("ohlcv"), bars("mark")
    values, closes = premium(last, mark)
    stamps = last.times[8::8]
    eight = values[: len(stamps) * 8].reshape(-1, 8).mean(axis=1)
    noise = np.random.default_rng(5).normal(0.0, eight.std(), len(eight))
    rates = {"funding_rate": sign * (eight + noise)}
    rows = Rows("x", BTC, "funding", "", "funding", stamps[: len(eight)], rates)
    assert [each.kind for each in check_sign(rows, values, closes)] == told


def test_kinds_that_start_later_or_end_earlier_are_facts() -> None:
    last, mark = bars("ohlcv"), bars("mark")
    inner = mark.kept((np.arange(len(mark)) >= 48) & (np.arange(len(mark)) < len(mark) - 72))
    found = list(check_coverage([last], inner))
    assert [(each.kind, each.severity, each.count) for each in found] == [
        ("coverage", "info", 48),
        ("coverage", "info", 72),
    ]
    assert list(check_coverage([last], mark.kept(np.arange(len(mark)) >= 12))) == []
    (apart,) = check_coverage([last], moved(mark, 100_000 * HOUR))
    assert "no time in common" in apart.text


# -- nothing raises ------------------------------------------------------------------------------

values = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-300, 1e300, 1.0, 100.0])
pokes = st.lists(
    st.tuples(st.integers(0, 199), st.sampled_from(CANONICAL), values), max_size=40
)  # fmt: skip
orders = st.sampled_from(["as it is", "reversed", "doubled", "one", "two", "none", "shaken"])


@given(pokes, orders)
def test_no_data_is_so_broken_that_the_check_breaks(
    broken: list[tuple[int, str, float]], order: str
) -> None:
    frame = generate_market(hours=200)[BTC].copy()
    for place, name, value in broken:
        frame.iloc[place, frame.columns.get_loc(name)] = value
    frame = {
        "as it is": frame, "reversed": frame[::-1], "doubled": pd.concat([frame, frame]),
        "one": frame[:1], "two": frame[:2], "none": frame[:0],
        "shaken": frame.sample(frac=1.0, random_state=1),
    }[order]  # fmt: skip
    found = check_frames({BTC: frame}, now=NOW)
    for each in found:
        assert each.kind in KINDS
        assert each.severity in SEVERITIES
        assert each.start <= each.stop
        assert each.text
        assert each.to_dict()["count"] == each.count
    assert found == check_frames({BTC: frame}, now=NOW)


def test_exit_codes() -> None:
    def of(severity: Any) -> Finding:
        return Finding("gap", severity, "", "A", "a", 0, 0, 1, "")

    assert [exit_code([of("info")], strict) for strict in (False, True)] == [0, 0]
    assert [exit_code([of("warning")], strict) for strict in (False, True)] == [0, 1]
    assert [exit_code([of("info"), of("error")], strict) for strict in (False, True)] == [1, 1]


def test_errors_are_never_folded_and_counts_never_change() -> None:
    many = [
        Finding("gap", "warning" if i % 2 else "error", "", "A", "a", i, i, i % 7, "")
        for i in range(2000)
    ]
    short = folded(many)
    assert sum(each.severity == "error" for each in short) == 1000
    assert sum(each.severity == "warning" for each in short) == 201
    assert sum(each.count for each in short) == sum(each.count for each in many)


def test_every_kind_that_is_listed_is_said_somewhere() -> None:
    folder = Path(check_package.__file__).parent
    code = "".join(
        path.read_text("utf-8") for path in folder.glob("*.py") if path.name != "findings.py"
    )
    assert [kind for kind in KINDS if f'"{kind}"' not in code] == []
