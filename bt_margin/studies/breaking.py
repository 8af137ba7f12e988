"""Liquidation prices of many positions at once: the rule of :mod:`bt_margin.core.liquidation` on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierTable

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def liquidation_prices(
    contract: Contract, table: TierTable, size: Any, entry: Any, mark: Any, rest: Any
) -> Floats:
    """The mark at which each position brings its pool to liquidation, the pool's other marks standing still.

    ``size`` (signed, not 0), ``entry``, ``mark`` and ``rest`` have one number per position, all of one
    symbol under one tier table. ``rest`` is what else the pool has: its balance, plus unrealised profit less
    maintenance margin of its other positions [settle]. shape (n,) → (n,); NaN where no price does it.

    Health is ``rest + s·(worth(p) − worth(entry)) − (|s|·|worth(p)|·mmr − deduction)``, s = size ·
    multiplier, straight in u = |worth(p)| within a tier. Its first root from the mark in the losing direction
    counts, else the first in the other; a pool in breach already gets the price that would end it.

    >>> one = Contract("X")
    >>> liquidation_prices(one, TierTable.flat(0.005), [1.0], [50_000.0], [50_000.0], [5_000.0]).round(2)
    array([45226.13])
    """
    size, entry, mark, rest = (np.asarray(each, dtype=float) for each in (size, entry, mark, rest))
    chain = _Chain(contract, table, size, entry, rest)
    start = np.abs(_worth(contract, mark))
    health, slope = chain.at(start)
    down = health <= 0.0
    falling = slope > 0.0  # loses with falling |worth|
    everything = np.arange(len(size))
    found = np.full(len(size), np.nan)
    for rising in (True, False):
        rows = everything[down & (falling == rising)]
        found[rows] = chain.boundary(rows, start, rising=rising, into_breach=False)
    found[down & np.isnan(found)] = start[down & np.isnan(found)]
    for first in (True, False):  # the losing direction, then the other
        left = ~down & np.isnan(found)
        for rising in (True, False):
            rows = everything[left & ((falling != rising) == first)]
            found[rows] = chain.boundary(rows, start, rising=rising, into_breach=True)
    prices = found if contract.kind == "linear" else 1.0 / found
    stuck = down & (found == start)
    return np.where(stuck, mark, prices)


def maintenance(table: TierTable, notional: Any) -> Floats:
    """Maintenance margin of each notional (:meth:`TierTable.maintenance`): shape (n,) → (n,).

    >>> maintenance(TierTable.of([(50, 0.01, 0), (100, 0.02, None)]), [50.0, 100.0]).tolist()
    [0.5, 1.5]
    """
    notional = np.asarray(notional, dtype=float)
    tiers = np.searchsorted(np.asarray(table.edges, dtype=float), notional, side="left")
    rates = np.asarray([tier.mmr for tier in table.tiers], dtype=float)
    deductions = np.asarray([tier.deduction for tier in table.tiers], dtype=float)
    return np.asarray(notional * rates[tiers] - deductions[tiers], dtype=float)


def _worth(contract: Contract, prices: Floats) -> Floats:
    return prices if contract.kind == "linear" else -1.0 / prices


class _Chain:
    """Health of each position as straight pieces ``a + b·u`` for ``lo < u <= hi``, tier by tier."""

    def __init__(
        self, contract: Contract, table: TierTable, size: Floats, entry: Floats, rest: Floats
    ) -> None:
        exposure = size * contract.multiplier
        direction = 1.0 if contract.kind == "linear" else -1.0
        self.unit = np.abs(exposure)
        self.gain = exposure * direction
        self.rest, self.paid = rest, -exposure * _worth(contract, entry)
        self.tiers = [(float(tier.mmr), float(tier.deduction)) for tier in table.tiers]
        self.edges = [0.0, *(float(edge) for edge in table.edges), np.inf]

    def line(self, piece: int, rows: Any) -> tuple[Floats, Floats]:
        """Constant and slope of a piece."""
        rate, deduction = self.tiers[piece]
        return self.rest[rows] + (self.paid[rows] + deduction), self.gain[rows] - self.unit[
            rows
        ] * rate

    def end(self, edge: int, rows: Any) -> Floats:
        """Where a piece ends in u."""
        return np.asarray(self.edges[edge] / self.unit[rows], dtype=float)

    def at(self, u: Floats) -> tuple[Floats, Floats]:
        """Health at u, and the slope of its piece."""
        health, slope = np.zeros(len(u)), np.zeros(len(u))
        left = np.arange(len(u))
        for piece in range(len(self.tiers)):
            inside = u[left] <= self.end(piece + 1, left)
            rows = left[inside]
            a, b = self.line(piece, rows)
            health[rows], slope[rows] = a + b * u[rows], b
            left = left[~inside]
        return health, slope

    def boundary(self, rows: Places, start: Floats, *, rising: bool, into_breach: bool) -> Floats:
        """The first u, up or down from ``start``, where health leaves its side of zero; NaN: never."""
        found = np.full(len(rows), np.nan)
        left = np.arange(len(rows))  # places in rows without an answer yet
        order = range(len(self.tiers))
        for piece in order if rising else reversed(order):
            here = rows[left]
            lo, hi = self.end(piece, here), self.end(piece + 1, here)
            counts = hi > start[here] if rising else lo < start[here]
            a, b = self.line(piece, here)
            near = np.maximum(lo, start[here]) if rising else np.minimum(hi, start[here])
            met = counts & _reached(a + b * near, into_breach)
            turned = counts & ~met & self._turned(piece, rising, into_breach, a, b, lo, hi)
            found[left[met]] = near[met]
            found[left[turned]] = -a[turned] / b[turned]
            left = left[~(met | turned)]
            if not len(left):
                break
        return found

    def _turned(
        self,
        piece: int,
        rising: bool,
        into_breach: bool,
        a: Floats,
        b: Floats,
        lo: Floats,
        hi: Floats,
    ) -> NDArray[np.bool_]:
        """Whether health has changed its side at the far end of a piece."""
        if rising and piece == len(self.tiers) - 1:
            return b < 0.0 if into_breach else b > 0.0
        if not rising and piece == 0:
            return a < 0.0 if into_breach else a > 0.0
        return _reached(a + b * (hi if rising else lo), into_breach)


def _reached(health: Floats, into_breach: bool) -> NDArray[np.bool_]:
    return health <= 0.0 if into_breach else health > 0.0
