"""What a run held, bar by bar: the same numbers the account itself gave at the close of each bar."""

from __future__ import annotations

import random
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin.restless import Companion, Restless, Story, anything
from plugin.twin import LOOPS, walk
from studies.worlds import BTC, ETH, Cycle, Hold, flat_venue, frame

import bt_margin as btm
from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg
from bt_margin.core.liquidation import liquidation_price
from bt_margin.core.tiers import TierTable
from bt_margin.plugin.assemble import Recorder
from bt_margin.studies.breaking import liquidation_prices
from bt_margin.studies.held import POSITION_COLUMNS, Held, held_in, positions_frame

HOUR = 3_600_000


class Witness(bt.Analyzer):
    """Asks the account itself about every open position, bar by bar."""

    params = (("told", None),)

    def next(self) -> None:
        broker = self.strategy.broker
        if self.strategy.cerebro.runningstrats[0] is not self.strategy:
            return
        account, time = broker.account, broker.equity_curve[0][-1]
        self.p.told[time] = {
            p.symbol: (
                key, pool.margin_mode, p.size, p.entry, p.mark, p.notional(), p.unrealised(),
                p.initial(), p.maintenance(), pool.ratio(), account.liquidation_price(p.symbol),
            )
            for key, pool in account.pools.items()
            for p in pool.positions
        }  # fmt: skip


def witnessed(cerebro: bt.Cerebro, **loop: Any) -> tuple[Held, dict[int, dict[str, Any]]]:
    """Run: what the record says, and what the account said."""
    records: list[Any] = []
    told: dict[int, dict[str, Any]] = {}
    cerebro.addanalyzer(Recorder, records=records)
    cerebro.addanalyzer(Witness, told=told)
    cerebro.run(**loop)
    book = cerebro.broker.account.book
    return held_in(records[0], {symbol: p.contract for symbol, p in book.items()}), told


def check(held: Held, told: dict[int, dict[str, Any]]) -> int:
    """Every number of every row; how many liquidation prices there were."""
    assert held.times.tolist() == sorted(told)
    table = positions_frame(held)
    assert list(table.columns) == list(POSITION_COLUMNS)
    rows = iter(table.itertuples(index=False))
    prices = 0
    for time in sorted(told):
        for symbol, said in told[time].items():
            row = next(rows)
            assert (row.time.value // 1_000_000, row.symbol) == (time, symbol)
            assert (row.pool, row.margin_mode) == said[:2]
            assert tuple(row[4:7]) == said[2:5]
            assert tuple(row[7:12]) == pytest.approx(said[5:10], rel=1e-9, abs=1e-9)
            if said[10] is None:
                assert np.isnan(row.liquidation_price)
            else:
                assert row.liquidation_price == pytest.approx(said[10], rel=1e-9)
                prices += 1
    assert next(rows, None) is None
    return prices


def restless(story: Story) -> tuple[Held, dict[int, dict[str, Any]]]:
    """A strategy that does anything, anywhere."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = story.broker()
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    for name, bars in story.frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=bars, **hours), name=name)
    common: dict[str, Any] = {"act": anything, "story": story}
    cerebro.addstrategy(Restless, seed=story.seed, chance=0.6, **common)
    if story.company:
        cerebro.addstrategy(Companion, seed=story.seed + 1, chance=0.3, **common)
    loop: Any = LOOPS[story.loop]
    return witnessed(cerebro, **loop)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("coin", [False, True])
def test_every_row_is_what_the_account_said_at_that_bar(seed: int, coin: bool) -> None:
    assert check(*restless(Story(seed, coin))) > 10


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_tier_tables_that_change_on_their_dates(mode: str) -> None:
    change = 1_675_036_800_000  # both symbols have a table of that day
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = btm.MarginBroker(venue="binance", margin_mode=mode, leverage=10, cash=3e6)
    for number, symbol in enumerate((BTC, ETH)):
        bars = walk(200, number).tz_localize("UTC")
        start = pd.Timestamp(change - 100 * HOUR, unit="ms", tz="UTC")
        bars.index = pd.date_range(start, periods=200, freq="h")
        bars[["open", "high", "low", "close"]] *= 300.0
        hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
        cerebro.adddata(bt.feeds.PandasData(dataname=bars, **hours), name=symbol)
    cerebro.addstrategy(Hold, exposure=2.0)
    held, told = witnessed(cerebro)
    assert len(held.tables) == 4
    assert check(held, told) > 100


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize(
    ("venue", "change"), [("bybit", "2023-10-20"), ("bybit", "2025-09-02"), ("okx", "2025-01-01")]
)
def test_rules_of_their_own_and_fees_inside_the_requirement(
    venue: str, change: str, mode: str
) -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = btm.MarginBroker(venue=venue, margin_mode=mode, leverage=5, cash=3e6)
    bars = walk(200, 1).tz_localize("UTC")
    start = pd.Timestamp(change, tz="UTC") - pd.Timedelta("100h")
    bars.index = pd.date_range(start, periods=200, freq="h")
    bars[["open", "high", "low", "close"]] *= 300.0
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    cerebro.adddata(bt.feeds.PandasData(dataname=bars, **hours), name=BTC)
    cerebro.addstrategy(Hold, exposure=1.0)
    held, told = witnessed(cerebro)
    assert np.isnan(held.leverage).all()
    assert check(held, told) > 100


def test_a_margin_of_so_many_dollars_a_contract_is_followed_from_bar_to_bar() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker = btm.MarginBroker(venue=flat_venue(), cash=10_000.0)
    broker.setcommission(commission=0.0, margin=20.0, mult=1.0, name=BTC)
    cerebro.adddata(btm.PerpData(dataname=frame([100.0 + i for i in range(30)]), name=BTC))
    cerebro.addstrategy(Hold, exposure=2.0)
    held, told = witnessed(cerebro)
    assert broker._margins  # or this tests nothing
    assert check(held, told) > 20
    assert len(np.unique(held.leverage)) > 20


@given(
    seed=st.integers(0, 10**6),
    inverse=st.booleans(),
    stepped=st.booleans(),
    rich=st.floats(-0.5, 1.5),
)
def test_the_price_is_the_accounts_for_any_tiers_and_any_pool(
    seed: int, inverse: bool, stepped: bool, rich: float
) -> None:
    draw = random.Random(seed)
    caps = sorted({draw.choice([50.0, 100.0, 1_000.0, 5_000.0, 20_000.0]) for _ in range(3)})
    rates = sorted(draw.uniform(0.0, 0.5) for _ in [*caps, None])
    table = TierTable.of(
        [(cap, rate, None) for cap, rate in zip([*caps, None], rates, strict=True)], stepped=stepped
    )
    contract = Contract(
        "X", kind="inverse" if inverse else "linear", multiplier=draw.choice([1, 10])
    )
    sizes = [draw.choice([-1, 1]) * draw.choice([1.0, 2.5, 30.0]) for _ in range(8)]
    entries = [draw.choice([0.02, 100.0, 101.5]) for _ in sizes]
    at = [entry * draw.choice([1.0, 0.9, 1.1, 3.0]) for entry in entries]
    rest = [rich * contract.notional(s, e) for s, e in zip(sizes, entries, strict=True)]
    found = liquidation_prices(contract, table, sizes, entries, at, rest)
    for i, price in enumerate(found):
        leg = Leg(contract, sizes[i], entries[i], table)
        wanted = liquidation_price([leg], rest[i], mark=at[i])
        assert price == pytest.approx(np.nan if wanted is None else wanted, rel=1e-12, nan_ok=True)


def test_bars_of_a_flat_account_cost_a_time_and_nothing_else() -> None:
    class Idle(bt.Strategy):
        pass

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = btm.MarginBroker(venue=flat_venue(), cash=1_000.0)
    for name in (BTC, ETH):
        cerebro.adddata(btm.PerpData(dataname=frame([100.0] * 50), name=name))
    cerebro.addstrategy(Idle)
    records: list[Any] = []
    cerebro.addanalyzer(Recorder, records=records)
    cerebro.run()
    record = records[0]
    assert (len(record.times), len(record.mark), len(record.size)) == (50, 0, 0)
    assert len(record.first) == 1


def test_a_position_that_stands_still_costs_a_mark_a_bar() -> None:
    one = btm.run(Hold, {BTC: frame([100.0] * 50)}, venue=flat_venue(), cash=1_000.0, leverage=10)
    assert len(one.record.mark) == 49  # bought on the second bar
    assert len(one.record.size) <= 2


def test_ratio_leverage_and_margin_of_a_bar_sum_over_its_positions() -> None:
    frames = {BTC: frame([100.0, 100.0, 90.0]), ETH: frame([10.0, 10.0, 11.0])}
    one = btm.run(Hold, frames, venue=flat_venue(), cash=1_000.0, leverage=10)
    table, bars = one.positions, one.bars
    last = table[table["time"] == table["time"].iloc[-1]]
    assert list(last["symbol"]) == [BTC, ETH]
    assert bars["margin"].iloc[-1] == pytest.approx(last["margin"].sum())
    assert bars["leverage"].iloc[-1] == pytest.approx(last["notional"].sum() / one.final)
    assert bars["margin_ratio"].iloc[-1] == pytest.approx(last["maintenance"].sum() / one.final)
    assert list(bars["margin"].iloc[:1]) == [0.0]


def test_no_position_gives_the_columns_alone() -> None:
    class Idle(bt.Strategy):
        pass

    one = btm.run(Idle, {BTC: frame([100.0] * 5)}, venue=flat_venue(), cash=1_000.0)
    assert list(one.positions.columns) == list(POSITION_COLUMNS)
    assert len(one.positions) == 0
    assert (one.bars == 0.0).all(axis=None)


def test_the_positions_of_a_comparison_name_their_scenario() -> None:
    closes = [100.0 + i % 7 for i in range(60)]
    result = btm.compare(Cycle, {BTC: frame(closes)}, venue=flat_venue(), cash=1_000.0, leverage=5)
    table = result.positions
    assert list(table.columns) == ["scenario", *POSITION_COLUMNS]
    for name, one in result.runs.items():
        own = table[table["scenario"] == name].drop(columns="scenario").reset_index(drop=True)
        assert own.astype(one.positions.dtypes.to_dict()).equals(one.positions)
