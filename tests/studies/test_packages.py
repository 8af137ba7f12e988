"""Our statistics beside empyrical's and quantstats', wherever they mean the same thing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bt_margin.report.months import years_of
from bt_margin.studies import stats

DAYS = 365

WALKS = [(1, 400, 0.03), (2, 900, 0.01), (3, 40, 0.05), (4, 365, 0.002)]


@pytest.fixture(params=WALKS, ids=lambda walk: f"{walk[1]} days")
def curve(request: Any) -> pd.Series:
    """A curve of daily closes that starts from 1 unit the day before."""
    seed, days, width = request.param
    moves = np.random.default_rng(seed).standard_t(4, days) * width / 2.0 + 0.0005
    times = pd.date_range("2023-03-17", periods=days, freq="D", tz="UTC")
    return pd.Series(np.cumprod(1.0 + np.maximum(moves, -0.5)), times)


def returns(curve: pd.Series) -> pd.Series:
    return pd.Series(stats.daily_returns(curve), curve.index)


def empyrical() -> Any:
    return pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed")


def quantstats() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("quantstats", reason="quantstats is not installed")
    return found.stats


Theirs = Callable[[Any, pd.Series], Any]
SAME_AS_EMPYRICAL: dict[str, tuple[Callable[[pd.Series], float], Theirs]] = {
    "volatility": (stats.volatility, lambda e, r: e.annual_volatility(r, annualization=DAYS)),
    "sharpe": (stats.sharpe, lambda e, r: e.sharpe_ratio(r, annualization=DAYS)),
    "sortino": (stats.sortino, lambda e, r: e.sortino_ratio(r, annualization=DAYS)),
    "omega": (stats.omega, lambda e, r: e.omega_ratio(r, annualization=DAYS)),
    "value at risk": (stats.value_at_risk, lambda e, r: e.value_at_risk(r)),
    "expected shortfall": (stats.expected_shortfall, lambda e, r: e.conditional_value_at_risk(r)),
    "tail ratio": (stats.tail_ratio, lambda e, r: e.tail_ratio(r)),
    "max drawdown": (lambda c: stats.max_drawdown(c).depth, lambda e, r: -e.max_drawdown(r)),
    "total return": (stats.total_return, lambda e, r: e.cum_returns_final(r)),
}
SAME_AS_QUANTSTATS: dict[str, tuple[Callable[[pd.Series], float], Theirs]] = {
    "volatility": (stats.volatility, lambda q, r: q.volatility(r, periods=DAYS)),
    "sharpe": (stats.sharpe, lambda q, r: q.sharpe(r, periods=DAYS)),
    "sortino": (stats.sortino, lambda q, r: q.sortino(r, periods=DAYS)),
    "omega": (stats.omega, lambda q, r: q.omega(r, periods=DAYS)),
    "skew": (stats.skew, lambda q, r: q.skew(r)),
    "kurtosis": (stats.kurtosis, lambda q, r: q.kurtosis(r)),
    "tail ratio": (stats.tail_ratio, lambda q, r: q.tail_ratio(r)),
    "max drawdown": (lambda c: stats.max_drawdown(c).depth, lambda q, r: -q.max_drawdown(r)),
    "total return": (stats.total_return, lambda q, r: q.comp(r)),
}


@pytest.mark.parametrize("name", SAME_AS_EMPYRICAL)
def test_what_empyrical_defines_alike_is_equal(name: str, curve: pd.Series) -> None:
    ours, theirs = SAME_AS_EMPYRICAL[name]
    assert ours(curve) == pytest.approx(float(theirs(empyrical(), returns(curve))), rel=1e-9)


@pytest.mark.parametrize("name", SAME_AS_QUANTSTATS)
def test_what_quantstats_defines_alike_is_equal(name: str, curve: pd.Series) -> None:
    ours, theirs = SAME_AS_QUANTSTATS[name]
    assert ours(curve) == pytest.approx(float(theirs(quantstats(), returns(curve))), rel=1e-9)


def test_growth_per_year_is_theirs_from_the_first_close_on(curve: pd.Series) -> None:
    later = returns(curve).iloc[1:]
    grown = stats.cagr(curve / curve.iloc[0])
    assert grown == pytest.approx(float(empyrical().annual_return(later, annualization=DAYS)))
    assert grown == pytest.approx(float(quantstats().cagr(later, periods=DAYS)))
    ours = stats.calmar(curve / curve.iloc[0])
    assert ours == pytest.approx(float(empyrical().calmar_ratio(later, annualization=DAYS)))


def test_the_ulcer_index_of_quantstats_divides_by_one_day_less(curve: pd.Series) -> None:
    theirs, n = float(quantstats().ulcer_index(returns(curve))), len(curve)
    assert stats.ulcer(curve) == pytest.approx(theirs * math.sqrt((n - 1) / n))


def test_months_are_those_of_quantstats(curve: pd.Series) -> None:
    naive = returns(curve)
    naive.index = pd.DatetimeIndex(naive.index).tz_localize(None)
    theirs = quantstats().monthly_returns(naive, eoy=False)
    theirs.index = [int(year) for year in theirs.index]
    for row in years_of(curve):
        ours = [0.0 if month is None else month for month in row["months"]]
        assert ours == pytest.approx([float(v) for v in theirs.loc[row["year"]]], abs=1e-9)
