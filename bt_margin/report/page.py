"""The report: one HTML file that opens offline and follows the reader's light or dark scheme."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

from bt_margin.report import tables
from bt_margin.report.figures import figure_dict
from bt_margin.report.numbers import date
from bt_margin.report.picture import picture
from bt_margin.report.style import SCRIPT, STYLE
from bt_margin.report.verdict import verdict
from bt_margin.report.words import approximations, data_notes, fidelity
from bt_margin.studies.comparison import Comparison

MOST_LIQUIDATIONS = 200
SHORT = 24  # characters of a cell that stays on one line
NONE: Mapping[str, str] = MappingProxyType({})


def page(comparison: Comparison) -> str:
    """The whole page as text: headline, curves, partings, liquidations, fidelity, run stamp."""
    from plotly.offline import get_plotlyjs

    title = f"{comparison.first.title}: {' and '.join(comparison.runs)}"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
            f"<header><h1>{escape(title)}</h1>{_badge(comparison)}",
            f"<p class='span'>{_span(comparison)}</p></header>",
            f"<p class='verdict'>{_verdict(comparison)}</p>",
            f"<section>{_headline(comparison)}</section>",
            "<section><h2>Equity and drawdown</h2><div id='chart'></div></section>",
            _partings(comparison),
            _liquidations(comparison),
            _list("How true this is", fidelity(comparison)),
            _list("What the venue's model leaves out", approximations(comparison)),
            _stamp(comparison),
            "</main>",
            f"<script>{get_plotlyjs()}</script>",
            f"<script id='figure' type='application/json'>{_json(figure_dict(comparison))}</script>",
            f"<script>{SCRIPT}</script></body></html>",
            "",
        ]
    )


def fragment(comparison: Comparison) -> str:
    """The verdict, the headline table and the picture, for a notebook cell."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in data_notes(comparison))
    return (
        f"{_badge(comparison)}<p>{_verdict(comparison)}</p>"
        f"{_table(tables.headline(comparison), 'numbers')}"
        f"{f'<ul>{notes}</ul>' if notes else ''}{picture(comparison)}"
    )


def _headline(comparison: Comparison) -> str:
    """The headline table, each label with its meaning, and the meanings that are not plain below."""
    table = _table(tables.headline(comparison), "numbers", tables.definitions())
    notes = "".join(f"<p class='note'>{escape(line)}</p>" for line in tables.footnotes())
    return f"{table}{notes}"


def _verdict(comparison: Comparison) -> str:
    """The verdict, no number parted from its sign."""
    return escape(verdict(comparison)).replace(" %", "&nbsp;%")


def _badge(comparison: Comparison) -> str:
    return "<span class='badge'>SYNTHETIC market</span>" if comparison.synthetic else ""


def _span(comparison: Comparison) -> str:
    """From when to when, and how many bars."""
    index = comparison.index
    if not len(index):
        return "no bars"
    return f"{date(index[0])} to {date(index[-1])} UTC, {len(index):,} bars"


def _table(rows: Sequence[Sequence[str]], kind: str, titles: Mapping[str, str] = NONE) -> str:
    """Rows of text as an HTML table; the first row is the header, ``titles`` explain first cells.

    Every cell knows its header, so that a narrow screen can show rows as cards.
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{_cells(rows[0], row, titles)}</tr>" for row in rows[1:])
    return (
        f"<div class='scroll'><table class='{kind}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(header: Sequence[str], row: Sequence[str], titles: Mapping[str, str]) -> str:
    """The cells of a row; short ones (dates, numbers, symbols) are never broken."""
    cells = []
    for name, cell in zip(header, row, strict=True):
        marks = f" data-label='{escape(name, quote=True)}'" if name else ""
        if not name and cell in titles:
            marks += f" title='{escape(titles[cell], quote=True)}'"
        if len(cell) <= SHORT:
            marks += " class='whole'"
        cells.append(f"<td{marks}>{escape(cell)}</td>")
    return "".join(cells)


def _partings(comparison: Comparison) -> str:
    """Where the curves part, in words, and what it adds up to."""
    if len(comparison.runs) < 2:
        return ""
    found, shown = comparison.divergence.episodes, tables.episodes(comparison)
    left = len(found) - (len(shown) - 1)
    more = f"<p class='note'>The {len(shown) - 1} worth most are shown; {left} smaller ones are in "
    more += "divergence.csv.</p>"
    words = _table(shown, "words") if found else "<p>The curves never part.</p>"
    return (
        f"<section><h2>Where the curves part</h2>{words}{more if left > 0 else ''}"
        f"{_table(tables.totals(comparison), 'numbers')}</section>"
    )


def _liquidations(comparison: Comparison) -> str:
    """Each liquidation explained."""
    rows = tables.liquidation_rows(comparison)
    if len(rows) == 1:
        return "<section><h2>Liquidations</h2><p>None in any run.</p></section>"
    left = len(rows) - 1 - MOST_LIQUIDATIONS
    more = f"<p class='note'>{left} more are in events.csv.</p>" if left > 0 else ""
    shown = _table(rows[: MOST_LIQUIDATIONS + 1], "words")
    return f"<section><h2>Liquidations</h2>{shown}{more}</section>"


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    points = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<section><h2>{escape(title)}</h2><ul>{points}</ul></section>"


def _stamp(comparison: Comparison) -> str:
    """How this was made: versions, settings in force, data hash, command."""
    stamp = [
        ["made with", ""],
        *([k.replace("_", " "), _plain(v)] for k, v in comparison.stamp.items()),
    ]
    names = list(comparison.runs)
    settings = comparison.settings
    keys = list(dict.fromkeys(key for own in settings.values() for key in own))
    rows = [["setting", *names]]
    rows += [[key, *(_plain(settings[name].get(key)) for name in names)] for key in keys]
    return (
        f"<section><h2>How this was made</h2>{_table(stamp, 'stamp')}"
        f"<details><summary>Settings in force</summary>{_table(rows, 'stamp')}</details></section>"
    )


def _plain(value: Any) -> str:
    """A setting as text."""
    if value is None:
        return "–"
    return json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value)


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")
