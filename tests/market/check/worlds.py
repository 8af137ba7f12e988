"""Sound markets to plant defects into: the synthetic one, and real ones where the folder is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from market.check.plants import HOUR, PRICES, World
from real.rawdata import VARIABLE, folder

from bt_margin.market.frames import MARK
from bt_margin.market.synthetic import generate_market

HOURS = 4_000
REAL = {
    "BTCUSDT": ("2022-05-01", "2022-12-10"),
    "ETHUSDT": ("2024-01-01", "2024-12-31"),
    "SOLUSDT": ("2023-06-01", "2024-06-01"),
    "DOGEUSDT": ("2025-01-01", "2025-10-01"),
}
ABSENT = f"no real market data: neither {VARIABLE} nor ../shared/market beside the checkout"


def synthetic() -> World:
    """The sample market's first symbol, and a second venue that trades some 0.02 % beside it."""
    frame = next(iter(generate_market(hours=HOURS).values()))
    table = frame.reset_index()
    marks = table[["timestamp", *MARK]].rename(columns=dict(zip(MARK, PRICES, strict=True)))
    world = {
        "ohlcv": table[["timestamp", *PRICES, "volume"]],
        "mark": marks.assign(volume=0.0),
        "funding": table[["timestamp", "funding_rate"]].dropna().reset_index(drop=True),
    }
    return world | {"other": beside(world["ohlcv"])}


def real(name: str) -> World:
    """A stretch of a real symbol; the second venue is a real one where there is one."""
    since, until = (pd.Timestamp(text, tz="UTC") for text in REAL[name])

    def table(pattern: str) -> pd.DataFrame:
        (path,) = folder().glob(pattern)
        found = pd.read_parquet(path)
        inside = (found["timestamp"] >= since) & (found["timestamp"] < until)
        return found[inside].reset_index(drop=True)

    world = {
        "ohlcv": table(f"binance_{name}_ohlcv_1h.parquet"),
        "mark": table(f"binance_{name}_mark_1h.parquet"),
        "funding": table(f"binance_{name}_funding_*.parquet"),
    }
    if list(folder().glob(f"okx_{name}_ohlcv_5m.parquet")) and name == "BTCUSDT":
        return world | {"other": hourly(table(f"okx_{name}_ohlcv_5m.parquet"))}
    return world | {"other": beside(world["ohlcv"])}


def beside(table: pd.DataFrame) -> pd.DataFrame:
    """The prices of a venue that trades beside another, and a third shorter history."""
    noise = 1.0 + np.random.default_rng(7).normal(0.0, 0.0002, len(table))
    out = table.assign(**{name: table[name] * noise for name in PRICES})
    return out.iloc[len(table) // 3 :].reset_index(drop=True)


def hourly(table: pd.DataFrame) -> pd.DataFrame:
    """Five-minute bars as hours; outages as the venue tells them, without volume."""
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return table.set_index("timestamp").resample(HOUR).agg(rules).iloc[:-1].reset_index()


def real_files() -> list[Path]:
    """Every file of the real market; none where the folder is absent."""
    return sorted(folder().rglob("*.parquet")) if folder().is_dir() else []
