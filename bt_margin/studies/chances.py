"""Numbers with their uncertainty: probabilities from counts, quantiles and tails from samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVEL = 0.95
DRAWS = 2_000
_NORMAL = {0.90: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}
_CHUNK = 4_000_000  # numbers drawn at once, so that memory stays flat


class Estimate(NamedTuple):
    """A value with the interval that holds the true one in 95 of 100 such samples, and the sample's size."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:g} ({self.low:g} to {self.high:g})"


def wilson(count: int, n: int, level: float = LEVEL) -> Estimate:
    """The probability behind ``count`` of ``n``, with Wilson's score interval (1927).

        centre = (p + z²/2n) / (1 + z²/n)       half = z / (1 + z²/n) · √(p(1 − p)/n + z²/4n²)

    z : the normal quantile of the level, 0.90, 0.95 or 0.99. Holds for small n and for counts of 0 and n,
    where the usual p ± z·√(p(1 − p)/n) claims certainty. Nothing observed: the interval is everything.

    >>> [round(x, 4) for x in wilson(0, 20)]
    [0.0, 0.0, 0.1611, 20]
    >>> [round(x, 4) for x in wilson(10, 20)]
    [0.5, 0.2993, 0.7007, 20]
    """
    if n <= 0:
        return Estimate(math.nan, 0.0, 1.0, 0)
    z, p = _NORMAL[level], count / n
    room = 1.0 + z * z / n
    centre = (p + z * z / (2 * n)) / room
    half = z / room * math.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n))
    low = 0.0 if count == 0 else max(0.0, centre - half)
    return Estimate(p, low, 1.0 if count == n else min(1.0, centre + half), n)


def resampled(
    values: Array, statistic: Callable[[Array], Array], seed: int, level: float = LEVEL
) -> Estimate:
    """A statistic of a sample with its percentile bootstrap interval (Efron, 1979), seeded.

    ``statistic`` takes samples as rows and gives one number for each. An empty sample gives NaN.

    >>> found = resampled(np.arange(100.0), lambda rows: rows.mean(axis=1), seed=1)
    >>> round(found.value, 1), found.low < 45.0 < found.value < 54.0 < found.high
    (49.5, True)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        return Estimate(math.nan, math.nan, math.nan, 0)
    luck = np.random.Generator(np.random.PCG64(seed))
    found: list[Array] = []
    left = DRAWS
    while left:
        rows = min(left, max(1, _CHUNK // len(sample)))
        found.append(statistic(sample[luck.integers(len(sample), size=(rows, len(sample)))]))
        left -= rows
    outer = (1.0 - level) / 2.0
    low, high = np.quantile(np.concatenate(found), [outer, 1.0 - outer])
    own = float(statistic(sample[None, :])[0])
    return Estimate(own, min(float(low), own), max(float(high), own), len(sample))


def median(rows: Array) -> Array:
    """The middle of each row."""
    return np.asarray(np.median(rows, axis=1))


def mean(rows: Array) -> Array:
    """The mean of each row."""
    return np.asarray(rows.mean(axis=1))


def worst(rows: Array, share: float = 0.05) -> Array:
    """What a share of each row falls short of: its lower quantile."""
    return np.asarray(np.quantile(rows, share, axis=1))


def tail(rows: Array, share: float = 0.05) -> Array:
    """The mean of the worst share of each row, at least one value of it.

    >>> tail(np.array([[4.0, 1.0, 3.0, 2.0]]), 0.5)
    array([1.5])
    """
    count = max(1, math.ceil(share * rows.shape[1] - 1e-9))
    return np.asarray(np.partition(rows, count - 1, axis=1)[:, :count].mean(axis=1))
