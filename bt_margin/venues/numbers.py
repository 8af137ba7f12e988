"""Checks of the numbers that users hand to a venue."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError


def number(
    value: object, what: str, low: float = -inf, high: float = inf, *, open_low: bool = False
) -> float:
    """``value`` as a finite float within ``[low, high]`` (``(low, high]`` with ``open_low``).

    >>> number(1, "taker_fee", 0, 1)
    1.0
    """
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and isfinite(value)
        and (low < value if open_low else low <= value)
        and value <= high
    )
    if not fits or not isinstance(value, int | float):
        floor = f"{'above' if open_low else 'at least'} {low:g}" if isfinite(low) else ""
        roof = f"at most {high:g}" if isfinite(high) else ""
        allowed = " and ".join(part for part in (floor, roof) if part) or "any finite number"
        raise InputError(f"{what} is {value!r}; allowed: a number, {allowed}")
    return float(value)


def rate(value: object, what: str) -> float:
    """A fee rate as a fraction; negative for a rebate. 5 % and more is a slip of the unit."""
    found = number(value, what)
    if abs(found) >= 0.05:
        raise InputError(f"{what} is {value!r}; rates are fractions (0.05 % is 0.0005), below 0.05")
    return found


def maintenance_rate(value: object, what: str) -> float:
    """A maintenance rate as a fraction, 0 ≤ rate < 1."""
    found = number(value, what, 0.0)
    if found >= 1.0:
        raise InputError(f"{what} is {value!r}; allowed: a fraction of at least 0 and below 1")
    return found


def tier_table(rows: object, what: str) -> TierTable:
    """A table from rows ``(notional cap, rate, deduction or None[, max leverage])``.

    The cap of the last row may be ``None``: open-ended.
    """
    if isinstance(rows, TierTable):
        return rows
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes):
        raise InputError(f"{what} is {rows!r}; {_ROWS}")
    table = [tuple(row) if isinstance(row, list | tuple) else row for row in rows]
    for row in table:
        if not isinstance(row, tuple) or len(row) not in (3, 4):
            raise InputError(f"{what} has the row {row!r}; {_ROWS}")
    if not table:
        raise InputError(f"{what} is empty; {_ROWS}")
    try:
        return TierTable.of(table)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


_ROWS = "give rows (notional_cap, maintenance_rate, deduction or None[, max_leverage])"
