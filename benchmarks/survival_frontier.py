"""The survival frontier of the trend and pairs strategies on real Bitcoin and Ether, hourly, since 2019.

    python benchmarks/survival_frontier.py [--starts 1d] [--horizon 90d] [--probes 4] [--engine auto]
        [--workers N] [--out DIR] [--strategies trend.py pairs.py]

Needs the hourly history of BTCUSDT and ETHUSDT (last, mark, funding; Parquet), in the folder that the
environment variable ``BT_MARGIN_MARKET`` names, else in ``../shared/market``; says so and ends without it.
Fifty leverages in both margin modes from every start; tables and pages go to ``--out``. ``--starts 60`` takes
sixty starts evenly through the history.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "BT_MARGIN_MARKET"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
KINDS = ("ohlcv_1h", "mark_1h", "funding_8h")
STRATEGIES = ("trend.py", "pairs.py")


def market() -> dict[str, Any] | None:
    """The frames by symbol; None when the history is not there."""
    from bt_margin.market.files import load_market

    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else ROOT.parent / "shared" / "market"
    files = [folder / f"binance_{symbol}_{kind}.parquet" for symbol in SYMBOLS for kind in KINDS]
    if not all(file.is_file() for file in files):
        return None
    return dict(
        load_market(files, SYMBOLS, timeframe="1h", missing_funding="skip", missing_marks="skip")
    )


def starts_of(text: str, frames: dict[str, Any]) -> Any:
    """A step of time as it is; a number as that many midnights, evenly through the history."""
    if not text.isdigit():
        return text
    import pandas as pd

    first = max(frame.index[0] for frame in frames.values()) + pd.Timedelta("60D")
    last = min(frame.index[-1] for frame in frames.values()) - pd.Timedelta("91D")
    return list(pd.date_range(first, last, periods=int(text)).floor("D"))


def told(began: float) -> Callable[[str, float], None]:
    """A line on the error stream every tenth of the way."""
    reached = [0]

    def progress(_: str, share: float) -> None:
        if int(share * 10.0) > reached[0]:
            reached[0] = int(share * 10.0)
            seconds = time.perf_counter() - began
            print(f"{share:.0%} after {seconds:,.0f} s", file=sys.stderr, flush=True)

    return progress


def main() -> None:
    """Both frontiers, their wall times, and their pages."""
    from bt_margin.studies.load import find_strategy
    from bt_margin.studies.survival import survival

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", default="1d")
    parser.add_argument("--horizon", default="90d")
    parser.add_argument(
        "--probes", default="4", help="how many rungs are whole rows, or which: 1,5"
    )
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--strategies", nargs="*", default=STRATEGIES)
    parser.add_argument("--out", type=Path, default=Path("survival"))
    own = parser.parse_args()
    frames = market()
    if frames is None:
        sys.exit(
            f"no real market data: neither {VARIABLE} nor ../shared/market beside the checkout"
        )
    probes = [float(word) for word in own.probes.split(",")]
    for name in own.strategies:
        began = time.perf_counter()
        found = survival(
            find_strategy(str(ROOT / "strategies" / name)), frames, starts=starts_of(own.starts, frames),
            horizon=own.horizon, leverages=range(1, 51), venue="binance", cash=10_000.0,
            probes=probes if len(probes) > 1 else int(probes[0]), engine=own.engine, workers=own.workers,
            progress=told(time.perf_counter()),
        )  # fmt: skip
        seconds = time.perf_counter() - began
        found.to_dir(own.out / Path(name).stem)
        print(repr(found))
        known = len(found.frontier) * len(found.plan.ladder)
        print(f"{name}: {len(found.runs):,} of {known:,} rungs known, {found.stamp['runs']}")
        print(
            f"{seconds:,.0f} s, {seconds / found.frontier['start'].nunique():.3f} s a start\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
