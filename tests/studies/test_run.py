"""One run: what is said to it holds."""

from __future__ import annotations

import backtrader as bt
import pytest

import bt_margin as btm


def test_slippage_said_to_the_run_is_not_overruled_by_the_cerebro_s_own_broker() -> None:
    class Once(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=0.1)

    market = {s: f.iloc[:50] for s, f in btm.sample_market().items() if s == "BTC/USDT:USDT"}
    plain = btm.run(Once, market, venue="binance", cash=10_000, leverage=10)
    slipped = btm.run(
        Once, market, venue="binance", cash=10_000, leverage=10, slip_perc=0.001, slip_open=True
    )
    price = [
        next(e.price for e in run.broker.events if e.kind == "fill") for run in (plain, slipped)
    ]
    assert price[1] == pytest.approx(price[0] * 1.001, rel=1e-6)
