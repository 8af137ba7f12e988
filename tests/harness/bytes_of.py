"""What runs and studies leave behind, to the byte: `python bytes_of.py` prints a digest of each.

Two processes with other seeds of Python's hashes must print the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

import bt_margin as btm
from bt_margin.venues.spec import ALWAYS

LINEAR = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
COINS = ("BTC/USD:BTC", "ETH/USD:ETH")
BARS = 24 * 12
RULES: dict[str, Any] = {
    "maintenance_rate": 0.02, "taker_fee": 0.0005, "maker_fee": 0.0002, "liquidation_fee": 0.01,
    "funding_interval": "8h", "residual": "trader",
}  # fmt: skip
#: What the files of a study tell of the clock and the machine.
_CLOCK = ("seconds", "stamp.json", "stamp.csv", "stamp.parquet")


def market(names: tuple[str, ...], seed: int = 1) -> dict[str, pd.DataFrame]:
    """Hours of a market that falls hard in the middle, with funding every eight hours."""
    luck = np.random.default_rng(seed)
    times = pd.date_range("2025-01-01", periods=BARS, freq="h", tz="UTC")
    common, found = luck.normal(0.0, 0.006, BARS), {}
    common[BARS // 2] -= 0.3
    for place, name in enumerate(names):
        close = (20_000 / 10**place) * np.exp(np.cumsum(common + luck.normal(0, 0.004, BARS)))
        opened = np.concatenate(([close[0]], close[:-1]))
        wick = np.abs(luck.normal(0.0, 0.003, BARS))
        frame = pd.DataFrame({"open": opened, "close": close, "volume": 1.0}, index=times)
        frame["high"] = frame[["open", "close"]].max(axis=1) * (1 + wick)
        frame["low"] = frame[["open", "close"]].min(axis=1) * (1 - wick)
        frame["funding_rate"] = np.where(np.arange(BARS) % 8 == 0, 1e-4, math.nan)
        found[name] = frame
    return found


class Busy(bt.Strategy):
    """Targets, stops and brackets in every market, by the bar's number; both sides in hedge mode."""

    params = (("exposure", 5.0), ("hedge", False))

    def next(self) -> None:
        for place, data in enumerate(self.datas):
            beat = len(self) + 7 * place
            side = 1 if beat // 40 % 2 else -1
            if beat % 40 == 0:
                self.into(data, side)
            if beat % 53 == 3:
                self.sell_bracket(data=data, size=self.unit(data), price=data.close[0] * 1.01)

    def unit(self, data: Any) -> float:
        return 0.2 * self.broker.getvalue() / len(self.datas) / data.close[0] / self.contract(data)

    def contract(self, data: Any) -> float:
        return 100.0 / data.close[0] if data._name in COINS else 1.0

    def into(self, data: Any, side: int) -> None:
        size = self.p.exposure * 5 * self.unit(data)
        if self.p.hedge:
            self.buy(data, size=size, position_side="long")
            self.sell(data, size=size / 3, position_side="short")
        elif data._name in COINS:
            (self.buy if side > 0 else self.sell)(data=data, size=round(size))
        else:
            self.order_target_percent(data, target=side * self.p.exposure / len(self.datas))


def told(run: Any) -> list[Any]:
    """Each entry of the ledger, each event, the equity of each bar."""
    account = run.broker.account
    account.audit()
    assert any(event.kind == "liquidation" for event in account.events)
    return [*map(repr, account.ledger), *map(repr, account.events), run.equity.to_numpy().tolist()]


def plain(names: tuple[str, ...] = LINEAR, **settings: Any) -> Callable[[], list[Any]]:
    def play() -> list[Any]:
        params = settings.get("params", {})
        keywords = {"leverage": 10, "cash": 10_000.0, "venue": btm.venue("generic", **RULES)}
        own = {name: value for name, value in settings.items() if name != "params"}
        return told(btm.run(Busy, market(names), params=params, **(keywords | own)))

    return play


def study(made: Callable[..., Any], **keywords: Any) -> Callable[[], list[Any]]:
    """The tables a study writes, without the columns that tell of the clock."""

    def play() -> list[Any]:
        result = made(Busy, market(LINEAR[:2]), cash=10_000.0, venue="binance", **keywords)
        with tempfile.TemporaryDirectory() as folder:
            written = sorted(Path(p) for p in result.to_dir(Path(folder) / "out"))
            return [(p.name, timeless(p)) for p in written if p.suffix == ".csv"]

    return play


def timeless(path: Path) -> str:
    if path.name in _CLOCK:
        return ""
    table = pd.read_csv(path)
    return str(table.drop(columns=[name for name in table if name in _CLOCK]).to_csv())


def cases() -> dict[str, Callable[[], list[Any]]]:
    """What is compared, by name."""
    rules = btm.venue("generic", **RULES)
    pledged = replace(rules, collateral={"BTC": ((ALWAYS, 0.8),)})
    coins = {name: {"multiplier": 100.0} for name in COINS}
    found: dict[str, Callable[[], list[Any]]] = {}
    for mode in ("cross", "isolated"):
        found[f"{mode}"] = plain(margin_mode=mode)
        found[f"{mode} binance"] = plain(margin_mode=mode, venue="binance")
        found[f"{mode} okx"] = plain(margin_mode=mode, venue="okx")
        hedge = {"venue": replace(rules, hedge=True), "params": {"hedge": True, "exposure": 5.0}}
        found[f"{mode} hedge"] = plain(margin_mode=mode, **hedge)
        found[f"{mode} wallets"] = plain(
            COINS, margin_mode=mode, symbols=coins, cash={"BTC": 0.5, "ETH": 5.0},
            params={"exposure": 6.0},
        )  # fmt: skip
        found[f"{mode} collateral"] = plain(
            margin_mode=mode, venue=pledged, collateral={"BTC": 0.1}, params={"exposure": 6.0}
        )
    grid = {"leverage": [2, 5, 10, 20], "margin_mode": ["cross", "isolated"]}
    found["sweep"] = study(btm.sweep, grid=grid, backend="serial", engine="full")
    dates = {"starts": "2d", "horizon": "4d", "leverages": [5, 20], "backend": "serial"}
    found["survival"] = study(btm.survival, engine="full", **dates)
    shaken = {"crashes": (), "paths": 3, "shocks": ["gap=-0.2@2025-01-05"], "seed": 4}
    found["stress"] = study(btm.stress, leverage=10, workers=1, **shaken)
    return found


def digests(names: list[str]) -> dict[str, str]:
    chosen = cases()
    return {
        name: hashlib.sha256(repr(chosen[name]()).encode()).hexdigest()
        for name in names or list(chosen)
    }


if __name__ == "__main__":
    print(json.dumps(digests(sys.argv[1:]), indent=1))
