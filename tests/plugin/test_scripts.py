"""Scripts written for the stock broker run with only the broker line changed."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.twin import LOOPS, flat_venue, walk

import bt_margin as btm
from bt_margin.errors import CashError, UnknownSymbol

ANALYZERS = [
    bt.analyzers.AnnualReturn,
    bt.analyzers.Calmar,
    bt.analyzers.DrawDown,
    bt.analyzers.GrossLeverage,
    bt.analyzers.LogReturnsRolling,
    bt.analyzers.PeriodStats,
    bt.analyzers.PositionsValue,
    bt.analyzers.PyFolio,
    bt.analyzers.Returns,
    bt.analyzers.SharpeRatio,
    bt.analyzers.SharpeRatio_A,
    bt.analyzers.SQN,
    bt.analyzers.TimeDrawDown,
    bt.analyzers.TimeReturn,
    bt.analyzers.TradeAnalyzer,
    bt.analyzers.Transactions,
    bt.analyzers.VWR,
]
OBSERVERS = [
    bt.observers.Benchmark,
    bt.observers.DrawDown,
    bt.observers.FundShares,
    bt.observers.FundValue,
    bt.observers.LogReturns,
    bt.observers.TimeReturn,
]


class CrossOver(bt.Strategy):
    """What is in every tutorial."""

    params = (("fast", 10), ("slow", 30))

    def __init__(self) -> None:
        fast, slow = bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)
        self.done: list[Any] = []
        self.closed = 0

    def notify_order(self, order: Any) -> None:
        if order.status in (order.Completed, order.Margin, order.Rejected):
            self.done.append(order)

    def notify_trade(self, trade: Any) -> None:
        self.closed += trade.isclosed

    def next(self) -> None:
        if self.cross > 0:
            self.close()
            self.buy()
        elif self.cross < 0:
            self.close()
            self.sell()


def script(
    broker: Any,
    name: str | None = "BTC",
    set_up: Callable[[Any], Any] = lambda broker: broker.setcash(50_000.0),
    frame: pd.DataFrame | None = None,
    sizer: tuple[Any, dict[str, Any]] | None = None,
    daily: bool = False,
    strategy: Any = CrossOver,
    **run: Any,
) -> Any:
    """The whole of a script; only ``broker`` is ours."""
    cerebro = bt.Cerebro()
    cerebro.broker = broker
    cerebro.addstrategy(strategy)
    prices = frame if frame is not None else expensive()
    hours = {} if daily else {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    data = bt.feeds.PandasData(dataname=prices, **hours)
    if name is None:
        cerebro.adddata(data)
    else:
        cerebro.adddata(data, name=name)
    set_up(cerebro.broker)
    if sizer is not None:
        cerebro.addsizer(sizer[0], **sizer[1])
    for analyzer in ANALYZERS:
        cerebro.addanalyzer(analyzer)
    for observer in OBSERVERS:
        cerebro.addobserver(observer)
    cerebro.addwriter(bt.WriterFile, out=io.StringIO(), csv=True)
    result = cerebro.run(**run)[0]
    for analyzer in result.analyzers:
        analyzer.get_analysis()
    return result


def expensive(bars: int = 400) -> pd.DataFrame:
    frame = walk(bars)
    frame[["open", "high", "low", "close"]] *= 400
    return frame


VENUES: dict[str, Callable[[], Any]] = {
    "binance": lambda: "binance",
    "generic": lambda: flat_venue(maintenance_rate=0.005, taker_fee=0.0005),
}
SCHEMES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "percent": {"commission": 0.0004},
    "percent of 100": {
        "commission": 0.04, "percabs": False, "commtype": bt.CommInfoBase.COMM_PERC,
        "stocklike": True,
    },
    "leverage": {"commission": 0.0004, "leverage": 5.0},
    "futures": {"commission": 2.0, "margin": 4_000.0, "mult": 1.0},
    "automargin": {
        "commission": 2.0, "automargin": 0.1, "commtype": bt.CommInfoBase.COMM_FIXED,
        "stocklike": False,
    },
    "multiplier": {"commission": 2.0, "margin": 400.0, "mult": 0.1},
    "interest": {"commission": 0.0004, "interest": 0.1, "interest_long": True},
    "named": {"commission": 0.0004, "name": "BTC"},
}  # fmt: skip
SIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "fixed": (bt.sizers.FixedSize, {"stake": 2}),
    "percent": (bt.sizers.PercentSizer, {"percents": 20}),
    "all in": (bt.sizers.AllInSizer, {}),
    "reverser": (bt.sizers.FixedReverser, {"stake": 1}),
}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_way_to_set_a_commission(scheme: str, venue: str) -> None:
    def set_up(broker: Any) -> None:
        broker.setcash(50_000.0)
        if SCHEMES[scheme]:
            broker.setcommission(**SCHEMES[scheme])

    run = script(btm.MarginBroker(venue=VENUES[venue](), leverage=5, debug=True), set_up=set_up)
    assert run.closed > 5
    assert run.broker.startingcash == 50_000.0
    totals = run.broker.account.ledger.totals
    paid = -totals["fee"]
    told = sum(order.executed.comm for order in run.done)
    assert paid - totals["interest"] == pytest.approx(told, rel=0.02)
    if "commission" in SCHEMES[scheme] and SCHEMES[scheme]["commission"] == 2.0:
        filled = sum(abs(o.executed.size) for o in run.done if o.status == o.Completed)
        assert paid == pytest.approx(2.0 * filled)


@pytest.mark.parametrize("sizer", SIZERS)
@pytest.mark.parametrize("loop", ["runonce", "next", "no preload"])
def test_sizers_in_every_loop(loop: str, sizer: str) -> None:
    broker = btm.MarginBroker(venue="binance", leverage=5, debug=True)
    run = script(broker, sizer=SIZERS[sizer], **LOOPS[loop])
    assert run.closed > 5
    assert run.broker.account.equity() == pytest.approx(run.broker.getvalue())


@pytest.mark.parametrize("daily", [True, False])
@pytest.mark.parametrize("name", ["BTC", "btc", "BTCUSDT", "BTC/USDT:USDT", "BTC-USDT"])
def test_a_feed_is_found_by_any_of_its_names(name: str, daily: bool) -> None:
    """A PandasData that forgets its timeframe takes hours for days: no matter."""
    run = script(btm.MarginBroker(venue="binance", leverage=3), name, daily=daily)
    assert run.broker.instrument(run.data).symbol == "BTC/USDT:USDT"
    assert run.broker.instrument(run.data).step == 3_600_000


def test_the_same_fills_as_with_stock() -> None:
    """At leverage 1 with enough cash: same statuses, prices, sizes, fees, value."""
    ends = []
    venue = flat_venue()
    for broker in (bt.brokers.BackBroker(), btm.MarginBroker(venue=venue)):

        def set_up(broker: Any) -> None:
            broker.setcash(1e6)
            broker.setcommission(commission=0.001)

        run = script(broker, set_up=set_up)
        told = [(o.status, o.executed.price, o.executed.size, o.executed.comm) for o in run.done]
        ends.append((told, round(run.broker.getvalue(), 6), run.closed))
    assert ends[0] == ends[1]
    assert len(ends[0][0]) > 10


def test_a_feed_without_a_name_on_a_venue_with_tables() -> None:
    with pytest.raises(UnknownSymbol, match=r"has no name.*name=.*names=\{"):
        script(btm.MarginBroker(venue="binance"), None)


def test_a_feed_without_a_name_may_be_named_at_the_broker() -> None:
    run = script(btm.MarginBroker(venue="binance", names={"": "BTC/USDT:USDT"}), None)
    assert run.broker.instrument(run.data).symbol == "BTC/USDT:USDT"
    run = script(btm.MarginBroker(venue="binance", names={"prices": "ETH"}), "prices")
    assert run.broker.instrument(run.data).symbol == "ETH/USDT:USDT"


def test_the_teaching_venue_takes_any_name() -> None:
    assert script(btm.MarginBroker(venue=flat_venue()), None).closed > 5
    assert script(btm.MarginBroker(venue=flat_venue()), "my prices").closed > 5


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownSymbol, match="BTC/USDT:USDT"):
        script(btm.MarginBroker(venue="binance"), "BTC/USTD:USDT")


class AllIn(bt.Strategy):
    """Puts everything on a rise, ten times over."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def next(self) -> None:
        self.values.append(self.broker.getvalue())
        if len(self) == 2:
            self.order_target_percent(target=9.5)
        elif len(self) > 8:
            self.order_target_percent(target=1.0)  # the dead go on asking


@pytest.mark.parametrize("loop", ["runonce", "next"])
@pytest.mark.parametrize("venue", VENUES)
def test_nothing_left_and_every_stock_analyzer(venue: str, loop: str) -> None:
    """Ten stock analyzers divide by the value: they see a tiny positive floor."""
    frame = expensive(60)
    frame.iloc[5:, :4] *= 0.5
    broker = btm.MarginBroker(venue=VENUES[venue](), leverage=10)
    run = script(broker, frame=frame, strategy=AllIn, **LOOPS[loop])
    account = run.broker.account
    assert account.dead
    assert account.equity() == pytest.approx(0.0, abs=1e-9)
    assert 0 < run.values[-1] < 0.01
    assert run.position.size == 0
    drawn = run.analyzers.drawdown.get_analysis()
    assert drawn.max.drawdown == pytest.approx(100.0)
    assert run.analyzers.tradeanalyzer.get_analysis().total.closed == 1


def test_cash_set_in_every_place_a_script_may() -> None:
    class Sets(CrossOver):
        def __init__(self) -> None:
            super().__init__()
            self.broker.setcash(77_000.0)

    run = script(btm.MarginBroker(venue="binance"), strategy=Sets, set_up=lambda b: None)
    assert run.broker.startingcash == 77_000.0
    assert run.broker.account.events[0].amount == 77_000.0
    assert [e.kind for e in run.broker.events[:2]] == ["deposit", "fill"]
    broker = btm.MarginBroker(venue="binance", cash=5.0)
    broker.set_cash(10)
    broker.setcash(20_000)
    assert broker.getcash() == broker.getvalue() == broker.startingcash == 20_000
    with pytest.raises(CashError, match="0"):
        broker.setcash(0)


def test_a_second_run_is_the_first_again() -> None:
    broker = btm.MarginBroker(venue="binance", leverage=20)
    cerebro = bt.Cerebro()
    cerebro.broker = broker
    cerebro.adddata(bt.feeds.PandasData(dataname=expensive()), name="BTC")
    cerebro.addstrategy(CrossOver)
    cerebro.addsizer(bt.sizers.PercentSizer, percents=80)
    runs = []
    for _ in range(2):
        strategy = cerebro.run()[0]
        runs.append([(e.time, e.kind, e.size, e.price, e.equity) for e in broker.events])
        assert strategy.broker is broker
    assert runs[0] == runs[1]
    assert len(runs[0]) > 10
    assert broker.events[0].time == broker.equity_curve[0][0]


@pytest.mark.parametrize("processes", [1, 2])
def test_optimisation(processes: int) -> None:
    """Every set of parameters starts with a fresh account, in this process or in others."""
    cerebro = bt.Cerebro(maxcpus=processes, stdstats=False)
    cerebro.broker = btm.MarginBroker(venue="binance", leverage=5, cash=50_000)
    cerebro.adddata(bt.feeds.PandasData(dataname=expensive(150)), name="BTC")
    cerebro.optstrategy(CrossOver, fast=[5, 10, 10])
    cerebro.addanalyzer(bt.analyzers.TimeReturn)
    cerebro.addanalyzer(btm.analyzers.Ledger)
    found = cerebro.run()
    ledgers = [run[0].analyzers.ledger.get_analysis() for run in found]
    returns = [run[0].analyzers.timereturn.get_analysis() for run in found]
    assert ledgers[1] == ledgers[2] != ledgers[0]
    assert returns[1] == returns[2] != returns[0]
