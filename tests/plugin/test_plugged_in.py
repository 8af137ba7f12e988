"""Feeds, schemes, observers, analyzers and sizers around the real broker, in both loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from plugin.desk import BTC, ETH, bars_of

import bt_margin as btm

LOOPS = {"runonce": {}, "next": {"runonce": False}, "no preload": {"preload": False}}
ALL = (
    btm.observers.MarginRatio,
    btm.observers.LiquidationPrice,
    btm.observers.Available,
    btm.observers.FundingPaid,
    btm.analyzers.Ledger,
    btm.analyzers.Liquidations,
    btm.analyzers.Funding,
    btm.analyzers.MarginUse,
)


def broker_with(**settings: Any) -> Any:
    flat = btm.venue(
        "generic",
        maintenance_rate=0.005,
        taker_fee=0.0005,
        maker_fee=0.0002,
        liquidation_fee=0.0,
        funding_interval="8h",
        residual="trader",
    )
    return btm.MarginBroker(**{"venue": flat, "leverage": 10, "debug": True, **settings})


def walk(bars: int = 240, seed: int = 3, drift: float = 0.0) -> pd.DataFrame:
    """Hourly bars with marks and settlements every eight hours."""
    draw = np.random.default_rng(seed)
    index = pd.date_range("2024-01-01", periods=bars, freq="h", tz="UTC")
    close = 100.0 * np.exp(np.cumsum(draw.normal(drift, 0.01, bars)))
    start = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(start, close) * 1.003, np.minimum(start, close) * 0.997
    frame = pd.DataFrame(
        {"open": start, "high": high, "low": low, "close": close, "volume": 1.0}, index=index
    )
    for line in ("open", "high", "low", "close"):
        frame[f"mark_{line}"] = frame[line] * 0.9995
    frame["funding_rate"] = np.where(index.hour % 8 == 0, 0.0003, np.nan)
    return frame


class Script(bt.Strategy):
    """Does at each bar what it is told, and notes the account's numbers after it has looked."""

    params = (("acts", None), ("every", None))

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, float, float]] = []

    def next(self) -> None:
        account = self.broker.account
        price = account.liquidation_price(self.data._name)
        funding = -account.ledger.totals["funding"]
        ratio = max([pool.ratio() for pool in account.pools.values()], default=0.0)
        nan = float("nan")
        self.seen.append((ratio, nan if price is None else price, self.broker.getcash(), funding))
        if self.p.every is not None:
            self.p.every(self)
        if self.p.acts and len(self) in self.p.acts:
            self.p.acts[len(self)](self)


def play(
    broker: Any,
    frames: dict[str, pd.DataFrame],
    add: Callable[[Any], Any] | None = None,
    feed: Any = btm.PerpData,
    run: dict[str, Any] | None = None,
    **script: Any,
) -> Any:
    cerebro = bt.Cerebro(stdstats=False, **(run or {}))
    cerebro.broker = broker
    for symbol, frame in frames.items():
        cerebro.adddata(feed(dataname=frame, name=symbol))
    cerebro.addstrategy(Script, **script)
    if add is not None:
        add(cerebro)
    return cerebro.run()[0]


def add_all(cerebro: Any) -> None:
    for piece in ALL:
        (cerebro.addobserver if issubclass(piece, bt.Observer) else cerebro.addanalyzer)(piece)


def trade(strategy: Any) -> None:
    """Long and short by turns, on both feeds."""
    turn = len(strategy) // 30 % 3
    for side, data in zip((1, -1), strategy.datas, strict=False):
        strategy.order_target_percent(data, target=side * (2.5, 0.0, -2.0)[turn])


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_drawn_and_counted_is_what_the_account_held(loop: str, mode: str) -> None:
    strategy = play(
        broker_with(margin_mode=mode),
        {BTC: walk(), ETH: walk(seed=5)},
        add_all,
        run=LOOPS[loop],
        every=lambda s: trade(s) if len(s) % 10 == 1 else None,
    )
    drawn = [list(o.lines[0].get(size=len(o.lines[0]))) for o in strategy.observers]
    for place in range(4):
        expected = [row[place] for row in strategy.seen]
        assert drawn[place] == pytest.approx(expected, nan_ok=True), ALL[place].__name__
    account = strategy.broker.account
    found = {a.__class__.__name__: a.get_analysis() for a in strategy.analyzers}
    assert found["Funding"]["count"] > 10
    assert found["Funding"]["net"] == pytest.approx(account.ledger.totals["funding"])
    assert -found["Funding"]["net"] == pytest.approx(drawn[3][-1])
    assert sum(found["Ledger"]["balances"].values()) == pytest.approx(account.wallet())
    assert 0 < found["MarginUse"]["bars_open"] < found["MarginUse"]["bars"] == 240
    assert found["MarginUse"]["ratio_max"] == pytest.approx(np.nanmax(drawn[0]))


def test_both_loops_tell_the_same_story() -> None:
    runs = [
        play(broker_with(), {BTC: walk()}, add_all, run=run, every=trade) for run in LOOPS.values()
    ]
    first = [repr(a.get_analysis()) for a in runs[0].analyzers]
    for run in runs[1:]:
        assert [repr(a.get_analysis()) for a in run.analyzers] == first
        assert repr(run.seen) == repr(runs[0].seen)


def test_a_liquidation_is_in_the_analysis_of_it() -> None:
    frame = bars_of([100.0, 100.0, 96.0, 85.0, 85.0])
    strategy = play(broker_with(), {BTC: frame}, add_all, acts={1: lambda s: s.buy(size=900)})
    found = strategy.analyzers.liquidations.get_analysis()
    assert found["count"] == 1
    assert found["breaches"] == 1
    assert strategy.position.size == 0
    assert math.isnan(strategy.observers[1].lines.price[0])


class TestSizersOnTheBroker:
    @pytest.mark.parametrize("buy", [True, False])
    def test_target_leverage_meets_its_target_at_the_fill(self, buy: bool) -> None:
        ends: list[float] = []

        def act(strategy: Any) -> None:
            (strategy.buy if buy else strategy.sell)()

        def look(strategy: Any) -> None:
            account = strategy.broker.account
            ends.append(account.position(BTC).notional() / account.equity())

        play(
            broker_with(),
            {BTC: bars_of([100.0] * 4)},
            lambda c: c.addsizer(btm.sizers.TargetLeverage, exposure=3.0),
            acts={1: act, 3: look},
        )
        assert ends == [pytest.approx(3.0)]

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    def test_all_the_margin_there_is_is_accepted(self, mode: str) -> None:
        strategy = play(
            broker_with(margin_mode=mode),
            {BTC: bars_of([100.0] * 4)},
            lambda c: c.addsizer(btm.sizers.MarginFraction, fraction=1.0),
            acts={1: lambda s: s.buy()},
        )
        assert strategy.position.size == pytest.approx(10_000 / (10 + 0.05))
        assert strategy.broker.getcash() == pytest.approx(0.0, abs=1e-6)

    def test_the_liquidation_price_stays_away_on_every_bar_it_is_opened(self) -> None:
        """The fill is at the next open, so the distance holds up to that one step of price."""
        frame = walk(200)
        frame["open"] = frame["close"].shift(1).fillna(frame["open"])

        def act(strategy: Any) -> None:
            (strategy.buy if len(strategy) % 6 < 3 else strategy.sell)()

        strategy = play(
            broker_with(),
            {BTC: frame},
            lambda c: c.addsizer(btm.sizers.LiquidationDistance, distance=0.25),
            every=act,
        )
        events = [e for e in strategy.broker.events if e.kind in ("fill", "liquidation")]
        assert len(events) > 30
        assert all(e.kind == "fill" for e in events)

    def test_a_flat_symbols_mark_is_brought_up_to_date_first(self) -> None:
        """The price has doubled since the account last heard of it."""
        sizes: list[float] = []
        closes = [100.0, 100.0, 150.0, 200.0, 200.0]
        play(
            broker_with(venue="binance"),
            {BTC: bars_of([c * 100 for c in closes])},
            lambda c: c.addsizer(btm.sizers.MarginFraction, fraction=1.0),
            acts={4: lambda s: s.buy(), 5: lambda s: sizes.append(s.position.size)},
        )
        assert sizes[0] * 20_000 / 10 == pytest.approx(10_000, rel=0.01)


class TestSchemesOnTheBroker:
    def run(self, set_up: Callable[[Any], Any], target: float = 2.0) -> Any:
        broker = broker_with()
        set_up(broker)
        act = {1: lambda s: s.order_target_percent(target=target)}
        return play(broker, {BTC: bars_of([100.0] * 4)}, acts=act)

    def test_the_venues_fee_without_a_scheme(self) -> None:
        strategy = self.run(lambda broker: None)
        assert strategy.position.size == pytest.approx(200.0)
        assert strategy.broker.account.ledger.totals["fee"] == pytest.approx(-200 * 100 * 0.0005)

    def test_a_scripts_percent_commission(self) -> None:
        strategy = self.run(lambda broker: broker.setcommission(commission=0.001))
        assert strategy.broker.account.ledger.totals["fee"] == pytest.approx(-20.0)

    def test_a_scripts_multiplier_makes_larger_contracts(self) -> None:
        strategy = self.run(
            lambda broker: broker.setcommission(commission=2.0, margin=50.0, mult=10.0), -2.0
        )
        assert strategy.position.size == pytest.approx(-20.0)
        assert strategy.broker.account.ledger.totals["fee"] == pytest.approx(-40.0)
        assert strategy.broker.getvalue([strategy.data]) == pytest.approx(-20_000.0)

    def test_the_margin_of_a_script_is_its_leverage(self) -> None:
        """50 of margin for a contract of 10 at 100 is a leverage of 20."""
        broker = broker_with(leverage=1)
        broker.setcommission(commission=2.0, margin=50.0, mult=10.0)
        strategy = play(broker, {BTC: bars_of([100.0] * 4)}, acts={1: lambda s: s.buy(size=150)})
        assert strategy.position.size == 150
        assert strategy.broker.getcash() == pytest.approx(10_000 - 300 - 150 * 50)

    def test_our_own_scheme_with_its_own_rate(self) -> None:
        info = btm.LinearPerp(commission=0.002, mult=0.5)
        strategy = self.run(lambda broker: broker.addcommissioninfo(info))
        assert strategy.position.size == pytest.approx(400.0)
        assert strategy.broker.account.ledger.totals["fee"] == pytest.approx(-40.0)


class TestFeedsOnTheBroker:
    def test_marks_decide_liquidations_and_missing_marks_are_missing(self) -> None:
        """A wick of the last price that the mark did not follow liquidates nobody."""
        frame = bars_of([100.0] * 5).assign(volume=1.0)
        frame.iloc[3, frame.columns.get_loc("low")] = 50.0
        buy = {1: lambda s: s.buy(size=500)}
        for line in ("open", "high", "low", "close"):
            frame[f"mark_{line}"] = 100.0
        assert play(broker_with(), {BTC: frame}, acts=buy).position.size == 500
        bare = frame.drop(columns=[c for c in frame.columns if c.startswith("mark")])
        assert play(broker_with(), {BTC: bare}, acts=buy).position.size == 0

    def test_bounded_buffers_run_like_whole_ones(self) -> None:
        whole = play(broker_with(), {BTC: walk(48)}, every=trade)
        bounded = play(broker_with(), {BTC: walk(48)}, run={"exactbars": 1}, every=trade)
        assert repr(bounded.seen) == repr(whole.seen)

    def test_a_replayed_bar_forgets_the_marks_before_the_entry(self) -> None:
        """The low of the mark came before the position: it can liquidate nobody."""
        index = pd.date_range("2024-01-01", periods=24, freq="h", tz="UTC")
        frame = pd.DataFrame(100.0, index=index, columns=["open", "high", "low", "close", "volume"])
        for line in ("open", "high", "low", "close"):
            frame[f"mark_{line}"] = 100.0
        frame.iloc[9, frame.columns.get_loc("mark_low")] = 50.0
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker = broker_with()
        data = btm.PerpData(dataname=frame, name=BTC)
        cerebro.replaydata(data, timeframe=bt.TimeFrame.Days)
        held: list[float] = []

        def every(strategy: Any) -> None:
            if strategy.datetime.datetime().hour == 12 and not strategy.position:
                strategy.buy(size=500)
            held.append(strategy.position.size)

        cerebro.addstrategy(Script, every=every)
        cerebro.run()
        assert held[-1] == 500

    def test_a_resampled_clone_trades_the_same_symbol(self) -> None:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker = broker_with()
        data = btm.PerpData(dataname=walk(48), name=BTC)
        cerebro.adddata(data)
        cerebro.resampledata(data, timeframe=bt.TimeFrame.Minutes, compression=240)
        cerebro.addobservermulti(btm.observers.LiquidationPrice)
        act = {1: lambda s: s.buy(s.datas[1], size=500)}
        cerebro.addstrategy(Script, acts=act)
        strategy = cerebro.run()[0]
        assert strategy.broker.account.position(BTC).size == 500
        first, second = strategy.stats.liquidationprice
        assert first.lines.price[0] == second.lines.price[0] > 0
