"""How much more margin would have saved a liquidated position.

At a breach the pool's equity no longer exceeds its requirement. With the positions as they stood, and nothing
else done, the pool lives through a stretch of bars when its equity exceeds the requirement at every mark of
it. The smallest extra margin is what lacks at the worst:

    max over the marks p of the stretch:   Σ maintenance(p) − (equity at the breach + Σ pnl(mark → p))

Each position has its worst mark at the lowest (a long) or the highest (a short) of the stretch. For one
position that is exact. Several positions need not have their worst marks at the same moment, and a position
traded within the bar may not have lived through all of it: then the number is enough, but less may have been
(*at most*). Orders, funding and fees of the stretch are left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bt_margin.studies.prices import HOUR, Bars
from bt_margin.studies.result import Run

WEEK = 168 * HOUR


@dataclass(frozen=True, slots=True)
class Rescue:
    """Extra margin [settle] that had to be there at a breach: to live through its ``bar``, and the next week.

    ``exact``: no less would have done; else it is at most so much. None: the data ends before.
    """

    bar: float | None
    week: float | None
    exact: bool


def rescues(run: Run, bars: Mapping[str, Bars]) -> dict[int, Rescue]:
    """By the id of each breach of a run what would have saved its pool; one pass over the events."""
    held: dict[str, float] = {}
    traded: dict[str, int] = {}
    found: dict[int, Rescue] = {}
    for event in run.broker.events:
        if event.kind == "breach":
            sizes = {s: held.get(s, 0.0) for s in event.info.get("marks", {})}
            if sizes and all(s in bars and size for s, size in sizes.items()):
                found[event.id] = _rescue(run, event, sizes, traded, bars)
        elif event.kind in ("fill", "liquidation") and event.size:
            before = held.get(event.symbol, 0.0)
            after = 0.0 if event.info.get("whole") else before + event.size
            if abs(after) <= 1e-9 * max(abs(before), abs(event.size)):
                after = 0.0
            if event.kind == "fill":
                traded[event.symbol] = event.time
            held[event.symbol] = after
    return found


def _rescue(
    run: Run,
    breach: Any,
    sizes: Mapping[str, float],
    traded: Mapping[str, int],
    bars: Mapping[str, Bars],
) -> Rescue:
    first = {symbol: max(0, bars[symbol].at(breach.time)) for symbol in sizes}
    begins = max(int(bars[s].times[bar]) for s, bar in first.items())
    alone = len(sizes) == 1 and all(traded.get(s, 0) < begins for s in sizes)
    ends = max(int(bars[s].times[bar]) + bars[s].step for s, bar in first.items())
    at_once = _lacking(run, breach, sizes, first, bars, ends)
    known = all(int(bars[s].times[-1]) + bars[s].step >= ends + WEEK for s in sizes)
    week = _lacking(run, breach, sizes, first, bars, ends + WEEK) if known else None
    return Rescue(at_once, week, alone)


def _lacking(
    run: Run,
    breach: Any,
    sizes: Mapping[str, float],
    first: Mapping[str, int],
    bars: Mapping[str, Bars],
    until: int,
) -> float:
    """What lacks at the worst marks from the bar of the breach until a moment."""
    account, marks = run.broker.account, breach.info["marks"]
    need, equity = float(breach.info.get("shared", 0.0)), float(breach.allowed)
    for symbol, size in sizes.items():
        own, contract = bars[symbol], account.book[symbol].contract
        stop = max(first[symbol] + 1, int(np.searchsorted(own.times, until, side="left")))
        part = slice(first[symbol], stop)
        low, high = float(np.min(own.mark_low[part])), float(np.max(own.mark_high[part]))
        worst = min(low, marks[symbol]) if size > 0 else max(high, marks[symbol])
        table = account.asked[breach.id][symbol]
        need += table.maintenance(contract.notional(size, worst))
        equity += contract.pnl(size, marks[symbol], worst)
    return max(0.0, need - equity)
