"""Liquidation through the broker: what a script is told, and what becomes of its orders."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import backtrader as bt
import pytest
from plugin.stage import BTC, ETH, Actor, Listener, act, bars, broker_of, kinds, venue
from plugin.twin import LOOPS

import bt_margin as btm
from bt_margin.errors import InputError
from bt_margin.venues.policies import Fraction

MODES = ["cross", "isolated"]
#: 100 long at 10x of 1,000: falls where 1,000 + 100·(p − 100) = 0.005·100·p
FALL = 9_000 / 99.5
CRASH = bars([100, 100, 100, (99, 99, 80, 82), 82, 82])


def buy(size: float, **order: Any) -> Any:
    return lambda s: s.buy(size=size, **order)


def sell(size: float, **order: Any) -> Any:
    return lambda s: s.sell(size=size, **order)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("mode", MODES)
def test_a_liquidation_is_an_ordinary_completed_order(mode: str, loop: str) -> None:
    run = act(broker_of(margin_mode=mode), CRASH, {1: buy(100)}, run=LOOPS[loop])
    assert run.ends() == [(2, "Completed", 100), (4, "Completed", -100)]
    order = run.orders[-1][1]
    assert order.info.liquidation is True
    assert order.executed.price == pytest.approx(FALL)
    assert order.executed.pnl == pytest.approx(100 * (FALL - 100))
    statuses = [o.status for bar, o in run.orders if bar == 4]
    assert statuses == [bt.Order.Submitted, bt.Order.Accepted, bt.Order.Completed]
    (event,) = kinds(run, "liquidation")
    assert order.info.event == event.id
    assert run.broker.getvalue() == pytest.approx(1_000 + 100 * (FALL - 100))
    run.broker.account.audit()


@pytest.mark.parametrize("loop", ["runonce", "next"])
def test_next_never_sees_a_position_liquidated_in_its_bar(loop: str) -> None:
    """trap 20"""
    run = act(broker_of(), CRASH, {1: buy(100)}, run=LOOPS[loop])
    assert run.sizes == [0, 100, 100, 0, 0, 0]


@pytest.mark.parametrize("loop", ["runonce", "next"])
def test_strategies_that_listen_are_told_before_next_of_that_bar(loop: str) -> None:
    frame = bars([100, 100, (100, 100, 90.55, 90.55), (90.5, 90.5, 80, 82), 82])
    run = act(broker_of(), frame, {1: buy(100)}, strategy=Listener, run=LOOPS[loop])
    assert [(bar, kind) for bar, kind, _ in run.told] == [(3, "margin_call"), (4, "liquidation")]
    assert run.told[1][2].price == pytest.approx(FALL)
    assert run.sizes == [0, 100, 100, 0, 0, 0]  # one more entry: what the notice found


def test_each_listening_strategy_is_told_once() -> None:
    def two(cerebro: Any) -> None:
        cerebro.addstrategy(Listener, plan=None)

    run = act(broker_of(), CRASH, {1: buy(100)}, strategy=Listener, add=two)
    for strategy in run.cerebro.runningstrats:
        assert [(bar, kind) for bar, kind, _ in strategy.told if kind == "liquidation"] == [
            (4, "liquidation")
        ]
    assert run.cerebro.analyzers == []


def test_an_optimised_strategy_is_told_too() -> None:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=1, optreturn=False)
    cerebro.broker = broker_of()
    cerebro.adddata(bt.feeds.PandasData(dataname=CRASH, timeframe=bt.TimeFrame.Minutes), name=BTC)
    cerebro.optstrategy(Listener, plan=[{1: buy(100)}, {1: buy(5)}])
    found = cerebro.run()
    told = [[kind for _, kind, _ in run[0].told] for run in found]
    assert told == [["liquidation"], []]


@pytest.mark.parametrize("mode", MODES)
def test_resting_orders_go_first_and_open_nothing_afterwards(mode: str) -> None:
    """A stop left behind would open a short of 90 in the crash."""

    def plan(s: Any) -> None:
        s.sent["stop"] = s.sell(size=90, exectype=bt.Order.Stop, price=85)
        s.sent["limit"] = s.buy(size=1, exectype=bt.Order.Limit, price=81)

    run = act(broker_of(margin_mode=mode), CRASH, {1: buy(90), 2: plan})
    assert run.ends() == [
        (2, "Completed", 90),
        (4, "Canceled", 0),
        (4, "Canceled", 0),
        (4, "Completed", -90),
    ]
    assert run.position.size == 0
    cancels, (breach,) = kinds(run, "canceled"), kinds(run, "breach")
    assert [e.cause for e in cancels] == [breach.id] * 2
    assert {e.order for e in cancels} == {o.ref for o in run.sent.values()}


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_before_the_liquidation_price_saves_the_position(mode: str) -> None:
    stop = {1: buy(100), 2: sell(100, exectype=bt.Order.Stop, price=95)}
    run = act(broker_of(margin_mode=mode), CRASH, stop)
    assert run.ends() == [(2, "Completed", 100), (4, "Completed", -100)]
    assert run.orders[-1][1].executed.price == 95
    assert kinds(run, "liquidation", "breach") == []


@pytest.mark.parametrize("sold", [4, 10])
def test_an_exit_that_finds_less_than_its_size_takes_the_other_exit_with_it(sold: float) -> None:
    """Ten bought with two exits, some of them sold by hand; the limit closes what is left, or nothing."""
    made: list[Any] = []
    only = {"reduce_only": True}

    def bracket(s: Any) -> None:
        made.extend(
            s.buy_bracket(
                size=10, exectype=bt.Order.Market, limitprice=110, stopprice=90, limitargs=only,
                stopargs=only,
            )
        )  # fmt: skip

    frame = bars([100, 100, 100, 100, (100, 112, 100, 112), 112, (112, 112, 85, 85), 85])
    run = act(broker_of(), frame, {1: bracket, 2: sell(sold), 5: buy(3)})
    entry, stop, limit = made
    assert entry.getstatusname() == "Completed"
    assert (limit.getstatusname(), limit.executed.size) == ("Canceled", sold - 10)
    assert (stop.getstatusname(), stop.executed.size) == ("Canceled", 0)
    assert run.broker.account.positions[next(iter(run.broker.account.positions))].size == 3


def test_trades_that_stand_against_one_another_share_the_fee_of_their_liquidation() -> None:
    """Hundred long in one trade, fifty short in another: the fee of the fifty between them, two to one."""
    plan = {1: buy(100, tradeid=1), 2: sell(50, tradeid=2)}
    frame = bars([100, 100, 100, (100, 100, 70, 75), 75])
    run = act(broker_of(venue=venue(liquidation_fee=0.01)), frame, plan)
    (event,) = kinds(run, "liquidation")
    forced = [o for o in run.broker.orders if o.info.get("liquidation")]
    assert [o.executed.size for o in forced] == [-100, 50]
    assert event.fee > 0
    assert [o.executed.comm for o in forced] == pytest.approx([event.fee * 2 / 3, event.fee / 3])
    assert sum(o.executed.pnl for o in forced) == pytest.approx(event.realised)


def test_a_bracket_survives_a_liquidation_in_pieces_of_one_kind() -> None:
    """Its stop lies behind the liquidation price: both children are cancelled by the venue."""

    def bracket(s: Any) -> None:
        s.buy_bracket(size=100, exectype=bt.Order.Market, limitprice=120, stopprice=85)

    run = act(broker_of(), CRASH, {1: bracket})
    assert [(bar, status) for bar, status, _ in run.ends()] == [
        (2, "Completed"), (4, "Canceled"), (4, "Canceled"), (4, "Completed"),
    ]  # fmt: skip
    assert run.position.size == 0


def test_an_isolated_liquidation_leaves_other_symbols_orders_alone() -> None:
    def rest(s: Any) -> None:
        s.buy(s.datas[1], size=1, exectype=bt.Order.Limit, price=50)

    frames = {BTC: CRASH, ETH: bars([100] * 6)}
    run = act(broker_of(margin_mode="isolated"), frames, {1: buy(50), 2: rest})
    assert kinds(run, "canceled") == []
    assert [e.symbol for e in kinds(run, "liquidation")] == [BTC]
    assert len(run.broker.get_orders_open()) == 1


def test_each_trade_is_closed_by_an_order_of_its_own() -> None:
    """Positions are net, trades belong to a strategy and a tradeid."""

    def plan(s: Any) -> None:
        s.buy(size=60, tradeid=1)
        s.buy(size=50, tradeid=2)
        s.sell(size=10, tradeid=3)

    def other(cerebro: Any) -> None:
        cerebro.addstrategy(Actor, plan={1: buy(20)})

    run = act(broker_of(cash=1_400.0), CRASH, {1: plan}, add=other)
    strategies = run.cerebro.runningstrats
    assert run.position.size == 0
    closed = [
        (place, t.tradeid, bar)
        for place, s in enumerate(strategies)
        for bar, t in s.trades
        if t.isclosed
    ]
    assert closed == [(0, 1, 4), (0, 2, 4), (0, 3, 4), (1, 0, 4)]
    profit = sum(t.pnl for s in strategies for _, t in s.trades if t.isclosed)
    (event,) = kinds(run, "liquidation")
    assert profit == pytest.approx(event.realised)
    assert all(
        t.size == 0 for s in strategies for d in s.datas for ts in s._trades[d].values() for t in ts
    )


def test_the_liquidation_fee_is_part_of_the_trades() -> None:
    broker = broker_of(venue=venue(liquidation_fee=0.002, taker_fee=0.0005))
    run = act(broker, CRASH, {1: buy(90)})
    (event,) = kinds(run, "liquidation")
    trade = next(t for _, t in run.trades if t.isclosed)
    assert trade.pnlcomm == pytest.approx(run.broker.account.equity() - 1_000)
    assert run.orders[-1][1].executed.comm - 90 * 100 * 0.0005 == pytest.approx(
        event.fee - 90 * 100 * 0.0005
    )


def test_a_part_closed_keeps_the_rest_of_the_trades_open() -> None:
    flat = venue(policy=Fraction(0.5, "sale", "trader"))
    frame = bars([100, 100, (100, 100, 90, 95), 95])
    run = act(broker_of(venue=flat), frame, {1: buy(100)})
    (event,) = kinds(run, "liquidation")
    assert 0 < -event.size < 100
    held = run.position.size
    assert held == pytest.approx(100 + event.size)
    assert run.broker.account.position(BTC).size == held
    trade = run._trades[run.data][0][-1]
    assert trade.isopen
    assert trade.size == pytest.approx(held)
    assert run.orders[-1][1].info.liquidation
    assert run.orders[-1][1].executed.size == pytest.approx(event.size)


@pytest.mark.parametrize("kind", ["market", "limit", "stop"])
def test_the_dead_fill_nothing_until_cash_is_added(kind: str) -> None:
    """trap 28"""
    frame = bars([100, 100, (80, 80, 80, 80), 80, 80, 80, 80, 80, 80, 80])
    order = {
        "market": {},
        "limit": {"exectype": bt.Order.Limit, "price": 90},
        "stop": {"exectype": bt.Order.Stop, "price": 90},
    }[kind]

    def cash(s: Any) -> None:
        s.broker.add_cash(500)

    plan = {1: buy(100), 4: buy(1, **order), 6: cash, 8: buy(1, **order)}
    run = act(broker_of(), frame, plan)
    assert [e.kind for e in kinds(run, "dead", "revived")] == ["dead", "revived"]
    ends = run.ends()
    assert (5, "Margin", 0) in ends
    assert run.orders[-1][0] == 9
    assert run.orders[-1][1].getstatusname() == {"market": "Completed", "limit": "Completed"}.get(
        kind, "Accepted"
    )
    refused = next(o for bar, o in run.orders if bar == 5 and o.status == bt.Order.Margin)
    assert refused.info.reason == "dead"
    assert run.values[2:6] == [pytest.approx(0, abs=1e-5)] * 4
    assert run.values[6] == pytest.approx(500)


def test_a_gap_beyond_bankruptcy_costs_the_fund_not_the_trader() -> None:
    run = act(broker_of(), bars([100, 100, 80, 80]), {1: buy(100)})
    (shortfall,) = kinds(run, "shortfall")
    assert shortfall.amount == pytest.approx(1_000)
    assert run.broker.account.equity() == 0
    assert run.broker.getcash() == 0
    assert run.broker.getvalue() > 0


def test_a_wick_of_the_last_price_alone_liquidates_nobody() -> None:
    marks = bars([100, 100, 100, (99, 99, 95, 95), 95, 95])
    run = act(broker_of(mark={BTC: marks}), CRASH, {1: buy(100)})
    assert kinds(run, "liquidation") == []
    assert run.position.size == 100
    assert run.values[3] == pytest.approx(500)
    assert run.broker.fidelity["mark_share"] == 1.0


class TestMarkStops:
    """Stops triggered by the mark, filled at the last price of that moment."""

    marks = bars([100, 100, 100, (100, 100, 96, 96), 96, 96])
    last = bars([100, 100, 100, (100, 100, 90, 96), 96, 96])

    def run(self, price: float, trigger: str, mode: str = "cross", **order: Any) -> Any:
        stop = {"exectype": bt.Order.Stop, "price": price, "trigger": trigger, **order}
        broker = broker_of(mark={BTC: self.marks}, margin_mode=mode)
        return act(broker, self.last, {1: buy(5), 2: sell(5, **stop)})

    @pytest.mark.parametrize("mode", MODES)
    def test_a_wick_of_last_does_not_trigger_it(self, mode: str) -> None:
        assert self.run(95, "mark", mode).position.size == 5
        assert self.run(95, "last", mode).position.size == 0

    @pytest.mark.parametrize("mode", MODES)
    def test_the_mark_does_and_it_fills_at_last(self, mode: str) -> None:
        """On the way down mark and last move together: mark 98 is halfway, where last is at 95."""
        run = self.run(98, "mark", mode)
        assert run.position.size == 0
        assert run.orders[-1][1].executed.price == pytest.approx(95)

    def test_a_stop_limit_waits_for_its_limit(self) -> None:
        run = self.run(98, "mark", exectype=bt.Order.StopLimit, plimit=95.5)
        order = run.orders[-1][1]
        assert order.status == bt.Order.Completed
        assert order.executed.price == pytest.approx(95.5)

    def test_a_trailing_stop_follows_the_mark(self) -> None:
        marks = bars([100, 100, 110, 120, (120, 120, 113, 113), 113])
        last = bars([100, 100, 100, 100, (100, 100, 99, 99), 99])
        trail = {"exectype": bt.Order.StopTrail, "trailamount": 5.0, "trigger": "mark"}
        run = act(broker_of(mark={BTC: marks}), last, {1: buy(5), 2: sell(5, **trail)})
        assert run.ends()[-1][:2] == (5, "Completed")


class TestReduceOnly:
    def test_it_never_flips(self) -> None:
        run = act(broker_of(), bars([100] * 6), {1: buy(5), 3: sell(8, reduce_only=True)})
        assert run.ends() == [(2, "Completed", 5), (4, "Canceled", -5)]
        assert run.position.size == 0

    def test_it_never_locks_margin(self) -> None:
        def plan(s: Any) -> None:
            for price in (110, 120, 130):
                s.sell(size=100, exectype=bt.Order.Limit, price=price, reduce_only=True)

        cash: list[float] = []
        run = act(
            broker_of(cash=1_100),
            bars([100] * 6),
            {1: buy(100), 3: plan},
            every=lambda s: cash.append(s.broker.getcash()),
        )
        assert len(run.broker.get_orders_open()) == 3
        assert cash[1:] == [pytest.approx(100)] * 5

    def test_it_does_nothing_without_a_position(self) -> None:
        run = act(broker_of(), bars([100] * 4), {1: buy(5, reduce_only=True)})
        assert run.ends() == [(2, "Canceled", 0)]
        assert kinds(run, "fill", "rejected") == []

    def test_it_follows_a_position_that_shrinks(self) -> None:
        def plan(s: Any) -> None:
            s.sell(size=5, exectype=bt.Order.Limit, price=105, reduce_only=True)
            s.sell(size=3)

        frame = bars([100, 100, 100, 100, (100, 106, 100, 106), 106])
        run = act(broker_of(), frame, {1: buy(5), 2: plan})
        assert run.position.size == 0
        assert run.ends()[-1] == (5, "Canceled", -2)

    def test_closing_is_always_possible(self) -> None:
        """All cash is in the position, and it is losing: closing needs no margin."""
        frame = bars([100, 100, 95, 95, 95])
        run = act(broker_of(), frame, {1: buy(100), 3: lambda s: s.close()})
        assert run.broker.getcash() == pytest.approx(500)
        assert run.ends()[-1] == (4, "Completed", -100)


class TestCash:
    def test_two_orders_in_one_bar_cannot_share_the_margin(self) -> None:
        """trap 38"""

        def twice(s: Any) -> None:
            s.buy(size=60)
            s.buy(size=60)

        run = act(broker_of(), bars([100] * 4), {1: twice})
        assert run.ends() == [(2, "Margin", 0), (2, "Completed", 60)]
        refused = run.orders[[o.getstatusname() for _, o in run.orders].index("Margin")][1]
        assert refused.info.reason == "margin"
        assert (refused.info.found, refused.info.allowed) == (
            pytest.approx(600),
            pytest.approx(400),
        )
        (event,) = kinds(run, "rejected")
        assert event.order == refused.ref

    def test_withdrawing_more_than_there_is_moves_nothing(self) -> None:
        plan = {
            1: buy(50),
            2: lambda s: s.broker.add_cash(-600),
            4: lambda s: s.broker.add_cash(-400),
        }
        run = act(broker_of(), bars([100] * 7), plan)
        (refused,) = kinds(run, "refused")
        assert (refused.found, refused.allowed) == (600, pytest.approx(500))
        assert run.values == [1_000] * 4 + [600] * 3

    def test_set_cash_during_a_run_is_a_transfer(self) -> None:
        run = act(broker_of(), bars([100] * 5), {2: lambda s: s.broker.set_cash(400)})
        assert [e.kind for e in run.broker.events] == ["deposit", "withdrawal"]
        assert run.values == [1_000, 1_000, 400, 400, 400]
        assert run.broker.startingcash == 1_000

    def test_a_fund_is_not_richer_for_what_was_added(self) -> None:
        seen: list[tuple[float, float]] = []
        frame = bars([100, 100, 110, 110, 110, 110])
        run = act(
            broker_of(fundmode=True),
            frame,
            {1: buy(10), 3: lambda s: s.broker.add_cash(1_100)},
            every=lambda s: seen.append((s.broker.fundvalue, s.broker.fundshares)),
        )
        assert [v for v, _ in seen] == [pytest.approx(v) for v in (100, 100, 110, 110, 110, 110)]
        assert [n for _, n in seen] == [pytest.approx(n) for n in (10, 10, 10, 20, 20, 20)]
        assert run.broker.getvalue() == pytest.approx(2_200)

    def test_a_fund_that_was_paid_out_keeps_its_last_price_and_may_be_paid_into_again(self) -> None:
        seen: list[tuple[float, float]] = []
        plan = {2: lambda s: s.broker.add_cash(-1_000), 4: lambda s: s.broker.add_cash(500)}
        run = act(
            broker_of(fundmode=True),
            bars([100] * 7),
            plan,
            every=lambda s: seen.append((s.broker.fundvalue, s.broker.fundshares)),
        )
        assert seen == [(100, 10)] * 2 + [(100, 0)] * 2 + [(100, 5)] * 3
        assert run.broker.account.equity() == 500

    @pytest.mark.parametrize("moved", [-400, 500])
    def test_a_fund_whose_shares_are_worth_nothing_begins_anew_with_what_is_left(
        self, moved: float
    ) -> None:
        """After many deaths there are more shares than numbers; money that moves then starts another fund."""

        def ruined(s: Any) -> None:
            s.broker._fundshares, s.broker._fundval = 1e104, 1e-101
            s.broker.add_cash(moved)
            s.broker.add_cash(moved / 4)

        run = act(broker_of(fundmode=True), bars([100] * 6), {2: ruined})
        broker, value = run.broker, 1_000 + 1.25 * moved
        assert broker.fundshares == pytest.approx(value / 100)
        assert broker.fundshares * broker.fundvalue == pytest.approx(value)


@pytest.mark.parametrize("mode", MODES)
def test_every_intrabar_policy(mode: str) -> None:
    """High first the target is reached, low first the position dies."""
    frame = bars([100, 100, (100, 111, 80, 100), 100])
    take = {"exectype": bt.Order.Limit, "price": 110}
    ends = {}
    for policy in ("adverse", "favourable", "nearest"):
        run = act(broker_of(intrabar=policy, margin_mode=mode), frame, {1: buy(100), 2: sell(100)})
        run = act(
            broker_of(intrabar=policy, margin_mode=mode),
            bars([100, 100, 100, (100, 111, 80, 100), 100]),
            {1: buy(100), 2: sell(100, **take)},
        )
        ends[policy] = (run.ends()[-1][1:], bool(kinds(run, "liquidation")))
        assert run.broker.fidelity["walked"] == 1
    assert ends["adverse"][1]
    assert not ends["favourable"][1]
    assert not ends["nearest"][1]  # the high is nearer to the open


def test_finer_bars_decide_where_they_are() -> None:
    """Low first in truth: the guess of the policy is replaced."""
    frame = bars([100, 100, 100, (100, 111, 80, 100), 100])
    fine = bars([(100, 100, 80, 85), (85, 111, 85, 100)], start="2024-01-01 03:00", freq="30min")
    take = {1: buy(100), 2: sell(100, exectype=bt.Order.Limit, price=110)}
    run = act(broker_of(intrabar="favourable", detail={BTC: fine}), frame, take)
    assert kinds(run, "liquidation") != []
    assert run.broker.fidelity["detail"] == (BTC,)
    fine = bars([(100, 111, 100, 100), (100, 100, 80, 100)], start="2024-01-01 03:00", freq="30min")
    run = act(broker_of(detail={BTC: fine}), frame, take)
    assert kinds(run, "liquidation") == []


class Hold(Actor):
    """At module level, so that it can be pickled."""

    def next(self) -> None:
        super().next()
        if len(self) == 1:
            self.buy(size=100)


def test_a_broker_can_be_pickled_and_copied() -> None:
    run = act(broker_of(intrabar="nearest"), CRASH, {1: buy(100)})
    broker = run.broker
    for twin in (pickle.loads(pickle.dumps(broker_of())), copy.copy(broker)):
        assert twin.p.leverage == 10
    twin = pickle.loads(pickle.dumps(broker_of(margin_mode="isolated")))
    again = act(twin, CRASH, {1: buy(100)})
    assert [e.kind for e in again.broker.events] == ["deposit", "fill", "breach", "liquidation"]


def test_whole_strategies_come_back_from_other_processes() -> None:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2, optreturn=False)
    cerebro.broker = broker_of()
    cerebro.adddata(bt.feeds.PandasData(dataname=CRASH, timeframe=bt.TimeFrame.Minutes), name=BTC)
    cerebro.optstrategy(Hold, every=[None, None])
    for (run,) in cerebro.run():
        assert [e.kind for e in run.broker.events][-1] == "liquidation"
        assert run.broker.account.positions == {}


def test_order_history_is_booked_on_the_account() -> None:
    history = [["2024-01-01T01:00:00", 50, 100.0], ["2024-01-01T02:00:00", -20, 101.0]]

    def add(cerebro: Any) -> None:
        cerebro.add_order_history(history, notify=True)

    for _ in range(2):
        run = act(broker_of(), CRASH.iloc[:3], None, add=add)
        assert run.sizes == [0, 50, 30]
        assert [e.price for e in kinds(run, "fill")] == [100, 101]
        assert run.broker.account.ledger.totals["realised"] == pytest.approx(20)


def test_adopting_the_settings_of_the_broker_before() -> None:
    old = bt.brokers.BackBroker()
    old.setcommission(commission=0.001)
    old.set_slippage_perc(0.01)
    old.set_coc(True)
    broker = broker_of()
    broker.adopt(old)
    run = act(broker, bars([100, 101, 102]), {1: buy(1)})
    assert kinds(run, "fill")[0].price == 101  # the close of the decision, slipped by 1 %
    assert kinds(run, "fill")[0].fee == pytest.approx(0.101)


class TestSettings:
    """What the broker is given is checked where it is given."""

    def test_a_venue_must_be_named(self) -> None:
        with pytest.raises(InputError, match=r'venue is missing.*venue="binance"'):
            btm.MarginBroker()

    def test_an_unknown_parameter_offers_the_nearest(self) -> None:
        with pytest.raises(InputError, match=r"levrage.*did you mean leverage"):
            btm.MarginBroker(venue="binance", levrage=3)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"venue": "binanse"}, "binance"),
            ({"margin_mode": "crossed"}, "crossed.*cross"),
            ({"leverage": 0}, "leverage 0"),
            ({"leverage": "10"}, "'10'"),
            ({"leverage": float("nan")}, "nan"),
            ({"cash": 0}, "cash 0"),
            ({"cash": -5}, "-5"),
            ({"cash": float("inf")}, "inf"),
            ({"intrabar": "worst"}, "worst.*adverse, favourable, nearest"),
            ({"timestamps": "middle"}, "middle.*open, close"),
            ({"liquidation_slippage": 2}, "liquidation_slippage 2"),
            ({"margin_calls": (1.5,)}, "1.5"),
            ({"require": ("fundings",)}, "fundings.*'funding', 'mark'"),
            ({"require": "marks"}, "marks.*'funding', 'mark'"),
            ({"funding": [1, 2]}, "funding=.*mapping.*list"),
            ({"mark": 3}, "mark=.*mapping.*int"),
            ({"detail": "x"}, "detail=.*mapping.*str"),
            ({"symbols": {BTC: {"levrage": 3}}}, "levrage"),
            ({"symbols": {BTC: {"leverage": -3}}}, "-3"),
            ({"symbols": {BTC: {"margin_mode": "iso"}}}, "iso"),
            ({"symbols": {"BTC": 5}}, "symbols"),
            ({"symbols": 5}, "symbols"),
            ({"names": 5}, "names"),
            ({"as_of": "never"}, "never"),
            ({"intrabar": None}, "None"),
            ({"margin_calls": 0.8}, "margin_calls"),
        ],
    )
    def test_a_bad_setting_is_named_with_what_is_allowed(
        self, settings: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InputError, match=words):
            act(btm.MarginBroker(**{"venue": "binance", **settings}), CRASH)

    def test_leverage_above_the_cap_names_symbol_and_cap(self) -> None:
        with pytest.raises(btm.errors.LeverageError, match=r"150.*125.*BTC/USDT:USDT"):
            act(btm.MarginBroker(venue="binance", leverage=150), CRASH)
