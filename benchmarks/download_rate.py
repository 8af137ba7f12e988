"""How fast a download is beside the bare ccxt client, and how much memory it takes.

A server on this machine, in a process of its own, answers as Binance does and holds minutes of invented
bars. Every round fetches the same year with the bare ccxt class (pages of 1,000, its limiter off, nothing
kept) and with the project's download (pages checked, stored as Parquet, committed), in turns; the table
shows medians, and each round's ratio of the two rates. Memory is the peak of a fresh process that downloads
one year, and of one that downloads three.

    python benchmarks/download_rate.py            # two minutes
    python benchmarks/download_rate.py --rounds 3
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from market.loopback import Coin, loopback_apart, ms
from rich.console import Console
from rich.table import Table

from bt_margin.market.fetch import Order, fetch
from bt_margin.market.store import Store

SYMBOL, PAGE, MINUTE = "BTC/USDT:USDT", 1_000, 60_000
START, YEARS = ms("2021-01-01"), 3
SPAN = (START, ms("2022-01-01"))


def bare(client: Any) -> float:
    """Seconds the ccxt class takes for the year, page by page."""
    started, rows = time.perf_counter(), 0
    for since in range(SPAN[0], SPAN[1], PAGE * MINUTE):
        until = min(SPAN[1], since + PAGE * MINUTE) - 1
        rows += len(client.fetch_ohlcv(SYMBOL, "1m", since, PAGE, {"until": until}))
    assert rows == (SPAN[1] - SPAN[0]) // MINUTE, rows
    return time.perf_counter() - started


def ours(options: dict[str, Any], span: tuple[int, int] = SPAN) -> float:
    """Seconds of the download of a span into an empty store, from the first page to the last commit."""
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        wanted = Order("binanceusdm", (SYMBOL,), "1m", (span,), ("ohlcv",), True, options)
        report = fetch([wanted], Store(folder), told=lambda at: moments.append(time.perf_counter()))
        ended = time.perf_counter()
    assert report.complete, report
    assert report.jobs[0].rows == (span[1] - span[0]) // MINUTE, report
    return ended - moments[0]


def peak(options: dict[str, Any], years: int) -> float:
    """Peak memory in MB of a fresh process that downloads so many years."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_peak_here, (options, years)))


def _peak_here(options: dict[str, Any], years: int) -> float:
    ours(options, (START, START + years * (SPAN[1] - SPAN[0])))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(pairs: list[tuple[float, float]], peaks: dict[int, float]) -> None:
    """The table."""
    rows = (SPAN[1] - SPAN[0]) // MINUTE
    table = Table(title=f"One year of 1m bars ({rows:,}), {len(pairs)} rounds")
    for name in ("", "seconds", "bars a second", "rate beside bare ccxt"):
        table.add_column(name, justify="right")
    for name, place in (("bare ccxt", 0), ("download", 1)):
        taken = median(pair[place] for pair in pairs)
        share = median(pair[0] / pair[place] for pair in pairs)
        table.add_row(name, f"{taken:.2f}", f"{rows / taken:,.0f}", f"{share:.2f}")
    console = Console()
    console.print(table)
    told = ", ".join(
        f"{years} {'year' if years == 1 else 'years'} {mb:.0f} MB" for years, mb in peaks.items()
    )
    console.print(f"peak memory of a fresh process: {told}")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    coin = Coin("BTC", listed=START)
    with loopback_apart("binanceusdm", coin, now=ms("2024-01-02"), warm=("1m",)) as server:
        client, options = server.client(), server.exchange_options
        client.load_markets()
        bare(client)
        pairs = []
        for number in range(rounds):
            turns = [lambda: bare(client), lambda: ours(options)]
            taken = [turn() for turn in (turns if number % 2 == 0 else turns[::-1])]
            pairs.append((taken[0], taken[1]) if number % 2 == 0 else (taken[1], taken[0]))
        show(pairs, {years: peak(options, years) for years in (1, YEARS)})


if __name__ == "__main__":
    main()
