"""What ``list``, ``import`` and ``export`` show: tables for people, documents for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bt_margin.cli import shell

if TYPE_CHECKING:
    from bt_margin.market.shapes.intake import Failed, Taken
    from bt_margin.market.shapes.outgo import Written
    from bt_margin.market.store import Dataset, Store

DOWNLOAD = "bt-margin download --exchange binanceusdm --symbols BTC/USDT:USDT --since 2024-01-01"
IMPORT = "bt-margin import FILES --exchange binanceusdm"
_SHOWN = 5  # notes of a kind that are shown; --json has all


def list_rows(store: Store, exchange: str | None) -> Iterator[dict[str, Any]]:
    """What is stored, dataset by dataset; tiers by their dated snapshots."""
    for each in store.datasets(exchange):
        yield _row(each)
    names = store.exchanges() if exchange is None else [exchange]
    for name in names:
        for symbol in store.symbols(name):
            row = _tiers_row(store, name, symbol)
            if row:
                yield row


def _tiers_row(store: Store, exchange: str, symbol: str) -> dict[str, Any] | None:
    """The dated tiers of a symbol; None without any."""
    from bt_margin.errors import StoreDamaged

    row = _named(exchange, symbol, "tiers", "")
    try:
        dated = store.tiers(exchange, symbol)
    except StoreDamaged as error:
        return {**row, "damaged": str(error)}
    if not dated:
        return None
    first, last = _time(dated[0]["at"]), _time(dated[-1]["at"])
    return {**row, "first": first, "last": last, "rows": len(dated), "last_download": last}


def _named(exchange: str, symbol: str, kind: str, timeframe: str) -> dict[str, Any]:
    """A row of the list with nothing known yet."""
    blank = (
        "first",
        "last",
        "rows",
        "missing_bars",
        "gap_bars",
        "missing_spans",
        "size",
        "last_download",
    )
    named = {"exchange": exchange, "symbol": symbol, "kind": kind, "timeframe": timeframe}
    return {**named, **dict.fromkeys(blank), "damaged": None}


def _row(dataset: Dataset) -> dict[str, Any]:
    """What one dataset holds; of a damaged one, what is wrong with it."""
    from bt_margin.errors import StoreDamaged
    from bt_margin.market.kinds import Grid
    from bt_margin.market.store.spans import common

    row = _named(dataset.exchange, dataset.symbol, dataset.kind, dataset.timeframe)
    try:
        first, last = dataset.first, dataset.last
        row |= {
            "first": _time(first),
            "last": _time(last),
            "rows": dataset.rows,
            "size": dataset.size,
        }
        row["last_download"] = _time(dataset.settled_at)
        if first is not None and last is not None:
            lacking = dataset.missing((first, last + 1))
            row["missing_spans"] = len(lacking)
            if dataset.timeframe:
                grid = Grid.of(dataset.timeframe)
                row["missing_bars"] = sum(grid.count(span) for span in lacking)
                inside = common(tuple(gap[:2] for gap in dataset.gaps), ((first, last),))
                row["gap_bars"] = sum(grid.count(span) for span in inside)
    except StoreDamaged as error:
        row["damaged"] = str(error)
    return row


def _time(at: int | None) -> Any:
    """Epoch milliseconds as a UTC time."""
    from datetime import datetime, timezone

    return None if at is None else datetime.fromtimestamp(at / 1000, timezone.utc)


def show_list(rows: list[dict[str, Any]]) -> None:
    """The store as a table for each exchange."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n

    console = shell.stdout()
    for exchange in dict.fromkeys(row["exchange"] for row in rows):
        head = ["", "first (UTC)", "last (UTC)", "rows", "missing bars", "gaps at exchange", "size"]
        table = [[*head, "came in (UTC)"]]
        for row in (row for row in rows if row["exchange"] == exchange):
            cells = [_label(row["symbol"], row["kind"], row["timeframe"])]
            cells += [
                n.date(row["first"]),
                n.date(row["last"]),
                n.count(row["rows"]),
                _missing(row),
            ]
            cells += [n.count(row["gap_bars"]), _size(row["size"])]
            table.append([*cells, "damaged" if row["damaged"] else n.date(row["last_download"])])
        layout.show_numbers(console, table, exchange)


def _label(*words: str) -> str:
    """The names of a dataset beside each other."""
    return " ".join(word for word in words if word)


def _missing(row: dict[str, Any]) -> str:
    """Bars inside that nobody answered for; of settlements, stretches."""
    from bt_margin.report import numbers as n

    if row["timeframe"] or not row["missing_spans"]:
        return n.count(row["missing_bars"] if row["timeframe"] else row["missing_spans"])
    return n.plural(row["missing_spans"], "stretch", "stretches")


def _size(count: int | None) -> str:
    """Bytes for people."""
    from bt_margin.report import numbers as n

    if count is None:
        return n.NOTHING
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def show_nothing(store: Path, exchange: str | None) -> None:
    """What fills a store that holds nothing."""
    what = f"nothing of {exchange} in" if exchange and store.is_dir() else "nothing in"
    what = what if store.is_dir() else "there is no store at"
    typer.echo(f"{what} {store}; fill it with one of")
    typer.echo(f"  {DOWNLOAD}\n  {IMPORT}")


def _grouped(taken: Iterable[Taken]) -> list[list[Taken]]:
    """What was taken, together for each dataset."""
    found: dict[tuple[str, str, str], list[Taken]] = {}
    for each in taken:
        found.setdefault((each.symbol, each.kind, each.timeframe), []).append(each)
    return list(found.values())


def _label_of(group: list[Taken]) -> str:
    return _label(group[0].symbol, group[0].kind, group[0].timeframe)


def show_taken(store: Path, taken: list[Taken], left: list[str], stranger: str | None) -> None:
    """What came in, dataset by dataset, and what has to be known about it."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n

    console = shell.stdout()
    if taken:
        table = [["", "files", "first (UTC)", "last (UTC)", "rows", "new", "changed"]]
        for group in _grouped(taken):
            first, last = min(each.first for each in group), max(each.last for each in group)
            cells = [
                _label_of(group),
                n.count(len(group)),
                n.date(_time(first)),
                n.date(_time(last)),
            ]
            counts = (sum(getattr(e, name) for e in group) for name in ("rows", "new", "changed"))
            table.append([*cells, *(n.count(count) for count in counts)])
        layout.show_numbers(console, table)
    named = [stranger] if stranger and taken else []
    for note in [*named, *_import_notes(taken), *_left_note(left)]:
        console.print(layout.hanging(f"· {note}", console.width), style="dim", markup=False)
    if taken:
        console.print(f"kept in: {store / taken[0].exchange}", markup=False)


def _import_notes(taken: list[Taken]) -> list[str]:
    """What has to be said about the rows."""
    from bt_margin.report.numbers import plural

    notes = []
    for group in _grouped(taken):
        name = _label_of(group)
        changed, missing = sum(e.changed for e in group), sum(e.missing for e in group)
        if changed:
            rows = plural(changed, "row differs", "rows differ")
            kept = "the new values stand, the old are kept as revisions"
            notes.append(f"{name}: {rows} from what was stored; {kept}")
        if missing:
            notes.append(
                f"{name}: {plural(missing, 'bar')} missing inside the files; a download fetches them"
            )
        if any(e.unfinished for e in group):
            notes.append(f"{name}: the last bar had not closed and was left out")
    own = [note for each in taken for note in each.notes]
    more = [f"and {len(own) - _SHOWN:,} more such notes: see --json"] if len(own) > _SHOWN else []
    return [*notes, *own[:_SHOWN], *more]


def _left_note(left: list[str]) -> list[str]:
    from bt_margin.report.numbers import plural

    if not left:
        return []
    names = ", ".join(Path(name).name for name in left[:_SHOWN])
    return [
        f"left alone: {plural(len(left), 'file')} ({names}{', ...' if len(left) > _SHOWN else ''})"
    ]


def import_document(
    store: Path, taken: list[Taken], failed: list[Failed], left: list[str]
) -> dict[str, Any]:
    """Everything a program wants to know about an import."""
    names: tuple[str, ...] = (
        "file",
        "shape",
        "exchange",
        "symbol",
        "kind",
        "timeframe",
        "rows",
        "new",
        "changed",
        "same",
    )
    names += ("missing", "unfinished", "notes")
    pieces = [
        {
            **{name: getattr(each, name) for name in names},
            "first": _time(each.first),
            "last": _time(each.last),
        }
        for each in taken
    ]
    errors = [{"file": each.file, "error": str(each.error)} for each in failed]
    return {"store": str(store), "taken": pieces, "failed": errors, "left_alone": left}


def show_written(written: list[Written]) -> None:
    """What went out, symbol by symbol."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n

    console = shell.stdout()
    for each in written:
        rows = (
            ", ".join(f"{kind} {n.count(count)}" for kind, count in each.rows.items()) or "no rows"
        )
        console.print(f"{each.symbol}: {rows}", markup=False)
        for path in each.files:
            console.print(f"  {path}", markup=False, soft_wrap=True)
    for note in dict.fromkeys(note for each in written for note in each.notes):
        console.print(layout.hanging(f"· {note}", console.width), style="dim", markup=False)


def export_document(written: list[Written], shape: str, out: Path) -> dict[str, Any]:
    """Everything a program wants to know about an export."""
    symbols = [
        {
            "symbol": each.symbol,
            "rows": each.rows,
            "files": [str(path) for path in each.files],
            "notes": each.notes,
        }
        for each in written
    ]
    return {"shape": shape, "out": str(out), "symbols": symbols}
