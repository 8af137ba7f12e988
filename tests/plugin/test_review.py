"""Defects a review found, each by the smallest run that shows it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from plugin.stage import BTC, act, bars, broker_of, kinds

import bt_margin as btm

WICK = bars([100, 100, 100, (100, 100, 50, 100), 100])
CALM = pd.DataFrame({"open": 100.0, "high": 100.0, "low": 99.0, "close": 100.0}, WICK.index)


def perp(broker: Any, frames: Any, plan: Any = None, **more: Any) -> Any:
    """The strategy after a run on :class:`PerpData` feeds."""
    return act(broker, frames, plan, feed=btm.PerpData, **more)


class TestMarksGivenToTheBroker:
    def test_they_serve_a_perpdata_feed_without_mark_columns(self) -> None:
        run = perp(broker_of(mark={BTC: CALM}), WICK, {1: lambda s: s.buy(size=90)})
        assert kinds(run, "liquidation") == []
        assert run.broker.fidelity["bars_with_mark"] == 4
        assert run.broker.fidelity["symbols_without_mark"] == ()

    def test_they_fill_the_holes_of_mark_columns(self) -> None:
        own = WICK.assign(**{f"mark_{n}": CALM[n] for n in CALM})
        own.loc[own.index[3], [f"mark_{n}" for n in CALM]] = float("nan")
        holes = perp(broker_of(), own, {1: lambda s: s.buy(size=90)})
        assert len(kinds(holes, "liquidation")) == 1
        run = perp(broker_of(mark={BTC: CALM}), own, {1: lambda s: s.buy(size=90)})
        assert kinds(run, "liquidation") == []
        assert run.broker.fidelity["bars_without_mark"] == 0
