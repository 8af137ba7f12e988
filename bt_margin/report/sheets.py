"""The long tables of a comparison: trades, liquidations, fundings, rejections and partings, as plain data.

Each has a ``title``, a ``note``, ``columns`` (``key``, ``label``, ``kind``, ``unit``) and ``rows`` of raw
values in the order of the columns: times in UTC ms, fractions for ``percent``, None where there is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bt_margin.report import avoided
from bt_margin.report.fallen import COLUMNS as FALLEN
from bt_margin.report.fallen import LABELLED, fallen_rows
from bt_margin.report.tables import told
from bt_margin.studies import coins
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.pieces import CAUSES
from bt_margin.studies.sentences import action, refusal
from bt_margin.studies.trades import Trade, TradeBook, trades_of

Rows = list[list[Any]]


class Column(NamedTuple):
    """A column: its key, its label, what its values are, and where they come from."""

    key: str
    label: str
    kind: str
    get: Callable[[Any], Any]
    optional: bool = False


def _own(name: str) -> Callable[[Any], Any]:
    return lambda thing: getattr(thing, name)


TRADES: tuple[Column, ...] = (
    Column("opened", "entry time", "time", _own("opened")),
    Column("closed", "exit time", "time", _own("closed")),
    Column("symbol", "symbol", "text", _own("symbol")),
    Column("side", "side", "text", _own("side")),
    Column("size", "size", "number", _own("size")),
    Column("entry", "entry", "price", _own("entry")),
    Column("exit", "exit", "price", _own("exit")),
    Column("price", "price result", "money", _own("price")),
    Column("fees", "fees", "money", _own("fees")),
    Column("funding", "funding", "money", _own("funding")),
    Column("liquidation_fees", "liquidation fees", "money", _own("liquidation_fees"), True),
    Column("interest", "interest", "money", _own("interest"), True),
    Column("covered", "borne by the fund", "money", _own("covered"), True),
    Column("net", "net", "money", _own("net")),
    Column("bars", "bars held", "number", _own("bars")),
    Column("end", "how it ended", "text", _own("end")),
    Column("event", "event", "number", _own("first_event")),
)
FUNDINGS: tuple[Column, ...] = (
    Column("time", "time", "time", _own("time")),
    Column("symbol", "symbol", "text", _own("symbol")),
    Column("size", "size", "number", _own("size")),
    Column("mark", "mark", "price", _own("mark")),
    Column("rate", "rate", "percent", _own("found")),
    Column("amount", "received", "money", _own("amount")),
    Column("pool", "pool", "text", _own("pool")),
    Column("event", "event", "number", _own("id")),
)
_TRADES_NOTE = (
    "Size is all that was opened, entry and exit are mean prices; a trade that is still open is valued at "
    "its last mark. The net results sum to the change of the equity, deposits and withdrawals left out"
)


def sheets(comparison: Comparison) -> dict[str, Any]:
    """All tables by name."""
    books = {name: trades_of(run) for name, run in comparison.runs.items()}
    return {
        "trades": _trades(comparison, books),
        "liquidations": _liquidations(comparison, books),
        **_avoided(comparison),
        "fundings": _fundings(comparison),
        "rejections": _rejections(comparison),
        "partings": _partings(comparison),
    }


def sheet(
    title: str, note: str, columns: Sequence[tuple[str, str, str]], rows: Rows, unit: str
) -> Any:
    """A table; money is in ``unit``, and what is no number becomes None."""
    heads = [
        {"key": key, "label": label, "kind": kind, "unit": unit if kind == "money" else ""}
        for key, label, kind in columns
    ]
    return {
        "title": title,
        "note": note,
        "columns": heads,
        "rows": [list(map(_raw, r)) for r in rows],
    }


def _raw(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _of(
    title: str, note: str, columns: Sequence[Column], things: Sequence[tuple[str, Any]], unit: str
) -> Any:
    """A table of things, each with the scenario it belongs to; optional columns of zeros are left out."""
    shown = [c for c in columns if not c.optional or any(c.get(thing) for _, thing in things)]
    rows = [[name, *(column.get(thing) for column in shown)] for name, thing in things]
    heads = [("scenario", "scenario", "text"), *((c.key, c.label, c.kind) for c in shown)]
    return sheet(title, note, heads, rows, unit)


def _trades(comparison: Comparison, books: Mapping[str, TradeBook]) -> Any:
    things: list[tuple[str, Trade]] = [
        (n, trade) for n, book in books.items() for trade in book.trades
    ]
    things.sort(key=lambda pair: pair[1].opened)
    aside = [name for name, book in books.items() if abs(book.elsewhere) > 1e-9]
    note = f"{_TRADES_NOTE}{', and what belongs to no trade, such as interest' if aside else ''}."
    return _of("Trades", note, TRADES, things, comparison.first.currency)


def _fundings(comparison: Comparison) -> Any:
    things = _events(comparison, ("funding",))
    note = "Positive: received. At a positive rate longs pay shorts, on the position at the mark."
    return _of("Funding", note, FUNDINGS, things, comparison.first.currency)


def _events(comparison: Comparison, kinds: Sequence[str]) -> list[tuple[str, Any]]:
    """Events of these kinds with their scenarios, in order of time."""
    found = [
        (name, coins.told(run, event))
        for name, run in comparison.runs.items()
        for event in run.broker.events
        if event.kind in kinds
    ]
    return sorted(found, key=lambda pair: pair[1].time)


def _rejections(comparison: Comparison) -> Any:
    """Orders the account could not carry and margin actions it refused, with the two numbers."""
    tracks = {track.name: track for track in comparison.tracks}
    unit = comparison.first.currency
    rows: Rows = []
    for name, event in _events(comparison, ("rejected", "refused")):
        order = event.kind == "rejected"
        why = f"the order {refusal(event, unit)}" if order else action(tracks[name], event)
        rows.append(
            [
                name, event.time, event.symbol, "order" if order else "margin action", event.size,
                event.price, event.reason.replace("_", " "), event.found, event.allowed,
                f"{why}.", event.id,
            ]
        )  # fmt: skip
    columns = [
        ("scenario", "scenario", "text"),
        ("time", "time", "time"),
        ("symbol", "symbol", "text"),
        ("what", "what", "text"),
        ("size", "size", "number"),
        ("price", "price", "price"),
        ("reason", "reason", "text"),
        ("found", "needed", "number"),
        ("allowed", "allowed", "number"),
        ("explanation", "why", "text"),
        ("event", "event", "number"),
    ]
    note = "Needed and allowed are the two numbers that decided, in the unit the reason calls for."
    return sheet("Refused orders", note, columns, rows, unit)


def _partings(comparison: Comparison) -> Any:
    """The pieces in which two runs were apart, with what each cause was worth."""
    columns = [
        ("first", "against", "text"),
        ("other", "scenario", "text"),
        ("opened", "from", "time"),
        ("closed", "to", "time"),
        ("bars", "bars", "number"),
        ("worth", "worth", "money"),
        *((cause, cause.replace("_", " "), "money") for cause in CAUSES),
        ("kind", "cause", "text"),
        ("run", "in", "text"),
        ("symbols", "symbols", "text"),
        ("liquidations", "liquidations", "number"),
        ("sentence", "what parted them", "text"),
        ("event", "event", "number"),
    ]
    note = (
        "Worth is the change of the difference (scenario less against) while they were apart, and the causes "
        "beside it sum to it; no end means that they still were at the last bar."
    )
    rows = list(_parting_rows(comparison))
    return sheet("Where they part", note, columns, rows, comparison.first.currency)


def _parting_rows(comparison: Comparison) -> Iterator[list[Any]]:
    for piece in comparison.divergence.episodes:
        opened, closed = (int(t.timestamp() * 1000) for t in (piece.opened, piece.closed))
        yield [
            piece.first, piece.other, opened, None if piece.ongoing else closed, piece.bars,
            piece.worth, *(piece.causes[cause] for cause in CAUSES), piece.kind, piece.run,
            ", ".join(piece.symbols), piece.liquidations, told(piece), piece.event,
        ]  # fmt: skip


def _liquidations(comparison: Comparison, books: Mapping[str, TradeBook]) -> Any:
    columns = [*FALLEN, *([LABELLED] if comparison.extremes else [])]
    note = (
        "Extra margin: what more there had to be at that moment for the positions, left as they were, to "
        "live through the bar, and through the week after it (orders, funding and fees left aside); "
        "'at most' where several positions need not stand worst at once, or it was traded in that bar too. "
        "Prices later are counted from the end of the bar."
    )
    rows = fallen_rows(comparison, books)
    return sheet("Liquidations", note, columns, rows, comparison.first.currency)


def _avoided(comparison: Comparison) -> dict[str, Any]:
    """What would have avoided each liquidation, where that was asked for."""
    if comparison.avoided is None:
        return {}
    told = " ".join(dict.fromkeys(comparison.avoided.attrs.get("engines", {}).values()))
    note, unit = f"{avoided.NOTE} {told}".strip(), comparison.first.currency
    rows = avoided.avoided_rows(comparison)
    return {"avoided": sheet("What would have avoided it", note, avoided.COLUMNS, rows, unit)}
