"""Histories of a lending market's reserves as rows: what each asset cost and counted for, from when on.

A row is a mapping (or a line of a pandas table) with ``timestamp``, ``asset``, ``variable_borrow_rate`` and
``liquidity_rate`` per year, and where known ``ltv``, ``liquidation_threshold`` and ``liquidation_bonus``, all
fractions. It holds until the next one of the same asset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bt_margin.errors import InputError

NEEDED = ("timestamp", "asset", "variable_borrow_rate", "liquidity_rate")
RISK = ("ltv", "liquidation_threshold", "liquidation_bonus")


class Rows(NamedTuple):
    """The rows of a history by asset: ``(time, borrow, supply)``, and ``(time, {parameter: number})``."""

    rates: dict[str, list[tuple[Any, Any, Any]]]
    risk: dict[str, list[tuple[Any, dict[str, Any]]]]


def is_rows(rates: object) -> bool:
    """Whether this is a history as rows, not a mapping by asset."""
    return rates is not None and not isinstance(rates, Mapping)


def read_rows(rates: Any) -> Rows:
    """A history by asset; numbers that are missing (None or NaN) are left out.

    Raises :class:`~bt_margin.errors.InputError` for what is no row, or a row without a needed entry.

    >>> row = {"timestamp": "2024-01-01", "asset": "WETH", "variable_borrow_rate": 0.021,
    ...        "liquidity_rate": 0.015, "ltv": 0.805, "liquidation_threshold": None}
    >>> read_rows([row]).rates, read_rows([row]).risk
    ({'WETH': [('2024-01-01', 0.021, 0.015)]}, {'WETH': [('2024-01-01', {'ltv': 0.805})]})
    """
    found = Rows({}, {})
    for row in _listed(rates):
        if not isinstance(row, Mapping) or any(_missing(row.get(key)) for key in NEEDED):
            raise InputError(f"rates has the row {row!r}; each needs {', '.join(NEEDED)}")
        time, asset = row["timestamp"], str(row["asset"])
        line = (time, row["variable_borrow_rate"], row["liquidity_rate"])
        found.rates.setdefault(asset, []).append(line)
        risk = {key: row[key] for key in RISK if not _missing(row.get(key))}
        if risk:
            found.risk.setdefault(asset, []).append((time, risk))
    if not found.rates:
        raise InputError(f"rates has no rows; each needs {', '.join(NEEDED)}")
    return found


def _listed(rates: Any) -> Iterable[object]:
    """The rows of a list, or of a table that can list them (pandas)."""
    if hasattr(rates, "to_dict"):
        rows: Iterable[object] = rates.to_dict("records")
        return rows
    if isinstance(rates, str | bytes) or not isinstance(rates, Iterable):
        raise InputError(
            f"rates is {rates!r}; give a dict by asset, or rows with {', '.join(NEEDED)}"
        )
    return rates


def _missing(value: object) -> bool:
    return value is None or value != value
