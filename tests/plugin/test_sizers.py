"""Sizers: sizes by hand, targets met after fees, and a liquidation price kept away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import backtrader as bt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from plugin.desk import BTC, ETH, account_with

from bt_margin.core.contract import Contract
from bt_margin.engine.account import Account
from bt_margin.errors import InputError
from bt_margin.plugin.commission import LinearPerp
from bt_margin.plugin.sizers import LiquidationDistance, MarginFraction, TargetLeverage

FEE = 0.0005


class Counter:
    """A broker over an account, at rest on one bar."""

    def __init__(self, account: Account, info: Any = None) -> None:
        self.account = account
        self.info = info or LinearPerp(commission=FEE)

    def instrument(self, data: Any) -> Any:
        return SimpleNamespace(symbol=data._name)

    def getcommissioninfo(self, data: Any) -> Any:
        return self.info

    def getposition(self, data: Any) -> Any:
        return SimpleNamespace(size=self.account.position(data._name).size)

    def preview(self, data: Any, size: float, price: float) -> Any:
        return self.account.preview(data._name, size, price)

    def getcash(self) -> float:
        return max(0.0, self.account.available())

    def getvalue(self) -> float:
        return self.account.equity()


class Stock(Counter):
    """A broker without an account: cash, equity and one held position."""

    def __init__(self, info: Any, cash: float = 10_000.0, held: float = 0.0) -> None:
        self.info, self.cash, self.held = info, cash, held

    def __getattribute__(self, name: str) -> Any:
        if name in ("account", "instrument"):
            raise AttributeError(name)
        return super().__getattribute__(name)

    def getposition(self, data: Any) -> Any:
        return SimpleNamespace(size=self.held)

    def getcash(self) -> float:
        return self.cash

    def getvalue(self) -> float:
        return self.cash


def feed(price: float = 100.0, symbol: str = BTC) -> Any:
    return SimpleNamespace(close=[price], _name=symbol)


def sized(sizer: Any, broker: Any, *, buy: bool = True, price: float = 100.0) -> float:
    """What the sizer answers now."""
    sizer.set(None, broker)
    size: float = sizer.getsizing(feed(price), isbuy=buy)
    return size


def account_at(price: float = 100.0, held: float = 0.0, **settings: Any) -> Account:
    account = account_with(**settings)
    account.mark(BTC, price)
    if held:
        account.fill(BTC, held, price)
    return account


class TestMarginFraction:
    @pytest.mark.parametrize("buy", [True, False])
    def test_posts_the_fraction_with_its_fee(self, buy: bool) -> None:
        account = account_at()
        size = sized(MarginFraction(fraction=0.2), Counter(account), buy=buy)
        assert size * 100 / 10 + size * 100 * FEE == pytest.approx(2_000)
        account.fill(BTC, size if buy else -size, 100.0)
        assert account.available() == pytest.approx(8_000)

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    def test_the_whole_margin_is_still_accepted(self, mode: str) -> None:
        account = account_at(margin_mode=mode)
        size = sized(MarginFraction(fraction=1.0), Counter(account))
        assert account.fill(BTC, size, 100.0).refusal is None
        assert account.available() == pytest.approx(0.0, abs=1e-6)

    def test_a_second_order_takes_its_part_of_what_is_left(self) -> None:
        account = account_at(held=100.0)
        size = sized(MarginFraction(fraction=0.5), Counter(account))
        assert size * (10 + 0.05) == pytest.approx(0.5 * account.available())

    def test_against_a_position_it_closes_or_reverses(self) -> None:
        account = account_at(held=100.0)
        assert sized(MarginFraction(fraction=0.5), Counter(account), buy=False) == 100.0
        size = sized(MarginFraction(fraction=0.5, reverse=True), Counter(account), buy=False)
        assert (size - 100) * 10.05 == pytest.approx(0.5 * (10_000 - 5 - 5))
        assert account.fill(BTC, -size, 100.0).refusal is None

    def test_sizes_lie_on_the_lot_step(self) -> None:
        account = account_at(symbols={BTC: {"lot": 0.1}})
        size = sized(MarginFraction(fraction=0.33333), Counter(account))
        assert size == pytest.approx(331.6)

    def test_without_margin_nothing_is_sent(self) -> None:
        account = account_at(held=990.0)
        account.mark(BTC, 95.0)
        assert sized(MarginFraction(fraction=1.0), Counter(account), price=95.0) == 0.0


class TestTargetLeverage:
    @pytest.mark.parametrize("buy", [True, False])
    @pytest.mark.parametrize("exposure", [0.5, 2.0, 9.5])
    def test_exposure_is_met_after_the_fee(self, buy: bool, exposure: float) -> None:
        account = account_at()
        size = sized(TargetLeverage(exposure=exposure), Counter(account), buy=buy)
        account.fill(BTC, size if buy else -size, 100.0)
        assert size * 100 / account.equity() == pytest.approx(exposure)

    def test_an_order_tops_up_and_one_at_the_target_is_nothing(self) -> None:
        account = account_at(held=100.0)
        size = sized(TargetLeverage(exposure=2.0), Counter(account))
        account.fill(BTC, size, 100.0)
        assert account.position(BTC).notional() / account.equity() == pytest.approx(2.0)
        assert sized(TargetLeverage(exposure=2.0), Counter(account)) == pytest.approx(0, abs=1e-9)
        assert sized(TargetLeverage(exposure=1.0), Counter(account)) == 0.0

    def test_reversing_meets_the_target_on_the_other_side(self) -> None:
        account = account_at(held=100.0)
        size = sized(TargetLeverage(exposure=2.0, reverse=True), Counter(account), buy=False)
        account.fill(BTC, -size, 100.0)
        assert account.position(BTC).size < 0
        assert account.position(BTC).notional() / account.equity() == pytest.approx(2.0)

    def test_the_leverage_itself_is_affordable_and_more_is_cut(self) -> None:
        for exposure in (10.0, 50.0):
            account = account_at()
            size = sized(TargetLeverage(exposure=exposure), Counter(account))
            assert account.fill(BTC, size, 100.0).refusal is None
            assert account.position(BTC).notional() / account.equity() == pytest.approx(10.0)

    def test_contract_size_counts(self) -> None:
        account = account_at(symbols={BTC: {"multiplier": 0.01}})
        info = LinearPerp(commission=FEE, mult=0.01)
        size = sized(TargetLeverage(exposure=2.0), Counter(account, info))
        assert size == pytest.approx(20_000 / (1 + 2 * FEE))


class TestLiquidationDistance:
    @pytest.mark.parametrize("buy", [True, False])
    @pytest.mark.parametrize("distance", [0.15, 0.3, 0.6])
    def test_cross_ends_exactly_at_the_distance(self, buy: bool, distance: float) -> None:
        account = account_at()
        size = sized(LiquidationDistance(distance=distance), Counter(account), buy=buy)
        account.fill(BTC, size if buy else -size, 100.0)
        price = account.liquidation_price(BTC)
        assert price is not None
        assert abs(100 - price) / 100 == pytest.approx(distance)
        assert abs(100 - price) / 100 >= distance * (1 - 1e-9)

    def test_with_room_to_spare_it_is_what_the_account_can_carry(self) -> None:
        account = account_at(leverage=2.0)
        most = account.preview(BTC, 1.0, 100.0).affordable_size
        assert sized(LiquidationDistance(distance=0.1), Counter(account)) == pytest.approx(most)
        half = LiquidationDistance(distance=0.1, fraction=0.5)
        assert sized(half, Counter(account)) == pytest.approx(most / 2)

    def test_isolated_leverage_alone_may_be_too_near(self) -> None:
        account = account_at(margin_mode="isolated", leverage=20.0)
        assert sized(LiquidationDistance(distance=0.2), Counter(account)) == 0.0
        lower = account_at(margin_mode="isolated", leverage=3.0)
        assert sized(LiquidationDistance(distance=0.2), Counter(lower)) > 0.0

    def test_reversing_keeps_away_on_the_other_side(self) -> None:
        account = account_at(held=100.0)
        sizer = LiquidationDistance(distance=0.3, reverse=True)
        size = sized(sizer, Counter(account), buy=False)
        account.fill(BTC, -size, 100.0)
        price = account.liquidation_price(BTC)
        assert price == pytest.approx(130.0)

    @given(
        st.floats(0.05, 0.9), st.floats(-60.0, 60.0), st.booleans(), st.sampled_from([3.0, 25.0])
    )
    def test_never_nearer_whatever_else_the_account_holds(
        self, distance: float, other: float, buy: bool, leverage: float
    ) -> None:
        account = account_with(leverage=leverage)
        account.mark(BTC, 100.0)
        account.mark(ETH, 100.0)
        assume(abs(other) > 0.01)
        account.fill(ETH, other, 100.0)
        size = sized(LiquidationDistance(distance=distance), Counter(account), buy=buy)
        assume(size > 0)
        assert account.fill(BTC, size if buy else -size, 100.0).refusal is None
        price = account.liquidation_price(BTC)
        assert price is None or abs(100 - price) / 100 >= distance * (1 - 1e-9)


class TestElsewhere:
    def test_without_an_account_the_scheme_gives_leverage_and_fee(self) -> None:
        info = bt.CommissionInfo(commission=0.001, leverage=5.0)
        size = sized(MarginFraction(fraction=0.5), Stock(info))
        assert size * (100 / 5 + 0.1) == pytest.approx(5_000)
        assert sized(LiquidationDistance(distance=0.2), Stock(info)) == pytest.approx(2 * size)
        target = sized(TargetLeverage(exposure=2.0), Stock(info))
        assert target == pytest.approx(200 / (1 + 2 * 0.001))

    def test_without_an_account_an_opposite_order_closes(self) -> None:
        stock = Stock(bt.CommissionInfo(), held=7.0)
        assert sized(TargetLeverage(exposure=1.0), stock, buy=False) == 7.0

    @pytest.mark.parametrize(
        ("sizer", "wrong"),
        [
            (MarginFraction, {"fraction": 0.0}),
            (MarginFraction, {"fraction": 1.5}),
            (TargetLeverage, {"exposure": -2.0}),
            (LiquidationDistance, {"distance": 0}),
            (LiquidationDistance, {"distance": "20%"}),
        ],
    )
    def test_nonsense_is_refused_by_name(self, sizer: Any, wrong: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=next(iter(wrong))):
            sizer(**wrong)

    def test_a_script_trades_with_them_under_the_stock_broker(self) -> None:
        from plugin.desk import bars_of

        class Script(bt.Strategy):
            def next(self) -> None:
                if len(self) == 1:
                    self.buy()
                elif len(self) == 3:
                    self.sell()

        for sizer in (MarginFraction, TargetLeverage, LiquidationDistance):
            cerebro = bt.Cerebro(stdstats=False)
            cerebro.adddata(bt.feeds.PandasData(dataname=bars_of([100.0] * 6)))
            cerebro.addsizer(sizer)
            cerebro.addstrategy(Script)
            strategy = cerebro.run()[0]
            orders = cerebro.broker.orders
            assert len(orders) == 2
            assert orders[0].executed.size > 0
            assert strategy.position.size == 0
            assert Contract("X").notional(orders[0].executed.size, 100) <= 10_000
