"""How fast the replay kernel is: bars times settings a second, and what compiling it costs.

    python benchmarks/replay_rate.py [SETTINGS]

Two markets, both modes, dated tiers, funding, the path inside the bar, the equity of every bar: a year of
minutes of one symbol under a thousand leverages, and ten symbols of 52,560 minutes under a hundred. Beside it
the bare minimum, a pass over the same closes that adds them up, and the full engine in backtrader.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bt_margin.studies.cells import Cell, Job, run_cell
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


def measure(symbols: int, bars: int, settings: int) -> None:
    """Play so many settings, on one core and on two, and one of them in full; print the rates."""
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
    recorded, work = time.perf_counter() - began, symbols * bars * settings
    one(ready[:2])
    print(f"\n{symbols} x {bars:,} bars x {settings:,} settings, millions of bar-settings a second")
    print(f"  recorded and proved in {recorded:.1f} s")
    for kept, what in ((0, "the equity of every bar"), (KEEP_ROW, "and a row of statistics")):
        alone, used, found = timed(ready, 1, kept)
        both = timed(ready, 2, kept)[0]
        print(
            f"  {what}: {work / alone / 1e6:,.0f} ({work / used / 1e6:,.0f} of a processor's own time), "
            f"two threads {work / both / 1e6:,.0f} ({alone / both:.2f} times)"
        )
    steps, lost = np.mean([n[0] for n in found]), np.sum([n[1] for n in found])
    print(f"  {steps:,.0f} bars a setting lived in full, {lost:,} liquidations")
    closes = np.concatenate([frame["mark_close"].to_numpy() for frame in frames.values()])
    began = time.perf_counter()
    for _ in range(20):
        closes.sum()
    least = (time.perf_counter() - began) / 20
    print(f"  a sum of the same closes, the least there is to do: {len(closes) / least / 1e6:,.0f}")
    used = time.process_time()
    run_cell(cells[-1], job)
    used = time.process_time() - used
    print(f"  the full engine in backtrader, one setting: {symbols * bars / used / 1e6:,.3f}")
    print(
        f"  most memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB"
    )


def timed(ready: Any, threads: int, kept: int) -> tuple[float, float, list[tuple[int, int]]]:
    """Wall and processor seconds of playing these cells, and what :func:`one` found."""
    parts = [ready[k::threads] for k in range(threads)]
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        found = [n for part in pool.map(lambda own: one(own, kept), parts) for n in part]
    return time.perf_counter() - began, time.process_time() - used, found


def one(ready: Any, kept: int = 0) -> list[tuple[int, int]]:
    """Cells one after the other over one curve; bars lived in full and liquidations of each."""
    found = []
    symbols, bars = len(ready[0].proof.market.symbols), len(ready[0].proof.market.times)
    state, twin, equity = new_state(symbols, 0), new_state(symbols, 0), np.zeros(bars)
    for cell in ready:
        play(cell.world, cell.rules, cell.own, state, twin, equity, kept)
        found.append((int(state.counts[STEPS]), int(state.counts[LIQUIDATIONS])))
    return found


def ready_in() -> None:
    """Play one small cell and print how long the kernel took to be ready."""
    frames = market(1, 2_000)
    replay = Replay(Job(Turns, frames, {"every": 100}, {"venue": "binance", "cash": 10_000.0}))
    ready = [replay.ready(Cell(0, {"leverage": 5.0}))]
    began, used = time.perf_counter(), time.process_time()
    one(ready)
    spent = time.perf_counter() - began, time.process_time() - used
    print(f"the kernel was ready in {spent[0]:.1f} s ({spent[1]:.1f} s of work)", flush=True)


def main() -> None:
    """Compile anew, from the cache, then both markets."""
    if sys.argv[1:] == ["--ready"]:
        return ready_in()
    with tempfile.TemporaryDirectory() as folder:
        for what in ("compiled anew", "from the cache"):
            print(f"{what}: ", end="", flush=True)
            own = {**os.environ, "NUMBA_CACHE_DIR": folder}
            subprocess.run([sys.executable, __file__, "--ready"], env=own, check=True)
    measure(1, 525_600, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
    measure(10, 52_560, 100)
    return None


if __name__ == "__main__":
    main()
