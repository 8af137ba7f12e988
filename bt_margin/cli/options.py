"""The options that several verbs share, each declared once: its type, its words, its section of the help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bt_margin.cli import download, shell

MARKET, ACCOUNT, STUDY, OUTPUT = "Market", "Account", "Study", "Output"

Strategy = Annotated[
    str,
    typer.Argument(
        metavar="STRATEGY", help="A file, file.py:Class, or dotted path to a backtrader strategy."
    ),
]

# -- market ------------------------------------------------------------------------------------------

Data = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH",
        rich_help_panel=MARKET,
        help="Folder or files of market data; repeatable. Without: the SYNTHETIC sample market.",
    ),
]
Symbols = Annotated[
    str | None,
    typer.Option(metavar="A,B,...", rich_help_panel=MARKET, help="Only these, with commas."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="DATE", rich_help_panel=MARKET, help="First bar (UTC), e.g. 2025-10-01."),
]
Until = Annotated[
    str | None,
    typer.Option(metavar="DATE", rich_help_panel=MARKET, help="Bars before this time (UTC)."),
]
Timeframe = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH", rich_help_panel=MARKET, help="Which files, if several, e.g. 1h."
    ),
]
Source = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=MARKET, help="Whose files, if several, e.g. okx."),
]
Exchange = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=MARKET,
        help="Run on this ccxt exchange's history; what the store lacks is downloaded first.",
    ),
]
Store = Annotated[Path, typer.Option(metavar="DIR", rich_help_panel=MARKET, help=download.STORE)]
ExchangeOptions = Annotated[
    Path | None, typer.Option(metavar="FILE", rich_help_panel=MARKET, help=download.OPTIONS)
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        rich_help_panel=MARKET,
        help="Use the store as it is; nothing goes over the network.",
    ),
]
MissingFunding = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        rich_help_panel=MARKET,
        help="Settlements that are missing: fail, skip, hold or constant=RATE.",
    ),
]
MissingMarks = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        rich_help_panel=MARKET,
        help="Marks that are missing: fail, skip, hold or clip.",
    ),
]
Detail = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH",
        rich_help_panel=MARKET,
        help="Finer bars (e.g. 1m) of exactly the dangerous bars, downloaded when they are found.",
    ),
]

# -- account -----------------------------------------------------------------------------------------

Leverage = Annotated[
    float,
    typer.Option(
        parser=shell.number,
        metavar="NUMBER",
        rich_help_panel=ACCOUNT,
        help="Leverage of every position.",
    ),
]
Cash = Annotated[
    float,
    typer.Option(
        parser=shell.number, metavar="NUMBER", rich_help_panel=ACCOUNT, help="Cash at the start."
    ),
]
Venue = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=ACCOUNT,
        help="Whose rules apply; default: those of --exchange, else binance.",
    ),
]
Venues = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        rich_help_panel=STUDY,
        help="Compare the rules of several venues, each in every margin mode it has.",
    ),
]
Rule = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        rich_help_panel=ACCOUNT,
        help="A number of the venue, as --venue generic needs them; repeatable.",
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(metavar="DATE", rich_help_panel=ACCOUNT, help="Pin the venue's tables to a date."),
]
MarginCall = Annotated[
    list[float] | None,
    typer.Option(
        parser=shell.number,
        metavar="RATIO",
        rich_help_panel=ACCOUNT,
        help="Margin ratio that calls, e.g. 0.8; repeatable.",
    ),
]
LiquidationSlippage = Annotated[
    float,
    typer.Option(
        parser=shell.number,
        metavar="FRACTION",
        rich_help_panel=ACCOUNT,
        help="What a liquidation sale loses against the mark.",
    ),
]
AutoTopUp = Annotated[
    bool,
    typer.Option(
        "--auto-top-up",
        rich_help_panel=ACCOUNT,
        help="Refill isolated margin before a liquidation.",
    ),
]

# -- study -------------------------------------------------------------------------------------------

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        rich_help_panel=STUDY,
        help="A parameter of the strategy; repeatable.",
    ),
]
Scenario = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME:KEY=VALUE,...",
        rich_help_panel=STUDY,
        help="Compare these instead of cross and isolated; repeatable.",
    ),
]
Intrabar = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        rich_help_panel=STUDY,
        help="Path inside a bar: adverse, favourable or nearest.",
    ),
]
Counterfactuals = Annotated[
    int,
    typer.Option(
        "--counterfactuals",
        metavar="N",
        min=0,
        rich_help_panel=STUDY,
        help="Also find what would have avoided the N costliest liquidations of each run.",
    ),
]
Bounds = Annotated[
    bool,
    typer.Option(
        "--bounds",
        rich_help_panel=STUDY,
        help="Also run with the path inside each bar at its worst and at its best.",
    ),
]

# -- output ------------------------------------------------------------------------------------------

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        rich_help_panel=OUTPUT,
        help="Write tables (CSV, Parquet), picture and report into this folder.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Write the report, one page that opens offline, e.g. out.html.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print one JSON document.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="Print only the verdict.")
]
