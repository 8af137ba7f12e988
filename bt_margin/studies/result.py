"""One run: what went in, what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.studies.amounts import money
from bt_margin.studies.coins import row_rates
from bt_margin.studies.held import Held, held_in, positions_frame
from bt_margin.studies.present import presenter
from bt_margin.studies.returns import growth_in, per_bar, per_day

#: Columns of an events table, in order. ``time`` is UTC, money is in the settlement currency. ``order``
#: counts the orders of the run from 1 (backtrader's own references count on through the process);
#: ``mark`` is missing where there was no price yet.
EVENT_COLUMNS = (
    "scenario",
    "id",
    "time",
    "kind",
    "symbol",
    "pool",
    "size",
    "price",
    "mark",
    "amount",
    "fee",
    "realised",
    "balance",
    "equity",
    "reason",
    "found",
    "allowed",
    "cause",
    "order",
    "info",
)
_NUMBERS = (*EVENT_COLUMNS[6:14], *EVENT_COLUMNS[15:17])


@dataclass(frozen=True, eq=False)
class Run:
    """One strategy under one set of margin settings, after the fact.

    ``equity`` at the bar closes (UTC); ``events`` one row per engine event; ``record`` what was open at each
    bar, from which ``held``, ``positions`` and ``bars`` are worked out when they are first asked for;
    ``settings`` in force, ``fidelity`` what the data had and lacked; ``warmup`` bars passed before the
    strategy could decide anything. ``broker`` and ``strategy`` are backtrader's objects, ``broker.account``
    the engine's.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    broker: Any
    strategy: Any
    cash: float
    equity: pd.Series
    events: pd.DataFrame
    record: Any
    fidelity: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False
    data_hash: str = ""
    seconds: float = 0.0
    warmup: int = 0

    @cached_property
    def held(self) -> Held:
        """The open positions at every bar, in columns."""
        book = self.broker.account.book
        return held_in(self.record, {symbol: p.contract for symbol, p in book.items()})

    @cached_property
    def positions(self) -> pd.DataFrame:
        """One row per bar and open position: :func:`bt_margin.studies.held.positions_frame`."""
        return positions_frame(self.held)

    @cached_property
    def returns(self) -> pd.Series:
        """Simple returns from UTC midnight to UTC midnight, money put in or taken out left aside.

        The index holds the days as naive dates, as quantstats and pyfolio take them; ``bar_returns`` has
        the bars.
        """
        return per_day(growth_in(self).rename(self.name))

    @cached_property
    def bar_returns(self) -> pd.Series:
        """Simple returns from bar to bar, money put in or taken out left aside; UTC index."""
        return per_bar(growth_in(self).rename(self.name))

    @cached_property
    def bars(self) -> pd.DataFrame:
        """Per bar (UTC): the numbers of the whole account at its close.

        ``margin_ratio`` the largest of any pool, maintenance over equity; ``leverage`` notional of all
        positions over equity; ``margin`` initial margin in use, in the account's currency.
        """
        held, index, rates = self.held, self.equity.index, row_rates(self)
        own = pd.DatetimeIndex(held.times.astype("datetime64[ms]")).tz_localize("UTC")
        frame = pd.DataFrame(
            {
                "margin_ratio": held.per_bar(held.ratio, largest=True),
                "leverage": held.per_bar(held.notional * rates),
                "margin": held.per_bar(held.margin * rates),
            },
            index=own,
        ).reindex(index, fill_value=0.0)
        gross, money = frame["leverage"].to_numpy(dtype=float), self.equity.to_numpy(dtype=float)
        over = np.divide(gross, money, out=np.zeros_like(money), where=money > 0.0)
        return frame.assign(leverage=over)

    @property
    def opening_entries(self) -> int:
        """How many ledger entries only put the cash in at the start."""
        given, pledged = self.broker.p.cash, self.broker.p.collateral or ()
        if isinstance(given, Mapping) or pledged:
            return (len(given) if isinstance(given, Mapping) else 1) + len(pledged)
        first = next(iter(self.broker.account.ledger), None)
        return int(first is not None and first.kind == "deposit" and first.amount == self.cash)

    @property
    def currency(self) -> str:
        """What the account's money is in."""
        return str(self.broker.account.currency)

    @property
    def final(self) -> float:
        """The equity at the end."""
        return float(self.equity.iloc[-1]) if len(self.equity) else self.cash

    def plot(self) -> Any:
        """An interactive plotly figure: equity, drawdown and margin ratio, liquidations as crosses."""
        return presenter().figure(self)

    def _repr_html_(self) -> str:
        return presenter().notebook_html(self)

    def __repr__(self) -> str:
        label = ", SYNTHETIC data" if self.synthetic else ""
        died = int((self.events["kind"] == "liquidation").sum())
        return (
            f"Run({self.name!r}: {self.title}, {money(self.cash, self.currency)} -> "
            f"{money(self.final, self.currency)} {self.currency}, {len(self.equity)} bars, "
            f"{died} liquidation{'' if died == 1 else 's'}{label})"
        )


def events_frame(events: Any, scenario: str) -> pd.DataFrame:
    """Engine events as a table (:data:`EVENT_COLUMNS`); an empty list gives the columns alone."""
    fields = EVENT_COLUMNS[1:]
    rows = [(scenario, *(getattr(event, name) for name in fields)) for event in events]
    frame = pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
    frame["time"] = pd.to_datetime(frame["time"].astype("int64"), unit="ms", utc=True)
    for name in _NUMBERS:
        frame[name] = frame[name].astype("float64")
    frame["mark"] = frame["mark"].where(frame["mark"] != 0.0)  # 0: before the first price
    for name in ("cause", "order"):
        frame[name] = frame[name].astype("Int64")
    frame["order"] = frame["order"] - frame["order"].min() + 1
    return frame
