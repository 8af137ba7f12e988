"""Time: when bars are open- or close-stamped, late, early, missing, coarser, replayed."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from plugin.stage import BTC, ETH, act, bars, broker_of, kinds
from plugin.twin import LOOPS

import bt_margin as btm
from bt_margin.errors import DataError

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
EIGHT = pd.Series(0.001, pd.date_range("2024-01-01 08:00", periods=1, tz="UTC"))
CRASH_AT_3 = bars([100, 100, 100, (100, 100, 80, 82), 82, 82])


def shifted(frame: pd.DataFrame, hours: int) -> pd.DataFrame:
    return frame.set_axis(frame.index + pd.Timedelta(hours=hours))


@pytest.mark.parametrize("decided", [6, 7, 8, 9])
@pytest.mark.parametrize("stamped", ["open", "close"])
def test_a_settlement_at_the_border_of_two_bars_is_paid_once(stamped: str, decided: int) -> None:
    """trap 46: on what was held before any fill of the bar that opens at 08:00, however it is stamped.

    Bar n (1 is the first) opens at n − 1 o'clock; an order of bar 7 fills at 07:00 and pays, one of
    bar 8 fills at 08:00 and does not.
    """
    frame = bars([100] * 12)
    if stamped == "close":
        frame = shifted(frame, 1)
    broker = broker_of(funding={BTC: EIGHT}, timestamps=stamped)
    run = act(broker, frame, {decided: lambda s: s.buy(size=10)})
    paid = [e.amount for e in kinds(run, "funding")]
    assert paid == ([-1] if decided < 8 else [])
    fill = kinds(run, "fill")[0]
    assert fill.time == START + decided * HOUR
    assert broker.equity_curve[0][0] == START


@pytest.mark.parametrize("closed", [7, 8])
def test_who_leaves_at_the_settlement_still_pays(closed: int) -> None:
    """An order of bar 8 fills at 08:00, after the settlement of that moment."""
    plan = {1: lambda s: s.buy(size=10), closed: lambda s: s.close()}
    run = act(broker_of(funding={BTC: EIGHT}), bars([100] * 12), plan)
    assert len(kinds(run, "funding")) == (1 if closed == 8 else 0)


@pytest.mark.parametrize("loop", ["runonce", "no preload", "exactbars 1"])
@pytest.mark.parametrize("frequency", ["30min", "h", "4h", "D"])
def test_one_price_of_holding_whatever_the_bars(frequency: str, loop: str) -> None:
    """trap 44: also when the feed forgets to say its timeframe (PandasData takes days)."""
    count = {"30min": 96 * 2, "h": 96, "4h": 24, "D": 4}[frequency]
    rates = pd.Series(
        np.arange(1, 13) * 1e-4, pd.date_range("2024-01-01 08:00", periods=12, freq="8h", tz="UTC")
    )
    broker = broker_of(funding={BTC: rates}, coc=True)
    frame = bars([100] * count, freq=frequency)
    run = act(
        broker, frame, {1: lambda s: s.buy(size=10)}, feed_options={}, run=LOOPS[loop],
    )  # fmt: skip
    paid = {e.time: e.amount for e in kinds(run, "funding")}
    last = int(frame.index[-1].value // 1_000_000)
    first = int(frame.index[1].value // 1_000_000)  # the fill is booked in the second bar
    due = {int(t.value // 1_000_000): -1_000 * r for t, r in rates.items()}
    step = last - int(frame.index[-2].value // 1_000_000)
    assert paid == {t: pytest.approx(a) for t, a in due.items() if first < t < last + step}


@pytest.mark.parametrize("loop", ["runonce", "next"])
def test_a_feed_that_starts_later_lives_its_own_bars(loop: str) -> None:
    frames = {BTC: bars([100] * 8), ETH: shifted(CRASH_AT_3, 2)}

    def late(s: Any) -> None:
        s.buy(s.datas[1], size=100)

    run = act(broker_of(), frames, {4: late}, run=LOOPS[loop])
    (event,) = kinds(run, "liquidation")
    assert (event.symbol, event.time) == (ETH, START + 5 * HOUR)
    assert run.broker.getvalue([run.datas[1]]) == 0


def test_a_feed_that_has_ended_keeps_its_last_mark() -> None:
    """trap 23, trap 47: no fills on old bars, no settlements after the end, the mark stays."""
    frames = {BTC: bars([100, 101, 102]), ETH: bars([100] * 10)}
    funding = pd.Series(0.001, pd.date_range("2024-01-01", periods=10, freq="h", tz="UTC"))

    def more(s: Any) -> None:
        s.buy(s.datas[0], size=5, exectype=bt.Order.Limit, price=200)
        s.sell(s.datas[0], size=5)

    plan = {1: lambda s: s.buy(s.datas[0], size=10), 5: more}
    run = act(broker_of(funding={BTC: funding}), frames, plan)
    assert [(e.symbol, e.time) for e in kinds(run, "fill")] == [(BTC, START + HOUR)]
    assert [e.time for e in kinds(run, "funding")] == [START + 2 * HOUR]
    assert run.broker.getvalue([run.datas[0]]) == 1_020
    assert len(run.broker.get_orders_open()) == 2


def test_orders_wait_while_their_market_has_no_bar() -> None:
    """Stock would fill the limit on the old bar of BTC, at a price of the past."""
    slow = bars([100, (100, 100, 90, 100), 100], freq="4h")
    frames = {BTC: slow, ETH: bars([100] * 12)}

    def limit(s: Any) -> None:
        s.buy(s.datas[0], size=1, exectype=bt.Order.Limit, price=95)

    run = act(broker_of(), frames, {6: limit}, feed_options={})
    assert kinds(run, "fill") == []
    assert len(run.broker.get_orders_open()) == 1


def test_a_gap_in_one_feed_keeps_the_mark_and_the_next_bar_its_open() -> None:
    """trap 55"""
    frame = bars([100, 100, 100, 100, 95, 95]).drop(pd.Timestamp("2024-01-01 03:00", tz="UTC"))
    run = act(broker_of(), {BTC: frame, ETH: bars([100] * 6)}, {1: lambda s: s.buy(size=50)})
    assert run.values == [1_000, 1_000, 1_000, 1_000, 750, 750]
    assert run.broker.account.position(BTC).entry == 100


@pytest.mark.parametrize("loop", ["runonce", "next"])
def test_bars_of_nan_are_no_bars(loop: str) -> None:
    frame = bars([100, 100, 100, 100, 95, 95, 95])
    frame.iloc[[0, 3], :4] = np.nan
    plan = {
        1: lambda s: s.buy(size=1),
        2: lambda s: s.buy(size=50),
        3: lambda s: s.buy(size=1),
        4: lambda s: s.sell(size=1, exectype=bt.Order.Limit, price=90),
    }
    run = act(broker_of(), frame, plan, run=LOOPS[loop])
    assert run.sizes[1] == 1  # decided on the bar without prices, judged at the next open
    fills = [(e.time - START, e.size, e.price) for e in kinds(run, "fill")]
    assert (2 * HOUR, 50, 100) in fills
    assert (4 * HOUR, 1, 95) in fills
    assert all(price == price for _, _, price in fills)
    assert all(value == value for value in run.values)
    assert run.broker.account.equity() == run.broker.getvalue()


def test_the_notional_of_a_market_without_a_price_is_at_its_mark() -> None:
    frame = bars([100, 100, 100, 100])
    frame.iloc[3, :4] = np.nan
    run = act(broker_of(), frame, {1: lambda s: s.buy(size=50)})
    assert run.broker.getvalue([run.data]) == 5_000


BROKEN: dict[str, tuple[Any, str]] = {
    "a negative price": (bars([100, 100, (100, 100, -5, -5), 100]), "-5.0 of BTC.*02:00.*above 0"),
    "a price of zero": (bars([100, 100, 0, 100]), "0.0 of BTC.*02:00.*above 0"),
    "a high below the low": (
        bars([100, 100, 100]).assign(high=90.0), "BTC/USDT:USDT.*high 90.*low 100",
    ),
    "a low of nothing": (bars([100, 100, (100, 100, np.nan, 100)]), "low nan"),
    "times twice": (
        pd.concat([bars([100] * 3), bars([100], start="2024-01-01 02:00")]),
        "02:00 UTC of BTC/USDT:USDT appears twice",
    ),
    "times unsorted": (
        pd.concat([bars([100] * 3), bars([100], start="2024-01-01 01:00")]),
        "01:00 UTC of BTC/USDT:USDT comes after a later one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_bar_of_a_plain_feed_is_named(case: str) -> None:
    frame, words = BROKEN[case]
    with pytest.raises(DataError, match=words):
        act(broker_of(), frame, {1: lambda s: s.buy(size=1)})


def resample(cerebro: Any, **options: Any) -> None:
    """The market once in hours (and once in days)."""
    data = bt.feeds.PandasData(
        dataname=bars([100 + n % 24 for n in range(72)]), timeframe=bt.TimeFrame.Minutes,
        compression=60,
    )  # fmt: skip
    if options.pop("both", True):
        cerebro.adddata(data, name=BTC)
    cerebro.resampledata(data, timeframe=bt.TimeFrame.Days, **options)


@pytest.mark.parametrize("name", [None, BTC, "BTC"])
def test_two_feeds_of_one_market_are_one_position(name: str | None) -> None:
    def daily(s: Any) -> None:
        s.sent["order"] = s.buy(s.datas[1], size=2)

    options = {} if name is None else {"name": name}
    run = act(
        btm.MarginBroker(venue="binance"), {}, {30: daily, 40: lambda s: s.close(s.datas[1])},
        add=lambda c: resample(c, **options),
    )  # fmt: skip
    buy, sell = kinds(run, "fill")
    assert (buy.size, sell.size) == (2, -2)
    assert run.getposition(run.datas[1]) is run.getposition(run.datas[0])
    assert run.broker.getvalue(run.datas) == 0
    assert len([t for _, t in run.trades if t.isclosed]) == 1
    assert run.sent["order"].executed.price in [100 + n % 24 for n in range(24)]


def test_orders_on_the_coarser_feed_fill_at_the_next_fine_bar() -> None:
    """Not on the open of a daily bar that began long ago."""
    run = act(
        broker_of(), {}, {30: lambda s: s.buy(s.datas[1], size=1)}, add=resample, run={"runonce": False}
    )  # fmt: skip
    (fill,) = kinds(run, "fill")
    hour = (fill.time - START) // HOUR
    assert fill.price == 100 + hour % 24


def test_a_market_that_is_only_there_resampled() -> None:
    """Days stamped at their right edge cover the hours before; funding inside is paid once."""
    rates = pd.Series(0.001, pd.date_range("2024-01-01 08:00", periods=8, freq="8h", tz="UTC"))
    broker = broker_of(funding={BTC: rates})

    def add(cerebro: Any) -> None:
        resample(cerebro, both=False, name=BTC)

    run = act(broker, {}, {1: lambda s: s.buy(size=1)}, add=add)
    paid = [(e.time - START) // HOUR for e in kinds(run, "funding")]
    assert paid == [32, 40, 48, 56, 64]
    assert broker.equity_curve[0][0] == START


def replayed(frame: pd.DataFrame, plan: Any = None, every: Any = None, **settings: Any) -> Any:
    def add(cerebro: Any) -> None:
        data = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60)
        cerebro.replaydata(data, timeframe=bt.TimeFrame.Days, name=BTC)

    return act(broker_of(**settings), {}, plan, add=add, every=every)


def test_a_replayed_day_forgets_what_came_before_the_entry() -> None:
    """trap 19: the low of 50 came in hour 2, the position in hour 6."""
    prices = [100, 100, (100, 100, 50, 100), *[100] * 45]
    sent: list[int] = []

    def every(s: Any) -> None:
        sent.append(1)
        if len(sent) == 6:
            s.buy(size=90)

    run = replayed(bars(prices), every=every)
    assert kinds(run, "liquidation") == []
    assert run.position.size == 90
    prices[10] = (100, 100, 50, 100)
    sent.clear()
    run = replayed(bars(prices), every=every)
    (event,) = kinds(run, "liquidation")
    assert event.time <= START + 11 * HOUR


def test_calls_before_any_bar_are_answered() -> None:
    class Early(bt.Strategy):
        def __init__(self) -> None:
            self.seen = [self.broker.fetch_positions(), self.broker.getvalue()]

        def start(self) -> None:
            self.seen += [self.broker.fetch_balance()["USDT"]["free"], self.position.size]
            self.seen += [
                self.broker.getvalue([self.data]),
                self.broker.preview(self.data, 1, 100.0).size,
            ]

    cerebro = bt.Cerebro(stdstats=False, preload=False)
    cerebro.broker = broker_of()
    cerebro.adddata(bt.feeds.PandasData(dataname=bars([100] * 3)), name=BTC)
    cerebro.addstrategy(Early)
    run = cerebro.run()[0]
    assert run.seen == [[], 1_000, 1_000, 0, 0, 1]
    assert kinds(run, "rules") == []


@pytest.mark.parametrize("loop", LOOPS)
def test_tables_in_force_when_the_run_begins_are_no_event(loop: str) -> None:
    """trap 53: only the change inside the run is one."""
    frame = bars([20_000] * 6, start="2023-12-29", freq="D")
    run = act(
        btm.MarginBroker(venue="binance"), frame, {1: lambda s: s.buy(size=0.1)}, run=LOOPS[loop]
    )
    assert kinds(run, "rules") == []
    assert run.broker.events[0].time == run.broker.equity_curve[0][0]
