"""What a stress test looks like: in a terminal, in a notebook, and as one page that opens offline.

The page is words, tables and figures drawn as SVG; it runs one line of script, which puts on the theme the
reader has chosen on another page of ours, and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bt_margin.report import markup, stress_figures, style
from bt_margin.report import stress_words as words
from bt_margin.report.plain import plain
from bt_margin.studies.write import atomic_text

if TYPE_CHECKING:
    from bt_margin.studies.stressed import Stress

_GAP = "  "
_NOTEBOOK = (
    ".bt-margin-stress{max-width:60em;font-variant-numeric:tabular-nums}"
    ".bt-margin-stress table{border-collapse:collapse;margin:.6em 0}"
    ".bt-margin-stress th,.bt-margin-stress td{padding:.15em .8em .15em 0;text-align:right;"
    "border-bottom:1px solid rgba(128,128,128,.3);white-space:nowrap}"
    ".bt-margin-stress tbody th{text-align:left;font-weight:400}"
    ".bt-margin-stress .tone0{color:#2f7fd6}.bt-margin-stress .tone1{color:#e0702a}"
)


def write(found: Stress, path: str | Path) -> Path:
    """Write the page; returns where it is."""
    return atomic_text(path, page(found))


def as_text(found: Stress) -> str:
    """The verdict and the tables as plain text."""
    parts = [plain(title(found)), plain(words.verdict(found))]
    parts += ["\n".join(_lined(rows)) for rows in tables(found)]
    return "\n\n".join(parts)


def tables(found: Stress) -> list[words.Rows]:
    """Every table that has rows."""
    every = (words.chance_rows(found), words.horizon_rows(found), words.crash_rows(found))
    return [rows for rows in every if len(rows) > 1]


def _lined(rows: words.Rows) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield _GAP.join(plain(cell) for cell in cells).rstrip()


def fragment(found: Stress) -> str:
    """What a notebook shows: the verdict, two figures and the tables."""
    figures = stress_figures.horizons(found) + stress_figures.crashes(found)
    body = "".join(_table(rows, "") for rows in tables(found))
    return (
        f"<div class='bt-margin-stress'><style>{stress_figures.STYLE}{_NOTEBOOK}</style>"
        f"<p><strong>{escape(title(found))}</strong></p><p>{_words(words.verdict(found))}</p>"
        f"{_keys(found)}{figures}{body}</div>"
    )


def page(found: Stress) -> str:
    """The whole page as text."""
    own = f"{stress_figures.STYLE}.sf{{display:block;margin:8px 0 4px}}"
    skip = "<a class='skip' href='#numbers'>Skip to the numbers</a><main>"
    return style.document(title(found), own, skip, *_body(found), "</main>")


def _body(found: Stress) -> Iterator[str]:
    """The sections from top to bottom."""
    badge = "<span class='badge'>SYNTHETIC market</span>" if found.synthetic else ""
    yield (
        f"<header class='top'><div><h1>{escape(title(found))}{badge}</h1>"
        f"<p class='span'>{escape(_span(found))}</p></div></header>"
        f"<p class='verdict'>{_words(words.verdict(found))}</p>{_keys(found)}"
    )
    chances, horizons = words.chance_rows(found), words.horizon_rows(found)
    if chances:
        yield _section("numbers", "On resampled paths", stress_figures.winners(found), chances)
        yield _section("time", "Time to a liquidation", stress_figures.horizons(found), horizons)
        fans = stress_figures.fans(found)
        yield (
            f"<section id='fan'><h2>Equity along the paths</h2><p class='note'>The line is the median, the "
            f"bands hold half and nine tenths of the paths; dashed: what there was at the start. Days "
            f"across, {escape(found.currency)} up.</p>{fans}</section>"
        )
    rows = words.crash_rows(found)
    if len(rows) > 1:
        note = (
            "<p class='note'>Final equity as a share of the cash at the start, one mark per beginning of the "
            "crash and scenario; filled: a position was liquidated.</p>"
        )
        yield _section("crashes", "Through the crashes", note + stress_figures.crashes(found), rows)
        yield _runs(found)
    yield _facts(found)
    yield markup.sentences("true", "How true this is", words.notes(found))
    yield _stamp(found.stamp)


def _section(name: str, title: str, figure: str, rows: words.Rows) -> str:
    return f"<section id='{name}'><h2>{title}</h2>{figure}{_table(rows, title)}</section>"


def _table(rows: Sequence[Sequence[str]], caption: str) -> str:
    """Rows of text as a table: the first row heads the columns, the first cell of each its line."""
    head = "".join(
        f"<th scope='col'{' class=right' * bool(place)}>{_words(cell)}</th>"
        for place, cell in enumerate(rows[0])
    )
    body = "".join(
        f"<tr><th scope='row'>{_words(row[0])}</th>"
        + "".join(f"<td class='right'>{_words(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows[1:]
    )
    told = f"<caption class='unseen'>{escape(caption)}</caption>" if caption else ""
    return (
        f"<div class='scroll' tabindex='0'><table>{told}<thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _runs(found: Stress) -> str:
    """Every run through a crash, folded."""
    shown = ("market", "scenario", "final_equity", "max_drawdown", "liquidations", "rejected_orders",
             "shortfall", "days_to_liquidation")  # fmt: skip
    own = found.crashes
    rows = [[name.replace("_", " ") for name in shown]]
    for run in own[list(shown)].itertuples(index=False):
        rows.append(["–" if value != value else _cell(value) for value in run])
    return f"<details><summary>Every run</summary>{_table(rows, 'Every run')}</details>"


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 10 else (
        f"{value:,.2f}" if isinstance(value, float) else str(value)
    )  # fmt: skip


def _facts(found: Stress) -> str:
    """The figures of the crashes that were used, with their sources, folded."""
    from bt_margin.studies.crashes import crashes

    library = crashes()
    used = [library[name] for name in dict.fromkeys(found.crashes["crash"]) if name in library]
    if not used:
        return ""
    rows = [["crash", "topic", "value", "source", "as of"]]
    for each in used:
        rows += [[each.name, f.topic, f.value, f.source, f.as_of] for f in each.facts]
    table = _table(rows, "Figures of the crashes and their sources")
    return f"<details><summary>Figures of the crashes and their sources</summary>{table}</details>"


def _stamp(stamp: Mapping[str, Any]) -> str:
    """How this was made."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(str(key))}</th><td>{escape(markup.plain(value))}</td></tr>"
        for key, value in stamp.items()
    )
    return (
        "<section id='made'><h2>How this was made</h2><div class='scroll'><table class='stamp'>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def title(found: Stress) -> str:
    """Who was tested, under what."""
    return f"{found.strategy} under stress: {' and '.join(found.scenarios)}"


def _span(found: Stress) -> str:
    count = int(found.paths["path"].nunique()) if len(found.paths) else 0
    parts = [f"{count:,} paths, seed {found.seed}" if count else "", *found.shocks]
    return " · ".join(
        part for part in [f"{found.cash:,.10g} {found.currency} to start", *parts] if part
    )


def _keys(found: Stress) -> str:
    """Which colour is which."""
    each = " ".join(
        f"<span class='tone{number % stress_figures.TONES}'>● {escape(name)}</span>"
        for number, name in enumerate(found.scenarios)
    )
    return f"<p class='keys'>{each}</p>"


def _words(text: str) -> str:
    """Text for HTML, no number parted from its sign."""
    return escape(plain(text)).replace(" %", "&nbsp;%")
