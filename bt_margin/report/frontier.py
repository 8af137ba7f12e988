"""The page of a survival study: what survives, how likely, and what it was paid; no script is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from bt_margin.report import frontier_chart as c
from bt_margin.report import frontier_words as w
from bt_margin.report import style
from bt_margin.report.frontier_words import as_text
from bt_margin.report.picture import safe

if TYPE_CHECKING:
    from bt_margin.studies.survival_result import Survival

__all__ = ["as_text", "fragment", "page"]

_MOST_CURVES = 6  # of one mode in one chart
_STYLE = (
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:26px 40px}"
    ".chart{width:100%;height:auto;display:block}.chart text{font-size:12px;fill:var(--soft,currentColor)}"
    ".chart .grid{stroke:var(--line,#8884);fill:none}.chart .line{fill:none;stroke-width:2}"
    ".chart .band{opacity:.16}figure{margin:0}figcaption{margin:0 0 6px}"
    ".rungs td,.rungs thead th{text-align:right;padding:5px 12px}.rungs th{text-align:left}"
    ".keys{display:flex;flex-wrap:wrap;gap:2px 18px;font-size:14px}"
)
#: Where a page has no colours of ours (a notebook), these.
_TONES = "".join(
    f"--tone{place}:{tone};"
    for place, tone in enumerate(
        ("#2f7fd6", "#e0702a", "#1fa187", "#b565c9", "#c9a227", "#d64f6d", "#6a7fdb", "#7d8a3c")
    )
)


def page(result: Survival) -> str:
    """The whole page as text."""
    title = f"{result.title}: what survives {result.horizon:g} days"
    return style.document(title, _STYLE, "<main>", *_body(result, title), "</main>")


def fragment(result: Survival) -> str:
    """Verdict, the risk at each rung and the headline table, for a notebook cell."""
    charts = "".join(chart for name, chart in _charts(result) if name == "risk")
    return (
        f"<div class='bt-margin' style='max-width:60em;{_TONES}'><style>{_STYLE}</style>"
        f"<p>{_told(w.verdict(result))}</p>{charts}{_table(w.headline(result), 'headline')}</div>"
    )


def _body(result: Survival, title: str) -> Iterator[str]:
    badge = "<span class='badge'>SYNTHETIC market</span>" if result.synthetic else ""
    begins = result.frontier["start"]
    span = ""
    if len(begins):
        starts = f"{begins.nunique():,} starts" if begins.nunique() != 1 else "1 start"
        span = f"{starts}, {begins.min():%Y-%m-%d} to {begins.max():%Y-%m-%d} UTC, "
    span += f"{len(result.runs):,} runs"
    yield f"<header class='top'><div><h1>{escape(title)}{badge}</h1>"
    yield f"<p class='span'>{escape(span)}</p></div></header>"
    yield f"<p class='verdict'>{_told(w.verdict(result))}</p>"
    yield f"<section aria-label='Headline'>{_table(w.headline(result), 'headline')}</section>"
    yield f"{_keys(result)}<div class='charts'>"
    yield from (chart for _, chart in _charts(result))
    yield "</div><h2>Risk and reward of the rungs that were run from every start</h2>"
    yield _table(w.rung_table(result), "rungs")
    yield "<h2>How to read this</h2>"
    yield from (f"<p class='note'>{escape(note)}</p>" for note in (*_READING, *result.notes))
    yield f"<section id='made'><h2>How this was made</h2>{_stamp(result.stamp)}</section>"


_READING = (
    "A start survives when nothing is liquidated before its horizon ends. Bands are 95 % intervals from a "
    "bootstrap of blocks of neighbouring starts as long as the horizon, because their windows share most of "
    "what they see.",
    "Return on margin is profit over the mean initial margin in use (bars without a position counted as "
    "nothing): what the money that was locked earned, not the whole wallet.",
)


def _keys(result: Survival) -> str:
    """Which line is which mode."""
    keys = "".join(
        f"<span>{style.swatch(number)}{safe(mode)}</span>"
        for number, mode in enumerate(result.modes)
    )
    return f"<p class='keys'>{keys}</p>"


def _told(text: str) -> str:
    return escape(text).replace(" %", "&nbsp;%")


def _table(rows: Sequence[Sequence[str]], kind: str) -> str:
    """Cells as a table; the first row is its head."""
    head = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        f"<tr><th scope='row'>{_told(row[0])}</th>"
        + "".join(f"<td>{_told(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows[1:]
    )
    return (
        f"<div class='scroll' tabindex='0'><table class='{kind}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _stamp(stamp: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{safe(str(name))}</th><td>{safe(str(value))}</td></tr>"
        for name, value in stamp.items()
    )
    return f"<div class='scroll'><table class='stamp'><tbody>{rows}</tbody></table></div>"


# -- charts ------------------------------------------------------------------------------------------


def _charts(result: Survival) -> Iterator[tuple[str, str]]:
    """The charts by name: risk at each rung, reward, the frontier through time, and time to failure."""
    if len(result.rungs):
        yield "risk", _risk(result)
        yield "reward", _reward(result)
    if len(result.frontier) > 1:
        yield "through time", _through_time(result)
    for mode in result.modes if result.complete else ():
        yield f"time, {mode}", _time_to_failure(result, mode)


def _figure(title: str, chart: str, note: str = "") -> str:
    told = f" <span class='unit'>{escape(note)}</span>" if note else ""
    return f"<figure><figcaption><h3>{escape(title)}{told}</h3></figcaption>{chart}</figure>"


def _unit(result: Survival) -> str:
    return "x" if result.variable == "leverage" else ""


def _risk(result: Survival) -> str:
    """The share of starts liquidated at each rung."""
    lines = []
    for tone, mode in enumerate(result.modes):
        own = _of(result.rungs, mode)
        at = own[result.variable]
        points = list(zip(at, own["liquidated"], strict=True))
        lines.append(
            c.Line(mode, tone, points, list(zip(at, own["low"], own["high"], strict=True)))
        )
    title = f"Liquidated within {result.horizon:g} days"
    axis = c.ladder(result.plan.ladder, _unit(result))
    return _figure(title, c.drawing(lines, axis, c.shares(), title), f"by {result.variable}")


def _reward(result: Survival) -> str:
    """The median return on margin at the rungs run everywhere."""
    name = "median_return_on_margin"
    lines = [
        c.Line(mode, tone, list(zip(own[result.variable], own[name], strict=True)))
        for tone, mode in enumerate(result.modes)
        for own in [_of(result.rungs, mode).dropna(subset=[name])]
    ]
    axis = c.percents(value for line in lines for _, value in line.points)
    title = "Median return on margin locked"
    across = c.ladder(result.plan.ladder, _unit(result))
    return _figure(title, c.drawing(lines, across, axis, title), f"by {result.variable}")


def _through_time(result: Survival) -> str:
    """The frontier of every start; where nothing survives, the line is on the ground."""
    values = result.plan.ladder
    none = min(values) / 2.0 if result.variable == "leverage" else max(values) * 2.0
    lines = []
    for tone, mode in enumerate(result.modes):
        own = _of(result.frontier, mode)
        up = own["highest"].fillna(none)
        lines.append(
            c.Line(mode, tone, list(zip(c.moments(own["start"]), up, strict=True)), steps=True)
        )
    axis = c.ladder((*values, none), _unit(result))
    edge = "Highest leverage" if result.variable == "leverage" else "Smallest wallet"
    title = f"{edge} that survives, by start"
    chart = c.drawing(lines, c.calendar(result.frontier["start"]), axis, title)
    return _figure(title, chart, f"{axis.show(none)}: none of those tried")


def _time_to_failure(result: Survival, mode: str) -> str:
    """How the probability of liquidation grows with time, one line a rung."""
    lines = []
    for tone, value in enumerate(_some(result.complete)):
        own = result.curve(mode, value)
        at = [float(day) for day in own.index]
        points = list(zip(at, own["liquidated"], strict=True))
        band = list(zip(at, own["low"], own["high"], strict=True))
        lines.append(c.Line(w.rung(result, value), tone, points, band, steps=True))
    keys = "".join(f"<span>{style.swatch(line.tone)}{safe(line.name)}</span>" for line in lines)
    title = f"Liquidated by day, {mode}"
    chart = c.drawing(lines, c.days(result.horizon), c.shares(), title)
    return _figure(title, chart + f"<p class='keys'>{keys}</p>", "days from the start")


def _some(values: Sequence[float]) -> list[float]:
    """At most so many as a chart can show, the ends among them."""
    if len(values) <= _MOST_CURVES:
        return list(values)
    step = (len(values) - 1) / (_MOST_CURVES - 1)
    return [values[round(place * step)] for place in range(_MOST_CURVES)]


def _of(frame: pd.DataFrame, mode: str) -> pd.DataFrame:
    return frame[frame["margin_mode"] == mode]
