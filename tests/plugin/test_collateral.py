"""Coins pledged as collateral, from backtrader: their price is a feed's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import backtrader as bt
import pytest
from plugin.stage import BTC, ETH, act, bars, broker_of, kinds, venue

import bt_margin as btm
from bt_margin.errors import CashError, InputError
from bt_margin.venues.spec import ALWAYS


def taking(ratio: float = 0.8, **numbers: Any) -> Any:
    return replace(venue(**numbers), collateral={"BTC": ((ALWAYS, ratio),)})


def run(plan: Any, btc: Any, eth: Any, **settings: Any) -> Any:
    """1,000 USDT and 0.1 BTC that counts for 80 %; ETH is traded, BTC perhaps only looked at."""
    options = {"venue": taking(), "collateral": {"BTC": 0.1}, "cash": 1_000.0, **settings}
    return act(broker_of(**options), {ETH: bars(eth), BTC: bars(btc)}, plan)


def test_the_coin_is_margin_at_its_ratio_and_equity_in_full() -> None:
    def look(s: Any) -> None:
        s.sent["cash"] = s.broker.getcash()
        s.sent["shown"] = s.broker.fetch_balance()["total"]

    s = run({2: look}, [20_000.0, 21_000.0, 22_000.0], [2_000.0] * 3)
    assert s.broker.startingcash == 3_000.0
    assert list(s.broker.equity_curve[1]) == [3_000.0, 3_100.0, 3_200.0]
    assert s.sent["cash"] == pytest.approx(1_000 + 0.8 * 2_100)
    assert s.sent["shown"] == {"USDT": 1_000.0, "BTC": 0.1}
    assert s.broker.get_fundvalue() == pytest.approx(100 * 32 / 30)


def test_statistics_begin_with_the_coin_counted() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker_of(venue=taking(), collateral={"BTC": 0.1}, cash=1_000.0)
    for name, prices in {ETH: [2_000.0] * 3, BTC: [20_000.0, 21_000.0, 23_000.0]}.items():
        cerebro.adddata(btm.PerpData(dataname=bars(prices), name=name))
    cerebro.addanalyzer(bt.analyzers.TimeReturn, timeframe=bt.TimeFrame.NoTimeFrame)
    cerebro.addstrategy(Long)
    (s,) = cerebro.run()
    (made,) = s.analyzers.timereturn.get_analysis().values()
    assert made == pytest.approx(0.1)


def test_a_fall_of_the_coin_liquidates_what_it_backs() -> None:
    # 20,000 of ETH at 10x, 1,000 and 0.08 BTC behind it
    btc = [20_000.0] * 3 + [(20_000, 20_000, 10_000, 10_000)] + [10_000.0]
    eth = [2_000.0] * 3 + [(2_000, 2_000, 1_820, 1_820)] + [1_820.0]
    s = run({1: lambda s: s.buy(size=10)}, btc, eth)
    (fell,) = kinds(s, "liquidation")
    # both fall in step, to the share u of the leg: 1,000 + 0.08·(20,000 − 10,000·u) − 1,800·u = 0.05·mark
    u = (2_600 - 100) / (800 + 1_800 - 0.05 * 180)
    assert fell.price == pytest.approx(2_000 - 180 * u)
    s.broker.account.audit()
    alone = run({1: lambda s: s.buy(size=10)}, [20_000.0] * 5, eth)
    assert kinds(alone, "liquidation") == []


def test_what_cannot_back_an_account_is_refused_where_it_is_given() -> None:
    with pytest.raises(CashError, match="takes no XRP as collateral"):
        broker_of(venue=taking(), collateral={"XRP": 1.0})
    with pytest.raises(InputError, match="what the collateral BTC is worth"):
        act(broker_of(venue=taking(), collateral={"BTC": 0.1}), {ETH: bars([2_000.0] * 2)}, {})


def test_more_of_the_coin_is_added() -> None:
    s = run({1: lambda s: s.broker.add_cash(0.1, "BTC")}, [20_000.0] * 4, [2_000.0] * 4)
    assert s.broker.getvalue() == pytest.approx(5_000.0)
    assert s.broker.get_fundvalue() == pytest.approx(100.0)


class Long(bt.Strategy):
    """Long ETH with everything from the first bar on."""

    def next(self) -> None:
        if len(self) == 1:
            self.buy(self.getdatabyname(ETH), size=9)


def test_a_comparison_with_collateral_adds_up() -> None:
    eth = [2_000.0] * 2 + [(2_000, 2_000, 1_850, 1_850), 1_820.0, 1_790.0, 1_850.0]
    btc = [20_000.0, 19_000.0, 18_000.0, 17_000.0, 16_000.0, 18_000.0]
    frames = {ETH: bars(eth), BTC: bars(btc)}
    result = btm.compare(
        Long, frames, venue=taking(taker_fee=0.0005), leverage=10, cash=2_000.0,
        collateral={"BTC": 0.05},
    )  # fmt: skip
    for one in result.runs.values():
        assert one.cash == 3_000.0
        coins = {"USDT": 0.0, "BTC": 0.0}
        for entry in one.broker.account.ledger:
            coins["BTC" if entry.pool == "collateral:BTC" else "USDT"] += entry.amount
        held = sum(p.unrealised() for p in one.broker.account.positions.values())
        assert (1.0 + one.bar_returns).prod() == pytest.approx(one.final / one.cash)
        assert one.final == pytest.approx(coins["USDT"] + held + coins["BTC"] * 18_000)
    ends = {name: one.final for name, one in result.runs.items()}
    parted = sum(piece.worth for piece in result.divergence)
    assert parted == pytest.approx(ends["isolated"] - ends["cross"])
    assert ends["isolated"] != ends["cross"]
