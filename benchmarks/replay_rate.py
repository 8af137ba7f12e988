"""How fast the replay kernel is: bars times settings a second, and what compiling it costs.

    python benchmarks/replay_rate.py

Two markets, both modes, dated tiers, funding, the path inside the bar, the equity of every bar: a year of
minutes of one symbol under many leverages, and ten symbols of two months of minutes. Beside it the bare
minimum, a pass over the same closes that adds them up.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bt_margin.studies.cells import Cell, Job
from bt_margin.studies.replay.cell import play
from bt_margin.studies.replay.entry import Replay
from bt_margin.studies.replay.layout import KEEP_ROW, LIQUIDATIONS, STEPS, new_state

NAMES = ("BTC", "ETH", "SOL", "DOGE", "XRP", "BNB", "ADA", "LINK", "LTC", "DOT")


class Turns(bt.Strategy):
    """Long and short in turns, every so many bars, each coin at its own time."""

    params = (("every", 1_440), ("exposure", 1.0))

    def next(self) -> None:
        bar = len(self)
        for place, data in enumerate(self.datas):
            if (bar + 97 * place) % self.p.every == 0:
                side = 1 if (bar // self.p.every + place) % 2 else -1
                share = side * self.p.exposure / len(self.datas)
                self.order_target_size(data, share * self.broker.getvalue() / data.close[0])


def market(symbols: int, bars: int) -> dict[str, pd.DataFrame]:
    """Correlated random walks of minutes, with marks and funding every eight hours."""
    draw = np.random.default_rng(7)
    index = pd.date_range("2025-06-01", periods=bars, freq="1min", tz="UTC")
    common, frames = draw.normal(0.0, 0.0005, bars), {}
    for name in NAMES[:symbols]:
        close = 100.0 * np.exp(np.cumsum(common + draw.normal(0.0, 0.0003, bars)))
        opens = np.concatenate(([100.0], close[:-1]))
        reach = 1.0 + np.abs(draw.normal(0.0, 0.0004, (2, bars)))
        frame = pd.DataFrame(index=index)
        frame["open"], frame["close"] = opens, close
        frame["high"] = np.maximum(opens, close) * reach[0]
        frame["low"] = np.minimum(opens, close) / reach[1]
        frame["volume"] = 1.0
        for column in ("open", "high", "low", "close"):
            frame[f"mark_{column}"] = frame[column] * 1.0001
        frames[f"{name}/USDT:USDT"] = frame
    return frames


def measure(symbols: int, bars: int, settings: int, threads: int) -> None:
    """Play so many settings and print the rate."""
    frames = market(symbols, bars)
    stamps = next(iter(frames.values())).index[::480]
    funding = {name: pd.Series(0.0001, stamps) for name in frames}
    job = Job(Turns, frames, {}, {"venue": "binance", "cash": 10_000.0, "funding": funding})
    replay = Replay(job)
    cells = [
        Cell(
            k, {"leverage": 2.0 + 18.0 * k / settings, "margin_mode": ("cross", "isolated")[k % 2]}
        )
        for k in range(settings)
    ]
    began = time.perf_counter()
    ready = [replay.ready(cell) for cell in cells]
    recorded = time.perf_counter() - began
    one(ready[:2])
    rates, found, worked = [], [], []
    rows = symbols * bars * settings / weighed(ready)
    for count in (1, threads):
        parts = [ready[k::count] for k in range(count)]
        began, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(count) as pool:
            found = [n for part in pool.map(one, parts) for n in part]
        rates.append(symbols * bars * settings / (time.perf_counter() - began))
        worked.append(symbols * bars * settings / (time.process_time() - used))
    closes = np.concatenate([frame["mark_close"].to_numpy() for frame in frames.values()])
    began = time.perf_counter()
    for _ in range(20):
        closes.sum()
    least = 20 * len(closes) / (time.perf_counter() - began)
    steps, lost = np.mean([n[0] for n in found]), np.sum([n[1] for n in found])
    print(
        f"{symbols} x {bars:,} bars x {settings} settings: {rates[0] / 1e6:,.0f} million a second, "
        f"{threads} threads {rates[1] / 1e6:,.0f} ({rates[1] / rates[0]:.2f} times); "
        f"{worked[0] / 1e6:,.0f} and {worked[1] / 1e6:,.0f} a second of a processor's own time, "
        f"{rows / 1e6:,.0f} with all that a row of statistics is made of; "
        f"a sum of the closes {least / 1e6:,.0f}; recorded and proved in {recorded:.1f} s; "
        f"{steps:,.0f} bars a setting in full, {lost:,} liquidations"
    )


def one(ready: Any, kept: int = 0) -> list[tuple[int, int]]:
    """Cells one after the other over one curve; bars lived in full and liquidations of each."""
    found = []
    symbols, bars = len(ready[0].proof.market.symbols), len(ready[0].proof.market.times)
    state, twin, equity = new_state(symbols, 0), new_state(symbols, 0), np.zeros(bars)
    for cell in ready:
        play(cell.world, cell.rules, cell.own, state, twin, equity, kept)
        found.append((int(state.counts[STEPS]), int(state.counts[LIQUIDATIONS])))
    return found


def weighed(ready: Any) -> float:
    """Processor seconds of playing cells with all that a row of statistics is made of."""
    used = time.process_time()
    one(ready, KEEP_ROW)
    return time.process_time() - used


def main() -> None:
    """Compile, then both markets."""
    began, used = time.perf_counter(), time.process_time()
    frames = market(1, 2_000)
    replay = Replay(Job(Turns, frames, {"every": 100}, {"venue": "binance", "cash": 10_000.0}))
    ready = [replay.ready(Cell(0, {"leverage": 5.0}))]
    before, before_used = time.perf_counter() - began, time.process_time() - used
    one(ready)
    first = time.perf_counter() - began - before
    print(
        f"the kernel was ready in {first:.1f} s ({time.process_time() - used - before_used:.1f} s of work)"
    )
    measure(1, int(sys.argv[1]) if len(sys.argv) > 1 else 525_600, 100, 2)
    measure(10, 52_560, 100, 2)


if __name__ == "__main__":
    main()
