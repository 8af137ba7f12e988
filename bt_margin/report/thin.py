"""Long curves made short for the eye, extremes kept."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def thin(values: Any, most: int = 4000, keep: Any = ()) -> NDArray[np.int64]:
    """Places of the values worth drawing: first, last, every bucket's lowest and highest, and ``keep``.

    shape (≤ most + len(keep),), rising. Short input is kept whole; empty input gives no places. NaN are
    passed over.

    >>> thin([1.0, 5.0, 2.0]).tolist()
    [0, 1, 2]
    >>> len(thin(np.sin(np.arange(100_000)), most=1000)) <= 1002
    True
    """
    numbers = np.asarray(values, dtype=float)
    size = len(numbers)
    if size <= most:
        return np.arange(size, dtype=np.int64)
    edges = np.linspace(0, size, max(2, most // 2) + 1).astype(np.int64)
    places = [0, size - 1]
    for start, end in pairwise(edges):
        part = numbers[start:end]
        if len(part) and not np.isnan(part).all():
            places += [int(start + np.nanargmin(part)), int(start + np.nanargmax(part))]
    extra = [int(place) for place in keep if 0 <= place < size]
    return np.unique(np.asarray([*places, *extra], dtype=np.int64))
