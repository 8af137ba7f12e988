"""``bt-margin calc``: what if? Liquidation price, margins and size, without a backtest."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import parse, shell
from bt_margin.cli.groups import OwnTier, grouped

if TYPE_CHECKING:
    from bt_margin.studies.whatif import Answer, Holding
    from bt_margin.venues.spec import Venue

POSITION = "One of several: symbol,long|short,size,entry[,mark]; may be repeated."
SIZE = "Contracts: coins on most linear ones, 0.01 coin and the like on OKX, quote units on inverse ones."
NOTIONAL = (
    "Value, instead of --size, in the currency of settlement (the coin of an inverse contract)."
)


@grouped
def calc(
    symbol: Annotated[str | None, typer.Argument(help="The symbol, e.g. BTC/USDT:USDT.")] = None,
    *,
    side: Annotated[str, typer.Option(help="long or short.")] = "long",
    size: Annotated[float | None, typer.Option(parser=shell.number, help=SIZE)] = None,
    notional: Annotated[float | None, typer.Option(parser=shell.number, help=NOTIONAL)] = None,
    entry: Annotated[float | None, typer.Option(parser=shell.number, help="Entry price.")] = None,
    mark: Annotated[
        float | None, typer.Option(parser=shell.number, help="Mark price; default: the entry.")
    ] = None,
    leverage: Annotated[float, typer.Option(parser=shell.number, help="Leverage.")] = 10.0,
    mode: Annotated[
        str | None, typer.Option(help="cross or isolated; default: isolated where there is such.")
    ] = None,
    wallet: Annotated[
        float | None, typer.Option(parser=shell.number, help="Wallet; cross margin stands on it.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            parser=shell.number, help="Isolated margin posted; default: value / leverage."
        ),
    ] = None,
    position: Annotated[list[str] | None, typer.Option(help=POSITION)] = None,
    venue: Annotated[str, typer.Option(help="Whose rules apply.")] = "binance",
    as_of: Annotated[str | None, typer.Option(help="Rules of this date; default: today's.")] = None,
    tier: OwnTier,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the venue.", metavar="NAME=VALUE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the prices.")] = False,
) -> None:
    """What if? Liquidation and bankruptcy price, margins and affordable size of positions, on any venue.

    Example: bt-margin calc BTC/USDT:USDT --side long --size 0.5 --entry 60000 --leverage 10

    Example: bt-margin calc --mode cross --wallet 5000 --position BTC/USDT:USDT,long,0.5,60000
    --position ETH/USDT:USDT,short,5,3000

    Example: bt-margin calc BTC/USDT:USDT --venue bybit --as-of 2025-09-01 --notional 65000 --entry 65000
    """
    with shell.plain_errors():
        from bt_margin.studies.whatif import rules_of, what_if

        own = asdict(tier)
        rules = rules_of(venue, as_of, parse.assignments(option or [], "--option"), own)
        moment = rules.as_of if rules.as_of is not None else int(time.time() * 1000)
        held = _holdings(symbol, (side, size, notional), (entry, mark), position)
        for name in dict.fromkeys(h.symbol for h in held):
            rules = _with_own(rules, name, own)
        if notional is not None:
            held[0] = _sized(rules, held[0], notional)
        usual = "isolated" if "isolated" in rules.modes else "cross"
        answers = what_if(
            rules,
            held,
            wallet=_wallet(wallet, mode or usual),
            leverage=leverage,
            margin_mode=mode or usual,
            time=moment,
            margin=margin,
        )
        _print(answers, rules, as_json, quiet)


def _with_own(rules: Venue, symbol: str, own: dict[str, float | None]) -> Venue:
    """The venue with the explicit tier, if there is one."""
    from bt_margin.errors import InputError
    from bt_margin.studies.whatif import with_tier

    if own["mmr"] is None and (own["maintenance_amount"], own["max_leverage"]) != (None, None):
        raise InputError("--maintenance-amount and --max-leverage belong to --mmr; give that too")
    return with_tier(rules, symbol, own)


def _holdings(
    symbol: str | None,
    single: tuple[str, float | None, float | None],
    prices: tuple[float | None, float | None],
    several: list[str] | None,
) -> list[Holding]:
    """The positions asked about; the size of one given by its value is still 1 here."""
    from bt_margin.errors import InputError
    from bt_margin.studies.whatif import Holding

    found = [Holding(*parse.position(text)) for text in several or []]
    if symbol is None:
        if not found:
            raise InputError(
                "no position given; name a symbol with --size and --entry, or --position"
            )
        return found
    (side, size, notional), (entry, mark) = single, prices
    if notional is not None and notional <= 0:
        raise InputError(f"--notional {notional} must be above 0; say --side short for a short")
    if entry is None or (size is None) == (notional is None):
        raise InputError(f"{symbol} needs --entry and one of --size and --notional")
    if size is not None and size <= 0:
        raise InputError(f"--size {size} must be above 0; say --side short for a short")
    return [Holding(symbol, parse.sign(side) * (size or 1.0), entry, mark), *found]


def _sized(rules: Venue, holding: Holding, notional: float) -> Holding:
    """A position of one contract made as large as the value asked for."""
    from dataclasses import replace

    unit = rules.contract(holding.symbol).notional(1.0, holding.entry)
    return replace(holding, size=holding.size * notional / unit)


def _wallet(given: float | None, mode: str) -> float | None:
    """The wallet; isolated margin needs none to be named, cross margin stands on it."""
    from bt_margin.errors import InputError

    if given is None and mode == "cross":
        raise InputError("cross margin stands on the wallet; give --wallet")
    return given


LINES = (
    ("liquidation price", "liquidation_price", "price"),
    ("distance to it", "distance", "percent"),
    ("bankruptcy price", "bankruptcy_price", "price"),
    ("size", "size", "contracts"),
    ("value", "notional", "money"),
    ("backed by", "balance", "money"),
    ("initial margin", "initial_margin", "money"),
    ("maintenance margin", "maintenance_margin", "money"),
    ("maintenance rate", "maintenance_rate", "percent"),
    ("deduction", "deduction", "money"),
    ("unrealised", "unrealised", "money"),
    ("margin ratio", "margin_ratio", "percent"),
    ("affordable size", "affordable_size", "contracts"),
    ("max leverage here", "max_leverage", "times"),
)


def _shown(answer: Answer, name: str, kind: str) -> str:
    """One number of an answer; money with the digits of its currency."""
    from bt_margin.report import numbers

    value = answer.to_dict()[name]
    if kind == "money":
        return f"{numbers.money(value, answer.currency)} {answer.currency}"
    if kind == "contracts":
        return f"{numbers.price(value)} contracts"
    return str(getattr(numbers, kind)(value))


def _doubt(answer: Answer) -> str:
    """Why a venue would not let this position stand; "" where it would."""
    who, most = f"{answer.side} {answer.symbol}", answer.max_leverage
    if answer.margin_ratio >= 1.0:
        return f"{who}: liquidated at once, its equity does not exceed the maintenance margin"
    if most is not None and answer.leverage > most * (1.0 + 1e-9):
        return f"{who}: not to be opened at {answer.leverage:g}×, the venue allows {most:g}× of this value"
    return ""


def _print(answers: list[Answer], rules: Venue, as_json: bool, quiet: bool) -> None:
    """The answers as JSON, as bare prices, or as a table."""
    if as_json:
        shell.write_json({"venue": rules.name, "positions": [a.to_dict() for a in answers]})
        return
    if quiet:
        for answer in answers:
            price: Any = answer.liquidation_price
            typer.echo("none" if price is None else f"{price:.10g}")
        return
    rows = [["", *(f"{a.side} {a.symbol}" for a in answers)]]
    for label, name, kind in LINES:
        rows.append([label, *(_shown(a, name, kind) for a in answers)])
    from bt_margin.cli import layout

    console = shell.stdout()
    first = answers[0]
    console.print(f"{rules.title}, {first.margin_mode}, {first.leverage:g}×", markup=False)
    layout.show_numbers(console, rows)
    for text in filter(None, map(_doubt, answers)):
        console.print(text, style="yellow", markup=False)
    for text in dict.fromkeys(a.tiers for a in answers if a.tiers):
        console.print(f"tiers: {text}", style="dim", markup=False)
