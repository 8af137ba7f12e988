"""A margin account in the place of a script's broker: what it takes over, and what it cannot."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from plugin.twin import BTC, ETH, flat_venue, walk

import bt_margin as btm
from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.plugin import interception
from bt_margin.plugin.patch import echo


def assembled(*names: str | None) -> Any:
    """A Cerebro with a feed for each name; None gives none."""
    cerebro = bt.Cerebro(stdstats=False)
    for number, name in enumerate(names):
        hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
        data = bt.feeds.PandasData(dataname=walk(60, number + 1), **hours)
        cerebro.adddata(data) if name is None else cerebro.adddata(data, name=name)
    return cerebro


def test_everything_a_script_has_set_goes_on_to_hold() -> None:
    cerebro = assembled(BTC)
    former = cerebro.broker
    filler, own = bt.broker.fillers.FixedSize(size=3), bt.CommissionInfo(commission=0.002)
    former.setcash(4_321.0)
    former.setcommission(0.001)
    former.addcommissioninfo(own, name=BTC)
    former.set_slippage_fixed(0.5, slip_open=False, slip_limit=False, slip_match=False)
    former.set_filler(filler)
    former.set_coc(True)
    former.set_coo(True)
    former.set_checksubmit(False)
    former.set_shortcash(False)
    former.set_int2pnl(False)
    former.set_eosbar(True)
    former.set_fundmode(True, 50.0)
    broker = btm.patch(cerebro, venue="binance", margin_mode="isolated", leverage=7)
    assert cerebro.broker is broker
    assert broker.cerebro is cerebro
    assert (broker.p.margin_mode, broker.p.leverage) == ("isolated", 7)
    assert broker.getcash() == broker.startingcash == 4_321.0
    assert broker.comminfo[BTC] is own
    assert broker.comminfo[None].p.commission == 0.001
    for word in ("slip_fixed", "slip_perc", "slip_open", "slip_limit", "slip_match", "slip_out",
                 "coc", "coo", "checksubmit", "shortcash", "int2pnl", "eosbar", "fundmode",
                 "fundstartval", "filler"):  # fmt: skip
        assert getattr(broker.p, word) == getattr(former.p, word), word


def test_cash_of_ones_own_and_settings_made_afterwards() -> None:
    cerebro = assembled(BTC)
    cerebro.broker.setcash(1.0)
    broker = btm.patch(cerebro, venue="binance", leverage=3, cash=77.0, intrabar="nearest")
    assert (broker.getcash(), broker.p.intrabar) == (77.0, "nearest")
    cerebro.broker.setcash(99.0)
    cerebro.broker.set_slippage_perc(0.01)
    assert (broker.getcash(), broker.p.slip_perc) == (99.0, 0.01)


def test_a_margin_broker_keeps_the_settings_that_are_not_given_anew() -> None:
    cerebro = assembled(BTC)
    cerebro.broker = btm.MarginBroker(
        venue="binance", leverage=4, cash=500.0, margin_mode="isolated", auto_top_up=True
    )
    broker = btm.patch(cerebro, leverage=9)
    assert (broker.p.leverage, broker.p.margin_mode, broker.p.auto_top_up) == (9, "isolated", True)
    assert broker.getcash() == 500.0


def test_a_broker_given_by_its_parameters_alone() -> None:
    class Mine(bt.brokers.BackBroker):
        params = (("cash", 123.0), ("slip_perc", 0.003))

    cerebro = assembled(BTC)
    cerebro.broker = Mine(coc=True)
    broker = btm.patch(cerebro, venue="binance")
    assert (broker.getcash(), broker.p.slip_perc, broker.p.coc) == (123.0, 0.003, True)


class Sly(bt.brokers.BackBroker):
    def getvalue(self, datas: Any = None) -> float:
        return 1e9


class Live(bt.broker.BrokerBase):
    pass


def with_own_method(cerebro: Any) -> None:
    cerebro.broker = Sly()


def with_replaced_method(cerebro: Any) -> None:
    cerebro.broker.getcash = lambda: 5.0


def with_live_broker(cerebro: Any) -> None:
    cerebro.broker = Live()


def with_fund_history(cerebro: Any) -> None:
    cerebro.set_fund_history([["2024-01-01", 100.0, 1000.0]])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_own_method, "Sly with getvalue of its own.*MarginBroker"),
        (with_replaced_method, "BackBroker with getcash of its own"),
        (with_live_broker, "Live, which is no backtesting broker"),
        (with_fund_history, "set_fund_history.*leave the fund history out"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(change: Any, says: str) -> None:
    cerebro = assembled(BTC)
    change(cerebro)
    before = cerebro.broker
    with pytest.raises(InputError, match=says):
        btm.patch(cerebro, venue="binance")
    assert cerebro.broker is before


def test_no_cerebro_no_venue_no_such_keyword() -> None:
    with pytest.raises(InputError, match=r"str.*give the Cerebro itself"):
        btm.patch("cerebro", venue="binance")
    with pytest.raises(InputError, match="venue is missing"):
        btm.patch(assembled(BTC))
    with pytest.raises(InputError, match="did you mean intrabar"):
        btm.patch(assembled(BTC), venue="binance", intrabr="nearest")


def test_in_the_middle_of_a_run_it_is_too_late() -> None:
    class Late(bt.Strategy):
        def next(self) -> None:
            btm.patch(self.cerebro, venue="binance")

    cerebro = assembled(BTC)
    cerebro.addstrategy(Late)
    with pytest.raises(InputError, match=r"running.*before cerebro.run"):
        cerebro.run()
    cerebro.strats.clear()
    cerebro.addstrategy(bt.Strategy)
    assert btm.patch(cerebro, venue="binance") is cerebro.broker  # a broken run is over
    cerebro.run()


class Each(bt.Strategy):
    """Buys another size of each feed."""

    def next(self) -> None:
        if len(self) == 2:
            for number, data in enumerate(self.datas, 1):
                self.buy(data=data, size=number)


def test_feeds_without_names_are_told_apart_by_their_place() -> None:
    cerebro = assembled(None, None)
    cerebro.addstrategy(Each)
    broker = btm.patch(cerebro, venue=flat_venue())
    (strategy,) = cerebro.run()
    assert [strategy.getposition(d).size for d in strategy.datas] == [1, 2]
    assert list(broker.account.book) == ["data0", "data1"]
    assert [d._name for d in strategy.datas] == ["", ""]


def test_one_feed_without_a_name_stays_without() -> None:
    cerebro = assembled(None)
    cerebro.addstrategy(Each)
    broker = btm.patch(cerebro, venue=flat_venue())
    cerebro.run()
    assert list(broker.account.book) == [""]


def test_places_name_symbols() -> None:
    cerebro = assembled(None, "prices.csv")
    cerebro.addstrategy(Each)
    names = {"data0": "BTC", "data1": ETH}
    broker = btm.patch(cerebro, venue="binance", leverage=5, names=names)
    cerebro.run()
    assert list(broker.account.book) == [BTC, ETH]


def test_two_feeds_without_names_on_a_venue_with_tables() -> None:
    cerebro = assembled(None, None)
    btm.patch(cerebro, venue="binance")
    with pytest.raises(UnknownSymbol, match=r'has no name.*names=\{"data0"'):
        cerebro.run()


def test_a_resampled_feed_without_a_name_is_its_source() -> None:
    cerebro = assembled(None)
    cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Minutes, compression=240)
    cerebro.addstrategy(Each)
    broker = btm.patch(cerebro, venue=flat_venue())
    cerebro.run()
    assert list(broker.account.book) == [""]


def test_the_former_broker_tells_the_end_of_the_run() -> None:
    cerebro = assembled(BTC)
    former = cerebro.broker
    former.setcash(5_000.0)
    cerebro.addstrategy(Each)
    broker = btm.patch(cerebro, venue=flat_venue())
    (strategy,) = cerebro.run()
    echo(former, broker)
    assert former.getvalue() == broker.getvalue() != 5_000.0
    assert former.getposition(strategy.data).size == 1
    assert former.startingcash == 5_000.0
    assert former.get_fundvalue() == broker.get_fundvalue()


def test_a_live_feed_cannot_be_run_twice() -> None:
    class Ticks(bt.feeds.PandasData):
        def islive(self) -> bool:
            return True

    cerebro = bt.Cerebro()
    cerebro.adddata(Ticks(dataname=walk(10)), name=BTC)
    with pytest.raises(InputError, match="live feed 'BTC/USDT:USDT'"):
        interception.repeatable(cerebro)


def test_an_interception_ends_with_its_block() -> None:
    own = bt.Cerebro.run, bt.Cerebro.plot
    with interception.intercepted(lambda cerebro, run, keywords: keywords):
        cerebro = bt.Cerebro()
        assert cerebro.run(runonce=False) == {"runonce": False}
        assert cerebro.plot(style="candle") == []
    assert (bt.Cerebro.run, bt.Cerebro.plot) == own
    with interception.intercepted(lambda cerebro, run, keywords: None, plots=True):
        assert bt.Cerebro.plot is own[1]
