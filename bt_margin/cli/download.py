"""``bt-margin download``: last, mark, funding and tiers from any ccxt venue into the store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import shell

if TYPE_CHECKING:
    from bt_margin.market.fetch import Order, Report
    from bt_margin.market.filling import Job, Progress, Told
    from bt_margin.market.store import Store

EXCHANGE = "A ccxt class, e.g. binanceusdm, bybit, okx, hyperliquid; several with commas."
SYMBOLS = "Unified symbols with commas, e.g. BTC/USDT:USDT,ETH/USDT:USDT."
SINCE = "From this time on (UTC), e.g. 2024-01-01."
UNTIL = "Before this time (UTC); default: now."
KINDS = "Of ohlcv,mark,index,funding,tiers; default: all but index, as far as the venue has them."
STORE = "Folder of the store."
OPTIONS = (
    "JSON or TOML merged into the ccxt configuration: proxies, urls, headers, timeout, keys; "
    "what stands in a table named as an exchange is for that one alone."
)
AGAIN = "Ask for all of it, also what the store has: corrections and bars filled in later come in."
WORKERS = "Datasets of one venue fetched side by side (they share its rate limit)."
PARTIAL = 3  # exit code: some datasets came, some did not
_BESIDE = 73  # columns that stand beside a progress bar
_LINE_EVERY = 5.0  # seconds between two plain progress lines where there is no terminal


def download(
    exchange: Annotated[str, typer.Option(help=EXCHANGE)],
    symbols: Annotated[str, typer.Option(help=SYMBOLS)],
    since: Annotated[str, typer.Option(help=SINCE)],
    until: Annotated[str | None, typer.Option(help=UNTIL)] = None,
    timeframe: Annotated[str, typer.Option(help="Length of the bars, e.g. 1m, 15m, 1h.")] = "1h",
    kinds: Annotated[str | None, typer.Option(help=KINDS)] = None,
    store: Annotated[Path, typer.Option(help=STORE)] = Path("data"),
    exchange_options: Annotated[Path | None, typer.Option(help=OPTIONS)] = None,
    again: Annotated[bool, typer.Option("--again", help=AGAIN)] = False,
    workers: Annotated[int, typer.Option(min=1, max=32, help=WORKERS)] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Fetch history into the store; the same command again fetches only what is missing.

    Exit codes: 0 everything is there, 3 some of it, 1 nothing, 2 a mistake in the command, 130 interrupted
    (what was fetched is kept).

    Example: bt-margin download --exchange binanceusdm --symbols BTC/USDT:USDT --since 2024-01-01
    """
    with shell.plain_errors():
        from bt_margin.market.download import chosen_kinds, listed, span_of
        from bt_margin.market.fetch import Order
        from bt_margin.market.store import Store

        span = span_of(since, until, timeframe)
        chosen, names, venues = chosen_kinds(kinds), listed(symbols), listed(exchange)
        options = own_options(read(exchange_options), venues)
        orders = [
            Order(each, names, timeframe, (span,), chosen, kinds is not None, options[each], again)
            for each in venues
        ]
        place = Store(store)
        report = carried_out(orders, place, workers, (quiet or as_json, quiet))
        if as_json:
            shell.write_json(document(report, place))
        elif not quiet:
            show(report, place)
        for text, labels in {} if as_json else complaints(report).items():
            shell.complain(f"{labels}: {text}")
        raise typer.Exit(outcome(report))


def read(path: Path | None) -> dict[str, Any] | None:
    """The options file, if one is named."""
    if path is None:
        return None
    from bt_margin.market.exchange import read_options

    return read_options(path)


def own_options(options: dict[str, Any] | None, venues: Iterable[str]) -> dict[str, Any]:
    """The options of each exchange: what the file says for all, and its table of that name.

    >>> own_options({"timeout": 5, "okx": {"timeout": 9}}, ["okx", "bybit"])
    {'okx': {'timeout': 9}, 'bybit': {'timeout': 5}}
    """
    given, names = options or {}, list(venues)
    own = {name: given[name] for name in names if isinstance(given.get(name), dict)}
    common = {key: value for key, value in given.items() if key not in own}
    return {name: {**common, **own.get(name, {})} for name in names}


def carried_out(
    orders: list[Order], store: Store, workers: int, silent: tuple[bool, bool]
) -> Report:
    """The fetch with progress and asides on stderr; ``silent`` turns each of the two off."""
    from bt_margin.market.fetch import fetch

    try:
        with bars(silent[0]) as told:
            return fetch(orders, store, workers=workers, told=told, said=aside(silent[1]))
    except KeyboardInterrupt:
        shell.fail(
            "interrupted; what was fetched is kept, the same command goes on from there", 130
        )
        raise


def outcome(report: Report) -> int:
    """The exit code."""
    if report.complete:
        return 0
    return 1 if len(report.failures) == len(report.jobs) else PARTIAL


def show(report: Report, store: Store) -> None:
    """What came, dataset by dataset, then what must be said."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n

    console = shell.stdout()
    table = [["dataset", "new rows", "venue lacks", "outcome"]]
    for job in report.jobs:
        table.append([job.label, n.count(job.rows), n.count(job.gaps), said_of(job)])
    layout.show_numbers(console, table)
    for note in [*report.notes, *map(_lacks, report.jobs)]:
        if note:
            console.print(layout.hanging(note, console.width), style="dim", markup=False)
    rows = sum(job.rows for job in report.jobs)
    console.print(
        f"{n.count(rows)} rows in {report.seconds:,.1f} s, kept in {store.folder}", markup=False
    )


def complaints(report: Report) -> dict[str, str]:
    """What went wrong, each text once, with what it concerns: datasets, or symbols all of whose it does."""
    found: dict[str, list[Job]] = {}
    for job in report.failures:
        found.setdefault(str(job.error).removeprefix(f"{job.label}: "), []).append(job)
    return {text: _concerned(jobs, report) for text, jobs in found.items()}


def _concerned(jobs: list[Job], report: Report) -> str:
    names: list[str] = []
    for job in jobs:
        mine = [each for each in report.jobs if _market_of(each) == _market_of(job)]
        names.append(_market_of(job) if all(each in jobs for each in mine) else job.label)
    return ", ".join(dict.fromkeys(names))


def _market_of(job: Job) -> str:
    return f"{job.exchange} {job.symbol}"


def aside(quiet: bool) -> Callable[[str], None]:
    """Who says on stderr, as it happens, what the work waits for."""
    return (
        (lambda text: None) if quiet else (lambda text: typer.echo(f"bt-margin: {text}", err=True))
    )


def said_of(job: Job) -> str:
    """One or two words on how it ended."""
    if job.error is not None:
        return "failed"
    if job.skipped:
        return "not offered"
    if job.lacking:
        return "incomplete"
    return "revised bars" if job.revised else "nothing new" if not job.rows else "complete"


def _lacks(job: Job) -> str:
    """What of a dataset is not settled though its time is over; "" where all is."""
    if not job.lacking:
        return ""
    return f"{job.label}: nothing yet of {_date(job.lacking[0][0])} to {_date(job.lacking[-1][1])}"


def document(report: Report, store: Store) -> dict[str, Any]:
    """Everything a program wants to know."""
    return {
        "store": str(store.folder),
        "seconds": report.seconds,
        "complete": report.complete,
        "datasets": [
            {
                "exchange": job.exchange, "symbol": job.symbol, "kind": job.kind,
                "timeframe": job.timeframe, "rows_fetched": job.rows, "requests": job.requests,
                "bars_missing_at_venue": job.gaps, "bars_revised": job.revised,
                "lacking": [[_date(start), _date(stop)] for start, stop in job.lacking],
                "skipped": job.skipped or None,
                "error": None if job.error is None else str(job.error),
                "error_class": None if job.error is None else type(job.error).__name__,
            }
            for job in report.jobs
        ],
        "notes": list(report.notes),
        "asides": list(report.asides),
    }  # fmt: skip


@contextmanager
def bars(quiet: bool) -> Iterator[Told | None]:
    """Progress on stderr: bars with rate and time left on a terminal, a plain line now and then elsewhere."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich import progress as p
        from rich.console import Console

        console = Console(stderr=True)
        bar = max(4, min(40, console.width - _BESIDE))
        columns = (
            p.TextColumn("{task.description}"), p.BarColumn(bar), p.TaskProgressColumn(),
            p.TextColumn("{task.fields[reached]}"), p.TextColumn("{task.fields[rate]}"),
            p.TimeRemainingColumn(compact=True),
        )  # fmt: skip
        with p.Progress(*columns, console=console, transient=True) as shown:
            yield _Bars(shown)


class _Bars:
    """One bar per dataset."""

    def __init__(self, shown: Any) -> None:
        self.shown = shown
        self.tasks: dict[str, Any] = {}
        self.begun: dict[str, float] = {}

    def __call__(self, at: Progress) -> None:
        label = at.job.label
        if label not in self.tasks:
            self.tasks[label] = self.shown.add_task(label, total=1.0, reached="", rate="")
            self.begun[label] = time.monotonic()
        self.shown.update(
            self.tasks[label],
            completed=at.done / at.total if at.total else 1.0,
            reached=_date(at.reached)[:10],
            rate=_rate(at, self.begun[label]).replace(" rows", ""),
        )


class _Lines:
    """A line per dataset every few seconds."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self.begun: dict[str, float] = {}

    def __call__(self, at: Progress) -> None:
        now, label = time.monotonic(), at.job.label
        self.begun.setdefault(label, now)
        if now - self.last.setdefault(label, now) < _LINE_EVERY:
            return
        self.last[label] = now
        share = at.done / at.total if at.total else 1.0
        spent = now - self.begun[label]
        left = f", {spent * (1 - share) / share:,.0f} s left" if share > 0 else ""
        line = f"{label}: {share:.0%}, {_date(at.reached)}, {_rate(at, self.begun[label])}{left}"
        typer.echo(line, err=True)


def _rate(at: Progress, begun: float) -> str:
    spent = time.monotonic() - begun
    return f"{at.job.rows / spent:,.0f} rows/s" if spent > 0 else ""


def _date(time_ms: int) -> str:
    from bt_margin.market.download import text_of

    return text_of(time_ms)
