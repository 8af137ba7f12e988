"""A run on the clock of its comparison: equity, exposures, ledger causes and events, bar by bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.errors import InvariantError, message
from bt_margin.plugin.asking import currency_of
from bt_margin.studies import coins
from bt_margin.studies.amounts import grain
from bt_margin.studies.divergence import Floats, Note, Track
from bt_margin.studies.pieces import CAUSES
from bt_margin.studies.result import Run

#: Which ledger entries count as which cause; transfers between pools cancel, realised profit is price.
CAUSE_OF = {
    "fee": "fees",
    "funding": "funding",
    "interest": "interest",
    "liquidation_fee": "liquidation_fee",
    "insurance": "shortfall",
    "deposit": "transfers",
    "withdrawal": "transfers",
}


def clock(runs: Sequence[Run]) -> pd.DatetimeIndex:
    """Every bar time of any of the runs, in order, UTC.

    >>> clock([])
    DatetimeIndex([], dtype='datetime64[ms, UTC]', freq=None)
    """
    times: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for run in runs:
        times = np.union1d(times, milliseconds(run.equity.index))
    return stamps(times)


def stamps(times: Any) -> pd.DatetimeIndex:
    """UTC epoch milliseconds as an index."""
    values = np.asarray(times, dtype=np.int64).astype("datetime64[ms]")
    return pd.DatetimeIndex(values).tz_localize("UTC")


def milliseconds(index: pd.Index) -> NDArray[np.int64]:
    """An index as UTC epoch milliseconds: int64 ndarray of shape (n,)."""
    return pd.DatetimeIndex(index).as_unit("ms").asi8


def bar_of(times: NDArray[np.int64], moments: Any) -> NDArray[np.int64]:
    """The number of the bar each moment falls into: the last bar that opened at or before it.

    >>> bar_of(np.array([0, 10, 20]), [0, 9, 10, 25, -5]).tolist()
    [0, 0, 1, 2, 0]
    """
    places = np.searchsorted(times, np.asarray(moments, dtype=np.int64), side="right") - 1
    return np.maximum(places, 0)


def track(run: Run, times: NDArray[np.int64]) -> Track:
    """A run laid on a common clock; before its first bar it holds its cash, after its last its last equity.

    :raises InvariantError: the ledger does not explain the equity to the cent.
    """
    equity = _carried(run, times)
    flows = _flows(run, times)
    check_identity(run)
    return Track(
        name=run.name,
        times=times,
        start=run.cash,
        equity=equity,
        exposure=_exposures(run, times, equity),
        flows=flows,
        slack=_slack(run, times, equity),
        notes=notes(run, times),
        currency=run.currency,
        bare=frozenset(run.fidelity.get("symbols_without_mark", ())),
    )


def notes(run: Run, times: NDArray[np.int64]) -> list[Note]:
    """The run's engine events with their bars."""
    events = run.broker.events
    bars = bar_of(times, [event.time for event in events])
    told = [coins.told(run, event) for event in events] if run.broker.rates else events
    return [Note(int(bar), event) for bar, event in zip(bars, told, strict=True)]


def check_identity(run: Run) -> None:
    """Cash at the start + every ledger entry + unrealised profit = final equity, to the last digit shown."""
    account, rate = run.broker.account, coins.rate_at
    booked = sum(
        entry.amount * rate(run, currency_of(account, entry.pool, entry.symbol))
        for entry in account.ledger
    )
    unrealised = sum(
        p.unrealised() * rate(run, p.contract.settle) for p in account.positions.values()
    )
    final = float(run.equity.iloc[-1]) if len(run.equity) else run.cash
    if abs(booked + unrealised - final) > max(grain(run.currency), 1e-9 * abs(final)):
        raise InvariantError(
            message(
                "ledger and unrealised profit",
                found=f"{booked + unrealised:.6f}",
                allowed=f"{final:.6f}, the final equity",
                where=f"run {run.name!r}",
                todo="report this: it is a fault of bt_margin",
            )
        )


def beyond_mark(event: Any, contract: Any) -> float:
    """What a liquidation cost beyond the mark (negative: lost), in the settlement currency.

        size · multiplier · (worth(mark) − worth(price)),     size signed as traded

    A takeover at the bankruptcy price hands the rest of the margin to the fund: that is the loss here. When
    the mark has gone past the bankruptcy price the number is positive: the fund bears what is beyond.
    """
    if event.size is None or event.price is None or event.mark is None:
        return 0.0
    value = event.size * contract.multiplier
    return float(value * (contract.worth(event.mark) - contract.worth(event.price)))


def _carried(run: Run, times: NDArray[np.int64]) -> Floats:
    """The equity at every time of the clock."""
    own = milliseconds(run.equity.index)
    values = np.concatenate(([run.cash], run.equity.to_numpy(dtype=float)))
    return np.asarray(values[np.searchsorted(own, times, side="right")], dtype=float)


def _flows(run: Run, times: NDArray[np.int64]) -> dict[str, Floats]:
    """The ledger by cause and bar, plus what liquidations cost beyond the mark."""
    flows = {cause: np.zeros(len(times)) for cause in CAUSES if cause != "price"}
    if not len(times):
        return flows
    entries = [e for e in run.broker.account.ledger if e.kind in CAUSE_OF][run.opening_entries :]
    for bar, entry in zip(bar_of(times, [e.time for e in entries]), entries, strict=True):
        flows[CAUSE_OF[entry.kind]][bar] += entry.amount * coins.worth(run, entry)
    for note in notes(run, times):
        event = note.event
        if event.kind == "liquidation":
            value = beyond_mark(event, run.broker.account.book[event.symbol].contract)
            value *= coins.worth(run, event)
            flows[cause_of_excess(event, value)][note.bar] += value
        elif event.kind == "fill" and "asked" in event.info:
            contract = run.broker.account.book[event.symbol].contract
            lost = contract.pnl(event.size, event.price, event.info["asked"])
            flows["slippage"][note.bar] += lost * coins.worth(run, event)
    return flows


def cause_of_excess(event: Any, value: float) -> str:
    """A sale beyond the mark is slippage; a takeover costs its loss as a fee, its gain is the fund's."""
    if event.info.get("settle") == "sale":
        return "slippage"
    return "liquidation_fee" if value < 0.0 else "shortfall"


def _exposures(run: Run, times: NDArray[np.int64], equity: Floats) -> dict[str, Floats]:
    """Signed notional over equity at the closes, symbol by symbol; flat is 0."""
    held, found = run.held, {}
    signed = held.notional * np.sign(held.size) * coins.row_rates(run)
    bars = bar_of(times, held.times)[held.bar]
    for symbol in sorted(held.symbols):
        rows = held.rows_of(symbol)
        notional = np.zeros(len(times))
        notional[bars[rows]] = signed[rows]
        found[symbol] = _over(notional, equity)
    return found


def _over(notional: Floats, equity: Floats) -> Floats:
    """Notional / equity; where there is no equity left, a number larger than any exposure."""
    shares = np.divide(notional, equity, out=np.sign(notional) * 1e12, where=equity > 0.0)
    return np.asarray(shares, dtype=float)


def _slack(run: Run, times: NDArray[np.int64], equity: Floats) -> Mapping[str, Floats]:
    """The exposure of one lot at the closes: what rounding can make of equal shares."""
    held, found = run.held, {}
    for symbol in sorted(held.symbols):
        contract = held.contracts[symbol]
        lot = float(contract.lot or 0.0)
        rows = held.rows_of(symbol)
        if not lot or not len(rows):
            continue
        marks = pd.Series(held.mark[rows], stamps(held.times[held.bar[rows]]))
        marks = marks.reindex(stamps(times), method="ffill").bfill()
        prices = np.asarray(marks, dtype=float)
        told = run.currency != contract.settle  # an inverse lot is worth its multiplier there
        worths = 1.0 / prices if contract.kind == "inverse" and not told else prices
        worths = np.ones_like(prices) if contract.kind == "inverse" and told else worths
        found[symbol] = _over(lot * contract.multiplier * worths, equity)
    return found
