"""The mirror law: at leverage 1, without maintenance and funding, a script is told what stock tells it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import backtrader as bt
import pytest
from plugin.twin import (
    ACTS,
    BTC,
    ETH,
    LOOPS,
    Told,
    differences,
    everything,
    flat_venue,
    ours,
    stock,
    tell,
    walk,
)

import bt_margin as btm
from bt_margin.engine.step import Stepper

SETTINGS: dict[str, Callable[[Any], Any]] = {
    "percent slippage": lambda b: b.set_slippage_perc(0.002),
    "fixed slippage, no match": lambda b: b.set_slippage_fixed(
        0.3, slip_open=False, slip_match=False
    ),
    "slippage out of the bar": lambda b: b.set_slippage_perc(0.02, slip_out=True),
    "slippage, limits may fail": lambda b: b.set_slippage_perc(
        0.01, slip_limit=False, slip_match=False
    ),
    "cheat on close": lambda b: b.set_coc(True),
    "fixed size filler": lambda b: b.set_filler(bt.broker.fillers.FixedSize(size=1)),
    "bar share filler": lambda b: b.set_filler(bt.broker.fillers.FixedBarPerc(perc=0.1)),
    "price point filler": lambda b: b.set_filler(
        bt.broker.fillers.BarPointPerc(minmov=0.1, perc=50)
    ),
    "end of session bar": lambda b: b.set_eosbar(True),
    "no check at submission": lambda b: b.set_checksubmit(False),
    "fund mode": lambda b: b.set_fundmode(True, 50.0),
    "interest to the wallet": lambda b: b.set_int2pnl(False),
}


def minutes(cerebro: Any, name: str, frame: Any, change: str) -> None:
    data = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=60)
    to = {"timeframe": bt.TimeFrame.Minutes, "compression": 240, "name": name}
    (cerebro.resampledata if change == "resampled" else cerebro.replaydata)(data, **to)


def both(frames: dict[str, Any], act: Any, set_up: Any = None, **story: Any) -> list[Any]:
    """The story on the stock broker and on ours; equal when the list is empty."""
    told = []
    for make in (stock, ours):
        broker = make()
        if set_up is not None:
            set_up(broker)
        told.append(tell(broker, frames, act, **story))
    assert any(line[1] == "order" for line in told[0][0][0]) or act is None
    return differences(*told)


@pytest.mark.parametrize("kind", ACTS)
def test_each_kind_of_order_is_told_alike(kind: str) -> None:
    assert both({BTC: walk(300)}, ACTS[kind]) == []


@pytest.mark.parametrize("loop", LOOPS)
def test_all_kinds_together_in_every_loop(loop: str) -> None:
    assert both({BTC: walk(300, 2)}, everything, seed=2, chance=0.5, run=LOOPS[loop]) == []


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_of_the_stock_broker(setting: str) -> None:
    assert both({BTC: walk(300, 3)}, everything, SETTINGS[setting], seed=3, chance=0.4) == []


def test_cheat_on_open() -> None:
    run = {"cheat_on_open": True}
    assert both({BTC: walk(200)}, everything, lambda b: b.set_coo(True), run=run) == []


def test_quick_notices() -> None:
    assert both({BTC: walk(200)}, everything, chance=0.5, run={"quicknotify": True}) == []


@pytest.mark.parametrize("loop", ["runonce", "next"])
def test_several_feeds_several_strategies(loop: str) -> None:
    frames = {BTC: walk(250, 4), ETH: walk(250, 5), "third": walk(250, 6)}
    run = LOOPS[loop]
    assert both(frames, everything, strategies=3, seed=4, chance=0.4, run=run) == []


@pytest.mark.parametrize("change", ["resampled", "replayed"])
def test_resampled_and_replayed_feeds(change: str) -> None:
    def feed(cerebro: Any, name: str, frame: Any) -> None:
        minutes(cerebro, name, frame, change)

    told = [
        tell(broker, {BTC: walk(400, 7)}, everything, seed=7, chance=0.5, feed=feed)
        for broker in (stock(), ours())
    ]
    if change == "resampled":  # the last bar, cut off by the end: stock matches the one before it
        told = [[[[line for line in one[0][0] if line[0] < 100]], 0] for one in told]
    assert differences(*told) == []


def test_feeds_out_of_step_are_matched_on_their_own_bars() -> None:
    """Loaded bar by bar, with gaps in one of them: no price of another time."""
    frames = {BTC: walk(120, 14), ETH: walk(120, 15).drop(walk(120).index[[30, 31, 32, 60]])}
    cerebro = bt.Cerebro(preload=False)
    cerebro.broker = broker = ours()
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    for name, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, **hours), name=name)
    cerebro.addstrategy(Told, act=everything, chance=0.8, seed=3)
    cerebro.run()
    fills = [event for event in broker.events if event.kind == "fill"]
    assert len(fills) > 50
    for event in fills:
        frame = frames[event.symbol]
        bar = frame.loc[
            dt.datetime.fromtimestamp(event.time / 1000, dt.timezone.utc).replace(tzinfo=None)
        ]
        before = frame["close"].shift(1)[bar.name]
        assert bar.low <= event.price <= bar.high or event.price == before, event


def test_daily_bars() -> None:
    def feed(cerebro: Any, name: str, frame: Any) -> None:
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)

    assert both({BTC: walk(300, 8, "D")}, everything, seed=8, chance=0.4, feed=feed) == []


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_the_margin_mode_plays_no_part_at_leverage_one(mode: str) -> None:
    frames = {BTC: walk(300, 9), ETH: walk(300, 10)}
    told = [
        tell(broker, frames, everything, seed=9, chance=0.7)
        for broker in (stock(), ours(margin_mode=mode))
    ]
    assert differences(*told) == []


def every_pool(stepper: Stepper, pending: Any, read: Any) -> set[str]:
    """All pools are to be walked."""
    return {stepper.account.pool_key(q.position) for q in read}


ALONE = ("market", "close_price", "limit", "stop", "stop_trail", "closing", "target", "tradeids")


@pytest.mark.parametrize("setting", ["none", "percent slippage", "cheat on close"])
@pytest.mark.parametrize("kind", ALONE)
def test_a_walked_bar_fills_an_order_where_stock_does(
    kind: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one order at a time the path has nothing to decide, so the walk must change nothing."""

    def act(strategy: Any) -> None:
        if not strategy.broker.get_orders_open():
            ACTS[kind](strategy)

    set_up = SETTINGS.get(setting)
    told = tell_after(set_up, stock(), act)
    monkeypatch.setattr(Stepper, "_risky", every_pool)
    broker = ours()
    assert differences(told, tell_after(set_up, broker, act)) == []
    assert broker.fidelity["walked"] > 50


def tell_after(set_up: Any, broker: Any, act: Any) -> list[Any]:
    if set_up is not None:
        set_up(broker)
    return tell(broker, {BTC: walk(200, 11)}, act, seed=11, chance=0.9)


@pytest.mark.parametrize("kind", ["bracket", "oco", "cancels", "valid", "stop_limit"])
def test_orders_of_a_walked_bar_end_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill cancels the other orders of its group, never itself."""
    monkeypatch.setattr(Stepper, "_risky", every_pool)
    told = tell(ours(), {BTC: walk(300, 12)}, ACTS[kind], seed=12, chance=0.3)
    over: dict[int, str] = {}
    for line in told[0][0]:
        if line[1] == "order" and line[3] in ("Completed", "Canceled", "Expired", "Margin"):
            assert line[2] not in over, line
            over[line[2]] = line[3]
    assert len(over) > 60
    assert "Completed" in over.values()


def test_an_order_that_cannot_be_paid_is_refused_alike() -> None:
    def act(strategy: Any) -> None:
        if not strategy.position:
            strategy.buy(size=strategy.draw.choice([50, 2_000]))
        else:
            strategy.close()

    frames = {BTC: walk(200, 13)}
    assert both(frames, act, chance=0.5) == []
    story = tell(ours(), frames, act, chance=0.5)[0][0]
    assert any(line[1] == "order" and line[3] == "Margin" for line in story)


def test_sizes_that_are_no_binary_fractions_leave_no_dust() -> None:
    """0.1 + 0.2 − 0.3 is flat here; stock keeps 5e-17 contracts and an open trade."""

    class Dust(Told):
        def next(self) -> None:
            plan = {2: 0.1, 4: 0.2, 6: -0.3}
            if len(self) in plan:
                size = plan[len(self)]
                (self.buy if size > 0 else self.sell)(size=abs(size))

    ends = []
    for broker in (stock(), ours()):
        cerebro = bt.Cerebro()
        cerebro.broker = broker
        cerebro.adddata(bt.feeds.PandasData(dataname=walk(10), name=BTC))
        cerebro.addstrategy(Dust)
        strategy = cerebro.run()[0]
        trades = [line[3] for line in strategy.told if line[1] == "trade"]
        ends.append((strategy.position.size, trades[-1], broker.getvalue()))
    assert ends[0][0] != 0
    assert ends[0][1] == bt.Trade.Open
    assert ends[1][:2] == (0.0, bt.Trade.Closed)
    assert ends[1][2] == pytest.approx(ends[0][2], abs=1e-9)


def test_reversals_of_any_size_end_completed() -> None:
    """Stock leaves some with a rest of 2e-16 and completes them a bar later (Partial)."""

    def act(strategy: Any) -> None:
        held = strategy.position.size
        (strategy.sell if held > 0 else strategy.buy)(size=3 * strategy.draw.random())

    told = [tell(b, {BTC: walk(400)}, act, chance=0.9) for b in (stock(), ours())]
    states = [{line[3] for line in one[0][0] if line[1] == "order"} for one in told]
    assert "Partial" in states[0]
    assert states[1] == {"Submitted", "Accepted", "Completed"}
    assert told[1][1] == pytest.approx(told[0][1], abs=1e-6)


class Mirrored(Told):
    """At each bar backtrader's books are the account's."""

    def next(self) -> None:
        broker = self.broker
        account = broker.account
        assert broker.getvalue() == pytest.approx(account.equity(), abs=2e-6)  # the floor
        assert broker.getcash() == pytest.approx(max(0.0, account.available()), abs=1e-9)
        for data in self.datas:
            held, own = self.getposition(data), account.position(data._name)
            assert (held.size, held.price) == (own.size, own.entry if own.size else 0.0)
            assert broker.getvalue([data]) == pytest.approx(own.size * data.close[0], abs=1e-9)
        trades = sum(
            trade.size
            for strategy in self.cerebro.runningstrats
            for data in self.datas
            for some in strategy._trades[data].values()
            for trade in some
        )
        assert trades == pytest.approx(sum(p.size for p in self.positions_of()), abs=1e-9)
        super().next()


@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearest"])
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_backtraders_books_are_the_accounts_on_every_bar(mode: str, intrabar: str) -> None:
    """Leveraged, with liquidations: cash, value, positions, open trades."""
    venue = flat_venue(maintenance_rate=0.01, taker_fee=0.0005, liquidation_fee=0.005)
    broker = btm.MarginBroker(
        venue=venue, margin_mode=mode, leverage=20, cash=2_000, intrabar=intrabar, debug=True
    )
    cerebro = bt.Cerebro()
    cerebro.broker = broker
    for number, name in enumerate((BTC, ETH)):
        cerebro.adddata(bt.feeds.PandasData(dataname=walk(300, 20 + number)), name=name)
    cerebro.addstrategy(Mirrored, act=bold, chance=0.3, seed=1)
    cerebro.run()
    kinds = [event.kind for event in broker.events]
    assert "liquidation" in kinds
    assert kinds.count("fill") > 10
    broker.account.audit()


def bold(strategy: Any) -> None:
    """Large orders of every kind, and fresh cash when it went wrong."""
    if strategy.broker.account.dead:
        strategy.broker.add_cash(2_000.0)
        return
    data = strategy.datas[strategy.draw.randrange(2)]
    room = max(0.1, strategy.broker.getcash() * 19 / data.close[0])
    size = room * strategy.draw.uniform(0.4, 0.9)
    send, sign = strategy.draw.choice([(strategy.buy, 1), (strategy.sell, -1)])
    close = data.close[0]
    kind = strategy.draw.randrange(6)
    if kind == 0:
        send(data, size=size)
    elif kind == 1:
        hours = dt.timedelta(hours=9)
        price = close * (1 - sign * 0.004)
        send(data, size=size, exectype=bt.Order.Limit, price=price, valid=hours)
    elif kind == 2:
        send(data, size=size, exectype=bt.Order.Stop, price=close * (1 + sign * 0.006))
    elif kind == 3:
        send(data, size=size, exectype=bt.Order.StopTrail, trailpercent=0.01)
    elif kind == 4:
        for order in strategy.broker.get_orders_open():
            strategy.cancel(order)
    else:
        strategy.close(data)
