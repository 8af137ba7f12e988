"""Defects a review found, each by the smallest run that shows it."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.stage import BTC, Actor, act, bars, broker_of, kinds, venue

import bt_margin as btm
from bt_margin.plugin.series import thinned

FEED: Any = btm.PerpData
HOUR = 3_600_000
WICK = bars([100, 100, 100, (100, 100, 50, 100), 100])
CALM = pd.DataFrame({"open": 100.0, "high": 100.0, "low": 99.0, "close": 100.0}, WICK.index)


def perp(broker: Any, frames: Any, plan: Any = None, **more: Any) -> Any:
    """The strategy after a run on :class:`PerpData` feeds."""
    return act(broker, frames, plan, feed=FEED, **more)


class TestMarksGivenToTheBroker:
    def test_they_serve_a_perpdata_feed_without_mark_columns(self) -> None:
        run = perp(broker_of(mark={BTC: CALM}), WICK, {1: lambda s: s.buy(size=90)})
        assert kinds(run, "liquidation") == []
        assert run.broker.fidelity["bars_with_mark"] == 4
        assert run.broker.fidelity["symbols_without_mark"] == ()

    def test_they_fill_the_holes_of_mark_columns(self) -> None:
        own = WICK.assign(**{f"mark_{n}": CALM[n] for n in CALM})
        own.loc[own.index[3], [f"mark_{n}" for n in CALM]] = float("nan")
        holes = perp(broker_of(), own, {1: lambda s: s.buy(size=90)})
        assert len(kinds(holes, "liquidation")) == 1
        run = perp(broker_of(mark={BTC: CALM}), own, {1: lambda s: s.buy(size=90)})
        assert kinds(run, "liquidation") == []
        assert run.broker.fidelity["bars_without_mark"] == 0


class AtTheOpen(bt.Strategy):
    """Buys in a bar when only its open is known, and notes the marks it saw; or notes those of all bars."""

    params = (("first", 2), ("kind", None), ("size", 0.19))

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.status: list[str] = []

    def notify_order(self, order: Any) -> None:
        self.status.append(order.getstatusname())

    def next_open(self) -> None:
        if self.p.first in (None, len(self.data)):
            (flat,) = self.broker.fetch_positions([self.data])
            self.seen.append(flat["markPrice"])
        if self.p.first == len(self.data):
            self.order = self.buy(size=self.p.size, exectype=self.p.kind)
            self.seen.append(self.broker.account.position(BTC).mark)

    prenext_open = next_open


def at_the_open(prices: list[Any], *, marks: float | None = None, **more: Any) -> Any:
    run = {n: more.pop(n) for n in ("runonce", "exactbars") if n in more}
    frame = bars(prices)
    if marks is not None:
        columns = ("open", "high", "low", "close")
        frame = frame.assign(**{f"mark_{n}": frame[n] + marks for n in columns})
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True, **run)
    cerebro.broker = btm.MarginBroker(venue="binance", leverage=10, cash=1_000.0, debug=True)
    cerebro.adddata(FEED(dataname=frame), name=BTC)
    cerebro.addstrategy(AtTheOpen, **more)
    return cerebro.run()[0]


class TestDecidedAtTheOpen:
    """What a bar will bring does not decide what is accepted at its open."""

    @pytest.mark.parametrize("run", [{}, {"runonce": False}, {"exactbars": 1}])
    @pytest.mark.parametrize("kind", [None, bt.Order.Market, bt.Order.Close])
    @pytest.mark.parametrize("marks", [None, 0.0])
    def test_the_close_to_come_is_not_seen(self, run: Any, kind: Any, marks: Any) -> None:
        found = []
        for close in (50_000.0, 45_000.0):
            fall = (50_000.0, 50_000.0, min(close, 50_000.0), close)
            one = at_the_open([50_000.0, *[fall] * 3], kind=kind, marks=marks, **run)
            found.append((one.seen, one.status[:2], one.order.created.pclose))
        assert found[0] == found[1] == ([50_000, 50_000], ["Submitted", "Accepted"], 50_000)

    def test_it_is_the_mark_before(self) -> None:
        one = at_the_open([50_000.0, (51_000.0, 51_000.0, 40_000.0, 41_000.0), 41_000.0], marks=7.0)
        assert one.seen == [50_007, 50_007]

    def test_at_the_first_bar_it_is_the_mark_at_the_open(self) -> None:
        rise = (50_000.0, 60_000.0, 50_000.0, 60_000.0)
        assert at_the_open([rise] * 3, marks=7.0, first=1).seen == [50_007, 50_007]
        assert at_the_open([rise] * 3, first=1).seen == [50_000, 50_000]

    def test_marks_given_to_the_broker(self) -> None:
        frame = bars([50_000.0, 50_000.0, 50_000.0])
        cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True)
        series = {BTC: pd.Series([50_003.0, 40_000.0, 40_000.0], frame.index)}
        cerebro.broker = btm.MarginBroker(venue="binance", cash=1_000.0, mark=series)
        cerebro.adddata(FEED(dataname=frame), name=BTC)
        cerebro.addstrategy(AtTheOpen, size=0.01)
        assert cerebro.run()[0].seen == [50_003, 50_003]

    def test_a_tick_of_a_replayed_bar(self) -> None:
        frame = bars([50_000.0, (50_000.0, 50_000.0, 45_000.0, 45_000.0), *[45_000.0] * 6])
        cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True)
        cerebro.broker = btm.MarginBroker(venue="binance", cash=1_000.0)
        plain = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60)
        cerebro.replaydata(plain, timeframe=bt.TimeFrame.Minutes, compression=240, name=BTC)
        cerebro.addstrategy(AtTheOpen, first=None)
        assert cerebro.run()[0].seen[1:3] == [50_000, 45_000]


@pytest.mark.parametrize("names", [("day", "hour"), ("hour", "day")])
@pytest.mark.parametrize("feed", [FEED, bt.feeds.PandasData])
def test_of_two_feeds_of_a_symbol_the_finer_one_trades(names: tuple[str, ...], feed: Any) -> None:
    crash = (100, 100, 80, 100)
    frames = {
        "hour": bars([100] * 30 + [crash] + [100] * 41),
        "day": bars([100, crash, 100], freq="D"),
    }

    def enter(s: Any) -> None:
        if len(s.getdatabyname("hour")) == 28 and not s.broker.events[1:]:
            s.buy(data=s.getdatabyname("day"), size=90)

    run = act(
        broker_of(names={"hour": BTC, "day": BTC}), {n: frames[n] for n in names}, every=enter,
        feed=feed, feed_options={},
    )  # fmt: skip
    hours = [(e.kind, (e.time - run.broker.events[0].time) / HOUR) for e in run.broker.events[1:]]
    assert hours == [("fill", 28), ("breach", 30), ("liquidation", 30)]


@pytest.mark.parametrize("name", [BTC, "BTCUSDT", "BTC", "mine"])
def test_a_leverage_of_symbols_beats_that_of_a_scheme_under_any_name(name: str) -> None:
    broker = btm.MarginBroker(
        venue="binance", leverage=5, symbols={name: {"leverage": 20}}, names={"mine": BTC}
    )
    broker.setcommission(commission=0.0005, leverage=3.0)
    assert perp(broker, bars([50_000] * 3)).broker.account.position(BTC).leverage == 20


def test_a_leverage_of_a_scheme_beats_other_settings_of_symbols() -> None:
    broker = btm.MarginBroker(
        venue="binance", leverage=5, symbols={"BTCUSDT": {"margin_mode": "isolated"}}
    )
    broker.setcommission(commission=0.0005, leverage=3.0)
    assert perp(broker, bars([50_000] * 3)).broker.account.position(BTC).leverage == 3


def settled(freq: str, rates: list[float], explicit: str = "", **settings: Any) -> Any:
    """Ten long from the second bar on, with a rate on every bar, given in one of three ways."""
    frame = bars([100] * len(rates), freq=freq)
    if explicit == "attrs":
        frame.attrs["funding"] = pd.Series(rates, frame.index)
    elif explicit == "series":
        settings["funding"] = {BTC: pd.Series(rates, frame.index)}
    else:
        frame["funding_rate"] = rates
    return perp(broker_of(**settings), frame, {1: lambda s: s.buy(size=10)})


def repeats_noted(run: Any) -> bool:
    return any("repeats a rate on every bar" in n for n in run.broker.fidelity["notes"])


class TestSettlementOnEveryBar:
    """The same rate again and again: settlements, or one settlement repeated?"""

    @pytest.mark.parametrize(("freq", "count"), [("4h", 12), ("h", 48)])
    @pytest.mark.parametrize("explicit", ["attrs", "series"])
    def test_stamps_with_their_times_all_count(self, freq: str, count: int, explicit: str) -> None:
        run = settled(freq, [0.0001] * count, explicit)
        assert run.broker.fidelity["funding_charged"] == count - 2
        assert not repeats_noted(run)

    @pytest.mark.parametrize(("freq", "count"), [("4h", 12), ("h", 48)])
    def test_a_column_is_read_as_a_repetition_and_says_so(self, freq: str, count: int) -> None:
        run = settled(freq, [0.0001] * count)
        assert run.broker.fidelity["funding_charged"] == 5
        (note,) = [n for n in run.broker.fidelity["notes"] if "repeats a rate" in n]
        assert f"column of {BTC} " in note
        assert "one charge per 8 h" in note
        assert "frame.attrs['funding']" in note

    def test_nan_between_rates_says_that_each_is_a_settlement(self) -> None:
        rates = [0.0001] * 20 + [float("nan")] + [0.0001] * 20
        run = settled("4h", rates)
        assert run.broker.fidelity["funding_charged"] == len(rates) - 3
        assert not repeats_noted(run)

    def test_nan_before_the_first_rate_does_not(self) -> None:
        """A frame that begins between settlements and carries each rate forward."""
        rates = [float("nan")] * 8 + [0.001] * 8 + [0.002] * 8 + [0.003] * 8
        run = settled("h", rates)
        assert [e.amount for e in kinds(run, "funding")] == [-1, -2, -3]
        assert repeats_noted(run)

    def test_rates_that_change_on_every_bar_all_count(self) -> None:
        run = settled("4h", [0.0001 * (i % 3 + 1) for i in range(12)])
        assert run.broker.fidelity["funding_charged"] == 10
        assert not repeats_noted(run)

    def test_bars_as_long_as_the_interval_repeat_nothing(self) -> None:
        run = settled("8h", [0.0001] * 12)
        assert run.broker.fidelity["funding_charged"] == 10
        assert not repeats_noted(run)

    def test_a_repetition_is_seen_through_a_resampling(self) -> None:
        frame = bars([100] * 96).assign(funding_rate=[0.001] * 48 + [0.002] * 48)
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker = broker_of(cash=10_000.0)
        day = {"timeframe": bt.TimeFrame.Days, "compression": 1}
        cerebro.resampledata(FEED(dataname=frame), name=BTC, **day)
        cerebro.addstrategy(Actor, plan={1: lambda s: s.buy(size=10)})
        run = cerebro.run()[0]
        assert run.broker.fidelity["funding_charged"] <= 9
        assert repeats_noted(run)


@pytest.mark.parametrize("run", [{}, {"runonce": False}, {"exactbars": 1}])
def test_interest_does_not_know_the_close_to_come(run: Any) -> None:
    charged = []
    for close in (100.0, 110.0):
        rise = (100, max(100, close), 100, close)
        broker = broker_of(leverage=5, cash=10_000.0)
        broker.addcommissioninfo(btm.SpotMargin(interest=0.876, leverage=5))
        one = perp(broker, bars([100, 100, rise]), {1: lambda s: s.sell(size=100)}, run=run)
        charged.append([e.amount for e in kinds(one, "interest")])
    assert charged[0] == charged[1] == [pytest.approx(-1.0)]


def hour_from(s: Any) -> dt.datetime:
    end: dt.datetime = s.data.datetime.datetime(0) + dt.timedelta(hours=1)
    return end


def pair_of_exits(s: Any) -> None:
    until = hour_from(s)
    one = s.sell(size=90, exectype=bt.Order.Limit, price=120, valid=until)
    s.sell(size=90, exectype=bt.Order.Stop, price=50, valid=until, oco=one)


def far_bracket(s: Any) -> None:
    s.buy_bracket(size=1, price=10, stopprice=5, limitprice=200, valid=hour_from(s))


@pytest.mark.parametrize("orders", [pair_of_exits, far_bracket])
def test_orders_that_expire_together_in_a_walked_bar(orders: Any) -> None:
    ends = []
    for low in (99, 80):  # the fast lane, and a bar that liquidates
        frame = bars([100, 100, 100, (100, 100, low, low), low])
        run = perp(broker_of(), frame, {1: lambda s: s.buy(size=90), 2: orders})
        assert len(kinds(run, "liquidation")) == (low == 80)
        ends.append([end for end in run.ends() if end[1] != "Completed"])
    assert ends[0] == ends[1]
    assert [status for _, status, _ in ends[0]][:2] == ["Expired", "Canceled"]


def numbers_of(thing: Any) -> list[Any]:
    """All numbers in an event or an entry of the ledger."""
    return [*thing] if isinstance(thing, tuple) else [getattr(thing, f.name) for f in fields(thing)]


def trade_all_kinds(s: Any) -> None:
    """Sizes and prices as scripts compute them, from the feed's own numbers."""
    price = s.data.close[0]
    plan: dict[int, Any] = {
        1: lambda: s.buy(size=5_000 / price),
        3: lambda: s.sell(size=20 / price, exectype=bt.Order.Limit, price=price * 1.01),
        4: lambda: s.sell(size=20 / price, exectype=bt.Order.StopTrail, trailpercent=0.02),
        5: lambda: s.sell(size=20 / price, exectype=bt.Order.Stop, price=price * 0.999),
        6: lambda: s.buy(
            size=20 / price, exectype=bt.Order.StopLimit, price=price, plimit=price * 1.01
        ),
        7: lambda: s.sell(size=20 / price, exectype=bt.Order.Close),
        8: lambda: s.buy(size=1e6 / price),
        9: lambda: s.buy(size=4_000 / price),
        10: lambda: s.sell(size=20 / price, exectype=bt.Order.Stop, price=price * 0.9),
    }
    plan.get(len(s), lambda: None)()


@pytest.mark.parametrize("feed", [bt.feeds.PandasData, FEED])
@pytest.mark.parametrize("run", [{"exactbars": 1}, {"exactbars": True, "runonce": False}, {}])
def test_what_is_recorded_are_plain_numbers(feed: Any, run: Any) -> None:
    prices: list[Any] = [(100, 103, 97, 101), (101, 102, 100, 101)] * 7
    frame = bars([*prices, (101, 101, 60, 62), 62])
    broker = broker_of(venue=venue(taker_fee=0.0005))
    broker.addcommissioninfo(btm.SpotMargin(interest=0.5, leverage=10, commission=0.0005))
    options = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    one = act(broker, frame, every=trade_all_kinds, feed=feed, feed_options=options, run=run)
    kept = [*one.broker.events, *one.broker.account.ledger]
    assert {"fill", "rejected", "interest", "liquidation"} <= {e.kind for e in kept}
    found = {type(n) for e in kept for n in numbers_of(e)}
    account = one.broker.account
    position = account.position(BTC)
    found |= {type(n) for n in (account.cross.balance, account.equity(), account.available())}
    found |= {type(n) for n in (position.mark, position.entry, position.size, position.leverage)}
    assert [kind for kind in found if kind.__module__ == "numpy"] == []


def test_a_rate_carried_between_settlements_shorter_than_the_venue_s_is_charged_once_each() -> None:
    """4 h settlements written on every hourly bar of an 8 h venue; and true hourly ones that vary."""
    hour = 3_600_000
    carried = [0.0001 * (1 + i // 4) for i in range(40)]
    stamps = [(hour * i, rate, None) for i, rate in enumerate(carried)]
    found = thinned(stamps, carried, 8 * hour)
    assert found is not None
    assert [s.time // hour for s in found] == list(range(0, 40, 4))
    hourly = [0.0001 * (1 + i // 3 % 5) for i in range(40)]
    stamps = [(hour * i, rate, None) for i, rate in enumerate(hourly)]
    assert thinned(stamps, hourly, 8 * hour) is None
