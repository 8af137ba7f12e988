"""The real market as plain numbers, read straight from the files: no code of the package is used.

The folder is the one the environment variable ``BT_MARGIN_MARKET`` names, else ``../shared/market`` beside
the checkout. Nothing of it is ever copied into the repository.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "BT_MARGIN_MARKET"
HOUR = 3_600_000
TABLES = json.loads((ROOT / "bt_margin/venues/tables/binance_usdm.json").read_text("utf-8"))

Prices = tuple[float, float, float, float]  # open, high, low, close


def folder() -> Path:
    """Where the real market is looked for."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else ROOT.parent / "shared" / "market"


def ms(text: str) -> int:
    """A UTC time as epoch milliseconds."""
    return int(pd.Timestamp(text, tz="UTC").value // 1_000_000)


def when(time: int) -> str:
    """Epoch milliseconds as people write them."""
    return f"{pd.Timestamp(time, unit='ms', tz='UTC'):%Y-%m-%d %H:%M}"


def unified(name: str) -> str:
    """BTCUSDT as BTC/USDT:USDT."""
    return f"{name.removesuffix('USDT')}/USDT:USDT"


@dataclass(frozen=True)
class Raw:
    """One symbol: last and mark by open time, rates by settlement time (all epoch ms)."""

    last: dict[int, Prices]
    marks: dict[int, Prices]
    rates: dict[int, float]

    def mark(self, time: int) -> Prices:
        """The mark of a bar, its last price where the venue has none."""
        return self.marks.get(time) or self.last[time]


def read(name: str, since: str, until: str) -> Raw:
    """Last, mark and funding of BTCUSDT ... with open (settlement) in [since, until)."""
    place, bounds = folder(), (ms(since), ms(until))
    (funding,) = place.glob(f"binance_{name}_funding_*.parquet")
    return Raw(
        _prices(place / f"binance_{name}_ohlcv_1h.parquet", bounds),
        _prices(place / f"binance_{name}_mark_1h.parquet", bounds),
        {t: row[0] for t, row in _rows(funding, bounds, ["funding_rate"]).items()},
    )


def _prices(path: Path, bounds: tuple[int, int]) -> dict[int, Prices]:
    rows = _rows(path, bounds, ["open", "high", "low", "close"])
    return {t: (o, h, lo, c) for t, (o, h, lo, c) in rows.items()}


def _rows(path: Path, bounds: tuple[int, int], columns: list[str]) -> dict[int, tuple[float, ...]]:
    table = pd.read_parquet(path)
    times = table["timestamp"].dt.as_unit("ns").astype("int64") // 1_000_000
    kept = (times >= bounds[0]) & (times < bounds[1])
    values = [table.loc[kept, name].tolist() for name in columns]
    return dict(zip(times[kept].tolist(), zip(*values, strict=True), strict=True))


# -- the venue's numbers, looked up by hand in the table file ---------------------------------------


def ladder(symbol: str, time: int) -> list[tuple[float, float, float]]:
    """(cap, rate, deduction) of the snapshot in force; before a symbol's first, that one."""
    listed = [(ms(s["since"]), s["symbols"][symbol]) for s in TABLES["snapshots"]
              if symbol in s["symbols"]]  # fmt: skip
    number = [n for since, n in listed if since <= time] or [listed[0][1]]
    rows = TABLES["ladders"][number[-1]]
    return [(float("inf") if row[0] is None else row[0], row[1], row[2]) for row in rows]


def required(symbol: str, time: int, notional: float) -> float:
    """Maintenance margin: notional · rate − deduction of the tier the notional lies in."""
    rows = ladder_of(symbol, time)
    for cap, rate, deduction in rows:
        if notional <= cap:
            return notional * rate - deduction
    return notional * rows[-1][1] - rows[-1][2]


_KNOWN: dict[tuple[str, int], list[tuple[float, float, float]]] = {}


def ladder_of(symbol: str, time: int) -> list[tuple[float, float, float]]:
    """:func:`ladder`, remembered by day (tables change at midnight)."""
    key = (symbol, time // (24 * HOUR))
    if key not in _KNOWN:
        _KNOWN[key] = ladder(symbol, time)
    return _KNOWN[key]


def taker(time: int) -> float:
    """Regular taker fee of Binance USD-M: 0.04 %, since 2024-04-28 0.05 %."""
    return 0.0005 if time >= ms("2024-04-28") else 0.0004


def liquidation_fee(symbol: str) -> float:
    """The symbol's liquidation fee, 1.25 % where none is recorded."""
    row = TABLES["contracts"]["symbols"].get(symbol)
    return float(row[4]) if row and row[4] else 0.0125
