"""Tracks and events made by hand for the tests of the studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bt_margin.engine.events import Event
from bt_margin.studies.divergence import Note, Track
from bt_margin.studies.pieces import CAUSES

HOUR = 3_600_000


def event(number: int, bar: int, kind: str, **facts: Any) -> Event:
    """An engine event in the given hourly bar."""
    return Event(number, bar * HOUR, kind, **facts)


def make_track(
    name: str,
    equity: Sequence[float],
    exposure: Mapping[str, Sequence[float]] | None = None,
    *,
    start: float = 100.0,
    flows: Mapping[str, Sequence[float]] | None = None,
    events: Sequence[Event] = (),
    slack: Mapping[str, Sequence[float]] | None = None,
) -> Track:
    """A run with these equities at the closes of hourly bars, and exposures by symbol."""
    bars = len(equity)
    booked = {cause: np.zeros(bars) for cause in CAUSES if cause != "price"}
    booked |= {cause: np.asarray(flow, dtype=float) for cause, flow in (flows or {}).items()}
    return Track(
        name=name,
        times=np.arange(bars, dtype=np.int64) * HOUR,
        start=start,
        equity=np.asarray(equity, dtype=float),
        exposure={s: np.asarray(x, dtype=float) for s, x in (exposure or {}).items()},
        flows=booked,
        slack={s: np.asarray(x, dtype=float) for s, x in (slack or {}).items()},
        notes=[Note(e.time // HOUR, e) for e in events],
    )
