"""``bt-margin sample``: the synthetic market that everything runs on out of the box."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bt_margin.cli import shell

WHERE = "Folder to write into; default: data/ of the checkout, else the user's cache."


def sample(
    folder: Annotated[Path | None, typer.Option(help=WHERE)] = None,
    seed: Annotated[int | None, typer.Option(help="Another market of the same kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
) -> None:
    """Write the SYNTHETIC sample market as Parquet and say what is in it.

    Example: bt-margin sample --folder data
    """
    with shell.plain_errors():
        from bt_margin.market import synthetic
        from bt_margin.market.cache import data_folder

        chosen = synthetic.SEED if seed is None else seed
        market = synthetic.sample_market(chosen, folder=folder)
        place = data_folder(folder)
        rows = [_row(symbol, frame) for symbol, frame in market.items()]
        if as_json:
            shell.write_json(
                {"synthetic": True, "seed": chosen, "folder": str(place), "symbols": rows}
            )
        elif not quiet:
            _show(rows, place)


def _row(symbol: str, frame: Any) -> dict[str, Any]:
    """What one symbol's frame holds."""
    fall = (frame["low"] / frame["open"] - 1.0).min()
    return {
        "symbol": symbol,
        "bars": len(frame),
        "from": frame.index[0],
        "to": frame.index[-1],
        "first": float(frame["open"].iloc[0]),
        "last": float(frame["close"].iloc[-1]),
        "deepest_bar": float(fall),
        "settlements": int(frame["funding_rate"].notna().sum()),
    }


def _show(rows: list[dict[str, Any]], place: Path) -> None:
    """The market as a table."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers as n

    table = [["symbol", "bars", "from", "to", "first", "last", "deepest bar", "settlements"]]
    for row in rows:
        cells = [row["symbol"], n.count(row["bars"]), n.date(row["from"]), n.date(row["to"])]
        cells += [n.price(row["first"]), n.price(row["last"]), n.percent(row["deepest_bar"])]
        table.append([*cells, n.count(row["settlements"])])
    console = shell.stdout()
    console.print("[bold red]SYNTHETIC market[/]: made up, seeded, the same on every machine")
    layout.show_numbers(console, table)
    console.print(f"kept in: {place}", markup=False)
