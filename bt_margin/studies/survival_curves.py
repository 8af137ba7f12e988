"""Curves of survival over rolling starts, with intervals that know that the windows overlap.

With starts a day apart and a horizon of ninety days, one bad week is seen by ninety starts. They are not
ninety witnesses. So intervals come from a block bootstrap: starts are drawn in runs of neighbours as long as
the horizon, which keeps what they share. A history of six years holds about twenty-five independent windows
of ninety days; intervals are as wide as that makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 400
SEED = 7


@dataclass(frozen=True, slots=True)
class Blocks:
    """How starts are drawn again: ``draws`` times, in blocks of ``length`` neighbours in time."""

    length: int
    draws: int = DRAWS
    seed: int = SEED

    def weights(self, count: int) -> Floats:
        """How often each start is drawn: ndarray of shape (draws, count); each row sums to ``count``.

        Blocks may begin at any start and go on at the first after the last.

        >>> Blocks(2, draws=3).weights(4).sum(axis=1).tolist()
        [4.0, 4.0, 4.0]
        """
        return _drawn(self, count)


@lru_cache(maxsize=4)
def _drawn(blocks: Blocks, count: int) -> Floats:
    """:meth:`Blocks.weights`, kept: every rung of a study asks for the same."""
    length = min(max(blocks.length, 1), max(count, 1))
    luck = np.random.default_rng(blocks.seed)
    many = -(-count // length)
    found = np.zeros((blocks.draws, count))
    for row in found:
        begins = luck.integers(0, count, many) if count else np.zeros(0, dtype=int)
        places = (begins[:, None] + np.arange(length)).ravel()[:count] % max(count, 1)
        row += np.bincount(places, minlength=count)
    found.flags.writeable = False
    return found


def kaplan_meier(days: Floats, failed: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """The share that survives each failure time (product-limit estimate), in the order of the times.

        S(t) = product over failure times u ≤ t of (1 − failures at u / watched until u)

    ``days`` until the failure, or until a start was no longer watched; ``failed`` which of the two.
    ``weights`` ndarray of shape (draws, n): one curve a row; else one curve. Shape (…, failure times). Who
    was watched exactly until u counts as watched at u.

    >>> kaplan_meier(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, True, False, False])).tolist()
    [0.75, 0.5]
    """
    counts = np.ones((1, len(days))) if weights is None else weights
    steps = failure_times(days, failed)
    order = np.argsort(days, kind="stable")
    begins = np.searchsorted(days[order], steps, side="left")
    ends = np.searchsorted(days[order], steps, side="right")
    watched = _up_to(counts[:, order])
    fell = _up_to(counts[:, order] * failed[order])
    here = fell[:, ends] - fell[:, begins]
    left = watched[:, -1:] - watched[:, begins]
    survival = 1.0 - np.divide(here, left, out=np.zeros_like(here), where=left > 0.0)
    found = np.cumprod(survival, axis=1)
    return np.asarray(found[0] if weights is None else found, dtype=float)


def _up_to(values: Floats) -> Floats:
    """Sums of each row before each place, and of all: one column more."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def failure_times(days: Floats, failed: NDArray[np.bool_]) -> Floats:
    """The times at which anything failed, each once, in order."""
    return np.asarray(np.unique(days[failed]), dtype=float)


def curve(days: Floats, failed: NDArray[np.bool_], blocks: Blocks, horizon: float) -> pd.DataFrame:
    """The probability of having failed by each day, from 0 to the horizon.

    ``days``, ``failed`` in the order of the starts. Columns: ``liquidated`` the probability, ``low`` and
    ``high`` its 95 % interval from blocks, ``watched`` how many starts were still watched. Index: days.
    """
    steps = failure_times(days, failed)
    middle = 1.0 - kaplan_meier(days, failed)
    drawn = 1.0 - kaplan_meier(days, failed, blocks.weights(len(days)))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0) if len(steps) else (middle, middle)
    rows = [(0.0, 0.0, 0.0, 0.0), *zip(steps, middle, low, high, strict=True)]
    if rows[-1][0] < horizon:
        rows.append((horizon, *rows[-1][1:]))
    frame = pd.DataFrame(rows, columns=["days", "liquidated", "low", "high"]).set_index("days")
    return frame.assign(watched=[int((days >= day).sum()) for day in frame.index])


def share(failed: Floats, blocks: Blocks) -> tuple[float, float, float]:
    """The share of starts that failed, and its 95 % interval from blocks; NaN without any.

    ``failed`` is 1 or 0 for each start, in the order of time.

    >>> share(np.array([1.0, 0.0, 1.0, 0.0]), Blocks(1))
    (0.5, 0.0, 1.0)
    """
    if not len(failed):
        return float("nan"), float("nan"), float("nan")
    drawn = blocks.weights(len(failed)) @ failed / len(failed)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(failed.mean()), float(low), float(high)
