"""One strategy at every venue the kernel plays, through a crash: replayed as in full, in both modes."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from replay.places import DAYS

import bt_margin as btm
from bt_margin.studies.cells import Cell, Job, full
from bt_margin.studies.replay import replayed

BTC, ETH, COIN = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
OPTIONS: dict[str, dict[str, Any]] = {
    "dydx_v3": {"taker_fee": 0.0005, "maker_fee": 0.0002},
    "okx": {"coins": True, "contract_sizes": {BTC: 0.01}},
}
LINEAR = ("binance", *(name for name in DAYS if name != "krakeninverse"))


def crash(first: float, seed: int) -> pd.DataFrame:
    """Two quiet weeks of hours, and a third lost within six of them on the first of September."""
    index = pd.date_range("2025-08-27", periods=336, freq="1h", tz="UTC")
    steps = np.random.default_rng(seed).normal(0.0, 0.004, len(index))
    steps[125:131] -= 0.06
    close = first * np.exp(np.cumsum(steps))
    opens = np.concatenate(([first], close[:-1]))
    frame = pd.DataFrame({"open": opens, "close": close}, index=index)
    frame["high"], frame["low"] = frame.max(axis=1) * 1.002, frame.min(axis=1) * 0.998
    frame["volume"] = 1.0
    return frame[["open", "high", "low", "close", "volume"]]


class Holding(bt.Strategy):
    """Long the first coin and a little short of the second; again every two days."""

    params = (("exposure", 3.0),)

    def next(self) -> None:
        if len(self) % 48 == 5:
            for data, share in zip(self.datas, (1.0, -0.3), strict=False):
                unit = data.close[0] * self.broker.getcommissioninfo(data).p.mult
                self.order_target_size(
                    data, share * self.p.exposure * self.broker.getvalue() / unit
                )


class Coins(bt.Strategy):
    """Long an inverse contract, in its own coin."""

    def next(self) -> None:
        if len(self) % 48 == 5:
            self.order_target_percent(self.data, 2.5)


def agree(work: Job, venue: Any, modes: tuple[str, ...]) -> None:
    cells = [
        Cell(k, {"venue": venue, "leverage": leverage, "margin_mode": mode})
        for k, (leverage, mode) in enumerate((x, mode) for x in (3.0, 10.0) for mode in modes)
    ]
    found = replayed(work, cells, check=len(cells))
    assert (found.wrong, found.left) == ("", ())
    assert len(found.checked) == len(cells)
    assert sum(one.row["liquidations"] for one in found.outcomes) > 0
    for one in found.outcomes:
        other = full(one.cell, work).row
        for name in ("final_equity", "fees", "funding", "shortfall", "liquidations", "turnover"):
            assert one.row[name] == pytest.approx(other[name], rel=1e-9, abs=1e-9), (one.cell, name)


@pytest.mark.parametrize("name", LINEAR)
def test_a_crash_leaves_the_same_at_every_venue(name: str) -> None:
    data = {BTC: crash(110_000.0, 1), ETH: crash(4_400.0, 2)}
    funding = {symbol: pd.Series(0.0002, frame.index[::8]) for symbol, frame in data.items()}
    work = Job(Holding, data, {}, {"cash": 400_000.0, "funding": funding})
    venue = btm.venue(name, **OPTIONS.get(name, {})).standing_for([BTC, ETH])
    agree(work, venue, ("cross", "isolated"))


@pytest.mark.parametrize(("name", "modes"), [
    ("krakeninverse", ("cross",)), ("bybit", ("cross", "isolated")), ("okx", ("cross", "isolated")),
])  # fmt: skip
def test_a_crash_leaves_the_same_in_coins(name: str, modes: tuple[str, ...]) -> None:
    data = {COIN: crash(110_000.0, 1)}
    funding = {COIN: pd.Series(0.0002, data[COIN].index[::8])}
    work = Job(Coins, data, {}, {"cash": 3.0, "currency": "BTC", "funding": funding})
    agree(work, btm.venue(name), modes)
