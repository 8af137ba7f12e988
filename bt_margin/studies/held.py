"""What a run held: every open position at every bar, from the record of the run, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierTable
from bt_margin.studies.breaking import liquidation_prices, maintenance

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

#: Columns of a positions table, in order; :func:`positions_frame` says what they mean.
POSITION_COLUMNS = (
    "time",
    "symbol",
    "pool",
    "margin_mode",
    "size",
    "entry",
    "mark",
    "notional",
    "unrealised",
    "margin",
    "maintenance",
    "ratio",
    "liquidation_price",
)


@dataclass(frozen=True, eq=False)
class Held:
    """Open positions at the closes of all bars. One row per bar and position, in order of time.

    ``times`` UTC ms of the bars, shape (bars,); ``bar`` of each row, shape (rows,) like all that follow:
    ``symbol``, ``pool`` and ``table`` as places in ``symbols``, ``pools`` and ``tables``, ``size`` signed
    contracts, ``entry`` and ``mark`` prices, ``balance`` of the pool that backs it [settle], ``leverage``
    (notional over initial margin; NaN where a rule says what that is), ``initial`` what it says [settle]
    (else NaN), ``shared`` what is asked of the pool as a whole [settle]. Rows of one pool stand together.
    ``contracts`` by symbol.
    """

    times: NDArray[np.int64]
    bar: Places
    symbol: Places
    pool: Places
    table: Places
    size: Floats
    entry: Floats
    mark: Floats
    balance: Floats
    leverage: Floats
    initial: Floats
    shared: Floats
    symbols: tuple[str, ...]
    pools: tuple[str, ...]
    tables: tuple[TierTable, ...]
    contracts: Mapping[str, Contract]

    @cached_property
    def notional(self) -> Floats:
        """|size| · multiplier · |worth(mark)|   [settle]."""
        found = np.zeros(len(self.size))
        for rows, contract in self._by_symbol():
            unit = np.abs(self.size[rows]) * contract.multiplier
            mark = self.mark[rows]
            found[rows] = unit * mark if contract.kind == "linear" else unit / mark
        return found

    @cached_property
    def unrealised(self) -> Floats:
        """Profit between entry and mark   [settle]."""
        found = np.zeros(len(self.size))
        for rows, contract in self._by_symbol():
            exposure = self.size[rows] * contract.multiplier
            entry, mark = self.entry[rows], self.mark[rows]
            linear = contract.kind == "linear"
            found[rows] = exposure * (mark - entry if linear else 1.0 / entry - 1.0 / mark)
        return found

    @cached_property
    def margin(self) -> Floats:
        """Initial margin, notional / leverage or as a rule says   [settle]."""
        ruled = np.isnan(self.leverage)
        return np.asarray(np.where(ruled, self.initial, self.notional / self.leverage), dtype=float)

    @cached_property
    def maintenance(self) -> Floats:
        """Maintenance margin by the tier table in force   [settle]."""
        found = np.zeros(len(self.size))
        for rows, _, table in self._by_table():
            found[rows] = maintenance(table, self.notional[rows])
        return found

    @cached_property
    def ratio(self) -> Floats:
        """Maintenance over equity of the pool of each row; ∞ where something is asked of no equity."""
        equity = self.balance + self._over_pools(self.unrealised)[0]
        asked = self._over_pools(self.maintenance)[0] + self.shared
        ratio = np.divide(asked, equity, out=np.full(len(equity), np.inf), where=equity > 0.0)
        return np.where(asked <= 0.0, 0.0, ratio)

    @cached_property
    def liquidation_price(self) -> Floats:
        """Mark at which each position alone brings its pool to liquidation; NaN where none does."""
        rest = self.balance + self._over_pools(self.unrealised)[1]
        rest = rest - self._over_pools(self.maintenance)[1] - self.shared
        found = np.full(len(self.size), np.nan)
        for rows, contract, table in self._by_table():
            own = (each[rows] for each in (self.size, self.entry, self.mark, rest))
            found[rows] = liquidation_prices(contract, table, *own)
        return found

    def per_bar(self, values: Floats, largest: bool = False) -> Floats:
        """The sum (or the largest) of a column over the positions of each bar; 0 where none is open."""
        if largest:
            found = np.zeros(len(self.times))
            np.maximum.at(found, self.bar, values)
            return found
        return np.bincount(self.bar, weights=values, minlength=len(self.times)).astype(float)

    def rows_of(self, symbol: str) -> Places:
        """The rows of one symbol."""
        place = self.symbols.index(symbol) if symbol in self.symbols else -1
        return np.flatnonzero(self.symbol == place)

    def _by_symbol(self) -> Iterator[tuple[Places, Contract]]:
        for symbol in self.symbols:
            yield self.rows_of(symbol), self.contracts[symbol]

    def _by_table(self) -> Iterator[tuple[Places, Contract, TierTable]]:
        """Rows that share symbol and tier table."""
        key = self.symbol * len(self.tables) + self.table
        for each in np.unique(key):
            symbol, table = divmod(int(each), len(self.tables))
            contract = self.contracts[self.symbols[symbol]]
            yield np.flatnonzero(key == each), contract, self.tables[table]

    @cached_property
    def _groups(self) -> tuple[Places, Places]:
        """First row and number of rows of each pool at each bar."""
        if not len(self.bar):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        new = np.flatnonzero((np.diff(self.bar) != 0) | (np.diff(self.pool) != 0)) + 1
        first = np.concatenate(([0], new))
        return first, np.diff(np.concatenate((first, [len(self.bar)])))

    def _over_pools(self, values: Floats) -> tuple[Floats, Floats]:
        """Sums over the pool of each row: of all its positions, and of the others alone."""
        total, others = np.zeros(len(values)), np.zeros(len(values))
        first, number = self._groups
        for many in np.unique(number):
            rows = first[number == many][:, None] + np.arange(many)
            block = values[rows]
            before = np.cumsum(block, axis=1)
            after = np.cumsum(block[:, ::-1], axis=1)[:, ::-1]
            total[rows] = before[:, -1:]
            others[rows[:, 1:]] += before[:, :-1]
            others[rows[:, :-1]] += after[:, 1:]
        return total, others


def held_in(record: Any, contracts: Mapping[str, Contract]) -> Held:
    """The rows of a record (:class:`bt_margin.plugin.assemble.Recorder`).

    Where a time was recorded several times (ticks, feeds that come one after the other), its last counts.
    """
    times = np.array(record.times, dtype=np.int64)
    bars = np.arange(len(times))
    first, begin, count = (
        np.array(each, dtype=np.int64) for each in (record.first, record.begin, record.count)
    )
    stretch = np.searchsorted(first, bars, side="right") - 1
    open_then = count[stretch] if len(first) else np.zeros(len(bars), dtype=np.int64)
    bar = np.repeat(bars, open_then)
    ends = np.cumsum(open_then)
    place = np.arange(len(bar)) - np.repeat(ends - open_then, open_then)
    row = np.repeat(begin[stretch] if len(first) else bars, open_then) + place
    last = np.append(times[1:] != times[:-1], True) if len(times) else np.zeros(0, dtype=bool)
    keep = last[bar]
    columns: dict[str, Any] = {
        name: np.array(getattr(record, name), dtype=np.int64)[row][keep]
        for name in ("symbol", "pool", "table")
    }
    columns |= {
        name: np.array(getattr(record, name), dtype=float)[row][keep]
        for name in ("size", "entry", "balance", "leverage", "shared")
    }
    initial = np.full(len(bar), np.nan)
    initial[np.isnan(np.array(record.leverage, dtype=float)[row])] = record.initial
    return Held(
        times=times[last],
        bar=(np.cumsum(last) - 1)[bar][keep],
        mark=np.array(record.mark, dtype=float)[keep],
        initial=initial[keep],
        symbols=tuple(record.symbols),
        pools=tuple(record.pools),
        tables=tuple(record.tables),
        contracts={symbol: contracts[symbol] for symbol in record.symbols},
        **columns,
    )


def positions_frame(held: Held) -> pd.DataFrame:
    """One row per bar and open position, as it stood at the close (:data:`POSITION_COLUMNS`).

    ``time`` UTC; ``symbol``; ``pool`` that backs it and its ``margin_mode``; ``size`` signed contracts;
    ``entry`` and ``mark`` prices; ``notional``, ``unrealised``, ``margin`` (initial) and ``maintenance`` in
    the settlement currency, at the mark; ``ratio`` maintenance over equity of the pool (1: liquidation);
    ``liquidation_price`` the mark at which this symbol alone brings its pool down, the others standing still
    (missing where none does), what :meth:`bt_margin.Account.liquidation_price` said at that bar.
    """
    times = pd.DatetimeIndex(held.times[held.bar].astype("datetime64[ms]")).tz_localize("UTC")
    modes = [pool.partition(":")[0] for pool in held.pools]
    kinds = sorted(set(modes))
    mode = np.asarray([kinds.index(each) for each in modes], dtype=np.int64)
    columns = {
        "time": times,
        "symbol": _named(held.symbol, held.symbols),
        "pool": _named(held.pool, held.pools),
        "margin_mode": _named(mode[held.pool], kinds),
        **{name: getattr(held, name) for name in POSITION_COLUMNS[4:]},
    }
    return pd.DataFrame(columns, columns=list(POSITION_COLUMNS))


def _named(places: Places, names: Sequence[str]) -> pd.Categorical[str]:
    """Places among names as the names, which takes a byte a row."""
    return pd.Categorical.from_codes(places, categories=pd.Index(list(names), dtype="str"))


def union_of_names(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Positions tables whose columns of names know the same names, and join as names."""
    found = list(tables)
    for column in ("symbol", "pool", "margin_mode"):
        every = sorted({name for table in found for name in table[column].cat.categories})
        found = [t.assign(**{column: t[column].cat.set_categories(every)}) for t in found]
    return found
