"""Each liquidation with the numbers that decided it, what would have saved it, and what came after."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bt_margin.report.numbers import moment, money, signed
from bt_margin.report.words import certainties, explain
from bt_margin.studies import coins
from bt_margin.studies.breaches import breach_behind
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.prices import HOUR, Bars, bars_of
from bt_margin.studies.rescue import Rescue, rescues
from bt_margin.studies.result import Run
from bt_margin.studies.trades import Trade, TradeBook

LATER = (1, 24, 168)  # hours
MOST_OTHERS = 3
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("scenario", "scenario", "text"),
    ("time", "time", "time"),
    ("symbol", "symbol", "text"),
    ("size", "size", "number"),
    ("mark", "mark", "price"),
    ("judged_by", "judged by", "text"),
    ("requirement", "requirement", "money"),
    ("equity", "equity", "money"),
    ("price", "closed at", "price"),
    ("result", "result", "money"),
    ("extra_bar", "extra margin, the bar", "money"),
    ("extra_week", "extra margin, a week", "money"),
    ("bound", "extra is", "text"),
    *((f"price_{hours}h", f"price {hours} h later", "price") for hours in LATER),
    ("elsewhere", "what the other did", "text"),
    ("explanation", "why", "text"),
    ("event", "event", "number"),
)
LABELLED = ("certainty", "certainty", "text")


def fallen_rows(comparison: Comparison, books: Mapping[str, TradeBook]) -> list[list[Any]]:
    """One row per liquidation of any run, in order of time; ``books`` the trades by scenario."""
    labels = certainties(comparison)
    shelves = {name: _by_symbol(book.trades) for name, book in books.items()}
    rows = []
    for name, run in comparison.runs.items():
        others = [run for other, run in comparison.runs.items() if other != name][:MOST_OTHERS]
        bars = bars_of(run)
        saving = rescues(run, bars)
        for event in run.broker.events:
            if event.kind != "liquidation":
                continue
            decided = breach_behind(event, run.broker.events) or event
            shown = (coins.told(run, event), coins.told(run, decided))
            row = [name, *_decided(run, *shown), *_saving(saving.get(decided.id))]
            row += _later(bars.get(event.symbol), event.time)
            row.append(" ".join(_elsewhere(o, shelves[o.name], event) for o in others))
            row += [explain(run, event), event.id]
            rows.append([*row, *([labels[name, event.id]] if labels else [])])
    return sorted(rows, key=lambda row: (row[1], row[0]))


def _decided(run: Run, event: Any, decided: Any) -> Iterator[Any]:
    """Time, symbol, the position's closed size, mark, requirement, equity, price and result."""
    bare = run.fidelity.get("symbols_without_mark", ())
    yield from (event.time, event.symbol, -event.size if event.size else event.size, event.mark)
    yield "last price" if event.symbol in bare else "mark"
    yield from (decided.found, decided.allowed, event.price)
    yield (event.realised or 0.0) - (event.fee or 0.0)


def _saving(found: Rescue | None) -> list[Any]:
    """Extra margin for the bar and for the week, and whether less would have done."""
    if found is None:
        return [None, None, ""]
    return [found.bar, found.week, "exact" if found.exact else "at most"]


def _later(bars: Bars | None, time: int) -> list[float | None]:
    """The last price so many hours after the end of the bar; None past the data or in longer bars."""
    if bars is None:
        return [None] * len(LATER)
    bar = bars.at(time)
    end = int(bars.times[max(bar, 0)]) + bars.step
    return [
        bars.price_at(end + hours * HOUR) if hours * HOUR >= bars.step else None for hours in LATER
    ]


def _by_symbol(trades: Sequence[Trade]) -> dict[str, tuple[list[int], list[Trade]]]:
    """Trades of each symbol in order of time, with their entry times."""
    found: dict[str, tuple[list[int], list[Trade]]] = {}
    for trade in trades:
        times, own = found.setdefault(trade.symbol, ([], []))
        times.append(trade.opened)
        own.append(trade)
    return found


def _elsewhere(
    run: Run, shelf: Mapping[str, tuple[Sequence[int], Sequence[Trade]]], event: Any
) -> str:
    """What another run did with the same position."""
    times, trades = shelf.get(event.symbol, ((), ()))
    before = trades[: bisect_right(times, event.time)]
    alive = [t for t in before[-2:] if t.closed is None or t.closed >= event.time]
    if not alive:
        return f"{run.name} held none."
    trade = next((t for t in alive if (t.size > 0) == (event.size < 0)), None)
    if trade is None:
        return f"{run.name} was {alive[-1].side}."
    made = f"{signed(lambda v: money(v, run.currency), trade.net)} in all"
    if trade.closed is None:
        return f"{run.name} held on to the end: {made}."
    if trade.end == "liquidated" and trade.closed == event.time:
        return f"{run.name} was liquidated in the same bar: {made}."
    return f"{run.name} held on, {_ended(trade)} {moment(trade.closed)}: {made}."


def _ended(trade: Trade) -> str:
    return {
        "closed": "closed it on",
        "flipped": "turned it round on",
        "liquidated": "was liquidated on",
        "delisted": "until the market ended on",
    }[trade.end]
