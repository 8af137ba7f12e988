"""Statistics of an equity curve: their definitions on curves one can reckon by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.studies import stats


def curve(values: list[float], freq: str = "D") -> pd.Series:
    """A curve from 2025-01-01 UTC on."""
    return pd.Series(values, pd.date_range("2025-01-01", periods=len(values), freq=freq, tz="UTC"))


def test_deposits_are_no_profit() -> None:
    equity = curve([100.0, 200.0, 220.0])
    flows = curve([0.0, 100.0, 0.0])
    assert stats.total_return(stats.growth(equity, 100.0, flows)) == pytest.approx(0.1)


def test_an_account_that_is_refilled_after_nothing_counts_from_the_new_money() -> None:
    grown = stats.growth(curve([50.0, 0.0, 100.0]), 100.0, curve([0.0, 0.0, 100.0]))
    assert grown.iloc[-1] == 0.0


def test_growth_of_a_year_is_the_cagr() -> None:
    year = curve([1.0, *[1.0] * 364, 1.5])
    assert stats.cagr(year) == pytest.approx(0.5)


def test_cagr_needs_a_month_and_total_loss_is_minus_one() -> None:
    assert math.isnan(stats.cagr(curve([1.0, 1.1], "20D")))
    assert stats.cagr(curve([1.0, 0.0], "40D")) == -1.0


def test_drawdown_counts_the_start_as_a_high() -> None:
    fall = stats.max_drawdown(curve([0.9, 0.8, 0.95]))
    assert fall.depth == pytest.approx(0.2)
    assert fall.recovered is None


def test_drawdown_names_peak_trough_and_recovery() -> None:
    fall = stats.max_drawdown(curve([1.0, 1.2, 0.6, 1.3, 1.2]))
    assert fall.depth == pytest.approx(0.5)
    assert [d.day for d in (fall.peak, fall.trough, fall.recovered) if d is not None] == [2, 3, 4]


def test_sharpe_and_sortino_follow_their_formulas() -> None:
    wave = curve([1.1, 1.045, 1.1495])  # +10 %, -5 %, +10 %
    mean, spread = 0.05, math.sqrt(((0.05**2) * 2 + 0.1**2) / 2)
    assert stats.sharpe(wave) == pytest.approx(mean / spread * math.sqrt(365))
    assert stats.sortino(wave) == pytest.approx(mean / math.sqrt(0.0025 / 3) * math.sqrt(365))


def test_hourly_bars_and_their_daily_closes_have_the_same_sharpe() -> None:
    hourly = curve([1.0 + 0.001 * math.sin(i) + i * 1e-4 for i in range(240)], "h")
    daily = hourly.resample("1D").last()
    assert stats.sharpe(hourly) == pytest.approx(stats.sharpe(daily))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0]])
def test_ratios_of_nothing_are_nan(values: list[float]) -> None:
    assert math.isnan(stats.sharpe(curve(values)))
    assert math.isnan(stats.sortino(curve(values)))


def test_empty_curves_have_plain_answers() -> None:
    empty = curve([])
    assert stats.total_return(empty) == 0.0
    assert stats.max_drawdown(empty).depth == 0.0
    assert len(stats.drawdowns(empty)) == 0


@given(st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=1, max_size=50))
def test_law_drawdown_lies_between_nothing_and_everything(values: list[float]) -> None:
    grown = stats.growth(curve(values), values[0])
    assert 0.0 <= stats.max_drawdown(grown).depth < 1.0
    assert stats.drawdowns(grown).max() <= 1e-12
    assert grown.iloc[-1] == pytest.approx(values[-1] / values[0])


@given(st.lists(st.sampled_from([0.5, 0.8, 1.0, 1.2, 1.5]), min_size=1, max_size=12))
def test_law_the_longest_fall_is_the_one_a_plain_loop_finds(values: list[float]) -> None:
    high, since, below, longest = 1.0, 0, False, 0
    for day, value in enumerate(values):
        reached = value >= high
        if below or not reached:
            longest = max(longest, day - since)
        if reached:
            high, since = value, day
        below = not reached
    assert stats.longest_fall(curve(values)) == pytest.approx(longest)


@given(st.lists(st.floats(0.01, 1e3), min_size=1, max_size=50))
def test_law_the_lowest_drawdown_is_the_deepest_fall(values: list[float]) -> None:
    assert -stats.drawdowns(curve(values)).min() == pytest.approx(
        stats.max_drawdown(curve(values)).depth
    )
    assert stats.ulcer(curve(values)) <= stats.max_drawdown(curve(values)).depth + 1e-12


def test_omega_tails_and_quantiles_of_days_one_can_count() -> None:
    wave = curve([1.1, 1.045, 1.1495])  # +10 %, -5 %, +10 %
    assert stats.omega(wave) == pytest.approx(4.0)
    assert stats.value_at_risk(wave) == pytest.approx(
        -0.035
    )  # a tenth of the way from -5 % to +10 %
    assert stats.expected_shortfall(wave) == pytest.approx(-0.05)
    assert stats.tail_ratio(wave) == pytest.approx(0.1 / 0.035)
    assert stats.skew(wave) == pytest.approx(-math.sqrt(3.0))
    assert stats.volatility(wave) == pytest.approx(math.sqrt(0.0075) * math.sqrt(365))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
def test_shapes_of_nothing_are_nan(values: list[float]) -> None:
    flat = curve(values)
    for statistic in (stats.calmar, stats.omega, stats.skew, stats.kurtosis, stats.tail_ratio):
        assert math.isnan(statistic(flat))
    assert stats.ulcer(flat) == stats.longest_fall(flat) == 0.0
