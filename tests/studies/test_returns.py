"""Returns as other packages take them: the real packages are asked, where they are installed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, Cycle, Hold, flat_venue, frame

import bt_margin as btm
from bt_margin.studies.comparison import Comparison

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="module")
def result() -> Comparison:
    """Forty days of hours, up and down."""
    closes = [100.0 + 8.0 * math.sin(i / 17) + i / 100 for i in range(40 * 24)]
    return btm.compare(Cycle, {BTC: frame(closes)}, venue=flat_venue(), cash=1_000.0, leverage=5)


def test_daily_returns_multiply_to_the_total_return(result: Comparison) -> None:
    assert list(result.returns.columns) == list(result.runs)
    grown = (1.0 + result.returns).prod() - 1.0
    np.testing.assert_allclose(grown, result.summary["total_return"])
    bars = (1.0 + result.bar_returns).prod() - 1.0
    np.testing.assert_allclose(bars, result.summary["total_return"])


def test_days_are_naive_and_bars_are_utc(result: Comparison) -> None:
    assert result.returns.index.tz is None
    assert list(result.returns.index) == list(pd.date_range("2025-01-01", periods=40, freq="D"))
    assert list(result.bar_returns.index) == list(result.index)


def test_a_run_has_the_returns_of_its_comparison(result: Comparison) -> None:
    for name, run in result.runs.items():
        np.testing.assert_allclose(run.returns, result.returns[name])
        np.testing.assert_allclose(run.bar_returns, result.bar_returns[name])
        assert run.returns.name == name


def test_money_put_in_or_taken_out_is_no_return() -> None:
    class Saver(bt.Strategy):
        def next(self) -> None:
            if len(self) in (5, 30):
                self.broker.add_cash(500.0 if len(self) == 5 else -700.0)

    one = btm.run(Saver, {BTC: frame([100.0] * 72)}, venue=flat_venue(), cash=1_000.0)
    assert one.final == 800.0
    np.testing.assert_allclose(one.returns, [0.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(one.bar_returns, 0.0, atol=1e-12)


def test_a_deposit_at_the_first_bar_is_no_return_either() -> None:
    class Early(Hold):
        def next(self) -> None:
            if len(self) == 1:
                self.broker.add_cash(1_000.0)
            super().next()

    one = btm.run(Early, {BTC: frame([100.0, 100.0, 110.0])}, venue=flat_venue(), cash=1_000.0)
    both = btm.compare(Early, {BTC: frame([100.0, 100.0, 110.0])}, venue=flat_venue(), cash=1_000.0)
    np.testing.assert_allclose(one.bar_returns, both.bar_returns["cross"])


# -- the packages themselves -------------------------------------------------------------------------


def package(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.mark.filterwarnings("ignore")
def test_quantstats_takes_them_with_a_benchmark(result: Comparison, tmp_path: Path) -> None:
    qs = package("quantstats")
    one, other = result.returns["cross"], result.returns["isolated"]
    row = result.summary.loc["cross"]
    assert float(qs.stats.sharpe(one, periods=365)) == pytest.approx(row["sharpe"])
    table = qs.reports.metrics(one, other * 0.9, display=False, periods_per_year=365)
    assert len(table) > 20
    qs.reports.html(one, other * 0.9, output=str(tmp_path / "x.html"), periods_per_year=365)
    assert (tmp_path / "x.html").stat().st_size > 10_000


@pytest.mark.filterwarnings("ignore")
def test_pyfolio_takes_them_with_a_benchmark(result: Comparison) -> None:
    pf = package("pyfolio")
    one, other = result.returns["cross"], result.returns["isolated"]
    theirs = pf.timeseries.perf_stats(one)
    assert theirs["Cumulative returns"] == pytest.approx(
        result.summary.loc["cross"]["total_return"]
    )
    pf.create_simple_tear_sheet(one, benchmark_rets=other * 0.9)


class Swing(bt.Strategy):
    """Long, then short, then long again, twice a week."""

    def next(self) -> None:
        if len(self) % 84 == 1:
            self.order_target_percent(target=1.5 if len(self) % 168 == 1 else -1.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_pyfolio_takes_what_backtraders_own_analyzer_hands_over(mode: Any) -> None:
    """Returns, positions, transactions and leverage, of which it draws its full sheet and the round trips."""
    pf = package("pyfolio")
    closes = [100.0 + 8.0 * math.sin(i / 17) + i / 100 for i in range(120 * 24)]
    cerebro = bt.Cerebro()
    cerebro.adddata(btm.PerpData(dataname=frame(closes), name=BTC))
    rules = flat_venue()
    cerebro.broker = btm.MarginBroker(venue=rules, cash=1_000.0, leverage=5, margin_mode=mode)
    cerebro.addstrategy(Swing)
    cerebro.addanalyzer(bt.analyzers.PyFolio, _name="pyfolio")
    (strategy,) = cerebro.run()
    returns, positions, transactions, leverage = strategy.analyzers.pyfolio.get_pf_items()
    ended = cerebro.broker.getvalue() / 1_000.0 - 1.0
    assert pf.timeseries.perf_stats(returns)["Cumulative returns"] == pytest.approx(ended)
    assert transactions["amount"].sum() == pytest.approx(strategy.position.size)
    assert list(positions.columns) == [BTC, "cash"]
    assert positions[BTC].iloc[-1] == pytest.approx(strategy.position.size * closes[-1])
    assert 0.0 <= leverage.min() <= leverage.max() <= 1.0  # here: the share of the equity in use
    pf.create_full_tear_sheet(returns, positions=positions, transactions=transactions)
    pf.create_round_trip_tear_sheet(returns, positions, transactions)
