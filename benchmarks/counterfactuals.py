"""What would have avoided each liquidation: replayed and in full, one after the other, as a ratio.

    python benchmarks/counterfactuals.py [BARS]

A strategy that goes long and short in turns on random walks of minutes, isolated, at a leverage at which it
is liquidated every few days.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from replay_rate import Turns, market

from bt_margin.studies.counterfactual import counterfactuals
from bt_margin.studies.run import run


def main() -> None:
    """Both ways, and the tables compared."""
    bars = int(sys.argv[1]) if len(sys.argv) > 1 else 52_560
    frames = market(2, bars)
    found = run(
        Turns, frames, params={"exposure": 2.0}, venue="binance", margin_mode="isolated", leverage=50,
        cash=100_000.0,
    )  # fmt: skip
    counterfactuals(found, engine="replay", leverages=[1])  # compiled, or read from the cache
    seconds, tables = {}, {}
    for engine in ("replay", "full"):
        began = time.perf_counter()
        tables[engine] = counterfactuals(found, engine=engine)
        seconds[engine] = time.perf_counter() - began
        print(f"{engine}: {seconds[engine]:.1f} s. {tables[engine].attrs['engines']['run']}")
    one, other = (tables[engine].drop(columns="engine") for engine in ("replay", "full"))
    gap = (one.select_dtypes("number") - other.select_dtypes("number")).abs().max().max()
    print(f"{bars:,} bars of two symbols, {len(one)} breaches; one run in backtrader: {found.seconds:.2f} s")
    print(f"in full / replayed: {seconds['full'] / seconds['replay']:.1f}; the tables differ by {gap:.2g}")


if __name__ == "__main__":
    main()
