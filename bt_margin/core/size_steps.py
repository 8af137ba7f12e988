"""Initial margin that grows with the size of a position, in steps above a baseline.

    I = base + increment · started steps, at most the whole notional

A started step counts in full; whether dYdX v3 counted it so or pro rata is not published, and this reading
asks for more margin, never for less.
"""

from __future__ import annotations

from bt_margin.core.flat import stepped_fraction

__all__ = ["started_steps", "stepped_fraction"]

#: What a size may exceed a step by and still count as noise of floats, in steps.
DUST = 1e-9


def started_steps(size: float, baseline: float, step: float) -> int:
    """How many steps above the baseline a size has started; 0 up to the baseline.

    size : unsigned

    >>> started_steps(9, 9, 1.5), started_steps(9.1, 9, 1.5), started_steps(12, 9, 1.5)
    (0, 1, 2)
    """
    if size <= baseline:
        return 0
    steps = (size - baseline) / step
    whole = int(steps)
    return whole if steps - whole <= DUST else whole + 1
