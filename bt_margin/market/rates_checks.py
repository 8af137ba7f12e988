"""What values of rates can be: units mistaken, signs, and what must hold between columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import DataError, message
from bt_margin.market.rates_units import KEYS

Flags = npt.NDArray[np.bool_]

TYPICAL, EVER = 1.0, 10.0
"""A median above 1 a year or any rate above 10 a year is taken for another unit."""

_YEAR = 8760.0
_HUGE = 1e15
_MAY_BE_EMPTY = ("ltv", "liquidation_threshold", "liquidation_bonus")
_SIGNED = ("funding_long_per_hour", "funding_short_per_hour")


def check_values(table: pd.DataFrame, kind: str, where: str) -> None:
    """A tidy table of rates holds what its kind can hold, or a `DataError` names the first row."""
    for name in table.columns.drop(["timestamp", KEYS[kind]]):
        values = table[name].to_numpy(dtype=np.float64)
        empty = np.isnan(values) if name in _MAY_BE_EMPTY else np.zeros(len(values), dtype=bool)
        fail = _Fault(table, kind, str(name), where)
        fail(~np.isfinite(values) & ~empty, "a finite number")
        fail(np.abs(values) > _HUGE, "a fraction", _raw(str(name)))
        if name not in _SIGNED:
            fail(values < 0.0, "0 or more", _sign(kind))
        if name.endswith(("_rate", "_per_hour")):
            _check_unit(values * (_YEAR if name.endswith("_per_hour") else 1.0), fail, kind)
    if kind == "aave":
        _check_aave(table, where)
    if kind == "gmx":
        _check_gmx(table, where)


class _Fault:
    """Raises for the first of the flagged rows of one column."""

    def __init__(self, table: pd.DataFrame, kind: str, name: str, where: str) -> None:
        self.table, self.key, self.name, self.where = table, KEYS[kind], name, where

    def __call__(self, bad: Flags, allowed: str, todo: str | None = None) -> None:
        if not bad.any():
            return
        row = self.table.iloc[int(np.argmax(bad))]
        place = f"{self.where}, {row[self.key]} at {row['timestamp']:%Y-%m-%d %H:%M} UTC"
        raise DataError(
            message(f"bad {self.name}", repr(float(row[self.name])), allowed, place, todo)
        )


def _raw(name: str) -> str:
    if name.endswith(("_rate", "_index")):
        return f"if these are rays (1e27 is 1), name the column {name}_ray"
    return "if these are a contract's integers, divide by 1e30 first"


def _sign(kind: str) -> str | None:
    return "a cost is positive here" if kind in ("borrow", "gmx") else None


def _check_unit(yearly: npt.NDArray[np.float64], fail: _Fault, kind: str) -> None:
    """Rates that only make sense as percent, or with another period."""
    size = np.abs(yearly)
    typical = float(np.median(size))
    bad = size > EVER if typical <= TYPICAL else size >= typical
    todo = f"that is {float(size[int(np.argmax(bad))]):,.4g} a year: " if bad.any() else ""
    todo += "divide percent by 100 and check the period"
    if kind == "borrow":
        todo += "; ccxt labels okx's annual rates as hourly: read those with period 1y"
    fail(bad, f"fractions, typically below {TYPICAL:g} and never above {EVER:g} a year", todo)


def _check_aave(table: pd.DataFrame, where: str) -> None:
    """Indices that never fall, and risk parameters that fit each other."""
    for name in ("variable_borrow_index", "liquidity_index"):
        if name in table.columns:
            fail = _Fault(table, "aave", name, where)
            values = table[name]
            fail((values < 1.0).to_numpy(), "1 or more")
            before = values.groupby(table["asset"]).shift()
            fail((values < before).to_numpy(), "an index that never falls")
    _positive(table, "aave", "price", where)
    basis = "these are fractions: 0.83, not 8300 basis points or 83 percent"
    for name in ("ltv", "liquidation_threshold"):
        if name in table.columns:
            _Fault(table, "aave", name, where)((table[name] > 1.0).to_numpy(), "0 to 1", basis)
    if "liquidation_bonus" in table.columns:
        fail = _Fault(table, "aave", "liquidation_bonus", where)
        todo = "give the part above 1: 0.05 for a bonus of 5 %, where the contracts say 10500"
        fail((table["liquidation_bonus"] >= 1.0).to_numpy(), "below 1", todo)
    if {"ltv", "liquidation_threshold"} <= set(table.columns):
        high = (table["ltv"] > table["liquidation_threshold"]).to_numpy()
        _Fault(table, "aave", "ltv", where)(high, "at most the liquidation_threshold")
    if {"liquidation_bonus", "liquidation_threshold"} <= set(table.columns):
        seized = table["liquidation_threshold"] * (1.0 + table["liquidation_bonus"])
        allowed = "a threshold of at most 1 / (1 + liquidation_bonus)"
        _Fault(table, "aave", "liquidation_threshold", where)((seized > 1.0).to_numpy(), allowed)


def _check_gmx(table: pd.DataFrame, where: str) -> None:
    """Both sides or none, prices in order, and no funding that both sides receive."""
    for one, two in (_SIGNED, ("price_min", "price_max")):
        if (one in table.columns) != (two in table.columns):
            raise DataError(message(f"{one} and {two}", "one of them", "both or none", where))
    if _SIGNED[0] in table.columns:
        both = (table[_SIGNED[0]] < 0.0) & (table[_SIGNED[1]] < 0.0)
        todo = "positive pays, negative receives"
        _Fault(table, "gmx", _SIGNED[0], where)(
            both.to_numpy(), "one side at least that pays", todo
        )
    if "price_min" in table.columns:
        _positive(table, "gmx", "price_min", where)
        above = (table["price_min"] > table["price_max"]).to_numpy()
        _Fault(table, "gmx", "price_min", where)(above, "at most price_max")


def _positive(table: pd.DataFrame, kind: str, name: str, where: str) -> None:
    if name in table.columns:
        _Fault(table, kind, name, where)((table[name] <= 0.0).to_numpy(), "a price above 0")
