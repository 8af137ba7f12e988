"""Rates that no ccxt class delivers, from files of your own: spot borrowing, Aave v3, GMX.

One table per kind, CSV or Parquet, a row for each time and each thing priced. `timestamp` is the UTC
time from which the row holds, until the next one of the same key. All rates are FRACTIONS (0.05 is
5 %), and their period is part of the file, never assumed. Signs: a borrowing cost is positive and
paid; GMX funding is positive where that side pays and negative where it receives.

borrow  key `currency`; `rate` with a column `period` (1h, 1d, 1y, or ccxt's length in ms), or
        `rate_per_hour`, `rate_per_day`, `rate_per_year`: what a loan of that currency costs
aave    key `asset`; `variable_borrow_rate` (paid) and `liquidity_rate` (earned), linear, per year;
        optional `price` [USD]; `variable_borrow_index`, `liquidity_index` (1 or more, never falling);
        `ltv`, `liquidation_threshold`, `liquidation_bonus` (0.05, not 1.05), empty where unknown.
        Rates and indices as the contracts store them: the same names ending in `_ray` (1e27 is 1)
gmx     key `market`; `borrowing_long`, `borrowing_short`, optional `funding_long`, `funding_short`,
        each ending in `_per_second`, `_per_hour`, `_per_day` or `_per_year`: fraction of the position's
        size; optional `price_min` and `price_max`, the oracle's two prices [USD]

A year is 365 days, as Aave and GMX count. What is read comes out tidy: borrow and gmx rates per
HOUR, aave rates per YEAR.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bt_margin.errors import DataError, InputError, message, near
from bt_margin.market.frames import to_utc
from bt_margin.market.names import SUFFIXES
from bt_margin.market.rates_checks import check_values
from bt_margin.market.rates_units import (
    HOURS,
    KEYS,
    REQUIRED,
    columns_known,
    normalised,
    tidy_columns,
)
from bt_margin.market.storage import read_table

__all__ = ["KEYS", "borrow_from_ccxt", "load_rates", "validate_rates", "write_rates"]

PathLike = str | os.PathLike[str]


def load_rates(path: PathLike, kind: str | None = None) -> pd.DataFrame:
    """The tidy table of a file of rates: `timestamp`, the key, then the values of its kind.

    kind : `borrow`, `aave` or `gmx`; by default the one whose key column the file has

    Rows are ordered by key, then time; `attrs["kind"]` names the kind.

    :raises DataError: one line that names the file, what is wrong, and in which row.
    """
    file = Path(path)
    return validate_rates(read_table(file), kind, str(file))


def validate_rates(
    table: pd.DataFrame, kind: str | None = None, where: str = "rates"
) -> pd.DataFrame:
    """The tidy form of a table of rates; what :func:`load_rates` does once the file is read.

    >>> table = pd.DataFrame({"timestamp": ["2024-01-01T00:00:00Z"], "currency": ["USDT"],
    ...                       "rate": [0.00024], "period": ["1d"]})
    >>> validate_rates(table)["rate_per_hour"].tolist()
    [1e-05]
    >>> validate_rates(table.drop(columns="period"))
    Traceback (most recent call last):
    ...
    bt_margin.errors.DataError: the rate has no period: found timestamp, currency, rate, allowed ...
    """
    if table.empty:
        raise DataError(message("no rates", "no rows", "at least one row", where))
    table = table.set_axis([str(name).strip().lower() for name in table.columns], axis=1)
    kind = _kind(table, kind, where)
    key = KEYS[kind]
    _check_columns(table, kind, where)
    out = pd.DataFrame(
        {"timestamp": _times(table["timestamp"], where), key: _names(table, key, where)}
    )
    for name, column in normalised(table, kind, where).items():
        out[name] = column.to_numpy()
    _check_order(out, key, where)
    out = out.sort_values([key, "timestamp"], kind="stable", ignore_index=True)
    check_values(out, kind, where)
    out.attrs = {"kind": kind}
    return out


def write_rates(frame: pd.DataFrame, path: PathLike, kind: str | None = None) -> Path:
    """Validate a table of rates and write it as CSV or Parquet (by the suffix), whole or not at all.

    :func:`load_rates` reads the same values back, to the last bit.
    """
    file = Path(path)
    tidy = validate_rates(frame, kind or frame.attrs.get("kind"), f"rates for {file}")
    if file.suffix not in SUFFIXES:
        raise InputError(
            message("unknown kind of file", file.suffix, ", ".join(SUFFIXES), str(file))
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
    os.close(handle)
    try:
        if file.suffix == ".parquet":
            tidy.to_parquet(name, index=False, compression="zstd")
        else:
            stamps = tidy["timestamp"].map(pd.Timestamp.isoformat)
            tidy.assign(timestamp=stamps).to_csv(name, index=False)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return file


def borrow_from_ccxt(exchange: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The tidy table of what ccxt's `fetch_borrow_rate_history` returned.

    exchange : the ccxt class the rows come from
    rows : dicts with `currency`, `rate`, `period` [ms] and `timestamp` [ms]

    The rate belongs to the period, with one exception: for OKX that call labels annual rates as
    hourly (its sister `fetch_borrow_rate_histories` says annual of the same numbers). They are read
    as annual, else they would be 8,760 times too high.

    >>> row = {"currency": "USDT", "rate": 0.0438, "period": 3_600_000, "timestamp": 1704067200000}
    >>> round(float(borrow_from_ccxt("okx", [row])["rate_per_hour"][0]), 9)
    5e-06
    """
    table = pd.DataFrame(list(rows))
    if exchange.startswith("okx") or exchange == "myokx":
        table["period"] = "1y"
    names = [name for name in ("timestamp", "currency", "rate", "period") if name in table.columns]
    table = table[names].drop_duplicates().sort_values("timestamp")
    return validate_rates(table, "borrow", f"borrow rates of {exchange}")


def _kind(table: pd.DataFrame, kind: str | None, where: str) -> str:
    """The kind given, else the one whose key column is there."""
    if kind is not None:
        if kind not in KEYS:
            raise InputError(message("unknown kind of rates", repr(kind), ", ".join(KEYS), where))
        return kind
    fitting = [each for each, key in KEYS.items() if key in table.columns]
    if len(fitting) == 1:
        return fitting[0]
    allowed = ", ".join(f"{key} ({each})" for each, key in KEYS.items())
    found = ", ".join(map(str, table.columns))
    raise DataError(message("not clear what kind of rates", found, f"one of {allowed}", where))


def _check_columns(table: pd.DataFrame, kind: str, where: str) -> None:
    """Only known columns, each once, and those a kind cannot do without."""
    names = list(table.columns)
    found = ", ".join(names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(message("a column is there twice", ", ".join(twice), "one each", where))
    known = columns_known(kind)
    for name in names:
        if name not in known:
            todo = near(name, known) or "remove it or rename it"
            raise DataError(message(f"unknown column {name}", found, ", ".join(known), where, todo))
    there = set(tidy_columns(names, kind))
    if kind == "borrow" and "rate" in names and "period" not in names:
        allowed = f"a column period ({', '.join(HOURS)}), or {', '.join(known[3:])}"
        raise DataError(message("the rate has no period", found, allowed, where))
    lacking = [name for name in REQUIRED[kind] if name not in there]
    if lacking:
        what = f"missing columns {', '.join(lacking)}"
        raise DataError(message(what, found, ", ".join(known), where))


def _times(times: pd.Series, where: str) -> pd.DatetimeIndex:
    return to_utc(times, where)


def _names(table: pd.DataFrame, key: str, where: str) -> list[str]:
    """The key of each row, without blanks around it."""
    names = [str(name).strip() if isinstance(name, str) else "" for name in table[key]]
    if not all(names):
        row = names.index("")
        raise DataError(
            message(f"no {key}", repr(table[key].iloc[row]), "a name", f"{where}, row {row}")
        )
    return names


def _check_order(table: pd.DataFrame, key: str, where: str) -> None:
    """Times rise strictly for each key; the first row that breaks it decides the message."""
    latest: dict[str, pd.Timestamp] = {}
    for row, (time, name) in enumerate(zip(table["timestamp"], table[key], strict=True)):
        before = latest.get(name)
        if before is not None and time <= before:
            same = time == before
            what, todo = (
                ("duplicate row", "drop one of the two")
                if same
                else ("rows are not sorted", "sort the file by time")
            )
            place = f"{where}, row {row}, {name}"
            raise DataError(message(what, f"{time} after {before}", "rising times", place, todo))
        latest[name] = time
