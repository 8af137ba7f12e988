"""Wallets in coin: contracts that settle in what they are about, told in coin or in dollars."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.stage import act, bars, broker_of, kinds, venue

import bt_margin as btm
from bt_margin.errors import CashError, InputError, UnknownMode
from bt_margin.studies.trades import trades_of

BTC, ETH, LINEAR = "BTC/USD:BTC", "ETH/USD:ETH", "BTC/USDT:USDT"
MODES = ("cross", "isolated")
COIN = {"multiplier": 100.0}


def run(
    plan: Any, prices: Any, *, cash: Any = None, add: Any = None, run: Any = None, **settings: Any
) -> Any:
    """One coin on the teaching venue, 100 USD a contract."""
    frames = prices if isinstance(prices, dict) else {BTC: prices}
    broker = broker_of(
        **{
            "cash": {"BTC": 1.0} if cash is None else cash,
            "symbols": {name: COIN for name in frames if name != LINEAR},
            **settings,
        }
    )
    made = {name: p if isinstance(p, pd.DataFrame) else bars(p) for name, p in frames.items()}
    return act(broker, made, plan, add=add, run=run)


def rejections(s: Any) -> list[str]:
    return [order.info.get("reason") for _, order in s.orders if order.status == order.Margin]


def curve(s: Any) -> list[float]:
    return list(s.broker.equity_curve[1])


# -- one coin --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cash", [1.0, {"BTC": 1.0}])
def test_one_number_is_coin_and_everything_is_told_in_it(cash: Any) -> None:
    s = run({1: lambda s: s.buy(size=100)}, [20_000.0] * 3 + [25_000.0] * 2, cash=cash)
    # 100 contracts of 100 USD: 10,000 · (1/20,000 − 1/25,000) = 0.1
    assert s.values[0] == s.broker.startingcash == 1.0
    assert s.broker.getvalue() == pytest.approx(1.1)
    assert s.broker.account.currency == "BTC"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("currency", ["BTC", "USD"])
def test_a_crash_liquidates_at_the_formulas_price_and_every_coin_is_accounted_for(
    mode: str, side: int, currency: str
) -> None:
    start, end = 20_000.0, 16_000.0 if side > 0 else 26_000.0
    crash = (start, max(start, end), min(start, end), end)
    order = (lambda s: s.buy(size=1_000)) if side > 0 else (lambda s: s.sell(size=1_000))
    # 100,000 USD = 5 BTC at 20,000; at 10x it posts 0.5 BTC of the 1 BTC in the wallet
    s = run({1: order}, [start] * 3 + [crash, end], margin_mode=mode, currency=currency)
    (fell,) = kinds(s, "liquidation")
    backing, q = (0.5 if mode == "isolated" else 1.0), side * 100_000.0
    # backing + q/entry − q/P = 0.005·|q|/P
    price = (q + 0.005 * 100_000.0) / (backing + q / start)
    assert fell.price == pytest.approx(price)
    assert fell.realised == pytest.approx(q * (1 / start - 1 / price))
    account = s.broker.account
    account.audit()
    left = 1.0 + fell.realised - fell.fee
    assert account.wallets["BTC"].balance == pytest.approx(left)
    assert sum(e.amount for e in account.ledger) == pytest.approx(left)
    told = left * (end if currency == "USD" else 1.0)
    assert s.broker.getvalue() == pytest.approx(told)


@pytest.mark.parametrize("mode", MODES)
def test_dollars_follow_the_coin_bar_by_bar(mode: str) -> None:
    prices = [20_000.0, 21_000.0, 19_000.0, 22_000.0, 18_000.0, 20_000.0]
    plan = {1: lambda s: s.buy(size=50), 4: lambda s: s.close()}
    runs = [run(plan, prices, margin_mode=mode, currency=unit) for unit in ("BTC", "USD")]
    coin, dollars = [curve(s) for s in runs]
    assert dollars == pytest.approx([c * p for c, p in zip(coin, prices, strict=True)])
    assert list(runs[1].broker.rates["BTC"]) == prices
    assert runs[0].broker.rates == {}
    cash = [s.broker.getcash() for s in runs]
    assert cash[1] == pytest.approx(cash[0] * prices[-1])


def test_before_the_first_bar_a_coin_counts_at_the_first_price_of_its_feed() -> None:
    returns: list[Any] = []

    def add(cerebro: Any) -> None:
        cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.NoTimeFrame)

    for preload in (True, False):
        s = run({}, [(20_000.0, 23_000.0, 19_000.0, 22_000.0), 24_000.0], currency="USD", add=add,
                run={"preload": preload, "runonce": False})  # fmt: skip
        returns.append(list(s.analyzers.timereturn.get_analysis().values()))
        assert s.broker.startingcash == 20_000.0
        opening = s.broker.events[0]
        assert (opening.kind, opening.amount, opening.equity) == ("deposit", 1.0, 20_000.0)
        assert s.broker.get_fundvalue() == pytest.approx(100.0 * 24 / 20)
    assert returns[0] == pytest.approx([0.2])


def test_the_value_before_a_run_is_not_a_number_rather_than_a_wrong_one() -> None:
    broker = broker_of(cash={"BTC": 1.0}, currency="USD")
    assert broker.getvalue() != broker.getvalue()
    assert broker_of(cash={"BTC": 1.0}).getvalue() == 1.0


# -- orders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["BTC", "USD"])
@pytest.mark.parametrize("target", [2.0, -2.0])
def test_a_target_of_two_is_an_exposure_of_twice_the_equity(currency: str, target: float) -> None:
    def check(s: Any) -> None:
        p = s.broker.account.positions[BTC]
        share = p.notional() * s.broker.account.rate("BTC") / s.broker.getvalue()
        s.sent["share"] = share
        s.sent["told"] = s.broker.getvalue([s.data]) / s.broker.getvalue()
        s.sent["gross"] = s.broker.get_leverage()

    plan = {1: lambda s: s.order_target_percent(target=target), 3: check}
    s = run(plan, [20_000.0] * 4, currency=currency)
    assert s.sent["share"] == s.sent["gross"] == pytest.approx(2.0)
    assert s.sent["told"] == pytest.approx(target)


@pytest.mark.parametrize("currency", ["BTC", "USD"])
def test_the_sizers_mean_the_same_in_both_currencies(currency: str) -> None:
    sizes = []
    for sizer, options in (
        (btm.sizers.TargetLeverage, {"exposure": 2.0}),
        (btm.sizers.MarginFraction, {"fraction": 0.5}),
        (btm.sizers.LiquidationDistance, {"distance": 0.2}),
    ):
        rules = venue(taker_fee=0.0005)
        s = run({2: lambda s: s.buy()}, [20_000.0] * 4, currency=currency, venue=rules,
                add=lambda c, z=sizer, o=options: c.addsizer(z, **o))  # fmt: skip
        sizes.append(s.broker.account.positions[BTC].size)
    expected = [400 / 1.001, 1_000 / 1.005, sizes[2]]
    assert sizes == pytest.approx(expected)


def test_orders_and_trades_are_told_in_dollars_and_the_books_in_coin() -> None:
    rules = venue(taker_fee=0.001)
    rates = {BTC: [(pd.Timestamp("2024-01-01 03:00", tz="UTC"), 0.01)]}
    plan = {1: lambda s: s.buy(size=100), 5: lambda s: s.close()}
    prices = [20_000.0] * 4 + [25_000.0] * 4
    for currency in ("BTC", "USD"):
        s = run(plan, prices, venue=rules, currency=currency, funding=rates, int2pnl=True)
        trade = s.trades[-1][1]
        inward, out = (20_000.0, 25_000.0) if currency == "USD" else (1.0, 1.0)
        bits = [o.executed for _, o in s.orders if o.status == o.Completed]
        assert trade.pnl == bits[1].pnl == pytest.approx(0.1 * out)
        assert bits[0].comm == pytest.approx(10_000 / 20_000 * 0.001 * inward)
        assert bits[0].value == pytest.approx(0.5 * inward)
        funded = 10_000 / 20_000 * 0.01
        fees = 0.0005 * inward + (0.0004 + funded) * out
        assert trade.pnlcomm == pytest.approx(0.1 * out - fees)
        assert sum(e.amount for e in s.broker.account.ledger) == pytest.approx(
            1.1 - 0.0009 - funded
        )


def test_a_liquidation_is_told_in_dollars_as_well() -> None:
    s = run({1: lambda s: s.buy(size=1_000)}, [20_000.0] * 3 + [(20_000, 20_000, 15_000, 15_000)],
            margin_mode="isolated", currency="USD", venue=venue(liquidation_fee=0.001),
            add=lambda c: c.addanalyzer(btm.analyzers.Liquidations))  # fmt: skip
    (fell,) = kinds(s, "liquidation")
    trade = s.trades[-1][1]
    (forced,) = [o.executed for _, o in s.orders if o.info.get("liquidation") and not o.alive()]
    assert forced.pnl == pytest.approx(fell.realised * fell.price)
    assert forced.comm == pytest.approx(fell.fee * fell.price)
    assert fell.fee > 0.0
    assert trade.isclosed
    assert trade.pnl == pytest.approx(fell.realised * fell.price)
    lost = s.analyzers.liquidations.get_analysis()["realised"]
    assert lost == pytest.approx(fell.realised * fell.price)


def test_a_scripts_own_commission_is_told_in_dollars_too() -> None:
    def add(cerebro: Any) -> None:
        cerebro.broker.setcommission(commission=0.002)

    s = run({1: lambda s: s.buy(size=100)}, [20_000.0] * 3, currency="USD", add=add)
    (filled,) = [o.executed for _, o in s.orders if o.status == o.Completed]
    assert filled.comm == pytest.approx(20.0)
    assert kinds(s, "fill")[0].fee == pytest.approx(0.001)


def test_cash_is_told_in_dollars_after_an_action_too() -> None:
    def change(s: Any) -> None:
        s.broker.set_leverage(4, s.data)
        s.sent["cash"] = s.broker.getcash()

    s = run({1: lambda s: s.buy(size=100), 3: change}, [20_000.0] * 4, currency="USD")
    assert s.sent["cash"] == pytest.approx((1.0 - 0.5 / 4) * 20_000)


def test_a_feed_that_begins_without_prices_gives_the_first_it_has() -> None:
    frame = bars([20_000.0] * 4)
    frame.iloc[:2, :4] = float("nan")
    for preload in (True, False):
        s = run({}, frame, currency="USD", run={"preload": preload, "runonce": False})
        assert s.broker.startingcash == s.broker.getvalue() == 20_000.0
        assert s.broker.get_fundvalue() == pytest.approx(100.0)


# -- several wallets -------------------------------------------------------------------------------


def two(plan: Any, btc: Any, eth: Any, **settings: Any) -> Any:
    cash = settings.pop("cash", {"BTC": 0.5, "ETH": 10.0})
    return run(plan, {BTC: btc, ETH: eth}, cash=cash, **settings)


def test_each_wallet_backs_its_own_contracts() -> None:
    def orders(s: Any) -> None:
        s.buy(s.datas[0], size=600)  # 60,000 USD = 3 BTC, 0.3 BTC of margin
        s.buy(s.datas[0], size=600)  # another 0.3 BTC, of which there is 0.2
        s.buy(s.datas[1], size=1_800)  # 180,000 USD = 90 ETH, 9 of 10 ETH

    s = two({1: orders}, [20_000.0] * 4, [2_000.0] * 4)
    assert rejections(s) == ["margin"]
    assert s.broker.account.currency == "USD"
    shown = s.broker.fetch_balance()
    assert shown["BTC"] == pytest.approx({"free": 0.2, "used": 0.3, "total": 0.5})
    assert shown["total"] == pytest.approx({"BTC": 0.5, "ETH": 10.0})
    assert "USD" not in shown
    assert s.broker.getcash() == pytest.approx(0.2 * 20_000 + 1.0 * 2_000)
    assert s.broker.getvalue() == pytest.approx(30_000.0)


@pytest.mark.parametrize("mode", MODES)
def test_the_death_of_one_wallet_leaves_the_other_alone(mode: str) -> None:
    def orders(s: Any) -> None:
        s.buy(s.datas[0], size=900)
        s.sell(s.datas[1], size=1_000)

    crash = [20_000.0] * 3 + [(20_000, 20_000, 15_000, 16_000)] + [16_000.0] * 2
    s = two({1: orders}, crash, [2_000.0] * 6, margin_mode=mode)
    assert [e.symbol for e in kinds(s, "liquidation")] == [BTC]
    account = s.broker.account
    account.audit()
    assert not account.dead
    assert account.positions[ETH].size == -1_000
    by_coin: dict[str, float] = {}
    for entry in account.ledger:
        unit = "ETH" if "ETH" in entry.pool else "BTC"
        by_coin[unit] = by_coin.get(unit, 0.0) + entry.amount
    assert by_coin["ETH"] == pytest.approx(10.0)
    assert s.broker.getvalue() == pytest.approx(by_coin["BTC"] * 16_000 + 10.0 * 2_000)


def test_flat_coins_follow_their_marks_too() -> None:
    btc, eth = [20_000.0, 22_000.0, 21_000.0, 25_000.0], [2_000.0, 1_800.0, 2_500.0, 2_400.0]
    s = two({}, btc, eth)
    assert curve(s) == pytest.approx([0.5 * b + 10 * e for b, e in zip(btc, eth, strict=True)])


@pytest.mark.parametrize("runonce", [True, False])
def test_the_equity_moves_by_what_is_booked_and_by_what_coins_are_worth(runonce: bool) -> None:
    rates = {BTC: pd.Series(0.0005, pd.date_range("2024-01-01", periods=9, freq="h", tz="UTC"))}
    btc = [20_000.0, 20_500.0, 21_000.0, 20_200.0, 19_800.0, 19_500.0, 20_100.0]
    eth = [2_000.0, 2_050.0, 1_990.0, 1_950.0, 1_900.0, 2_010.0, 2_060.0]

    def orders(s: Any) -> None:
        s.buy(s.datas[0], size=300)
        s.sell(s.datas[1], size=400)

    s = two({1: orders, 5: lambda s: s.close(s.datas[1])}, btc, eth, funding=rates,
            venue=venue(taker_fee=0.0005), run={"runonce": runonce})  # fmt: skip
    account, held = s.broker.account, s.broker.account.positions[BTC]
    coins = {"BTC": 0.0, "ETH": 0.0}
    for entry in account.ledger:
        coins[entry.pool.partition(":")[2]] += entry.amount
    coins["BTC"] += held.unrealised()
    assert s.broker.getvalue() == pytest.approx(coins["BTC"] * btc[-1] + coins["ETH"] * eth[-1])
    ledger = {"BTC": {"deposit", "fee", "funding"}, "ETH": {"deposit", "fee", "realised"}}
    for unit, wanted in ledger.items():
        assert {e.kind for e in account.ledger if unit in e.pool} == wanted


def test_a_sizer_spends_only_the_wallet_its_symbol_settles_in() -> None:
    def add(cerebro: Any) -> None:
        cerebro.addsizer(btm.sizers.MarginFraction, fraction=0.5, reverse=True)

    plan = {1: lambda s: s.buy(s.datas[1]), 3: lambda s: s.sell(s.datas[1])}
    s = two(plan, [20_000.0] * 6, [2_000.0] * 6, add=add)
    # half of 10 ETH at 10x: 50 ETH, 100,000 USD; then all of it, and half of 10 ETH the other way
    assert [e.size for e in kinds(s, "fill")] == pytest.approx([1_000.0, -2_000.0])


def test_feeds_of_two_clocks_have_one_rate_for_each_row_of_the_curve() -> None:
    slow = bars([20_000.0, 21_000.0, 22_000.0, 23_000.0], freq="2h")
    fast = bars([2_000.0 + 10 * n for n in range(8)])
    s = two({}, slow, fast, add=None, cash={"BTC": 1.0, "ETH": 1.0})
    rates, values = s.broker.rates, curve(s)
    assert [len(rates[unit]) for unit in ("BTC", "ETH")] == [len(values)] * 2
    assert values == pytest.approx([b + e for b, e in zip(rates["BTC"], rates["ETH"], strict=True)])


def test_ticks_of_one_time_are_one_row_at_the_last_rate() -> None:
    frame = bars([20_000.0, 20_100.0, 20_200.0, 20_300.0])
    frame.index = frame.index[[0, 1, 1, 2]]
    broker = broker_of(cash={"BTC": 1.0}, currency="USD", symbols={BTC: COIN})
    s = act(broker, {BTC: frame}, {}, feed_options={"timeframe": bt.TimeFrame.Ticks})
    assert curve(s) == list(s.broker.rates["BTC"]) == [20_000.0, 20_200.0, 20_300.0]


def test_a_dollar_stands_for_another() -> None:
    s = run({}, {LINEAR: [20_000.0] * 3}, cash={"USDT": 5_000.0, "USDC": 1_000.0})
    assert (s.broker.account.currency, s.broker.getvalue()) == ("USDT", 6_000.0)
    assert s.broker.fetch_balance()["total"] == {"USDT": 5_000.0, "USDC": 1_000.0}


def test_dollars_and_coins_on_one_account() -> None:
    def orders(s: Any) -> None:
        s.buy(s.datas[0], size=100)
        s.buy(s.datas[1], size=0.5)

    frames = {BTC: [20_000.0] * 3 + [22_000.0], LINEAR: [20_000.0] * 3 + [22_000.0]}
    s = run({1: orders}, frames, cash={"BTC": 1.0, "USDT": 5_000.0})
    assert s.broker.account.currency == "USDT"
    coin = 1.0 + 10_000 * (1 / 20_000 - 1 / 22_000)
    assert s.broker.getvalue() == pytest.approx(coin * 22_000 + 5_000 + 1_000)


# -- money that comes and goes ---------------------------------------------------------------------


def test_cash_is_added_in_coin_or_in_the_accounts_currency() -> None:
    plan = {1: lambda s: s.broker.add_cash(4_000.0), 3: lambda s: s.broker.add_cash(0.5, "BTC"),
            5: lambda s: s.broker.add_cash(-11_000.0)}  # fmt: skip
    s = run(plan, [20_000.0] * 4 + [22_000.0] * 4, currency="USD")
    moved = [e.amount for e in kinds(s, "deposit", "withdrawal")]
    assert moved == pytest.approx([1.0, 0.2, 0.5, -0.5])
    assert s.broker.getvalue() == pytest.approx(1.2 * 22_000)
    # added money buys shares at the price of the fund, it is no profit
    assert s.broker.get_fundvalue() == pytest.approx(110.0)


def test_several_coins_ask_which_is_meant() -> None:
    def add(s: Any) -> None:
        with pytest.raises(CashError, match="name one"):
            s.broker.add_cash(100.0)
        with pytest.raises(CashError, match="no wallet in XRP"):
            s.broker.add_cash(100.0, "XRP")
        s.broker.add_cash(1.0, "ETH")

    s = two({2: add}, [20_000.0] * 5, [2_000.0] * 5)
    assert s.broker.account.wallets["ETH"].balance == 11.0


@pytest.mark.parametrize(
    ("cash", "currency", "found"),
    [
        (1.0, "USD", "one number"),
        ({"ETH": 1.0}, None, "settle in BTC"),
        ({"BTC": 1.0, "XRP": 5.0}, None, "what XRP is worth in USD"),
        ({"BTC": 1.0}, "EUR", "what BTC is worth in EUR"),
        ({"BTC": 1.0, "ETH": 1.0}, "ETH", "what BTC is worth in ETH"),
    ],
)
def test_what_cannot_be_valued_is_refused(cash: Any, currency: Any, found: str) -> None:
    with pytest.raises(InputError, match=found):
        run({}, [20_000.0] * 2, cash=cash, currency=currency)


@pytest.mark.parametrize("cash", [{}, {"BTC": 0.0}, {"BTC": float("nan")}, {"BTC": "1"}])
def test_no_cash_is_refused_where_it_is_given(cash: Any) -> None:
    with pytest.raises(CashError):
        broker_of(cash=cash)


def test_a_contract_must_be_quoted_in_what_the_account_counts_in() -> None:
    frames = {BTC: [20_000.0] * 2, "BTC/EUR:BTC": [18_000.0] * 2}
    with pytest.raises(InputError, match="BTC/EUR:BTC settles in BTC and is not quoted in USD"):
        run({}, frames, cash={"BTC": 1.0}, currency="USD")


def test_one_number_for_several_coins_says_what_to_write() -> None:
    with pytest.raises(InputError, match=r"cash=\{'BTC': amount, 'ETH': amount\}"):
        two({}, [20_000.0] * 2, [2_000.0] * 2, cash=5.0)


# -- analyzers, observers --------------------------------------------------------------------------


def test_what_is_measured_is_told_in_the_accounts_currency() -> None:
    rates = {BTC: [(pd.Timestamp("2024-01-01 03:00", tz="UTC"), 0.01)]}

    def add(cerebro: Any) -> None:
        for each in (btm.analyzers.Funding, btm.analyzers.MarginUse, btm.analyzers.Ledger):
            cerebro.addanalyzer(each)
        cerebro.addobserver(btm.observers.FundingPaid)

    s = run({1: lambda s: s.order_target_percent(target=2.0)}, [20_000.0] * 6, currency="USD",
            funding=rates, add=add)  # fmt: skip
    # 2 BTC of notional pay 1 % of it: 0.02 BTC, 400 USD
    assert s.analyzers.funding.get_analysis()["net"] == pytest.approx(-400.0)
    assert s.observers.fundingpaid.paid[0] == pytest.approx(400.0)
    use = s.analyzers.marginuse.get_analysis()
    assert use["exposure_max"] == pytest.approx(2.0 / 0.98)
    assert use["available_min"] == pytest.approx((0.98 - 0.2) * 20_000)
    booked = s.analyzers.ledger.get_analysis()["by_currency"]
    assert booked == {"BTC": pytest.approx({"deposit": 1.0, "funding": -0.02})}


# -- the venue -------------------------------------------------------------------------------------


class HalfCoin(bt.Strategy):
    """Long three times the equity from the first bar on."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=3.0)


@pytest.mark.parametrize("cash", [1.0, {"BTC": 1.0}])
def test_binances_coin_contracts_from_end_to_end(cash: Any) -> None:
    prices = [40_000.0 - 400 * n for n in range(40)]
    candles = [(a, a + 10, b - 10, b) for a, b in pairwise(prices)]
    frame = bars(candles)
    rates = pd.Series(0.0001, pd.date_range("2024-01-01", periods=6, freq="8h", tz="UTC"))
    result = btm.compare(
        HalfCoin, {BTC: frame}, venue="binancecoinm", cash=cash, leverage=5, funding={BTC: rates}
    )
    for name, one in result.runs.items():
        account = one.broker.account
        account.audit()
        fell = one.events.query("kind == 'liquidation'")
        assert len(fell) == 1, name
        first = one.events.query("kind == 'fill'").iloc[0]
        q, entry, price = first["size"] * 100.0, first["price"], fell.iloc[0]["mark"]
        paid = sum(e.amount for e in account.ledger if e.kind in ("funding", "fee"))
        funded = sum(e.amount for e in account.ledger if e.kind == "funding")
        backing = q / entry / 5 + funded if name == "isolated" else 1.0 + paid
        tier = account.asked[one.events.query("kind == 'breach'").iloc[0]["id"]][BTC]
        need = tier.maintenance(q / price)
        assert backing + q / entry - q / price == pytest.approx(need, rel=1e-6)
        assert sum(e.amount for e in account.ledger) == pytest.approx(one.final)
        assert one.currency == "BTC"
    assert result.runs["isolated"].final > result.runs["cross"].final == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("currency", [None, "USD"])
def test_a_comparison_is_told_in_coin_or_in_dollars_and_adds_up(currency: str | None) -> None:
    prices = [40_000.0 - 400 * n for n in range(40)]
    frame = bars([(a, a + 10, b - 10, b) for a, b in pairwise(prices)])
    rates = pd.Series(0.0001, pd.date_range("2024-01-01", periods=6, freq="8h", tz="UTC"))
    result = btm.compare(
        HalfCoin, {BTC: frame}, venue="binancecoinm", cash={"BTC": 0.5}, leverage=5,
        funding={BTC: rates}, currency=currency,
    )  # fmt: skip
    ends = {name: one.final for name, one in result.runs.items()}
    rate = 24_400.0 if currency else 1.0
    for one in result.runs.values():
        booked = sum(e.amount for e in one.broker.account.ledger)
        assert one.final == pytest.approx(booked * rate)
        assert one.cash == (20_000.0 if currency else 0.5)
    worth = sum(piece.worth for piece in result.divergence)
    assert worth == pytest.approx(ends["isolated"] - ends["cross"])
    assert set(result.summary.index) == {"cross", "isolated"}
    for name, one in result.runs.items():
        row, account = result.summary.loc[name], one.broker.account
        close = dict(zip(one.broker.equity_curve[0], frame["close"], strict=True))
        paid = [e for e in account.ledger if e.kind == "funding"]
        worth = [e.amount * (close[e.time] if currency else 1.0) for e in paid]
        assert row["funding"] == row["funding_paid"] == pytest.approx(sum(worth))
        assert row["max_leverage"] == pytest.approx(one.bars["leverage"].max())
        assert 2.9 < one.bars["leverage"].iloc[1] < 3.5
        (trade,) = trades_of(one).ended
        fell = one.events.query("kind == 'liquidation'").iloc[0]
        at = close[int(fell["time"].timestamp() * 1_000)] if currency else 1.0
        assert trade.price == pytest.approx(fell["realised"] * at)


def test_the_page_of_a_comparison_in_dollars_is_made(tmp_path: Any) -> None:
    frame = bars(
        [(20_000.0, 20_000.0, 20_000.0, 20_000.0)] * 3 + [(20_000, 20_000, 13_000, 14_000)]
    )
    result = btm.compare(
        HalfCoin, {BTC: frame}, venue="binancecoinm", cash={"BTC": 0.5}, leverage=5, currency="USD"
    )
    assert "USD" in result.report(tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_venue_without_cross_says_so_where_the_broker_is_made() -> None:
    from dataclasses import replace

    from bt_margin.errors import MarginModeRefused

    only = replace(venue(), modes=("isolated",))
    with pytest.raises(MarginModeRefused, match="only isolated"):
        broker_of(venue=only, margin_mode="cross")
    assert broker_of(venue=only, margin_mode="isolated").account.account_mode() == "isolated"
    with pytest.raises(UnknownMode):
        broker_of(margin_mode="both")
    with pytest.raises(MarginModeRefused, match="only isolated"):
        broker_of(venue=only, margin_mode="isolated", symbols={BTC: {"margin_mode": "cross"}})
