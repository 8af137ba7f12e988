"""``bt-margin check``: is this data what it says it is?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import parse, shell

if TYPE_CHECKING:
    from bt_margin.market.check import Checked, Finding, Repaired

WHAT = "Stores, folders of files, or files; default: data."
SYMBOLS = "Only these, with commas."
STRICT = "Warnings count as errors for the exit code."
REPAIR = "Ask the exchanges again for what is wrong in a store, then check again."
OPTIONS = "For --repair: JSON or TOML merged into the ccxt configuration (proxies, urls, timeout)."
HEAD = ["data", "severity", "what", "count", "from", "to", "in words"]
SPARE = ("to", "count", "from")
_MARKED = {"error": "ERROR", "warning": "warning", "info": "fact"}


def check(
    what: Annotated[list[Path] | None, typer.Argument(help=WHAT)] = None,
    exchange: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    symbols: Annotated[str | None, typer.Option(help=SYMBOLS)] = None,
    since: Annotated[str | None, typer.Option(help="Rows from this time on (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Rows before this time (UTC).")] = None,
    repair: Annotated[bool, typer.Option("--repair", help=REPAIR)] = False,
    exchange_options: Annotated[Path | None, typer.Option(help=OPTIONS)] = None,
    strict: Annotated[bool, typer.Option("--strict", help=STRICT)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the count.")] = False,
) -> None:
    """Look for what makes a backtest wrong: holes, bad prices, marks that are none, shifted clocks, funding.

    An error makes a backtest on the data wrong, a warning wants to be looked at, a fact is the market's own.
    Nothing is changed without --repair, and gaps are never filled in. Exit codes: 0 clean or facts only,
    1 errors (with --strict also warnings), 2 nothing to check, or a mistake in the command.

    Example: bt-margin check

    Example: bt-margin check my/files --symbols BTCUSDT --since 2024-01-01 --json

    Example: bt-margin check data --exchange binanceusdm --repair
    """
    with shell.plain_errors():
        from bt_margin.market.check import exit_code

        places = what or [Path("data")]
        asked = (exchange, parse.names(symbols), _span(since, until))
        if not what and not places[0].exists():
            shell.fail(_nothing(places, None, None), 2)
        begun = time.monotonic()
        found = _checked(places, asked, quiet or as_json)
        seconds = time.monotonic() - begun
        if not found.datasets:
            shell.fail(_nothing(places, exchange, symbols), 2)
        mended: list[Repaired] = []
        if not (quiet or as_json):
            _show(found, seconds)
        if repair:
            mended = _repaired(found, exchange_options, quiet or as_json)
            found = _checked(places, asked, quiet or as_json)
            if not (quiet or as_json) and mended:
                _show(found, None)
        if as_json:
            shell.write_json(_document(found, mended))
        elif quiet:
            typer.echo(_count(found))
        for line in _failed(mended):
            shell.complain(line)
        raise typer.Exit(exit_code(found.findings, strict))


def _span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    if since is None and until is None:
        return None, None
    from bt_margin.market.download import time_of

    first = None if since is None else time_of(since, "since")
    return first, None if until is None else time_of(until, "until")


def _checked(
    places: Sequence[Path],
    asked: tuple[str | None, list[str] | None, tuple[int | None, int | None]],
    quiet: bool,
) -> Checked:
    from bt_margin.market.check import check_paths

    exchange, symbols, span = asked
    with shell.progress(quiet) as told:
        return check_paths(places, exchange, symbols, span=span, told=told)


def _nothing(places: Sequence[Path], exchange: str | None, symbols: str | None) -> str:
    """Why there was nothing to check, and what to do."""
    where = ", ".join(str(place) for place in places)
    if exchange or symbols:
        only = " ".join(part for part in (exchange, symbols) if part)
        return f"nothing of {only} to check in {where}; bt-margin list shows what a store holds"
    for place in places:
        if place.is_dir() and next(place.rglob("_manifest.json"), None):
            return f"{place} is a part of a store; name the store's own folder, with --exchange or --symbols"
    todo = "bt-margin download fetches some, bt-margin sample makes some up"
    return (
        f"nothing to check in {where}: no store and no market files (Parquet, CSV, feather); {todo}"
    )


def _repaired(found: Checked, options: Path | None, quiet: bool) -> list[Repaired]:
    """Ask again, store by store."""
    from bt_margin.cli.download import aside, bars, read
    from bt_margin.errors import InputError
    from bt_margin.market.check import repair, spans_to_repair
    from bt_margin.market.download import refetching
    from bt_margin.market.store import Store

    if not found.stores:
        raise InputError(
            "--repair works on a store; files of others are mended by downloading anew"
        )
    if not quiet:
        typer.echo(_asking(spans_to_repair(found.findings)))
    done = []
    for place in found.stores:
        with bars(quiet) as told:
            store = Store(place)
            given, said = read(options), aside(quiet)
            fetch = refetching(store, exchange_options=given, progress=told, said=said)
            done.append(repair(store, found.findings, fetch))
    return done


def _asking(wanted: dict[Any, list[Any]]) -> str:
    from bt_margin.report.numbers import plural

    spans = sum(len(each) for each in wanted.values())
    if not spans:
        return "\nNothing an exchange could mend."
    sets = plural(len(wanted), "dataset")
    return f"\nAsking again for {plural(spans, 'stretch', 'stretches')} of {sets} ..."


def _failed(mended: Iterable[Repaired]) -> list[str]:
    """The datasets no exchange answered for."""
    return [
        f"{' '.join(part for part in key if part)} could not be repaired: {text}"
        for each in mended
        for key, text in each.failed.items()
    ]


def _show(found: Checked, seconds: float | None) -> None:
    """Every dataset with what was found, one row for each kind, and the count."""
    from bt_margin.cli import layout

    console = shell.stdout()
    rows = _rows(found.findings)
    if rows:
        layout.show_words(console, [HEAD, *rows], "Findings", SPARE)
    took = "" if seconds is None else f" in {seconds:.1f} s"
    console.print(f"\n{_count(found)}{took}", markup=False)
    if found.left_alone:
        from bt_margin.report.numbers import plural

        left = plural(len(found.left_alone), "file")
        console.print(f"{left} left alone: no market data by name or content", style="dim")


def _rows(findings: Sequence[Finding]) -> list[list[str]]:
    """One row for each dataset, severity and kind, the gravest datasets first.

    Several stretches are told by the longest.
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for each in _gravest_first(findings):
        key = (each.exchange, each.symbol, each.data, each.severity, each.kind)
        groups.setdefault(key, []).append(each)
    rows, before = [], ""
    for (*named, severity, kind), group in groups.items():
        name = _name(*named)
        first, last = min(each.start for each in group), max(each.stop for each in group)
        most = max(group, key=lambda each: each.count)
        more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
        rows.append(
            [
                "" if name == before else name, _MARKED[severity], kind,
                f"{sum(each.count for each in group):,}", _date(first), _date(last),
                most.text + more,
            ]
        )  # fmt: skip
        before = name
    return rows


def _gravest_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with the datasets in order of their worst one."""
    rank = {severity: place for place, severity in enumerate(_MARKED)}
    least: dict[tuple[str, str, str], int] = {}
    for each in findings:
        key = (each.exchange, each.symbol, each.data)
        least[key] = min(rank[each.severity], least.get(key, len(rank)))
    return sorted(findings, key=lambda each: least[each.exchange, each.symbol, each.data])


def _name(exchange: str, symbol: str, data: str) -> str:
    """`binanceusdm BTC/USDT:USDT mark/1h`; a file by its own name."""
    from bt_margin.market.kinds import KINDS

    if data.partition("/")[0] in KINDS:
        return " ".join(part for part in (exchange, symbol, data) if part)
    return data


def _date(time_ms: int) -> str:
    from bt_margin.market.check.findings import when

    return when(time_ms)[:16] if time_ms else ""


def _count(found: Checked) -> str:
    """The last line."""
    from bt_margin.report.numbers import plural

    told = {name: sum(each.severity == name for each in found.findings) for name in _MARKED}
    sizes = f"{plural(found.datasets, 'dataset')}, {plural(found.rows, 'row')} checked"
    counts = f"{plural(told['error'], 'error')}, {plural(told['warning'], 'warning')}"
    return f"{sizes}: {counts}, {plural(told['info'], 'fact')}"


def _document(found: Checked, mended: Sequence[Repaired]) -> dict[str, Any]:
    """Everything a program wants to know."""
    told = {name: sum(each.severity == name for each in found.findings) for name in _MARKED}
    return {
        "datasets": found.datasets,
        "rows": found.rows,
        "errors": told["error"],
        "warnings": told["warning"],
        "facts": told["info"],
        "findings": [each.to_dict() for each in found.findings],
        "left_alone": [str(path) for path in found.left_alone],
        "repaired": [_repair_row(key, each) for each in mended for key in each.asked],
    }


def _repair_row(key: tuple[str, str, str, str], done: Repaired) -> dict[str, Any]:
    from bt_margin.market.check.findings import iso

    exchange, symbol, kind, timeframe = key
    return {
        "exchange": exchange,
        "symbol": symbol,
        "kind": kind,
        "timeframe": timeframe,
        "asked": [[iso(start), iso(stop)] for start, stop in done.asked[key]],
        "error": done.failed.get(key),
    }
