"""Orders on the account: what is refused and why, walked bars, inverse contracts, borrowed money."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import pytest
from plugin.stage import BTC, act, bars, broker_of, kinds, venue

import bt_margin as btm
from bt_margin.errors import InputError

NAN = float("nan")


def refused(run: Any) -> Any:
    """The one order with Margin status, which says what its event says."""
    (order,) = (o for _, o in run.orders if o.status == bt.Order.Margin)
    (event,) = kinds(run, "rejected")
    info = order.info
    facts = (event.order, event.reason, event.found, event.allowed)
    assert repr(facts) == repr((order.ref, info.reason, info.found, info.allowed))
    return order


class TestRefused:
    @pytest.mark.parametrize(
        ("size", "order", "reason"),
        [
            (NAN, {}, "size"),
            (float("inf"), {}, "size"),
            (1, {"exectype": bt.Order.Limit, "price": NAN}, "price"),
            (1, {"exectype": bt.Order.Stop, "price": NAN}, "price"),
        ],
    )
    def test_numbers_that_are_none(self, size: float, order: dict[str, Any], reason: str) -> None:
        """An indicator that is not warm yet: Margin, as with stock, and the account stays sound."""
        plan = {1: lambda s: s.buy(size=size, **order), 3: lambda s: s.buy(size=1)}
        run = act(broker_of(), bars([100] * 6), plan)
        assert refused(run).info.reason == reason
        assert run.position.size == 1
        assert run.broker.getcash() == pytest.approx(990)

    def test_less_than_a_lot_and_less_than_the_minimum(self) -> None:
        small = {1: lambda s: s.buy(size=0.0004), 3: lambda s: s.buy(size=0.0019)}
        own = {BTC: {"lot": 0.001, "min_notional": 5.0}}
        run = act(broker_of(symbols=own), bars([10_000] * 6), small)
        assert refused(run).info.reason == "lot"
        assert run.position.size == 0.001
        run = act(broker_of(symbols=own), bars([1_000] * 6), {1: lambda s: s.buy(size=0.004)})
        order = refused(run)
        assert (order.info.reason, order.info.found, order.info.allowed) == ("min_notional", 4, 5)

    def test_a_small_rest_can_always_be_closed(self) -> None:
        own = {BTC: {"min_notional": 500.0}}
        plan = {
            1: lambda s: s.buy(size=6), 2: lambda s: s.sell(size=5.5), 3: lambda s: s.close(),
        }  # fmt: skip
        run = act(broker_of(symbols=own), bars([100] * 6), plan)
        assert run.position.size == 0
        assert kinds(run, "rejected") == []

    def test_beyond_the_cap_of_the_leverage(self) -> None:
        broker = btm.MarginBroker(venue="binance", leverage=125, cash=1e6)
        run = act(broker, bars([50_000] * 4), {1: lambda s: s.buy(size=20)})
        order = refused(run)
        assert order.info.reason == "leverage_cap"
        assert order.info.found == 1e6
        assert order.info.allowed < 1e6

    def test_what_was_payable_when_accepted_and_is_not_when_filled(self) -> None:
        """The open jumps: the fill is refused, its bracket goes with it."""

        def bracket(s: Any) -> None:
            s.buy_bracket(size=99, exectype=bt.Order.Market, limitprice=130, stopprice=90)

        run = act(broker_of(), bars([100, 110, 110, 110]), {1: bracket})
        assert [status for _, status, _ in run.ends()] == ["Margin", "Canceled", "Canceled"]
        assert run.broker.get_orders_open() == []
        assert run.broker.getcash() == 1_000

    def test_one_refused_order_does_not_poison_the_next(self) -> None:
        def two(s: Any) -> None:
            s.buy(size=1_000)
            s.buy(size=10)

        run = act(broker_of(), bars([100] * 3), {1: two})
        assert [(status, size) for _, status, size in run.ends()] == [
            ("Margin", 0), ("Completed", 10),
        ]  # fmt: skip


class TestReserved:
    def test_resting_orders_hold_their_margin_until_they_end(self) -> None:
        cash: list[float] = []

        def rest(s: Any) -> None:
            until = s.data.datetime.datetime(0) + dt.timedelta(hours=2, minutes=30)
            s.buy(size=50, exectype=bt.Order.Limit, price=80, valid=until)

        act(
            broker_of(), bars([100] * 7), {1: rest},
            every=lambda s: cash.append(s.broker.getcash()),
        )  # fmt: skip
        assert cash == [1_000, 600, 600, 1_000, 1_000, 1_000, 1_000]

    def test_a_partly_filled_order_holds_margin_for_its_rest(self) -> None:
        cash: list[float] = []
        broker = broker_of()
        broker.set_filler(bt.broker.fillers.FixedSize(size=20))
        act(
            broker, bars([100] * 6), {1: lambda s: s.buy(size=60)},
            every=lambda s: cash.append(s.broker.getcash()),
        )  # fmt: skip
        assert cash == [1_000] + [pytest.approx(400)] * 5

    def test_cancelling_before_the_broker_has_seen_it(self) -> None:
        """Stock answers False and fills the order later."""

        def regret(s: Any) -> None:
            order = s.buy(size=5)
            assert s.broker.cancel(order)
            assert not s.broker.cancel(order)

        run = act(broker_of(), bars([100] * 4), {1: regret})
        assert run.ends() == [(2, "Canceled", 0)]
        assert run.position.size == 0

    def test_an_oco_pair_leaves_nothing_reserved(self) -> None:
        def pair(s: Any) -> None:
            one = s.buy(size=10, exectype=bt.Order.Limit, price=95)
            s.buy(size=10, exectype=bt.Order.Stop, price=105, oco=one)

        frame = bars([100, 100, (100, 106, 100, 105), 105])
        run = act(broker_of(), frame, {1: pair})
        assert sorted(status for _, status, _ in run.ends()) == ["Canceled", "Completed"]
        assert run.broker.account.orders.reserved == 0
        assert run.broker.getcash() == pytest.approx(1_000 - 105)


class TestWalkedBars:
    """Dangerous bars: each order where the path gets there."""

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    def test_a_trailing_stop_goes_on_trailing(self, mode: str) -> None:
        """100 long: the bar of 91 is dangerous; the trail of 5 saves it at 98, after a high of 103."""
        frame = bars([100, 100, 103, (103, 103, 91, 92), 92])
        trail = {"exectype": bt.Order.StopTrail, "trailamount": 5.0}
        plan = {1: lambda s: s.buy(size=100), 2: lambda s: s.sell(size=100, **trail)}
        run = act(broker_of(margin_mode=mode), frame, plan)
        assert run.orders[-1][1].executed.price == 98
        assert kinds(run, "liquidation") == []

    def test_the_first_stop_of_an_oco_pair_ends_the_other(self) -> None:
        def pair(s: Any) -> None:
            one = s.sell(size=95, exectype=bt.Order.Stop, price=96)
            s.sell(size=95, exectype=bt.Order.Limit, price=110, oco=one)

        frame = bars([100, 100, 100, (100, 111, 80, 85), 85])
        run = act(broker_of(), frame, {1: lambda s: s.buy(size=95), 2: pair})
        assert run.broker.fidelity["walked"] == 1
        assert [status for bar, status, _ in run.ends() if bar == 4] == ["Completed", "Canceled"]
        assert run.position.size == 0
        assert run.orders[-2][1].executed.price == 96

    def test_an_order_that_opens_on_the_way_lives_the_rest_of_the_way(self) -> None:
        """trap 19: bought at 95 on the way down to 80, it dies at its own price, not at 100's."""
        limit = {"exectype": bt.Order.Limit, "price": 95}
        run = act(
            broker_of(), bars([100, 100, (100, 100, 80, 85), 85]),
            {1: lambda s: s.buy(size=100, **limit)},
        )  # fmt: skip
        (event,) = kinds(run, "liquidation")
        assert event.price == pytest.approx((9_500 - 1_000) / 99.5)
        assert run.ends() == [(3, "Completed", 100), (3, "Completed", -100)]

    def test_a_stop_limit_may_miss_and_the_position_dies(self) -> None:
        order = {"exectype": bt.Order.StopLimit, "price": 96, "plimit": 97.5}
        frame = bars([100, 100, 100, (95, 95, 80, 85), 85])
        plan = {1: lambda s: s.buy(size=100), 2: lambda s: s.sell(size=100, **order)}
        run = act(broker_of(), frame, plan)
        assert len(kinds(run, "liquidation")) == 1
        assert [status for _, status, _ in run.ends()] == ["Completed", "Canceled", "Completed"]

    def test_slippage_is_what_it_is_elsewhere(self) -> None:
        broker = broker_of()
        broker.set_slippage_perc(0.01)
        frame = bars([100, 100, 100, (100, 100, 80, 85), 85])
        stop = {"exectype": bt.Order.Stop, "price": 97}
        plan = {1: lambda s: s.buy(size=90), 2: lambda s: s.sell(size=90, **stop)}
        run = act(broker, frame, plan)
        assert run.orders[-1][1].executed.price == pytest.approx(97 * 0.99)

    def test_slippage_of_one_order_is_not_told_of_another(self) -> None:
        """A stop whose slipped price was not there leaves no trace on the fill of a limit."""
        broker = broker_of()
        broker.set_slippage_perc(0.05, slip_open=False, slip_match=False, slip_limit=False)

        def both(s: Any) -> None:
            s.sell(size=1, exectype=bt.Order.Stop, price=98)
            s.sell(size=1, exectype=bt.Order.Limit, price=102)

        frame = bars([100, 100, (100, 103, 97, 100), 100])
        run = act(broker, frame, {1: both})
        (fill,) = kinds(run, "fill")
        assert fill.price == 102
        assert "asked" not in fill.info


class TestInverse:
    """Money in coin: 100 contracts of 100 USD."""

    symbol = "BTC/USD:BTC"
    frame = bars([20_000, 20_000, 20_000, 25_000, 25_000, 16_000, 16_000])

    def run(self, at: Any, mode: str, plan: Any, **settings: Any) -> Any:
        options = {"margin_mode": mode, "leverage": 5, "cash": 1.0, "debug": True, **settings}
        return act(btm.MarginBroker(venue=at, **options), {self.symbol: self.frame}, plan)

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    @pytest.mark.parametrize("at", ["binancecoinm", "generic"])
    def test_profit_is_in_coin(self, at: str, mode: str) -> None:
        chosen: Any = at
        own = {}
        if at == "generic":
            chosen, own = venue(), {self.symbol: {"multiplier": 100.0}}
        plan = {1: lambda s: s.buy(size=100), 3: lambda s: s.close()}
        run = self.run(chosen, mode, plan, symbols=own)
        fee = sum(e.fee for e in kinds(run, "fill"))
        won = 100 * 100 * (1 / 20_000 - 1 / 25_000)
        assert run.broker.account.currency == "BTC"
        assert run.broker.getvalue() == pytest.approx(1 + won - fee)
        trade = next(t for _, t in run.trades if t.isclosed)
        assert trade.pnl == pytest.approx(won)
        assert trade.pnlcomm == pytest.approx(won - fee)
        assert "BTC" in run.broker.fetch_balance()

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    def test_the_average_entry_is_harmonic(self, mode: str) -> None:
        plan = {1: lambda s: s.buy(size=30), 3: lambda s: s.buy(size=30)}
        run = self.run("binancecoinm", mode, plan, leverage=1)
        assert run.broker.account.position(self.symbol).entry == pytest.approx(
            2 / (1 / 20_000 + 1 / 25_000)
        )
        assert run.position.price == run.broker.account.position(self.symbol).entry
        assert run.broker.getvalue([run.data]) == pytest.approx(60 * 100 / 16_000)

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    def test_a_long_dies_on_the_way_down(self, mode: str) -> None:
        run = self.run("binancecoinm", mode, {4: lambda s: s.buy(size=1_200)})
        assert run.sizes[-1] == 0
        assert len(kinds(run, "liquidation")) >= 1
        assert 0 <= run.broker.account.equity() < 1

    def test_exposure_by_target(self) -> None:
        run = self.run("binancecoinm", "cross", {1: lambda s: s.order_target_percent(target=2.0)})
        assert run.sizes[1] == pytest.approx(400)  # 2 BTC at 20,000 in contracts of 100 USD

    def test_one_account_holds_one_currency(self) -> None:
        frames = {self.symbol: self.frame, BTC: self.frame}
        with pytest.raises(InputError, match="settle in BTC, USDT"):
            act(btm.MarginBroker(venue=venue(), cash=1.0), frames)


class TestBorrowedMoney:
    """Spot with a loan: interest by time on what is borrowed now, on the account's ledger."""

    @pytest.mark.parametrize(("side", "owed"), [(1, 800.0), (-1, 1_000.0)])
    def test_interest_runs_by_the_hour(self, side: int, owed: float) -> None:
        """trap 52"""
        broker = broker_of(leverage=5)
        broker.addcommissioninfo(btm.SpotMargin(leverage=5, interest=0.0876))
        trade = {
            1: lambda s: (s.buy if side > 0 else s.sell)(size=10), 26: lambda s: s.close(),
        }  # fmt: skip
        run = act(broker, bars([100] * 30), trade)
        hourly = owed * 0.0876 / 8760
        charged = [e.amount for e in kinds(run, "interest")]
        assert charged == [pytest.approx(-hourly)] * 25
        assert run.broker.account.ledger.totals["interest"] == pytest.approx(-25 * hourly)
        closed = next(t for _, t in run.trades if t.isclosed)
        assert closed.pnlcomm == pytest.approx(-25 * hourly)

    def test_a_loan_can_eat_a_position_up(self) -> None:
        broker = broker_of(leverage=10, cash=1_000)
        broker.addcommissioninfo(btm.SpotMargin(leverage=10, interest=40.0))
        run = act(broker, bars([100] * 40), {1: lambda s: s.buy(size=90)})
        assert run.position.size == 0
        assert len(kinds(run, "liquidation")) == 1


@pytest.mark.parametrize("loop", [{}, {"runonce": False}])
def test_orders_at_the_close_of_the_session(loop: dict[str, Any]) -> None:
    """The close of the day, walked or not."""
    frame = bars([100] * 24 + [(100, 104, 96, 102), *[101] * 23], freq="h")
    for size in (1, 95):
        run = act(
            broker_of(), frame, {1: lambda s, n=size: s.buy(size=n, exectype=bt.Order.Close)},
            run=loop,
        )  # fmt: skip
        (fill,) = kinds(run, "fill")
        assert fill.price == 100
