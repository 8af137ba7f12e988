"""``bt-margin venues``: which venues there are, and all that is known of one, with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import parse, shell

if TYPE_CHECKING:
    from rich.console import Console

NAME = "A venue; without: the list."
OPTION = "An option of the venue; repeatable."
GRADES = (
    "P the venue's own page, A its API reference, R a real payload, C third-party code, "
    "D derived, M from memory, N not found: our choice"
)


def venues(
    name: Annotated[str | None, typer.Argument(help=NAME)] = None,
    option: Annotated[list[str] | None, typer.Option(help=OPTION, metavar="NAME=VALUE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only names.")] = False,
) -> None:
    """Whose rules can a backtest run under, and what do they stand on?

    Without a name: every venue, its contracts, margin modes, funding, what triggers a liquidation and on
    which days its rules change. With a name: every fact with its source, date and grade, what is exact, what
    is approximated (and which way it errs), what is not there, its options and its tables.

    Example: bt-margin venues

    Example: bt-margin venues bybit

    Example: bt-margin venues generic --option maintenance_rate=0.005 --option taker_fee=0.0005
    --option maker_fee=0.0002 --option liquidation_fee=0 --option funding_interval=8h --option
    residual=trader
    """
    with shell.plain_errors():
        from bt_margin.studies.rulebook import described, listed

        options = parse.assignments(option or [], "--option")
        if name is not None:
            told = described(name, options)
            _print_one(told, as_json, quiet)
            return
        if options:
            from bt_margin.errors import InputError

            raise InputError("--option belongs to a venue; name it")
        rows = listed()
        if as_json:
            shell.write_json({"venues": rows})
        elif quiet:
            typer.echo("\n".join(row["name"] for row in rows))
        else:
            _print_list(shell.stdout(), rows)


def _print_list(console: Console, rows: list[dict[str, Any]]) -> None:
    """Every venue on a line, with what triggers its liquidations."""
    from bt_margin.cli import layout

    head = [
        "venue",
        "title",
        "contracts",
        "margin",
        "funding",
        "rules change on",
        "liquidates when",
    ]
    table = [head]
    for row in rows:
        if "wants" in row:
            table.append([row["name"], "", "", "", "", "", f"wants its numbers: {row['wants']}"])
            continue
        modes = "/".join(row["modes"]) + (", hedge" if row["hedge"] else "")
        table.append(
            [
                row["name"],
                row["title"],
                ", ".join(f"{number} {kind}" for kind, number in row["kinds"].items()),
                modes,
                "none" if row["funding_hours"] is None else f"{row['funding_hours']:g} h",
                ", ".join(row["dates"][-2:]) or "–",
                row["trigger"] or "see its facts",
            ]
        )
    layout.show_words(console, table, "Venues", spare=("title", "rules change on", "contracts"))
    layout.show_text(console, "bt-margin venues NAME tells all of one.", "dim")


def _print_one(told: dict[str, Any], as_json: bool, quiet: bool) -> None:
    """All of one venue."""
    if as_json:
        shell.write_json(told)
        return
    if quiet:
        typer.echo(told["name"])
        return
    from bt_margin.cli import layout

    console = shell.stdout()
    layout.show_text(console, f"{told['title']} ({told['name']})", "bold")
    if "wants" in told:
        layout.show_text(console, told["wants"])
        _print_options(console, told["options"])
        return
    for line in _headlines(told):
        layout.show_text(console, line)
    _print_fidelity(console, told)
    _print_options(console, told["options"])
    rows = [["since", "symbols", "tables"]]
    rows += [
        [each["since"] or "always", str(each["symbols"]), each["source"]] for each in told["tables"]
    ]
    if len(rows) > 1:
        layout.show_words(console, rows, "Tables")
    facts = [["fact", "as of", "grade", "says, and who said it"]]
    facts += [
        [f["topic"], f["as_of"], f["tag"], f"{f['value']} ({f['source']})"] for f in told["facts"]
    ]
    layout.show_words(console, facts, "Facts")
    console.print()
    layout.show_text(console, f"Grades: {GRADES}", "dim")


def _print_fidelity(console: Console, told: dict[str, Any]) -> None:
    """What is as on the venue, what is not, and what is not there."""
    from bt_margin.cli import layout

    for title, key in (
        ("As on the venue", "exact"),
        ("Approximated", "approximated"),
        ("Not there", "absent"),
    ):
        if told[key]:
            console.print()
            layout.show_text(console, title, "bold")
        for text in told[key]:
            layout.show_text(console, f"- {text}", indent="  ")


def _headlines(told: dict[str, Any]) -> list[str]:
    """Contracts, modes, funding and dates, a line each."""
    kinds = ", ".join(f"{number} {kind}" for kind, number in told["kinds"].items()) or "any symbol"
    scope = "one for the whole account" if told["mode_scope"] == "account" else "one per symbol"
    lines = [
        f"contracts: {kinds}, settled in {told['currency']} where the symbol says nothing else",
        f"margin: {' and '.join(told['modes'])}, {scope}"
        + ("; both sides of a symbol at once (hedge mode)" if told["hedge"] else ""),
        f"funding: {_funding(told)}",
    ]
    if told["trigger"]:
        lines.append(f"liquidates when: {told['trigger']}")
    if told["dates"]:
        lines.append(f"rules and fees change on: {', '.join(told['dates'])}")
    return lines


def _funding(told: dict[str, Any]) -> str:
    """How often funding is paid, how, and from which money."""
    rule = told["funding"]
    if rule["payer"] == "nobody":
        return "none; rates in the data are not charged"
    paid = "accrues" if rule["accrues"] else "paid at the stamp"
    payer = "the free wallet first" if rule["payer"] == "wallet" else "the position's own pool"
    return f"every {told['funding_hours']:g} h, {paid}, from {payer}"


def _print_options(console: Console, options: dict[str, Any]) -> None:
    """The options with their defaults, and the builder's own words about them."""
    from rich.text import Text

    from bt_margin.cli import layout

    if not options["defaults"]:
        return
    console.print()
    layout.show_text(console, "Options (--option name=value)", "bold")
    for key, default in options["defaults"].items():
        told = "" if default is None else f" = {default!r}"
        console.print(Text(f"  {key}{told}"), soft_wrap=True)
    console.print(Text(options["words"]), style="dim")
