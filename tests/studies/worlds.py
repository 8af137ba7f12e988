"""Small markets and strategies for whole runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt
import pandas as pd

from bt_margin.venues import venue
from bt_margin.venues.spec import Venue

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def flat_venue(**changes: Any) -> Venue:
    """A venue with round numbers: half a per cent of maintenance, no fees."""
    numbers: dict[str, Any] = {
        "maintenance_rate": 0.005,
        "taker_fee": 0.0,
        "maker_fee": 0.0,
        "liquidation_fee": 0.0,
        "funding_interval": "8h",
        "residual": "trader",
    }
    return venue("generic", **(numbers | changes))


def frame(
    closes: Sequence[float],
    *,
    lows: dict[int, float] | None = None,
    marks: bool = True,
    mark_lows: dict[int, float] | None = None,
    funding: dict[int, float] | None = None,
) -> pd.DataFrame:
    """Hourly bars that open at the close before; ``lows`` and ``mark_lows`` dig into single bars."""
    index = pd.date_range("2025-01-01", periods=len(closes), freq="h", tz="UTC")
    opens = [closes[0], *closes[:-1]]
    bars = pd.DataFrame({"open": opens, "close": closes}, index, dtype=float)
    bars["high"] = bars[["open", "close"]].max(axis=1)
    bars["low"] = bars[["open", "close"]].min(axis=1)
    bars["volume"] = 1.0
    if marks:
        for name in ("open", "high", "low", "close"):
            bars[f"mark_{name}"] = bars[name]
    for row, low in (lows or {}).items():
        bars.iloc[row, bars.columns.get_loc("low")] = low
    for row, low in (mark_lows or {}).items():
        bars.iloc[row, bars.columns.get_loc("mark_low")] = low
    if funding:
        bars["funding_rate"] = float("nan")
        for row, rate in funding.items():
            bars.iloc[row, bars.columns.get_loc("funding_rate")] = rate
    return bars


class Hold(bt.Strategy):
    """Buys every feed once at the first bar, ``exposure`` times the equity in all."""

    params = (("exposure", 5.0),)

    def next(self) -> None:
        if len(self) == 1:
            for data in self.datas:
                share = self.p.exposure / len(self.datas)
                self.order_target_percent(data, target=share)


class Hedge(bt.Strategy):
    """Long the first feed and short the second in equal notional, from the first bar on."""

    params = (("exposure", 3.0),)

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(self.datas[0], target=self.p.exposure)
            self.order_target_percent(self.datas[1], target=-self.p.exposure)


class Cycle(bt.Strategy):
    """In for three bars, out for three, with a share of the equity or with a fixed size."""

    params = (("exposure", 2.0), ("size", 0.0))

    def next(self) -> None:
        phase = len(self) % 6
        if phase == 1 and self.p.size:
            self.buy(size=self.p.size)
        elif phase == 1:
            self.order_target_percent(target=self.p.exposure)
        elif phase == 4:
            self.close()
