"""What the margin broker costs: the same script and data, beside backtrader's own broker.

Every round runs all variants once, in rotating order, in this one process. CPU time is taken, not
wall time, and each variant is divided by the stock run of the same round. The table shows the
medians of those ratios, so a machine that slows down half way does not favour anybody.

    job    the whole run: loading the feeds, indicators, orders, account
    loop   from the strategies' start to their stop: what is left when the feeds are loaded

Loops are held against the stock broker on the same feed; the whole job against stock on PandasData. "All" is
mark prices, funding, a tier table and margin calls together. At the end: what a bar costs early and late in a
run of fills, and what memory a bar takes in runs of different lengths.

    python benchmarks/broker_overhead.py            # forty minutes
    python benchmarks/broker_overhead.py --quick    # three minutes, rougher
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import truediv
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
STOCK, STOCK_PERP = "stock, PandasData", "stock, PerpData"


class Clocked(bt.Strategy):
    """A strategy that notes its CPU time from start to stop and counts its filled orders."""

    def start(self) -> None:
        """Note the time at which the feeds are loaded."""
        self.filled = 0
        self.laps: list[float] = []
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


class EveryBar(Clocked):
    """Buys on one bar and sells on the next, on every feed, without end."""

    params = (("stake", 10),)

    def next(self) -> None:
        """An order a bar; the time at each thousandth."""
        if len(self) % 1_000 == 0:
            self.laps.append(time.process_time())
        for data in self.datas:
            (self.sell if len(self) % 2 else self.buy)(data, size=self.p.stake)


class Never(Clocked):
    """Looks on."""

    def next(self) -> None:
        """Nothing."""


class FiftyOrders(Clocked):
    """Fifty limit orders far below the market, waiting for ever."""

    def next(self) -> None:
        """Send them on the first bar."""
        if len(self) == 1:
            for number in range(50):
                data = self.datas[number % len(self.datas)]
                self.buy(data, size=1, exectype=bt.Order.Limit, price=10.0 + number / 10)


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
    broker = bt.brokers.BackBroker(cash=CASH)
    broker.setcommission(commission=TAKER_FEE)
    return broker


def margin_broker(mode: str) -> Callable[[], bt.BrokerBase]:
    """The margin broker in a mode, with a two-tier table."""

    def made() -> bt.BrokerBase:
        tiers = [(500_000, 0.005, 0), (None, 0.01, None)]
        fees = {"taker_fee": TAKER_FEE, "maker_fee": TAKER_FEE, "liquidation_fee": 0.0}
        venue = btm.venue("generic", tiers=tiers, funding_interval="8h", residual="trader", **fees)
        return btm.MarginBroker(
            venue=venue, margin_mode=mode, leverage=10, cash=CASH, margin_calls=(0.5, 0.8)
        )

    return made


def pandas_feed(frame: pd.DataFrame, name: str) -> bt.feed.DataBase:
    """Backtrader's own feed for frames."""
    return bt.feeds.PandasData(
        dataname=frame, name=name, timeframe=bt.TimeFrame.Minutes, compression=1
    )


def perp_feed(frame: pd.DataFrame, name: str) -> bt.feed.DataBase:
    """The project's feed for frames."""
    return btm.PerpData(dataname=frame, name=name)


CROSS, ISOLATED = margin_broker("cross"), margin_broker("isolated")
VARIANTS = (
    Variant(STOCK, stock_broker, pandas_feed),
    Variant("margin, PandasData", CROSS, pandas_feed),
    Variant(STOCK_PERP, stock_broker, perp_feed),
    Variant("margin, PerpData", CROSS, perp_feed),
    Variant("isolated, PerpData", ISOLATED, perp_feed),
    Variant("margin, PerpData, all", CROSS, perp_feed, with_marks=True),
    Variant("isolated, PerpData, all", ISOLATED, perp_feed, with_marks=True),
)
SAME_FEED = {v.name: STOCK if v.feed is pandas_feed else STOCK_PERP for v in VARIANTS}


class Case(NamedTuple):
    """A strategy on so many feeds of so many one-minute bars."""

    name: str
    script: type[Clocked]
    feeds: int
    bars: int

    def title(self) -> str:
        """As the table is headed."""
        return f"{self.name}: {self.feeds} feed{'s' * (self.feeds > 1)} x {self.bars:,} bars"


CASES = (
    Case("crossing averages", SmaCross, 1, 525_600),
    Case("crossing averages", SmaCross, 10, 52_560),
    Case("bought and held", BuyAndHold, 1, 105_120),
    Case("bought and held", BuyAndHold, 10, 21_024),
    Case("an order every bar", EveryBar, 1, 52_560),
    Case("no trade ever", Never, 1, 105_120),
    Case("no trade ever", Never, 10, 21_024),
    Case("fifty open orders", FiftyOrders, 1, 52_560),
)


def make_frame(bars: int, seed: int) -> pd.DataFrame:
    """One-minute bars around 100 that never stray far, with mark prices and funding."""
    draw = np.random.default_rng(seed)
    level = np.zeros(bars)
    for i, step in enumerate(draw.normal(0.0, 0.0005, bars - 1)):
        level[i + 1] = 0.999 * level[i] + step
    close = 100.0 * np.exp(level)
    opened = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(draw.normal(0.0, 0.0003, (2, bars)))
    frame = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wick[0]),
            "low": np.minimum(opened, close) * (1 - wick[1]),
            "close": close,
            "volume": 1_000.0,
        },
        index=pd.date_range("2024-01-01", periods=bars, freq="min", tz="UTC"),
    )
    for column in ("open", "high", "low", "close"):
        frame[f"mark_{column}"] = frame[column] * 0.9999
    settles = (frame.index.hour % 8 == 0) & (frame.index.minute == 0)
    frame["funding_rate"] = np.where(settles, 0.0001, np.nan)
    return frame


def assembled(
    variant: Variant, script: type[Clocked], frames: Mapping[str, pd.DataFrame]
) -> bt.Cerebro:
    """A script under a variant, ready to run."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = variant.broker()
    for name, frame in frames.items():
        columns = frame if variant.with_marks else frame.iloc[:, :5]
        cerebro.adddata(variant.feed(columns, name))
    cerebro.addstrategy(script)
    return cerebro


def measure(
    variant: Variant, script: type[Clocked], frames: Mapping[str, pd.DataFrame]
) -> Measured:
    """One run of a script under a variant."""
    cerebro = assembled(variant, script, frames)
    gc.collect()
    began = time.process_time()
    (strategy,) = cerebro.run()
    return Measured(
        time.process_time() - began, strategy.loop, strategy.filled, cerebro.broker.getvalue()
    )


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
    loops = {name: [run.loop for run in runs] for name, runs in results.items()}
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
                "loop_ratio": median(map(truediv, loops[name], loops[SAME_FEED[name]])),
                "filled": runs[0].filled,
                "value": runs[0].value,
            }
        )
    return rows


def show(console: Console, title: str, rows: list[dict[str, float | int | str]]) -> None:
    """Print one case as a table."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("variant", no_wrap=True)
    for heading in ("job s", "job ratio", "range", "loop s", "loop ratio", "fills", "value"):
        table.add_column(heading, justify="right")
    for row in rows:
        job = f"{row['job_s']:.2f}", f"{row['job_ratio']:.2f}x"
        between = f"{row['job_ratio_low']:.2f}-{row['job_ratio_high']:.2f}"
        loop = f"{row['loop_s']:.2f}", f"{row['loop_ratio']:.2f}x"
        last = f"{row['filled']:,}", f"{row['value']:,.0f}"
        table.add_row(str(row["variant"]), *job, between, *loop, *last)
    console.print(table)


def early_and_late(bars: int) -> dict[str, float]:
    """CPU time of a bar [us], each with a fill, in the second tenth of a run and in its last."""
    frames = {"C/USDT:USDT": make_frame(bars, seed=0)}
    found = {}
    for name in (STOCK_PERP, "margin, PerpData"):
        variant = next(v for v in VARIANTS if v.name == name)
        (strategy,) = assembled(variant, EveryBar, frames).run()
        laps, tenth = np.diff(strategy.laps) * 1_000.0, max(1, len(strategy.laps) // 10)
        found[f"{name}, early"] = float(np.median(laps[tenth : 2 * tenth + 1]))
        found[f"{name}, late"] = float(np.median(laps[-tenth:]))
    return found


def memory_per_bar(longest: int) -> dict[str, float]:
    """What the loop of a held position leaves behind per bar [bytes], in runs of three lengths."""
    variant = next(v for v in VARIANTS if v.name == "margin, PerpData, all")
    found = {}
    for bars in (longest // 4, longest // 2, longest):
        cerebro = assembled(variant, Measures, {"C": make_frame(bars, seed=0)})
        tracemalloc.start()
        (strategy,) = cerebro.run()
        tracemalloc.stop()
        found[f"{bars:,} bars"] = strategy.grown / bars
    return found


class Measures(BuyAndHold):
    """A holder that weighs what has been allocated since it started."""

    def start(self) -> None:
        """Weigh."""
        super().start()
        self.weight = tracemalloc.get_traced_memory()[0]

    def stop(self) -> None:
        """At the end of the loop."""
        self.grown = tracemalloc.get_traced_memory()[0] - self.weight


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="CPU time of MarginBroker beside the stock broker")
    parser.add_argument(
        "--quick", action="store_true", help="a twentieth of the bars, three rounds"
    )
    parser.add_argument("--rounds", type=int, help="rounds per case (5, with --quick 3)")
    parser.add_argument("--cases", default="", help="only cases whose name contains this")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    return parser.parse_args()


def main() -> None:
    """Measure every case and print the ratios."""
    given = arguments()
    divisor = 20 if given.quick else 1
    rounds = given.rounds or (3 if given.quick else 5)
    console = Console(width=None if sys.stdout.isatty() else 120)
    cases = [c._replace(bars=c.bars // divisor) for c in CASES if given.cases in c.name]
    report: dict[str, list[dict[str, float | int | str]]] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=len(cases) * rounds * len(VARIANTS))
        for case in cases:
            frames = {f"C{i}/USDT:USDT": make_frame(case.bars, seed=i) for i in range(case.feeds)}
            results = rounds_of(case.script, frames, rounds, lambda: progress.advance(task))
            report[case.title()] = summarise(results)
    growth = early_and_late(100_000 // divisor), memory_per_bar(80_000 // divisor)
    if given.json:
        print(json.dumps({"cases": report, "us_per_bar": growth[0], "bytes_per_bar": growth[1]}))
        return
    for title, rows in report.items():
        show(console, title, rows)
    for what, found in zip(("us a bar with a fill", "bytes kept a bar"), growth, strict=True):
        console.print(f"{what}: " + ", ".join(f"{name} {n:.1f}" for name, n in found.items()))


if __name__ == "__main__":
    main()
