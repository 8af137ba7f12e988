"""Commission infos: notional, margin, fees and profit against numbers worked by hand."""

from __future__ import annotations

import datetime as dt
import pickle
from types import SimpleNamespace
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from backtrader.linebuffer import LineBuffer
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.errors import InputError
from bt_margin.plugin.commission import (
    InversePerp,
    LinearPerp,
    SchemeInfo,
    SpotMargin,
    from_scheme,
    of_contract,
)

COIN = Contract("BTC/USD:BTC", kind="inverse", multiplier=100, settle="BTC")
OKX = Contract("BTC/USDT:USDT", multiplier=0.01)
SIZES = st.floats(min_value=-1e6, max_value=1e6).filter(lambda size: abs(size) > 1e-6)
PRICES = st.floats(min_value=1e-3, max_value=1e6)


class TestLinear:
    def test_numbers_by_hand(self) -> None:
        info = LinearPerp(commission=0.0005, maker=0.0002, mult=0.01, leverage=20)
        assert info.getvaluesize(-300, 60_000) == -180_000.0
        assert info.getsize(60_000, 90_000) == 150.0
        assert info.get_margin(60_000) == 30.0
        assert info.getoperationcost(-300, 60_000) == 9_000.0
        assert info.getcommission(-300, 60_000) == 90.0
        assert info.fee(-300, 60_000, liquidity="maker") == 36.0
        assert info.profitandloss(-300, 60_000, 59_000) == 3_000.0
        assert info.cashadjust(-300, 60_000, 59_000) == 0.0
        assert info.get_leverage() == 20

    def test_sizes_are_not_cut_to_whole_units(self) -> None:
        """Trap M14: with leverage 10, 5,000 buys 0.0833 at 60,000 and not nothing."""
        assert LinearPerp(leverage=10).getsize(60_000, 5_000) == pytest.approx(0.0833333333)

    def test_a_multiplier_is_the_same_as_more_contracts(self) -> None:
        """Trap 13: 0.1 contracts of 10 are 1 contract of 1, bit for bit in value and profit."""
        big, small = LinearPerp(commission=0.0004, mult=10), LinearPerp(commission=0.0004)
        assert big.profitandloss(0.1, 30.0, 31.0) == small.profitandloss(1, 30.0, 31.0)
        assert big.getvaluesize(0.1, 31.0) == small.getvaluesize(1, 31.0)
        assert big.getcommission(0.1, 31.0) == pytest.approx(small.getcommission(1, 31.0))

    def test_percent_is_a_fraction_unless_told_otherwise(self) -> None:
        assert LinearPerp(commission=0.001).getcommission(1, 100) == pytest.approx(0.1)
        assert LinearPerp(commission=0.1, percabs=False).getcommission(1, 100) == pytest.approx(0.1)

    def test_a_fixed_amount_per_contract(self) -> None:
        info = LinearPerp(commission=2.0, commtype=bt.CommInfoBase.COMM_FIXED)
        assert info.getcommission(-3, 100) == 6.0

    def test_a_maker_rebate_is_negative(self) -> None:
        assert LinearPerp(commission=0.0005, maker=-0.0001).fee(1, 100, liquidity="maker") == -0.01

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mult": 0},
            {"mult": -1},
            {"leverage": 0},
            {"leverage": float("nan")},
            {"commission": float("inf")},
            {"commission": "0.1%", "percabs": True},
            {"maker": "free"},
            {"interest": 0.05},
        ],
    )
    @pytest.mark.parametrize("kind", [LinearPerp, InversePerp])
    def test_nonsense_is_refused_by_name(self, kind: Any, wrong: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=next(iter(wrong))):
            kind(**wrong)


class TestInverse:
    def test_numbers_by_hand(self) -> None:
        info = InversePerp(commission=0.0005, mult=100, leverage=10)
        assert info.getvaluesize(-200, 20_000) == -1.0
        assert info.getsize(20_000, 0.5) == 100.0
        assert info.get_margin(20_000) == pytest.approx(0.0005)
        assert info.getcommission(-200, 20_000) == pytest.approx(0.0005)
        assert info.profitandloss(-200, 20_000, 16_000) == pytest.approx(0.25)

    @given(SIZES, PRICES, PRICES)
    def test_profit_and_notional_are_the_contracts(
        self, size: float, entry: float, leave: float
    ) -> None:
        info = InversePerp(mult=100)
        assert info.profitandloss(size, entry, leave) == pytest.approx(
            COIN.pnl(size=size, entry=entry, exit=leave), rel=1e-6, abs=1e-9
        )
        assert abs(info.getvaluesize(size, entry)) == pytest.approx(COIN.notional(size, entry))


class TestLaws:
    @given(SIZES, PRICES, st.sampled_from([LinearPerp(mult=0.1), InversePerp(mult=100)]))
    def test_size_for_the_value_of_a_size_is_the_size(
        self, size: float, price: float, info: Any
    ) -> None:
        assert info.getsize(price, info.getvaluesize(size, price)) == pytest.approx(size)

    @given(SIZES, PRICES, st.sampled_from([LinearPerp(mult=0.1), InversePerp(mult=100)]))
    def test_long_and_short_mirror(self, size: float, price: float, info: Any) -> None:
        assert info.getvaluesize(-size, price) == -info.getvaluesize(size, price)
        assert info.profitandloss(-size, price, 2 * price) == -info.profitandloss(
            size, price, 2 * price
        )
        assert info.getcommission(-size, price) == info.getcommission(size, price)


class TestSpotMargin:
    def position(self, size: float, begun: dt.datetime) -> Any:
        return SimpleNamespace(size=size, price=50.0, datetime=begun)

    def feed(self) -> Any:
        """A close of 100, and a bar that opens at 100 and will close at 999."""
        close = LineBuffer()
        for value in (100.0, 999.0):
            close.forward()
            close[0] = value
        return SimpleNamespace(open=[100.0], close=close)

    def test_interest_by_the_hour_on_what_is_borrowed_at_the_last_known_close(self) -> None:
        """Trap 52: midnight means nothing, and the entry price (50) neither."""
        info = SpotMargin(interest=0.0876, leverage=5)
        data = self.feed()
        noon, late = dt.datetime(2024, 1, 1, 12), dt.datetime(2024, 1, 1, 23, 30)
        hour = dt.timedelta(hours=1)
        one = info.get_credit_interest(data, self.position(-2, noon), noon + hour)
        assert one == pytest.approx(200 * 0.0876 / 8760)
        over = info.get_credit_interest(data, self.position(-2, late), late + hour)
        assert over == pytest.approx(one)
        longs = info.get_credit_interest(data, self.position(2, noon), noon + hour)
        assert longs == pytest.approx(one * 0.8)

    def test_no_debt_no_interest(self) -> None:
        data, begun = self.feed(), dt.datetime(2024, 1, 1)
        later = begun + dt.timedelta(days=3)
        free = SpotMargin(interest=0.1, leverage=1)
        assert free.get_credit_interest(data, self.position(2, begun), later) == 0.0
        assert free.get_credit_interest(data, self.position(0, begun), later) == 0.0
        never = SpotMargin(interest=0.1, leverage=3, interest_long=False)
        assert never.get_credit_interest(data, self.position(2, begun), later) == 0.0


class Tiered(bt.CommInfoBase):
    """A script's own commission: a minimum of one, and a count of executions."""

    params = (("commission", 0.001), ("floor", 1.0), ("percabs", True))

    def __init__(self) -> None:
        super().__init__()
        self.executed = 0

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        self.executed += not pseudoexec
        return max(self.p.floor, abs(size) * price * self.p.commission)


def scheme(**arguments: Any) -> Any:
    """What ``broker.setcommission(...)`` makes of its arguments."""
    broker = bt.brokers.BackBroker()
    broker.setcommission(**arguments)
    return broker.comminfo[None]


class TestSchemesOfScripts:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"commission": 0.001},
            {"commission": 0.1, "percabs": False, "commtype": bt.CommInfoBase.COMM_PERC},
            {"commission": 2.0, "margin": 2_000.0, "mult": 10.0},
            {"commission": 2.0, "commtype": bt.CommInfoBase.COMM_FIXED},
            {"commission": 2.0, "commtype": bt.CommInfoBase.COMM_FIXED, "stocklike": True},
            {"commission": 0.001, "leverage": 5.0},
            {"commission": 0.001, "interest": 0.05, "interest_long": True},
            {"commission": 0.5, "automargin": 0.1, "mult": 3.0, "margin": 1.0},
        ],
    )
    def test_the_commission_is_the_schemes_own(self, arguments: dict[str, Any]) -> None:
        own = scheme(**arguments)
        info = from_scheme(own)
        for size, price in [(3.0, 100.0), (-0.25, 61_234.5)]:
            assert info.getcommission(size, price) == own.getcommission(size, price)
            assert info.confirmexec(size, price) == own.confirmexec(size, price)

    def test_a_formula_of_its_own_is_charged_and_told_about_executions(self) -> None:
        own = Tiered(mult=5)
        info = from_scheme(own, OKX)
        assert (info.getcommission(1, 10.0), info.getcommission(100, 1_000.0)) == (1.0, 100.0)
        info.confirmexec(1, 10.0)
        assert own.executed == 1

    def test_its_params_and_attributes_are_still_there(self) -> None:
        info = from_scheme(Tiered(floor=3.0))
        assert (info.p.floor, info.executed, info.p.commission) == (3.0, 0, 0.001)
        with pytest.raises(AttributeError):
            _ = info.nowhere

    def test_values_and_sizes_are_those_of_a_margin_account(self) -> None:
        info = from_scheme(scheme(commission=2.0, margin=2_000.0, mult=10.0))
        assert info.getvaluesize(-3, 4_000) == -120_000
        assert info.getsize(4_000, 20_000) == 0.5
        assert info.profitandloss(-3, 4_000, 3_900) == 3_000

    @pytest.mark.parametrize(
        ("arguments", "leverage"),
        [
            ({"commission": 0.001}, None),
            ({"leverage": 5.0}, 5.0),
            ({"leverage": 0.5}, None),
            ({"margin": 2_000.0, "mult": 10.0}, 20.0),
            ({"margin": 2_000.0, "mult": 10.0, "leverage": 3.0}, 3.0),
            ({"automargin": 0.5, "mult": 10.0, "margin": 1.0}, 20.0),
            ({"automargin": -1, "mult": 10.0, "margin": 1.0}, None),
            ({"commtype": bt.CommInfoBase.COMM_FIXED}, None),
            ({"margin": 1.0}, 4_000.0),
        ],
    )
    def test_the_leverage_a_scheme_states(
        self, arguments: dict[str, Any], leverage: float | None
    ) -> None:
        info = from_scheme(scheme(**arguments))
        assert info.leverage_at(4_000.0) == leverage
        assert info.get_margin(4_000.0) == info.unit(4_000.0) / (leverage or 1.0)

    def test_the_default_scheme_says_nothing(self) -> None:
        broker = bt.brokers.BackBroker()
        assert from_scheme(broker.comminfo[None]).silent
        assert not from_scheme(scheme(commission=0.001)).silent
        assert not from_scheme(scheme(leverage=2.0)).silent
        assert not from_scheme(Tiered(commission=0.0)).silent

    def test_the_venues_contract_size_counts_where_the_scheme_has_none(self) -> None:
        info = from_scheme(scheme(commission=0.001), OKX)
        assert info.getvaluesize(5, 60_000) == 3_000
        assert info.getcommission(5, 60_000) == pytest.approx(3.0)
        assert info.confirmexec(5, 60_000) == pytest.approx(3.0)
        own = from_scheme(scheme(commission=0.001, mult=2.0), OKX)
        assert own.getvaluesize(5, 100) == 1_000

    def test_a_percent_scheme_on_an_inverse_contract_charges_coin(self) -> None:
        info = from_scheme(scheme(commission=0.001), COIN)
        assert info.getcommission(200, 20_000) == pytest.approx(0.001)
        assert info.profitandloss(200, 20_000, 25_000) == pytest.approx(0.2)
        assert info.getsize(20_000, 1.0) == 200

    def test_interest_is_the_schemes_own(self) -> None:
        own = scheme(interest=0.365)
        begun = dt.datetime(2024, 1, 1)
        position = SimpleNamespace(size=-2, price=50.0, datetime=begun)
        later = begun + dt.timedelta(days=2)
        owed = from_scheme(own).get_credit_interest(None, position, later)
        assert owed == own.get_credit_interest(None, position, later) == pytest.approx(0.2)

    def test_our_own_classes_are_returned_as_they_are(self) -> None:
        info = LinearPerp()
        assert from_scheme(info) is info
        assert isinstance(from_scheme(scheme()), SchemeInfo)

    def test_a_scheme_survives_a_process_boundary(self) -> None:
        info = pickle.loads(pickle.dumps(from_scheme(Tiered(floor=3.0), OKX)))
        assert (info.p.floor, info.multiplier, info.getcommission(1, 1.0)) == (3.0, 0.01, 3.0)

    def test_the_info_of_a_contract(self) -> None:
        info = of_contract(COIN, taker=0.0005, maker=0.0001, leverage=3)
        assert isinstance(info, InversePerp)
        assert (info.multiplier, info.get_leverage(), info.p.maker) == (100.0, 3, 0.0001)


class NotionalBroker(bt.brokers.BackBroker):
    """The stock broker with the one answer order_target_* asks of a margin broker."""

    def getvalue(self, datas: Any = None, **_: Any) -> float:
        if datas:
            info, size = self.getcommissioninfo(datas[0]), self.getposition(datas[0]).size
            return float(info.getvaluesize(size, datas[0].close[0]))
        return float(super().get_value())


class Targets(bt.Strategy):
    """Asks for one exposure after another and notes the size held before each."""

    params = (("targets", ()),)

    def __init__(self) -> None:
        self.held: list[float] = []

    def next(self) -> None:
        self.held.append(self.position.size)
        if len(self) <= len(self.p.targets):
            self.order_target_percent(target=self.p.targets[len(self) - 1])


def held_under(info: Any, *targets: float, price: float = 100.0) -> list[float]:
    index = pd.date_range("2024-01-01", periods=len(targets) + 2, freq="D")
    columns = ["open", "high", "low", "close", "volume"]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = NotionalBroker(cash=1_000.0, checksubmit=False)
    cerebro.broker.addcommissioninfo(info)
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame(price, index=index, columns=columns)))
    cerebro.addstrategy(Targets, targets=targets)
    held: list[float] = cerebro.run()[0].held
    return held


class TestOrderTargets:
    def test_a_target_is_a_share_of_equity_for_longs_and_shorts(self) -> None:
        held = held_under(LinearPerp(), 0.5, -0.5, -1.0, 0.25, 0.0)
        assert held[1:6] == pytest.approx([5.0, -5.0, -10.0, 2.5, 0.0])

    def test_a_target_of_twice_the_equity_is_reached_and_kept(self) -> None:
        held = held_under(LinearPerp(leverage=10), 2.0, 2.0, 3.5)
        assert held[1:4] == pytest.approx([20.0, 20.0, 35.0])

    def test_shorts_do_not_run_away(self) -> None:
        held = held_under(LinearPerp(leverage=5), *[-1.5] * 5)
        assert held[1:6] == pytest.approx([-15.0] * 5)

    def test_contract_size_and_fractions(self) -> None:
        held = held_under(LinearPerp(mult=0.001), 0.3333, -0.1, price=61_234.5)
        assert held[1:3] == pytest.approx([333.3 / 61.2345, -100.0 / 61.2345])

    def test_a_scripts_own_scheme_means_the_same(self) -> None:
        info = from_scheme(scheme(commission=0.0, margin=50.0))
        assert (info.getsize(100, 1_000), info.getvaluesize(-5, 100)) == (10.0, -500.0)


class TestUnderTheStockBroker:
    @pytest.mark.parametrize("mult", [1.0, 0.01])
    def test_a_linear_contract_keeps_right_books_at_leverage_one(self, mult: float) -> None:
        closes = [100.0, 104.0, 91.0, 97.0, 120.0, 80.0, 95.0]
        index = pd.date_range("2024-01-01", periods=len(closes), freq="D")
        frame = pd.DataFrame({"close": closes}, index=index)
        for line in ("open", "high", "low"):
            frame[line] = frame["close"]
        sizes = [3.0, -5.0, 1.5, 4.0, -3.5]

        class Script(bt.Strategy):
            def next(self) -> None:
                if len(self) <= len(sizes):
                    size = sizes[len(self) - 1] / mult
                    (self.buy if size > 0 else self.sell)(size=abs(size))

        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker.addcommissioninfo(LinearPerp(commission=0.001, mult=mult))
        cerebro.broker.setcash(10_000.0)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Script)
        cerebro.run()
        cash = 10_000.0
        for size, price in zip(sizes, closes[1:], strict=False):
            cash -= size * price + abs(size) * price * 0.001
        assert cerebro.broker.getvalue() == pytest.approx(cash + sum(sizes) * closes[-1])
