"""Funding that accrues: who holds for a part of the interval pays that part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.stage import BTC, act, bars, broker_of, kinds, venue

import bt_margin as btm
from bt_margin.core.funding_accrual import accrued_payment
from bt_margin.venues.carry import FundingRule

NINE = pd.Timestamp("2024-01-01 09:00", tz="UTC")
RATE = 0.0008


def accruing(**numbers: Any) -> Any:
    return replace(venue(funding_interval="1h", **numbers), funding=FundingRule(accrues=True))


def run(plan: Any, freq: str, minutes: int, **settings: Any) -> Any:
    """From 08:00 on; the rate of the hour before 09:00 is known."""
    frame = bars([100.0] * (180 // minutes), start="2024-01-01 08:00", freq=freq)
    options = {"timeframe": bt.TimeFrame.Minutes, "compression": minutes}
    series = {BTC: [(NINE, RATE)]}
    broker = broker_of(**{"venue": accruing(), "funding": series, **settings})
    return act(broker, frame, plan, feed_options=options)


def hold(first: int, last: int, size: float = 10.0) -> Any:
    """Bought at the open of bar ``first`` (1 is the first), sold at the open of bar ``last``."""
    return {first - 1: lambda s: s.buy(size=size), last - 1: lambda s: s.close()}


@pytest.mark.parametrize(
    ("first", "last", "share"),
    [(2, 5, 0.75), (2, 3, 0.25), (4, 5, 0.25), (2, 4, 0.5), (2, 12, 0.75), (6, 9, 0.0)],
)
def test_a_part_of_the_hour_pays_that_part(first: int, last: int, share: float) -> None:
    s = run(hold(first, last), "15min", 15)
    paid = sum(e.amount for e in kinds(s, "funding"))
    contract = s.broker.account.position(BTC).contract
    assert paid == pytest.approx(accrued_payment(contract, 10.0, 100.0, RATE, share))


def test_the_pieces_are_due_at_the_end_of_each_bar() -> None:
    s = run({1: lambda s: s.sell(size=10)}, "15min", 15)
    found = [
        (pd.Timestamp(e.time, unit="ms").strftime("%H:%M"), e.amount) for e in kinds(s, "funding")
    ]
    piece = pytest.approx(10 * 100 * RATE / 4)
    assert found == [("08:30", piece), ("08:45", piece), ("09:00", piece)]


@pytest.mark.parametrize(("freq", "minutes"), [("60min", 60), ("90min", 90)])
def test_bars_as_long_as_the_interval_pay_the_whole_stamp(freq: str, minutes: int) -> None:
    cerebro = run({}, freq, minutes)
    assert [stamp.rate for stamp in cerebro.broker._instruments[0].stamps] == [RATE]


def test_other_venues_charge_the_stamp_and_nothing_before_it() -> None:
    s = run(hold(2, 4), "15min", 15, venue=venue(funding_interval="1h"))
    assert kinds(s, "funding") == []


@pytest.mark.parametrize("runonce", [True, False])
def test_a_funding_column_accrues_as_well(runonce: bool) -> None:
    frame = bars([100.0] * 12, start="2024-01-01 08:00", freq="15min")
    rates = [float("nan")] * 12
    rates[4] = rates[8] = RATE
    cerebro = bt.Cerebro(stdstats=False, runonce=runonce)
    cerebro.broker = broker_of(venue=accruing())
    cerebro.adddata(btm.PerpData(dataname=frame.assign(funding_rate=rates), name=BTC))

    class Buys(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=10)

    cerebro.addstrategy(Buys)
    cerebro.run()
    paid = [e.amount for e in cerebro.broker.events if e.kind == "funding"]
    assert paid == pytest.approx([-10 * 100 * RATE / 4] * 7)
    assert cerebro.broker.fidelity["funding_missing"] == {}


def test_kraken_accrues() -> None:
    rules = btm.venue("krakenfutures")
    assert rules.funding.accrues
    name = "BTC/USD:USD"
    frame = bars([50_000.0] * 9, start="2026-06-01 08:00", freq="15min")
    broker = btm.MarginBroker(
        venue=rules, cash=10_000.0, leverage=5, debug=True,
        funding={name: [(pd.Timestamp("2026-06-01 09:00", tz="UTC"), RATE)]},
    )  # fmt: skip
    options = {"timeframe": bt.TimeFrame.Minutes, "compression": 15}
    s = act(broker, {name: frame}, {1: lambda s: s.buy(size=0.1), 3: lambda s: s.close()},
            feed_options=options)  # fmt: skip
    assert sum(e.amount for e in kinds(s, "funding")) == pytest.approx(-0.1 * 50_000 * RATE / 2)


def test_a_liquidation_by_what_accrues_comes_in_its_own_bar() -> None:
    # 10x isolated: 100 posted on 1,000; 5 are kept, so 95 may be paid, of 150 within the hour
    series = {BTC: [(NINE, 0.15)]}
    plan = {1: lambda s: s.buy(size=10)}
    s = run(plan, "10min", 10, margin_mode="isolated", funding=series)
    (fell,) = kinds(s, "liquidation")
    assert pd.Timestamp(fell.time, unit="ms").strftime("%H:%M") == "08:50"


@pytest.mark.parametrize("int2pnl", [True, False])
def test_what_opening_costs_beside_the_fee_is_the_trades_as_all_interest_is(int2pnl: bool) -> None:
    """Kraken's opening fee of borrowed dollars, 0.025 % of the cost, and of borrowed bitcoin, 0.01 %."""
    name = "BTC/USD"
    broker = btm.MarginBroker(venue="krakenspot", cash=10_000.0, leverage=3, debug=True)
    broker.p.int2pnl = int2pnl
    frame = bars([50_000.0] * 6, start="2026-06-01 08:00", freq="15min")
    plan = {
        1: lambda s: s.buy(size=0.1), 2: lambda s: s.sell(size=0.3), 4: lambda s: s.close()
    }  # fmt: skip
    s = act(broker, {name: frame}, plan)
    paid = [0.1 * 50_000 * 0.00025, 0.2 * 50_000 * 0.0001]
    assert -broker.account.ledger.totals["interest"] == pytest.approx(sum(paid))
    long, short = (trade for trades in s._trades[s.data].values() for trade in trades)
    fees = [0.2 * 50_000 * 0.004, 0.4 * 50_000 * 0.004]
    for trade, fee, cost in zip((long, short), fees, paid, strict=True):
        assert trade.commission == pytest.approx(fee + (cost if int2pnl else 0.0))
