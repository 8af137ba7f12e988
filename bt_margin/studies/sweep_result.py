"""What a sweep found: a tidy table, surfaces, the best cells, and how it was computed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.errors import InputError, message, near
from bt_margin.studies.amounts import money
from bt_margin.studies.cells import COLUMNS, ECHOED, Cell, Job, Outcome, _flat, echo, slipping
from bt_margin.studies.sweep_grid import Plan
from bt_margin.studies.write import staged, write_tables

_COUNTS = ("liquidations", "margin_calls", "rejected_orders", "trades", "bars")
#: Classes into which drawn numbers are put for a surface.
CLASSES = 10
ENGINES = ("", "full", "replay")
_VIEW = "bt_margin.report.heat"


class Table:
    """The outcomes of a sweep in columns, filled as they come: one row per cell, by its number."""

    def __init__(self, count: int) -> None:
        self.values: NDArray[np.float64] = np.full((count, len(COLUMNS)), np.nan)
        self.engine: NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        self.seconds: NDArray[np.float64] = np.full(count, np.nan)
        self.errors: dict[int, str] = {}

    def add(self, outcome: Outcome) -> None:
        """One more cell; one that was there is replaced."""
        number, row = outcome.cell.number, outcome.row
        self.values[number] = [row.get(name, np.nan) for name in COLUMNS]
        self.engine[number] = ENGINES.index(str(row["engine"]))
        self.seconds[number] = float(row["seconds"])
        self.errors.pop(number, None)
        if row.get("error"):
            self.errors[number] = str(row["error"])

    def engines(self) -> dict[str, int]:
        """How many cells each engine computed."""
        counts = {name: int((self.engine == code).sum()) for code, name in enumerate(ENGINES)}
        return {name: count for name, count in counts.items() if name and count}


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The result of :func:`bt_margin.sweep`.

    ``cells`` and their ``axes`` (setting → its values; empty where they were drawn); ``check``: which engine
    computed what and what the comparison with full runs found, in a sentence; ``stamp``: how to make it
    again.
    """

    job: Job
    plan: Plan
    table: Table
    check: str
    stamp: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, in the order of the grid."""
        return self.plan.cells

    @property
    def axes(self) -> Mapping[str, tuple[Any, ...]]:
        """The settings that differ between cells."""
        return self.plan.axes

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per cell, indexed by its number.

        First the settings that differ, then ``error`` ("": none), ``engine``, ``seconds`` and the statistics
        (:data:`bt_margin.studies.cells.COLUMNS`), then every other setting in force.
        """
        count = len(self.cells)
        varied, constant = self._settings()
        index = pd.RangeIndex(count, name="cell")
        errors = [self.table.errors.get(number, "") for number in range(count)]
        columns: dict[str, Any] = dict(varied)
        columns["error"] = errors
        columns["engine"] = [ENGINES[code] for code in self.table.engine]
        columns["seconds"] = self.table.seconds
        for place, name in enumerate(COLUMNS):
            own = self.table.values[:, place]
            whole = name in _COUNTS and not np.isnan(own).any()
            columns[name] = own.astype(np.int64) if whole else own
        columns |= {name: [value] * count for name, value in constant.items()}
        return pd.DataFrame(columns, index=index)

    def _settings(self) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        """The columns of the settings that differ, and the values of those that do not."""
        base = echo(Cell(0, {}), self.job)
        own = [cell.settings for cell in self.cells]
        varied = {
            ECHOED.get(name, name): [_flat(each.get(name)) for each in own] for name in self.axes
        }
        for name in slipping(0.0) if "fill_slippage" in varied else ():
            given = varied["fill_slippage"]
            varied[name] = [base[name] if v is None else slipping(v)[name] for v in given]
        return varied, {name: value for name, value in base.items() if name not in varied}

    @property
    def failed(self) -> pd.DataFrame:
        """The cells that raised, with what they raised."""
        names = [*(ECHOED.get(name, name) for name in self.axes), "error"]
        return self.frame.loc[self.frame["error"] != "", names]

    @property
    def engines(self) -> dict[str, int]:
        """How many cells each engine computed."""
        return self.table.engines()

    @property
    def synthetic(self) -> bool:
        """Whether any of the data was made up."""
        return any(bool(frame.attrs.get("synthetic")) for frame in self.job.data.values())

    def heat(
        self,
        x: str | None = None,
        y: str | None = None,
        value: str = "total_return",
        *,
        where: str | None = None,
        by: Any = "median",
    ) -> pd.DataFrame:
        """A surface: ``value`` for each ``y`` (rows) and ``x`` (columns).

        Cells that share both are put together by ``by`` (``"median"``, ``"mean"``, ``"min"``, ``"max"``).
        ``where`` picks cells by a condition on the columns (``"margin_mode == 'cross'"``). Without ``x`` and
        ``y``: the settings with the most values. Drawn numbers are put into classes of equal width, told by
        their middles.

        :raises InputError: a column there is none of.
        """
        x, y = self._sides(x, y)
        cells = self.select(where)
        wanted = [name for name in (x, y, value) if name is not None]
        self._known(wanted)
        return surface_of(cells, x, y, value, by)

    def best(
        self,
        count: int = 1,
        by: str = "total_return",
        *,
        highest: bool = True,
        where: str | None = None,
    ) -> pd.DataFrame:
        """The cells with the highest (or lowest) ``by`` that did not fail, the first first.

        ``where`` as in :meth:`heat`: ``best(5, where="liquidations == 0")``.
        """
        self._known([by])
        cells = self.select(where)
        cells = cells[(cells["error"] == "") & cells[by].notna()]
        return cells.sort_values(by, ascending=not highest, kind="stable").head(count)

    def select(self, where: str | None) -> pd.DataFrame:
        """The rows of the frame for which a condition holds.

        :raises InputError: it cannot be read.
        """
        if where is None:
            return self.frame
        try:
            return self.frame.query(where)
        except Exception as error:
            raise InputError(
                f"where={where!r} cannot be read ({type(error).__name__}: {error}); "
                "write it like \"margin_mode == 'cross' and liquidations == 0\" (names with a dot in `...`)"
            ) from error

    def _sides(self, x: str | None, y: str | None) -> tuple[str, str | None]:
        """The two sides of a surface: as given, else the settings with the most values."""
        ranked = sorted(self.axes, key=lambda name: -(len(self.axes[name]) or len(self.cells)))
        free = [ECHOED.get(name, name) for name in ranked if name not in (x, y)]
        x = x if x is not None else free.pop(0)
        return x, y if y is not None else next((name for name in free if name != x), None)

    def _known(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.frame:
                hint = near(name, list(self.frame.columns)) or None
                allowed = None if hint else f"settings ({', '.join(self.axes)}) and statistics"
                raise InputError(
                    message(f"column {name!r} is not known", None, allowed, None, hint)
                )

    def report(self, path: str | Path, *, value: str = "total_return") -> Path:
        """Write a page with the surfaces, offline and in one file; returns where it is."""
        return Path(import_module(_VIEW).write_page(self, path, value=value))

    def to_dir(self, folder: str | Path) -> list[Path]:
        """Write the table (CSV and Parquet), the page and how it was made into a folder: all or nothing."""
        with staged(folder) as (place, written):
            write_tables(place, {"cells": self.frame.reset_index()}, self.synthetic)
            self.report(place / "sweep.html")
            stamp = {**self.stamp, "check": self.check}
            (place / "stamp.json").write_text(json.dumps(stamp, indent=2, default=str) + "\n")
        return written

    def _repr_html_(self) -> str:
        return str(import_module(_VIEW).fragment(self))

    def __repr__(self) -> str:
        failed = f", {len(self.table.errors)} failed" if self.table.errors else ""
        label = ", SYNTHETIC data" if self.synthetic else ""
        best = self.best(1)
        lines = [
            f"Sweep({self.job.strategy.__name__}: {len(self.cells):,} cells over "
            f"{', '.join(self.axes)}{failed}{label})",
            f"  {self.check}",
        ]
        if len(best):
            row = best.iloc[0]
            told = ", ".join(f"{name}={row[ECHOED.get(name, name)]}" for name in self.axes)
            lines.append(
                f"  highest final equity for its cash: {told}: {money(row['final_equity'], 'USDT')}"
            )
        return "\n".join(lines)


def surface_of(cells: pd.DataFrame, x: str, y: str | None, value: str, by: Any) -> pd.DataFrame:
    """``value`` for each ``y`` (rows) and ``x`` (columns) of some cells."""
    part = pd.DataFrame({x: _classes(cells[x])} | ({} if y is None else {y: _classes(cells[y])}))
    part["value"] = cells[value]
    if y is None:
        return pd.DataFrame(part.groupby(x)["value"].agg(by)).T.rename({"value": value})
    surface: pd.DataFrame = part.pivot_table(
        index=y, columns=x, values="value", aggfunc=by, dropna=False, observed=True
    )
    return surface


def _classes(values: pd.Series) -> pd.Series:
    """Numbers with many values as the middles of classes; anything else as it is."""
    many = values.nunique() > 3 * CLASSES and pd.api.types.is_float_dtype(values)
    if not many:
        return values
    edges = np.linspace(float(values.min()), float(values.max()), CLASSES + 1)
    places = np.clip(np.searchsorted(edges, values.to_numpy(), side="right") - 1, 0, CLASSES - 1)
    middles = (edges[:-1] + edges[1:]) / 2
    return pd.Series([float(f"{middle:.4g}") for middle in middles[places]], values.index)
