"""The parts of the page that are words and plain tables, as HTML; they read without any script."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from bt_margin.report.headline import MANY, standings
from bt_margin.report.numbers import NOTHING, adding_up, percent, signed
from bt_margin.report.style import swatch
from bt_margin.studies.amounts import fixed

Meta = Mapping[str, Any]
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DEEPEST = 0.20  # a month that moved this much is coloured most
COMMAND = "command"


def top(meta: Meta) -> str:
    """Title, span of time, and the switch of colours."""
    badge = "<span class='badge'>SYNTHETIC market</span>" if meta["synthetic"] else ""
    bars = f"{meta['bars']:,} bar{'' if meta['bars'] == 1 else 's'}"
    span = f"{_day(meta['from'])} to {_day(meta['to'])} UTC, {bars}" if meta["bars"] else "no bars"
    span = " · ".join([span, *_terms(meta)])
    return (
        f"<header class='top'><div><h1>{escape(meta['title'])}{badge}</h1>"
        f"<p class='span'>{escape(span)}</p></div><div id='theme'></div></header>"
    )


def _terms(meta: Meta) -> list[str]:
    """Venue, leverage and cash, where all scenarios have the same."""
    own = list(meta["settings"].values())
    found = []
    for key, words in (
        ("venue", "{}"),
        ("leverage", "leverage {:g}"),
        ("cash", "{:,.10g} to start"),
    ):
        values = {repr(settings.get(key)) for settings in own}
        value = own[0].get(key) if len(values) == 1 else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            unit = f" {meta['currency']}" if key == "cash" else ""
            found.append(words.format(value).replace(" to start", f"{unit} to start"))
        elif isinstance(value, str) and key == "venue":
            found.append(f"rules of {value}")
    return found


def verdict(meta: Meta) -> str:
    """The verdict, no number parted from its sign."""
    return f"<p class='verdict'>{escape(meta['verdict']).replace(' %', '&nbsp;%')}</p>"


def headline(meta: Meta) -> str:
    """The headline table: one column per scenario, its line beside its name; the meanings below."""
    table = meta["headline"]
    names = [scenario["name"] for scenario in meta["scenarios"]]
    if len(names) >= MANY:
        return _standings(meta, names) + _meanings(meta)
    heads = [_scenario_head(cell, names) for cell in table["columns"][1:]]
    rows = [_row(row, len(names)) for row in table["rows"]]
    extra = sum(not row.get("compact", True) for row in table["rows"])
    more = (
        "<button type='button' id='all-rows' aria-expanded='false' aria-controls='numbers'>"
        f"Show all {len(rows)} statistics</button>"
        if extra
        else ""
    )
    notes = "".join(f"<p class='note'>{escape(line)}</p>" for line in meta["footnotes"])
    return (
        "<section id='headline' aria-label='Headline'><div class='scroll' tabindex='0' role='region' "
        "aria-label='Headline table'><table class='headline'>"
        "<caption class='unseen'>Headline numbers of every scenario</caption>"
        f"<thead><tr><td></td>{''.join(heads)}</tr></thead><tbody id='numbers'>{''.join(rows)}</tbody>"
        f"</table></div>{more}{notes}{_meanings(meta)}</section>"
    )


def _standings(meta: Meta, names: Sequence[str]) -> str:
    """Many scenarios as rows, the best first; every statistic of each is in the folded table."""
    labels, *rows = standings(meta["headline"])
    heads = "".join(f"<th scope='col'>{escape(label)}</th>" for label in labels[1:])
    body = "".join(
        f"<tr><th scope='row'>{swatch(names.index(row[0]))}{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell).replace(' %', '&nbsp;%')}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    columns = "".join(_scenario_head(cell, names) for cell in meta["headline"]["columns"][1:])
    whole = "".join(_row({**row, "compact": True}, len(names)) for row in meta["headline"]["rows"])
    notes = "".join(f"<p class='note'>{escape(line)}</p>" for line in meta["footnotes"])
    return (
        "<section id='headline' aria-label='Headline'><div class='scroll' tabindex='0' role='region' "
        "aria-label='Scenarios, the best first'><table class='headline'>"
        "<caption class='unseen'>The scenarios, the largest final equity first</caption>"
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table></div>{notes}"
        "<details><summary>Every statistic of every scenario</summary><div class='scroll' tabindex='0' "
        "role='region' aria-label='All statistics'><table class='headline'>"
        f"<thead><tr><td></td>{columns}</tr></thead><tbody id='numbers'>{whole}</tbody></table></div>"
        "</details></section>"
    )


def _row(row: Mapping[str, Any], scenarios: int) -> str:
    """One statistic; those that matter less are hidden until asked for."""
    cells = "".join(
        f"<td{_difference(k, scenarios, row)}>{escape(cell).replace(' %', '&nbsp;%')}</td>"
        for k, cell in enumerate(row["cells"])
    )
    kind = "" if row.get("compact", True) else " class='extra'"
    told = escape(row["meaning"], quote=True)
    return f"<tr{kind}><th scope='row' title='{told}'>{escape(row['label'])}</th>{cells}</tr>"


def _scenario_head(cell: str, names: Sequence[str]) -> str:
    sample = swatch(names.index(cell)) if cell in names else ""
    return f"<th scope='col'>{sample}{escape(cell)}</th>"


def _difference(place: int, scenarios: int, row: Mapping[str, Any]) -> str:
    key = escape(str(row["key"]), quote=True)
    kind = " class='difference'" if place >= scenarios else ""
    return f"{kind} data-key='{key}' data-place='{place}'"


def _meanings(meta: Meta) -> str:
    """What each line means, for who cannot hover."""
    told = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(meaning)}</dd>"
        for label, meaning in meta["definitions"].items()
    )
    return (
        f"<details><summary>What each line means</summary><dl>{told}</dl></details>" if told else ""
    )


# -- the waterfall -----------------------------------------------------------------------------------


def waterfalls(meta: Meta) -> str:
    """From one final equity to the other, step by step; every pair on its own."""
    if not meta["waterfalls"]:
        return ""
    falls = [_waterfall(meta, fall) for fall in meta["waterfalls"]]
    if len(meta["scenarios"]) >= MANY:
        falls = [
            f"<details><summary>{escape(fall['to'])}</summary>{shown}</details>"
            for fall, shown in zip(meta["waterfalls"], falls, strict=True)
        ]
    each = "".join(falls)
    return f"<section id='waterfall'><h2>What the difference is made of</h2>{each}</section>"


def _waterfall(meta: Meta, fall: Mapping[str, Any]) -> str:
    digits, worths = meta["digits"], [step["value"] for step in fall["steps"]]
    start, between, end = adding_up(fall["start"], worths, fall["end"], digits)
    shown = [start, *between, end]
    levels = list(accumulate(shown[:-1]))
    low, high = min(levels), max(levels)
    room = (high - low) or max(abs(high), 1.0)
    places = [2.0 + 96.0 * (level - low) / room for level in levels]
    rows = [_end(f"{fall['from']}: final equity", fixed(shown[0], digits), places[0])]
    for step, value, before, after in zip(
        fall["steps"], shown[1:-1], places, places[1:], strict=False
    ):
        text = signed(lambda v: fixed(v, digits), value)
        rows.append(_step(step, value, text, before, after))
    rows.append(_end(f"{fall['to']}: final equity", fixed(shown[-1], digits), places[-1]))
    caption = f"From {fall['from']} to {fall['to']}, in {meta['currency']}"
    return (
        f"<div class='scroll'><table class='waterfall'><caption>{escape(caption)}</caption><thead><tr>"
        "<th scope='col'>step</th><th scope='col' class='bars'>less ← → more</th>"
        "<th scope='col' class='right'>amount</th><th scope='col'>what happened</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _end(label: str, text: str, place: float) -> str:
    return (
        f"<tr class='total'><th scope='row'>{escape(label)}</th><td class='bars'><div class='fall'>"
        f"<i class='end' style='left:{place:.2f}%'></i></div></td>"
        f"<td class='right'>{text}</td><td class='sentence'></td></tr>"
    )


def _step(step: Mapping[str, Any], value: float, text: str, before: float, after: float) -> str:
    kind = "gain" if value >= 0 else "loss"
    left, width = min(before, after), abs(after - before)
    label, time = escape(step["label"]), step.get("time")
    if time is not None:
        label = f"<button type='button' class='jump' data-time='{int(time)}'>{label}</button>"
    return (
        f"<tr><th scope='row'>{label}</th><td class='bars'><div class='fall'>"
        f"<i class='{kind}' style='left:{left:.2f}%;width:{width:.2f}%'></i></div></td>"
        f"<td class='right {kind}-text'>{text}</td>"
        f"<td class='sentence'>{escape(step.get('sentence') or '')}</td></tr>"
    )


# -- months ------------------------------------------------------------------------------------------


def months(meta: Meta) -> str:
    """Monthly returns, the scenarios of a year below each other."""
    scenarios = meta["months"]["scenarios"]
    names = [name for name in scenarios if scenarios[name]]
    if not names:
        return ""
    years = sorted({row["year"] for name in names for row in scenarios[name]})
    rows = []
    for year in years:
        for place, name in enumerate(names):
            row = next((r for r in scenarios[name] if r["year"] == year), None)
            rows.append(_year(year, place, name, row, list(scenarios).index(name)))
    heads = "".join(f"<th scope='col'>{cell}</th>" for cell in ("year", "", *MONTHS, "year total"))
    return (
        "<section id='months'><h2>Month by month</h2><div class='scroll' tabindex='0' role='region' "
        "aria-label='Monthly returns'><table class='months'>"
        "<caption class='unseen'>Returns of equity in each calendar month, UTC</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _year(year: int, place: int, name: str, row: Mapping[str, Any] | None, number: int) -> str:
    values = [*row["months"], row["total"]] if row else [None] * 13
    cells = "".join(_month(value) for value in values)
    kind = " class='year'" if place == 0 else ""
    head = f"<th scope='row'>{swatch(number)}{escape(name)}</th>"
    return f"<tr{kind}><th scope='row'>{year}</th>{head}{cells}</tr>"


def _month(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "<td></td>"
    deep = min(1.0, abs(value) / DEEPEST) * 0.32
    kind = "gain" if value > 0 else "loss" if value < 0 else ""
    return f"<td class='{kind}' style='--deep:{deep:.2f}'>{percent(value)}</td>"


# -- words -------------------------------------------------------------------------------------------


def sentences(name: str, title: str, items: Sequence[str]) -> str:
    """Sentences as a list under a heading; nothing where there are none."""
    if not items:
        return ""
    points = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<section id='{name}'><h2>{escape(title)}</h2><ul class='plain'>{points}</ul></section>"


#: Part of a venue's fidelity statement -> what it is called on the page.
_PARTS = (("exact", "As on the venue"), ("approximated", "Approximated"), ("absent", "Not there"))


def statements(meta: Meta) -> str:
    """What of each venue is exact, what approximated and what is not there."""
    venues = meta.get("statements") or []
    if not venues:
        return sentences("venue", "What the venue's model leaves out", meta["approximations"])
    parts = "".join(_statement(each, len(venues) == 1) for each in venues)
    title = "How true the venue's rules are" + ("" if len(venues) == 1 else ", venue by venue")
    return f"<section id='venue'><h2>{title}</h2>{parts}</section>"


def _statement(venue: Mapping[str, Any], alone: bool) -> str:
    """One venue's lists, folded where there are several venues."""
    lists = "".join(
        f"<h3>{name}</h3><ul class='plain'>"
        + "".join(f"<li>{escape(item)}</li>" for item in venue[part])
        + "</ul>"
        for part, name in _PARTS
        if venue.get(part)
    )
    stands = ", ".join(f"{name} as {own}" for name, own in venue.get("stands_for", {}).items())
    said = f"<p class='plain'>Traded here: {escape(stands)}.</p>" if stands else ""
    title = escape(str(venue["venue"]))
    if alone:
        return f"<p><b>{title}</b></p>{said}{lists}"
    return f"<details><summary>{title}</summary>{said}{lists}</details>"


def stamp(meta: Meta) -> str:
    """How this was made: the command that makes it again, versions, data, settings in force."""
    facts = dict(meta["stamp"])
    command = facts.pop(COMMAND, None)
    rows = "".join(
        f"<tr><th scope='row'>{escape(_fact(key))}</th><td>{escape(plain(value))}</td></tr>"
        for key, value in facts.items()
    )
    return (
        f"<section id='made'><h2>How this was made</h2>{_command(command)}"
        "<div class='scroll'><table class='stamp'><caption class='unseen'>Versions, data and seed"
        f"</caption><tbody>{rows}</tbody></table></div>{_settings(meta)}</section>"
    )


def _fact(key: str) -> str:
    """The name of a fact in words; the package keeps its own."""
    return key if key.startswith("bt_") else key.replace("_", " ")


def _command(command: Any) -> str:
    if not command:
        return ""
    return (
        f"<p>This command makes it again:</p><div class='command'><code id='again'>{escape(plain(command))}"
        "</code><button type='button' class='copy' data-from='again'>Copy</button></div>"
    )


def _settings(meta: Meta) -> str:
    settings = meta["settings"]
    if not settings:
        return ""
    keys = list(dict.fromkeys(key for own in settings.values() for key in own))
    heads = "".join(f"<th scope='col'>{escape(name)}</th>" for name in settings)
    rows = "".join(
        f"<tr><th scope='row'>{escape(key)}</th>"
        + "".join(f"<td>{escape(plain(own.get(key)))}</td>" for own in settings.values())
        + "</tr>"
        for key in keys
    )
    return (
        "<details><summary>Settings in force</summary><div class='scroll'><table class='stamp'>"
        f"<thead><tr><th scope='col'>setting</th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        "</div></details>"
    )


def plain(value: Any) -> str:
    """A setting as text.

    >>> plain(None), plain(0.5), plain(["a"])
    ('–', '0.5', '["a"]')
    """
    if value is None:
        return NOTHING
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def _day(text: Any) -> str:
    """An ISO time to the minute."""
    return str(text).replace("T", " ")[:16]
