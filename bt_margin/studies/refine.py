"""Finer bars exactly where they decide: run, see which bars were dangerous, fetch those, run again.

A bar in which a pool could have been liquidated is walked along a guessed path unless finer bars show the
true one. Only such bars are asked for, so a year of minutes is never loaded for the sake of ten candles. The
finer path may lead the run elsewhere, into other dangerous bars: then those are asked for as well, until
none is left that has not been asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from bt_margin.studies.comparison import Comparison

Span = tuple[int, int]
Finer = Callable[[str, Sequence[Span]], "pd.DataFrame | None"]
"""Finer bars of a symbol within spans of UTC epoch ms, as a frame like `detail=` takes it; None: none."""


def refined(once: Callable[[dict[str, pd.DataFrame]], Comparison], finer: Finer) -> Comparison:
    """The comparison in which every dangerous bar that has finer bars was walked along them.

    ``once`` makes the comparison with the finer bars found so far.
    """
    found: dict[str, pd.DataFrame] = {}
    asked: set[tuple[str, int, int]] = set()
    while True:
        result = once(found)
        blind = blind_bars(result) - asked
        if not blind:
            return result
        asked |= blind
        news = {
            symbol: finer(
                symbol, sorted((start, end) for name, start, end in blind if name == symbol)
            )
            for symbol in sorted({name for name, _, _ in blind})
        }
        arrived = {
            symbol: frame for symbol, frame in news.items() if frame is not None and len(frame)
        }
        if not arrived:
            return result
        for symbol, frame in arrived.items():
            found[symbol] = _joined(found.get(symbol), frame)


def blind_bars(result: Comparison) -> set[tuple[str, int, int]]:
    """Dangerous bars (symbol, start, end) of any run that were walked along a guessed path."""
    runs = [*result.runs.values()]
    runs += [run for extremes in result.extremes.values() for run in extremes.values()]
    return {bar for run in runs for bar in run.fidelity["walked_blind"]}


def _joined(one: pd.DataFrame | None, two: pd.DataFrame) -> pd.DataFrame:
    if one is None:
        return two
    both = pd.concat([one, two]).sort_index()
    return both[~both.index.duplicated(keep="last")]
