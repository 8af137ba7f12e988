"""What a sweep costs: per cell, per million cells, and what the workers and the machinery take of it.

Measures, on this machine, a strategy over a year of hourly bars (8,760) and over 2,000 bars:

    serial     cells in one process: what a cell costs in CPU time, and how much of it is the run itself
    backends   the same cells on every backend there is, with two workers: speed-up over serial, and that the
               table is the same to the last bit
    replay     the same sweep with engine="auto", where a replay kernel is installed
    sending    a cell that does nothing, on each backend: what handing out one cell costs
    data       how large the packed job is, how long packing takes and how long a worker opens it

and extrapolates to a million cells: hours of one core, and wall time on 2, 16, 64 and 1,000 cores if each is
as fast as this one and nothing else stands in the way.

    python benchmarks/sweep_cost.py            # some minutes
    python benchmarks/sweep_cost.py --quick    # one minute, rougher
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import backtrader as bt
import numpy as np
from rich.console import Console
from rich.table import Table

import bt_margin as btm
from bt_margin.errors import InputError
from bt_margin.studies import parcel
from bt_margin.studies.backends import Crew, check, each
from bt_margin.studies.cells import Cell, Job, Outcome, run_cell, statistics
from bt_margin.studies.sweep import sweep

SYMBOL = "BTC/USDT:USDT"
MILLION = 1_000_000
BACKENDS = ("serial", "loky", "threading", "dask", "ray")
CORES = (2, 16, 64, 1_000)


class Trend(bt.Strategy):
    """Long above the crossing of two averages, short below it."""

    params = (("fast", 24), ("slow", 96), ("exposure", 2.0))

    def __init__(self) -> None:
        fast, slow = (bt.ind.SMA(self.data, period=p) for p in (self.p.fast, self.p.slow))
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self) -> None:
        """Turn round at a crossing."""
        if self.cross[0]:
            self.order_target_percent(target=self.p.exposure * self.cross[0])


def nothing(cell: Cell, job: Job) -> Outcome:
    """A cell without work."""
    return Outcome(cell, {"engine": "full", "seconds": 0.0, "error": ""})


def grid(count: int) -> dict[str, list[Any]]:
    """So many cells: leverages in both margin modes."""
    return {
        "leverage": [float(f"{x:.6g}") for x in np.linspace(2, 50, max(1, count // 2))],
        "margin_mode": ["cross", "isolated"],
    }


def serial(job: Job, count: int) -> dict[str, float]:
    """CPU seconds of a cell in one process: the run, and the statistics of it."""
    runs, rests = [], []
    for number in range(count):
        cell = Cell(number, {"leverage": 2.0 + number, "margin_mode": "isolated"})
        started = time.process_time()
        run = run_cell(cell, job)
        between = time.process_time()
        statistics(run)
        runs.append(between - started)
        rests.append(time.process_time() - between)
    return {"run": median(runs), "statistics": median(rests)}


def across(data: Any, count: int, workers: int) -> list[dict[str, Any]]:
    """The same sweep on each backend."""
    rows: list[dict[str, Any]] = []
    first = None
    for name in BACKENDS:
        try:
            check(Crew(name, workers))
        except InputError as missing:
            rows.append({"backend": name, "skipped": str(missing)})
            continue
        started = time.perf_counter()
        found = sweep(
            Trend,
            data,
            grid(count),
            venue="binance",
            cash=10_000.0,
            engine="full",
            backend=name,
            workers=workers,
        )
        seconds = time.perf_counter() - started
        table = found.frame.drop(columns="seconds")
        first = table if first is None else first
        job = Job(Trend, found.job.data, {}, found.job.common)
        rows.append(
            {
                "backend": name,
                "wall seconds": seconds,
                "cells": len(table),
                "equal": bool(table.equals(first)),
                "sending": sending(job, name, workers, 200),
            }
        )
    for row in rows:
        if "wall seconds" in row:
            row["speed-up"] = rows[0]["wall seconds"] / row["wall seconds"]
    return rows


def sending(job: Job, name: str, workers: int, count: int) -> float:
    """Seconds of handing out a cell and taking it back, beyond the first."""
    cells = [Cell(number, {"leverage": 2.0}) for number in range(count)]
    coming = each(job, cells, Crew(name, workers), work=nothing)
    next(coming)
    started = time.perf_counter()
    rest = sum(1 for _ in coming)
    return (time.perf_counter() - started) / max(1, rest)


def replay(data: Any, count: int) -> dict[str, Any]:
    """The sweep with engine="auto": what each cell took when the kernel is warm."""
    common: dict[str, Any] = {"venue": "binance", "cash": 10_000.0, "backend": "serial"}
    sweep(Trend, data, grid(4), **common)
    started = time.perf_counter()
    found = sweep(Trend, data, grid(count), **common)
    seconds = time.perf_counter() - started
    return {"cells": count, "seconds": seconds, "engines": found.engines, "check": found.check}


def shipping(job: Job) -> dict[str, float]:
    """The packed job: bytes, seconds of packing, seconds of opening."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with parcel.packed(job, folder) as packed:
            between = time.perf_counter()
            size = Path(packed.path).stat().st_size
            parcel._OPEN.clear()
            again = time.perf_counter()
            parcel.opened(packed)
            return {
                "bytes": size,
                "packing": between - started,
                "opening": time.perf_counter() - again,
            }


def million(seconds: float) -> dict[str, float]:
    """A million cells of so many seconds each: hours on one core, and of wall time on several."""
    hours = seconds * MILLION / 3600
    return {"1 core": hours} | {f"{cores:,} cores": hours / cores for cores in CORES}


def table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Rows as a table."""
    made = Table(title=title, title_justify="left")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        made.add_column(name, justify="right")
    for row in rows:
        made.add_row(*(_text(row.get(name, "")) for name in names))
    return made


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if math.isfinite(value) else "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--quick", action="store_true", help="fewer cells")
    words.add_argument("--workers", type=int, default=2)
    words.add_argument("--json", action="store_true")
    asked = words.parse_args()
    market = btm.sample_market()
    cells = 12 if asked.quick else 60
    found: dict[str, Any] = {}
    for bars in (2_000, 8_760):
        data = {SYMBOL: market[SYMBOL].iloc[:bars]}
        job = Job(Trend, data, {}, {"venue": "binance", "cash": 10_000.0})
        own = serial(job, 5 if asked.quick else 15)
        found[f"{bars:,} bars"] = {
            "cell": own,
            "million": million(sum(own.values())),
            "data": shipping(job),
        }
    found["backends"] = across({SYMBOL: market[SYMBOL].iloc[:8_760]}, cells, asked.workers)
    found["replay"] = replay({SYMBOL: market[SYMBOL].iloc[:8_760]}, cells if asked.quick else 1_000)
    if asked.json:
        json.dump(found, sys.stdout, indent=1)
        return
    console = Console()
    sizes = [name for name in found if name.endswith("bars")]
    for part, title in (
        ("cell", "CPU seconds of a cell, one process"),
        ("million", "hours of a million such cells"),
        ("data", "the packed job: bytes, seconds of packing and of opening"),
    ):
        console.print(table(title, [{"": name, **found[name][part]} for name in sizes]))
    load = os.getloadavg()[0]
    title = f"{asked.workers} workers, 8,760 bars (load of the machine {load:.1f})"
    console.print(table(title, found["backends"]))
    console.print(table('engine="auto"', [found["replay"]]))


if __name__ == "__main__":
    main()
