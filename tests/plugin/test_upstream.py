"""What backtrader's own tests and samples have taught: each was told otherwise than under stock once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.stage import bars
from plugin.twin import BTC, LOOPS, ours, stock, walk

import bt_margin as btm
from bt_margin.errors import DataError

FUTURES = {"commission": 2.0, "margin": 200.0, "mult": 10.0}


class Story(bt.Strategy):
    """Writes down orders, trades and the money of each bar, and does what it is given to do."""

    params = (("act", None),)

    def __init__(self) -> None:
        self.told: list[Any] = []

    def notify_order(self, order: Any) -> None:
        done = order.executed
        self.told.append(
            (
                len(self), "order", order.getstatusname(), order.size, done.size, done.price,
                done.value, done.comm, done.pnl,
            )
        )  # fmt: skip

    def notify_trade(self, trade: Any) -> None:
        self.told.append((len(self), "trade", trade.size, trade.value, trade.pnl, trade.pnlcomm))

    def next(self) -> None:
        held = self.position
        money = (self.broker.getcash(), self.broker.getvalue(), self.broker.fundvalue)
        self.told.append((len(self), "bar", *money, held.size, held.price))
        self.p.act(self)


def story(broker: Any, act: Callable[[Any], Any], frame: Any = None, **run: Any) -> list[Any]:
    """What a strategy is told on one feed."""
    cerebro = bt.Cerebro()
    cerebro.broker = broker
    frame = walk(120) if frame is None else frame
    cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=BTC)
    cerebro.addstrategy(Story, act=act)
    return list(cerebro.run(**run)[0].told)


def alike(one: list[Any], two: list[Any]) -> bool:
    """The same words and whole numbers, and figures to 1e-9."""
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        words = [[x for x in line if isinstance(x, str)] for line in (a, b)]
        figures = [[x for x in line if not isinstance(x, str)] for line in (a, b)]
        assert words[0] == words[1], (a, b)
        assert figures[0] == pytest.approx(figures[1], rel=1e-9, abs=1e-9), (a, b)
    return True


def to_and_fro(s: Any) -> None:
    """Long, more, less, turned, flat."""
    size = {3: 2, 9: 1, 15: -2, 21: -3, 27: 1, 33: 1}.get(len(s) % 40)
    if size is not None:
        (s.buy if size > 0 else s.sell)(size=abs(size))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("set_up", ["", "filler", "liquidation"])
def test_whole_sizes_stay_whole_numbers(set_up: str, loop: str) -> None:
    """Scripts print sizes with ``%d``, which takes no float where it is ``format``'s."""

    def act(s: Any) -> None:
        to_and_fro(s)
        sizes.append(f"{s.position.size:d}")

    sizes: list[str] = []
    broker = ours()
    if set_up == "filler":
        broker.set_filler(bt.broker.fillers.FixedSize(size=1))
    if set_up == "liquidation":
        broker = btm.MarginBroker(venue=broker.p.venue, leverage=100, cash=3.0)
    told = story(broker, act, **LOOPS[loop])
    for line in told:
        if line[1] in ("order", "trade"):
            place = 4 if line[1] == "order" else 2
            assert type(line[place]) is int, line
    assert len(set(sizes)) >= (2 if set_up == "liquidation" else 4)
    assert ("liquidation" in {e.kind for e in broker.events}) is (set_up == "liquidation")


def test_a_fraction_is_no_whole_number() -> None:
    told = story(ours(), lambda s: s.buy(size=0.5) if len(s) in (3, 6) else None)
    sizes = [line[4] for line in told if line[1] == "order" and line[2] == "Completed"]
    assert sizes == [0.5, 0.5]
    assert told[-1][5] == 1.0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_margin_of_so_much_a_contract_is_what_a_contract_takes(loop: str) -> None:
    """Cash, and the values of orders and trades, are those of the stock broker."""
    told = []
    for broker in (stock(10_000.0), ours(10_000.0)):
        broker.setcommission(**FUTURES)
        told.append(story(broker, to_and_fro, **LOOPS[loop]))
    assert alike(told[0], told[1])
    values = {line[6] for line in told[1] if line[1] == "order" and line[2] == "Completed"}
    assert {200.0, 400.0} <= values


def test_a_margin_of_so_much_a_contract_is_posted_to_an_isolated_position() -> None:
    def act(s: Any) -> None:
        if len(s) == 3:
            s.buy(size=2)
        if len(s) == 5:
            posted.append(s.broker.account.position(BTC).pool.balance)

    posted: list[float] = []
    broker = ours(10_000.0, margin_mode="isolated")
    broker.setcommission(**FUTURES)
    told = story(broker, act)
    values = [line[6] for line in told if line[1] == "order" and line[2] == "Completed"]
    assert posted == values == [pytest.approx(400.0)]
    assert broker.fidelity["walked"] == 1


def test_who_sets_the_leverage_during_a_run_is_not_overruled() -> None:
    def act(s: Any) -> None:
        if len(s) == 3:
            s.buy(size=1)
        if len(s) == 10:
            s.broker.set_leverage(2.0, s.data)

    broker = ours(10_000.0)
    broker.setcommission(**FUTURES)
    told = story(broker, act)
    cash, value, close = told[-1][2], told[-1][3], walk(120)["close"].iloc[-1]
    assert value - cash == pytest.approx(10.0 * close / 2.0)


def test_symbols_may_overrule_the_margin_of_a_scheme() -> None:
    broker = ours(10_000.0, symbols={BTC: {"leverage": 4.0}})
    broker.setcommission(**FUTURES)
    told = story(broker, lambda s: s.buy(size=1) if len(s) == 3 else None)
    assert told[-1][3] - told[-1][2] == pytest.approx(10.0 * walk(120)["close"].iloc[-1] / 4.0)


def test_without_shortcash_values_carry_no_sign() -> None:
    told = []
    for broker in (stock(), ours()):
        broker.set_shortcash(False)
        lines = story(broker, to_and_fro)
        told.append([line for line in lines if line[1] == "order" and line[2] == "Completed"])
    assert alike(*told)
    assert all(line[6] > 0 for line in told[1])


def test_children_of_a_bracket_nobody_can_pay_are_rejected() -> None:
    def act(s: Any) -> None:
        if len(s) == 3:
            price = s.data.close[0]
            s.buy_bracket(size=1e6, price=price, stopprice=0.9 * price, limitprice=1.1 * price)

    ends = []
    for broker in (stock(), ours()):
        told = story(broker, act)
        ends.append([line[2] for line in told if line[1] == "order"])
    assert ends[0] == ends[1] == [*["Submitted"] * 3, "Margin", "Rejected", "Rejected"]


def test_children_of_a_bracket_that_is_taken_back_are_canceled() -> None:
    def act(s: Any) -> None:
        if len(s) == 3:
            price = s.data.close[0]
            three = s.buy_bracket(price=price, stopprice=0.9 * price, limitprice=1.1 * price)
            s.cancel(three[0])

    told = story(ours(), act)
    assert [line[2] for line in told if line[1] == "order"][-3:] == ["Canceled"] * 3


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_done_at_the_close_before_is_margined_there(loop: str) -> None:
    """Cheat-on-close with all the margin there is: the gap that follows is a loss, not a refusal."""
    frame = bars([100.0, 100.0, (95.0, 97.0, 94.0, 96.0), 98.0, 99.0], tz=None)
    told = []
    for broker in (stock(1_000.0), ours(1_000.0)):
        broker.setcommission(leverage=2.0)
        broker.set_coc(True)
        told.append(story(broker, lambda s: s.buy(size=20) if len(s) == 2 else None, frame))
    ends = [[line[2:6] for line in one if line[1] == "order"] for one in told]
    assert ends[0] == ends[1]
    assert ends[1][-1] == ("Completed", 20, 20, 100.0)
    values = [[line[3] for line in one if line[1] == "bar"] for one in told]
    assert values[1] == pytest.approx(values[0]) == [1_000.0, 1_000.0, 920.0, 960.0, 980.0]


def ticks(*prices: float) -> pd.DataFrame:
    frame = bars(prices, tz=None)
    frame.index = frame.index[:1].append(frame.index[:-1])  # the first time twice
    return frame


def test_ticks_may_have_the_same_time() -> None:
    cerebro = bt.Cerebro()
    cerebro.broker = ours()
    frame = ticks(100.0, 101.0, 102.0, 103.0)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Ticks), name=BTC)
    cerebro.addstrategy(Story, act=lambda s: s.buy())
    run = cerebro.run()[0]
    assert (run.position.size, run.position.price) == (3, pytest.approx(307.0 / 3))


FAULTS = {
    "twice": (ticks(100.0, 101.0, 102.0, 103.0, 104.0), "appears twice"),
    "back": (bars([100.0] * 5).iloc[[0, 2, 1, 3, 4]], "comes after a later one"),
    "negative": (bars([100.0, -1.0, 102.0, 103.0, 104.0]), "the close -1.0 .* is no price"),
    "zero": (bars([100.0, 0.0, 102.0, 103.0, 104.0]), "the close 0.0 .* is no price"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_faulty_feed_may_be_looked_at(fault: str, loop: str) -> None:
    """Spreads and sentiments are fed as bars, too; and filters of backtrader's own repeat times."""
    told = [story(b, lambda s: None, FAULTS[fault][0], **LOOPS[loop]) for b in (stock(), ours())]
    assert alike(*told)
    assert len(told[1]) == 5


@pytest.mark.parametrize("bar", [1, 4], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["market", "resting"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_feed_cannot_be_traded(fault: str, kind: str, bar: int) -> None:
    """Neither when the order comes after the fault, nor over it."""

    def act(s: Any) -> None:
        if len(s) == bar and kind == "market":
            s.buy()
        elif len(s) == bar:
            s.buy(exectype=bt.Order.Stop, price=99.0 if fault == "back" else 103.5)

    frame, words = FAULTS[fault]
    with pytest.raises(DataError, match=words):
        story(ours(), act, frame)


class BidAsk(bt.feeds.GenericCSVData):
    """A feed of quotes alone."""

    linesoverride = True
    lines = ("bid", "ask", "datetime")
    params = (("dtformat", "%Y-%m-%d"), ("bid", 1), ("ask", 2))


def beside_quotes(act: Callable[[Any], Any], folder: Path) -> Any:
    cerebro = bt.Cerebro()
    cerebro.broker = ours()
    cerebro.adddata(bt.feeds.PandasData(dataname=walk(5, freq="D")), name=BTC)
    text = "time,bid,ask\n" + "".join(f"2024-01-0{day},99,101\n" for day in range(1, 6))
    file = folder / "quotes.csv"
    file.write_text(text, encoding="utf-8")
    cerebro.adddata(BidAsk(dataname=str(file)), name="quotes")
    cerebro.addstrategy(Story, act=act)
    return cerebro.run()[0]


def test_a_feed_without_prices_may_be_looked_at(tmp_path: Path) -> None:
    def act(s: Any) -> None:
        if len(s) == 2:
            s.buy(s.data0)
        assert s.data1.ask[0] == 101.0
        assert s.broker.getvalue([s.data1]) == 0.0

    run = beside_quotes(act, tmp_path)
    assert (run.position.size, run.getposition(run.data1).size) == (1, 0)


def test_a_feed_without_prices_cannot_be_traded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'quotes' has no open, high, low and close"):
        beside_quotes(lambda s: s.buy(s.data1), tmp_path)
