"""What the margin broker costs: the same script and data, beside backtrader's own broker.

Every round runs all variants once, in rotating order, in this one process. CPU time is taken, not
wall time, and each variant is divided by the stock run of the same round. The table shows the
medians of those ratios, so a machine that slows down half way does not favour anybody.

    job    the whole run: loading the feeds, indicators, orders, account
    loop   from the strategies' start to their stop: what is left when the feeds are loaded

    python benchmarks/broker_overhead.py            # ten minutes
    python benchmarks/broker_overhead.py --quick    # less than one minute, rougher
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import backtrader as bt
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import bt_margin as btm

CASH = 1_000_000.0
TAKER_FEE = 0.0005
STOCK = "stock, PandasData"


class Clocked(bt.Strategy):
    """A strategy that notes its CPU time from start to stop and counts its filled orders."""

    def start(self) -> None:
        """Note the time at which the feeds are loaded."""
        self.filled = 0
        self.began = time.process_time()

    def stop(self) -> None:
        """Note how long the loop took."""
        self.loop = time.process_time() - self.began

    def notify_order(self, order: bt.Order) -> None:
        """Count what was filled."""
        self.filled += order.status == order.Completed


class SmaCross(Clocked):
    """Long above the crossing of two averages, short below it, on every feed."""

    params = (("fast", 10), ("slow", 50), ("stake", 10))

    def __init__(self) -> None:
        self.crossings = [
            bt.ind.CrossOver(bt.ind.SMA(d, period=self.p.fast), bt.ind.SMA(d, period=self.p.slow))
            for d in self.datas
        ]

    def next(self) -> None:
        """Turn the position round on the bar of a crossing."""
        for data, crossing in zip(self.datas, self.crossings, strict=True):
            if crossing[0]:
                self.order_target_size(data, self.p.stake * crossing[0])


class BuyAndHold(Clocked):
    """One purchase on every feed, then nothing: the cost of merely holding."""

    params = (("stake", 10),)

    def next(self) -> None:
        """Buy on the first bar."""
        if len(self) == 1:
            for data in self.datas:
                self.buy(data, size=self.p.stake)


@dataclass(frozen=True)
class Variant:
    """A broker and the kind of feed it is given."""

    name: str
    broker: Callable[[], bt.BrokerBase]
    feed: Callable[[pd.DataFrame, str], bt.feed.DataBase]
    with_marks: bool = False


class Measured(NamedTuple):
    """One run: CPU seconds of the whole job and of its loop, orders filled, final value."""

    job: float
    loop: float
    filled: int
    value: float


def stock_broker() -> bt.BrokerBase:
    """Backtrader's own broker with the same cash and fee."""
    broker = bt.brokers.BackBroker()
    broker.setcash(CASH)
    broker.setcommission(commission=TAKER_FEE)
    return broker


def margin_broker() -> bt.BrokerBase:
    """The margin broker in cross mode with a two-tier table."""
    venue = btm.venue(
        "generic",
        tiers=[(500_000, 0.005, 0), (None, 0.01, None)],
        taker_fee=TAKER_FEE,
        maker_fee=TAKER_FEE,
        liquidation_fee=0.0,
        funding_interval="8h",
        residual="trader",
    )
    return btm.MarginBroker(venue=venue, margin_mode="cross", leverage=10, cash=CASH)


def pandas_feed(frame: pd.DataFrame, name: str) -> bt.feed.DataBase:
    """Backtrader's own feed for frames."""
    return bt.feeds.PandasData(
        dataname=frame, name=name, timeframe=bt.TimeFrame.Minutes, compression=60
    )


def perp_feed(frame: pd.DataFrame, name: str) -> bt.feed.DataBase:
    """The project's feed for frames."""
    return btm.PerpData(dataname=frame, name=name)


VARIANTS = (
    Variant(STOCK, stock_broker, pandas_feed),
    Variant("margin, PandasData", margin_broker, pandas_feed),
    Variant("margin, PerpData", margin_broker, perp_feed),
    Variant("margin, PerpData, mark+funding", margin_broker, perp_feed, with_marks=True),
)


def make_frame(bars: int, seed: int) -> pd.DataFrame:
    """An hourly random walk around 100 that never strays far, with mark prices and funding."""
    draw = np.random.default_rng(seed)
    level = np.zeros(bars)
    for i, step in enumerate(draw.normal(0.0, 0.005, bars - 1)):
        level[i + 1] = 0.999 * level[i] + step
    close = 100.0 * np.exp(level)
    opened = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(draw.normal(0.0, 0.002, (2, bars)))
    frame = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wick[0]),
            "low": np.minimum(opened, close) * (1 - wick[1]),
            "close": close,
            "volume": 1_000.0,
        },
        index=pd.date_range("2010-01-01", periods=bars, freq="h", tz="UTC"),
    )
    for column in ("open", "high", "low", "close"):
        frame[f"mark_{column}"] = frame[column] * 0.9999
    settles = frame.index.hour % 8 == 0
    frame["funding_rate"] = np.where(settles, 0.0001, np.nan)
    return frame


def measure(
    variant: Variant, script: type[Clocked], frames: Mapping[str, pd.DataFrame]
) -> Measured:
    """One run of a script under a variant."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = variant.broker()
    for name, frame in frames.items():
        columns = frame if variant.with_marks else frame.iloc[:, :5]
        cerebro.adddata(variant.feed(columns, name))
    cerebro.addstrategy(script)
    gc.collect()
    began = time.process_time()
    (strategy,) = cerebro.run()
    job = time.process_time() - began
    return Measured(job, strategy.loop, strategy.filled, cerebro.broker.getvalue())


def rounds_of(
    script: type[Clocked],
    frames: Mapping[str, pd.DataFrame],
    rounds: int,
    tick: Callable[[], None],
) -> dict[str, list[Measured]]:
    """All variants, once per round, each round beginning with another one."""
    results: dict[str, list[Measured]] = {variant.name: [] for variant in VARIANTS}
    for number in range(rounds):
        shift = number % len(VARIANTS)
        for variant in VARIANTS[shift:] + VARIANTS[:shift]:
            results[variant.name].append(measure(variant, script, frames))
            tick()
    return results


def summarise(results: Mapping[str, list[Measured]]) -> list[dict[str, float | int | str]]:
    """Per variant: median times, and medians of the ratios to the stock run of the same round."""
    stock = results[STOCK]
    rows: list[dict[str, float | int | str]] = []
    for name, runs in results.items():
        if {run.filled for run in runs} != {stock[0].filled}:
            raise SystemExit(f"{name} filled other orders than the stock broker: not comparable")
        ratios = [run.job / base.job for run, base in zip(runs, stock, strict=True)]
        rows.append(
            {
                "variant": name,
                "job_s": median(run.job for run in runs),
                "job_ratio": median(ratios),
                "job_ratio_low": min(ratios),
                "job_ratio_high": max(ratios),
                "loop_s": median(run.loop for run in runs),
                "loop_ratio": median(r.loop / b.loop for r, b in zip(runs, stock, strict=True)),
                "filled": runs[0].filled,
                "value": runs[0].value,
            }
        )
    return rows


def show(console: Console, title: str, rows: list[dict[str, float | int | str]]) -> None:
    """Print one case as a table."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("variant", no_wrap=True)
    for heading in (
        "job s",
        "job ratio",
        "range",
        "loop s",
        "loop ratio",
        "fills",
        "value",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            str(row["variant"]),
            f"{row['job_s']:.2f}",
            f"{row['job_ratio']:.2f}x",
            f"{row['job_ratio_low']:.2f}-{row['job_ratio_high']:.2f}",
            f"{row['loop_s']:.2f}",
            f"{row['loop_ratio']:.2f}x",
            f"{row['filled']:,}",
            f"{row['value']:,.0f}",
        )
    console.print(table)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="CPU time of MarginBroker beside the stock broker")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bars, three rounds")
    parser.add_argument("--rounds", type=int, help="rounds per case (5, with --quick 3)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    return parser.parse_args()


def main() -> None:
    """Measure every case and print the ratios."""
    given = arguments()
    divisor = 10 if given.quick else 1
    rounds = given.rounds or (3 if given.quick else 5)
    shapes = ((1, 100_000 // divisor), (10, 20_000 // divisor))
    scripts: tuple[type[Clocked], ...] = (SmaCross, BuyAndHold)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    report: dict[str, list[dict[str, float | int | str]]] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(
            "measuring", total=len(shapes) * len(scripts) * rounds * len(VARIANTS)
        )
        for feeds, bars in shapes:
            frames = {f"C{i}/USDT:USDT": make_frame(bars, seed=i) for i in range(feeds)}
            for script in scripts:
                title = f"{script.__name__}, {feeds} feed{'s' * (feeds > 1)} x {bars:,} bars"
                results = rounds_of(script, frames, rounds, lambda: progress.advance(task))
                report[title] = summarise(results)
    if given.json:
        print(json.dumps(report, indent=2))
        return
    for title, rows in report.items():
        show(console, title, rows)


if __name__ == "__main__":
    main()
