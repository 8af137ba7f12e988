"""``bt-margin verify``: our numbers beside an exchange's, or beside those of published examples."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bt_margin.cli import parse, shell
from bt_margin.cli.groups import OwnTier, grouped

if TYPE_CHECKING:
    from rich.console import Console

    from bt_margin.studies.conformance import Outcome
    from bt_margin.studies.verify import Verdict

FILE = "JSON: what ccxt's fetch_positions returned, or with --cases a file of worked examples."
CASES = "The file holds worked examples: inputs, expected numbers, tolerances."
VENUE = "Whose rules apply; without: read from the raw payload where it leaves no doubt."
MODE = "cross or isolated, in place of what the snapshot says."
WALLET = "Wallet behind the cross positions: an amount, or CURRENCY=AMOUNT; repeatable."
AS_OF = "Rules of this date; default: the newest time in the file, else today."
OPTION = "An option of the venue; repeatable."
WORDS = {
    "notional": "value",
    "unrealised": "unrealised profit",
    "initial_margin": "initial margin",
    "maintenance_margin": "maintenance margin",
    "liquidation_price": "liquidation price",
    "margin_ratio": "margin ratio",
}


@grouped
def verify(
    file: Annotated[Path, typer.Argument(help=FILE)],
    *,
    cases: Annotated[bool, typer.Option("--cases", help=CASES)] = False,
    venue: Annotated[str | None, typer.Option(help=VENUE)] = None,
    mode: Annotated[str | None, typer.Option(help=MODE)] = None,
    wallet: Annotated[list[str] | None, typer.Option(help=WALLET, metavar="AMOUNT")] = None,
    as_of: Annotated[str | None, typer.Option(help=AS_OF)] = None,
    tier: OwnTier,
    option: Annotated[list[str] | None, typer.Option(help=OPTION, metavar="NAME=VALUE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the count.")] = False,
) -> None:
    """Are our numbers the exchange's? Positions as ccxt returns them, or published worked examples.

    Of each position: value, unrealised profit, margins, liquidation price and margin ratio, ours beside the
    exchange's, the difference, and the reason where a snapshot does not hold what a number needs. Of each
    case: every expected number, ours and the difference.

    Exit codes: 0 everything was judged, 1 a case is wrong or of an unknown kind (or a position cannot be
    judged), 2 the file or the command cannot be used.

    Example: bt-margin verify positions.json --wallet 5000

    Example: bt-margin verify position.json --venue binance --mmr 0.005 --maintenance-amount 50

    Example: bt-margin verify --cases examples.json --json
    """
    own = asdict(tier)
    with shell.plain_errors():
        if cases:
            given = [venue, mode, wallet, as_of, option, *own.values()]
            failed = _cases(file, as_json, quiet, any(each is not None for each in given))
        else:
            options = parse.assignments(option or [], "--option")
            verdicts = _verdicts(file, (venue, mode, as_of), _wallets(wallet or []), own, options)
            failed = _show_positions(file, verdicts, as_json, quiet)
        raise typer.Exit(1 if failed else 0)


# -- worked examples ---------------------------------------------------------------------------------


def _cases(file: Path, as_json: bool, quiet: bool, extra: bool) -> bool:
    """Run and show the cases; whether one is wrong or without an answer."""
    from bt_margin.errors import InputError
    from bt_margin.studies.conformance import run_cases

    if extra:
        raise InputError("cases bring everything with them; --cases takes no other option")
    outcomes = run_cases(file)
    unanswered = [each for each in outcomes if each.reason]
    right = sum(each.ok for each in outcomes)
    counts = {
        "cases": len(outcomes),
        "right": right,
        "wrong": len(outcomes) - right - len(unanswered),
        "unanswered": len(unanswered),
    }
    if as_json:
        told = [each.to_dict() for each in outcomes]
        shell.write_json({"file": str(file), **counts, "outcomes": told})
        return right < len(outcomes)
    if not quiet:
        _show_cases(shell.stdout(), outcomes)
    for each in unanswered:
        shell.complain(f"{each.case.id}: {each.reason}")
    typer.echo(
        f"{_count(counts['cases'], 'case')}: {right} right, {counts['wrong']} wrong, "
        f"{counts['unanswered']} not answered"
    )
    return right < len(outcomes)


def _show_cases(console: Console, outcomes: list[Outcome]) -> None:
    """Every expected number in one table, under the name of its case."""
    rows = [["", "expected", "ours", "difference", ""]]
    titles: dict[int, str] = {}
    for each in outcomes:
        titles[len(rows)] = each.case.id if not each.reason else f"{each.case.id}: no answer"
        for one in each.checked:
            off = "" if one.difference is None else f"{one.difference:.2g}"
            verdict = "right" if one.ok else "WRONG"
            rows.append([one.key, _plain(one.expected), _plain(one.ours), off, verdict])
        if each.reason:
            rows.append([f"({each.case.kind})", "", "", "", ""])
    _table(console, rows, titles)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _told(difference: float, of: float | None) -> float:
    """A difference, 0 where it is noise of floats."""
    return 0.0 if abs(difference) <= 1e-12 * abs(of or 0.0) else difference


def _plain(value: Any) -> str:
    """A value as short as it can be without losing what matters."""
    if value is None:
        return "none"
    if isinstance(value, bool | str):
        return str(value)
    return f"{float(value):.8g}"


def _table(console: Console, rows: list[list[str]], titles: dict[int, str] | None = None) -> None:
    """Names on the left, numbers on the right; a title stands above the row of its number."""
    from rich.cells import cell_len
    from rich.text import Text

    from bt_margin.report.plain import plain

    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[place]) for row in shown) for place in range(len(shown[0]))]
    rule = "─" * min(console.width, sum(widths) + 2 * len(widths))
    for number, row in enumerate(shown):
        title = (titles or {}).get(number)
        if title is not None:
            console.print(Text(plain(title)), style="bold", soft_wrap=True)
        cells = [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]
        cells = [f"{row[0]:<{widths[0]}}", *cells[1:]]
        style = "red" if row[-1] == "WRONG" else ""
        console.print(Text(f"  {'  '.join(cells)}".rstrip()), style=style, soft_wrap=True)
        if not number:
            console.print(rule, style="dim")


# -- positions ---------------------------------------------------------------------------------------


def _wallets(texts: list[str]) -> dict[str, float]:
    """Wallets by currency; ``""`` for one without a name."""
    from bt_margin.errors import InputError

    found: dict[str, float] = {}
    for text in texts:
        unit, equals, amount = text.rpartition("=")
        unit = unit.strip().upper()
        value = parse.number(amount, f"--wallet {text!r}")
        if unit in found or (equals and not unit):
            raise InputError(f"--wallet {text!r}: give each currency once, as CURRENCY=AMOUNT")
        if not 0 < value < float("inf"):
            raise InputError(f"--wallet {text!r} must be above 0")
        found[unit] = value
    return found


def _verdicts(
    file: Path,
    asked: tuple[str | None, str | None, str | None],
    wallets: dict[str, float],
    tier: dict[str, float | None],
    options: dict[str, Any],
) -> list[Verdict]:
    """The positions of the file, judged."""
    from bt_margin.errors import InputError
    from bt_margin.studies.snapshot import read_positions
    from bt_margin.studies.verify import verify as judged
    from bt_margin.studies.whatif import MODES, rules_of
    from bt_margin.venues.names import moment

    venue, mode, as_of = asked
    if mode not in (None, *MODES):
        raise InputError(f"--mode {mode!r} is not known; allowed: cross, isolated")
    if tier["mmr"] is None and (tier["maintenance_amount"], tier["max_leverage"]) != (None, None):
        raise InputError("--maintenance-amount and --max-leverage belong to --mmr; give that too")
    return judged(
        read_positions(file),
        lambda name: rules_of(name, as_of, options, tier),
        now=int(time.time() * 1000),
        as_of=moment(as_of),
        venue=venue,
        margin_mode=mode,
        wallets=wallets,
        tier=tier,
    )


def _show_positions(file: Path, verdicts: list[Verdict], as_json: bool, quiet: bool) -> bool:
    """Print the verdicts; whether one position could not be judged at all."""
    lost = [each for each in verdicts if not each.judged]
    if as_json:
        rows = [each.to_dict() for each in verdicts]
        shell.write_json({"file": str(file), "positions": rows, "judged": len(rows) - len(lost)})
        return bool(lost)
    if not quiet:
        for each in verdicts:
            _show_position(shell.stdout(), each)
    for each in lost:
        shell.complain(f"{each.side} {each.symbol}: {each.compared[0].reason}")
    typer.echo(f"{_count(len(verdicts), 'position')}: {len(verdicts) - len(lost)} judged")
    return bool(lost)


def _show_position(console: Console, verdict: Verdict) -> None:
    """One position: its numbers in a table, its reasons and assumptions below."""
    from bt_margin.cli import layout
    from bt_margin.report import numbers

    title = f"{verdict.side} {verdict.size:.10g} {verdict.symbol}, {verdict.margin_mode}"
    rules = f"{verdict.venue}, rules of {numbers.moment(verdict.time)}"
    layout.show_text(console, f"{title} ({rules})", "bold")
    if not verdict.judged:
        console.print("  cannot be judged\n", style="red", markup=False)
        return
    rows = [
        [
            WORDS[one.name],
            *(
                numbers.NOTHING if each is None else f"{each:.9g}"
                for each in (one.ours, one.exchange)
            ),
            "" if one.difference is None else f"{_told(one.difference, one.ours):.3g}",
        ]
        for one in verdict.compared
    ]
    _table(console, [["", "ours", "exchange", "difference"], *rows])
    reasons: dict[str, list[str]] = {}
    for one in verdict.compared:
        if one.reason and one.ours is None:
            reasons.setdefault(one.reason, []).append(WORDS[one.name])
    for reason, names in reasons.items():
        layout.show_text(console, f"{', '.join(names)}: {reason}", "dim")
    for note in verdict.notes:
        layout.show_text(console, note, "dim")
    console.print()
