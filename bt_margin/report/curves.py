"""The arrays of a bundle: every curve a page draws, on the common clock of the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.studies.coins import row_rates
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.divergence import Track
from bt_margin.studies.prices import Bars, bars_of
from bt_margin.studies.result import Run
from bt_margin.studies.stats import drawdowns
from bt_margin.studies.summary import growth_of
from bt_margin.studies.tracks import bar_of, milliseconds

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

#: Array of a scenario → the cause of its ledger that it adds up.
FLOWS = {
    "funding": "funding",
    "fees": "fees",
    "interest": "interest",
    "liquidation": "liquidation_fee",
}


def curves_of(comparison: Comparison) -> tuple[list[str], Arrays]:
    """The symbols and the arrays of a comparison, as :mod:`bt_margin.report.bundle` describes them."""
    runs = list(comparison.runs.values())
    times = milliseconds(comparison.index)
    prices: dict[str, Bars] = {}
    for run in runs:
        prices = bars_of(run) | prices
    symbols = list(prices)
    symbols += sorted({s for run in runs for s in run.held.symbols} - set(symbols))
    arrays: Arrays = {"time": times}
    for j, symbol in enumerate(symbols):
        arrays |= _prices(f"y{j}", prices.get(symbol), times)
    for i, (run, track) in enumerate(zip(runs, comparison.tracks, strict=True)):
        arrays |= _scenario(f"s{i}", run, track)
        arrays |= _pools(f"s{i}", run, times)
        for j, symbol in enumerate(symbols):
            arrays |= _position(f"s{i}.y{j}", run, symbol, times)
    return symbols, arrays


def _prices(name: str, bars: Bars | None, times: Times) -> Arrays:
    """The prices of a symbol at every bar of the clock: those of its own bar that covers it, or NaN."""
    columns = ("open", "high", "low", "close", "mark")
    if bars is None or not len(bars.times):
        return {f"{name}.{column}": np.full(len(times), np.nan) for column in columns}
    places = bar_of(bars.times, times)
    covered = (bars.times[places] <= times) & (times < bars.times[places] + bars.step)
    return {
        f"{name}.{column}": np.where(covered, getattr(bars, column)[places], np.nan)
        for column in columns
    }


def _scenario(name: str, run: Run, track: Track) -> Arrays:
    """The curves of the whole account."""
    bars, times = run.bars, track.times
    own = milliseconds(bars.index)
    found: Arrays = {
        "equity": track.equity,
        "drawdown": drawdowns(growth_of(run, track)).to_numpy(dtype=float),
        "ratio": _laid(bars["margin_ratio"].to_numpy(dtype=float), own, times),
        "leverage": _laid(bars["leverage"].to_numpy(dtype=float), own, times),
        "margin": _laid(bars["margin"].to_numpy(dtype=float), own, times),
        **{each: np.cumsum(track.flows[cause]) for each, cause in FLOWS.items()},
    }
    return {f"{name}.{each}": values for each, values in found.items()}


def _pools(name: str, run: Run, times: Times) -> Arrays:
    """The initial margin in use in each pool, 0 when it holds nothing."""
    held = run.held
    bars, margin = _places(held.times, times)[held.bar], held.margin * row_rates(run)
    found: Arrays = {}
    for k in range(len(held.pools)):
        rows = np.flatnonzero((held.pool == k) & (bars >= 0))
        sums = np.bincount(bars[rows], weights=margin[rows], minlength=len(times))
        found[f"{name}.p{k}.margin"] = sums.astype(float)
    return found


def _position(name: str, run: Run, symbol: str, times: Times) -> Arrays:
    """Size, entry and liquidation price of a symbol in a run."""
    held = run.held
    rows = held.rows_of(symbol)
    bars = _places(held.times, times)[held.bar[rows]]
    columns = {"size": held.size, "entry": held.entry, "liquidation": held.liquidation_price}
    found: Arrays = {}
    for column, values in columns.items():
        laid = np.full(len(times), 0.0 if column == "size" else np.nan)
        laid[bars[bars >= 0]] = values[rows][bars >= 0]
        found[f"{name}.{column}"] = laid
    return found


def _laid(values: Floats, own: Times, times: Times) -> Floats:
    """Numbers of a run's own bars on the clock, NaN elsewhere."""
    places = _places(own, times)
    laid = np.full(len(times), np.nan)
    laid[places[places >= 0]] = values[places >= 0]
    return laid


def _places(own: Times, times: Times) -> NDArray[np.int64]:
    """Where each of a run's own times stands on the clock; −1 where it does not."""
    if not len(times):
        return np.full(len(own), -1, dtype=np.int64)
    places = np.minimum(np.searchsorted(times, own), len(times) - 1)
    return np.where(times[places] == own, places, -1)
