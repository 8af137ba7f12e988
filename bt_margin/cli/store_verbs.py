"""``bt-margin list``, ``import`` and ``export``: what the store holds, and files in and out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bt_margin.cli import parse, shell, store_tables

FILES = "Files, or folders to look through."
EXCHANGE = "The ccxt class the data is of, e.g. binanceusdm."
SYMBOL = (
    "Whose rows they are, where the files do not tell: BTC/USDT:USDT (perpetual), BTC/USDT (spot)."
)
KIND = "ohlcv, mark, index or funding, where the files do not tell."
TIMEFRAME = "Length of a bar, where the files do not tell, e.g. 1h."
SHAPE = "ccxt, binance, freqtrade, split, csv or parquet; default: told by name and first line."
OUT_SHAPE = (
    "ccxt, binance, freqtrade, split (ours, one kind a file), csv or parquet (ours, all kinds)."
)
STORE = "Folder of the store."
PARTIAL = 3  # exit code: some files were taken, some were not


def list_(
    store: Annotated[Path, typer.Option(help=STORE)] = Path("data"),
    exchange: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print exchange, symbol, kind, timeframe only.")
    ] = False,
) -> None:
    """Show what the store holds: spans, rows, missing bars, gaps at the exchange, size, last download.

    Example: bt-margin list

    Example: bt-margin list --exchange binanceusdm --json
    """
    with shell.plain_errors():
        from bt_margin.market.store import Store

        place = Store(store)
        rows = list(store_tables.list_rows(place, exchange))
        if as_json:
            shell.write_json({"store": str(store), "datasets": rows})
        elif quiet:
            for row in rows:
                named = (row["exchange"], row["symbol"], row["kind"], row["timeframe"])
                typer.echo(" ".join(part for part in named if part))
        elif not rows:
            store_tables.show_nothing(store, exchange)
        else:
            store_tables.show_list(rows)
        if any(row["damaged"] for row in rows):
            shell.fail("some of the store is damaged; see bt-margin check", 2)


def import_(
    files: Annotated[list[Path], typer.Argument(help=FILES)],
    exchange: Annotated[str, typer.Option(help=EXCHANGE)],
    symbol: Annotated[str | None, typer.Option(help=SYMBOL)] = None,
    kind: Annotated[str | None, typer.Option(help=KIND)] = None,
    timeframe: Annotated[str | None, typer.Option(help=TIMEFRAME)] = None,
    shape: Annotated[str | None, typer.Option(help=SHAPE)] = None,
    store: Annotated[Path, typer.Option(help=STORE)] = Path("data"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Take files of others into the store: ccxt rows, Binance's archive, freqtrade's data, ours.

    What a file does not hold stays missing, and a later download fetches it. Exit codes: 0 all files
    taken, 3 some of them, 2 none, or a mistake in the command.

    Example: bt-margin import ~/binance/data/futures/um --exchange binanceusdm

    Example: bt-margin import rows.csv --exchange kraken --symbol BTC/USD --kind ohlcv
    """
    with shell.plain_errors():
        from bt_margin.market.shapes import Asked, check_words
        from bt_margin.market.shapes.intake import Failed, take_files, unknown
        from bt_margin.market.store import Store

        check_words(shape, [kind] if kind else [])
        asked, place, left = Asked(symbol, kind, timeframe, exchange), Store(store), list[str]()
        with _told(quiet or as_json) as told:
            known = {"told": told, "left": left.append, "waits": _waits}
            found = list(take_files(place, exchange, files, asked, shape, **known))
        taken = [each for each in found if not isinstance(each, Failed)]
        failed = [each for each in found if isinstance(each, Failed)]
        if as_json:
            shell.write_json(store_tables.import_document(store, taken, failed, left))
        elif not quiet:
            store_tables.show_taken(store, taken, left, unknown(exchange))
        for each in failed:
            shell.complain(str(each.error))
        if not found:
            where = ", ".join(str(each) for each in files)
            shell.fail(f"no file of a known shape in {where}; see bt-margin import --help", 2)
        if failed:
            raise typer.Exit(PARTIAL if taken else 2)


def export(
    exchange: Annotated[str, typer.Option(help=EXCHANGE)],
    shape: Annotated[str, typer.Option(help=OUT_SHAPE)],
    out: Annotated[Path, typer.Option(help="Write into this folder.")],
    symbols: Annotated[str | None, typer.Option(help="Only these, with commas.")] = None,
    kinds: Annotated[
        str | None, typer.Option(help="Of ohlcv,mark,index,funding; default all.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option(help="Which bars, if several, e.g. 1h.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time (UTC).")] = None,
    store: Annotated[Path, typer.Option(help=STORE)] = Path("data"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Write what the store holds as files of another shape, each whole or not at all.

    Example: bt-margin export --exchange binanceusdm --symbols BTC/USDT:USDT --shape freqtrade --out out

    Example: bt-margin export --exchange binanceusdm --shape parquet --out frames --since 2025-01-01
    """
    with shell.plain_errors():
        from bt_margin.market.shapes import check_words, outgo
        from bt_margin.market.store import Store

        check_words(shape, parse.names(kinds) or [])
        span, place = outgo.span_of(since, until), shell.folder(out)
        kept = Store(store)
        mine = outgo.datasets_of(
            kept, exchange, parse.names(symbols), parse.names(kinds), timeframe
        )
        written = outgo.export(kept, mine, span, shape, place)
        if as_json:
            shell.write_json(store_tables.export_document(written, shape, place))
        elif not quiet:
            store_tables.show_written(written)
        if not any(each.files for each in written):
            shell.fail("nothing written: the store has no rows in the time asked", 2)


def _waits(sentence: str) -> None:
    """Say on stderr what is being waited for."""
    typer.echo(f"bt-margin: {sentence}", err=True)


@contextmanager
def _told(quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """A line on stderr with the file being read; only on a terminal, and gone afterwards."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as shown:
        yield lambda name: shown.update(f"reading {name}")
