"""Trades of a run: what each one made, and the law that together they made the equity."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Cycle, Hedge, Hold, flat_venue, frame

from bt_margin.studies.result import Run
from bt_margin.studies.run import run
from bt_margin.studies.trades import Trade, trades_of

RULES = flat_venue(taker_fee=0.001, liquidation_fee=0.01)
UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]


class Flip(bt.Strategy):
    """Long two, then short one at once, then reduces by half, then flat."""

    def next(self) -> None:
        if len(self) == 1:
            self.buy(size=2.0)
        elif len(self) == 3:
            self.sell(size=3.0)
        elif len(self) == 5:
            self.buy(size=0.5)
        elif len(self) == 7:
            self.close()


class Wild(bt.Strategy):
    """Adds, reduces, closes and flips at random."""

    params = (("seed", 0), ("largest", 4.0))

    def __init__(self) -> None:
        self.luck = np.random.default_rng(self.p.seed)

    def next(self) -> None:
        for data in self.datas:
            if self.luck.random() < 0.4:
                share = self.luck.choice([-1.0, -0.5, 0.0, 0.5, 1.0]) * self.p.largest
                worth = share * self.broker.getvalue() / len(self.datas)
                self.order_target_size(data, worth / data.close[0])


def walk(seed: int, bars: int = 120) -> pd.DataFrame:
    """A rough market with funding every eighth hour."""
    luck = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(luck.normal(0.0, 0.02, bars)))
    rates = {i: float(luck.normal(0.0, 0.002)) for i in range(0, bars, 8)}
    return frame([float(c) for c in closes], funding=rates)


def moved(made: Run) -> float:
    """What the equity gained, money put in and taken out left aside."""
    ledger = list(made.broker.account.ledger)[made.opening_entries :]
    flows = sum(e.amount for e in ledger if e.kind in ("deposit", "withdrawal"))
    return made.final - made.cash - flows


def one(strategy: Any, bars: Any, **settings: Any) -> Run:
    data = bars if isinstance(bars, dict) else {BTC: bars}
    return run(strategy, data, **{"venue": RULES, "leverage": 10, "cash": 1_000.0, **settings})


def same(made: Run, trade: Trade) -> float:
    """The result of the prices by the mean prices."""
    contract = made.broker.account.book[trade.symbol].contract
    return float(contract.pnl(trade.size, trade.entry, trade.exit))


def test_a_flip_ends_one_trade_and_begins_another_each_with_its_own_fee() -> None:
    made = one(Flip, frame(UP))
    long, short = trades_of(made).trades
    assert (long.end, short.end) == ("flipped", "closed")
    assert (long.size, short.size) == (2.0, -1.0)
    fill = made.broker.account.book[BTC]
    assert fill.size == 0.0
    assert long.fees == pytest.approx(-0.001 * 2.0 * (long.entry + long.exit))
    assert short.fees == pytest.approx(-0.001 * (short.entry + short.exit))
    assert (long.side, short.side) == ("long", "short")
    assert long.price == pytest.approx(same(made, long))
    assert short.price == pytest.approx(same(made, short))
    assert long.bars == 2


def test_a_liquidated_trade_says_so_and_pays_its_fee() -> None:
    bars = frame([100.0] * 8, lows={4: 85.0}, mark_lows={4: 85.0})
    made = one(Hold, bars, margin_mode="isolated")
    (trade,) = trades_of(made).trades
    assert (trade.end, trade.liquidations) == ("liquidated", 1)
    assert trade.liquidation_fees < 0.0
    assert trade.net == pytest.approx(moved(made))


def test_what_is_still_open_is_valued_at_its_last_mark() -> None:
    made = one(Hold, frame(UP))
    (trade,) = trades_of(made).trades
    assert not trade.ended
    assert trade.end == "still open"
    assert trade.exit == UP[-1]
    assert trade.bars == len(UP) - 2
    assert trade.net == pytest.approx(moved(made))


def test_the_fund_bears_its_part_of_the_trade_it_covered() -> None:
    bars = frame([100.0, 100.0, 100.0, 50.0, 50.0])
    bars.iloc[3, bars.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = 50.0
    made = one(Hold, bars)
    (trade,) = trades_of(made).trades
    assert trade.covered > 0.0
    assert trade.net == pytest.approx(-1_000.0)


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("seed", range(6))
def test_law_trades_and_what_is_open_make_the_change_of_the_equity(mode: str, seed: int) -> None:
    made = one(
        Wild, {BTC: walk(seed), ETH: walk(seed + 99)}, params={"seed": seed}, margin_mode=mode
    )
    book = trades_of(made)
    assert book.net == pytest.approx(moved(made), abs=1e-6)
    ledger = made.broker.account.ledger.totals
    assert sum(t.funding for t in book.trades) == pytest.approx(ledger["funding"], abs=1e-9)
    assert sum(t.fees for t in book.trades) == pytest.approx(-abs(ledger["fee"]), abs=1e-9)
    for trade in book.trades:
        assert trade.price == pytest.approx(same(made, trade), abs=1e-6)
        assert abs(trade.size) >= trade.largest - 1e-9
    held = {s: p.size for s, p in made.broker.account.book.items() if p.size}
    assert {t.symbol for t in book.trades if not t.ended} == set(held)


def test_a_coin_contract_counts_in_the_worth_of_its_prices() -> None:
    coin = "BTC/USD:BTC"
    rules = flat_venue(currency="BTC", taker_fee=0.0005)
    bars = frame([50_000.0, 50_000.0, 51_000.0, 49_000.0, 48_000.0, 52_000.0] * 5)
    made = run(Cycle, {coin: bars}, venue=rules, leverage=5, cash=1.0, params={"size": 10_000.0})
    book = trades_of(made)
    assert len(book.trades) > 3
    assert book.net == pytest.approx(moved(made), abs=1e-12)
    for trade in book.trades:
        assert trade.price == pytest.approx(same(made, trade), abs=1e-12)


def test_a_hedge_has_a_trade_for_each_leg() -> None:
    made = one(Hedge, {BTC: frame(UP), ETH: frame(UP)}, margin_mode="isolated")
    ends = {trade.symbol: trade.end for trade in trades_of(made).trades}
    assert ends == {BTC: "still open", ETH: "liquidated"}


def test_no_order_no_trade() -> None:
    book = trades_of(one(bt.Strategy, frame(UP)))
    assert (book.trades, book.net) == ([], 0.0)
