"""The sample strategies under backtrader's own broker: they run, trade, and keep to its calls."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from bt_margin.market.synthetic import generate_market

FOLDER = Path(__file__).parents[2] / "strategies"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
SHORT: dict[str, dict[str, Any]] = {
    "carry": {"gap": 0.0002, "lookback": 24},
    "grid": {"step": 0.01, "profit": 0.01},
    "pairs": {"window": 72},
    "trend": {"fast": 12, "slow": 60},
}


class WithFunding(bt.feeds.PandasData):
    """A feed of the user's own that carries the funding line."""

    lines = ("funding_rate",)
    params = (("funding_rate", "funding_rate"),)


class Refusing(bt.brokers.BackBroker):
    """Refuses every order for the second feed, as a venue does when margin is short."""

    refused = 0

    def check_submitted(self) -> None:
        for order in list(self.submitted):
            if order is not None and order.data is self.cerebro.datas[1]:
                self.submitted.remove(order)
                self.refused += 1
                order.margin()
                self.notify(order)
        super().check_submitted()


def strategy(name: str) -> type[bt.Strategy]:
    spec = importlib.util.spec_from_file_location(f"sample_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # backtrader looks the class's module up there
    spec.loader.exec_module(module)
    found = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, bt.Strategy)
    ]
    assert len(found) == 1  # `bt-margin compare file.py` needs no class name
    return found[0]


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    return generate_market(hours=900)


def run(
    name: str,
    market: dict[str, pd.DataFrame],
    feed: type[bt.feeds.PandasData] = bt.feeds.PandasData,
    broker: bt.brokers.BackBroker | None = None,
    **options: Any,
) -> bt.Strategy:
    cerebro = bt.Cerebro(stdstats=False)
    for symbol, frame in market.items():
        data = feed(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60)
        cerebro.adddata(data, name=symbol)
    cerebro.addstrategy(strategy(name), **(SHORT[name] | options))
    if broker is not None:
        cerebro.broker = broker
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.broker.setcash(10_000.0)
    cerebro.broker.setcommission(commission=0.0005)
    return cerebro.run()[0]


def test_there_are_at_least_four() -> None:
    assert {"carry", "grid", "pairs", "trend"} <= set(NAMES)
    assert set(NAMES) == set(SHORT)


@pytest.mark.parametrize("name", NAMES)
def test_each_teaches_and_states_its_exposure(name: str) -> None:
    kind = strategy(name)
    text = sys.modules[kind.__module__].__doc__ or ""
    assert "What to look at." in text
    assert "*cross*" in text
    assert "*isolated*" in text
    assert kind.params.exposure > 0
    assert f"`{name}.py`" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_none_hides_a_method_of_backtrader(name: str) -> None:
    own = {key for key, value in vars(strategy(name)).items() if inspect.isfunction(value)}
    allowed = {"__init__", "next"}
    assert not {key for key in own - allowed if hasattr(bt.Strategy, key)}


@pytest.mark.parametrize("name", NAMES)
def test_each_trades_under_the_stock_broker(name: str, market: dict[str, pd.DataFrame]) -> None:
    done = run(name, market, WithFunding, exposure=0.1)
    assert done.analyzers.trades.get_analysis()["total"]["total"] > 0
    assert done.broker.getvalue() > 0


@pytest.mark.parametrize("name", NAMES)
def test_each_runs_on_plain_feeds(name: str, market: dict[str, pd.DataFrame]) -> None:
    done = run(name, market, exposure=0.1)
    trades = done.analyzers.trades.get_analysis()["total"]["total"]
    assert (trades > 0) is (name != "carry")  # no funding line: nothing to carry


@pytest.mark.parametrize("name", NAMES)
def test_each_survives_refused_orders(name: str, market: dict[str, pd.DataFrame]) -> None:
    broker = Refusing()
    done = run(name, market, WithFunding, broker, exposure=0.1)
    assert not done.getposition(done.datas[1]).size
    assert 0 < broker.refused < 60  # asked again now and then, not on every bar


def test_exposure_is_notional_over_equity(market: dict[str, pd.DataFrame]) -> None:
    done = run("pairs", market, exposure=0.2)
    sizes: list[float] = []

    class Watch(strategy("pairs")):  # type: ignore[misc]
        def notify_order(self, order: bt.Order) -> None:
            if order.status == order.Completed and not sizes:
                sizes.append(abs(order.executed.size) * order.executed.price)

    cerebro = bt.Cerebro(stdstats=False)
    for symbol, frame in market.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=symbol)
    cerebro.addstrategy(Watch, window=72, exposure=0.2)
    cerebro.broker.setcash(10_000.0)
    cerebro.run()
    assert sizes[0] == pytest.approx(2_000.0, rel=0.03)
    assert done.broker.startingcash == 10_000.0


def test_pairs_takes_named_feeds_and_needs_two(market: dict[str, pd.DataFrame]) -> None:
    done = run("pairs", market, one="SOL/USDT:USDT", other="DOGE/USDT:USDT", exposure=0.1)
    assert (done.one._name, done.other._name) == ("SOL/USDT:USDT", "DOGE/USDT:USDT")
    with pytest.raises(ValueError, match="two feeds, found 1"):
        run("pairs", {"BTC/USDT:USDT": market["BTC/USDT:USDT"]})


def test_trend_refuses_crossed_lengths(market: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(ValueError, match="must be shorter"):
        run("trend", market, fast=60, slow=12)
