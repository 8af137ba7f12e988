"""What a notebook shows of a result by itself: verdict, a small chart and the headline table.

The fragment takes the colours of the page it stands in, light or dark, and its rules hold for nothing else
there. It needs no script and no IPython.
"""

from __future__ import annotations

from collections.abc import Sequence

from bt_margin.report import tables
from bt_margin.report.numbers import date, plural
from bt_margin.report.picture import INLINE, key, picture, safe, stroke
from bt_margin.report.series import curves
from bt_margin.report.verdict import verdict
from bt_margin.report.words import currency, data_notes
from bt_margin.studies.comparison import Comparison

_OURS = "bt-margin"
_RULES = (
    ("", "max-width:60em;font-variant-numeric:tabular-nums;color:inherit"),
    (" p", "margin:.4em 0;max-width:52em;line-height:1.45"),
    (" .span", "opacity:.75"),
    (" .synthetic", "font-weight:700;letter-spacing:.08em;border:1px solid;padding:0 .4em"),
    (" .keys", "display:flex;flex-wrap:wrap;gap:.2em 1.4em;margin:.6em 0 0"),
    (" .keys svg", "width:28px;height:10px;margin-right:.4em;vertical-align:middle"),
    (" table", "border-collapse:collapse;margin:.6em 0;color:inherit;background:none"),
    (" tr", "background:none"),
    (" th, .{ours} td", "padding:.15em .8em .15em 0;background:none;color:inherit;border:0"),
    (" th, .{ours} td", "border-bottom:1px solid rgba(128,128,128,.3);white-space:nowrap"),
    (" th", "text-align:left;font-weight:400"),
    (" thead th", "font-weight:600;text-align:right"),
    (" td", "text-align:right"),
    (" ul", "margin:.4em 0;padding-left:1.2em;opacity:.85"),
)
STYLE = "".join(f".{_OURS}{where.format(ours=_OURS)}{{{what}}}" for where, what in _RULES)


def fragment(comparison: Comparison) -> str:
    """Verdict, chart with its legend, headline table and what the data lacked, as HTML; names are text."""
    told = safe(verdict(comparison)).replace(" %", "&nbsp;%")
    notes = "".join(f"<li>{safe(note)}</li>" for note in data_notes(comparison))
    return (
        f"<div class='{_OURS}'><style>{STYLE}</style>{_head(comparison)}<p>{told}</p>"
        f"{_keys(comparison)}{picture(comparison, INLINE)}{_table(tables.headline(comparison))}"
        f"{f'<ul>{notes}</ul>' if notes else ''}</div>"
    )


def _head(comparison: Comparison) -> str:
    """What ran, from when to when."""
    index = comparison.index
    span = (
        f"{date(index[0])} to {date(index[-1])} UTC, {plural(len(index), 'bar')}"
        if len(index)
        else ""
    )
    badge = " <span class='synthetic'>SYNTHETIC market</span>" if comparison.synthetic else ""
    return f"<p><strong>{safe(comparison.first.title)}</strong> <span class='span'>{span}</span>{badge}</p>"


def _keys(comparison: Comparison) -> str:
    """Which line is which."""
    unit = currency(comparison)
    each = "".join(
        "<span><svg viewBox='0 0 28 10' aria-hidden='true'>"
        f"<path d='M0 5H28' fill='none' stroke-width='3' {stroke(number, curve)}/></svg>"
        f"{safe(key(curve, unit))}</span>"
        for number, curve in enumerate(curves(comparison, most=2))
    )
    return f"<div class='keys'>{each}</div>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as an HTML table: the first row heads the columns, the first cell of each its line."""
    head = "".join(f"<th scope='col'>{safe(cell)}</th>" for cell in rows[0][1:])
    body = "".join(
        f"<tr><th scope='row'>{safe(row[0])}</th>"
        + "".join(f"<td>{safe(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows[1:]
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
