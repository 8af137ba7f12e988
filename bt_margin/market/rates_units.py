"""The columns of each kind of rates, under all the names they may have, and their units."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bt_margin.errors import DataError, message

KEYS = {"borrow": "currency", "aave": "asset", "gmx": "market"}
"""Kind of rates to its key column."""

HOURS = {"1h": 1.0, "1d": 24.0, "1y": 8760.0}
_SUFFIXES = {"_per_hour": 1.0, "_per_day": 24.0, "_per_year": 8760.0, "_per_second": 1.0 / 3600.0}
_RAY = 1e27

_PLAIN = {
    "borrow": (),
    "aave": ("price", "ltv", "liquidation_threshold", "liquidation_bonus"),
    "gmx": ("price_min", "price_max"),
}
_TIMED = {
    "borrow": ("rate",),
    "aave": (),
    "gmx": ("borrowing_long", "borrowing_short", "funding_long", "funding_short"),
}
_IN_RAY = {
    "borrow": (),
    "aave": ("variable_borrow_rate", "liquidity_rate", "variable_borrow_index", "liquidity_index"),
    "gmx": (),
}
REQUIRED = {
    "borrow": ("timestamp", "currency", "rate_per_hour"),
    "aave": ("timestamp", "asset", "variable_borrow_rate", "liquidity_rate"),
    "gmx": ("timestamp", "market", "borrowing_long_per_hour", "borrowing_short_per_hour"),
}
"""Tidy columns a kind cannot do without."""


def columns_known(kind: str) -> tuple[str, ...]:
    """Every name a column of this kind may have.

    >>> columns_known("borrow")
    ('timestamp', 'currency', 'rate', 'rate_per_hour', 'rate_per_day', 'rate_per_year', 'period')
    """
    names = ["timestamp", KEYS[kind]]
    if kind == "borrow":
        timed = [f"rate{suffix}" for suffix in ("_per_hour", "_per_day", "_per_year")]
        return (*names, "rate", *timed, "period")
    names += [name + suffix for name in _IN_RAY[kind] for suffix in ("", "_ray")]
    names += [name + suffix for name in _TIMED[kind] for suffix in _SUFFIXES]
    return (*names, *_PLAIN[kind])


def tidy_name(name: str, kind: str) -> tuple[str, float] | None:
    """The tidy name of a column and what its values are divided by; None for a time or a key.

    >>> tidy_name("borrowing_long_per_day", "gmx"), tidy_name("price_min", "gmx")
    (('borrowing_long_per_hour', 24.0), ('price_min', 1.0))
    >>> tidy_name("liquidity_rate_ray", "aave")
    ('liquidity_rate', 1e+27)
    """
    if name in ("timestamp", "period", KEYS[kind]):
        return None
    if kind == "borrow" and name == "rate":
        return "rate_per_hour", 1.0
    if name.endswith("_ray"):
        return name.removesuffix("_ray"), _RAY
    for suffix, hours in _SUFFIXES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix) + "_per_hour", hours
    return name, 1.0


def tidy_columns(names: Iterable[str], kind: str) -> list[str]:
    """The tidy names of columns, times and keys as they are."""
    found = []
    for name in names:
        tidy = tidy_name(name, kind)
        found.append(tidy[0] if tidy else name)
    return found


def normalised(table: pd.DataFrame, kind: str, where: str) -> dict[str, pd.Series]:
    """The value columns under their tidy names and in their tidy units, in a fixed order."""
    made: dict[str, pd.Series] = {}
    for name in table.columns:
        tidy = tidy_name(str(name), kind)
        if tidy is None:
            continue
        if tidy[0] in made:
            raise DataError(message(f"{tidy[0]} is there twice", name, "one column for it", where))
        values = _numbers(table[name], where)
        divisor = _hours(table["period"], where) if name == "rate" else tidy[1]
        made[tidy[0]] = values if tidy[1] == 1.0 and name != "rate" else values / divisor
    order = [tidy_columns([name], kind)[0] for name in columns_known(kind)]
    return {name: made[name] for name in dict.fromkeys(order) if name in made}


def _numbers(column: pd.Series, where: str) -> pd.Series:
    try:
        return column.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(message(f"{column.name} is not a number", error, where=where)) from error


def _hours(periods: pd.Series, where: str) -> pd.Series:
    """The length of each row's period in hours: 1h, 1d, 1y, or milliseconds."""
    known = {**HOURS, **{str(int(hours * 3_600_000)): hours for hours in HOURS.values()}}
    texts = [_text(period) for period in periods]
    for row, text in enumerate(texts):
        if text not in known:
            allowed = f"{', '.join(HOURS)}, or their length in ms"
            raise DataError(
                message("unknown period", repr(periods.iloc[row]), allowed, f"{where}, row {row}")
            )
    return pd.Series([known[text] for text in texts], periods.index)


def _text(period: object) -> str:
    whole = isinstance(period, float) and period.is_integer()
    return str(int(period)) if whole and isinstance(period, float) else str(period).strip()
