"""Tables of a comparison as rows of text: for the terminal, the page and the notebook alike."""

from __future__ import annotations

from bt_margin.report import numbers as n
from bt_margin.report.headline import LINES, in_unit, meaning
from bt_margin.report.headline import headline as compact_headline
from bt_margin.report.words import liquidations
from bt_margin.studies.amounts import grain
from bt_margin.studies.causes import DIED
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.pieces import CAUSES, Episode

EXPLAINED = ("price result", "min margin buffer")
MOST_EPISODES = 12
#: Columns of episodes and liquidations that go first where there is little room; their sentences tell them.
SPARE = (
    "made of",
    "maintenance",
    "equity",
    "closed at",
    "mark",
    "last price",
    "mark or last price",
)


def definitions() -> dict[str, str]:
    """What each row of the headline table means, by its label."""
    return {line.label: meaning(line.key) for line in LINES}


def footnotes() -> list[str]:
    """What the rows mean whose names do not tell it."""
    return [f"{label}: {definitions()[label]}" for label in EXPLAINED]


def headline(comparison: Comparison) -> list[list[str]]:
    """Header and rows of the compact table: statistic, one column per scenario, the difference of two.

    The difference is second − first. Lines of interest, slippage and fund are left out when all are zero;
    :func:`bt_margin.report.headline.headline` has every statistic.
    """
    table = compact_headline(comparison, compact=True)
    return [table["columns"], *([row["label"], *row["cells"]] for row in table["rows"])]


def episodes(comparison: Comparison, most: int | None = MOST_EPISODES) -> list[list[str]]:
    """Header and rows: the episodes worth most, in order of time, each with its causes in words."""
    found = comparison.divergence.episodes
    kept = sorted(found, key=lambda e: -abs(e.worth))[: most if most is not None else len(found)]
    several, unit = len(comparison.runs) > 2, comparison.first.currency
    show = in_unit(n.money, unit)
    header = ["from", "to", "worth", "made of", "what parted them"]
    rows = [[*(["against"] if several else []), *header]]
    for piece in sorted(kept, key=lambda e: (e.other, e.opened)):
        end = "the end" if piece.ongoing else n.date(piece.closed)
        cells = [n.date(piece.opened), end, n.signed(show, piece.worth)]
        cells += [made_of(piece, unit), told(piece)]
        rows.append([*([piece.other] if several else []), *cells])
    return rows


def told(piece: Episode) -> str:
    """An episode in sentences; where an account died, that comes first."""
    if DIED in piece.aftermath:
        return f"{piece.aftermath} It began so: {piece.sentence}"
    return f"{piece.sentence} {piece.aftermath}".rstrip()


def made_of(piece: Episode, unit: str = "USDT") -> str:
    """The causes of an episode that matter, the largest first: ``price +120.00, fees -3.10``."""
    floor = max(grain(unit), 0.001 * max((abs(v) for v in piece.causes.values()), default=0.0))
    parts = sorted(((piece.causes[c], c) for c in CAUSES), key=lambda part: -abs(part[0]))
    return ", ".join(
        f"{name.replace('_', ' ')} {n.signed(in_unit(n.money, unit), value)}"
        for value, name in parts
        if abs(value) >= floor
    )


def totals(comparison: Comparison) -> list[list[str]]:
    """Header and rows: what episodes, stretches and the start add up to, for each pair."""
    rows = [["difference", "start", "episodes", "compounding between", "final"]]
    book = comparison.divergence
    show = in_unit(n.money, book.currency)
    for other, final in book.final.items():
        mine = [piece for piece in book if piece.other == other]
        apart = sum(piece.worth for piece in mine if isinstance(piece, Episode))
        between = sum(piece.worth for piece in mine if not isinstance(piece, Episode))
        cells = (book.opening[other], apart, between, final)
        label = f"{other} − {comparison.first.name}"
        rows.append([label, *(n.signed(show, value) for value in cells)])
    return rows


def liquidation_rows(comparison: Comparison) -> list[list[str]]:
    """Header and rows: every liquidation with the numbers that decided it and its explanation."""
    header = ["time", "scenario", "symbol", "size", "mark", "closed at", "equity", "maintenance"]
    labelled = bool(comparison.extremes)
    found = liquidations(comparison)
    judged = {row["judged_by"] for row in found}
    header[4] = " or ".join(sorted(judged, reverse=True)) or "mark"
    rows = [[*header, "result", *(["certainty"] if labelled else []), "why"]]
    for row in found:
        show = in_unit(n.money, comparison.runs[row["scenario"]].currency)
        cells = [n.date(row["time"]), row["scenario"], row["symbol"], f"{row['size'] or 0:+,.6g}"]
        cells += [n.price(row["mark"]), n.price(row["price"])]
        cells += [show(row["equity"]), show(row["maintenance"])]
        cells.append(n.signed(show, row["result"]))
        rows.append([*cells, *([row["certainty"]] if labelled else []), row["explanation"]])
    return rows
