"""What the figures draw: curves, drawdowns and the places of liquidations, thinned for the eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.report.thin import thin
from bt_margin.report.words import liquidations
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.stats import drawdowns
from bt_margin.studies.summary import growth_of

#: One colour per scenario, told apart by colour-blind eyes, legible on light and dark.
COLOURS = ("#2f7fd6", "#e0702a", "#1fa187", "#b565c9", "#c9a227", "#d64f6d", "#6a7fdb", "#7d8a3c")
#: One kind of line per scenario, so that colour is not all that tells them apart: as SVG and plotly write it.
DASHES = ("", "7 4", "2 3", "9 3 2 3", "14 4", "4 2 4 5", "1 4", "12 3 2 3 2 3")
PLOTLY_DASHES = ("solid", *(each.replace(" ", "px,") + "px" for each in DASHES[1:]))


@dataclass(frozen=True)
class Curve:
    """One scenario's lines: ``equity`` and ``drawdown`` at ``times``; ``crosses``: its liquidations."""

    name: str
    colour: str
    times: pd.DatetimeIndex
    equity: NDArray[np.float64]
    drawdown: NDArray[np.float64]
    cross_times: pd.DatetimeIndex
    cross_equity: NDArray[np.float64]
    cross_texts: tuple[str, ...]


def curves(comparison: Comparison, most: int = 4000) -> list[Curve]:
    """The curves of a comparison, each with at most about ``most`` points and all its liquidations."""
    index, fallen = comparison.index, liquidations(comparison)
    found = []
    for number, (run, track) in enumerate(
        zip(comparison.runs.values(), comparison.tracks, strict=True)
    ):
        own = [row for row in fallen if row["scenario"] == run.name]
        moments = pd.DatetimeIndex([row["time"] for row in own], tz="UTC")
        bars = np.maximum(index.searchsorted(moments, side="right") - 1, 0)
        places = thin(track.equity, most, bars)
        below = drawdowns(growth_of(run, track)).to_numpy(dtype=float)
        found.append(
            Curve(
                name=run.name,
                colour=COLOURS[number % len(COLOURS)],
                times=index[places],
                equity=track.equity[places],
                drawdown=below[places],
                cross_times=index[bars],
                cross_equity=track.equity[bars],
                cross_texts=tuple(f"{row['symbol']}: {row['explanation']}" for row in own),
            )
        )
    return found
