"""Finer bars are asked for where a bar was dangerous, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt
import pandas as pd
from plugin.stage import BTC, bars, venue

import bt_margin as btm
from bt_margin.studies.refine import Span, blind_bars

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01


class TakeProfit(bt.Strategy):
    """Long with everything at ten times, out at 104."""

    def next(self) -> None:
        if len(self) == 1:
            self.buy(size=90)
            self.sell(size=90, exectype=bt.Order.Limit, price=104, reduce_only=True)


COARSE = bars([100, 100, (100, 105, 88, 101), 101, 101, 101])
QUARTERS = [(100, 105, 100, 104), (104, 104, 88, 90), (90, 99, 89, 98), (98, 101, 97, 101)]


class Finer:
    """Quarters of an hour in which the high of the third bar came first."""

    def __init__(self, known: bool = True) -> None:
        self.asked: list[tuple[str, Sequence[Span]]] = []
        self.known = known

    def __call__(self, symbol: str, spans: Sequence[Span]) -> pd.DataFrame | None:
        self.asked.append((symbol, spans))
        return bars(QUARTERS, start="2024-01-01 02:00", freq="15min") if self.known else None


def compared(detail: Any) -> Any:
    return btm.compare(
        TakeProfit, data={BTC: COARSE}, venue=venue(), leverage=10, cash=1_000, detail=detail
    )


def liquidations(result: Any) -> list[int]:
    return [sum(e.kind == "liquidation" for e in run.broker.events) for run in result.runs.values()]


def test_the_true_path_replaces_the_guess_on_the_dangerous_bar_alone() -> None:
    assert liquidations(compared(None)) == [1, 1]
    finer = Finer()
    result = compared(finer)
    assert liquidations(result) == [0, 0]
    assert [run.final for run in result.runs.values()] == [1_360, 1_360]
    assert finer.asked == [(BTC, [(START + 2 * HOUR, START + 3 * HOUR)])]
    assert blind_bars(result) == set()


def test_where_nothing_finer_is_known_the_guess_stands_and_nobody_asks_twice() -> None:
    finer = Finer(known=False)
    result = compared(finer)
    assert liquidations(result) == [1, 1]
    assert len(finer.asked) == 1
    assert blind_bars(result) == {(BTC, START + 2 * HOUR, START + 3 * HOUR)}


def test_both_extremes_are_refined_as_well() -> None:
    finer = Finer()
    result = btm.compare(
        TakeProfit,
        data={BTC: COARSE},
        venue=venue(),
        leverage=10,
        cash=1_000,
        detail=finer,
        bounds=True,
    )
    assert liquidations(result) == [0, 0]
    assert all(run.final == 1_360 for own in result.extremes.values() for run in own.values())
