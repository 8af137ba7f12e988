"""A coin that is delisted half-way: from the venue's server to the account that held it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
from market.loopback import Coin, loopback, ms

import bt_margin as btm

BTC, LUNA = "BTC/USDT:USDT", "LUNA/USDT:USDT"
END = ms("2024-02-20 05:00")


class Holds(bt.Strategy):
    """Buys both on the first bar and never looks back."""

    def next(self) -> None:
        if len(self) == 1:
            for data in self.datas:
                self.order_target_percent(data, target=0.3)


def frames(store: Path) -> dict[str, pd.DataFrame]:
    listed = ms("2024-01-01")
    coins = (Coin("BTC", listed=listed), Coin("LUNA", listed=listed, price=80.0))
    with loopback("binanceusdm", *coins, now=ms("2024-03-01 00:30")) as server:
        server.delist(LUNA, END)
        options: Any = server.exchange_options
        return btm.download(
            "binanceusdm", [BTC, LUNA], since="2024-02-01", store=store, exchange_options=options
        )


def test_funding_is_paid_at_the_mark_of_the_settlement_itself(tmp_path: Path) -> None:
    market = frames(tmp_path)
    marks = market[BTC].attrs["funding_marks"]
    run = btm.run(Holds, {BTC: market[BTC]}, venue="binance", leverage=2)
    paid = [e for e in run.broker.events if e.kind == "funding"]
    assert len(paid) > 80
    for event in paid:
        at = pd.Timestamp(round(event.time / 60_000), unit="m", tz="UTC")
        assert event.mark == marks[at]
        assert event.amount == -event.size * event.mark * event.found


def test_what_was_held_is_closed_at_the_last_mark_and_the_rest_goes_on(tmp_path: Path) -> None:
    market = frames(tmp_path)
    last = market[LUNA].iloc[-1]
    assert market[LUNA].attrs["delisted"] == END
    assert market[BTC].attrs["delisted"] is None
    assert market[LUNA].index[-1] == pd.Timestamp("2024-02-20 04:00", tz="UTC")
    tiers = {LUNA: {"tiers": [(None, 0.02, 0)]}}
    result = btm.compare(Holds, data=market, venue="binance", leverage=2, symbols=tiers)
    for run in result.runs.values():
        over = next(e for e in run.broker.events if e.kind == "delisted")
        closing = next(e for e in run.broker.events if e.cause == over.id and e.kind == "fill")
        assert (over.symbol, over.time) == (LUNA, END)
        assert closing.price == last["mark_close"]
        assert closing.fee == 0
        paid = [e.time for e in run.broker.events if e.kind == "funding" and e.symbol == LUNA]
        assert max(paid) < END
        assert list(run.broker.account.positions) == [BTC]
        run.broker.account.audit()
    assert any("delisted" in note for note in result.first.fidelity["notes"])
