"""What strategies ask of and do to their account: leverage, modes, margin, previews, ccxt's structures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import pytest
from plugin.stage import BTC, ETH, Actor, act, bars, broker_of, kinds

import bt_margin as btm
from bt_margin.errors import (
    InputError,
    LeverageError,
    LeverageRefused,
    MarginModeRefused,
    MarginRefused,
    Refused,
    UnknownMode,
    UnknownSymbol,
)

STILL = bars([20_000] * 8)
CLIMB = bars([20_000, 20_000, 20_000, 21_000, 21_000, 19_000, 19_000, 19_000])


def on_binance(**settings: Any) -> Any:
    return btm.MarginBroker(
        **{"venue": "binance", "leverage": 10, "cash": 10_000.0, "debug": True, **settings}
    )


def caught(call: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Do it and keep the refusal."""

    def do(s: Any) -> None:
        with pytest.raises(Refused) as found:
            call(s)
        s.sent[len(s.sent)] = found.value

    return do


def held(size: float = 1.0) -> Callable[[Any], Any]:
    return lambda s: s.buy(size=size)


REFUSALS: dict[str, tuple[dict[str, Any], Callable[[Any], Any], type[Refused], str]] = {
    "mode with a position": (
        {}, lambda s: s.broker.set_margin_mode("isolated", s.data), MarginModeRefused, "-4048",
    ),
    "lower leverage isolated": (
        {"margin_mode": "isolated"}, lambda s: s.broker.set_leverage(5, s.data),
        LeverageRefused, "-4161",
    ),
    "leverage above the table": (
        {}, lambda s: s.broker.set_leverage(126, s.data), LeverageRefused, "leverage_max",
    ),
    "margin in cross": (
        {}, lambda s: s.broker.add_margin(s.data, 5), MarginRefused, "-4049",
    ),
    "more margin than there is": (
        {"margin_mode": "isolated"}, lambda s: s.broker.add_margin(s.data, 9_000),
        MarginRefused, "-4050",
    ),
    "more margin than may leave": (
        {"margin_mode": "isolated"}, lambda s: s.broker.reduce_margin(s.data, 100),
        MarginRefused, "-4051",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_an_exception_and_an_event(case: str) -> None:
    settings, call, error, code = REFUSALS[case]
    run = act(on_binance(**settings), STILL, {1: held(), 3: caught(call), 5: held()})
    refusal, (event,) = run.sent[0], kinds(run, "refused")
    assert type(refusal) is error
    assert refusal.event is event
    assert event.symbol == BTC
    assert (refusal.found, refusal.allowed) == (event.found, event.allowed)
    assert refusal.code == code
    assert len(kinds(run, "fill")) == 2  # the run goes on


def test_a_mode_cannot_change_while_orders_are_open_on_binance() -> None:
    def plan(s: Any) -> None:
        s.buy(size=0.1, exectype=bt.Order.Limit, price=10_000)

    change = caught(lambda s: s.broker.set_margin_mode("isolated", s.data))
    run = act(on_binance(), STILL, {1: plan, 3: change})
    assert kinds(run, "refused")[0].info["action"] == "mode_with_orders"


def test_leverage_decides_what_is_free() -> None:
    cash: list[float] = []

    def more(s: Any) -> None:
        s.broker.set_leverage(20, s.data)
        cash.append(s.broker.getcash())

    run = act(
        on_binance(), STILL, {1: held(), 3: lambda s: cash.append(s.broker.getcash()), 4: more}
    )
    fee = 20_000 * 0.0004  # of January 2024
    assert cash == [pytest.approx(8_000 - fee), pytest.approx(9_000 - fee)]
    (event,) = kinds(run, "leverage")
    assert (event.found, event.info["before"]) == (20, 10)
    assert run.broker.getcommissioninfo(run.data).get_margin(20_000) == 1_000


def test_settings_made_before_a_run_hold_for_every_run() -> None:
    broker = on_binance()
    broker.set_leverage(20, "BTC")
    broker.set_margin_mode("isolated", BTC)
    for _ in range(2):
        run = act(broker, STILL, {1: held()})
        (position,) = broker.fetch_positions()
        assert (position["leverage"], position["marginMode"]) == (20, "isolated")
        assert run.broker.account.position(BTC).pool.balance == pytest.approx(1_000)
    with pytest.raises(LeverageRefused):
        broker.set_leverage(200, "BTC")


def test_settings_by_feed_before_a_run() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker = on_binance()
    data = bt.feeds.PandasData(dataname=STILL)
    cerebro.adddata(data, name="BTC")
    broker.set_leverage(25, data)
    cerebro.addstrategy(Actor, plan={1: held()})
    cerebro.run()
    assert broker.account.leverage(BTC) == 25


def test_settings_made_while_a_strategy_is_built_hold() -> None:
    class Sets(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.broker.set_leverage(7, self.data)
            self.broker.set_margin_mode("isolated", self.data)

    run = act(on_binance(), STILL, {1: held()}, strategy=Sets)
    assert run.broker.account.leverage(BTC) == 7
    assert run.broker.account.margin_mode(BTC) == "isolated"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: s.broker.set_leverage(0, s.data), LeverageError, "leverage 0"),
        (lambda s: s.broker.set_leverage("10", s.data), LeverageError, "'10'"),
        (lambda s: s.broker.set_margin_mode("both", s.data), UnknownMode, "both.*cross"),
        (lambda s: s.broker.add_margin(s.data, -5), InputError, "-5"),
        (lambda s: s.broker.add_margin(s.data, float("nan")), InputError, "nan"),
        (lambda s: s.broker.set_leverage(5, "BTCUSTD"), UnknownSymbol, "BTC/USDT:USDT"),
        (lambda s: s.broker.preview("ETH", 1), UnknownSymbol, "ETH/USDT:USDT.*BTC/USDT:USDT"),
        (lambda s: s.broker.preview(s.data, float("nan")), InputError, "size nan"),
        (lambda s: s.broker.preview(s.data, 1, -5), InputError, "price -5"),
        (lambda s: s.broker.fetch_positions(["nothing"]), UnknownSymbol, "nothing"),
    ],
)
def test_a_mistake_is_named(call: Any, error: type[Exception], words: str) -> None:
    def do(s: Any) -> None:
        with pytest.raises(error, match=words):
            call(s)
        s.sent["done"] = True

    assert act(on_binance(), STILL, {3: do}).sent["done"]


class TestMargin:
    def test_it_moves_the_liquidation_price_and_back(self) -> None:
        prices: list[float] = []

        def look(s: Any) -> None:
            prices.append(s.broker.account.liquidation_price(BTC))

        def add(s: Any) -> None:
            look(s)
            s.broker.add_margin(s.data, 500)
            look(s)
            assert s.broker.getcash() == pytest.approx(s.broker.account.available())

        def take(s: Any) -> None:
            s.broker.reduce_margin(s.data, 500)
            look(s)

        run = act(on_binance(margin_mode="isolated"), STILL, {1: held(), 3: add, 4: take})
        assert prices[1] < prices[0] - 450
        assert prices[2] == pytest.approx(prices[0])
        assert [e.amount for e in kinds(run, "transfer")] == [500, -500]
        run.broker.account.audit()

    def test_auto_top_up_keeps_an_isolated_position_alive(self) -> None:
        frame = bars([20_000, 20_000, 20_000, (20_000, 20_000, 17_500, 17_500), 17_500])
        alone = act(on_binance(margin_mode="isolated"), frame, {1: held()})
        assert kinds(alone, "liquidation") != []
        fed = act(on_binance(margin_mode="isolated", auto_top_up=True), frame, {1: held()})
        assert kinds(fed, "liquidation") == []
        assert fed.position.size == 1
        assert len(kinds(fed, "top_up")) >= 1

    def test_a_cross_core_with_isolated_satellites(self) -> None:
        frames = {BTC: STILL, ETH: bars([1_000, 1_000, 1_000, (1_000, 1_000, 850, 850), 850])}
        own = {"ETH": {"margin_mode": "isolated", "leverage": 20}}

        def both(s: Any) -> None:
            s.buy(s.datas[0], size=1)
            s.buy(s.datas[1], size=10)

        run = act(on_binance(symbols=own), frames, {1: both})
        (event,) = kinds(run, "liquidation")
        assert (event.symbol, event.pool) == (ETH, f"isolated:{ETH}")
        modes = {
            p["symbol"]: (p["marginMode"], p["leverage"]) for p in run.broker.fetch_positions()
        }
        assert modes == {BTC: ("cross", 10)}
        lost = 10_000 - run.broker.getvalue()
        assert 500 <= lost <= 500 + 30 * 0.5  # what was posted, and the fees

    def test_a_symbols_own_numbers(self) -> None:
        own = {
            "NEW/USDT:USDT": {
                "maintenance_rate": 0.02, "leverage": 5, "taker_fee": 0.001, "multiplier": 10.0,
                "lot": 0.1,
            }
        }  # fmt: skip
        run = act(
            on_binance(symbols=own),
            {"NEW/USDT:USDT": bars([100] * 4)},
            {1: lambda s: s.buy(size=1.27)},
        )
        (position,) = run.broker.fetch_positions()
        assert position["contracts"] == pytest.approx(1.2)
        assert position["contractSize"] == 10
        assert position["notional"] == pytest.approx(1_200)
        assert position["maintenanceMargin"] == pytest.approx(24)
        assert position["initialMargin"] == pytest.approx(240)
        assert kinds(run, "fill")[0].fee == pytest.approx(1.2)


class TestPreview:
    def test_of_an_order_before_it_fills(self) -> None:
        def look(s: Any) -> None:
            s.sent["order"] = s.buy(size=2)
            s.sent["preview"] = s.broker.preview(s.sent["order"])

        run = act(on_binance(), STILL, {2: look})
        preview, account = run.sent["preview"], run.broker.account
        assert preview.accepted
        assert (preview.size, preview.opened) == (2, 2)
        assert preview.liquidation_price == pytest.approx(account.liquidation_price(BTC))
        assert preview.available == pytest.approx(account.available())
        assert preview.ratio == pytest.approx(account.risk(BTC).ratio)

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    @pytest.mark.parametrize("side", [1, -1])
    def test_the_affordable_size_is_accepted_and_a_little_more_is_not(
        self, side: int, mode: str
    ) -> None:
        def look(s: Any) -> None:
            most = s.broker.preview(s.data, side * 1.0).affordable_size
            assert most * side > 1
            send = s.buy if side > 0 else s.sell
            s.sent["little more"] = send(size=abs(most) * 1.01)
            s.sent["most"] = send(size=abs(most) * 0.9999)

        broker = broker_of(margin_mode=mode, cash=10_000)
        run = act(broker, STILL, {2: look})
        assert run.sent["little more"].status == bt.Order.Margin
        assert run.sent["most"].status == bt.Order.Completed

    def test_by_name_and_price(self) -> None:
        def look(s: Any) -> None:
            s.sent["at"] = s.broker.preview("BTC", -1, 21_000)
            s.sent["close"] = s.broker.preview(s.data, -5)

        run = act(on_binance(), STILL, {1: held(5), 3: look})
        assert run.sent["at"].realised == pytest.approx(1_000)
        assert run.sent["close"].size == 0
        assert run.sent["close"].liquidation_price is None


class TestCcxtStructures:
    def parsed_keys(self) -> set[str]:
        """The keys of ccxt's own position structure."""
        ccxt = pytest.importorskip("ccxt")
        return set(ccxt.Exchange().safe_position({"symbol": BTC, "contractSize": 1, "info": {}})) | {
            "info", "id", "symbol", "timestamp", "datetime", "lastUpdateTimestamp", "initialMargin",
            "initialMarginPercentage", "maintenanceMargin", "maintenanceMarginPercentage",
            "entryPrice", "notional", "leverage", "unrealizedPnl", "realizedPnl", "contracts",
            "contractSize", "marginRatio", "liquidationPrice", "markPrice", "lastPrice",
            "collateral", "marginMode", "side", "percentage", "stopLossPrice", "takeProfitPrice",
            "hedged",
        }  # fmt: skip

    @pytest.mark.parametrize("mode", ["cross", "isolated"])
    @pytest.mark.parametrize("side", [1, -1])
    def test_a_position(self, side: int, mode: str) -> None:
        send = (lambda s: s.buy(size=2)) if side > 0 else (lambda s: s.sell(size=2))
        run = act(on_binance(margin_mode=mode), CLIMB.iloc[:5], {1: send})
        (p,) = run.broker.fetch_positions()
        assert set(p) == self.parsed_keys()
        assert (p["symbol"], p["side"]) == (BTC, "long" if side > 0 else "short")
        assert (p["contracts"], p["contractSize"]) == (2, 1)
        assert (p["entryPrice"], p["markPrice"]) == (20_000, 21_000)
        assert p["notional"] == 42_000
        assert p["unrealizedPnl"] == side * 2_000
        assert p["initialMargin"] == 4_200
        assert p["initialMarginPercentage"] == pytest.approx(0.1)
        assert p["maintenanceMargin"] == pytest.approx(42_000 * 0.004)
        assert p["marginRatio"] == pytest.approx(p["maintenanceMargin"] / p["collateral"])
        assert p["percentage"] == pytest.approx(side * 2_000 / 4_200 * 100)
        assert (p["marginMode"], p["leverage"], p["hedged"]) == (mode, 10, False)
        assert (p["liquidationPrice"] - 21_000) * side < 0
        assert p["positionMargin"] == (4_000 if mode == "isolated" else None)
        assert p["datetime"] == "2024-01-01T04:00:00.000Z"
        assert p["timestamp"] == 1704081600000

    def test_flat_symbols_when_asked_for(self) -> None:
        run = act(on_binance(), {BTC: STILL, ETH: CLIMB}, {1: held()})
        assert [p["symbol"] for p in run.broker.fetch_positions()] == [BTC]
        flat = run.broker.fetch_positions(["ETH"])[0]
        assert (flat["contracts"], flat["side"], flat["entryPrice"]) == (0, None, None)
        assert flat["markPrice"] == 19_000
        assert flat["liquidationPrice"] is None
        both = run.broker.fetch_positions([run.datas[1], run.datas[0]])
        assert [p["symbol"] for p in both] == [ETH, BTC]

    def test_the_balance(self) -> None:
        run = act(on_binance(margin_mode="isolated"), CLIMB.iloc[:5], {1: held()})
        balance = run.broker.fetch_balance()
        one = balance["USDT"]
        assert one["total"] == pytest.approx(run.broker.getvalue())  # ccxt's margin balance
        assert one["free"] == pytest.approx(10_000 - 8 - 2_000)
        assert one["free"] + one["used"] == pytest.approx(one["total"])
        assert balance["total"] == {"USDT": one["total"]}
        assert balance["datetime"] == "2024-01-01T04:00:00.000Z"
        assert balance["info"]["equity"] == pytest.approx(run.broker.getvalue())
