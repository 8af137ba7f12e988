"""Analyzers: the account's books as plain dictionaries, checked against stories worked by hand."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import backtrader as bt
import pytest
from plugin.desk import BTC, ETH, ActingBroker, account_with, bars_of, run_with

from bt_margin.engine.account import Account
from bt_margin.plugin.analyzers import Funding, Ledger, Liquidations, MarginUse

LOOPS = {"runonce": {}, "next": {"runonce": False}, "exactbars": {"exactbars": 1}}


def analysis(analyzer: Any, closes: list[float], acts: Any, account: Any = None, **run: Any) -> Any:
    broker = None if acts is None else ActingBroker(account or account_with(), acts)
    frames = {BTC: bars_of(closes), ETH: bars_of([10.0] * len(closes))}
    strategy = run_with(broker, frames, lambda c: c.addanalyzer(analyzer, _name="it"), **run)
    return strategy.analyzers.it.get_analysis()


def buy(account: Account) -> None:
    account.fill(BTC, 500.0, 100.0)


def settle(account: Account) -> None:
    account.fund(BTC, 0.001)
    account.fund(ETH, 0.001)


def settle_negative(account: Account) -> None:
    account.fund(BTC, -0.0004)


@pytest.mark.parametrize("loop", LOOPS)
class TestStories:
    def test_the_ledger_adds_up_to_the_balances(self, loop: str) -> None:
        found = analysis(Ledger, [100.0] * 4, {2: buy, 3: settle}, **LOOPS[loop])
        assert found["balances"] == {"cross:USDT": pytest.approx(10_000 - 25 - 50)}
        assert {k: v for k, v in found["totals"].items() if v} == {
            "deposit": 10_000.0,
            "fee": -25.0,
            "funding": -50.0,
        }
        last = found["entries"][-1]
        assert (last["time"], last["kind"], last["symbol"], last["amount"]) == (
            dt.datetime(2024, 1, 3),
            "funding",
            BTC,
            -50.0,
        )

    def test_funding_paid_and_received_by_symbol(self, loop: str) -> None:
        acts = {2: buy, 3: settle, 4: settle_negative}
        found = analysis(Funding, [100.0] * 5, acts, **LOOPS[loop])
        sums = {"paid": 50.0, "received": 20.0, "net": -30.0, "count": 2}
        assert {key: found[key] for key in sums} == sums
        assert found["by_symbol"] == {BTC: sums}
        assert found["settlements"][0] == {
            "time": dt.datetime(2024, 1, 3),
            "symbol": BTC,
            "size": 500.0,
            "mark": 100.0,
            "rate": 0.001,
            "amount": -50.0,
        }

    def test_a_liquidation_with_its_two_numbers_and_its_cause(self, loop: str) -> None:
        found = analysis(Liquidations, [100.0, 100.0, 82.0, 80.2, 100.0], {2: buy}, **LOOPS[loop])
        assert (found["count"], found["breaches"], found["dead"]) == (1, 1, False)
        assert found["realised"] == pytest.approx(500 * (80.2 - 100))
        assert (found["shortfall"], found["margin_calls"]) == (0.0, 0)
        row = found["liquidations"][0]
        assert (row["symbol"], row["size"], row["mark"]) == (BTC, -500.0, 80.2)
        assert (row["maintenance"], row["equity"]) == pytest.approx((200.5, 75.0))
        assert row["time"] == dt.datetime(2024, 1, 4)
        assert row["cause"] == row["id"] - 1

    def test_a_gap_beyond_the_collateral_leaves_a_shortfall_and_a_dead_account(
        self, loop: str
    ) -> None:
        found = analysis(Liquidations, [100.0, 100.0, 70.0], {2: buy}, **LOOPS[loop])
        assert found["shortfall"] == pytest.approx(5_025.0)
        assert found["dead"] is True

    def test_margin_use_and_its_worst_bar(self, loop: str) -> None:
        def close(account: Account) -> None:
            account.fill(BTC, -500.0, 90.0)

        closes = [100.0, 100.0, 90.0, 90.0, 90.0]
        found = analysis(MarginUse, closes, {2: buy, 4: close}, **LOOPS[loop])
        first, second = 5_000 / 9_975, 4_500 / 4_975
        assert (found["bars"], found["bars_open"]) == (5, 2)
        assert found["use_max"] == pytest.approx(second)
        assert found["use_mean"] == pytest.approx((first + second) / 2)
        assert found["exposure_max"] == pytest.approx(10 * second)
        assert found["ratio_max"] == pytest.approx(225 / 4_975)
        assert found["ratio_max_time"] == dt.datetime(2024, 1, 3)
        assert found["available_min"] == pytest.approx(4_975 - 4_500)

    def test_under_the_stock_broker_the_same_keys_hold_nothing(self, loop: str) -> None:
        for analyzer in (Ledger, Liquidations, Funding, MarginUse):
            empty = analysis(analyzer, [100.0] * 3, None, **LOOPS[loop])
            own = analysis(analyzer, [100.0] * 3, {}, **LOOPS[loop])
            assert list(empty) == list(own)
            values = [v for k, v in empty.items() if k != "bars"]
            assert not any(values)


def test_the_writer_and_the_printer_can_show_them(capsys: pytest.CaptureFixture[str]) -> None:
    def add(cerebro: Any) -> None:
        for analyzer in (Ledger, Liquidations, Funding, MarginUse):
            cerebro.addanalyzer(analyzer)
        cerebro.addwriter(bt.WriterFile)

    strategy = run_with(ActingBroker(account_with(), {2: buy}), {BTC: bars_of([100.0] * 3)}, add)
    strategy.analyzers.ledger.print()
    shown = capsys.readouterr().out
    assert "cross:USDT" in shown
    assert "use_max" in shown


class Sized(bt.Strategy):
    params = (("size", 1),)


def test_results_come_back_from_other_processes() -> None:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2)
    cerebro.adddata(bt.feeds.PandasData(dataname=bars_of([100.0] * 5), name=BTC))
    cerebro.broker = ActingBroker(account_with(), {2: buy})
    for analyzer in (Ledger, Liquidations, Funding, MarginUse):
        cerebro.addanalyzer(analyzer)
    cerebro.optstrategy(Sized, size=[1, 2])
    for (run,) in cerebro.run():
        assert run.analyzers.ledger.get_analysis()["totals"]["fee"] == -25.0
        assert len(pickle.dumps(run.analyzers.marginuse)) < 5_000
